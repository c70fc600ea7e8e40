"""Numbers out of trees: complex floats as a filter, many digits where the filter lets pass.

The many-digit field refuses (:class:`Undecided`) where its digits would not carry the answer:
magnitudes beyond its range, or a term so small beside another that it would vanish unseen.
"""

from __future__ import annotations

import cmath
import math
import random
import threading
from collections.abc import Callable, Iterator
from fractions import Fraction
from hashlib import sha256
from typing import Any

from harness.verify.algebra.tree import Node


class Undefined(Exception):
    """The expression has no value at this point."""


class Undecided(Exception):
    """The value cannot be computed within the bounds."""


DIGITS_BITS = 220
_WIDEST = 6_000  # binary exponents beyond this are refused


def hashed_random(*texts: str) -> random.Random:
    """Return a generator seeded by texts, so that points are fixed but not foreseeable."""
    return random.Random(sha256("\0".join(texts).encode("utf-8", "replace")).digest())


def points(names: list[str], rng: random.Random) -> Iterator[dict[str, Fraction]]:
    """Yield sample points for variables: near zero, large, negative and whole ones in turn."""
    kinds = ("unit", "wide", "whole", "negative", "unit", "mixed", "whole", "wide")
    turn = 0
    while True:
        kind = kinds[turn % len(kinds)]
        turn += 1
        yield {name: _coordinate(kind, rng) for name in names}


def _coordinate(kind: str, rng: random.Random) -> Fraction:
    if kind == "mixed":
        kind = rng.choice(("unit", "wide", "negative"))
    if kind == "whole":
        return Fraction(rng.randint(2, 9))
    if kind == "unit":
        return Fraction(rng.randint(50_000, 950_000), 1_000_003)
    value = Fraction(rng.randint(1_050_000, 4_700_000), 1_000_003)
    return -value if kind == "negative" else value


class Floats:
    """Complex double precision."""

    pi: Any = math.pi
    e: Any = math.e
    i: Any = 1j

    def number(self, value: Fraction) -> complex:
        """Return an exact rational as a value of this field."""
        try:
            return float(value)
        except OverflowError as error:
            raise Undecided from error

    def add(self, terms: list) -> Any:
        """Return a sum."""
        return sum(terms)

    def power(self, base: Any, exponent: Any) -> Any:
        """Return a power; zero to a power that is not positive is undefined."""
        try:
            if base == 0:
                if exponent == 0 or complex(exponent).real <= 0:
                    raise Undefined
                return 0.0
            if isinstance(base, float) and base < 0 and exponent != int(exponent.real):
                base = complex(base)
            value = base**exponent
            return value
        except OverflowError as error:
            raise Undecided from error
        except (ZeroDivisionError, ValueError, TypeError) as error:
            raise Undefined from error

    def function(self, name: str, args: list) -> Any:
        """Return a known function of values."""
        try:
            return _FLOAT_FUNCTIONS[name](*args)
        except KeyError as error:
            raise Undecided from error
        except OverflowError as error:
            raise Undecided from error
        except (ZeroDivisionError, ValueError, TypeError) as error:
            raise Undefined from error

    def smooth(self, a: float, b: float, value: Any) -> Any:
        """Return what an unknown function of that mark gives: some smooth function."""
        if abs(value) > 1e6:
            raise Undecided
        return cmath.sin(value * (1 + a) + b) + value * b

    def close(self, x: Any, y: Any) -> bool:
        """Whether two values agree as far as this field can tell."""
        scale = max(abs(x), abs(y))
        return abs(x - y) <= 1e-4 * scale or scale < 1e-9 or scale == math.inf

    def real(self, x: Any) -> bool:
        """Whether a value has no imaginary part."""
        x = complex(x)
        return abs(x.imag) <= 1e-9 * max(1.0, abs(x.real))


def _real(x: Any) -> float:
    x = complex(x)
    if abs(x.imag) > 1e-9:
        raise Undefined
    return x.real


def _float_gamma(x: Any) -> float:
    value = _real(x)
    if value < 0:
        raise Undefined
    return math.gamma(value + 1)


def _float_log(x: Any) -> complex:
    return math.log(x) if isinstance(x, float) and x > 0 else cmath.log(x)


def _narrow(f: Callable, limit: float = 500.0) -> Callable:
    def inner(x: Any) -> Any:
        if abs(x) > limit:
            raise Undecided
        return f(x)

    return inner


# fmt: off
_FLOAT_FUNCTIONS: dict[str, Callable] = {
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
class Digits:
    """mpmath with a private context per thread; imported only when it is needed."""

    def __init__(self, bits: int) -> None:
        import mpmath

        self.m = mpmath.MPContext()
        self.m.prec = bits
        self.bits = bits
        self.pi, self.e, self.i = +self.m.pi, +self.m.e, self.m.j
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

    def add(self, terms: list) -> Any:
        """Return a sum."""
        sizes = [self.m.mag(t) for t in terms if t]
        if sizes and max(sizes) - min(sizes) > self.bits // 3:
            raise Undecided
        return self.check(self.m.fsum(terms))

    def power(self, base: Any, exponent: Any) -> Any:
        """Return a power; zero to a power that is not positive is undefined."""
        if not base:
            if self.m.re(exponent) <= 0:
                raise Undefined
            return self.m.mpf(0)
        if abs(exponent) * (abs(self.m.mag(base)) + 1) > _WIDEST:
            raise Undecided
        return self.check(self.m.power(base, exponent))

    def function(self, name: str, args: list) -> Any:
        """Return a known function of values."""
        if any(a and self.m.mag(a) > 64 for a in args):
            raise Undecided
        m = self.m
        try:
            if name in ("ln", "log"):
                if not args[0]:
                    raise Undefined
                return self.check(m.log(args[0]))
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
            if name in ("sinh", "cosh", "tanh") and abs(args[0]) > 2_000:
                raise Undecided
            plain = {
                "sin": m.sin,
                "cos": m.cos,
                "asin": m.asin,
                "acos": m.acos,
                "atan": m.atan,
                "sinh": m.sinh,
                "cosh": m.cosh,
                "tanh": m.tanh,
                "asinh": m.asinh,
                "acosh": m.acosh,
                "atanh": m.atanh,
                "re": m.re,
                "im": m.im,
                "arg": m.arg,
                "acot": m.acot,
            }.get(name)
            if plain is None:
                raise Undecided
            return self.check(plain(args[0]))
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

    def smooth(self, a: float, b: float, value: Any) -> Any:
        """Return what an unknown function of that mark gives: some smooth function."""
        if value and self.m.mag(value) > 64:
            raise Undecided
        return self.m.sin(value * (1 + a) + b) + value * b

    def close(self, x: Any, y: Any) -> bool:
        """Whether two values agree as far as this field can tell."""
        scale = max(abs(x), abs(y))
        if abs(x - y) <= self.tolerance * scale:
            return True
        return scale < self.tolerance**2 and not (x and y) and abs(x - y) < self.tolerance**2

    def real(self, x: Any) -> bool:
        """Whether a value has no imaginary part."""
        return abs(self.m.im(x)) <= self.tolerance * max(1, abs(x))


class Reals:
    """A field that refuses roots and logarithms of negative numbers, as a textbook does.

    ``sqrt(x)*sqrt(y)`` and ``sqrt(x*y)`` agree wherever both are real all the way.
    """

    def __init__(self, field: Any) -> None:
        self.field = field
        self.pi, self.e, self.i = field.pi, field.e, field.i
        self.number, self.add, self.close, self.real = (
            field.number,
            field.add,
            field.close,
            field.real,
        )
        self.smooth = field.smooth

    def power(self, base: Any, exponent: Any) -> Any:
        """Return a power; zero to a power that is not positive is undefined."""
        if base.real < 0 and self.field.real(base) and exponent != int(exponent.real):
            raise Undefined
        return self.field.power(base, exponent)

    def function(self, name: str, args: list) -> Any:
        """Return a known function of values."""
        value = self.field.function(name, args)
        if not self.field.real(value) and all(self.field.real(a) for a in args):
            raise Undefined
        return value


FLOATS = Floats()
REAL_FLOATS = Reals(FLOATS)
_LOCAL = threading.local()


def digits(bits: int = DIGITS_BITS) -> Digits:
    """Return this thread's many-digit field."""
    kept = getattr(_LOCAL, "fields", None)
    if kept is None:
        kept = _LOCAL.fields = {}
    if bits not in kept:
        kept[bits] = Digits(bits)
    return kept[bits]


def evaluate(node: Node, at: dict[str, Fraction], field: Any) -> Any:
    """Return the value of an expression at a point.

    Raises:
        Undefined: it has none there.
        Undecided: it is out of range, or a node has no numeric meaning.
    """
    kind, args = node.kind, node.args
    if kind == "num":
        return field.number(args[0])
    if kind == "sym":
        return field.number(at[args[0]])
    if kind == "const":
        if args[0] == "oo":
            raise Undecided
        return getattr(field, args[0])
    if kind == "add":
        return field.add([evaluate(a, at, field) for a in args])
    if kind == "mul":
        product = evaluate(args[0], at, field)
        for a in args[1:]:
            product = product * evaluate(a, at, field)
        return product
    if kind == "pow":
        base = evaluate(args[0], at, field)
        exponent = evaluate(args[1], at, field)
        if (
            args[1].kind == "num"
            and args[1].args[0].denominator % 2
            and (args[1].args[0].denominator > 1 and field.real(base) and base.real < 0)
        ):  # the real odd root, as in the exact case
            value = field.power(-base, exponent)
            return -value if args[1].args[0].numerator % 2 else value
        return field.power(base, exponent)
    if kind == "deg":
        return evaluate(args[0], at, field) * field.pi / 180
    if kind == "pct":
        return evaluate(args[0], at, field) / 100
    if kind == "fn":
        name = args[0]
        values = [evaluate(a, at, field) for a in args[1:]]
        if name.startswith("@") or name not in _FLOAT_FUNCTIONS:
            rng = hashed_random(name)
            total = 0
            for value in values:  # an unknown function stands for some smooth one
                total = total + field.smooth(
                    rng.randint(1, 999) / 1024, rng.randint(1, 999) / 1024, value
                )
            return total
        return field.function(name, values)
    raise Undecided


def magnitude(node: Node) -> float:
    """Return a constant as a float for sorting and signs; raises as :func:`evaluate` does."""
    if node.key == "oo":
        return math.inf
    if node.key == "-1*oo":
        return -math.inf
    value = complex(evaluate(node, {}, FLOATS))
    if abs(value.imag) > 1e-9 * max(1.0, abs(value.real)) or value.real != value.real:
        raise Undefined
    return value.real
