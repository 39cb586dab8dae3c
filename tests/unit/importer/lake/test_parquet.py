"""Arrow tables, as the connector sends them, to Parquet parts."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from snowflake.connector.constants import FIELD_NAME_TO_ID
from snowflake.connector.cursor import ResultMetadata

from importer.errors import ImporterError
from importer.lake.asset_blobs import AssetBlobs
from importer.lake.attempt import Attempt
from importer.lake.parquet import ROW_GROUP_BYTES, NarrowColumnError, row_groups, write_parts
from importer.snowflake.columns import arrow_schema


def column(name: str, kind: str, precision: int | None = None, scale: int | None = None) -> ResultMetadata:
    return ResultMetadata(name, FIELD_NAME_TO_ID[kind], None, None, precision, scale, True)


class Blobs(AssetBlobs):
    """Blobs in memory, and what readers find in them, by the names of the parts."""

    def __init__(self) -> None:
        self.asset = "houses"  # without a datastore, which none of it calls
        self._blocks: dict[tuple[str, str], bytes] = {}
        self.tables: dict[str, pa.Table] = {}
        self.row_groups: dict[str, int] = {}

    def send_block(self, path: str, block: str, content: bytes) -> None:
        self._blocks[path, block] = content

    def commit_blocks(self, path: str, blocks: list[str]) -> None:
        name = path.rpartition("/")[2]
        content = pa.BufferReader(b"".join(self._blocks[path, block] for block in blocks))
        self.tables[name] = pq.read_table(content)
        self.row_groups[name] = pq.read_metadata(content).num_row_groups


class Parts:
    """The parts of an attempt, and what readers find in them."""

    def __init__(self) -> None:
        blobs = Blobs()
        self._attempt = Attempt(blobs, "20261123T060000Z", "0123456789ab")
        self.tables, self.row_groups = blobs.tables, blobs.row_groups

    def write(
        self, batches: list[pa.Table], schema: pa.Schema, row_group_bytes: int = ROW_GROUP_BYTES
    ) -> pa.Table:
        parts = write_parts(row_groups(batches, schema, row_group_bytes), schema, self._attempt)
        assert [part.name for part in parts] == list(self.tables)
        assert [part.rows for part in parts] == [table.num_rows for table in self.tables.values()]
        return pa.concat_tables(self.tables.values())


@pytest.mark.parametrize(
    ("described", "type_"),
    [
        (column("C", "FIXED", 38, 0), pa.int64()),
        (column("C", "FIXED", 12, 2), pa.decimal128(12, 2)),
        (column("C", "REAL"), pa.float64()),
        (column("C", "TEXT"), pa.string()),
        (column("C", "VARIANT"), pa.string()),
        (column("C", "BINARY"), pa.binary()),
        (column("C", "DATE"), pa.date32()),
        (column("C", "TIME", scale=3), pa.time64("us")),
        (column("C", "TIMESTAMP_NTZ", scale=9), pa.timestamp("ns")),
        (column("C", "TIMESTAMP_TZ", scale=6), pa.timestamp("us", "UTC")),
    ],
)
def test_parquet_type_follows_from_the_type_in_snowflake(
    described: ResultMetadata, type_: pa.DataType
) -> None:
    assert arrow_schema([described]) == pa.schema([pa.field("C", type_)])


def test_two_columns_of_the_same_name_raise_an_error() -> None:
    with pytest.raises(ImporterError, match="returns column A twice"):
        arrow_schema([column("A", "TEXT"), column("A", "REAL")])


def test_batches_of_different_integer_widths_make_one_table() -> None:
    schema = arrow_schema([column("N", "FIXED", 38, 0)])
    batches = [pa.table({"N": pa.array([n], width)}) for n, width in ((1, pa.int8()), (40000, pa.int32()))]
    assert Parts().write(batches, schema) == pa.table({"N": pa.array([1, 40000], pa.int64())})


@pytest.mark.parametrize(
    ("described", "batches"),
    [
        (
            column("C", "FIXED", 38, 0),
            [pa.array([7]), pa.array([Decimal(10**30)], pa.decimal128(38, 0)), pa.array([8], pa.int8())],
        ),
        (
            column("C", "TIMESTAMP_TZ", scale=9),
            [
                pa.array([datetime(2026, 1, 1, tzinfo=UTC)], pa.timestamp("ns", "UTC")),
                pa.array([datetime(9999, 12, 31, tzinfo=UTC)], pa.timestamp("us", "UTC")),
            ],
        ),
    ],
    ids=["number", "timestamp"],
)
def test_late_value_that_does_not_fit_names_the_wider_column_that_holds_all_values(
    described: ResultMetadata, batches: list[pa.Array]
) -> None:
    tables = [pa.table({"C": batch}) for batch in batches]
    with pytest.raises(NarrowColumnError) as narrow:
        Parts().write(tables, arrow_schema([described]), 1)
    written = Parts().write(tables, pa.schema([narrow.value.field]), 1)
    assert written["C"].to_pylist() == [value for batch in batches for value in batch.to_pylist()]


def test_value_that_would_lose_digits_raises_an_error_with_its_column() -> None:
    nanosecond = pa.array([1], pa.timestamp("ns"))
    far = pa.array([datetime(9999, 12, 31)], pa.timestamp("us"))
    batches: list[Any] = [pa.table({"WHEN": values}) for values in (nanosecond, far)]
    with pytest.raises(NarrowColumnError) as narrow:
        Parts().write(batches, arrow_schema([column("WHEN", "TIMESTAMP_NTZ", scale=9)]))
    with pytest.raises(ImporterError) as refused:
        Parts().write(batches, pa.schema([narrow.value.field]))
    assert str(refused.value) == (
        "column WHEN has values of type timestamp[ns] that do not fit timestamp[us]: "
        "cast it in the query (timestamps with nanoseconds end in the year 2261)"
    )


def test_value_of_another_type_raises_an_error_with_both_types() -> None:
    batches = [pa.table({"TAGS": pa.array([["a"]])})]
    with pytest.raises(ImporterError) as refused:
        Parts().write(batches, arrow_schema([column("TAGS", "TEXT")]))
    assert str(refused.value) == (
        "column TAGS has values of type list<item: string> that do not fit string: cast it in the query"
    )


def test_many_small_batches_make_few_row_groups_and_parts_of_bounded_size(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("importer.lake.parquet.PART_BYTES", 8 * 2000)
    schema = arrow_schema([column("N", "FIXED", 38, 0)])
    parts = Parts()

    numbers = parts.write([pa.table({"N": range(i * 100, i * 100 + 100)}) for i in range(100)], schema, 8000)

    assert numbers["N"].to_pylist() == list(range(10_000))
    assert len(parts.tables) > 1
    assert sum(parts.row_groups.values()) == 10


def test_empty_result_makes_one_part_with_the_schema() -> None:
    schema = arrow_schema([column("N", "FIXED", 38, 0)])
    assert list(row_groups([], schema)) == [schema.empty_table()]
    assert Parts().write([], schema) == schema.empty_table()
