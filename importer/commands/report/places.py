"""The map of a version with coordinates: the number of rows and a mean for each cell of a grid."""

import math
from dataclasses import dataclass
from typing import NamedTuple

from importer.commands.report.rows import Column, Kind, VersionRows
from importer.commands.report.statistics import query

#: Cells along the longer side, so that memory does not grow with the rows.
_CELLS = 110
_LONGITUDES = ("LONGITUDE", "LON", "LNG")
_LATITUDES = ("LATITUDE", "LAT")

#: The cells are coloured by the first numeric column whose name contains one of these.
_COLOURING = ("PRICE", "AMOUNT", "VALUE", "REVENUE", "COST")


class Cell(NamedTuple):
    """The centre of a cell, its number of rows, and the mean of the colouring column."""

    longitude: float
    latitude: float
    rows: int
    mean: float | None


@dataclass(frozen=True)
class Places:
    """The cells with rows; `height` is the map's for a width of 1; `metres` is the side of a cell."""

    cells: list[Cell]
    colouring: str | None
    height: float
    metres: float
    outside: int


class _Frame(NamedTuple):
    west: float
    south: float
    east: float
    north: float

    @property
    def squeeze(self) -> float:
        """The length of a degree of longitude, in degrees of latitude, in the middle of the frame."""
        return math.cos(math.radians((self.south + self.north) / 2))


def find_places(rows: VersionRows, columns: list[Column]) -> Places | None:
    """Return the map of a version, or None if it has no columns of coordinates or no valid ones."""
    longitude, latitude = _named(columns, _LONGITUDES), _named(columns, _LATITUDES)
    if longitude is None or latitude is None:
        return None
    value = next(
        (c for c in columns if c.kind in (Kind.INTEGER, Kind.NUMBER) and _is_colouring(c.name)), None
    )
    read = [longitude, latitude, *([value] if value else [])]
    bounds = ", ".join(
        f"min({c}), approx_quantile({c}, 0.01), approx_quantile({c}, 0.99), max({c})" for c in ("c0", "c1")
    )
    valid = "WHERE abs(c0) <= 180 AND abs(c1) <= 90"
    [(total, *found)] = query(rows, read, f"count(*), {bounds}", rest=valid)
    if not total:
        return None
    (west, east), (south, north) = _side(*found[:4]), _side(*found[4:])
    return _grid(rows, read, _Frame(west, south, east, north), total)


def _grid(rows: VersionRows, read: list[Column], frame: _Frame, total: int) -> Places:
    longer = max((frame.east - frame.west) * frame.squeeze, frame.north - frame.south)
    side = longer / _CELLS or 0.001
    value = "avg(c2) FILTER (isfinite(c2))" if len(read) == 3 else "NULL"
    grouped = query(
        rows,
        read,
        f"floor((c0 - $west) / $width)::INTEGER, floor((c1 - $south) / $side)::INTEGER, count(*), {value}",
        {"side": side, "width": side / frame.squeeze, **frame._asdict()},
        rest="WHERE c0 BETWEEN $west AND $east AND c1 BETWEEN $south AND $north GROUP BY 1, 2 ORDER BY 1, 2",
    )
    cells = [
        Cell(frame.west + (x + 0.5) * side / frame.squeeze, frame.south + (y + 0.5) * side, n, mean)
        for x, y, n, mean in grouped
    ]
    return Places(
        cells=cells,
        colouring=read[2].name if len(read) == 3 else None,
        height=(frame.north - frame.south + side) / ((frame.east - frame.west) * frame.squeeze + side),
        metres=side * 111_320,  # a degree of latitude
        outside=total - sum(cell.rows for cell in cells),
    )


def _named(columns: list[Column], names: tuple[str, ...]) -> Column | None:
    numbers = [c for c in columns if c.kind in (Kind.INTEGER, Kind.NUMBER)]
    return next((c for name in names for c in numbers if c.name.upper() == name), None)


def _is_colouring(name: str) -> bool:
    return any(word in name.upper() for word in _COLOURING)


def _side(low: float, one: float, most: float, high: float) -> tuple[float, float]:
    """Return two edges of the frame, without outliers that would shrink all other places to a dot."""
    return (one, most) if 0 < 3 * (most - one) < high - low else (low, high)
