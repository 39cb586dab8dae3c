"""Formats numbers, sizes, durations and moments for the page."""

import math
from datetime import UTC, datetime, timedelta
from typing import assert_never

from importer.commands.report.rows import Kind

#: The text for a missing number.
NONE = "\N{EN DASH}"

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_YEAR = 31_556_952


def value_text(value: float | None, kind: Kind) -> str:
    """Return the text of a value of a column of `kind`; moments are in seconds since 1970."""
    if value is None or not math.isfinite(value):
        return NONE
    match kind:
        case Kind.MOMENT:
            return _moment_text(value)
        case Kind.CLOCK:
            return _clock_text(value)
        case Kind.INTEGER:
            # it may be a year, which has no thousands separator
            return f"{value:.0f}" if abs(value) < 10_000 else number_text(value)
        case Kind.NUMBER | Kind.TEXT | Kind.BOOLEAN | Kind.BYTES | Kind.OTHER:
            return number_text(value)
        case _:
            assert_never(kind)


def number_text(value: float) -> str:
    """Return a number with thousands separators and about four significant digits."""
    size = abs(value)
    if size >= 1e15 or 0 < size < 1e-4:
        return f"{value:.3e}"
    if value == int(value):
        return f"{int(value):,}"
    digits = max(0, min(6, 3 - math.floor(math.log10(size))))
    text = f"{value:,.{digits}f}"
    return text.rstrip("0").rstrip(".") if digits else text


def bytes_text(size: float) -> str:
    """Return a size with a decimal unit: 168 kB."""
    value = size
    for unit in ("bytes", "kB", "MB", "GB"):
        if value < 1000:
            return f"{value:,.0f} {unit}" if unit == "bytes" or value >= 100 else f"{value:.3g} {unit}"
        value /= 1000
    return f"{value:,.3g} TB"


def seconds_text(seconds: float) -> str:
    """Return a duration: 4.2 s, 3 min 20 s, 1 h 05 min."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def share_text(part: int, whole: int) -> str:
    """Return a share in percent; 0% and 100% are exact."""
    if not whole or part in (0, whole):
        return "0%" if not part else "100%"
    share = 100 * part / whole
    if share < 0.1:
        return "<0.1%"
    return ">99.9%" if share > 99.9 else f"{share:.1f}%"


def edge_text(value: float, kind: Kind, step: float) -> str:
    """Return the edge of a range of width `step`, with enough digits to differ from the next edge."""
    if kind != Kind.NUMBER or step >= 10 or abs(value) >= 1e15 or step < 1e-12:
        return value_text(value, kind)
    digits = 1 - math.floor(math.log10(step))
    return f"{round(value, digits) + 0:,.{digits}f}".rstrip("0").rstrip(".")


def _clock_text(seconds: float) -> str:
    text = f"{int(seconds) // 3600:02d}:{int(seconds) // 60 % 60:02d}"
    return text if seconds % 60 == 0 else f"{text}:{int(seconds) % 60:02d}"


def _moment_text(seconds: float) -> str:
    try:
        moment = _EPOCH + timedelta(seconds=seconds)
    except OverflowError:
        return f"year {1970 + seconds / _YEAR:.0f}"
    return (
        f"{moment:%Y-%m-%d}" if seconds % 86400 == 0 else f"{moment:%Y-%m-%d} {_clock_text(seconds % 86400)}"
    )
