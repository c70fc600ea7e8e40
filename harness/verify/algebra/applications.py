"""Functions applied to arguments, folded where that is exact and short."""

from __future__ import annotations

from fractions import Fraction
from math import comb, factorial, gcd, lcm

from harness.verify.algebra.arithmetic import (
    coefficient,
    determinant,
    div,
    mul,
    neg,
    power,
    value_of,
)
from harness.verify.algebra.node import (
    HALF,
    MINUS_ONE,
    ONE,
    PI,
    ZERO,
    E,
    I,
    Node,
    bounded,
    make,
    num,
)
from harness.verify.limits import MAX_FACTORIAL, Unreadable

_EVEN = {"cos", "sec", "cosh", "abs"}
_ODD = {"sin", "tan", "csc", "cot", "asin", "atan", "sinh", "tanh"}


def fn(name: str, *args: Node) -> Node:
    """Return a function application, folded where that is exact and short."""
    args = tuple(a if a.kind in ("br", "set", "matrix") else value_of(a) for a in args)
    arg = args[0] if args else ZERO
    number = arg.args[0] if arg.kind == "num" else None
    if name == "factorial" and number is not None and number.denominator == 1:
        if 0 <= number <= MAX_FACTORIAL:
            return num(factorial(int(number)))
    elif name == "binomial" and number is not None and args[1].kind == "num":
        n, k = number, args[1].args[0]
        if n.denominator == k.denominator == 1 and k >= 0 and 0 <= n <= 4_000:
            return num(comb(int(n), int(k)))
    elif name in ("floor", "ceil") and number is not None:
        return num(number.__floor__() if name == "floor" else number.__ceil__())
    elif name == "abs" and number is not None:
        return num(abs(number))
    elif name == "abs" and arg.kind == "matrix":
        return determinant(arg)
    elif name == "sqrt":
        return power(arg, HALF)
    elif name == "exp":
        return power(E, arg)
    elif name == "cis":
        return power(E, mul(I, arg))
    elif name in ("ln", "log"):
        if number == 1:
            return ZERO
        if name == "ln" and arg.key == "e":
            return ONE
        if name == "ln" and arg.kind == "pow" and arg.args[0].key == "e":
            exponent: Node = arg.args[1]
            return exponent
        if number == 0:
            raise Unreadable("logarithm of zero")
    elif name == "logbase":
        base, arg = args
        if base.key == "e":
            return fn("ln", arg)
        return div(fn("ln", arg), fn("ln", base))
    elif name in ("gcd", "lcm", "min", "max") and all(a.kind == "num" for a in args):
        return _of_numbers(name, [a.args[0] for a in args])
    elif name == "sec":
        return power(fn("cos", arg), MINUS_ONE)
    elif name == "csc":
        return power(fn("sin", arg), MINUS_ONE)
    elif name == "cot":
        return div(fn("cos", arg), fn("sin", arg))
    elif name == "tan":
        return div(fn("sin", arg), fn("cos", arg))
    if name in ("gcd", "lcm", "min", "max"):
        args = tuple(sorted(args, key=lambda a: a.key))
    if name in ("sin", "cos"):
        exact = _exact_trig(name, arg)
        if exact is not None:
            return exact
    if name in _EVEN | _ODD and coefficient(arg)[0] < 0:
        return fn(name, neg(arg)) if name in _EVEN else neg(fn(name, neg(arg)))
    if arg.key == "oo":
        raise Unreadable("function of infinity")
    return make("fn", (name, *args), f"{name}({', '.join(a.key for a in args)})")


def _of_numbers(name: str, values: list[Fraction]) -> Node:
    if name in ("min", "max"):
        return num(min(values) if name == "min" else max(values))
    if any(v.denominator != 1 for v in values):
        raise Unreadable(f"{name} of fractions")
    found = int(values[0])
    for v in values:
        found = int(bounded(Fraction((gcd if name == "gcd" else lcm)(found, int(v)))))
    return num(found)


_SQRT2, _SQRT3 = power(num(2), HALF), power(num(3), HALF)
_SIN_12TH = {0: ZERO, 2: HALF, 3: div(_SQRT2, num(2)), 4: div(_SQRT3, num(2)), 6: ONE}


def _exact_trig(name: str, arg: Node) -> Node | None:
    """Return sin or cos of a multiple of pi/6 or pi/4, or None."""
    if arg.kind == "deg":
        arg = mul(arg.args[0], PI, num(Fraction(1, 180)))
    factor, rest = coefficient(arg)
    if arg.key == "0":
        factor = Fraction(0)
    elif rest.key != "pi":
        return None
    twelfths = factor * 12 + (6 if name == "cos" else 0)
    if twelfths.denominator != 1:
        return None
    n = int(twelfths) % 24
    sign, n = (MINUS_ONE, n - 12) if n >= 12 else (ONE, n)
    n = 12 - n if n > 6 else n
    return mul(sign, _SIN_12TH[n]) if n in _SIN_12TH else None
