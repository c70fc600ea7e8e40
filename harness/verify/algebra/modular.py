"""Equality of expressions by their values modulo large random numbers.

A rational function that is zero at a random point modulo a random number is zero, up to a
negligible chance (Schwartz, 1980, doi:10.1145/322217.322225). Functions join in by their laws:
sines and exponentials are rational in powers of a few quantities that are taken as variables,
`i` is a square root of -1 modulo `i^2 + 1`, a logarithm of a product is a sum, a factorial a
multiple of a smaller one. Of other functions only that equal arguments give equal values is used.
Whatever is equal so is equal; what is not may be, if it has such parts.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction
from functools import reduce
from math import gcd, isqrt
from random import Random

from harness.verify.algebra import tree
from harness.verify.algebra.node import Node
from harness.verify.algebra.numeric import hashed_random
from harness.verify.limits import Unreadable, charge

_ROOTS = 5_040  # where there are fractions, variables are such powers, so that they have roots
# modulo a small prime such a power is 0 or 1; no other primes divide i^2 + 1
_SMALL = [p for p in range(5, 6_000, 4) if all(p % q for q in range(3, isqrt(p) + 1, 2))]
_STEPS = 60  # of the recurrence of the factorial
_VALUES = {"pow", "fn", "const", "deg", "pct"}
_Key = tuple[object, ...]


class _Retry(Exception):
    """A denominator has no inverse modulo this number; another number is needed."""


class _Lawless(Exception):
    """Nothing is known of a part but that equal ones have equal values."""


def modular(a: Node, b: Node) -> bool | None:
    """Return True if two expressions are equal, False if surely not, or None."""
    rng = hashed_random(a.key, b.key)
    roots = _ROOTS if "/" in a.key or "/" in b.key else 1
    for _ in range(2):
        for _ in range(4):
            ring = _Ring(rng, roots)
            try:
                same = ring.value(a) == ring.value(b)
                break
            except _Retry:
                continue
            except Unreadable:
                return None
        else:
            return None
        if not same:
            return None if ring.opaque else False
    return True


class _Ring:
    """Numbers modulo a random one, with a random value for every variable."""

    def __init__(self, rng: Random, roots: int) -> None:
        self.i = rng.getrandbits(64) | 1 << 64
        self.i -= self.i % 2  # even, so that the modulus is odd
        self.m = self.i**2 + 1
        for prime in _SMALL if roots > 1 else ():
            while self.m % prime == 0:
                self.m //= prime
        self.roots = roots
        self.opaque = False  # whether something has laws that are not used
        self._rng = rng
        self._drawn: dict[_Key, int] = {}
        self._known: dict[str, int] = {}

    def value(self, node: Node) -> int:
        """Return the value of an expression."""
        kind, args, m = node.kind, node.args, self.m
        charge(1)
        if kind == "num":
            number: Fraction = args[0]
            return number.numerator * self._power(number.denominator, -1) % m
        if kind == "add":
            return sum(map(self.value, args)) % m
        if kind == "mul":
            return self._product(map(self.value, args))
        if kind == "sym" or node.key == "pi":
            return self._power(self._draw(kind, args[0]), self.roots)
        if kind == "pow" and args[1].kind == "num" and args[1].args[0].denominator == 1:
            return self._power(self.value(args[0]), int(args[1].args[0]))
        if kind not in _VALUES:  # a tuple or a set in an unknown function is what is written
            self.opaque = True
            return self._draw(kind, node.key)
        if node.key not in self._known:
            try:
                found = self._special(node)
            except _Lawless:
                name = args[0] if kind in ("fn", "const") else kind
                parts = [self.value(x) for x in args if isinstance(x, Node)]
                self.opaque, found = True, self._draw(name, *parts)
            self._known[node.key] = found
        return self._known[node.key]

    def _product(self, values: Iterable[int]) -> int:
        return reduce(lambda x, y: x * y % self.m, values, 1)

    def _draw(self, *key: object) -> int:
        if key not in self._drawn:
            self._drawn[key] = self._rng.getrandbits(127) % self.m
        return self._drawn[key]

    def _power(self, value: int, exponent: int) -> int:
        charge(abs(exponent).bit_length())
        if exponent < 0:
            charge(8)
            if gcd(value, self.m) != 1:
                raise _Retry
        return pow(value, exponent, self.m)

    # -- functions with laws --------------------------------------------------------------------

    def _special(self, node: Node) -> int:
        """Return the value of what is no rational operation, by its laws."""
        kind, args = node.kind, node.args
        if node.key == "i":
            return self.i
        if kind == "deg":
            return self.value(tree.in_radians(node))
        if kind == "pct":
            return self.value(args[0]) * self._power(100, -1) % self.m
        self.opaque = True
        if node.key == "e":
            return self._exponential(tree.ONE)
        if kind == "pow":
            base, exponent = args
            if base.key == "e":
                return self._exponential(exponent)
            if exponent.kind == "num":
                return self._root(base, exponent.args[0])
            if base.kind == "num" and base.args[0] > 0:
                return self._number_power(base, exponent)
        if kind != "fn":
            raise _Lawless
        name, x = args[0], args[1]
        if name in ("sin", "cos", "sinh", "cosh"):
            above = self._exponential(tree.mul(tree.I, x) if name in ("sin", "cos") else x)
            below = self._power(above, -1)
            half = self._power(2 * self.i if name == "sin" else 2, -1)
            return (above - below if name in ("sin", "sinh") else above + below) * half % self.m
        if name in ("ln", "log"):
            return self._logarithm(x)
        if name == "factorial":
            return self._factorial(x)
        if name == "binomial":
            n, k, rest = (self._factorial(t) for t in (x, args[2], tree.sub(x, args[2])))
            return n * self._power(k * rest, -1) % self.m
        raise _Lawless

    def _exponential(self, exponent: Node) -> int:
        """Return e to a sum, a product of powers of one variable for each of its terms."""
        return self._product(map(self._exponential_term, tree.terms_of(exponent)))

    def _exponential_term(self, term: Node) -> int:
        if term.kind == "num":
            return self._variable_power(term.args[0], "e^", self.value(tree.ONE))
        factors = tree.factors_of(term)
        inner = next((f for f in factors if f.kind == "add"), None)
        if inner is not None and term.kind == "mul":
            others = [f for f in factors if f is not inner]
            if all(f.kind == "num" or f.key == "i" for f in others):  # i(x + y) is ix + iy
                return self._exponential(tree.add(*(tree.mul(*others, t) for t in inner.args)))
        size, rest = tree.coefficient(tree.in_radians(term))
        if rest.key != "i*pi":
            return self._variable_power(size, "e^", self.value(rest))
        if (2 * size).denominator != 1:
            raise _Lawless
        return self._power(self.i, int(2 * size) % 4)

    def _variable_power(self, exponent: Fraction, *variable: object) -> int:
        """Return a variable to a power that may be a fraction, as far as it has such roots."""
        if self.roots % exponent.denominator:
            raise _Lawless
        return self._power(self._draw(*variable), int(exponent * self.roots))

    def _number_power(self, base: Node, exponent: Node) -> int:
        """Return 6^x as 2^x 3^x, each a power of a variable."""

        def powers() -> Iterator[int]:
            for part in tree.terms_of(exponent):
                if part.kind == "num":
                    yield self.value(tree.power(base, part))
                    continue
                size, rest = tree.coefficient(part)
                for prime, count in tree.factor(base.args[0]):
                    yield self._variable_power(size * count, prime, self.value(rest))

        return self._product(powers())

    def _root(self, base: Node, exponent: Fraction) -> int:
        """Return a power with a fraction above; a variable has roots, of a sum they are drawn."""
        whole, degree = exponent.numerator // exponent.denominator, exponent.denominator
        if base.kind in ("sym", "const") and base.key != "i" and self.roots % degree == 0:
            return self._variable_power(exponent, base.kind, base.args[0])
        inside = self.value(base)
        drawn = self._draw("root", inside, degree)
        power = self._power(drawn, exponent.numerator - whole * degree)
        return self._power(inside, whole) * power % self.m

    def _logarithm(self, x: Node) -> int:
        """Return a natural logarithm, which `log` is until both sides are read to base ten."""
        if x.key == "e":
            return 1
        if x.kind not in ("mul", "pow", "num") or not all(map(_splits, tree.factors_of(x))):
            return self._draw("ln", self.value(x))
        if x.kind == "mul":
            return sum(self.value(tree.fn("ln", f)) for f in x.args) % self.m
        if x.kind == "pow":
            return self.value(x.args[1]) * self.value(tree.fn("ln", x.args[0])) % self.m
        return sum(n * self._draw("ln", prime) for prime, n in tree.factor(x.args[0])) % self.m

    def _factorial(self, x: Node) -> int:
        """Return (n + 3)! as (n + 3)(n + 2)(n + 1) n!."""
        known = tree.fn("factorial", x)
        if known.kind == "num":
            return self.value(known)
        shift = tree.whole_term(x)
        if abs(shift) > _STEPS:
            shift = 0
        start = self.value(tree.sub(x, tree.num(shift)))
        steps = range(min(shift, 0) + 1, max(shift, 0) + 1)
        if any((start + step) % self.m == 0 for step in steps):
            raise _Retry  # past a pole the law ends
        sign = 1 if shift > 0 else -1
        return self._product(
            [self._draw("!", start), *(self._power(start + n, sign) for n in steps)]
        )


def _splits(node: Node) -> bool:
    """Whether the logarithm of a product may be split at this factor: it can be positive."""
    if tree.imaginary(node):
        return False
    if node.kind == "num":
        return bool(node.args[0] > 0)
    base = tree.power_of(node)[0]
    return bool(tree.symbols(base)) or base.key == "pi" or (base.kind == "num" and _splits(base))
