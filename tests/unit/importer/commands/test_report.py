"""The report's page, made from versions in memory."""

import sys
from collections.abc import Callable
from datetime import UTC, date, datetime, time
from decimal import Decimal
from pathlib import Path
from posixpath import normpath
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from importer.commands.report import write_report
from importer.commands.report.drift import Level, measure_drift
from importer.commands.report.rows import Column, Kind, VersionRows
from importer.commands.report.statistics import Bars, Sample, choose_bars
from importer.commands.report.text import (
    bytes_text,
    edge_text,
    number_text,
    seconds_text,
    share_text,
    value_text,
)
from importer.errors import ImporterError
from importer.lake.asset_blobs import AssetBlobs
from importer.lake.contract_result import RuleResult
from importer.lake.datastore import Datastore
from importer.lake.manifest import Manifest, ManifestColumn, Part
from importer.spec.import_spec import ImportSpec
from importer.versions.workspace import AssetVersion, Workspace
from tests.unit.importer.commands.report_page import Page, loads

SPEC = ImportSpec(name="houses", connection="snowflake", query="SELECT 1")
V1, V2, V3 = "20261123T060000Z", "20261124T060000Z", "20261125T060000Z"
HOSTILE = [
    "<script>alert(1)</script>",
    "\"q\" & 'a'",
    "{{ 7 * 7 }}",
    "</svg><b>",
    "Straße ☃\u202e",
    "a\nb",
    "🏠",
]


class Lake(AssetBlobs):
    """The blobs of versions that are given as tables, each with one part or several."""

    def __init__(self) -> None:
        self.asset = SPEC.name
        self.manifests: dict[str, Manifest] = {}
        self.blobs: dict[str, bytes] = {}
        self.reads: list[str] = []

    def add(self, version: str, *tables: pa.Table, names: tuple[str, ...] = ()) -> None:
        parts = []
        for i, table in enumerate(tables):
            sink = pa.BufferOutputStream()
            pq.write_table(table, sink)
            content = bytes(sink.getvalue())
            name = names[i] if names else f"data/part-{i:05d}.parquet"
            parts.append(Part(name, table.num_rows, len(content)))
            self.blobs.setdefault(normpath(self.attempt_folder(version, "a") + name), content)
        columns = [ManifestColumn(f.name, f"SQL {f.type}", str(f.type)) for f in tables[0].schema]
        self.manifests[version] = Manifest(
            asset=SPEC.name,
            version=version,
            attempt="a",
            files=parts,
            rows=sum(part.rows for part in parts),
            bytes=sum(part.bytes for part in parts),
            columns=columns,
            schema_hash="s",
            query_hash="q",
            query_id="i",
            started=datetime(2026, 11, 23, 6, 0, 0, tzinfo=UTC),
            finished=datetime(2026, 11, 23, 6, 1, 5, tzinfo=UTC),
            importer_version="0",
        )

    def read(self, path: str) -> bytes:
        version = path.split("/")[1]
        if version not in self.manifests:
            raise ImporterError(f"no {version}")
        if path == self.version_folder(version) + "_committed.json":
            return b'{"attempt": "a"}'
        assert path == self.attempt_folder(version, "a") + "_manifest.json"
        return self.manifests[version].model_dump_json().encode()

    def read_range(self, path: str, start: int, end: int) -> bytes:
        self.reads.append(path)
        return self.blobs[path][start:end]


class FakeWorkspace(Workspace):
    """A workspace in which all versions of the lake are registered, and the `others`."""

    def __init__(self, lake: Lake, *others: str) -> None:
        self._lake = lake
        self._others = others

    def datastore(self, name: str) -> Datastore:
        return Datastore(name, "lake", "rawdata", "https", "core.windows.net")

    def versions(self, asset: str) -> list[AssetVersion]:  # noqa: ARG002
        names = sorted({*self._lake.manifests, *self._others}, reverse=True)
        return [AssetVersion(name, {"rows": "7"}, datetime(2026, 11, 25, tzinfo=UTC)) for name in names]


@pytest.fixture
def lake(monkeypatch: pytest.MonkeyPatch) -> Lake:
    found = Lake()
    monkeypatch.setattr("importer.commands.report.build.AssetBlobs", lambda *_: found)
    return found


@pytest.fixture
def html(lake: Lake, tmp_path: Path) -> Callable[..., str]:
    """Return a function that makes the page of a version of the lake."""

    def make(
        version: str | None = None, *, without: set[str] | None = None, others: tuple[str, ...] = ()
    ) -> str:
        path = write_report(
            FakeWorkspace(lake, *others), SPEC, version, tmp_path / "page.html", without or set()
        )
        return path.read_text(encoding="utf-8")

    return make


def table(**columns: Any) -> pa.Table:
    return pa.table(columns)


def test_cards_have_the_numbers_of_the_data(lake: Lake, html: Callable[..., str]) -> None:
    days = [date(1969, 12, 31), date(1066, 10, 14), None, date(9999, 12, 31)] * 25
    moments = [datetime(1960, 1, 1, 12), datetime(2300, 1, 1), None, datetime(2026, 1, 1)] * 25
    data = table(
        N=pa.array([*range(99), None]),
        DEC=pa.array([Decimal("-12.25"), Decimal("1e20"), None, Decimal(0)] * 25, pa.decimal128(38, 2)),
        REAL=pa.array([1.5, float("nan"), float("inf"), -3.0] * 25),
        DAY=pa.array(days, pa.date32()),
        AT=pa.array(moments, pa.timestamp("us")),
        CLOCK=pa.array([time(1, 2), time(23, 59), None, time(0)] * 25, pa.time64("us")),
        FLAG=pa.array([True, False, None, True] * 25),
        FEW=pa.array(["a", "b", None, ""] * 25),
        MANY=pa.array([f"value {'x' * n}" for n in range(100)]),
        RAW=pa.array([b"\x00", b"abc", None, b""] * 25),
        NESTED=pa.array([[1], [2, 3], None, []] * 25),
        NOTHING=pa.nulls(100, pa.string()),
        NAN=pa.array([float("nan")] * 100),
    )
    lake.add(V1, data.slice(0, 60), data.slice(60))

    cards = Page(html()).cards

    assert list(cards) == data.column_names
    for name, card in cards.items():
        assert card.values["nulls"] == data[name].null_count
        assert card.heading == f"{name}SQL {data[name].type}"
    for name in ("N", "DEC", "DAY", "AT", "CLOCK", "RAW", "MANY"):
        assert sum(cards[name].bars.values()) == 100 - data[name].null_count, name
    assert (cards["N"].values["min"], cards["N"].values["max"], cards["N"].values["mean"]) == (0, 98, 49)
    assert cards["N"].values["median"] == pytest.approx(49, abs=1)
    assert (cards["DEC"].values["min"], cards["DEC"].values["max"]) == (-12.25, 1e20)
    assert (cards["REAL"].values["min"], cards["REAL"].values["max"]) == (-3, 1.5)
    assert cards["REAL"].values["not finite"] == 50
    assert cards["NAN"].values == {"nulls": 0, "not finite": 100}
    assert (cards["DAY"].texts["min"], cards["DAY"].texts["max"]) == ("1066-10-14", "9999-12-31")
    assert (cards["AT"].texts["min"], cards["AT"].texts["max"]) == ("1960-01-01 12:00", "2300-01-01")
    assert (cards["CLOCK"].texts["min"], cards["CLOCK"].texts["max"]) == ("00:00", "23:59")
    assert cards["FLAG"].bars == {"true": 50, "false": 25}
    assert cards["FEW"].bars == {"a": 25, "b": 25, "(empty text)": 25}
    assert cards["FEW"].texts["distinct"] == "3"
    assert (cards["MANY"].values["shortest"], cards["MANY"].values["longest"]) == (6, 105)
    assert (cards["RAW"].values["shortest"], cards["RAW"].values["longest"]) == (0, 3)
    assert cards["NESTED"].bars == cards["NOTHING"].bars == {}


def test_bar_counts_the_rows_of_its_range(lake: Lake, html: Callable[..., str]) -> None:
    lake.add(V1, table(N=[*range(1000), 10**9, -(10**9)], X=[n / 1000 for n in range(1002)]))
    cards = Page(html()).cards
    assert cards["N"].bars.pop("below 0") == 1
    assert sum(cards["N"].bars.values()) == 1001
    assert cards["N"].bars["50 to 100"] == 50
    assert cards["X"].bars["0.05 to 0.1"] == 50
    assert cards["N"].values["max"] == 10**9


def test_the_page_loads_nothing(lake: Lake, html: Callable[..., str]) -> None:
    lake.add(V1, table(LATITUDE=[1.0, 2.0], LONGITUDE=[1.0, 2.0], PRICE=[1, 2], T=["a", "b"]))
    lake.add(V2, table(LATITUDE=[1.0, 2.0], LONGITUDE=[1.0, 2.0], PRICE=[1, 2], T=["a", "b"]))
    page = html()
    assert loads(page) == []
    assert "default-src 'none'" in page
    assert loads('<img src="x"><style>@import "y"; a { b: url(z) }</style>') != []


def test_markup_in_names_and_values_is_shown_as_text(lake: Lake, html: Callable[..., str]) -> None:
    data = pa.table({name: pa.array([value] * 6) for name in HOSTILE for value in [name]})
    places = table(LATITUDE=[1.0] * 6, LONGITUDE=[1.0] * 6)
    data = data.append_column("LATITUDE", places["LATITUDE"]).append_column("LONGITUDE", places["LONGITUDE"])
    data = data.append_column("<script>PRICE", pa.array([1] * 6))
    lake.add(V1, data)
    lake.add(V2, data.append_column("<script>new", pa.array([1] * 6)))

    page = Page(html())

    assert [tag for tag, _ in page.tags].count("script") == 1
    assert [tag for tag, _ in page.tags].count("b") == 1  # the previous version's name
    assert set(HOSTILE) < set(page.cards)
    for name in HOSTILE:
        assert page.cards[name].heading.startswith(name)
        assert page.cards[name].bars == {" ".join(name.split()): 6}
    assert "mean <script>PRICE in cells" in page.text
    assert "<script>new (SQL int64) is new" in page.text
    assert "49" not in page.cards["{{ 7 * 7 }}"].heading


def test_values_of_few_rows_are_not_named(lake: Lake, html: Callable[..., str]) -> None:
    lake.add(
        V1,
        table(
            FEW=["canary-1"] * 4 + ["named"] * 196,
            MANY=["canary-2"] * 100 + [f"canary-{n}" for n in range(100)],
        ),
    )
    page = html()
    assert "canary" not in page
    assert Page(page).cards["FEW"].bars == {"named": 196, "all others": 4}


def test_long_values_with_a_common_start_are_cut_to_bars_of_their_own(
    lake: Lake, html: Callable[..., str]
) -> None:
    values = [f"{'x' * 40}{n}" for n in range(3)]
    lake.add(V1, table(LONG=values * 5))
    page = html()
    assert page.count(f"{'x' * 27}…: 5 rows") == 3
    assert "x" * 28 not in page


def test_column_in_without_is_not_on_the_page(lake: Lake, html: Callable[..., str]) -> None:
    lake.add(V1, table(NAME=["canary"] * 9, N=[1] * 9))
    page = html(without={"NAME"})
    assert list(Page(page).cards) == ["N"]
    assert "canary" not in page
    assert "left out here: NAME" in page
    with pytest.raises(ImporterError, match=f"--without NOPE: asset houses:{V1} has no such column"):
        html(without={"NOPE"})


def test_empty_version_and_only_nulls_have_no_values(lake: Lake, html: Callable[..., str]) -> None:
    nulls = table(N=pa.nulls(5, pa.int64()), T=pa.nulls(5, pa.string()), D=pa.nulls(5, pa.date32()))
    lake.add(V1, nulls)
    lake.add(V2, nulls.slice(0, 0))
    before, now = Page(html(V1)), Page(html(V2))
    assert {name: card.values for name, card in before.cards.items()} == {n: {"nulls": 5} for n in "NTD"}
    assert {name: card.values for name, card in now.cards.items()} == {n: {"nulls": 0} for n in "NTD"}
    assert before.text.count("no values") == now.text.count("no values") == 3


def test_first_version_has_no_drift(lake: Lake, html: Callable[..., str]) -> None:
    lake.add(V1, table(N=[1, 2, 3]))
    page = Page(html())
    assert "the first version" in page.text
    assert "psi" not in page.cards["N"].values
    assert V1 in page.text


def test_moved_values_and_changed_columns_are_reported(lake: Lake, html: Callable[..., str]) -> None:
    lake.add(
        V1,
        table(
            SAME=[*range(1000)],
            EMPTIED=[*range(1000)],
            MOVED=[*range(1000)],
            GONE=[1] * 1000,
            KIND=[1] * 1000,
        ),
    )
    moved = [n + 600 for n in range(1000)]
    nulls = [n if n % 2 else None for n in range(1000)]
    lake.add(V2, table(SAME=[*range(1000)], EMPTIED=nulls, MOVED=moved, NEW=[1] * 1000, KIND=["1"] * 1000))

    page = Page(html())

    assert page.cards["SAME"].texts["psi"] == "✓ stable"
    assert page.cards["SAME"].values["psi"] == 0
    assert page.cards["MOVED"].values["psi"] > page.cards["EMPTIED"].values["psi"] > 1
    assert "psi" not in page.cards["NEW"].values | page.cards["KIND"].values
    for change in (
        "NEW (SQL int64) is new",
        "GONE (SQL int64) was removed",
        "KIND was SQL int64, is SQL string",
    ):
        assert change in page.text
    assert Page(html("2026-11-23T06:00:00Z")).cards["MOVED"].values["max"] == 999


def test_index_is_the_sum_over_the_bars() -> None:
    drift = measure_drift([50, 50, 0], [90, 10, 0])
    # (0.9 - 0.5) ln(0.9 / 0.5) + (0.1 - 0.5) ln(0.1 / 0.5)
    assert drift is not None
    assert drift.psi == pytest.approx(0.8789, abs=1e-4)
    assert drift.level == Level.MUCH
    assert measure_drift([1, 2], [0, 0]) is None
    assert measure_drift([7], [9]) == (0, 0, Level.STABLE)


def test_same_index_is_drift_for_many_rows_and_stable_for_few() -> None:
    few, many = (
        measure_drift([3, 2, 3, 2], [2, 3, 1, 4]),
        measure_drift([300, 200, 300, 200], [200, 300, 100, 400]),
    )
    assert few is not None
    assert many is not None
    assert few.psi == pytest.approx(many.psi) == pytest.approx(0.4394, abs=1e-3)
    assert (few.level, many.level) == (Level.STABLE, Level.MUCH)
    some = measure_drift([5000, 5000], [6700, 3300])
    assert some is not None
    assert some.level == Level.SOME


def test_map_counts_every_row_except_outliers(lake: Lake, html: Callable[..., str]) -> None:
    latitudes = [42 + n / 1000 for n in range(1000)] + [0.0, 91.0]
    longitudes = [-93 - n / 2000 for n in range(1000)] + [0.0, 0.0]
    lake.add(V1, table(lat=latitudes, lon=longitudes, amount=[*range(1002)]))
    page = Page(html())
    assert "mean amount in cells" in page.text
    kept = 1001 - int(page.text.partition(" rows far from all others")[0].split()[-1])
    assert page.map_rows == kept >= 980
    assert "Where the rows are" not in Page(html(without={"lat"})).text


def test_part_of_an_earlier_version_is_read(lake: Lake, html: Callable[..., str]) -> None:
    old = table(N=[1, 2])
    lake.add(V1, old)
    own = f"../../{V1}/a/data/part-00000.parquet"
    lake.add(V2, old, table(N=[7], M=[1]), names=(own, "data/part-00001.parquet"))
    assert Page(html()).cards["N"].values["max"] == 7


def test_large_version_has_one_part_on_disk_at_a_time(
    lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importer.lake.version_parts.KEPT_BYTES", 0)
    lake.add(V1, *(table(N=[n]) for n in range(5)))
    rows = VersionRows(lake, lake.manifests[V1], tmp_path)
    columns = rows.columns(set())
    seen = []
    for batch in rows.reader(columns):
        assert len(list(tmp_path.iterdir())) == 1
        seen += batch.column(0).to_pylist()
    assert seen == [0, 1, 2, 3, 4]
    assert list(tmp_path.iterdir()) == []


def test_sample_reads_evenly_spread_parts(lake: Lake, tmp_path: Path) -> None:
    lake.add(V1, *(table(N=[n]) for n in range(10)))
    rows = VersionRows(lake, lake.manifests[V1], tmp_path)
    read = rows.reader(rows.columns(set()), parts=4).read_all()
    assert read["c0"].to_pylist() == [0, 3, 6, 9]


def test_corrupt_part_is_an_error_with_its_path(lake: Lake, html: Callable[..., str]) -> None:
    lake.add(V1, table(N=[1]), table(N=[2]))
    path = lake.attempt_folder(V1, "a") + "data/part-00001.parquet"
    lake.blobs[path] = b"x" * len(lake.blobs[path])
    with pytest.raises(ImporterError, match=r"part-00001\.parquet .*cannot be read"):
        html()


@pytest.mark.parametrize(
    ("version", "others", "message"),
    [
        (V3, (), f"asset houses has no version {V3}; the newest are: {V1}"),
        (V2, (V2,), f"asset houses:{V2} has no manifest in datastore rawdata"),
    ],
)
def test_unknown_version_or_missing_manifest_is_an_error(
    lake: Lake, html: Callable[..., str], version: str, others: tuple[str, ...], message: str
) -> None:
    lake.add(V1, table(N=[1]))
    with pytest.raises(ImporterError, match=message):
        html(version, others=others)


def test_versions_without_manifest_are_listed_from_their_tags(lake: Lake, html: Callable[..., str]) -> None:
    lake.add(V1, table(N=[1]))
    lake.add(V3, table(N=[1]))
    page = Page(html(others=(V2, "by-hand"))).text
    assert f"compared with {V1}" in " ".join(page.split())
    assert V2 in page


def test_contract_rules_are_shown_except_for_columns_in_without(lake: Lake, html: Callable[..., str]) -> None:
    lake.add(V1, table(N=[1], M=[2]))
    rules = [
        RuleResult("columns.N.min", "at least <0>", "smallest 1", True),
        RuleResult("columns.M", "is there", "it is there", True),
        RuleResult("columns.M.max", "at most 7", "largest 2", True),
        RuleResult("rows.min", "at least 1", "1 rows", True),
    ]
    assert "Contract" not in Page(html()).text
    lake.manifests[V1] = lake.manifests[V1].model_copy(update={"contract": rules})
    shown = Page(html())
    assert "4 rules hold" in " ".join(shown.text.split())
    assert all(text in shown.text for rule in rules for text in rule[:3])
    without = Page(html(without={"M"})).text
    assert "smallest 1" in without
    assert "columns.M" not in without
    assert "largest 2" not in without


def test_missing_version_or_package_is_an_error(
    lake: Lake, html: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ImporterError, match="asset houses has no version yet: run the import first"):
        html()
    lake.add(V1, table(N=[1]))
    for name in [name for name in sys.modules if name.startswith("importer.commands.report.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "vl_convert", None)
    with pytest.raises(ImporterError, match="the report needs the package vl_convert: "):
        html()


@pytest.mark.parametrize(
    ("kind", "span", "bars"),
    [
        (Kind.INTEGER, (0, 0, 9, 9), Bars(0, 1, 10)),
        (Kind.INTEGER, (5, 5, 5, 5), Bars(5, 1, 1)),
        (Kind.NUMBER, (0, 0.01, 0.99, 1), Bars(0, 0.05, 21)),
        (Kind.NUMBER, (0, 1, 99, 10**6), Bars(0, 5, 20)),
        (Kind.MOMENT, (0, 0, 864000, 864000), Bars(0, 43200, 21)),
        (Kind.NUMBER, (-1e308, -1e308, 1e308, 1e308), Bars(-1e308, 1e307, 21)),
    ],
)
def test_range_gives_bars_with_round_edges(
    kind: Kind, span: tuple[float, float, float, float], bars: Bars
) -> None:
    chosen = choose_bars(Column("c", kind, ""), [Sample(span, None)])
    assert (chosen.low, chosen.step, chosen.count) == pytest.approx((bars.low, bars.step, bars.count))


def test_numbers_sizes_durations_and_shares_are_formatted() -> None:
    assert [number_text(n) for n in (0, 1234567, 0.5, -12.345, 1e20, 1e-9)] == [
        *("0", "1,234,567", "0.5", "-12.35", "1.000e+20", "1.000e-09")
    ]
    assert [bytes_text(n) for n in (999, 168499, 1_500_000, 2 * 10**13)] == [
        *("999 bytes", "168 kB", "1.5 MB", "20 TB")
    ]
    assert [seconds_text(n) for n in (4.21, 200, 3900)] == ["4.2 s", "3 min 20 s", "1 h 05 min"]
    assert [share_text(n, 10_000) for n in (0, 1, 1234, 9999, 10_000)] == [
        *("0%", "<0.1%", "12.3%", ">99.9%", "100%")
    ]
    assert [edge_text(n, Kind.NUMBER, 0.005) for n in (41.985, 41.99, -0.0)] == ["41.985", "41.99", "0"]
    assert edge_text(41.9825, Kind.NUMBER, 0.0025) == "41.9825"
    assert value_text(61.5, Kind.CLOCK) == "00:01:01"
    assert value_text(-1e15, Kind.MOMENT).startswith("year -31")
