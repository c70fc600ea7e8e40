"""Comparisons of rows in closed form: what moves a mean, its standard error, interval and test.

A row is a table of statistics, one for each training seed and group of questions. Three things move
its mean: which questions were chosen, which seeds, and what differs between seeds question by
question (an answer that flips). With n questions and S seeds the variance of a difference is

    V = var_q / n  +  sum over sides of max(0, s2_seed - MS_residual / n) / S

where var_q is the variance over questions of the difference of means over seeds (the answers' share
is in it already), s2_seed the variance of a side's seed means, and MS_residual / n what answers
alone would make of that.

Few seeds make s2_seed itself uncertain, and three may happen to agree. Where one side has seeds to
vary (a gain over the start model, or seeds that are pairs), the squared half-width of the interval
is the sum of the two terms' squared half-widths, each with its own quantile of Student's t
(Banerjee 1960). Where both sides have, that would count the doubt twice; there the degrees of
freedom are Satterthwaite's (1946), over the questions and all that differs between seeds, which is
never taken to be less than the answers' share. They are `LOST` fewer than if it were known how the
two sides' variances compare. `benchmarks/claims.py` measures what this gives. Nothing is drawn at
random.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, NamedTuple

import numpy as np
from scipy.special import stdtr

from harness.errors import UsageError
from harness.leaderboard.stats import mcnemar, paired_interval, t_beyond

TRAINER_SEEDS = 3
"""Fewer seeds than this support a claim on checkpoints only, not on trainers."""
LOST = 1.5
"""Degrees of freedom that two sides lose since their variances' ratio is estimated: Satterthwaite's
are too many for three or four seeds at the small levels of Holm's correction."""
Claim = Literal["trainers", "checkpoints"]


@dataclass(frozen=True)
class Questions:
    """The questions of one task, by the groups that are chosen together."""

    group: np.ndarray  # of each question, 0 to groups - 1, shape (n,)
    sizes: np.ndarray  # questions in each group, shape (groups,)

    @classmethod
    def of(cls, n: int, groups: Sequence[int] = ()) -> Questions:
        """Return n questions; `groups` names the group of each, if they have any."""
        if n < 1:
            raise UsageError("a comparison needs at least one question")
        _, group = np.unique(groups or np.arange(n), return_inverse=True)
        return cls(group, np.bincount(group))

    def sums(self, values: np.ndarray) -> np.ndarray:
        """Return the sums over each group of values of shape (seeds, n): (seeds, groups)."""
        groups = self.sizes.size
        return np.stack([np.bincount(self.group, weights=row, minlength=groups) for row in values])


@dataclass(frozen=True)
class Sample:
    """A statistic of one row under each seed, and what each group of questions adds to it.

    An accuracy, its mean over tasks, or a part of a gain: all are compared alike.
    """

    values: np.ndarray  # shape (seeds,)
    influence: tuple[np.ndarray, ...]  # of each task: deviations that sum to 0, (seeds, groups)

    @property
    def mean(self) -> float:
        return float(self.values.mean())

    @property
    def seeds(self) -> int:
        return self.values.size

    @cached_property
    def seed_variance(self) -> float:
        """Of the statistic between seeds, flips of answers included."""
        return float(self.values.var(ddof=1)) if self.seeds > 1 else 0.0

    @cached_property
    def answer_variance(self) -> float:
        """Of a seed's statistic, as far as flips of answers alone explain it: MS_residual / n."""
        if self.seeds == 1:
            return 0.0
        left = (_corrected(part - part.mean(axis=0)) for part in self.influence)
        return float(sum((each**2).sum() for each in left)) / (self.seeds - 1)

    @property
    def question_variance(self) -> float:
        """Of the mean over seeds, by the choice of questions; its answers' share is in it."""
        return sum(_variances(self))

    def minus(self, other: Sample) -> Sample:
        """Return the difference seed by seed, for rows whose seeds are pairs."""
        parts = zip(self.influence, other.influence, strict=True)
        return Sample(self.values - other.values, tuple(mine - theirs for mine, theirs in parts))

    @cached_property
    def averaged(self) -> Sample:
        """Return the mean over seeds as if it were one seed's."""
        parts = tuple(part.mean(axis=0, keepdims=True) for part in self.influence)
        return Sample(self.values.mean(keepdims=True), parts)


def _corrected(influence: np.ndarray) -> np.ndarray:
    """Return deviations scaled so that the sum of their squares is an unbiased variance."""
    groups = influence.shape[1]
    return influence * math.sqrt(groups / max(1, groups - 1))


def _variances(sample: Sample) -> list[float]:
    """Return the variance of the mean over seeds by the choice of each task's questions."""
    return [float((_corrected(part.mean(axis=0)[None]) ** 2).sum()) for part in sample.influence]


def sample(correct: np.ndarray, questions: Questions) -> Sample:
    """Return the accuracy of one row on one task.

    Args:
        correct: 0 to 1, shape (seeds, n), or (seeds, n, k) with k answers to each question, which
            belong together as their question's.
        questions: The task's.
    """
    correct = np.atleast_2d(np.asarray(correct, dtype=float))
    seeds, n = correct.shape[:2]
    if n != questions.group.size:
        raise UsageError(f"{n} answers do not fit {questions.group.size} questions")
    values = correct.reshape(seeds, n, -1).mean(axis=2)
    mean = values.mean(axis=1)
    return Sample(mean, (questions.sums(values - mean[:, None]) / n,))


def mean_of_tasks(samples: Sequence[Sample]) -> Sample:
    """Return the mean of one row's statistics over several tasks, each weighing the same."""
    if not samples:
        raise UsageError("a mean over tasks needs at least one task")
    parts = tuple(part / len(samples) for one in samples for part in one.influence)
    return Sample(np.mean([one.values for one in samples], axis=0), parts)


def half_apart(first: Sample, second: Sample) -> Sample:
    """Return half of what one set of questions is above another: a mean of two tasks, one negative.

    So each set keeps its own degrees of freedom; the seeds are paired.
    """
    signed = Sample(-second.values, tuple(-part for part in second.influence))
    return mean_of_tasks([first, signed])


class Components(NamedTuple):
    """What moves the accuracy of a single seed, as standard deviations; shares of 1."""

    questions: float  # by the choice of questions
    seeds: float | None  # by the seed itself, flips taken out; None for one seed
    answers: float | None  # by answers that flip between seeds, question by question


def components(one: Sample) -> Components:
    """Return the components of a row's accuracy: their squares sum to a seed's variance."""
    question, answer = one.question_variance, one.answer_variance
    if one.seeds == 1:
        return Components(math.sqrt(question), None, None)
    return Components(
        math.sqrt(max(0.0, question - answer / one.seeds)),
        math.sqrt(max(0.0, one.seed_variance - answer)),
        math.sqrt(answer),
    )


@dataclass(frozen=True)
class Uncertainty:
    """How uncertain a difference is: the variance of questions, and of each side's seeds."""

    question: float  # of the choice of questions, the answers' share included
    question_df: float
    sides: tuple[tuple[float, float, int], ...] = ()  # of each: excess over flips, flips, seeds

    @property
    def variance(self) -> float:
        return self.question + sum(excess for excess, _, _ in self.sides)

    @property
    def standard_error(self) -> float:
        return math.sqrt(self.variance)

    @property
    def df(self) -> float:
        """Satterthwaite's degrees of freedom, 1 or more; infinity where the variance is known."""
        flips = sum(flips for _, flips, _ in self.sides)
        squares = max(0.0, self.question - flips) ** 2 / self.question_df
        if self.sides:
            parts = [(excess + flips, seeds - 1) for excess, flips, seeds in self.sides]
            own = sum(part**2 / free for part, free in parts)
            free = sum(free for _, free in parts) - LOST
            squares += max(own, sum(part for part, _ in parts) ** 2 / free)
        return max(1.0, self.variance**2 / squares) if squares else math.inf

    def half_width(self, alpha: float) -> float:
        """Return half the width of the interval that misses with probability `alpha`."""
        if len(self.sides) != 1:
            return t_beyond(alpha / 2, self.df) * self.standard_error
        excess, _, seeds = self.sides[0]
        squared = t_beyond(alpha / 2, self.question_df) ** 2 * self.question
        return math.sqrt(squared + t_beyond(alpha / 2, seeds - 1) ** 2 * excess)

    def p_value(self, distance: float) -> float:
        """Return the two-sided p-value of a distance: the `alpha` whose half-width it is."""
        distance = abs(distance)
        if len(self.sides) != 1:
            return 2 * float(stdtr(min(self.df, 1e12), -distance / self.standard_error))
        low, high = math.log(1e-300), 0.0
        for _ in range(50):  # halving: the half-width falls as alpha rises
            middle = (low + high) / 2
            wide = self.half_width(math.exp(middle)) > distance
            low, high = (middle, high) if wide else (low, middle)
        return math.exp(high)


class PairedDifference(NamedTuple):
    """A difference of two rows on the same questions, and how certain it is."""

    difference: float
    low: float
    high: float
    p: float
    uncertainty: Uncertainty
    test: str
    claim: Claim

    def p_below(self, margin: float) -> float:
        """Return the p-value of 'the difference is `margin` or more', against 'it is less'."""
        p = self.uncertainty.p_value(margin - self.difference) / 2
        return p if self.difference < margin else 1 - p

    def p_within(self, margin: float) -> float:
        """Return the p-value that a difference within +-`margin` is shown by (two one-sided)."""
        other = self._replace(difference=-self.difference)
        return max(self.p_below(margin), other.p_below(margin))


def difference_of(
    total: Sample, sides: Sequence[Sample], claim: Claim, *, paired: bool = False
) -> PairedDifference:
    """Return a difference with its interval and test.

    Args:
        total: The difference, averaged over seeds.
        sides: What has training seeds to vary, where the claim is on trainers.
        claim: What is claimed to differ.
        paired: Whether the seeds of the two rows are pairs; the side is then their difference.
    """
    variances = _variances(total)
    groups = [part.shape[1] for part in total.influence]
    # Where the two agree on every question, the error is that of one question fixed and one broken.
    floor = sum(2.0 / (count + 2) ** 2 for count in groups) / len(groups) ** 2
    question = max(sum(variances), floor)
    squares = sum(v**2 / max(1, g - 1) for v, g in zip(variances, groups, strict=True))
    df = sum(variances) ** 2 / squares if squares else float(max(1, min(groups) - 1))
    parts = []
    for side in sides:
        flips = side.answer_variance
        excess = max(0.0, side.seed_variance - flips)
        parts.append((excess / side.seeds, flips / side.seeds, side.seeds))
    found = Uncertainty(question, df, tuple(parts))
    half, difference = found.half_width(0.05), total.mean
    over = ("questions and paired seeds" if paired else "questions and seeds") if parts else ""
    return PairedDifference(
        difference,
        max(-1.0, difference - half),
        min(1.0, difference + half),
        found.p_value(difference),
        found,
        f"t over {over or 'questions'}",
        claim,
    )


def compare(
    first: Sample,
    second: Sample,
    *,
    first_trained: bool = True,
    second_trained: bool = True,
    paired: bool = False,
    claim: Claim = "trainers",
) -> PairedDifference:
    """Compare two rows on the same questions: second minus first.

    With three or more training seeds on each side (a model that was not trained here has none to
    vary) the claim is on trainers, over questions and seeds. With fewer it is on these checkpoints,
    over questions only.

    Args:
        first: One row.
        second: The other.
        first_trained: Whether the first has training seeds to vary.
        second_trained: The same of the second.
        paired: Whether seed by seed the two have something in common, such as a chain's first
            stages: their differences are then compared, seed by seed.
        claim: `checkpoints` where no claim on trainers is wanted, whatever the number of seeds.
    """
    total = second.averaged.minus(first.averaged)
    trained = [(first, first_trained), (second, second_trained)]
    if any(one and side.seeds < TRAINER_SEEDS for side, one in trained):
        claim = "checkpoints"
    if claim == "checkpoints":
        return difference_of(total, (), claim)
    if paired:
        return difference_of(total, [second.minus(first)], claim, paired=True)
    return difference_of(total, [side for side, one in trained if one], claim)


def compare_checkpoints(first: np.ndarray, second: np.ndarray) -> PairedDifference:
    """Compare two checkpoints, 0 or 1 per independent question each, by McNemar's exact test."""
    first, second = np.asarray(first).astype(bool), np.asarray(second).astype(bool)
    if first.shape != second.shape or first.ndim != 1 or first.size == 0:
        raise UsageError("two checkpoints are compared on the same questions, at least one")
    n = first.size
    fixed, broken = int((second & ~first).sum()), int((first & ~second).sum())
    variance = max(fixed + broken - (fixed - broken) ** 2 / n, 2.0) / n**2
    return PairedDifference(
        (fixed - broken) / n,
        *paired_interval(fixed, broken, n),
        p=mcnemar(fixed, broken),
        uncertainty=Uncertainty(variance, math.inf),
        test="exact McNemar",
        claim="checkpoints",
    )
