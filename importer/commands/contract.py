"""`importer contract`: a first contract of an import, made from its current rows."""

import math
import re
import textwrap
from collections.abc import Iterator
from contextlib import closing, suppress
from datetime import UTC, date, datetime, time, timedelta
from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal

import yaml

from importer.commands.column_meaning import is_key_name, meaning_of
from importer.commands.column_profile import MOST_VALUES, ROWS_A_VALUE, ColumnProfile, Profile, profile_query
from importer.job.contract.values import Family, RowValue
from importer.snowflake.session import connect
from importer.snowflake.sign_in import stored_secret
from importer.spec.import_spec import ImportSpec
from importer.versions.workspace import Workspace

#: A column whose newest value is at most this old gets `maxAge`: its age now, and so many days more.
_RECENT, _LATE_DAYS = timedelta(days=7), 2
_DAY = timedelta(days=1)

#: The rule `rows.maxDecrease`, in percent.
_MOST_DECREASE = 20

#: The integers and digits that YAML and JSON keep exactly, as those of a double; the most digits of a NUMBER.
_SAFE_INTEGER, _SAFE_DIGITS, _MOST_DIGITS = 2**53, 15, 38
_EXACT = Context(prec=400)

#: The indentation of an import's settings in Pulumi.<stack>.yaml.
_INDENT = "      "

_PLAIN_TEXT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_YAML_WORDS = {"y", "n", "yes", "no", "on", "off", "true", "false", "null"}


class _OneLine(dict[str, object]):
    """Rules that are written on one line."""


class _Dumper(yaml.SafeDumper):
    """Quotes text that some version of YAML would read as another type."""


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    is_plain = _PLAIN_TEXT.fullmatch(text) and text.lower() not in _YAML_WORDS
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, None if is_plain else '"')


_Dumper.add_representer(str, _represent_text)
_Dumper.add_representer(
    _OneLine, lambda dumper, rules: dumper.represent_mapping("tag:yaml.org,2002:map", rules, flow_style=True)
)


def first_contract(spec: ImportSpec, workspace: Workspace) -> str:
    """Return a contract that holds for the import's current rows, as YAML."""
    target = workspace.connection(spec.connection)
    secret = stored_secret(target)
    with closing(connect(target, secret, f"ai-platform contract {spec.name}")) as connection:
        profile = profile_query(connection, spec.query)
    return render(spec.name, profile, datetime.now(UTC))


def render(asset: str, profile: Profile, now: datetime) -> str:
    """Return the contract of a profile as YAML, with comments that explain its rules."""
    columns = {c.name: _OneLine(_column_rules(c, profile.rows)) for c in profile.columns}
    ages = {_age(column, now): column.name for column in profile.columns if column.family.is_dated}
    # a date in the future, such as a due date, does not show how new the rows are
    recent = [age for age in ages if age is not None and timedelta() <= age <= _RECENT]
    if recent:
        columns[ages[min(recent)]]["maxAge"] = f"{math.ceil(min(recent) / _DAY) + _LATE_DAYS}d"
    comments = (
        f"A first contract of {asset}, from its {profile.rows} rows at {now:%Y-%m-%d %H:%MZ}. Check each "
        "rule, then paste it below the import in Pulumi.<stack>.yaml.\n"
        "min and max: what the column's name means, such as 1 and 12 of a month. If the name does not tell, "
        "the current range and a tenth of it on each side, rounded outwards, but not across zero. Dates have "
        "no max, because new dates follow; ids have neither.\n"
        f"allowed: for text of at most {MOST_VALUES} values, each in {ROWS_A_VALUE} rows on average. "
        "unique: for columns with the name of a key whose values differ in all rows.\n"
        f"maxAge: for the column with the newest time, its age now and {_LATE_DAYS} days more. "
        f"rows: at least half of the current rows, and at most {_MOST_DECREASE}% fewer than before."
    )
    lines = [f"# {line}" for comment in comments.split("\n") for line in textwrap.wrap(comment, 100)]
    text = ["contract:", "  columns:"]
    for column in profile.columns:
        line = textwrap.indent(_dump({column.name: columns[column.name]}), "    ")
        observed = _observed(column)
        text.append(f"{line}  # {observed}" if observed else line)
    if profile.rows:
        rows = _OneLine(min=(profile.rows + 1) // 2, maxDecrease=_MOST_DECREASE)
        text.append(textwrap.indent(_dump({"rows": rows}), "  "))
    return textwrap.indent("\n".join([*lines, *text, ""]), _INDENT)


def _dump(rules: dict[str, _OneLine]) -> str:
    return yaml.dump(
        rules,
        Dumper=_Dumper,
        sort_keys=False,
        allow_unicode=True,
        width=float("inf"),
        default_flow_style=False,
    ).rstrip("\n")


def _observed(column: ColumnProfile) -> str:
    """Return what a column's values mean, and from where to where they reach."""
    low, high = column.low, column.high
    if low is None or high is None or isinstance(low, bytes) or isinstance(high, bytes):
        return ""
    meaning = meaning_of(column, *_limits(column)) if _is_finite_number(column) else None
    observed = f"observed {low} to {high}"
    return f"{meaning.name}, {observed}" if meaning else observed


def _column_rules(column: ColumnProfile, rows: int) -> Iterator[tuple[str, object]]:
    yield "type", column.type
    if not rows:
        return
    if not column.nulls:
        yield "nullable", False
    if _is_key(column, rows):
        yield "unique", True
    elif column.family in (Family.NUMBER, Family.FLOAT):
        yield from _number_range(column)
    if column.family.is_dated:
        yield from _date_range(column)
    if column.values:
        yield "allowed", column.values


def _is_key(column: ColumnProfile, rows: int) -> bool:
    can_be_key = column.family == Family.TEXT or (column.family == Family.NUMBER and not column.decimals)
    is_unique = not column.nulls and column.distinct == rows > 1
    return bool(can_be_key and is_unique and is_key_name(column.name))


def _number_range(column: ColumnProfile) -> Iterator[tuple[str, object]]:
    """Yield the limits that the column's name means, else those that its values suggest."""
    if not _is_finite_number(column):
        return
    low, high = _limits(column)
    meaning = meaning_of(column, low, high)
    if meaning is None:
        yield from _wider_range(column, low, high)
    elif meaning.is_flag:
        yield "allowed", [0, 1]
    else:
        limits = {"min": meaning.least, "max": meaning.greatest}
        yield from ((rule, limit) for rule, limit in limits.items() if limit is not None)


def _wider_range(column: ColumnProfile, low: Decimal, high: Decimal) -> Iterator[tuple[str, object]]:
    """Yield min and max a tenth of the range beyond the values, rounded to the first digit of that tenth."""
    spare = _EXACT.divide(_EXACT.subtract(high, low) or max(low.copy_abs(), Decimal(1)), Decimal(10))
    step = Decimal(1).scaleb(spare.adjusted())
    if column.family == Family.NUMBER:
        step = max(step, Decimal(1).scaleb(-column.decimals))
    least = _rounded(_EXACT.subtract(low, spare), step, ROUND_FLOOR)
    most = _rounded(_EXACT.add(high, spare), step, ROUND_CEILING)
    bounds = {"min": max(least, Decimal(0)) if low >= 0 else least}
    bounds["max"] = min(most, Decimal(0)) if high <= 0 else most
    for rule, bound in bounds.items():
        if column.family == Family.FLOAT:
            if math.isfinite(float(bound)):
                yield rule, _number(float(bound))
        elif len(f"{bound.copy_abs():f}".replace(".", "")) <= _MOST_DIGITS:
            yield rule, _decimal(bound)


def _date_range(column: ColumnProfile) -> Iterator[tuple[str, object]]:
    """Yield min as a date, a tenth of the range before the oldest value."""
    low, high = _moment(column.low), _moment(column.high)
    if low and high:
        with suppress(OverflowError):  # before the year 1
            yield "min", (low - max((high - low) / 10, _DAY)).date().isoformat()


def _age(column: ColumnProfile, now: datetime) -> timedelta | None:
    newest = _moment(column.high)
    return now - newest if newest else None


def _moment(value: RowValue | None) -> datetime | None:
    """Return a date or a timestamp in UTC."""
    if not isinstance(value, date):
        return None
    moment = value if isinstance(value, datetime) else datetime.combine(value, time())
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


def _is_finite_number(column: ColumnProfile) -> bool:
    return column.family in (Family.NUMBER, Family.FLOAT) and all(
        isinstance(value, int | float | Decimal) and math.isfinite(value)
        for value in (column.low, column.high)
    )


def _limits(column: ColumnProfile) -> tuple[Decimal, Decimal]:
    return Decimal(str(column.low)), Decimal(str(column.high))


def _rounded(value: Decimal, step: Decimal, rounding: str) -> Decimal:
    return value.quantize(step, rounding, _EXACT)


def _number(value: float) -> int | float:
    return int(value) if value.is_integer() and abs(value) < _SAFE_INTEGER else value


def _decimal(bound: Decimal) -> int | float | str:
    """Return a decimal as a number where that keeps its digits, else as text."""
    if bound == bound.to_integral_value():
        return int(bound) if bound.copy_abs() < _SAFE_INTEGER else f"{bound:f}"
    return float(bound) if len(bound.as_tuple().digits) <= _SAFE_DIGITS else f"{bound:f}"
