"""Numbers out of trees: sample points, and the value of an expression there in some field."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from fractions import Fraction
from hashlib import sha256
from itertools import cycle
from typing import Any

from harness.verify.algebra.digits import Digits, Reals, Unguarded
from harness.verify.algebra.fields import FLOAT_FUNCTIONS, FLOATS, Floats, Undecided, Undefined
from harness.verify.algebra.node import Node
from harness.verify.limits import charge

Field = Floats | Digits | Reals | Unguarded


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


def evaluate(node: Node, at: dict[str, Fraction], field: Field) -> Any:
    """Return the value of an expression at a point.

    Raises:
        Undefined: If it has none there.
        Undecided: If it is out of range, or a node has no numeric meaning.
    """
    charge(field.cost)
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
        if name not in FLOAT_FUNCTIONS:
            raise Undecided
        return field.function(name, values)
    raise Undecided


def magnitude(node: Node) -> float:
    """Return a constant as a float for sorting and signs; raises as `evaluate` does."""
    if node.key == "oo":
        return math.inf
    if node.key == "-1*oo":
        return -math.inf
    value = complex(evaluate(node, {}, FLOATS))
    if abs(value.imag) > 1e-9 * max(1.0, abs(value.real)) or value.real != value.real:
        raise Undefined
    return value.real
