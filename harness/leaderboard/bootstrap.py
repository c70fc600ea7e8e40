"""The two-level bootstrap over questions and training seeds, and the comparisons made with it.

Two trainers are compared by resampling, again and again, the questions (the same for both) and the
training seeds (each side its own). From r resamples comes the standard error of the difference.
Three seeds are few, so two corrections keep the error rate: a seed's deviation from its trainer's
mean is scaled by sqrt(S / (S - 1)), because a bootstrap over S seeds sees only (S - 1) / S of their
variance; and the quantile is Student's t with Satterthwaite's degrees of freedom over the three
components (questions, seeds of either side), because their variance itself is known from S - 1
deviations only. `benchmarks/claims.py` measures what this gives.

The random numbers are raw draws of Philox, whose stream numpy keeps across versions and machines,
and the sums are whole numbers, so the same records give the same leaderboard everywhere.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, NamedTuple

import numpy as np
from scipy.special import stdtr

from harness.errors import UsageError
from harness.leaderboard.stats import mcnemar, paired_interval, t_quantile

REPLICATES = 4000
BLOCK = 500
TRAINER_SEEDS = 3
"""Fewer seeds than this support a claim on checkpoints only, not on trainers."""


def _generator(key: str) -> np.random.Philox:
    digest = hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()
    return np.random.Philox(key=int.from_bytes(digest[:16], "little"))


def _below(source: np.random.Philox, shape: tuple[int, int], bound: int) -> np.ndarray:
    """Return the next whole numbers from 0 to `bound` - 1."""
    raw = source.random_raw(shape[0] * shape[1])
    raw >>= np.uint64(11)
    return ((raw * 2.0**-53) * bound).astype(np.int64).reshape(shape)


@lru_cache(maxsize=64)
def _seed_draws(key: str, seeds: int) -> np.ndarray:
    """Return the draws of one row's seeds, which are the same on every task."""
    return _below(_generator(f"seeds {key}"), (REPLICATES, seeds), seeds)


@dataclass(frozen=True)
class Questions:
    """The questions of one task, as drawn by the bootstrap: whole groups at a time."""

    group: np.ndarray  # of each question, 0 to groups - 1, shape (n,)
    sizes: np.ndarray  # questions in each group, shape (groups,)
    weights: np.ndarray  # times each group was drawn, shape (replicates, groups), whole numbers
    totals: np.ndarray  # questions drawn in all, shape (replicates,)

    @classmethod
    def of(cls, n: int, groups: Sequence[int] = (), *, key: str = "") -> Questions:
        """Draw the resamples of n questions; `groups` names the group of each, if they have any."""
        if n < 1:
            raise UsageError("a comparison needs at least one question")
        _, group = np.unique(groups or np.arange(n), return_inverse=True)
        sizes = np.bincount(group)
        count = sizes.size
        source = _generator(f"questions {key}")
        weights = np.empty((REPLICATES, count), dtype=np.float32)
        for first in range(0, REPLICATES, BLOCK):  # whole, it would take six times the memory
            block = weights[first : first + BLOCK]
            flat = _below(source, block.shape, count)
            flat += np.arange(len(block))[:, None] * count
            block[:] = np.bincount(flat.ravel(), minlength=block.size).reshape(block.shape)
        totals = (weights @ sizes.astype(np.float32)).astype(float)
        return cls(group, sizes, weights, totals)


@dataclass(frozen=True)
class Sample:
    """One row's accuracy with its resamples; the mean of several tasks is one too."""

    accuracy: float  # mean over seeds (and tasks)
    seed_accuracies: np.ndarray  # shape (seeds,)
    questions: np.ndarray  # resampled, questions drawn and seeds kept, shape (replicates,)
    both: np.ndarray  # resampled, questions and seeds drawn, shape (replicates,)
    groups: int  # independent groups of questions, of the smallest task
    n: int  # questions, of the smallest task

    @property
    def seeds(self) -> int:
        return self.seed_accuracies.size

    @property
    def seed_sd(self) -> float | None:
        return float(self.seed_accuracies.std(ddof=1)) if self.seeds > 1 else None

    @property
    def seed_variance(self) -> float:
        """Of the mean, as far as it comes from the training seeds."""
        return (self.seed_sd or 0.0) ** 2 / self.seeds


def sample(correct: np.ndarray, questions: Questions, *, key: str = "") -> Sample:
    """Resample one row on one task.

    Args:
        correct: 0 or 1, shape (seeds, n), or (seeds, n, k) with k answers to each question, which
            are drawn together with their question.
        questions: The task's, shared by every row.
        key: The row's name: its seeds are drawn alike on every task, and apart from other rows'.
    """
    correct = np.atleast_2d(np.asarray(correct))
    seeds, n = correct.shape[:2]
    answers = correct.reshape(seeds, n, -1)
    if n != questions.group.size:
        raise UsageError(f"{n} answers do not fit {questions.group.size} questions")
    groups = questions.sizes.size
    sums = np.stack(
        [np.bincount(questions.group, weights=row, minlength=groups) for row in answers.sum(axis=2)]
    )
    drawn = (questions.weights @ sums.T.astype(np.float32)).astype(float)
    drawn /= questions.totals[:, None] * answers.shape[2]
    mean = drawn.mean(axis=1)
    both = mean
    if seeds > 1:
        picked = _seed_draws(key, seeds)
        deviation = np.take_along_axis(drawn, picked, axis=1).mean(axis=1) - mean
        both = mean + deviation * math.sqrt(seeds / (seeds - 1))
    accuracies = answers.mean(axis=(1, 2))
    return Sample(float(answers.mean()), accuracies, mean, both, groups, n)


def mean_of_tasks(samples: Sequence[Sample]) -> Sample:
    """Return the mean of one row's accuracies over several tasks, each weighing the same."""
    if len(samples) == 1:
        return samples[0]
    if not samples:
        raise UsageError("a mean over tasks needs at least one task")
    return Sample(
        float(np.mean([one.accuracy for one in samples])),
        np.mean([one.seed_accuracies for one in samples], axis=0),
        np.mean([one.questions for one in samples], axis=0),
        np.mean([one.both for one in samples], axis=0),
        min(one.groups for one in samples),
        min(one.n for one in samples),
    )


class PairedDifference(NamedTuple):
    """A difference of two accuracies on the same questions, and how certain it is."""

    difference: float
    low: float
    high: float
    p: float
    standard_error: float
    df: float
    test: str  # `two-level bootstrap`, `bootstrap over questions` or `exact McNemar`
    claim: Literal["trainers", "checkpoints"]


def compare(
    first: Sample,
    second: Sample,
    *,
    first_trained: bool = True,
    second_trained: bool = True,
    confidence: float = 0.95,
) -> PairedDifference:
    """Compare two rows that were resampled with the same `Questions`: second minus first.

    With three or more training seeds on each side (a model that was not trained here has none to
    vary) the claim is on trainers, over questions and seeds. With fewer it is on these checkpoints,
    over questions only.
    """
    sides = ((first, first_trained), (second, second_trained))
    trainers = all(side.seeds >= TRAINER_SEEDS for side, trained in sides if trained)
    difference = second.accuracy - first.accuracy
    draws = [side.both if trainers and trained else side.questions for side, trained in sides]
    # Where the two agree on every question, the error is that of one question fixed and one broken.
    variance = max(float(np.var(draws[1] - draws[0])), 2.0 / (first.n + 2) ** 2)
    varied = [side for side, trained in sides if trained and trainers]
    parts = [(side.seed_variance, side.seeds - 1) for side in varied]
    parts.append((max(0.0, variance - sum(part for part, _ in parts)), max(1, first.groups - 1)))
    df = variance**2 / max(sum(part**2 / free for part, free in parts), 1e-300)
    df = min(max(df, 1.0), 1e6)
    error = math.sqrt(variance)
    half = t_quantile(0.5 + confidence / 2, df) * error
    return PairedDifference(
        difference,
        max(-1.0, difference - half),
        min(1.0, difference + half),
        2 * float(stdtr(df, -abs(difference) / error)),
        error,
        df,
        "two-level bootstrap" if trainers else "bootstrap over questions",
        "trainers" if trainers else "checkpoints",
    )


def compare_checkpoints(first: np.ndarray, second: np.ndarray) -> PairedDifference:
    """Compare two checkpoints, 0 or 1 per independent question each, by McNemar's exact test."""
    first, second = np.asarray(first).astype(bool), np.asarray(second).astype(bool)
    if first.shape != second.shape or first.ndim != 1 or first.size == 0:
        raise UsageError("two checkpoints are compared on the same questions, at least one")
    n = first.size
    fixed, broken = int((second & ~first).sum()), int((first & ~second).sum())
    return PairedDifference(
        (fixed - broken) / n,
        *paired_interval(fixed, broken, n),
        p=mcnemar(fixed, broken),
        standard_error=math.sqrt(max(fixed + broken - (fixed - broken) ** 2 / n, 2.0)) / n,
        df=math.inf,
        test="exact McNemar",
        claim="checkpoints",
    )
