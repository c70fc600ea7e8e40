"""Root separation: how small an algebraic constant can be without being zero.

The bound of Burnikel, Funke, Mehlhorn, Schirra and Schmitt ("A separation bound for real
algebraic expressions", Algorithmica 55, 2009): for an expression E over integers with operations
+, -, *, / and k-th roots, E is zero or |E| >= 1 / (u(E)^(D-1) * l(E)), where D is the product of
the degrees of its roots, and u, l bound numerator and denominator. `i` counts as a square root.
"""

from __future__ import annotations

from fractions import Fraction
from math import prod

from harness.verify.algebra.node import Node

_MAX_DEGREE = 256


class _Unbounded(Exception):
    """The expression is not algebraic, or too large for its bound to be of use."""


def bound_bits(node: Node) -> int | None:
    """Return b such that the constant is zero if it is smaller than 2^-b, or None."""
    roots: dict[str, int] = {}
    try:
        up, low = _bounds(node, roots)
    except _Unbounded:
        return None
    degree = prod(roots.values())
    return int((degree - 1) * up + low) + 2 if degree <= _MAX_DEGREE else None


def _bounds(node: Node, roots: dict[str, int]) -> tuple[float, float]:
    """Return base-2 logarithms of u(E) and l(E); collect the roots met, by key."""
    kind, args = node.kind, node.args
    if kind == "num":
        value: Fraction = args[0]
        return float(abs(value.numerator).bit_length()), float(value.denominator.bit_length())
    if node.key == "i":
        roots["i"] = 2
        return 0.0, 0.0
    if kind in ("add", "mul"):
        parts = [_bounds(a, roots) for a in args]
        low = sum(p[1] for p in parts)
        if kind == "mul":
            return sum(p[0] for p in parts), low
        return max(p[0] + low - p[1] for p in parts) + len(parts).bit_length(), low
    if kind != "pow" or args[1].kind != "num":
        raise _Unbounded
    exponent: Fraction = args[1].args[0]
    up, low = _bounds(args[0], roots)
    power, k = abs(exponent.numerator), exponent.denominator
    if power > 10_000 or k > 64:
        raise _Unbounded
    up, low = up * power, low * power
    if k > 1:
        roots[f"{args[0].key} root {k}"] = k
        if up >= low:
            up = (up + (k - 1) * low) / k
        else:
            low = ((k - 1) * up + low) / k
    return (low, up) if exponent < 0 else (up, low)
