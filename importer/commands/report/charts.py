"""The charts of the page: Vega-Lite specifications, drawn as SVG; the page's style colours them."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple, assert_never

import vl_convert

from importer.commands.report.places import Places
from importer.commands.report.rows import Kind
from importer.commands.report.statistics import Bars
from importer.commands.report.text import edge_text, number_text

Spec = dict[str, Any]

#: A value is named only if this many rows have it, in either version.
LEAST_ROWS = 5
_NAMED_VALUES = 5
_LABEL_CHARACTERS = 28
_VEGA_LITE = "6.4"

#: Dark to bright, on a dark background in both themes; few, so that the mean of a single row cannot be read.
_SHADES = ("#3f4fa0", "#5a66b8", "#2f8f9d", "#35b779", "#90d743", "#fde725")

_CONFIG: Spec = {
    "background": None,
    "font": "system-ui, sans-serif",
    "view": {"stroke": None},
    "axis": {"grid": False, "domain": False, "tickSize": 3, "labelFontSize": 10, "labelPadding": 3},
}


class Distribution(NamedTuple):
    """The rows of a column's bars in this version, and in the previous one.

    The previous version's are multiplied by `scale`, so that shapes compare if the number of rows differs.
    """

    kind: Kind
    bars: Bars
    now: Sequence[int]
    before: Sequence[int] | None
    scale: float = 1


class Bar(NamedTuple):
    """A bar of a chart: its label, and its rows in this and in the previous version."""

    label: str
    now: int
    before: int | None


def draw(spec: Spec) -> str:
    """Return the SVG of a specification."""
    return str(vl_convert.vegalite_to_svg({**spec, "config": _CONFIG}, vl_version=_VEGA_LITE))


def distribution_chart(shown: Distribution) -> str:
    """Return the chart of a column's distribution, with the previous version's as a line over it."""
    return draw(_values_spec(shown) if shown.bars.values is not None else _ranges_spec(shown))


def value_bars(shown: Distribution) -> list[Bar]:
    """Return the most frequent values, then all others as one bar; rare values are never named."""
    values, before = shown.bars.values or (), shown.before
    found = [
        Bar(value or "(empty text)", shown.now[i], before[i] if before else None)
        for i, value in enumerate(values)
    ]
    found.sort(key=lambda bar: (-bar.now, -(bar.before or 0), bar.label))
    named = [bar for bar in found if max(bar.now, bar.before or 0) >= LEAST_ROWS][:_NAMED_VALUES]
    others = Bar(
        "all others",
        sum(shown.now) - sum(bar.now for bar in named),
        sum(before) - sum(bar.before or 0 for bar in named) if before else None,
    )
    return [*named, others] if others.now or others.before else named


def _values_spec(shown: Distribution) -> Spec:
    """Return the chart of a column that is counted by value: a line of text and a bar for each value."""
    bars = value_bars(shown)
    data = [
        {
            "place": place,
            "text": _cut(bar.label),
            "rows": bar.now,
            "before": shown.scale * (bar.before or 0),
            "description": f"{_cut(bar.label)}: {_rows_text(bar.now, bar.before)}",
        }
        for place, bar in enumerate(bars)
    ]
    longest = max([1.0, *(max(bar.now, shown.scale * (bar.before or 0)) for bar in bars)])
    layers = _value_layers(longest)
    if shown.before is None:
        layers = [layer for layer in layers if layer["name"] != "before"]
    return {"width": 290, "height": {"step": 24}, "data": {"values": data}, "layer": layers}


def _value_layers(longest: float) -> list[Spec]:
    y = {"field": "place", "type": "ordinal", "axis": None}
    x = {"type": "quantitative", "axis": None, "scale": {"domain": [0, longest]}}
    words = {"align": "left", "baseline": "middle", "fontSize": 10}
    return [
        {
            "name": "now",
            "mark": {"type": "bar", "cornerRadiusEnd": 2, "height": 9, "yOffset": 5},
            "encoding": {"y": y, "x": {"field": "rows", **x}, "description": {"field": "description"}},
        },
        {
            "name": "words",
            "mark": {"type": "text", **words, "yOffset": -6, "aria": False},
            "encoding": {"y": y, "x": {"value": 0}, "text": {"field": "text"}},
        },
        {
            "name": "count",
            "mark": {"type": "text", **words, "align": "right", "yOffset": -6, "aria": False},
            "encoding": {
                "y": y,
                "x": {"value": "width"},
                "text": {"field": "rows", "type": "quantitative", "format": ","},
            },
        },
        {
            "name": "before",
            "mark": {"type": "tick", "thickness": 2, "height": 11, "yOffset": 5, "aria": False},
            "encoding": {"y": y, "x": {"field": "before", **x}},
        },
    ]


def _ranges_spec(shown: Distribution) -> Spec:
    """Return the chart of a column that is counted in ranges: a histogram."""
    bars = shown.bars
    data = [
        _range_row(shown, bar) for bar in range(bars.count + 2) if 0 < bar <= bars.count or _any(shown, bar)
    ]
    is_time = shown.kind in (Kind.MOMENT, Kind.CLOCK)
    scale: Spec = {"nice": False, "zero": False, "domain": [data[0]["from"], data[-1]["to"]]}
    if is_time:
        scale["type"] = "utc"
    x = {"type": "temporal" if is_time else "quantitative", "scale": scale}
    y = {"type": "quantitative", "axis": None}
    layers: list[Spec] = [
        {
            "name": "now",
            "mark": {"type": "rect", "cornerRadius": 1, "xOffset": 0.5, "x2Offset": -0.5},
            "encoding": {
                "x": {"field": "from", **x, "axis": _range_axis(shown), "title": None},
                "x2": {"field": "to"},
                "y": {"field": "rows", **y},
                "y2": {"datum": 0},
                "description": {"field": "description"},
            },
        }
    ]
    if shown.before is not None:
        steps = [{"at": row["from"], "before": row["before"]} for row in data]
        steps.append({"at": data[-1]["to"], "before": data[-1]["before"]})
        layers.append(
            {
                "name": "before",
                "data": {"values": steps},
                "mark": {"type": "line", "interpolate": "step-after", "strokeWidth": 1.5, "aria": False},
                "encoding": {"x": {"field": "at", **x}, "y": {"field": "before", **y}},
            }
        )
    return {"width": 290, "height": 112, "data": {"values": data}, "layer": layers}


def _range_axis(shown: Distribution) -> Spec:
    axis: Spec = {"tickCount": 4, "title": None, "labelFlush": True, "labelOverlap": True}
    bars = shown.bars
    largest = max(abs(bars.low), abs(bars.low + bars.step * bars.count))
    match shown.kind:
        case Kind.MOMENT:
            pass  # Vega-Lite chooses the format by the range
        case Kind.CLOCK:
            axis["format"] = "%H:%M"
        case Kind.INTEGER if largest < 1e5:
            axis["format"] = "d"
        case Kind.INTEGER | Kind.NUMBER | Kind.TEXT | Kind.BOOLEAN | Kind.BYTES | Kind.OTHER:
            axis["format"] = ",~r" if 1e-3 < largest < 1e6 or not largest else "~s"
        case _:
            assert_never(shown.kind)
    return axis


def _range_row(shown: Distribution, bar: int) -> Spec:
    bars = shown.bars
    start, end = bars.low + (bar - 1) * bars.step, bars.low + bar * bars.step
    low, high = (edge_text(edge, shown.kind, bars.step) for edge in (start, end))
    label = f"{low} to {high}"
    if bar in (0, bars.count + 1):
        label = f"below {high}" if bar == 0 else f"{low} and more"
    elif shown.kind == Kind.INTEGER and bars.step == 1:
        label = low
    before = shown.before[bar] if shown.before else None
    unit = 1000 if shown.kind in (Kind.MOMENT, Kind.CLOCK) else 1
    # the bar of a single whole number is centred on it
    shift = 0.5 if shown.kind == Kind.INTEGER and bars.step == 1 else 0.0
    return {
        "from": (start - shift) * unit,
        "to": (end - shift) * unit,
        "rows": shown.now[bar],
        "before": shown.scale * (before or 0),
        "description": f"{label}: {_rows_text(shown.now[bar], before)}",
    }


def _any(shown: Distribution, bar: int) -> bool:
    return bool(shown.now[bar] or (shown.before and shown.before[bar]))


def history_chart(points: Sequence[tuple[datetime, float, str]]) -> str:
    """Return a chart of a number over the versions' times; the last point is this version's."""
    data = [
        {"at": moment.isoformat(), "value": value, "description": f"{moment:%Y-%m-%d %H:%M}Z: {text}"}
        for moment, value, text in points
    ]
    x = {
        "field": "at",
        "type": "temporal",
        "scale": {"type": "utc"},
        "axis": {"title": None, "tickCount": 4, "labelFlush": True, "labelOverlap": True},
    }
    y = {
        "field": "value",
        "type": "quantitative",
        "axis": None,
        "scale": {"domain": [0, 1.15 * max(1e-9, *(value for _, value, _ in points), 1e-9)]},
    }
    layers: list[Spec] = [
        {
            "name": "area",
            "mark": {"type": "area", "line": False, "aria": False},
            "encoding": {"x": x, "y": y},
        },
        {
            "name": "line",
            "mark": {"type": "line", "strokeWidth": 2, "aria": False},
            "encoding": {"x": x, "y": y},
        },
        {
            "name": "dots",
            "mark": {"type": "point", "filled": True, "size": 36, "opacity": 1},
            "encoding": {"x": x, "y": y, "description": {"field": "description"}},
        },
    ]
    return draw({"width": 320, "height": 90, "data": {"values": data}, "layer": layers})


def map_chart(places: Places) -> str:
    """Return the map: a dot for each cell, coloured by its mean, or by its rows if there is no mean."""
    width = 760.0 if places.height < 1 else 560 / places.height
    numbers = [cell.mean if places.colouring else cell.rows for cell in places.cells]
    edges = _steps([number for number in numbers if number is not None])
    data = [
        {
            "x": cell.longitude,
            "y": cell.latitude,
            "shade": number,
            "description": f"{cell.latitude:.3f}°, {cell.longitude:.3f}°: {_rows_text(cell.rows, None)}",
        }
        for cell, number in zip(places.cells, numbers, strict=True)
        if number is not None
    ]
    scale: Spec = {"type": "threshold", "domain": edges, "range": list(_SHADES[-len(edges) - 1 :])}
    legend = {
        "orient": "right",
        "title": None,
        "labelFontSize": 11,
        "symbolType": "circle",
        "format": ",.4~r",
    }
    ends: Spec = {"nice": False, "zero": False, "padding": 10}
    return draw(
        {
            "name": "map",
            "width": width,
            "height": width * places.height,
            "data": {"values": data},
            "mark": {"type": "circle", "size": 30, "opacity": 0.95},
            "encoding": {
                "x": {"field": "x", "type": "quantitative", "scale": ends, "axis": None},
                "y": {"field": "y", "type": "quantitative", "scale": ends, "axis": None},
                "color": {"field": "shade", "type": "quantitative", "scale": scale, "legend": legend},
                "description": {"field": "description"},
            },
        }
    )


def _steps(numbers: list[float]) -> list[float]:
    """Return round edges that divide the numbers into one step per shade, of about equally many cells."""
    ordered = sorted(numbers)
    found = [ordered[len(ordered) * i // len(_SHADES)] for i in range(1, len(_SHADES))]
    return sorted({float(f"{edge:.2g}") for edge in found})


def _rows_text(now: int, before: int | None) -> str:
    text = f"{number_text(now)} row{'' if now == 1 else 's'}"
    return text if before is None else f"{text} (before: {number_text(before)})"


def _cut(label: str) -> str:
    plain = " ".join(label.split())
    return plain if len(plain) <= _LABEL_CHARACTERS else plain[: _LABEL_CHARACTERS - 1] + "…"
