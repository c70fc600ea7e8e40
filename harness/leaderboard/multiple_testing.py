"""Many comparisons at once: Holm's correction, which keeps the error rate of the whole family."""

from __future__ import annotations

from collections.abc import Sequence

SIGNIFICANCE = 0.05
"""Level of every test on a leaderboard, after the correction."""


def holm(p_values: Sequence[float]) -> list[float]:
    """Return the p-values adjusted for their number (Holm 1979), in the given order."""
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    adjusted, running = [0.0] * len(p_values), 0.0
    for place, i in enumerate(order):
        running = max(running, min(1.0, (len(p_values) - place) * p_values[i]))
        adjusted[i] = running
    return adjusted
