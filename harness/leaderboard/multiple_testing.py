"""Many comparisons at once, and many looks: what keeps the error rate of the whole family."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist

SIGNIFICANCE = 0.05
"""Level of every test on a leaderboard, after the correction."""


def holm(p_values: Sequence[float], level: float = SIGNIFICANCE) -> list[float]:
    """Return the p-values adjusted for their number (Holm 1979), in the given order.

    Where the family may only use a part of the 5 % (`level_at`), they are raised so that below 0.05
    is still what counts.
    """
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    adjusted, running = [0.0] * len(p_values), 0.0
    for place, i in enumerate(order):
        running = max(running, min(1.0, (len(p_values) - place) * p_values[i]))
        adjusted[i] = min(1.0, running * SIGNIFICANCE / level)
    return adjusted


def spent(share: float) -> float:
    """Return how much of the 5 % is spent by the look after a share of the seeds.

    The spending function of Lan and DeMets (1983) that is like O'Brien and Fleming's bounds: next
    to nothing early, so that hardly anything is lost at the end.
    """
    normal = NormalDist()
    return 2 * (1 - normal.cdf(normal.inv_cdf(1 - SIGNIFICANCE / 2) / math.sqrt(share)))


def level_at(looks: Sequence[int], seeds: int) -> float:
    """Return the level of all tests at one look: what has been spent since the look before.

    Whatever the looks have in common, the levels of all of them add up to 5 %: no assumption is
    made on how much a further seed adds, which the questions that all looks share would break.

    Args:
        looks: After how many seeds a board is looked at, rising; the last one is all of them.
        seeds: One of these.
    """
    place = list(looks).index(seeds)
    before = spent(looks[place - 1] / looks[-1]) if place else 0.0
    return spent(seeds / looks[-1]) - before
