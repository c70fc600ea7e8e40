"""Nodes of expression trees, the leaves among them, and structures that need no arithmetic."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from typing import Any

from harness.verify.limits import MAX_BITS, MAX_KEY, MAX_NODES, WORK, TooLarge, Unreadable, charge


class Node:
    """One node of a tree.

    What the arguments are depends on the kind, so they have no common static type:

        num                       (Fraction,)
        sym, const, text          (str,)
        add, mul, pow, deg, pct   (Node, ...)
        fn                        (str, Node, ...); `@` begins the name of an unknown function
        set, list, union, ratio   (Node, ...)
        br (tuple or interval)    (str, str, (Node, ...)): the brackets and what they hold
        rel (chain of relations)  ((str, ...), (Node, ...)): the operators and the sides
        matrix                    ((Node, ...), ...): the rows
        unit                      (Node, str)
        base (base-n numeral)     (str, int, Fraction): the digits, n and the value
        time                      (int, int, int, str): hour, minute, second, "a", "p" or ""

    Kinds from `set` on, and `text`, occur only at the top of an answer.

    Attributes:
        kind: One of the above.
        args: The arguments.
        key: The canonical form in text; equal keys mean equal values.
        size: The number of nodes.
    """

    __slots__ = ("args", "key", "kind", "size")

    def __init__(self, kind: str, args: tuple[Any, ...], key: str, size: int) -> None:
        self.kind = kind
        self.args = args
        self.key = key
        self.size = size
        if size > MAX_NODES or len(key) > MAX_KEY:
            raise TooLarge("the expression is too large")
        WORK.left -= 5 + (len(key) >> 6)
        if WORK.left < 0:
            charge(0)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Node) and self.key == other.key

    def __hash__(self) -> int:
        return hash(self.key)

    def __repr__(self) -> str:
        return self.key


def nodes_in(args: Iterable[Any]) -> list[Node]:
    """Return the nodes among the arguments of a node, in tuples too."""
    found: list[Node] = []
    for a in args:
        if type(a) is Node:
            found.append(a)
        elif type(a) is tuple:
            found += [x for x in a if type(x) is Node]
    return found


def make(kind: str, args: tuple[Any, ...], key: str) -> Node:
    """Return a node with its size counted."""
    return Node(kind, args, key, 1 + _size(args))


def _size(args: tuple[Any, ...]) -> int:
    size = 0
    for a in args:
        if type(a) is Node:
            size += a.size
        elif type(a) is tuple:
            size += _size(a)
    return size


def num(value: int | Fraction) -> Node:
    """Return the node of an exact rational number."""
    if type(value) is int and 0 <= value < len(_SMALL):
        charge(5)
        return _SMALL[value]
    value = bounded(value if type(value) is Fraction else Fraction(value))
    top, bottom = value.numerator, value.denominator
    key = _digits(top) if bottom == 1 else f"{_digits(top)}/{_digits(bottom)}"
    return Node("num", (value,), key, 1)


def bounded(value: Fraction) -> Fraction:
    """Return a number whose size is within the bounds; large ones are charged for."""
    bits = value.numerator.bit_length()
    below = value.denominator.bit_length()
    if bits > 1_000 or below > 1_000:
        bits = max(bits, below)
        charge(bits * bits >> 18)  # what the next common divisor will cost
        if bits > MAX_BITS:
            raise TooLarge("a number is too large")
    return value


def _digits(n: int) -> str:
    # hexadecimal beyond Python's own limit on decimal conversion, which is quadratic
    return str(n) if n.bit_length() < 8_000 else hex(n)


_SMALL: list[Node] = []  # of which there need not be several
_SMALL.extend([num(n) for n in range(256)])
ZERO, ONE, MINUS_ONE, HALF = num(0), num(1), num(-1), num(Fraction(1, 2))
PI = Node("const", ("pi",), "pi", 1)
E = Node("const", ("e",), "e", 1)
I = Node("const", ("i",), "i", 1)  # noqa: E741
INFINITY = Node("const", ("oo",), "oo", 1)


def matrix(rows: Iterable[Iterable[Node]]) -> Node:
    """Return a matrix; rows of unequal length are unreadable."""
    cells = tuple(tuple(r) for r in rows)
    if not cells or len({len(r) for r in cells}) != 1 or not cells[0]:
        raise Unreadable("a matrix with rows of unequal length")
    return make("matrix", cells, "[" + "; ".join(", ".join(c.key for c in r) for r in cells) + "]")


def terms_of(node: Node) -> tuple[Node, ...]:
    """Return what is added in a sum; any other node alone."""
    return node.args if node.kind == "add" else (node,)


def factors_of(node: Node) -> tuple[Node, ...]:
    """Return what is multiplied in a product; any other node alone."""
    return node.args if node.kind == "mul" else (node,)


def power_of(node: Node) -> tuple[Node, Node]:
    """Return the base and the exponent of a power; any other node and 1."""
    return node.args if node.kind == "pow" else (node, ONE)


def whole_term(node: Node) -> int:
    """Return the whole part of the number that is added in a sum; 0 where there is none."""
    return sum(int(t.args[0] // 1) for t in terms_of(node) if t.kind == "num")
