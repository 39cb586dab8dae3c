"""Arrow tables, as the connector sends them, to Parquet parts."""

from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from importer.errors import ImporterError
from importer.lake.asset_blobs import AssetBlobs
from importer.lake.attempt import Attempt
from importer.lake.parquet import ROW_GROUP_BYTES, row_groups, write_parts
from importer.snowflake import type_table
from importer.snowflake.columns import DescribedColumn
from importer.snowflake.type_table import TypeOptions
from importer.spec.snowflake_types import SnowflakeType


def column(name: str, kind: str, precision: int | None = None, scale: int | None = None) -> DescribedColumn:
    return DescribedColumn(name, SnowflakeType(kind), precision, scale)


def arrow_schema(columns: list[DescribedColumn]) -> pa.Schema:
    return type_table.arrow_schema(columns, "stream", TypeOptions())


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
        assert [part.name for part in parts] == [f"data/{name}" for name in self.tables]
        assert [part.rows for part in parts] == [table.num_rows for table in self.tables.values()]
        return pa.concat_tables(self.tables.values())


def test_batches_of_different_integer_widths_make_one_table() -> None:
    schema = arrow_schema([column("N", "NUMBER", 38, 0)])
    batches = [pa.table({"N": pa.array([n], width)}) for n, width in ((1, pa.int8()), (40000, pa.int32()))]
    assert Parts().write(batches, schema) == pa.table({"N": pa.array([1, 40000], pa.int64())})


def test_whole_number_beyond_64_bits_raises_an_error_with_column_and_setting() -> None:
    batches = [pa.table({"N": pa.array([Decimal(10**30)], pa.decimal128(38, 0))})]
    with pytest.raises(ImporterError) as refused:
        Parts().write(batches, arrow_schema([column("N", "NUMBER", 38, 0)]))
    assert str(refused.value) == (
        "column N has a whole number beyond 64 bits: add it to the import's setting decimal"
    )


def test_value_of_another_type_raises_an_error_with_both_types() -> None:
    batches = [pa.table({"TAGS": pa.array([["a"]])})]
    with pytest.raises(ImporterError) as refused:
        Parts().write(batches, arrow_schema([column("TAGS", "VARCHAR")]))
    assert str(refused.value) == (
        "column TAGS has values of type list<item: string> that do not fit string: cast it in the query"
    )


def test_many_small_batches_make_few_row_groups_and_parts_of_bounded_size(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("importer.lake.parquet.PART_BYTES", 8 * 2000)
    schema = arrow_schema([column("N", "NUMBER", 38, 0)])
    parts = Parts()

    numbers = parts.write([pa.table({"N": range(i * 100, i * 100 + 100)}) for i in range(100)], schema, 8000)

    assert numbers["N"].to_pylist() == list(range(10_000))
    assert len(parts.tables) > 1
    assert sum(parts.row_groups.values()) == 10


def test_empty_result_makes_one_part_with_the_schema() -> None:
    schema = arrow_schema([column("N", "NUMBER", 38, 0)])
    assert list(row_groups([], schema)) == [schema.empty_table()]
    assert Parts().write([], schema) == schema.empty_table()
