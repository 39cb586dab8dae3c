"""The rows of a version as a stream of Arrow batches, in the two types that the statistics need."""

from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple, assert_never

import pyarrow as pa
import pyarrow.compute as pc

from importer.errors import ImporterError
from importer.lake.asset_blobs import AssetBlobs
from importer.lake.manifest import Manifest, Part
from importer.lake.version_parts import VersionParts

_BATCH_VALUES = 2_000_000
_UNITS = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}


class Kind(StrEnum):
    """The kind of a column's values; `other` are nested values, of which only NULLs are counted."""

    INTEGER = "integer"
    NUMBER = "number"
    MOMENT = "moment"
    CLOCK = "clock"
    TEXT = "text"
    BOOLEAN = "boolean"
    BYTES = "bytes"
    OTHER = "other"


class Column(NamedTuple):
    """A column of the Parquet files."""

    name: str
    kind: Kind
    type: str


class VersionRows:
    """The rows of one version."""

    def __init__(self, blobs: AssetBlobs, manifest: Manifest, folder: Path) -> None:
        self._parts = VersionParts(blobs, manifest, folder)
        self.failure: ImporterError | None = None

    def columns(self, without: set[str]) -> list[Column]:
        """Return the columns except those in `without`."""
        if not self._parts.parts:
            return []
        return [
            Column(field.name, kind_of(field.type), str(field.type))
            for field in self._parts.schema()
            if field.name not in without
        ]

    def reader(self, columns: list[Column], parts: int | None = None) -> pa.RecordBatchReader:
        """Return the rows with the columns named c0, c1, …, of all parts or of `parts` evenly spread ones.

        An error is also stored in `failure`, since DuckDB would replace it by its own.
        """
        files = self._parts.parts
        chosen = files if parts is None else files[:: max(1, -(-len(files) // parts))]
        schema = pa.schema([(f"c{i}", _plain_type(column.kind)) for i, column in enumerate(columns)])
        return pa.RecordBatchReader.from_batches(schema, self._batches(chosen, columns, schema))

    def _batches(
        self, parts: list[Part], columns: list[Column], schema: pa.Schema
    ) -> Iterator[pa.RecordBatch]:
        size = max(1024, _BATCH_VALUES // max(1, len(columns)))
        try:
            for part in parts:
                with self._parts.open(part) as file:
                    names = [c.name for c in columns if c.name in file.schema_arrow.names]
                    for batch in file.iter_batches(size, columns=names):
                        found = dict(zip(names, batch.columns, strict=True))
                        plain = [
                            _plain(found[c.name], c.kind)
                            if c.name in found
                            else pa.nulls(batch.num_rows, _plain_type(c.kind))
                            for c in columns
                        ]
                        yield pa.RecordBatch.from_arrays(plain, schema=schema)
        except ImporterError as error:
            self.failure = error
            raise


def kind_of(arrow: pa.DataType) -> Kind:
    """Return the kind of the values of an Arrow type."""
    kinds = (
        (pa.types.is_boolean, Kind.BOOLEAN),
        (pa.types.is_integer, Kind.INTEGER),
        (pa.types.is_floating, Kind.NUMBER),
        (pa.types.is_decimal, Kind.NUMBER),
        (pa.types.is_date, Kind.MOMENT),
        (pa.types.is_timestamp, Kind.MOMENT),
        (pa.types.is_time, Kind.CLOCK),
        (pa.types.is_string, Kind.TEXT),
        (pa.types.is_large_string, Kind.TEXT),
        (pa.types.is_binary, Kind.BYTES),
        (pa.types.is_large_binary, Kind.BYTES),
    )
    return next((kind for matches, kind in kinds if matches(arrow)), Kind.OTHER)


def _plain_type(kind: Kind) -> pa.DataType:
    match kind:
        case Kind.TEXT | Kind.BOOLEAN:
            return pa.string()
        case Kind.INTEGER | Kind.NUMBER | Kind.MOMENT | Kind.CLOCK | Kind.BYTES | Kind.OTHER:
            return pa.float64()
        case _:
            assert_never(kind)


def _plain(values: pa.Array, kind: Kind) -> pa.Array:
    """Return text as text, all else as numbers: moments in seconds since 1970, bytes by their length."""
    match kind:
        case Kind.TEXT | Kind.BOOLEAN:
            return values.cast(pa.string())
        case Kind.INTEGER | Kind.NUMBER:
            return values.cast(pa.float64(), safe=False)
        case Kind.BYTES:
            return pc.binary_length(values).cast(pa.float64())
        case Kind.MOMENT | Kind.CLOCK:
            return _seconds(values)
        case Kind.OTHER:
            return pc.if_else(values.is_valid(), 0.0, pa.scalar(None, pa.float64()))
        case _:
            assert_never(kind)


def _seconds(values: pa.Array) -> pa.Array:
    """Return dates and timestamps in seconds since 1970, times in seconds since midnight."""
    if pa.types.is_date(values.type):
        days = values.cast(pa.date32()).cast(pa.int32()).cast(pa.float64())
        return pc.multiply(days, 86400.0)
    whole = pa.int32() if pa.types.is_time32(values.type) else pa.int64()
    return pc.divide(values.cast(whole).cast(pa.float64(), safe=False), float(_UNITS[values.type.unit]))
