"""Nodes of expression trees, the leaves among them, and structures that need no arithmetic."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction

from harness.verify.limits import MAX_BITS, MAX_KEY, MAX_NODES, TooLarge


class Node:
    """One node: its kind, its arguments (nodes, or a number or a name in a leaf) and its key.

    Kinds of expressions: num, sym, const, add, mul, pow, fn, deg, pct. Kinds that only stand at
    the top of an answer: br (bracketed items), set, list, rel, union, matrix, text, base, ratio,
    time, unit.
    """

    __slots__ = ("args", "key", "kind", "size")

    def __init__(self, kind: str, args: tuple, key: str, size: int) -> None:
        self.kind = kind
        self.args = args
        self.key = key
        self.size = size
        if size > MAX_NODES or len(key) > MAX_KEY:
            raise TooLarge("the expression is too large")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Node) and self.key == other.key

    def __hash__(self) -> int:
        return hash(self.key)

    def __repr__(self) -> str:
        return self.key


def make(kind: str, args: tuple, key: str) -> Node:
    """Return a node whose arguments are nodes (or leaves), with its size counted."""
    return Node(kind, args, key, 1 + sum(a.size for a in args if isinstance(a, Node)))


def num(value: int | Fraction) -> Node:
    """Return the node of an exact rational number."""
    value = Fraction(value)
    top, bottom = value.numerator, value.denominator
    if top.bit_length() > MAX_BITS or bottom.bit_length() > MAX_BITS:
        raise TooLarge("a number is too large")
    key = _digits(top) if bottom == 1 else f"{_digits(top)}/{_digits(bottom)}"
    return Node("num", (value,), key, 1)


def _digits(n: int) -> str:
    # hexadecimal beyond Python's own limit on decimal conversion, which is quadratic
    return str(n) if n.bit_length() < 8_000 else hex(n)


ZERO, ONE, MINUS_ONE, HALF = num(0), num(1), num(-1), num(Fraction(1, 2))
PI = Node("const", ("pi",), "pi", 1)
E = Node("const", ("e",), "e", 1)
I = Node("const", ("i",), "i", 1)  # noqa: E741
INFINITY = Node("const", ("oo",), "oo", 1)


def sym(name: str) -> Node:
    """Return the node of a variable; ``name`` carries subscripts and primes."""
    return Node("sym", (name,), name, 1)


def structure(kind: str, items: Iterable[Node], open_: str = "", close: str = "") -> Node:
    """Return a list, set, union or bracketed tuple of items."""
    items = tuple(items)
    inner = ", ".join(i.key for i in items)
    size = 1 + sum(i.size for i in items)
    if kind == "br":
        return Node("br", (open_, close, items), f"{open_}{inner}{close}", size)
    shown = {"set": "{%s}", "list": "list[%s]", "union": "union[%s]", "ratio": "ratio[%s]"}[kind]
    return Node(kind, items, shown % inner, size)


def relation(operators: Iterable[str], items: Iterable[Node]) -> Node:
    """Return a chain of relations, such as ``0 < x <= 1``."""
    operators, items = tuple(operators), tuple(items)
    key = items[0].key + "".join(f" {o} {i.key}" for o, i in zip(operators, items[1:], strict=True))
    return Node("rel", (operators, items), key, 1 + sum(i.size for i in items))


def text(words: str) -> Node:
    """Return plain words, already normalised."""
    return Node("text", (words,), f'"{words}"', 1)


def symbols(node: Node) -> set[str]:
    """Return the names of the variables in a node."""
    found: set[str] = set()
    todo = [node]
    while todo:
        n = todo.pop()
        if n.kind == "sym":
            found.add(n.args[0])
        else:
            for a in n.args:
                if isinstance(a, Node):
                    todo.append(a)
                elif isinstance(a, tuple):
                    todo.extend(x for x in a if isinstance(x, Node))
    return found
