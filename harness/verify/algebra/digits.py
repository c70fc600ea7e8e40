"""Many digits by mpmath, for where the filter of floats lets pass.

The field refuses (`Undecided`) where its digits would not carry the answer: magnitudes beyond its
range, or something so small beside something else that it would vanish unseen.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from copy import copy
from fractions import Fraction
from typing import Any

from harness.verify.algebra.fields import Undecided, Undefined
from harness.verify.limits import charge

DIGITS_BITS = 220
_WIDEST = 6_000  # binary exponents beyond this are refused
# functions that keep what is tiny beside something else: their values at 0 and near it differ
_SHARP = {"ln", "log", "abs", "floor", "ceil", "sgn", "max", "min", "re", "im"}


class Digits:
    """Complex numbers of many digits; mpmath is imported only when one is made."""

    def __init__(self, bits: int) -> None:
        import mpmath

        self.m = mpmath.MPContext()
        self.m.prec = bits
        self.bits = bits
        self.pi, self.e, self.i = +self.m.pi, +self.m.e, self.m.j
        self.cost = 6 + (bits >> 7) ** 2 // 4
        self.tolerance = self.m.ldexp(1, -(bits * 3 // 5))
        self.guarded = True  # against terms that would vanish beside others
        m = self.m
        self._exact: dict[str, Callable[..., Any]] = {
            "abs": abs,
            "factorial": self._factorial,
            "binomial": lambda n, k: (
                self._factorial(n) / self._factorial(k) / self._factorial(n - k)
            ),
            "floor": lambda x: m.floor(self._snapped(x)),
            "ceil": lambda x: m.ceil(self._snapped(x)),
            "sgn": lambda x: m.sign(self._snapped(x)),
            "max": lambda *a: max(map(self._real, a)),
            "min": lambda *a: min(map(self._real, a)),
        }

    def number(self, value: Fraction) -> Any:
        """Return an exact rational as a value of this field."""
        if max(value.numerator.bit_length(), value.denominator.bit_length()) > _WIDEST:
            raise Undecided
        return self.m.mpf(value.numerator) / value.denominator

    def check(self, value: Any) -> Any:
        """Return the value if it is finite and within range."""
        if not self.m.isfinite(value):
            raise Undefined
        size = self.m.mag(value) if value else 0
        if size > _WIDEST or size < -_WIDEST:
            raise Undecided
        return value

    def add(self, terms: list[Any]) -> Any:
        """Return a sum; undecided where a term would vanish beside another."""
        if not self.guarded:
            return self.m.fsum(terms)
        sizes = [self.m.mag(t) for t in terms if t]
        if sizes and max(sizes) - min(sizes) > self.bits // 3:
            raise Undecided
        total = self.m.fsum(terms)
        # as near as this terms can only come to each other if they cancel
        return self.check(total) if not sizes or self._above(total, max(sizes)) else self.m.mpf(0)

    def _above(self, value: Any, size: int = 0) -> bool:
        """Whether a value is more than the noise of a number of that size."""
        return bool(value) and self.m.mag(value) > size - self.bits * 3 // 5

    def power(self, base: Any, exponent: Any) -> Any:
        """Return a power; zero to a power that is not positive is undefined."""
        if not base:
            if self.m.re(exponent) <= 0:
                raise Undefined
            return self.m.mpf(0)
        if abs(exponent) * (abs(self.m.mag(base)) + 1) > _WIDEST:
            raise Undecided
        self._seen(exponent)  # 2 to a tiny power is 1 and a little that nobody sees
        charge(10 * self.cost)
        return self.check(self.m.power(base, exponent))

    def _seen(self, value: Any) -> None:
        if value and self.m.mag(value) < -self.bits // 6:
            raise Undecided

    def function(self, name: str, args: list[Any]) -> Any:
        """Return a known function of values."""
        if any(a and self.m.mag(a) > 64 for a in args):
            raise Undecided
        m = self.m
        charge((60 if name in ("factorial", "binomial") else 10) * self.cost)
        if name not in _SHARP:
            for a in args:
                self._seen(a)
        widest = {"sinh": 2_000, "cosh": 2_000, "tanh": self.bits // 8}.get(name)
        if widest is not None and abs(args[0]) > widest:
            raise Undecided  # beyond it tanh is 1 and less than the digits show
        if name in self._exact:
            return self._exact[name](*args)
        value = (m.log if name == "ln" else getattr(m, name))(*args)
        return self.check(value) if self._above(value) else m.mpf(0)

    def _snapped(self, x: Any) -> Any:
        """Return a real number, a whole one where it is one but for noise."""
        value = self._real(x)
        near = self.m.nint(value)
        return near if abs(value - near) < self.tolerance else value

    def _real(self, x: Any) -> Any:
        if abs(self.m.im(x)) > self.tolerance:
            raise Undefined
        return self.m.re(x)

    def _factorial(self, x: Any) -> Any:
        value = self._real(x)
        if value < 0 and value == self.m.floor(value):
            raise Undefined
        if abs(value) > 1_000:
            raise Undecided
        return self.check(self.m.factorial(value))

    def close(self, x: Any, y: Any) -> bool:
        """Whether two values agree as far as this field can tell."""
        return bool(abs(x - y) <= self.tolerance * max(abs(x), abs(y)))

    def unguarded(self) -> Digits:
        """Return this field without the guard on small terms, for use under a proven bound."""
        field = copy(self)
        field.guarded = False
        return field

    def real(self, x: Any) -> bool:
        """Whether a value has no imaginary part."""
        return bool(abs(self.m.im(x)) <= self.tolerance * max(1, abs(x)))


_LOCAL = threading.local()


def digits(bits: int = DIGITS_BITS) -> Digits:
    """Return this thread's many-digit field."""
    kept: dict[int, Digits] = _LOCAL.__dict__.setdefault("fields", {})
    if bits not in kept:
        kept[bits] = Digits(bits)
    return kept[bits]


def forget() -> None:
    """Drop this thread's fields, whose precision an interrupted computation may have left wrong."""
    _LOCAL.__dict__.pop("fields", None)
