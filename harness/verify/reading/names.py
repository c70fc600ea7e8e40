"""Variables, constants and functions that only have a name."""

from __future__ import annotations

from harness.verify.algebra import tree
from harness.verify.algebra.node import Node
from harness.verify.limits import Unreadable
from harness.verify.reading.cursor import END, Cursor
from harness.verify.reading.expressions import expression


def letter(c: Cursor, name: str) -> Node:
    """Read what a single letter begins; a bare `e` or `i` is the constant."""
    if name in ("e", "i") and not c.op("_", "'"):
        return tree.E if name == "e" else tree.I
    return subscripted(c, name)


def constant(c: Cursor, word: str) -> Node:
    """Read a constant or a Greek letter written out as a word."""
    lower = word.lower()
    if lower == "pi":
        return tree.PI
    if lower in ("infinity", "inf", "oo", "infty"):
        return tree.INFINITY
    if lower == "undefined":
        raise Unreadable("undefined")
    return subscripted(c, lower)


def subscripted(c: Cursor, name: str) -> Node:
    """Read subscripts, primes and, for a function's name, its arguments."""
    while True:
        if c.accept("_"):
            name += "_" + c.raw_group()
        elif c.accept("'"):
            name += "'"
        elif c.op("^") and c.peek(1).value == "'":
            c.at += 2
            name += "'"
        elif c.op("^") and c.peek(1).value == "{" and c.peek(2).value == "'":
            c.at += 2
            while c.accept("'"):
                name += "'"
            c.expect("}")
        else:
            break
    if (
        name in ("f", "g", "h", "F", "G", "H")
        and c.op("^")
        and [c.peek(i).value for i in range(1, 6)] == ["{", "-", "1", "}", "("]
    ):
        c.at += 5
        name += "^-1"
    if c.op("(") and _is_application(c, name):
        c.take()
        args = [expression(c)]
        while c.accept(",", ";"):
            args.append(expression(c))
        c.expect(")")
        return tree.make("fn", (f"@{name}", *args), f"{name}({', '.join(a.key for a in args)})")
    return tree.sym(name)


def _is_application(c: Cursor, name: str) -> bool:
    """Whether `name(` is a function of something and not a product.

    It is one for the letters that functions usually have, and where an equation follows whose
    left side it is, as in `P(x) = 2x`.
    """
    if name[0] in "fghFGH" and (len(name) == 1 or name[1] in "_'^"):
        return True
    depth, i = 0, c.at
    while i < len(c.tokens):
        t = c.tokens[i]
        if t.kind == "op" and t.value in "([":
            depth += 1
        elif t.kind == "op" and t.value in ")]":
            depth -= 1
            if not depth:
                break
        elif t.kind not in ("let", "num") and t.value not in (",", "theta", "phi", "alpha"):
            return False
        i += 1
    after = c.tokens[i + 1] if i + 1 < len(c.tokens) else END
    return after.kind == "op" and after.value == "="
