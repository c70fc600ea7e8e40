"""Numbers in words: `one hundred and six`, `two thirds`, `two and a half`, `seventh`."""

from __future__ import annotations

from fractions import Fraction

from harness.verify.algebra import tree
from harness.verify.algebra.node import Node
from harness.verify.reading.cursor import Cursor
from harness.verify.reading.words import (
    DENOMINATORS,
    NUMBER_WORDS,
    ORDINAL_WORDS,
    SCALES,
    number_of,
)


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
