"""The last resort: sympy, given only objects built node by node from our own bounded tree."""

from __future__ import annotations

from typing import Any

from harness.verify.algebra.node import Node

_MAX_SIZE = 60
# fmt: off
_SAME_NAME = {
    "sin", "cos", "asin", "acos", "atan", "sinh", "cosh", "tanh", "asinh", "acosh", "atanh", "re",
    "im", "arg",
}
_NAMES = {n: n for n in _SAME_NAME} | {
    "ln": "log", "log": "log", "abs": "Abs", "floor": "floor", "ceil": "ceiling", "max": "Max",
    "min": "Min", "sgn": "sign", "acot": "acot",
}
# fmt: on


def zero(node: Node) -> bool | None:
    """Return whether sympy shows a small expression to be zero; None if it cannot tell."""
    if node.size > _MAX_SIZE:
        return None
    try:
        expression = build(node)
        import sympy

        # each step is quick on a small tree; simplify() is not, on any tree
        for step in (sympy.expand, sympy.expand_trig, sympy.powsimp, sympy.gammasimp):
            expression = step(expression)
            if expression.is_zero:
                return True
        return None
    except Exception:  # any failure of sympy leaves the question open, and open is not equal
        return None


def build(node: Node) -> Any:
    """Return the sympy object of an expression; never parses text.

    Raises:
        ValueError: If a node has no counterpart.
    """
    import sympy as s

    kind, args = node.kind, node.args
    if kind == "num":
        return s.Rational(args[0].numerator, args[0].denominator)
    if kind == "sym":
        return s.Symbol(args[0], real=True)
    if kind == "const":
        return {"pi": s.pi, "e": s.E, "i": s.I, "oo": s.oo}[args[0]]
    if kind in ("add", "mul"):
        return (s.Add if kind == "add" else s.Mul)(*(build(a) for a in args))
    if kind == "pow":
        if args[0].kind == "add" and (args[1].kind != "num" or abs(args[1].args[0]) > 12):
            raise ValueError("a large power of a sum")
        if args[1].kind == "num" and abs(args[1].args[0]) > 1_000:
            raise ValueError("a large power")
        return s.Pow(build(args[0]), build(args[1]))
    if kind == "deg":
        return build(args[0]) * s.pi / 180
    if kind == "pct":
        return build(args[0]) / 100
    if kind == "fn":
        values = [build(a) for a in args[1:]]
        if args[0] in ("factorial", "binomial"):
            if any(v.is_number for v in values):
                raise ValueError("a factorial of a number")
            return (s.factorial if args[0] == "factorial" else s.binomial)(*values)
        if args[0] in _NAMES:
            return getattr(s, _NAMES[args[0]])(*values)
        return s.Function(args[0])(*values)
    raise ValueError(f"no expression: {kind}")
