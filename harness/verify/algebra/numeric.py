"""Numbers out of trees: sample points, and the value of an expression there in some field."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from fractions import Fraction
from hashlib import sha256
from itertools import cycle
from typing import Any

from harness.verify.algebra.digits import Digits
from harness.verify.algebra.fields import (
    FLOAT_FUNCTIONS,
    FLOATS,
    Floats,
    NoValue,
    Undecided,
    Undefined,
)
from harness.verify.algebra.node import Node
from harness.verify.algebra.tree import symbols
from harness.verify.limits import charge

Field = Floats | Digits


def hashed_random(*texts: str) -> random.Random:
    """Return a generator seeded by texts, so that points are fixed but not foreseeable."""
    charge(20 + sum(map(len, texts)) // 256)
    return random.Random(sha256("\0".join(texts).encode("utf-8", "replace")).digest())


_NEAR = ("unit", "wide", "whole", "negative", "unit", "mixed", "whole", "wide")
_FAR = ("unit", "far", "negative", "wide", "far", "mixed", "whole", "far")


def points(names: list[str], rng: random.Random, places: int = 0) -> Iterator[dict[str, Fraction]]:
    """Yield sample points for variables: near zero, large, negative and whole ones in turn.

    Args:
        names: The variables.
        rng: Where chance comes from.
        places: If not 0, points of up to so many digits are among them.
    """
    for kind in cycle(_FAR if places else _NEAR):
        charge(len(names))
        yield {name: _coordinate(kind, rng, places) for name in names}


def _coordinate(kind: str, rng: random.Random, places: int) -> Fraction:
    if kind == "mixed":
        kind = rng.choice(("unit", "wide", "negative"))
    if kind == "far":
        size = Fraction(rng.randint(1_050_000, 9_700_000), 1_000_003)
        return size * Fraction(rng.choice((1, -1)) * 10 ** rng.randint(1, places))
    if kind == "whole":
        return Fraction(rng.randint(2, 9))
    if kind == "unit":
        return Fraction(rng.randint(50_000, 950_000), 1_000_003)
    value = Fraction(rng.randint(1_050_000, 4_700_000), 1_000_003)
    return -value if kind == "negative" else value


def evaluate(node: Node, at: dict[str, Fraction], field: Field, *, real: bool = False) -> Any:
    """Return the value of an expression at a point.

    Args:
        node: The expression.
        at: The values of its variables.
        field: The numbers to compute with.
        real: Whether roots and functions that leave the real numbers are undefined, as in a
            textbook: `sqrt(x)*sqrt(y)` and `sqrt(x*y)` agree wherever both are real all the way.

    Raises:
        Undefined: If it has none there.
        Undecided: If it is out of range, or a node has no numeric meaning.
    """
    try:
        return _evaluate(node, at, field, real)
    except OverflowError as error:
        raise Undecided from error
    except (ZeroDivisionError, ValueError, TypeError) as error:
        raise Undefined from error


def _evaluate(node: Node, at: dict[str, Fraction], field: Field, real: bool) -> Any:
    charge(field.cost)
    kind, args = node.kind, node.args
    if kind == "num":
        return field.number(args[0])
    if kind == "sym":
        if args[0] not in at:
            raise Undecided
        return field.number(at[args[0]])
    if kind == "const":
        if args[0] == "oo":
            raise Undecided
        return getattr(field, args[0])
    if kind not in ("add", "mul", "pow", "deg", "pct", "fn"):
        raise Undecided
    values = [_evaluate(a, at, field, real) for a in args if type(a) is Node]
    if kind == "add":
        return field.add(values)
    if kind == "mul":
        return math.prod(values[1:], start=values[0])
    if kind == "pow":
        return _power(values[0], values[1], args[1], field, real)
    if kind == "deg":
        return values[0] * field.pi / 180
    if kind == "pct":
        return values[0] / 100
    if args[0] not in FLOAT_FUNCTIONS:
        raise Undecided
    value = field.function(args[0], values)
    if real and not field.real(value) and all(map(field.real, values)):
        raise Undefined
    return value


def _power(base: Any, value: Any, exponent: Node, field: Field, real: bool) -> Any:
    """Return a power; the real one for an odd root of a negative number, as in the exact case."""
    negative = base.real < 0 and field.real(base)
    if negative and exponent.kind == "num" and exponent.args[0].denominator % 2:
        if exponent.args[0].denominator > 1:
            root = field.power(-base, value)
            return -root if exponent.args[0].numerator % 2 else root
    elif negative and real and value != int(value.real):
        raise Undefined
    return field.power(base, value)


def magnitude(node: Node) -> float | None:
    """Return a real constant as a float for sorting and signs; None where it is none."""
    if node.key in ("oo", "-1*oo"):
        return math.inf if node.key == "oo" else -math.inf
    try:
        value = complex(evaluate(node, {}, FLOATS))
    except NoValue:
        return None
    return value.real if FLOATS.real(value) and value.real == value.real else None


def rounds(chain: Node) -> bool:
    """Whether the last side of a chain may be its known other sides, rounded."""
    *exact, about = chain.args[1]
    last = magnitude(about)
    sides = [magnitude(x) for x in exact if not symbols(x)]
    return last is not None and all(
        x is not None and abs(x - last) <= 0.06 * abs(x) + 0.05 for x in sides
    )
