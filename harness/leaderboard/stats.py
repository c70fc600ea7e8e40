"""Statistics of right and wrong answers: intervals, tests, pass@k.

Accuracies, differences and intervals are shares (0 to 1, or -1 to 1), never per cent. What has no
defined result is refused in one line. Comparisons over questions and seeds are in `comparison`,
Holm's correction in `multiple_testing`; `docs/statistics.md` says which claim rests on which
function.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from harness.errors import UsageError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

_normal_quantile = NormalDist().inv_cdf
_Z = _normal_quantile(0.975)  # every interval is of 95 %
_PSEUDO = 0.25  # of a group, once all right and once all wrong


class Interval(NamedTuple):
    """An interval with its two ends."""

    low: float
    high: float


def _counts(k: int, n: int) -> None:
    if n < 1 or not 0 <= k <= n:
        raise UsageError(f"{k} of {n} is not a share: 0 <= k <= n and n >= 1 is needed")


def t_quantile(probability: float, df: float) -> float:
    """Return the value below which Student's t falls with this probability; `df` may be inf."""
    if math.isinf(df):
        return _normal_quantile(probability)
    from scipy.special import stdtrit  # here, because light commands import this module

    return float(stdtrit(df, probability))


def t_beyond(probability: float, df: float) -> float:
    """Return the value above which Student's t lies with this probability, however small it is."""
    return -t_quantile(probability, df)


def wilson(k: float, n: float) -> Interval:
    """Return Wilson's 95 % score interval of a share (Wilson 1927), for k of n independent answers.

    Examples:
        >>> low, high = wilson(0, 10)
        >>> f"{low:.3f} {high:.3f}"
        '0.000 0.278'
    """
    if not (n > 0 and 0 <= k <= n):
        raise UsageError(f"{k:g} of {n:g} is not a share: 0 <= k <= n and n > 0 is needed")
    p, z2 = k / n, _Z * _Z
    centre = (p + z2 / (2 * n)) / (1 + z2 / n)
    half = _Z / (1 + z2 / n) * math.sqrt(p * (1 - p) / n + z2 / (4 * n * n))
    low = 0.0 if k == 0 else max(0.0, centre - half)
    return Interval(low, 1.0 if k == n else min(1.0, centre + half))


def clustered_wilson(
    values: np.ndarray, clusters: np.ndarray, answers: int | None = None
) -> Interval:
    """Return Wilson's 95 % interval for answers that come in groups.

    The sample size is divided by the design effect of the groups (Korn and Graubard 1998 in the
    form for Wilson's interval of Franco et al. 2019): the effective n is p(1-p) over the variance
    of the mean that is robust to clustering, shrunk by Student's t for few groups. Both are taken
    with a quarter of a group more that is all right and one that is all wrong: near 0 and 1 most
    groups agree by chance, and without them the few that do not are trusted too far. The effective
    n is never more than the number of answers, and never less than it would be if all answers of a
    group agreed, which is also what it is where every answer is alike.

    Args:
        values: 0 to 1 per answer, shape (n,).
        clusters: The group of each answer, integers of shape (n,).
        answers: How many answers the values are made of, where that is more than n.
    """
    values = np.asarray(values, dtype=float)
    _, index, sizes = np.unique(clusters, return_inverse=True, return_counts=True)
    n, groups, total = values.size, sizes.size, float(values.sum())
    _counts(int(total), n)
    if sizes.max() == 1 and answers is None:
        return wilson(total, n)
    if groups == 1:
        raise UsageError("an interval over groups needs at least two groups")
    size = n / groups
    p = (total + _PSEUDO * size) / (n + 2 * _PSEUDO * size)
    squares = float(np.sum(np.bincount(index, weights=values - p) ** 2))
    squares += _PSEUDO * size**2 * ((1 - p) ** 2 + p**2)
    variance = squares / (n * (n + 2 * _PSEUDO * size))
    shrunk = (_Z / t_quantile(0.975, groups - 1)) ** 2
    alike = n**2 / float(np.sum(sizes**2))  # the effective n if each group agreed
    effective = min(float(answers or n), max(alike, shrunk * p * (1 - p) / variance))
    return wilson(total / n * effective, effective)


def accuracy_interval(
    correct: ArrayLike, groups: Sequence[int] | np.ndarray = ()
) -> tuple[float, float, str]:
    """Return the 95 % interval of an accuracy over questions, and the name of its method.

    Wilson's, clustered where a question has several answers (or is answered under several seeds)
    or several questions form a group.

    Args:
        correct: 0 or 1 per answer, shape (n,) for n questions, (n, k) with k answers to each, or
            (seeds, n, k).
        groups: The group of each question, length n; empty where no two share one.
    """
    answers = np.asarray(correct)
    answers = answers[:, None] if answers.ndim == 1 else answers
    group = np.asarray(groups) if len(groups) else np.arange(answers.shape[-2])
    clusters = np.broadcast_to(group[:, None], answers.shape).ravel()
    distinct = np.unique(clusters).size
    if distinct == clusters.size:
        low, high = wilson(int(answers.sum()), answers.size)
        return low, high, "wilson"
    if distinct == 1:
        return 0.0, 1.0, "one group of questions bounds nothing"
    by = "group" if len(groups) else "question"
    low, high = clustered_wilson(answers.ravel(), clusters)
    return low, high, f"wilson, clustered by {by}"


def mcnemar(fixed: int, broken: int) -> float:
    """Return the exact two-sided p-value of McNemar's test (1947).

    `fixed` questions only the second checkpoint answers, `broken` ones only the first.
    """
    if fixed < 0 or broken < 0:
        raise UsageError("counts of questions are never negative")
    n, term, tail = fixed + broken, 1, 1
    for i in range(1, min(fixed, broken) + 1):
        term = term * (n - i + 1) // i
        tail += term
    return min(1.0, 2 * tail / (1 << n))


def paired_interval(fixed: int, broken: int, n: int) -> Interval:
    """Return the 95 % interval of a difference of two accuracies on the same n questions.

    Wald's interval after one question more each way (Bonett and Price 2012), which keeps its
    coverage for few questions and where nothing differs.
    """
    _counts(fixed + broken, n)
    up, down = (fixed + 1) / (n + 2), (broken + 1) / (n + 2)
    half = _Z * math.sqrt((up + down - (up - down) ** 2) / (n + 2))
    return Interval(max(-1.0, up - down - half), min(1.0, up - down + half))


def pass_at_k(n: int, correct: int, k: int) -> float:
    """Return the unbiased pass@k of one question: 1 - C(n-c, k) / C(n, k) (arXiv 2107.03374)."""
    _counts(correct, n)
    if not 1 <= k <= n:
        raise UsageError(f"pass@{k} needs 1 <= k <= n, and there are {n} samples")
    return 1.0 - math.comb(n - correct, k) / math.comb(n, k)


def minimum_detectable(
    n: int, accuracy: float = 0.5, correlation: float = 0.5, comparisons: int = 1
) -> float:
    """Return the smallest true difference of two checkpoints that is found four times in five.

    At a two-sided level of 5 %, which so many comparisons share.

    Args:
        n: Questions.
        accuracy: About where the two accuracies lie.
        correlation: Between the answers of the two checkpoints, question by question.
        comparisons: How many are made at once (the first step of Holm's correction).
    """
    _counts(0, n)
    variance = 2 * accuracy * (1 - accuracy) * (1 - correlation) / n
    level = _normal_quantile(1 - 0.025 / comparisons)
    return (level + _normal_quantile(0.8)) * math.sqrt(variance)
