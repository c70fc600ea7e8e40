"""Statistics of right and wrong answers: intervals, tests, pass@k, the two parts of a gain.

Accuracies, differences and intervals are shares (0 to 1, or -1 to 1), never per cent. What has no
defined result is refused in one line. The two-level bootstrap is in `bootstrap`, Holm's correction
in `multiple_testing`; `docs/statistics.md` says which claim rests on which function.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from statistics import NormalDist
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from harness.errors import UsageError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

_normal_quantile = NormalDist().inv_cdf
_Z = _normal_quantile(0.975)  # every interval is of 95 %


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


def clustered_wilson(values: np.ndarray, clusters: np.ndarray) -> Interval:
    """Return Wilson's 95 % interval for answers that come in groups.

    The sample size is divided by the design effect of the groups (Korn and Graubard 1998 in the
    form for Wilson's interval of Franco et al. 2019): the effective n is p(1-p) over the variance
    of the mean that is robust to clustering, shrunk by Student's t for few groups. It is never
    more than n, and never less than it would be if all answers of a group agreed, which is also
    what it is where every answer is alike.

    Args:
        values: 0 or 1 per answer, shape (n,).
        clusters: The group of each answer, integers of shape (n,).
    """
    values = np.asarray(values, dtype=float)
    _, index, sizes = np.unique(clusters, return_inverse=True, return_counts=True)
    n, groups, total = values.size, sizes.size, float(values.sum())
    _counts(int(total), n)
    if sizes.max() == 1:
        return wilson(total, n)
    if groups == 1:
        raise UsageError("an interval over groups needs at least two groups")
    p = total / n
    variance = float(np.sum(np.bincount(index, weights=values - p) ** 2)) / n**2
    shrunk = (_Z / t_quantile(0.975, groups - 1)) ** 2
    alike = n**2 / float(np.sum(sizes**2))  # the effective n if each group agreed
    effective = shrunk * p * (1 - p) / variance if 0 < p < 1 and variance > 0 else alike
    effective = min(float(n), max(alike, effective))
    return wilson(p * effective, effective)


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


class GainParts(NamedTuple):
    """A gain and its two parts, exact: `gain == format + correctness`."""

    gain: Fraction
    format: Fraction
    correctness: Fraction


def split_gain(before: tuple[int, int, int], after: tuple[int, int, int]) -> GainParts:
    """Split a gain in accuracy into a format part and a correctness part.

    Accuracy is r q: the share r of answers that can be read at all (verdict correct or wrong)
    times the share q of those that is right. The gain is the change of r at the mean q, and the
    change of q at the mean r (Shapley's symmetric split, so no order of the two is preferred):

        r1 q1 - r0 q0 = (r1 - r0) (q0 + q1) / 2  +  (q1 - q0) (r0 + r1) / 2

    Where one side has no readable answer its q is unknown and taken to be the other's: the whole
    gain is then format.

    Args:
        before: Right answers, readable answers and all answers of the start model.
        after: The same of the trained checkpoint.
    """
    for right, readable, n in (before, after):
        _counts(right, n)
        _counts(readable, n)
        if right > readable:
            raise UsageError(f"{right} right answers of {readable} readable ones")
    (c0, m0, n0), (c1, m1, n1) = before, after
    if not m0 and not m1:
        return GainParts(Fraction(0), Fraction(0), Fraction(0))
    r0, r1 = Fraction(m0, n0), Fraction(m1, n1)
    q0 = Fraction(c0, m0) if m0 else Fraction(c1, m1)
    q1 = Fraction(c1, m1) if m1 else q0
    return GainParts(r1 * q1 - r0 * q0, (r1 - r0) * (q0 + q1) / 2, (q1 - q0) * (r0 + r1) / 2)


def pass_at_k(n: int, correct: int, k: int) -> float:
    """Return the unbiased pass@k of one question: 1 - C(n-c, k) / C(n, k) (arXiv 2107.03374)."""
    _counts(correct, n)
    if not 1 <= k <= n:
        raise UsageError(f"pass@{k} needs 1 <= k <= n, and there are {n} samples")
    return 1.0 - math.comb(n - correct, k) / math.comb(n, k)


def minimum_detectable(n: int, accuracy: float = 0.5, correlation: float = 0.5) -> float:
    """Return the smallest true difference of two checkpoints that is found four times in five.

    At a two-sided level of 5 %, before any correction for many comparisons.

    Args:
        n: Questions.
        accuracy: About where the two accuracies lie.
        correlation: Between the answers of the two checkpoints, question by question.
    """
    _counts(0, n)
    variance = 2 * accuracy * (1 - accuracy) * (1 - correlation) / n
    return (_Z + _normal_quantile(0.8)) * math.sqrt(variance)
