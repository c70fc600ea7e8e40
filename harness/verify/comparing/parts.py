"""Kinds of parts that answers have: expressions, unit vectors, named functions, chains of order."""

from __future__ import annotations

from harness.verify.algebra import tree
from harness.verify.algebra.node import Node

EXPRESSIONS = {"num", "sym", "const", "add", "mul", "pow", "fn"}
BASIS = ("hat i", "hat j", "hat k")
TURNED = {"<": ">", ">": "<", "le": "ge", "ge": "le"}  # the relations of order


def in_unit(gold: Node, unit: str | None) -> Node:
    """Return a gold answer without a unit in the unit that its problem asks for."""
    if unit is None or gold.kind not in EXPRESSIONS:
        return gold
    return tree.quantity(gold, unit)


def unit_vectors(node: Node) -> Node:
    """Return `i + 2j - k` with its letters as unit vectors."""
    for name in BASIS:
        node = tree.substitute(node, name[-1], tree.sym(name))
    return node


def is_function(node: Node) -> bool:
    """Whether a node is a function that only has a name."""
    return node.kind == "fn" and node.args[0].startswith("@")


def is_order(node: Node) -> bool:
    """Whether a node is a chain of <, >, <= and >= alone."""
    return node.kind == "rel" and all(o in TURNED for o in node.args[0])


def is_region(node: Node) -> bool:
    """Whether a node is a set of numbers by its bounds."""
    return node.kind == "union" or is_order(node)


def ascending(node: Node) -> tuple[tuple[str, ...], tuple[Node, ...]] | None:
    """Return (operators, items) of a chain turned to < and <=, or None if it is mixed."""
    operators, items = node.args
    if all(o in (">", "ge") for o in operators):
        return tuple(TURNED[o] for o in reversed(operators)), items[::-1]
    return (operators, items) if all(o in ("<", "le") for o in operators) else None
