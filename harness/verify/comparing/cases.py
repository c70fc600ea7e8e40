r"""Distinctions of cases compared: with one another, with `|x|`, with `\lfloor n/2 \rfloor`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from fractions import Fraction
from math import lcm

from harness.verify.algebra import tree
from harness.verify.algebra.node import INFINITY, Node
from harness.verify.algebra.numeric import magnitude
from harness.verify.comparing.comparison import Comparison, Result, unpaired
from harness.verify.comparing.names import named
from harness.verify.comparing.parts import EXPRESSIONS
from harness.verify.comparing.regions import NEGATIVE_INFINITY, Piece, line, region, same_region
from harness.verify.limits import Unreadable

_Case = tuple[Node, Node]  # a value, and its condition
_WHOLE = {"n", "m", "k", "N"}  # what floors are taken of, at whole numbers
_OF_WHOLE = re.compile(r"\b(?:integers?|whole numbers?|natural numbers?|[Hh]ow many|number of)\b")
_MOST_RESIDUES = 12
_DEGREE = 8


def by_cases(c: Comparison, gold: Node, answer: Node, problem: str) -> Result | None:
    """Compare two values of which one at least distinguishes cases, or has floors; else None.

    Floors are taken at whole numbers alone where the problem speaks of them.

    Raises:
        Unreadable: If the cases cannot be told apart.
    """
    if not any(mark in n.key for n in (gold, answer) for mark in ("list[", "floor(", "ceil(")):
        return None
    left, right = _value(gold), _value(answer)
    mine, other = _cases(left), _cases(right)
    if mine is not None and other is not None:
        same = len(mine) == len(other) and _same_cases(c, mine, other)
    elif mine is not None and right.kind in EXPRESSIONS:
        same = _meets(c, right, mine)
    elif other is not None and left.kind in EXPRESSIONS:
        same = _meets(c, left, other)
    elif _has_steps(left) and _has_steps(right) and _OF_WHOLE.search(problem):
        same = _same_steps(c, left, right)
    else:
        return None
    return (True, "equal in every case") if same else None


def _value(node: Node) -> Node:
    pair = named(node)
    return pair[1] if pair is not None else node


def _cases(node: Node) -> list[_Case] | None:
    parts = node.args if node.kind == "list" else ()
    terms = _from_the_first(parts)
    if terms is not None:
        return terms
    found = [x.args[2] for x in parts if x.kind == "br" and len(x.args[2]) == 2]
    if len(found) < 2 or len(found) < len(parts):
        return None
    return [(v, when) for v, when in found if when.kind in ("rel", "text", "union")] or None


def _from_the_first(parts: Sequence[Node]) -> list[_Case] | None:
    """Return the cases of `a_1 = 3, a_n = 2n`, of which the second begins behind the first."""
    pairs = [named(x) for x in parts]
    if len(pairs) != 2 or pairs[0] is None or pairs[1] is None:
        return None
    (first, value), (name, rest) = pairs[0], pairs[1]
    stem, _, index = name.partition("_")
    if index not in ("n", "k", "m") or not first.startswith(f"{stem}_"):
        return None
    at = first[len(stem) + 1 :]
    if not at.isdecimal() or len(at) > 2:
        return None
    letter, place = tree.sym(index), tree.num(int(at))
    beyond = tree.relation(("ge",), (letter, tree.num(int(at) + 1)))
    return [(value, tree.relation(("=",), (letter, place))), (rest, beyond)]


def _same_cases(c: Comparison, mine: list[_Case], other: list[_Case]) -> bool:
    def same(x: _Case, y: _Case) -> bool:
        if not c.same(x[0], y[0])[0]:
            return False
        parities = _parity(x[1]), _parity(y[1])
        return parities[0] == parities[1] if any(parities) else c.same(x[1], y[1])[0]

    return unpaired(mine, other, same) is None


def _parity(when: Node) -> str:
    """Return whether a condition is that a number is even, or odd."""
    words = when.key.strip('"').split() if when.kind == "text" else []
    found = [w for w in ("even", "odd") if w in words]
    return found[0] if len(found) == 1 and "not" not in words else ""


def _meets(c: Comparison, one: Node, cases: list[_Case]) -> bool:
    """Whether an expression has the value of each case where that holds, and they leave no gap."""
    names = tree.symbols(one).union(*(tree.symbols(v) for v, _ in cases))
    if len(names) != 1:
        return False
    name = names.pop()
    if {_parity(when) for _, when in cases} == {"even", "odd"}:
        return all(
            _agree(c, one, value, name, 2, int(_parity(when) == "odd")) for value, when in cases
        )
    everywhere: list[Piece] = []
    for value, when in cases:
        found = region(when)
        if found is None or found[0] not in (None, name):
            return False
        for low, high, *_ in found[1]:
            if low.key == high.key:
                same = c.same(*(tree.substitute(x, name, low) for x in (one, value)))[0]
            else:
                same = c.same(_between(one, name, low, high), value)[0]
            if not same:
                return False
        everywhere += found[1]
    return same_region(c, everywhere, [(NEGATIVE_INFINITY, INFINITY, False, False)])


def _between(node: Node, name: str, low: Node, high: Node) -> Node:
    """Return an expression as it is between two ends, without absolute values of lines.

    Raises:
        Unreadable: If one changes its sign there.
    """
    if node.kind == "fn" and node.args[0] == "abs" and name in tree.symbols(node):
        inner = _between(node.args[1], name, low, high)
        found = line(inner)
        if found is None:
            raise Unreadable("an absolute value of more than a line")
        root = magnitude(tree.neg(tree.div(found[2], found[1])))
        ends = [_end(low), _end(high)]
        if root is None or ends[0] < root < ends[1]:
            raise Unreadable("an absolute value that changes its sign")
        slope = magnitude(found[1]) or 0
        return inner if (slope > 0) == (root <= ends[0]) else tree.neg(inner)
    return tree.mapped(node, lambda x: _between(x, name, low, high))


def _end(node: Node) -> float:
    if node.key in (INFINITY.key, NEGATIVE_INFINITY.key):
        return float("inf") if node.key == INFINITY.key else float("-inf")
    size = magnitude(node)
    if size is None:
        raise Unreadable("an end that is no real number")
    return size


# -- floors at whole numbers ----------------------------------------------------------------------


def _has_steps(node: Node) -> bool:
    return node.kind in EXPRESSIONS and ("floor(" in node.key or "ceil(" in node.key)


def _same_steps(c: Comparison, left: Node, right: Node) -> bool:
    """Compare two expressions with floors at every whole number, residue by residue."""
    names = tree.symbols(left) | tree.symbols(right)
    if len(names) != 1 or not names <= _WHOLE:
        return False
    numbers = [x.args[0] for n in (left, right) for x in tree.leaves(n) if x.kind == "num"]
    period = lcm(*(x.denominator for x in numbers))
    name = names.pop()
    return 1 < period <= _MOST_RESIDUES and all(
        _agree(c, left, right, name, period, residue) for residue in range(period)
    )


def _agree(c: Comparison, one: Node, other: Node, name: str, period: int, residue: int) -> bool:
    """Whether two expressions agree at the whole numbers of a residue class."""
    at = tree.add(tree.mul(tree.num(period), tree.sym("@m")), tree.num(residue))
    return c.same(*(settled(tree.substitute(x, name, at)) for x in (one, other)))[0]


def settled(node: Node) -> Node:
    """Return an expression in whole `@m` without floors, ceilings and powers of -1."""
    if node.kind == "fn" and node.args[0] in ("floor", "ceil"):
        inner = settled(node.args[1])
        part = _constant_part(inner)
        if part is None:
            raise Unreadable("a floor that depends on more than the residue")
        return tree.sub(inner, tree.num(part if node.args[0] == "floor" or not part else part - 1))
    if node.kind == "pow" and node.args[0].key == "-1" and "@m" in tree.symbols(node.args[1]):
        part = _constant_part(tree.div(node.args[1], tree.num(2)))
        if part is None or 2 * part % 1:
            raise Unreadable("a power of -1 that depends on more than the residue")
        return tree.MINUS_ONE if part else tree.ONE
    return tree.mapped(node, settled)


def _constant_part(node: Node) -> Fraction | None:
    """Return the fractional part of a polynomial that is the same at all whole numbers, or None.

    A polynomial of degree d is whole everywhere if it is at d + 1 numbers in a row.
    """
    if not 0 <= _degree(node) <= _DEGREE:
        return None
    values = [tree.substitute(node, "@m", tree.num(n)) for n in range(_DEGREE + 1)]
    parts = {x.args[0] % 1 for x in values if x.kind == "num"}
    return parts.pop() if len(parts) == 1 and all(x.kind == "num" for x in values) else None


def _degree(node: Node) -> int:
    """Return the degree of a polynomial in `@m`, or at least a bound of it; -99 for others."""
    if node.kind == "num":
        return 0
    if node.key == "@m":
        return 1
    degrees = [_degree(x) for x in node.args] if node.kind in ("add", "mul") else []
    if degrees and min(degrees) >= 0:
        return sum(degrees) if node.kind == "mul" else max(degrees)
    if node.kind == "pow" and node.args[1].kind == "num":
        power, below = node.args[1].args[0], _degree(node.args[0])
        if power.denominator == 1 and 0 < power <= _DEGREE and below >= 0:
            return int(power) * below
    return -99
