"""Many digits by mpmath, for where the filter of floats lets pass.

The field refuses (`Undecided`) where its digits would not carry the answer: magnitudes beyond its
range, or something so small beside something else that it would vanish unseen.
"""

from __future__ import annotations

import threading
from fractions import Fraction
from typing import Any

from harness.verify.algebra.fields import FLOATS, Floats, Undecided, Undefined
from harness.verify.limits import charge

DIGITS_BITS = 220
_WIDEST = 6_000  # binary exponents beyond this are refused
# functions that mpmath calls as we do
_SAME_NAME = {
    "sin", "cos", "asin", "acos", "atan", "sinh", "cosh", "tanh", "asinh", "acosh", "atanh", "re",
    "im", "arg", "acot",
}  # fmt: skip
_SHARP = {"ln", "log", "abs", "floor", "ceil", "sgn", "max", "min", "re", "im"}  # at zero as well


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
        try:
            if name in ("ln", "log"):
                if not args[0]:
                    raise Undefined
                value = m.log(args[0])
                return self.check(value) if self._above(value) else m.mpf(0)
            if name == "abs":
                return abs(args[0])
            if name == "factorial":
                return self._factorial(args[0])
            if name == "binomial":
                n, k = args
                return self._factorial(n) / self._factorial(k) / self._factorial(n - k)
            if name in ("floor", "ceil", "sgn"):
                value = self._real(args[0])
                near = m.nint(value)
                if value != near and abs(value - near) < self.tolerance:
                    value = near
                return {"floor": m.floor, "ceil": m.ceil, "sgn": m.sign}[name](value)
            if name in ("max", "min"):
                return (max if name == "max" else min)(self._real(a) for a in args)
            if name in ("sinh", "cosh") and abs(args[0]) > 2_000:
                raise Undecided
            if name == "tanh" and abs(args[0]) > self.bits // 8:
                raise Undecided  # it is 1 and less than the digits show
            if name not in _SAME_NAME:
                raise Undecided
            value = getattr(m, name)(args[0])
            return self.check(value) if self._above(value) else m.mpf(0)
        except (ValueError, ZeroDivisionError, TypeError) as error:
            raise Undefined from error
        except OverflowError as error:
            raise Undecided from error

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

    def real(self, x: Any) -> bool:
        """Whether a value has no imaginary part."""
        return bool(abs(self.m.im(x)) <= self.tolerance * max(1, abs(x)))


class Unguarded:
    """A many-digit field without the guard on small terms, for use under a proven bound."""

    def __init__(self, field: Digits) -> None:
        self._field = field
        self.pi, self.e, self.i = field.pi, field.e, field.i
        self.number, self.power, self.function = field.number, field.power, field.function
        self.real, self.cost = field.real, field.cost

    def add(self, terms: list[Any]) -> Any:
        """Return a sum, however unlike its terms are."""
        return self._field.m.fsum(terms)


class Reals:
    """A field that refuses roots and logarithms of negative numbers, as a textbook does.

    `sqrt(x)*sqrt(y)` and `sqrt(x*y)` agree wherever both are real all the way.
    """

    def __init__(self, field: Floats | Digits) -> None:
        self.field = field
        self.pi, self.e, self.i = field.pi, field.e, field.i
        self.number, self.add, self.cost = field.number, field.add, field.cost
        self.close, self.real = field.close, field.real

    def power(self, base: Any, exponent: Any) -> Any:
        """Return a power; a root of a negative number is undefined."""
        if base.real < 0 and self.field.real(base) and exponent != int(exponent.real):
            raise Undefined
        return self.field.power(base, exponent)

    def function(self, name: str, args: list[Any]) -> Any:
        """Return a known function of values; undefined where it leaves the reals."""
        value = self.field.function(name, args)
        if not self.field.real(value) and all(self.field.real(a) for a in args):
            raise Undefined
        return value


REAL_FLOATS = Reals(FLOATS)
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
