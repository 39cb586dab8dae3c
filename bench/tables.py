"""The tables of the benchmark: results that are stored in the local Snowflake, as if queried before."""

import base64
import uuid
from itertools import chain, cycle, islice
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from fakesnow.arrow import to_ipc, to_sf
from fakesnow.rowtype import describe_as_rowtype

from localcloud.home import Home
from localcloud.snowflake_chunks import Chunk, StoredResults

#: How many chunks differ; a table repeats them, so that making ten million rows takes no longer.
_DISTINCT = 8
_INLINE_ROWS = 100


class Shape(NamedTuple):
    """The width of a table: `repeats` times the eight columns of a sale. A chunk has about 15 MB."""

    name: str
    repeats: int
    chunk_rows: int

    @property
    def columns(self) -> int:
        """The number of columns."""
        return 8 * self.repeats


NARROW = Shape("narrow", 1, 200_000)
WIDE = Shape("wide", 13, 12_500)

_TYPES = {
    "ID": "BIGINT",
    "PRICE": "DECIMAL(12,2)",
    "LATITUDE": "DOUBLE",
    "CITY": "VARCHAR",
    "ADDRESS": "VARCHAR",
    "IS_NEW": "BOOLEAN",
    "SOLD_ON": "DATE",
    "CHANGED_AT": "TIMESTAMP",
}


def sales(rows: int, repeats: int, seed: int) -> pa.Table:
    """Return random sales: keys, money, coordinates, text of few and of many values, days and times."""
    random = np.random.default_rng(seed)
    cities = np.array([f"City {n}" for n in range(200)])
    table: dict[str, pa.Array] = {}
    for n in range(repeats):
        numbers, streets = random.integers(1, 9999, rows), random.integers(1, 10**5, rows)
        seconds = random.integers(1_500_000_000, 1_700_000_000, rows)
        columns = (
            pa.array(np.arange(rows, dtype=np.int64) + seed * rows),
            pa.array(random.integers(10_000, 999_999, rows, np.int32)).cast(pa.decimal128(12, 2)),
            pa.array(random.normal(41.0, 0.1, rows)),
            pa.array(cities[random.integers(0, 200, rows)]),
            pa.array([f"{a} Street {b}" for a, b in zip(numbers, streets, strict=True)]),
            pa.array(random.integers(0, 2, rows).astype(bool)),
            pa.array(random.integers(10_000, 20_000, rows).astype(np.int32)).cast(pa.date32()),
            pa.array(seconds * 1_000_000).cast(pa.timestamp("us")),
        )
        table |= {f"{name}_{n}": column for name, column in zip(_TYPES, columns, strict=True)}
    return pa.table(table)


class Generator:
    """Stores tables as results in a local Snowflake, each under the query id that `store` returns."""

    def __init__(self, home: Home) -> None:
        self._results = StoredResults(home.path / "results", f"http://127.0.0.1:{home.ports['snowflake']}")

    def store(self, shape: Shape, rows: int) -> str:
        """Store a table of `rows` rows in chunks of `shape.chunk_rows`, and return its query id."""
        described = [
            (f"{name}_{n}", kind, None, None, None, None)
            for n in range(shape.repeats)
            for name, kind in _TYPES.items()
        ]
        rowtype: list[Any] = describe_as_rowtype(described)
        tables = [sales(shape.chunk_rows, shape.repeats, seed) for seed in range(_DISTINCT)]
        first = to_ipc(to_sf(tables[0].slice(0, _INLINE_ROWS), rowtype))
        second = Chunk.of(tables[0].slice(_INLINE_ROWS), rowtype)
        others = cycle([Chunk.of(table, rowtype) for table in tables])
        query_id = str(uuid.uuid4())
        data = {
            "rowtype": rowtype,
            "total": rows,
            "queryId": query_id,
            "queryResultFormat": "arrow",
            "rowsetBase64": base64.b64encode(first).decode(),
        }
        chunks = chain([second], islice(others, rows // shape.chunk_rows - 1))
        self._results.put({"data": data, "success": True}, chunks)
        return query_id
