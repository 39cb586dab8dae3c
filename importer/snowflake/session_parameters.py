"""The parameters of the importer's sessions: what a query returns does not depend on account and user.

An administrator can set any session parameter as the default of an account or of a user. A session that sets
all of those that change a result returns the same rows in every account, and to every user.
Names, values and defaults: https://docs.snowflake.com/en/sql-reference/parameters
"""

from collections.abc import Mapping

#: What a query returns. If there is no comment, the value is Snowflake's own default.
_RESULTS: Mapping[str, str | int | bool] = {
    # the default is America/Los_Angeles
    "TIMEZONE": "UTC",
    "TIMESTAMP_TYPE_MAPPING": "TIMESTAMP_NTZ",
    "TIMESTAMP_DAY_IS_ALWAYS_24H": False,
    "TWO_DIGIT_CENTURY_START": 1970,
    "WEEK_START": 0,
    "WEEK_OF_YEAR_POLICY": 0,
    "QUOTED_IDENTIFIERS_IGNORE_CASE": False,
    "SEARCH_PATH": "$current, $public",
    # of ORDER BY, and so of QUALIFY and LIMIT (https://docs.snowflake.com/en/release-notes/2025/9_09)
    "DEFAULT_NULL_ORDERING": "LAST",
    # all rows
    "ROWS_PER_RESULTSET": 0,
    # text that is converted to another type
    "DATE_INPUT_FORMAT": "AUTO",
    "TIME_INPUT_FORMAT": "AUTO",
    "TIMESTAMP_INPUT_FORMAT": "AUTO",
    "BINARY_INPUT_FORMAT": "HEX",
    # values that are converted to text
    "DATE_OUTPUT_FORMAT": "YYYY-MM-DD",
    "TIME_OUTPUT_FORMAT": "HH24:MI:SS",
    "TIMESTAMP_OUTPUT_FORMAT": "YYYY-MM-DD HH24:MI:SS.FF3 TZHTZM",
    "TIMESTAMP_NTZ_OUTPUT_FORMAT": "YYYY-MM-DD HH24:MI:SS.FF3",
    "TIMESTAMP_LTZ_OUTPUT_FORMAT": "YYYY-MM-DD HH24:MI:SS.FF3 TZHTZM",
    "TIMESTAMP_TZ_OUTPUT_FORMAT": "YYYY-MM-DD HH24:MI:SS.FF3 TZHTZM",
    "BINARY_OUTPUT_FORMAT": "HEX",
    "GEOGRAPHY_OUTPUT_FORMAT": "GeoJSON",
    "GEOMETRY_OUTPUT_FORMAT": "GeoJSON",
    # the default is 2: one line for each element
    "JSON_INDENT": 0,
    # the default is FALSE: arrays may contain `undefined` and objects NaN, which are not JSON
    "STRICT_JSON_OUTPUT": True,
}

#: How a result is sent to the importer, or written by Snowflake's warehouse.
_TRANSPORT: Mapping[str, str | int | bool] = {
    "PYTHON_CONNECTOR_QUERY_RESULT_FORMAT": "ARROW",
    # the minimum, in MB uncompressed: several chunks are in memory at once
    # (https://docs.snowflake.com/en/sql-reference/parameters#client-result-chunk-size)
    "CLIENT_RESULT_CHUNK_SIZE": 48,
    "CLIENT_TELEMETRY_ENABLED": False,
    # a query of a crashed run must not continue in the warehouse
    "ABORT_DETACHED_QUERY": True,
    # the type of an unloaded column depends on the query, not on the rows
    "ENABLE_UNLOAD_PHYSICAL_TYPE_OPTIMIZATION": False,
    # microseconds; this is how Snowpark Connect makes TIMESTAMP_MICROS of Spark's outputTimestampType
    # (snowpark-connect-for-spark, config.py)
    "UNLOAD_PARQUET_TIME_TIMESTAMP_MILLIS": False,
}


def session_parameters(query_tag: str) -> dict[str, str | int | bool]:
    """Return all parameters that a session sets when it signs in."""
    return {"QUERY_TAG": query_tag, **_RESULTS, **_TRANSPORT}
