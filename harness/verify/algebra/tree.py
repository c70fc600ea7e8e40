"""Expression trees in a canonical form: equal keys mean equal values.

A `Node` is built only by the constructors below, which fold exact numbers, collect equal
terms and factors and sort what commutes, so that most equal answers get the same key. Folding is
bounded: a power too large to compute stays a power.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from fractions import Fraction
from math import comb, factorial, gcd, lcm
from typing import Any

from harness.verify.algebra.arithmetic import (
    add,
    coefficient,
    determinant,
    div,
    factor,
    mul,
    neg,
    power,
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
    bounded,
    factors_of,
    make,
    matrix,
    nodes_in,
    num,
    power_of,
    terms_of,
    whole_term,
)
from harness.verify.limits import MAX_FACTORIAL, Unreadable

# fmt: off
__all__ = [
    "HALF", "INFINITY", "MINUS_ONE", "ONE", "PI", "ZERO", "E", "I", "Node", "add", "coefficient",
    "degrees", "determinant", "div", "factor", "factors_of", "fn", "imaginary", "in_radians",
    "leaves", "make", "mapped", "matrix", "modulo", "mul", "neg", "num", "percentage", "power",
    "power_of", "quantity", "rebuild", "relation", "root", "structure", "sub", "substitute",
    "sym", "symbols", "terms_of", "text", "value_of", "whole_term",
]
# fmt: on


def sym(name: str) -> Node:
    """Return the node of a variable; `name` carries subscripts and primes."""
    return Node("sym", (name,), name, 1)


def structure(kind: str, parts: Iterable[Node], open_: str = "", close: str = "") -> Node:
    """Return a list, set, union, ratio or bracketed tuple of items."""
    items = tuple(parts)
    inner = ", ".join(i.key for i in items)
    if kind == "br":
        return make("br", (open_, close, items), f"{open_}{inner}{close}")
    return make(kind, items, f"{{{inner}}}" if kind == "set" else f"{kind}[{inner}]")


def relation(operators: Iterable[str], sides: Iterable[Node]) -> Node:
    """Return a chain of relations, such as `0 < x <= 1`."""
    signs, items = tuple(operators), tuple(sides)
    key = items[0].key + "".join(f" {o} {i.key}" for o, i in zip(signs, items[1:], strict=True))
    return make("rel", (signs, items), key)


def text(words: str) -> Node:
    """Return plain words, already normalised."""
    return Node("text", (words,), f'"{words}"', 1)


def symbols(node: Node) -> set[str]:
    """Return the names of the variables in a node."""
    return {leaf.args[0] for leaf in leaves(node) if leaf.kind == "sym"}


def leaves(node: Node) -> list[Node]:
    """Return the nodes in a node that hold no other."""
    found, todo = [], [node]
    while todo:
        n = todo.pop()
        inner = () if n.kind in ("num", "sym", "const") else nodes_in(n.args)
        if inner:
            todo += inner
        else:
            found.append(n)
    return found


def imaginary(node: Node) -> bool:
    """Whether `i` occurs in a node."""
    return any(leaf.kind == "const" and leaf.key == "i" for leaf in leaves(node))


def root(value: Node, degree: Node) -> Node:
    """Return the principal root; the real one of a negative number when the degree is odd."""
    return power(value, power(degree, MINUS_ONE))


def mapped(node: Node, function: Callable[[Node], Node]) -> Node:
    """Return a node built anew from what a function makes of each node directly in it."""
    kind, args = node.kind, node.args
    if kind in ("add", "mul", "pow", "deg", "pct"):
        return rebuild(kind, *map(function, args))
    if kind == "fn":
        return fn(args[0], *map(function, args[1:]))
    if kind == "matrix":
        return matrix(map(function, row) for row in args)
    if kind == "br":
        return structure("br", map(function, args[2]), *args[:2])
    if kind in ("set", "list", "union", "ratio"):
        return structure(kind, map(function, args))
    if kind == "rel":
        return relation(args[0], map(function, args[1]))
    if kind == "unit":
        return make("unit", (function(args[0]), args[1]), node.key)
    return node


def rebuild(kind: str, *args: Node) -> Node:
    """Return an expression node of `kind` built anew from its arguments."""
    operations: dict[str, Callable[..., Node]] = {"add": add, "mul": mul, "pow": power}
    if kind in operations:
        return operations[kind](*args)
    return make(kind, args, f"{kind}({args[0].key})")


def substitute(node: Node, name: str, value: Node) -> Node:
    """Return the node with a variable (or the constant `name`) replaced."""
    if node.kind in ("sym", "const"):
        return value if node.args[0] == name else node
    return mapped(node, lambda n: substitute(n, name, value)) if name in node.key else node


def in_radians(node: Node) -> Node:
    """Return a term with its angles in degrees turned to radians."""
    if node.kind == "deg":
        return mul(node.args[0], PI, num(Fraction(1, 180)))
    if node.kind == "mul" and any(f.kind == "deg" for f in node.args):
        return mul(*map(in_radians, node.args))
    return node


def degrees(node: Node) -> Node:
    """Return an angle in degrees."""
    return make("deg", (value_of(node),), f"{value_of(node).key} deg")


def percentage(node: Node) -> Node:
    """Return a percentage."""
    return make("pct", (value_of(node),), f"{value_of(node).key}%")


def quantity(value: Node, unit: str) -> Node:
    """Return a value with its unit."""
    return make("unit", (value, unit), f"{value.key} [{unit}]")


def modulo(value: Node, modulus: Node) -> Node:
    """Return a residue with its modulus."""
    return make("fn", ("@mod", value, modulus), f"{value.key} mod {modulus.key}")


# -- functions applied to arguments --------------------------------------------------------------

_BY_OTHERS: dict[str, Callable[[Node], Node]] = {
    "sqrt": lambda x: power(x, HALF),
    "exp": lambda x: power(E, x),
    "cis": lambda x: power(E, mul(I, x)),
    "sec": lambda x: power(fn("cos", x), MINUS_ONE),
    "csc": lambda x: power(fn("sin", x), MINUS_ONE),
    "cot": lambda x: div(fn("cos", x), fn("sin", x)),
    "tan": lambda x: div(fn("sin", x), fn("cos", x)),
}
_OF_SEVERAL: dict[str, Callable[..., Any]] = {"gcd": gcd, "lcm": lcm, "min": min, "max": max}
_EVEN = {"cos", "cosh", "abs"}
_ODD = {"sin", "asin", "atan", "sinh", "tanh"}


def fn(name: str, *args: Node) -> Node:
    """Return a function application, folded where that is exact and short."""
    args = tuple(a if a.kind in ("br", "set", "matrix") else value_of(a) for a in args)
    arg = args[0] if args else ZERO
    if name in _BY_OTHERS:
        return _BY_OTHERS[name](arg)
    if name == "logbase":
        return fn("ln", args[1]) if arg.key == "e" else div(fn("ln", args[1]), fn("ln", arg))
    if name in _OF_SEVERAL:
        if all(a.kind == "num" for a in args):
            return _of_numbers(name, [a.args[0] for a in args])
        args = tuple(sorted(args, key=lambda a: a.key))
    elif arg.kind == "num":
        found = _of_number(name, arg.args[0], args[1:])
        if found is not None:
            return found
    if name == "abs" and arg.kind == "matrix":
        return determinant(arg)
    if name == "ln" and arg.key == "e":
        return ONE
    if name == "ln" and arg.kind == "pow" and arg.args[0].key == "e":
        exponent: Node = arg.args[1]
        return exponent
    if name in ("sin", "cos"):
        exact = _exact_trig(name, arg)
        if exact is not None:
            return exact
    if name in _EVEN | _ODD and coefficient(arg)[0] < 0:
        return fn(name, neg(arg)) if name in _EVEN else neg(fn(name, neg(arg)))
    if arg.key == "oo":
        raise Unreadable("function of infinity")
    return make("fn", (name, *args), f"{name}({', '.join(a.key for a in args)})")


def _of_number(name: str, n: Fraction, more: tuple[Node, ...]) -> Node | None:
    """Return a function of an exact number, or None where it is neither exact nor short."""
    whole = n.denominator == 1
    if name == "factorial" and whole and 0 <= n <= MAX_FACTORIAL:
        return num(factorial(int(n)))
    if name == "binomial" and whole and 0 <= n <= 4_000 and more[0].kind == "num":
        k: Fraction = more[0].args[0]
        return num(comb(int(n), int(k))) if k.denominator == 1 and k >= 0 else None
    if name in ("floor", "ceil"):
        return num(n.__floor__() if name == "floor" else n.__ceil__())
    if name == "abs":
        return num(abs(n))
    if name in ("ln", "log") and n == 0:
        raise Unreadable("logarithm of zero")
    return ZERO if name in ("ln", "log") and n == 1 else None


def _of_numbers(name: str, values: list[Fraction]) -> Node:
    function = _OF_SEVERAL[name]
    if name in ("min", "max"):
        return num(function(values))
    if any(v.denominator != 1 for v in values):
        raise Unreadable(f"{name} of fractions")
    found = int(values[0])
    for v in values:
        found = int(bounded(Fraction(function(found, int(v)))))
    return num(found)


_SQRT2, _SQRT3 = power(num(2), HALF), power(num(3), HALF)
_SIN_12TH = {0: ZERO, 2: HALF, 3: div(_SQRT2, num(2)), 4: div(_SQRT3, num(2)), 6: ONE}


def _exact_trig(name: str, arg: Node) -> Node | None:
    """Return sin or cos of a multiple of pi/6 or pi/4, or None."""
    arg = in_radians(arg) if arg.kind == "deg" else arg
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
