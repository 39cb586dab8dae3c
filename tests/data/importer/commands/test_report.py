"""The report of imported versions, with Snowflake, Azurite and the workspace service over HTTP."""

from collections import Counter
from pathlib import Path

import pyarrow.compute as pc
import pytest

from importer.commands.report import write_report
from importer.versions.workspace import Workspace
from localcloud.home import Home
from localcloud.houses import house_sales
from localcloud.snowflake_account import read_passwords
from tests.data_cloud import ALL_SALES, REPOSITORY, V1, V2, V3, command, error_line, run, spec
from tests.unit.importer.commands.report_page import Page, loads

HOUSES = spec("reported")


@pytest.fixture(scope="module")
def page(home: Home, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The page of the third version of the houses; the first two have fewer rows."""
    run(spec("reported", f"{ALL_SALES} WHERE YEAR_SOLD < 2008"), V1)
    run(spec("reported", f"{ALL_SALES} WHERE YEAR_SOLD < 2010", mode="unload"), V2)
    run(HOUSES, V3)
    path = tmp_path_factory.mktemp("report") / "houses.html"
    result = command("report", "reported", "--output", str(path), spec=HOUSES)
    assert (result.returncode, result.stdout, result.stderr) == (0, f"{path}\n", "")
    html = path.read_text(encoding="utf-8")
    assert read_passwords(home)["IMPORTER"] not in html
    return html


def test_cards_have_the_numbers_of_the_table(page: str) -> None:
    sales, cards = house_sales(), Page(page).cards
    assert list(cards) == sales.column_names
    for name, card in cards.items():
        column = sales[name]
        assert card.values["nulls"] == column.null_count, name
        assert sum(card.bars.values()) == len(column) - column.null_count, name
        if "min" in card.values:
            found = pc.min_max(column).as_py()
            assert (card.values["min"], card.values["max"]) == (found["min"], found["max"]), name
            assert card.values["mean"] == pytest.approx(pc.mean(column).as_py()), name
            assert card.values["median"] == pytest.approx(pc.quantile(column)[0].as_py(), rel=0.02), name
        else:
            assert card.values["distinct"] == len(column.drop_null().unique()), name
            counts = Counter(column.drop_null().to_pylist())
            named = {label: rows for label, rows in card.bars.items() if label in counts}
            assert named == {label: counts[label] for label in named}
            assert min(named.values()) >= 5


def test_page_shows_versions_drift_and_map(page: str) -> None:
    parsed = Page(page)
    assert loads(page) == []
    assert all(version in parsed.text for version in (V1, V2, V3))
    assert f"compared with {V2}" in " ".join(parsed.text.split())
    assert "drift" in parsed.cards["YEAR_SOLD"].texts["psi"]
    assert parsed.cards["YEAR_SOLD"].bars["2010"] == 341
    assert parsed.cards["ROOF_STYLE"].texts["psi"] == "✓ stable"
    assert parsed.map_rows == 2930
    assert not [value for value in house_sales()["LATITUDE"].to_pylist()[:50] if str(value) in page]


@pytest.mark.usefixtures("page")
def test_version_and_without_select_what_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "houses.html"
    arguments = ("--version", V1, "--without", "LATITUDE", "--without", "SALE_PRICE", "--output", str(path))
    assert command("report", "reported", *arguments, spec=HOUSES).returncode == 0
    parsed = Page(path.read_text(encoding="utf-8"))
    assert len(parsed.cards) == len(house_sales().column_names) - 2
    assert "the first version" in parsed.text
    assert V3 not in parsed.text
    assert "Where the rows are" not in parsed.text


@pytest.mark.usefixtures("page")
def test_report_without_output_is_in_a_folder_that_git_ignores(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = write_report(Workspace(), HOUSES, V1, None, set())
    assert path == tmp_path / "reports" / f"reported-{V1}.html"
    assert path.is_file()
    assert "/reports/" in (REPOSITORY / ".gitignore").read_text().splitlines()


@pytest.mark.usefixtures("page")
def test_unknown_version_column_or_folder_is_one_line(tmp_path: Path) -> None:
    for arguments, message in (
        (("--version", "20200101T000000Z"), f"has no version 20200101T000000Z; the newest are: {V3}, {V2}"),
        (("--without", "NOPE"), f"--without NOPE: asset reported:{V3} has no such column"),
        (("--output", str(tmp_path / "none" / "x.html")), "No such file or directory"),
    ):
        assert message in error_line(command("report", "reported", *arguments, spec=HOUSES))
    assert "asset unreported has no version yet" in error_line(
        command("report", "unreported", spec=spec("unreported"))
    )


@pytest.mark.usefixtures("home")
def test_version_without_rows_has_a_page(tmp_path: Path) -> None:
    empty = spec("reported_none", f"{ALL_SALES} WHERE 1 = 0")
    run(empty, V1)
    assert Workspace().versions("reported_none")[0].tags["rows"] == "0"
    assert command("report", "reported_none", "--output", str(tmp_path / "x"), spec=empty).returncode == 0
    parsed = Page((tmp_path / "x").read_text(encoding="utf-8"))
    assert {card.values["nulls"] for card in parsed.cards.values()} == {0}
