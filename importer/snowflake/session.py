"""Signing in to Snowflake, and running a query there."""

import re
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

from snowflake.connector import SnowflakeConnection
from snowflake.connector.cursor import ResultMetadata, SnowflakeCursor
from snowflake.connector.errors import Error, OperationalError
from snowflake.connector.vendored.requests.exceptions import RequestException
from tenacity import (
    Retrying,
    retry_if_exception_type,
    stop_after_attempt,
    stop_after_delay,
    wait_random_exponential,
)

from importer.errors import ImporterError
from importer.snowflake.columns import Column, type_text
from importer.snowflake.sign_in import open_connection, sign_in_arguments
from importer.spec.snowflake_target import SnowflakeTarget

#: The secret part of a shared access signature
#: (https://learn.microsoft.com/rest/api/storageservices/create-user-delegation-sas).
_SIGNATURE = re.compile(r"(\bsig=)[^&'\"\s]+", re.IGNORECASE)

#: The seconds that Snowflake may take to accept a connection, and to send the next bytes of an answer: while
#: a query runs, it answers every 45 seconds.
_TIMEOUT = 60

#: Signing in is tried for this long, unless it is refused: then it is another DatabaseError.
_LOGIN_SECONDS = 20
LOGIN_RETRIES = Retrying(
    retry=retry_if_exception_type((OperationalError, RequestException)),
    wait=wait_random_exponential(max=5),
    stop=stop_after_delay(_LOGIN_SECONDS),
    reraise=True,
)

#: The tries of a statement whose answer is cut off: the connector (4.8) makes an end of it then, though it
#: asks again where there is no answer.
_STATEMENT_RETRIES = Retrying(
    retry=retry_if_exception_type(RequestException),
    wait=wait_random_exponential(max=10),
    stop=stop_after_attempt(4),
    reraise=True,
)


def connect(target: SnowflakeTarget, secret: str | None, query_tag: str) -> SnowflakeConnection:
    """Return an open connection as the importer; `secret` is what the vault has for it.

    Raises an ImporterError with Snowflake's own message.
    """
    return _open(target, {**_address(target), **sign_in_arguments(target, secret)}, query_tag)


def deployer_connection(target: SnowflakeTarget, sign_in: Mapping[str, str]) -> SnowflakeConnection:
    """Return a connection in the importer's role with the `deployer_sign_in`."""
    address = {} if "connection_name" in sign_in else _address(target)
    return _open(target, {**address, **sign_in}, "ai-platform probe")


def describe(connection: SnowflakeConnection, query: str) -> list[ResultMetadata]:
    """Return the columns of `query` without running it; an ImporterError says why Snowflake refuses it."""
    with connection.cursor() as cursor:
        try:
            return list(_STATEMENT_RETRIES.copy()(cursor.describe, query) or [])
        except (Error, RequestException) as error:
            raise ImporterError(f"Snowflake refuses the query: {error_text(error)}") from None


def describe_query(connection: SnowflakeConnection, query: str) -> list[Column]:
    """Return what `describe` returns, with types as Snowflake writes them."""
    described = describe(connection, query)
    return [Column(column.name, type_text(column), column.is_nullable) for column in described]


def execute(connection: SnowflakeConnection, query: str, timeout: timedelta | None = None) -> SnowflakeCursor:
    """Return the cursor of `query`, run; an ImporterError has Snowflake's own message.

    What runs longer than `timeout` is cancelled.
    """
    cursor = connection.cursor()
    try:
        seconds = int(timeout.total_seconds()) if timeout else None
        _STATEMENT_RETRIES.copy()(cursor.execute, query, timeout=seconds)
    except (Error, RequestException) as error:
        raise ImporterError(f"the query failed in Snowflake: {error_text(error)}") from None
    return cursor


def error_text(error: Exception) -> str:
    """Return Snowflake's error code and message, without the class name and the connector's decorations.

    A message may quote the statement, and that may hold a storage token: its signature is left out.
    """
    given = getattr(error, "raw_msg", None) or getattr(error, "msg", None) or str(error)
    message = _SIGNATURE.sub(r"\1...", str(given))
    number = getattr(error, "errno", None)
    return f"{number}: {message}" if number and number > 0 and str(number) not in message else message


def _open(target: SnowflakeTarget, sign_in: Mapping[str, Any], query_tag: str) -> SnowflakeConnection:
    given = {
        "host": target.host,
        "port": target.port,
        **sign_in,
        "role": target.role,
        "warehouse": target.warehouse,
    }
    # not all that is given: there is a secret in it
    shown = ("connection_name", "host", "port", "user", "role", "warehouse")
    where = ", ".join(f"{name} {given[name]}" for name in shown if name in given)
    try:
        connection = LOGIN_RETRIES.copy()(
            open_connection,
            **sign_in,
            role=target.role,
            warehouse=target.warehouse,
            validate_default_parameters=True,
            login_timeout=_LOGIN_SECONDS,
            socket_timeout=_TIMEOUT,
            backoff_policy=_pauses,
            platform_detection_timeout_seconds=0.0,  # it is told how to sign in
            arrow_number_to_decimal=True,  # NUMBER(12,2) as a decimal, not as the nearest double
            session_parameters={
                "QUERY_TAG": query_tag,
                "TIMEZONE": "UTC",
                "CLIENT_TELEMETRY_ENABLED": False,
                # the least there is, in MB uncompressed: a few of them are in memory at once
                # (https://docs.snowflake.com/en/sql-reference/parameters#client-result-chunk-size)
                "CLIENT_RESULT_CHUNK_SIZE": 48,
                # what a run that died has started does not go on in the warehouse
                "ABORT_DETACHED_QUERY": True,
                # an unloaded column's type follows from the query, not from the rows
                "ENABLE_UNLOAD_PHYSICAL_TYPE_OPTIMIZATION": False,
            },
        )
    except (Error, RequestException) as error:
        raise ImporterError(f"cannot sign in to Snowflake ({where}): {error_text(error)}") from None
    if connection.warehouse is None:
        connection.close()
        raise ImporterError(f"Snowflake ({where}): there is no such warehouse, or the role may not use it")
    return connection


def _pauses() -> Iterator[int]:
    """Yield the seconds between the connector's tries of one request, then end it.

    The connector's `network_timeout` would not do: it also cancels a query that runs longer.
    """
    yield from (1, 2, 4, 8, 8, 0)
    raise OperationalError(msg="no answer to 6 tries of one request")


def _address(target: SnowflakeTarget) -> dict[str, str | int]:
    return {"account": target.account, "host": target.host, "port": target.port, "protocol": target.protocol}
