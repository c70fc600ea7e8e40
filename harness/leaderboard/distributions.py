"""Student's t and the normal distribution without scipy, whose import takes a second.

The incomplete beta function is the continued fraction of Lentz's method (Press et al., Numerical
Recipes, 3rd edition, section 6.4); scipy is the oracle in the tests.
"""

from __future__ import annotations

import math
from statistics import NormalDist

_NORMAL = NormalDist()
_TINY = 1e-300


def normal_quantile(probability: float) -> float:
    """Return the value below which a standard normal falls with this probability."""
    return _NORMAL.inv_cdf(probability)


def _beta_fraction(a: float, b: float, x: float) -> float:
    """Return the continued fraction of the incomplete beta function."""
    c, d = 1.0, 1.0 - (a + b) * x / (a + 1.0)
    d = 1.0 / (d if abs(d) > _TINY else _TINY)
    result = d
    for m in range(1, 10_000):
        for numerator in (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            d = 1.0 + numerator * d
            d = 1.0 / (d if abs(d) > _TINY else _TINY)
            c = 1.0 + numerator / c
            c = c if abs(c) > _TINY else _TINY
            step = c * d
            result *= step
        if abs(step - 1.0) < 1e-15:
            break
    return result


def incomplete_beta(a: float, b: float, x: float) -> float:
    """Return the regularised incomplete beta function I_x(a, b) for 0 <= x <= 1."""
    if x <= 0.0 or x >= 1.0:
        return min(max(x, 0.0), 1.0)
    front = math.exp(
        math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    )
    if x < (a + 1.0) / (a + b + 2.0):
        return front * _beta_fraction(a, b, x) / a
    return 1.0 - front * _beta_fraction(b, a, 1.0 - x) / b


def t_two_sided(t: float, df: float) -> float:
    """Return the probability that Student's t with `df` degrees of freedom is beyond ±t."""
    if math.isinf(df):
        return math.erfc(abs(t) / math.sqrt(2.0))
    return incomplete_beta(df / 2.0, 0.5, df / (df + t * t))


def t_quantile(probability: float, df: float) -> float:
    """Return the value below which Student's t falls with this probability (0 < p < 1)."""
    if math.isinf(df) or df > 1e7:
        return normal_quantile(probability)
    if probability == 0.5:
        return 0.0
    tail = 2.0 * min(probability, 1.0 - probability)
    low, high = 0.0, 1.0
    while t_two_sided(high, df) > tail:
        low, high = high, high * 2.0
    scale = math.exp(math.lgamma((df + 1) / 2) - math.lgamma(df / 2)) / math.sqrt(df * math.pi)
    t = (low + high) / 2.0
    for _ in range(200):  # Newton's method, kept inside the bracket
        excess = t_two_sided(t, df) - tail
        low, high = (t, high) if excess > 0 else (low, t)
        slope = 2.0 * scale * (1.0 + t * t / df) ** (-(df + 1) / 2)
        step = excess / slope if slope > 0.0 else math.inf
        following = t + step if low < t + step < high else (low + high) / 2.0
        if abs(following - t) <= 1e-14 * t:
            break
        t = following
    return math.copysign(t, probability - 0.5)
