"""What letters and words name: constants, variables, functions, and numbers in words."""

from __future__ import annotations

from fractions import Fraction

from harness.verify.algebra import tree
from harness.verify.algebra.node import Node
from harness.verify.limits import Unreadable
from harness.verify.reading.cursor import END, Cursor
from harness.verify.reading.expressions import expression
from harness.verify.reading.words import (
    DENOMINATORS,
    NUMBER_WORDS,
    ORDINAL_WORDS,
    SCALES,
    number_of,
)


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


# -- numbers in words: `one hundred and six`, `two thirds`, `two and a half`, `seventh` ----------


def spoken(c: Cursor, first: str) -> Node | None:
    """Read a number in words, whose first word was just taken; None if it is none."""
    first = first.lower()
    if first == "half":
        return tree.HALF
    if first in ORDINAL_WORDS:
        return tree.num(ORDINAL_WORDS[first])
    if first == "a":
        part = _part(c, 1)
        if part is not None:
            return tree.num(part)
        word = c.peek().value.lower()
        if word not in SCALES:
            return None
        c.take()
        return tree.num(SCALES[word])
    if first not in NUMBER_WORDS and first not in SCALES:
        return None
    words = [first]
    while True:
        mark = c.peek()
        joined = SCALES.get(words[-1], 0) >= 100 and mark.value.lower() == "and"
        ahead = int(joined or (mark.value == "-" and not mark.space))
        word = c.peek(ahead).value.lower()
        if word not in NUMBER_WORDS and (ahead or word not in SCALES):
            break
        words.append(word)
        c.at += ahead + 1
    whole = number_of(words)
    if whole is None:
        return None
    ahead = 1 if c.peek().value == "-" and not c.peek().space else 0
    last = ORDINAL_WORDS.get(c.peek(ahead).value.lower(), 10)
    if NUMBER_WORDS.get(words[-1], 0) >= 20 and last < 10:  # twenty-first
        c.at += ahead + 1
        return tree.num(whole + last)
    part = _part(c, whole)
    if part is not None:
        return tree.num(part)
    return tree.num(whole + and_part(c))


def and_part(c: Cursor) -> Fraction:
    """Read `and a half`, `and three quarters`; zero if nothing of the kind follows."""
    top = c.peek(1).value.lower()
    if c.peek().value.lower() == "and" and (top == "a" or top in NUMBER_WORDS):
        start = c.at
        c.at += 2
        part = _part(c, NUMBER_WORDS.get(top, 1))
        if part is not None and part < 1:
            return part
        c.at = start
    return Fraction(0)


def _part(c: Cursor, top: int) -> Fraction | None:
    """Read the denominator of a fraction in words, `thirds`; one third, but two thirds."""
    ahead = 1 if c.peek().value == "-" and not c.peek().space else 0
    bottom = DENOMINATORS.get(c.peek(ahead).value.lower())
    if bottom is None or (bottom[1] != (top != 1)):
        return None
    c.at += ahead + 1
    return Fraction(top, bottom[0])
