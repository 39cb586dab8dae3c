"""Renders the report as an HTML page."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple, assert_never

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from importer import __version__
from importer.commands.report import drift
from importer.commands.report.build import ColumnReport, Report
from importer.commands.report.charts import (
    LEAST_ROWS,
    Distribution,
    distribution_chart,
    history_chart,
    map_chart,
)
from importer.commands.report.drift import Level
from importer.commands.report.rows import Kind
from importer.commands.report.statistics import MAX_VALUES, Profile
from importer.commands.report.text import NONE, bytes_text, number_text, seconds_text, share_text, value_text
from importer.commands.report.versions import VersionFacts
from importer.lake.contract_result import RuleResult
from importer.spec.schedule import parse_tick

_LISTED_VERSIONS = 12
_CHANGED_COLUMNS = 6


@dataclass(frozen=True)
class Stat:
    """A number of a column: its name, its value, and its text."""

    name: str
    value: float | None
    text: str


@dataclass(frozen=True)
class Card:
    """The card of a column on the page."""

    name: str
    type: str
    kind: Kind
    level: Level | None
    psi: str
    nulls: Stat
    null_share: str
    null_change: str
    stats: list[Stat]
    chart: Markup | None
    of: str


class History(NamedTuple):
    """A number over the versions: its name, this version's value, its change, a chart if there are two."""

    name: str
    text: str
    change: str
    chart: Markup | None


def render(report: Report, made: datetime) -> str:
    """Return the page."""
    environment = Environment(
        loader=PackageLoader("importer.commands.report", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    cards = [_card(found) for found in report.columns]
    drifted = [card for card in cards if card.level in (Level.SOME, Level.MUCH)]
    return environment.get_template("page.html").render(
        report=report,
        cards=cards,
        changed=sorted((card for card in cards if card.psi), key=lambda card: -float(card.psi))[
            :_CHANGED_COLUMNS
        ],
        drifted=sorted(drifted, key=lambda card: -float(card.psi)),
        with_nulls=sum(bool(card.nulls.value) for card in cards),
        contract=_contract(report),
        histories=_histories(report.versions),
        listed=[_listed(v, older) for v, older in _pairs(report.versions[:_LISTED_VERSIONS])],
        more_versions=max(0, len(report.versions) - _LISTED_VERSIONS),
        map=Markup(map_chart(report.places)) if report.places and report.places.cells else None,  # noqa: S704
        made=f"{made.astimezone(UTC):%Y-%m-%d %H:%MZ}",
        importer_version=__version__,
        size=bytes_text(report.manifest.bytes),
        number=number_text,
        registered=_moment(report.versions[0].registered),
        some=drift.SOME,
        much=drift.MUCH,
        least_rows=LEAST_ROWS,
        max_values=MAX_VALUES,
    )


def _contract(report: Report) -> list[RuleResult]:
    """Return the results of the contract's rules, without those of columns that are left out."""
    left_out = tuple(f"columns.{name}." for name in report.without)
    return [result for result in report.manifest.contract if not f"{result.rule}.".startswith(left_out)]


def _card(report: ColumnReport) -> Card:
    now, before = report.now, report.before
    chart = None
    if report.column.kind != Kind.OTHER and (any(now.counts) or (before and any(before.counts))):
        scale = now.rows / before.rows if before and before.rows else 1
        shown = Distribution(
            report.column.kind, report.bars, now.counts, before.counts if before else None, scale
        )
        chart = Markup(distribution_chart(shown))  # noqa: S704 - vl-convert escapes what is in it
    change = ""
    if before and share_text(before.nulls, before.rows) != share_text(now.nulls, now.rows):
        change = f"before: {share_text(before.nulls, before.rows)}"
    is_length = report.column.kind == Kind.BYTES or (
        report.column.kind == Kind.TEXT and report.bars.values is None
    )
    return Card(
        name=report.column.name,
        type=report.snowflake_type,
        kind=report.column.kind,
        level=report.drift.level if report.drift else None,
        psi=f"{report.drift.psi:.3f}" if report.drift else "",
        nulls=Stat("nulls", now.nulls, number_text(now.nulls)),
        null_share=share_text(now.nulls, now.rows),
        null_change=change,
        stats=_stats(report),
        chart=chart,
        of="length" if is_length else "",
    )


def _stats(report: ColumnReport) -> list[Stat]:
    """Return the numbers below the chart of a column."""
    now, kind = report.now, report.column.kind
    not_finite = [Stat("not finite", now.not_finite, number_text(now.not_finite))] if now.not_finite else []
    if now.low is None:
        return not_finite
    about = "" if now.is_distinct_exact else "≈ "
    distinct = Stat("distinct", now.distinct, about + number_text(now.distinct))
    lengths = [
        Stat("shortest", now.low, value_text(now.low, kind)),
        Stat("longest", now.high, value_text(now.high, kind)),
    ]
    match kind:
        case Kind.OTHER:
            return not_finite
        case Kind.BOOLEAN:
            return [distinct]
        case Kind.TEXT:
            return [distinct] if report.bars.values is not None else [distinct, *lengths]
        case Kind.BYTES:
            return lengths
        case Kind.INTEGER | Kind.NUMBER | Kind.MOMENT | Kind.CLOCK:
            return [*_range_stats(now, kind), distinct, *not_finite]
        case _:
            assert_never(kind)


def _range_stats(now: Profile, kind: Kind) -> list[Stat]:
    """Return smallest, median, mean and largest; moments have no mean."""
    median = round(now.median) if kind == Kind.INTEGER and now.median is not None else now.median
    mean = None if kind in (Kind.MOMENT, Kind.CLOCK) else now.mean
    return [
        Stat("min", now.low, value_text(now.low, kind)),
        Stat("median", median, f"≈ {value_text(median, kind)}"),
        *([Stat("mean", mean, number_text(mean))] if mean is not None else []),
        Stat("max", now.high, value_text(now.high, kind)),
    ]


def _histories(versions: list[VersionFacts]) -> list[History]:
    return [
        _history("rows", versions, [v.rows for v in versions], number_text),
        _history("size", versions, [v.bytes for v in versions], bytes_text),
        _history("duration", versions, [v.seconds for v in versions], seconds_text),
    ]


def _history(
    name: str,
    versions: list[VersionFacts],
    numbers: Sequence[float | None],
    text: Callable[[float], str],
) -> History:
    """Return the history of a number; `numbers` are those of the versions, newest first."""
    points = [
        (tick, number, text(number))
        for version, number in zip(versions, numbers, strict=True)
        if number is not None and (tick := _tick(version)) is not None
    ]
    change = ""
    if numbers[0] is not None and len(points) > 1 and points[1][1]:
        change = f"{100 * (numbers[0] / points[1][1] - 1):+.1f}%"
    return History(
        name,
        NONE if numbers[0] is None else text(numbers[0]),
        change,
        Markup(history_chart(points[::-1])) if len(points) > 1 else None,  # noqa: S704
    )


def _tick(version: VersionFacts) -> datetime | None:
    try:
        return parse_tick(version.version)
    except ValueError:  # not a version of the importer
        return version.registered


def _pairs(versions: list[VersionFacts]) -> list[tuple[VersionFacts, VersionFacts | None]]:
    return list(zip(versions, [*versions[1:], None], strict=True))


def _listed(version: VersionFacts, older: VersionFacts | None) -> dict[str, str]:
    change = ""
    if older is not None and version.rows is not None and older.rows is not None:
        change = f"{version.rows - older.rows:+,}" if version.rows != older.rows else "±0"
    return {
        "version": version.version,
        "registered": _moment(version.registered),
        "rows": number_text(version.rows) if version.rows is not None else NONE,
        "change": change,
        "size": bytes_text(version.bytes) if version.bytes is not None else NONE,
        "duration": seconds_text(version.seconds) if version.seconds is not None else NONE,
        "files": number_text(len(version.manifest.files)) if version.manifest else NONE,
    }


def _moment(moment: datetime | None) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%MZ}" if moment else NONE
