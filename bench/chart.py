"""`python -m bench.chart`: draws docs/bench.svg from bench/results.json."""

import json
from collections.abc import Callable
from typing import Any
from xml.sax.saxutils import escape

from bench.__main__ import RESULTS

CHART = RESULTS.parents[1] / "docs" / "bench.svg"

_WAYS = {
    "limit": ("pyarrow alone, rows in memory", "#b8c4ce"),
    "import": ("import", "#1f6feb"),
    "pandas": ("fetch_pandas_all, to_parquet", "#d9822b"),
}
_BAR, _GAP, _LEFT, _WIDTH, _COLUMN = 16, 14, 150, 240, 330


def draw(results: list[dict[str, Any]]) -> str:
    """Return the chart: for each table a bar for each way, of its rows per second and of its memory peak."""
    results = [r for r in results if r["way"] in _WAYS]
    tables = list(dict.fromkeys((r["table"], r["columns"], r["rows"]) for r in results))
    quantities: tuple[tuple[str, Callable[[dict[str, Any]], float]], ...] = (
        (
            "million rows per second (one scale per width)",
            lambda r: r["rows"] / r["seconds"] / 1e6,
        ),
        ("memory peak, MB", lambda r: float(r["peak_mb"])),
    )
    lines: list[str] = []
    top = 64
    for table, columns, rows in tables:
        found = [r for r in results if (r["table"], r["rows"]) == (table, rows)]
        label = f"{rows // 10**6} million, {columns} columns"
        lines.append(_text(0, top + _BAR, label))
        for number, (_, value) in enumerate(quantities):
            same = [r for r in results if number == 1 or r["table"] == table]
            most = max(value(r) for r in same)
            for index, result in enumerate(found):
                x, y = _LEFT + number * _COLUMN, top + index * _BAR
                width = value(result) / most * _WIDTH
                color = _WAYS[result["way"]][1]
                lines.append(
                    f'<rect x="{x}" y="{y}" width="{width:.0f}" height="{_BAR - 3}" fill="{color}"/>'
                )
                shown = f"{value(result):,.2f}" if number == 0 else f"{value(result):,.0f}"
                lines.append(_text(round(x + width + 4), y + _BAR - 5, shown))
        top += len(found) * _BAR + _GAP
    head = [_text(_LEFT + n * _COLUMN, 50, name, weight=600) for n, (name, _) in enumerate(quantities)]
    legend = [
        f'<rect x="{_LEFT + n * 230}" y="10" width="12" height="12" fill="{color}"/>'
        + _text(_LEFT + n * 230 + 18, 21, name)
        for n, (name, color) in enumerate(_WAYS.values())
    ]
    width = _LEFT + 2 * _COLUMN
    body = "\n".join([*legend, *head, *lines])
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {top}" font-family="sans-serif" '
        f'font-size="12">\n<rect width="100%" height="100%" fill="#ffffff"/>\n{body}\n</svg>\n'
    )


def _text(x: int, y: int, text: str, weight: int = 400) -> str:
    return f'<text x="{x}" y="{y}" font-weight="{weight}" fill="#24292f">{escape(text)}</text>'


if __name__ == "__main__":
    CHART.write_text(draw(json.loads(RESULTS.read_text())["results"]))
