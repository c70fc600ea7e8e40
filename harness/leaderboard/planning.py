"""What a board finds: the smallest difference, or the seeds and questions that a difference needs.

The page and the plan use the same: the verdict that is printed, after Holm, with the board's seeds.
How far apart the seeds happen to lie decides how wide an interval is, so the power is the mean over
that (evenly spaced quantiles of both sides' seed variances), and nothing is drawn at random.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import product
from statistics import NormalDist, median
from typing import TYPE_CHECKING

from scipy.special import chdtri

from harness.leaderboard.comparison import TRAINER_SEEDS, Uncertainty
from harness.leaderboard.data import Noise

if TYPE_CHECKING:
    from harness.leaderboard.cells import Entry
    from harness.leaderboard.comparison import PairedDifference, Sample

ASSUMED = Noise(questions=0.06, seeds=0.01**2, answers=0.1)
"""Before there are records: two trainers of about 40 % that differ on some questions by nature, a
seed that moves accuracy by a point, and answers that flip on two questions in five."""
POWER = 0.8
LEVEL = 0.05
STEPS = 7  # quantiles of a side's seed variance
_cdf, _quantile = NormalDist().cdf, NormalDist().inv_cdf


def _quantiles(seeds: int) -> list[float]:
    """Return evenly spaced quantiles of a seed variance over its expectation."""
    shares = ((step + 0.5) / STEPS for step in range(STEPS))
    return [float(chdtri(seeds - 1, 1 - share)) / (seeds - 1) for share in shares]


def smallest_difference(
    noise: Noise, questions: int, seeds: int, comparisons: float, sides: int = 2
) -> float:
    """Return the smallest true difference of two rows that is found four times in five.

    At 5 % after the first step of Holm's correction, by the verdict that a leaderboard prints.

    Args:
        noise: What moves the difference of two rows.
        questions: Of the ranking score.
        seeds: Of each trained side, three or more.
        comparisons: How many the correction is over; more than that many where a look may only
            use a part of the 5 %.
        sides: Sides that are trained: 2 for a pair of rows, 1 for a gain over the start model.
    """
    if seeds < TRAINER_SEEDS:
        raise ValueError(f"{seeds} seeds support no claim on trainers")
    flips = noise.answers / questions
    apart = noise.questions / questions
    total = noise.seeds + flips
    halves = []
    for factors in product(_quantiles(seeds), repeat=sides):
        excess = (max(0.0, total * factor - flips) for factor in factors)
        parts = tuple((one / seeds, flips / seeds, seeds) for one in excess)
        known = Uncertainty(apart + sides * flips / seeds, max(1, questions - 1), parts)
        halves.append(known.half_width(LEVEL / max(1, comparisons)))
    error = math.sqrt(max(apart + sides * total / seeds, 1e-12))

    def power(difference: float) -> float:
        return sum(_cdf((difference - half) / error) for half in halves) / len(halves)

    low, high = 0.0, max(halves) + 4 * error
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (low, middle) if power(middle) >= POWER else (middle, high)
    return high


def seeds_needed(
    noise: Noise, questions: int, comparisons: int, difference: float, most: int = 50
) -> int | None:
    """Return the fewest seeds that find a difference, or None where `most` do not."""
    for seeds in range(TRAINER_SEEDS, most + 1):
        if smallest_difference(noise, questions, seeds, comparisons) <= difference:
            return seeds
    return None


def questions_needed(
    noise: Noise, seeds: int, comparisons: int, difference: float, most: int = 100_000
) -> int | None:
    """Return about the fewest questions that find a difference, or None where `most` do not.

    With few seeds more questions may find less (docs/statistics.md), so all sizes are looked at.
    """

    def found(questions: int) -> bool:
        return smallest_difference(noise, questions, seeds, comparisons) <= difference

    low, high = 1, 2
    while not found(high):
        if high == most:
            return None
        low, high = high, min(most, high + max(1, high // 4))
    while high - low > max(1, high // 100):
        middle = (low + high) // 2
        low, high = (low, middle) if found(middle) else (middle, high)
    return high


def noise_of(
    rows: Sequence[Entry], comparisons: Iterable[PairedDifference], questions: int
) -> Noise | None:
    """Return what moves the differences of a board's ranked rows, from their comparisons."""
    samples = [row.sample(row.questions.ranking) for row in rows]
    return noise_of_samples(samples, comparisons, questions)


def noise_of_samples(
    rows: Sequence[Sample], comparisons: Iterable[PairedDifference], questions: int
) -> Noise | None:
    """Return what moves the differences of rows: of the row, and the pair, in the middle.

    The middle seed variance of few seeds lies below the true one by a known factor, which is taken
    out. None where too few seeds were trained to know.
    """
    samples = [one for one in rows if one.seeds >= TRAINER_SEEDS]
    pairs = [one.uncertainty for one in comparisons]
    if not samples or not pairs:
        return None
    low = median(float(chdtri(one.seeds - 1, 0.5)) / (one.seeds - 1) for one in samples)
    flips = median(one.answer_variance for one in samples)
    seeds = median(one.seed_variance for one in samples) / low - flips
    apart = median(pair.question - sum(part for _, part, _ in pair.sides) for pair in pairs)
    return Noise(
        questions=max(0.0, apart) * questions, seeds=max(0.0, seeds), answers=flips * questions
    )
