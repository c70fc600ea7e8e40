"""Complex floats, in which expressions are evaluated as a filter, and what every field shares."""

from __future__ import annotations

import cmath
import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any


class NoValue(Exception):
    """The expression has no value, or none that can be computed."""


class Undefined(NoValue):
    """The expression has no value at this point."""


class Undecided(NoValue):
    """The value cannot be computed within the bounds."""


class Floats:
    """Complex double precision."""

    pi: Any = math.pi
    e: Any = math.e
    i: Any = 1j
    cost = 1  # steps of work that a node takes

    def number(self, value: Fraction) -> complex:
        """Return an exact rational as a value of this field."""
        return float(value)

    def add(self, terms: list[Any]) -> Any:
        """Return a sum; undecided where too few digits are left of the terms."""
        total = sum(terms)
        if abs(total) * 1e10 < max(map(abs, terms)):
            raise Undecided
        return total

    def power(self, base: Any, exponent: Any) -> Any:
        """Return a power; zero to a power that is not positive is undefined."""
        if base == 0:
            if exponent.real <= 0:
                raise Undefined
            return 0.0
        return base**exponent

    def function(self, name: str, args: list[Any]) -> Any:
        """Return a known function of values."""
        return FLOAT_FUNCTIONS[name](*args)

    def close(self, x: Any, y: Any) -> bool:
        """Whether two values agree as far as this field can tell."""
        scale = max(abs(x), abs(y))
        return bool(abs(x - y) <= 1e-4 * scale or scale < 1e-9 or scale == math.inf)

    def real(self, x: Any) -> bool:
        """Whether a value has no imaginary part."""
        z = complex(x)
        return abs(z.imag) <= 1e-9 * max(1.0, abs(z.real))


def _real(x: Any) -> float:
    z = complex(x)
    if abs(z.imag) > 1e-9:
        raise Undefined
    return z.real


def _float_gamma(x: Any) -> float:
    value = _real(x)
    if value < 0:
        raise Undefined
    return math.gamma(value + 1)


def _float_log(x: Any) -> complex:
    return math.log(x) if isinstance(x, float) and x > 0 else cmath.log(x)


def _narrow(f: Callable[[Any], complex]) -> Callable[[Any], complex]:
    """Return a hyperbolic function that refuses what would overflow."""

    def inner(x: Any) -> complex:
        if abs(x) > 500:
            raise Undecided
        return f(x)

    return inner


# fmt: off
FLOAT_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "sin": cmath.sin, "cos": cmath.cos, "asin": cmath.asin, "acos": cmath.acos,
    "atan": cmath.atan, "sinh": _narrow(cmath.sinh), "cosh": _narrow(cmath.cosh),
    "tanh": _narrow(cmath.tanh), "asinh": cmath.asinh, "acosh": cmath.acosh, "atanh": cmath.atanh,
    "ln": _float_log, "log": _float_log, "abs": abs, "factorial": _float_gamma,
    "floor": lambda x: float(math.floor(_real(x))), "ceil": lambda x: float(math.ceil(_real(x))),
    "binomial": lambda n, k: _float_gamma(n) / _float_gamma(k) / _float_gamma(n - k),
    "max": lambda *a: max(map(_real, a)), "min": lambda *a: min(map(_real, a)),
    "re": lambda x: complex(x).real, "im": lambda x: complex(x).imag, "arg": cmath.phase,
    "sgn": lambda x: float((_real(x) > 0) - (_real(x) < 0)), "acot": lambda x: cmath.atan(1 / x),
}
# fmt: on

FLOATS = Floats()
