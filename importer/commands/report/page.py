"""The page itself: what the report holds, in the words and the order in which it is read."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import NamedTuple

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
from importer.commands.report.statistics import MAX_VALUES
from importer.commands.report.text import NONE, bytes_text, number_text, seconds_text, share_text, value_text
from importer.commands.report.versions import VersionFacts
from importer.lake.contract_result import RuleResult
from importer.spec.schedule import parse_tick

_LISTED_VERSIONS = 12
_CHANGED_COLUMNS = 6


@dataclass(frozen=True)
class Stat:
    """A number of a column: its name, its value, and how it reads."""

    name: str
    value: float | None
    text: str


@dataclass(frozen=True)
class Card:
    """A column as the page shows it."""

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
    """One number of all versions: its name, this version's, its change, and the chart where there are two."""

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
    """Return how the rules turned out, without those of columns that are left out."""
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
    now, kind = report.now, report.column.kind
    not_finite = Stat("not finite", now.not_finite, number_text(now.not_finite)) if now.not_finite else None
    if kind == Kind.OTHER or now.low is None:
        return [not_finite] if not_finite else []
    about = "" if now.is_distinct_exact else "≈ "
    distinct = Stat("distinct", now.distinct, about + number_text(now.distinct))
    if kind == Kind.BOOLEAN or report.bars.values is not None:
        return [distinct]
    text: Callable[[float | None], str] = partial(value_text, kind=kind)
    if kind in (Kind.TEXT, Kind.BYTES):
        lengths = [Stat("shortest", now.low, text(now.low)), Stat("longest", now.high, text(now.high))]
        return [distinct, *lengths] if kind == Kind.TEXT else lengths
    median = round(now.median) if kind == Kind.INTEGER and now.median is not None else now.median
    is_time = kind in (Kind.MOMENT, Kind.CLOCK)
    mean = None if now.mean is None or is_time else Stat("mean", now.mean, number_text(now.mean))
    stats = [
        Stat("min", now.low, text(now.low)),
        Stat("median", median, f"≈ {text(median)}"),
        mean,
        Stat("max", now.high, text(now.high)),
        distinct,
        not_finite,
    ]
    return [stat for stat in stats if stat is not None]


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
    """Return the history of one number, `numbers` being those of the versions, newest first."""
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
    except ValueError:  # named by someone else
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
