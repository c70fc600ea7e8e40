"""Expression trees in a canonical form: equal keys mean equal values.

A `Node` is built only by the constructors below, which fold exact numbers, collect equal
terms and factors and sort what commutes, so that most equal answers get the same key. Folding is
bounded: a power too large to compute stays a power.
"""

from __future__ import annotations

from harness.verify.algebra.applications import fn
from harness.verify.algebra.arithmetic import (
    add,
    coefficient,
    determinant,
    div,
    mul,
    neg,
    power,
    root,
    sub,
    value_of,
)
from harness.verify.algebra.node import (
    HALF,
    INFINITY,
    MINUS_ONE,
    ONE,
    PI,
    ZERO,
    E,
    I,
    Node,
    constants,
    make,
    matrix,
    num,
    relation,
    structure,
    sym,
    symbols,
    text,
)

# fmt: off
__all__ = [
    "HALF", "INFINITY", "MINUS_ONE", "ONE", "PI", "ZERO", "E", "I",
    "Node", "add", "coefficient", "constants", "degrees", "determinant", "div", "fn",
    "make", "matrix", "mul", "neg", "num", "percentage", "power", "rebuild", "relation", "root",
    "structure", "sub", "substitute", "sym", "symbols", "text", "value_of",
]
# fmt: on


def substitute(node: Node, name: str, value: Node) -> Node:
    """Return the node with a variable (or the constant `name`) replaced."""
    if node.kind in ("sym", "const"):
        return value if node.args[0] == name else node
    if name not in node.key:
        return node
    kind, args = node.kind, node.args
    if kind in ("add", "mul", "pow", "deg", "pct"):
        new = [substitute(a, name, value) for a in args]
        return rebuild(kind, new)
    if kind == "fn":
        return fn(args[0], *(substitute(a, name, value) for a in args[1:]))
    if kind == "matrix":
        return matrix([[substitute(c, name, value) for c in r] for r in args])
    if kind == "br":
        return structure("br", [substitute(a, name, value) for a in args[2]], args[0], args[1])
    if kind in ("set", "list", "union", "ratio"):
        return structure(kind, [substitute(a, name, value) for a in args])
    if kind == "rel":
        return relation(args[0], [substitute(a, name, value) for a in args[1]])
    if kind == "unit":
        return make("unit", (substitute(args[0], name, value), args[1]), node.key)
    return node


def rebuild(kind: str, args: list[Node]) -> Node:
    """Return an expression node of `kind` built anew from its arguments."""
    if kind == "add":
        return add(*args)
    if kind == "mul":
        return mul(*args)
    if kind == "pow":
        return power(*args)
    return make(kind, tuple(args), f"{kind}({args[0].key})")


def degrees(node: Node) -> Node:
    """Return an angle in degrees."""
    return make("deg", (value_of(node),), f"{value_of(node).key} deg")


def percentage(node: Node) -> Node:
    """Return a percentage."""
    return make("pct", (value_of(node),), f"{value_of(node).key}%")
