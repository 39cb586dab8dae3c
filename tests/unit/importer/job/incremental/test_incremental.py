"""Watermarks to the last digit, and one row for each key, compared with the simplest way to find them."""

import io
import random
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from importer.errors import ImporterError
from importer.job.incremental.merge import merging
from importer.job.incremental.plan import FullRead, NewRows, Plan
from importer.job.incremental.read import read_step
from importer.job.incremental.watermark import Kind, Mark, Seen, WatermarkColumn, see_watermark
from importer.lake.asset_blobs import AssetBlobs
from importer.lake.datastore import Datastore
from importer.lake.manifest import UP, Manifest, ManifestColumn, Part, Written, mltable, part_path
from importer.progress import JsonLines
from importer.spec.incremental import Incremental, Overlap
from importer.spec.snowflake_types import SnowflakeType

D37 = "1.0000000000000000000000000000000000001"


def parquet(table: pa.Table, **options: Any) -> pq.ParquetFile:
    sink = io.BytesIO()
    pq.write_table(table, sink, **options)
    return pq.ParquetFile(sink)


@pytest.mark.parametrize(
    ("values", "text"),
    [
        (pa.array([-1, 0, None], pa.date32()), "1970-01-01"),
        (pa.array([-719162], pa.date32()), "0001-01-01"),
        (pa.array([-5, -7, None], pa.timestamp("ns")), "1969-12-31 23:59:59.999999995"),
        (pa.array([1700000000123456789], pa.timestamp("ns", "UTC")), "2023-11-14 22:13:20.123456789"),
        (pa.array([253402300799999999], pa.timestamp("us")), "9999-12-31 23:59:59.999999"),
        (pa.array([1700000000123], pa.timestamp("ms")), "2023-11-14 22:13:20.123"),
        (pa.array([-(2**63), 2**63 - 1]), "9223372036854775807"),
        (pa.array([Decimal("9" * 38), Decimal(-1)], pa.decimal128(38, 0)), "9" * 38),
        (pa.array([Decimal("-0.01"), Decimal("-0.02")], pa.decimal128(10, 2)), "-0.01"),
        (pa.array([Decimal(D37), None], pa.decimal128(38, 37)), D37),
    ],
)
@pytest.mark.parametrize("options", [{}, {"write_statistics": False}, {"store_decimal_as_integer": True}])
def test_greatest_value_is_exact_with_and_without_statistics(
    values: pa.Array, text: str, options: dict[str, Any]
) -> None:
    file = parquet(pa.table({"a.b": pa.nulls(len(values), pa.int8()), "w": values}), **options)
    seen = see_watermark(file, "w")
    assert str(seen.mark) == text
    assert seen.nulls == values.null_count
    assert seen.mark is not None
    assert Mark.parse(text, seen.mark.kind) == seen.mark


def test_greatest_value_is_that_of_all_row_groups_and_none_for_nulls_only() -> None:
    table = pa.table({"w": pa.array([3, None, 1, 2, None, None], pa.int64())})
    assert see_watermark(parquet(table, row_group_size=2), "w") == Seen(Mark(3, Kind.NUMBER), 3)
    assert see_watermark(parquet(table.slice(4)), "w") == Seen(None, 2)
    assert see_watermark(parquet(table.slice(6)), "w") == Seen()


def test_moment_after_the_year_9999_raises_an_error() -> None:
    with pytest.raises(ImporterError, match="outside the years 1 to 9999: exclude them"):
        str(Mark(10**15, Kind.MOMENT, 3))


PRICE = WatermarkColumn("W", Kind.NUMBER, SnowflakeType.NUMBER, 2)
NTZ = WatermarkColumn('w"1', Kind.MOMENT, SnowflakeType.TIMESTAMP_NTZ, 9)
NANO, MICRO = Mark(1_700_000_000_123_456_789, Kind.MOMENT, 9), Mark(1_700_000_000_123_456, Kind.MOMENT, 6)
FF6 = "'YYYY-MM-DD HH24:MI:SS.FF6'"


@pytest.mark.parametrize(
    ("column", "since", "ties", "overlap", "condition"),
    [
        (
            NTZ,
            NANO,
            False,
            None,
            "> TO_TIMESTAMP_NTZ('2023-11-14 22:13:20.123456789', 'YYYY-MM-DD HH24:MI:SS.FF9')",
        ),
        # the files cut nanoseconds off: a row of the same microsecond is not new
        (NTZ, MICRO, False, None, f">= TO_TIMESTAMP_NTZ('2023-11-14 22:13:20.123457', {FF6})"),
        (NTZ, MICRO, True, None, f">= TO_TIMESTAMP_NTZ('2023-11-14 22:13:20.123456', {FF6})"),
        (NTZ, MICRO, True, "90m", f">= TO_TIMESTAMP_NTZ('2023-11-14 20:43:20.123456', {FF6})"),
        (
            NTZ,
            Mark(0, Kind.MOMENT, 6),
            True,
            "999999d",
            f">= TO_TIMESTAMP_NTZ('0001-01-01 00:00:00.000000', {FF6})",
        ),
        (
            WatermarkColumn("W", Kind.DATE, SnowflakeType.DATE, 0),
            Mark(0, Kind.DATE),
            False,
            None,
            "> TO_DATE('1970-01-01', 'YYYY-MM-DD')",
        ),
        (
            WatermarkColumn("W", Kind.DATE, SnowflakeType.DATE, 0),
            Mark(0, Kind.DATE),
            True,
            "36h",
            ">= TO_DATE('1969-12-31', 'YYYY-MM-DD')",
        ),
        (
            PRICE,
            Mark(-150, Kind.NUMBER, 2),
            False,
            None,
            "> -1.50",
        ),
        (
            PRICE,
            Mark(-150, Kind.NUMBER, 2),
            True,
            2,
            ">= -3.50",
        ),
        (
            WatermarkColumn("W", Kind.NUMBER, SnowflakeType.NUMBER, 0),
            Mark(1 - 10**38, Kind.NUMBER),
            True,
            5,
            f">= {1 - 10**38}",
        ),
    ],
)
def test_condition_of_a_step_selects_rows_past_the_watermark(
    column: WatermarkColumn, since: Mark, ties: bool, overlap: Overlap | None, condition: str
) -> None:
    name = column.name.replace('"', '""')
    assert column.rows_past(since, ties=ties, overlap=overlap) == f'"{name}" {condition}'


def test_overlap_without_a_key_raises_an_error() -> None:
    with pytest.raises(ValueError, match="overlap needs key"):
        Incremental.model_validate({"column": "W", "overlap": "2d"})


def test_rows_of_other_types_are_discarded_and_all_rows_are_read() -> None:
    done: list[object] = []

    class Reader:
        def read(self, query: str) -> Written:
            done.append(query)
            part = Part(f"part-{len(done)}", 1, 1)
            return Written([part], [ManifestColumn("W", "DATE", "date32")], [], 1, "")

        def discard(self, written: Written) -> None:
            done.extend(part.name for part in written.parts)

    before = Manifest.model_construct(
        version="1", columns=[ManifestColumn("W", "NUMBER(38,0)", "int64")], schema_hash="other"
    )
    column = WatermarkColumn("W", Kind.DATE, SnowflakeType.DATE, 0)
    rules = Incremental.model_validate({"column": "W"})
    plan = Plan(rules, column, 400, NewRows(before, Mark(0, Kind.DATE)))
    found, written = read_step(plan, "SELECT", Reader(), JsonLines())
    assert found.reads == FullRead("the types of the query's columns changed")
    assert written.parts == [Part("part-3", 1, 1)]
    assert done[1:] == ["part-1", "SELECT"]


def test_mltable_lists_parts_of_earlier_versions_by_the_given_address() -> None:
    parts = [Part(f"{UP}1/a/data/part-0.parquet", 1, 1), Part("data/part-0.parquet", 1, 1)]
    assert part_path("houses/2/b/", parts[0]) == "houses/1/a/data/part-0.parquet"
    listed = mltable(parts, "azureml://subscriptions/s/paths/houses/").splitlines()
    assert listed[2:4] == [
        "  - file: azureml://subscriptions/s/paths/houses/1/a/data/part-0.parquet",
        "  - file: ./data/part-0.parquet",
    ]
    assert mltable(parts).splitlines()[2] == "  - file: ../../1/a/data/part-0.parquet"


@pytest.mark.parametrize(
    ("uri", "address"),
    [("azureml://s/paths/", "azureml://s/paths/houses/"), (None, UP)],
    ids=["azure", "emulator"],
)
def test_address_of_earlier_versions_is_the_datastores_or_relative_in_an_emulator(
    uri: str | None, address: str
) -> None:
    lake = Datastore("rawdata", "lake", "rawdata", "https", "core.windows.net", uri)
    assert AssetBlobs(lake, "houses").earlier_address == address


Row = tuple[int | None, str | None, int | None]


def newest_rows(earlier: list[Row], read: list[Row], since: int | None) -> list[Row]:
    """Return the rows to keep by the definition: of each key the greatest watermark, the first of a tie."""
    stays: dict[tuple[int, str], Row] = {}
    for row in (*earlier, *read):
        key, watermark = (row[0], row[1]), row[2]
        if key[0] is None or key[1] is None:
            continue
        before = stays.get(key)  # type: ignore[arg-type] # neither is None
        if before is None or (watermark is not None and (before[2] is None or watermark > before[2])):
            stays[key] = row  # type: ignore[index]
    unlike = [row for row in earlier if None in row[:2]]
    unlike += [row for row in read if None in row[:2] and (since is None or (row[2] or 0) > since)]
    return [*stays.values(), *unlike]


def files(*rows: list[Row]) -> list[pq.ParquetFile]:
    columns = ("ID", "k.2", "W")
    types = (pa.decimal128(12, 2), pa.string(), pa.timestamp("us", "UTC"))
    return [
        parquet(
            pa.table(
                [pa.array(values, t) for values, t in zip(zip(*part, strict=True), types, strict=True)],
                columns,
            ),
            row_group_size=5,
        )
        for part in rows
    ]


@pytest.mark.parametrize("seed", range(5))
def test_newest_row_of_each_key_is_kept(seed: int) -> None:
    rng = random.Random(seed)  # noqa: S311 - no secret

    def some(number: int, low: int) -> list[Row]:
        return [
            (
                rng.choice([None, *range(low, low + 8)]),
                rng.choice([None, "a", "b"]),
                rng.choice([None, *range(1, 9)]),
            )
            for _ in range(number)
        ]

    earlier = [newest_rows([], some(30, low), None) for low in (0, 100)]
    read, since = [some(25, 3), some(25, 100)], rng.choice([None, 4])
    assert stays(earlier, read, since) == sorted(
        newest_rows([*earlier[0], *earlier[1]], [*read[0], *read[1]], since), key=str
    )


def stays(earlier: list[list[Row]], read: list[list[Row]], since: int | None) -> list[Row]:
    opened = files(*read, *earlier)
    with merging(["ID", "k.2"], "W", 400) as merge:
        for number, file in enumerate(opened[: len(read)]):
            merge.add(number, file, None if since is None else Mark(since, Kind.MOMENT, 6))
        merge.settle()
        for number, file in enumerate(opened[len(read) :], start=len(read)):
            merge.meet(number, file)
        left: list[Row] = []
        for number, rows in enumerate((*read, *earlier)):
            gone = merge.superseded_rows(number, 0, 7) + merge.superseded_rows(number, 7, 1000)
            assert merge.superseded(number) == len(gone)
            left += [row for n, row in enumerate(rows) if n not in gone]
    return sorted(left, key=str)


@pytest.mark.parametrize("key", [10, 14])
def test_row_groups_whose_statistics_exclude_all_new_keys_are_not_fetched(
    monkeypatch: pytest.MonkeyPatch, key: int
) -> None:
    fetched: list[int] = []
    read_row_group = pq.ParquetFile.read_row_group

    def noted(self: pq.ParquetFile, group: int, **options: Any) -> pa.Table:
        fetched.append(group)
        return read_row_group(self, group, **options)

    earlier: list[Row] = [(n, "a", 1) for n in range(50)]
    read: list[Row] = [(key, "a", 2), (key, "b", 1)]
    new, old = files(read, earlier)
    with merging(["ID", "k.2"], "W", 400) as merge:
        merge.add(0, new, None)
        merge.settle()
        monkeypatch.setattr(pq.ParquetFile, "read_row_group", noted)
        merge.meet(1, old)
        assert fetched == [2]
        assert merge.superseded_rows(1, 0, 50) == [key]
        assert merge.superseded(0) == 0


@pytest.mark.parametrize(
    ("watermark", "value", "is_kept"),
    [
        (4, "same", False),
        (4, "other", False),
        (5, "same", False),
        (5, "other", True),
        (5, None, True),
        (6, "same", True),
        (6, "other", True),
    ],
)
def test_row_that_is_read_replaces_an_older_one_and_one_of_its_watermark_with_other_values(
    watermark: int, value: str | None, is_kept: bool
) -> None:
    columns = ["ID", "V", "W", "L"]

    def file(of_watermark: int, of_value: str | None) -> pq.ParquetFile:
        moment = pa.array([of_watermark, 9], pa.timestamp("us", "UTC"))
        listed = pa.array([[1.5, None], None], pa.list_(pa.float32()))
        return parquet(pa.table([[1, 2], [of_value, "x"], moment, listed], columns))

    with merging(["ID"], "W", 400) as merge:
        merge.add(0, file(watermark, value), None)
        merge.settle()
        merge.meet(1, file(5, "same"))
        assert merge.superseded_rows(1, 0, 2) == ([0] if is_kept else [])
        assert merge.superseded_rows(0, 0, 2) == ([1] if is_kept else [0, 1])


def test_row_that_is_read_again_unchanged_stays_in_its_earlier_part() -> None:
    new, old = files([(1, "a", 1), (2, "a", None)], [(1, "a", 1), (2, "a", 5)])
    with merging(["ID", "k.2"], "W", 400) as merge:
        merge.add(0, new, None)
        merge.settle()
        merge.meet(1, old)
        assert (merge.superseded(0), merge.superseded(1)) == (2, 0)
