"""The rows of a version as a stream of Arrow batches, in the few types that statistics need."""

from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from importer.errors import ImporterError
from importer.lake.blob import AssetBlobs
from importer.lake.manifest import Manifest, Part
from importer.lake.version_parts import VersionParts

_BATCH_VALUES = 2_000_000
_UNITS = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}


class Kind(StrEnum):
    """What a column's values are, for statistics; `other` are nested ones, of which only NULLs count."""

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
        """Return the columns but for those that are left out."""
        if not self._parts.parts:
            return []
        return [
            Column(field.name, kind_of(field.type), str(field.type))
            for field in self._parts.schema()
            if field.name not in without
        ]

    def reader(self, columns: list[Column], parts: int | None = None) -> pa.RecordBatchReader:
        """Return the rows with the columns named c0, c1, …; all parts, or `parts` evenly spread ones.

        What stops it is also in `failure`, as whoever reads may lose its type.
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
    """Return what the values of an Arrow type are, for statistics."""
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
    return pa.string() if kind in (Kind.TEXT, Kind.BOOLEAN) else pa.float64()


def _plain(values: pa.Array, kind: Kind) -> pa.Array:
    """Return numbers as they are, moments in seconds since 1970, bytes by their length."""
    if kind in (Kind.TEXT, Kind.BOOLEAN):
        return values.cast(pa.string())
    if kind in (Kind.INTEGER, Kind.NUMBER):
        return values.cast(pa.float64(), safe=False)
    if kind == Kind.BYTES:
        return pc.binary_length(values).cast(pa.float64())
    if kind == Kind.OTHER:
        return pc.if_else(values.is_valid(), 0.0, pa.scalar(None, pa.float64()))
    if pa.types.is_date(values.type):
        days = values.cast(pa.date32()).cast(pa.int32()).cast(pa.float64())
        return pc.multiply(days, 86400.0)
    whole = pa.int32() if pa.types.is_time32(values.type) else pa.int64()
    return pc.divide(values.cast(whole).cast(pa.float64(), safe=False), float(_UNITS[values.type.unit]))
