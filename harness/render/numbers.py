"""Numbers as people read them: per cent, points, tokens, time."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness.leaderboard.data import Accuracy, Gain, Row, Share
    from harness.records import Cost

MINUS = "\N{MINUS SIGN}"
NONE = "\N{EN DASH}"
JOINED = "\N{NO-BREAK SPACE}"  # so that a narrow column breaks before an interval, never in it


def percent(share: float) -> str:
    """Return a share in per cent, one decimal, without the sign."""
    return f"{_hundredfold(share):.1f}"


def _hundredfold(share: float) -> float:
    """Return a share in per cent, where what arithmetic adds to a tie does not decide the rounding.

    A mean of 3.75 points is shown as 3.8 in whatever order its questions were added up.
    """
    return round(100 * share, 9)


def points(difference: float) -> str:
    """Return a difference of shares in points, signed."""
    text = f"{_hundredfold(difference):+.1f}"
    return "0.0" if float(text) == 0 else text.replace("-", MINUS)


def accuracy(value: Accuracy | None) -> str:
    """Return an accuracy with its interval: `61.2 [58.0, 64.1]`."""
    if value is None:
        return NONE
    return f"{percent(value.accuracy)} [{percent(value.low)},{JOINED}{percent(value.high)}]"


def deviations(value: Accuracy) -> tuple[str, str, str]:
    """Return what moves a seed's accuracy, in points: questions, the seed itself, its answers."""
    parts = (value.question_sd, value.seed_sd, value.answer_sd)
    questions, seeds, answers = (NONE if one is None else percent(one) for one in parts)
    return questions, seeds, answers


def share(value: Share | None) -> str:
    """Return a share of questions with its interval: `61.2 [58.0, 64.1]`."""
    if value is None:
        return NONE
    return f"{percent(value.share)} [{percent(value.low)},{JOINED}{percent(value.high)}]"


def used(row: Row) -> str:
    """Return how much of its tightest cap a row spent: `97 %`."""
    return NONE if row.budget_used is None else f"{100 * row.budget_used:.0f}{JOINED}%"


def trials(row: Row) -> str:
    """Return how many settings a row's options were chosen from; a dash where there is no space."""
    if row.start or (row.tuning and not row.tuning.trials):
        return NONE
    return str(row.tuning.trials if row.tuning else 0)


def part(difference: float, low: float, high: float) -> str:
    """Return a difference with its interval: `+21.2 [+16.5, +25.8]`."""
    return f"{points(difference)} [{points(low)},{JOINED}{points(high)}]"


def gain(value: Gain | None) -> str:
    """Return a gain with its interval: `+21.2 [+16.5, +25.8]`."""
    if value is None:
        return NONE
    return part(value.difference, value.low, value.high)


def parts(value: Gain | None) -> tuple[str, str]:
    """Return the format and correctness parts of a gain, rounded so that they add up in print."""
    if value is None:
        return NONE, NONE
    shown = round(_hundredfold(value.format), 1)
    rest = round(_hundredfold(value.difference), 1) - shown
    return (
        part(shown / 100, value.format_low, value.format_high),
        part(rest / 100, value.correctness_low, value.correctness_high),
    )


def p_value(p: float | None) -> str:
    if p is None:
        return NONE
    return "<0.001" if p < 0.001 else f"{p:.3f}"


def rank(row: Row) -> str:
    """Return the range of places: `2`, `1-3` with an en dash, or a dash for an unranked row."""
    if row.claimed and not row.start:
        return "claimed"
    if row.rank is None:
        return NONE
    low, high = row.rank
    return str(low) if low == high else f"{low}\N{EN DASH}{high}"


def seeds(row: Row) -> str:
    """Return how many seeds count, of how many where some do not."""
    if row.start:
        return NONE
    planned = len(row.seeds) + len(row.failed_seeds) + len(row.missing_seeds)
    return str(planned) if len(row.seeds) == planned else f"{len(row.seeds)} of {planned}"


def count(number: float) -> str:
    """Return a count with its unit letter: `212 k`, `1.5 M`, `3.2 G`."""
    for size, letter in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= 0.9995 * size:
            return f"{number / size:.3g} {letter}"
    return f"{number:.0f}"


def tick(number: float) -> str:
    """Return where a mark of an axis lies, unrounded: `2.5`, `212.5 k`."""
    for size, letter in ((1e12, " T"), (1e9, " G"), (1e6, " M"), (1e3, " k"), (1, "")):
        if number >= 0.9999999 * size:
            return f"{number / size:.6g}{letter}"
    return f"{number:.6g}".replace("-", MINUS)


def flops(number: float) -> str:
    return f"{number:.1e}".replace("e+", "e") if number else "0"


def computed(cost: Cost) -> str:
    """Return the FLOPs that were really computed, where they are known."""
    return NONE if cost.body_flops is None else flops(cost.computed_flops)


def duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def time_spent(cost: Cost) -> str:
    if cost.gpu_seconds > 0:
        return f"{cost.gpu_seconds / 3600:.3g} GPU-h"
    return duration(cost.seconds)


def energy(joules: float | None) -> str:
    if joules is None:
        return NONE
    return f"{joules:,.0f} J" if joules < 36_000 else f"{joules / 3.6e6:.3g} kWh"


def memory(number: int) -> str:
    return f"{number / 2**30:.1f} GiB"
