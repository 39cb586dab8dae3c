"""Types of Snowflake that fakesnow does not have, as DuckDB's types and by functions that return them.

`LOCAL_VECTOR('[1, 2, 3]')` returns a VECTOR(FLOAT, 3), `LOCAL_DECFLOAT(1)` a DECFLOAT and `INTERVAL '1 day'`
an INTERVAL DAY TO SECOND.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from fakesnow.conn import FakeSnowflakeConnection
from fakesnow.rowtype import describe_as_rowtype

_MACROS = {
    "local_vector(text)": "CAST(text AS FLOAT[3])",
    # a type of DuckDB that nothing else returns stands for it
    "local_decfloat(number)": "CAST(number AS UHUGEINT)",
}

#: What a response says of a column, by its type in DuckDB.
_DESCRIBED: Mapping[str, Mapping[str, Any]] = {
    "FLOAT[3]": {
        "type": "vector",
        "vectorDimension": 3,
        "fields": [{"type": "real", "nullable": True, "length": None, "precision": None, "scale": None}],
    },
    "UHUGEINT": {"type": "decfloat", "precision": 38},
    "INTERVAL": {"type": "interval_day_time", "precision": 9, "scale": 9},
}


def define_functions(connection: FakeSnowflakeConnection) -> None:
    """Define the functions on the session's DuckDB connection."""
    for macro, expression in _MACROS.items():
        connection._duck_conn.execute(f"CREATE OR REPLACE TEMP MACRO {macro} AS {expression}")


def rowtype(described: Sequence[tuple[Any, ...]]) -> list[Any]:
    """Return fakesnow's description of a result, with the types that it does not have."""
    known = [(name, "VARCHAR" if kind in _DESCRIBED else kind, *rest) for name, kind, *rest in described]
    plain = {"byteLength": None, "length": None, "precision": None, "scale": None}
    return [
        {**column, **plain, **_DESCRIBED[kind]} if kind in _DESCRIBED else column
        for column, (_, kind, *_) in zip(describe_as_rowtype(known), described, strict=True)
    ]
