"""Measures how much a column's distribution differs from that of the previous version.

The population stability index sums (a - e) ln(a / e) over bars, a and e being the shares of this and of the
previous version; 0.1 and 0.25 are its customary thresholds (N. Siddiqi, Credit Risk Scorecards, 2006). Of two
samples of the same population it is about (1/n + 1/m) times a chi-square variable (B. Yurdakul and
J. Naranjo, Statistical properties of the population stability index, Journal of Risk Model Validation, 2020),
so small tables reach those thresholds by chance: an index that chance explains is not reported as drift.
"""

import math
from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple

SOME = 0.1
MUCH = 0.25

#: The share that replaces 0 for an empty bar, since 0 has no logarithm.
_LEAST_SHARE = 1e-4


class Level(StrEnum):
    """The meaning of an index."""

    STABLE = "stable"
    SOME = "some drift"
    MUCH = "drift"


class Drift(NamedTuple):
    """A column's index, the index that chance alone may produce, and the level."""

    psi: float
    chance: float
    level: Level


def measure_drift(before: Sequence[int], now: Sequence[int]) -> Drift | None:
    """Return the drift between the counts of the same bars; None if a version has no rows."""
    n, m = sum(before), sum(now)
    if not n or not m:
        return None
    pairs = [(b / n, a / m) for b, a in zip(before, now, strict=True) if a or b]
    shares = [(max(e, _LEAST_SHARE), max(a, _LEAST_SHARE)) for e, a in pairs]
    index = sum((a - e) * math.log(a / e) for e, a in shares)
    freedom = len(pairs) - 1
    chance = (1 / n + 1 / m) * (freedom + 3 * math.sqrt(2 * freedom))
    if index < SOME or index <= chance:
        return Drift(index, chance, Level.STABLE)
    return Drift(index, chance, Level.MUCH if index >= MUCH else Level.SOME)
