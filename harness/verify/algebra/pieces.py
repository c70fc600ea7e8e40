"""Expressions with absolute values, extrema and functions of which nothing is known, made smooth.

An absolute value is its argument or minus its argument: two expressions are equal if they are in
each case. A function without a meaning of its own is a new variable, the same one for arguments
that are equal. What is left is smooth, so that random points may say something about it.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from itertools import product
from operator import is_

from harness.verify.algebra import tree
from harness.verify.algebra.fields import FLOAT_FUNCTIONS
from harness.verify.algebra.node import Node
from harness.verify.algebra.numeric import magnitude
from harness.verify.limits import Unreadable, charge

SMOOTH = FLOAT_FUNCTIONS.keys() - {
    "abs", "floor", "ceil", "max", "min", "re", "im", "arg", "sgn",
}  # fmt: skip
_MOST = 5  # absolute values with cases of their own
_Same = Callable[[Node, Node], bool]


class Pieces:
    """What stands for absolute values and unknown functions in some expressions.

    Args:
        same: Whether two arguments are equal; must be sure where it says so.
    """

    def __init__(self, same: _Same) -> None:
        self._same = same
        self._opaque: list[tuple[str, list[Node], Node]] = []
        self._absolute: list[tuple[Node, Node]] = []

    def __bool__(self) -> bool:
        return bool(self._opaque or self._absolute)

    def smooth(self, node: Node) -> Node:
        """Return the expression with a variable for each part that is not smooth."""
        kind, args = node.kind, node.args
        if kind == "fn":
            name, inner = args[0], [self.smooth(a) for a in args[1:]]
            if name in SMOOTH:
                return tree.fn(name, *inner)
            if name == "abs":
                return self._size(inner[0])
            if name in ("max", "min") and inner:
                half = tree.HALF if name == "max" else tree.neg(tree.HALF)
                value = inner[0]
                for x in inner[1:]:  # the greater is half of the sum and of the distance
                    mean = tree.mul(tree.HALF, tree.add(value, x))
                    value = tree.add(mean, tree.mul(half, self._size(tree.sub(value, x))))
                return value
            constant = not any(tree.symbols(x) for x in inner)
            return node if constant and name in FLOAT_FUNCTIONS else self._unknown(name, inner)
        if kind not in ("add", "mul", "pow", "deg", "pct"):
            return node
        inner = [self.smooth(a) for a in args]
        charge(1)
        if kind == "pow" and inner[1].kind == "num" and not inner[1].args[0].denominator % 2:
            root = self._root(inner[0], inner[1].args[0])
            if root is not None:
                return root
        return node if all(map(is_, inner, args)) else tree.rebuild(kind, *inner)

    def cases(self, *nodes: Node) -> list[tuple[Node, ...]] | None:
        """Return the expressions for every choice of signs, or None if there are too many."""
        if len(self._absolute) > _MOST:
            return None
        found = []
        for signs in product((tree.ONE, tree.MINUS_ONE), repeat=len(self._absolute)):
            these = nodes
            for sign, (name, value) in zip(signs, reversed(self._absolute), strict=True):
                signed = tree.mul(sign, value)
                these = tuple(tree.substitute(n, name.key, signed) for n in these)
            found.append(these)
        return found

    def _unknown(self, name: str, args: list[Node]) -> Node:
        for other, values, mark in self._opaque:
            if other == name and len(values) == len(args) and all(map(self._same, values, args)):
                return mark
            if other == name in ("floor", "ceil"):
                steps = self._steps(args[0], values[0])
                if steps is not None:  # floor(x + 1) is floor(x) + 1
                    return tree.add(mark, steps)
        mark = tree.sym(f"@{len(self._opaque)}")
        self._opaque.append((name, args, mark))
        return mark

    def _steps(self, node: Node, other: Node) -> Node | None:
        """Return the whole number by which an expression is greater than another, or None."""
        try:
            apart = tree.sub(node, other)
            for name in tree.symbols(apart):
                apart = tree.substitute(apart, name, tree.num(2))
        except Unreadable:
            return None
        whole = apart.kind == "num" and apart.args[0].denominator == 1
        return apart if whole and self._same(node, tree.add(other, apart)) else None

    def _size(self, node: Node) -> Node:
        """Return the absolute value of a real expression, factor by factor."""
        if node.kind == "mul":
            return tree.mul(*map(self._size, node.args))
        base, exponent = tree.power_of(node)
        if base is not node and exponent.kind == "num" and exponent.args[0].denominator % 2:
            return tree.power(self._size(base), exponent)
        if _never_negative(node) or self._has_no_root(node):
            return node
        if tree.imaginary(node):
            conjugate = tree.substitute(node, "i", tree.neg(tree.I))
            return tree.power(tree.mul(node, conjugate), tree.HALF)
        if not tree.symbols(node):
            value = magnitude(node)
            if value is not None and abs(value) > 1e-6:
                return node if value > 0 else tree.neg(node)
        scale = _leading(node)
        if scale != 1:  # |3x + 12| is 3|x + 4|
            inner = tree.mul(tree.num(1 / scale), node)
            return tree.mul(tree.num(abs(scale)), self._size(inner))
        opposite = tree.neg(node)
        for mark, value_of in self._absolute:
            if self._same(value_of, node) or self._same(value_of, opposite):
                return mark
        mark = tree.sym(f"@abs {len(self._absolute)}")
        self._absolute.append((mark, node))
        return mark

    def _root(self, base: Node, exponent: Fraction) -> Node | None:
        """Return an even root of squares, which is an absolute value; None where there are none."""
        outside, inside = [], []
        for factor in tree.factors_of(base):
            stem, inner = tree.power_of(factor)
            square = self._square(factor) if factor.kind == "add" else None
            if square is not None:
                scale, line = square
                outside.append(tree.power(scale, tree.num(exponent)))
                outside.append(tree.power(self._size(line), tree.num(2 * exponent)))
            elif inner.kind == "num" and inner.args[0] % 2 == 0 and not tree.imaginary(factor):
                outside.append(tree.power(self._size(stem), tree.num(inner.args[0] * exponent)))
            else:
                inside.append(factor)
        if not outside:
            return None
        rest = [tree.power(tree.mul(*inside), tree.num(exponent))] if inside else []
        return tree.mul(*outside, *rest)

    def _square(self, node: Node) -> tuple[Node, Node] | None:
        """Return (a, x + b) of `a x^2 + 2ab x + ab^2`, where a is a positive number, or None."""
        for name in sorted(tree.symbols(node)):
            found = _completed(node, name)
            if found is None:
                continue
            a, line, _ = found
            if self._same(tree.mul(a, tree.power(line, tree.num(2))), node):
                return a, line
        return None

    def _has_no_root(self, node: Node) -> bool:
        """Whether an expression is a quadratic that is positive everywhere: `x^2 + x + 3`."""
        names = tree.symbols(node) if node.kind == "add" else set()
        found = _completed(node, *names) if len(names) == 1 else None
        if found is None or found[2].kind != "num" or found[2].args[0] <= 0:
            return False
        a, line, rest = found
        return self._same(tree.add(tree.mul(a, tree.power(line, tree.num(2))), rest), node)


def _completed(node: Node, name: str) -> tuple[Node, Node, Node] | None:
    """Return (a, x + b, c) of what may be `a (x + b)^2 + c` in a variable, where a is positive."""
    try:
        low, at_zero, high = (tree.substitute(node, name, tree.num(n)) for n in (-1, 0, 1))
        a = tree.sub(tree.mul(tree.HALF, tree.add(low, high)), at_zero)
        if a.kind != "num" or a.args[0] <= 0:
            return None
        b = tree.div(tree.mul(tree.HALF, tree.sub(high, low)), tree.mul(tree.num(2), a))
        rest = tree.sub(at_zero, tree.mul(a, tree.power(b, tree.num(2))))
    except Unreadable:
        return None
    return a, tree.add(tree.sym(name), b), rest


def _leading(node: Node) -> Fraction:
    """Return the factor of one part of a sum that does not depend on the factor of the whole."""
    if node.kind != "add":
        return Fraction(1)
    parts = [tree.coefficient(a) for a in node.args if a.kind != "num"]
    return min(parts, key=lambda p: p[1].key)[0]


def _never_negative(node: Node) -> bool:
    """Whether a real expression is seen to be nowhere negative."""
    kind, args = node.kind, node.args
    if kind == "num":
        return bool(args[0] >= 0)
    if kind in ("add", "mul"):
        return all(map(_never_negative, args))
    if kind == "pow":
        if args[1].kind == "num" and args[1].args[0].numerator % 2 == 0:
            return True
        return _never_negative(args[0])
    return node.key in ("pi", "e") or (kind == "sym" and node.key.startswith("@abs "))
