"""What stands before a value: words such as "about", names, and labels of points and cases."""

from __future__ import annotations

from harness.verify.algebra import tree
from harness.verify.algebra.node import Node
from harness.verify.limits import Unreadable, charge
from harness.verify.reading.cursor import CLOSING, Cursor
from harness.verify.reading.words import LEADING, normal_words


def lead(c: Cursor) -> None:
    """Go past words such as "about", a relation without a left side, and a label."""
    while (
        c.peek().kind == "word" and c.peek().value.lower() in LEADING and c.peek(1).kind != "end"
    ) or c.op("approx", "equiv", "sim", "="):
        c.take()
    if c.at and c.tokens[c.at - 1].kind == "word":
        c.accept(":")  # Total: 30
    _label(c)


_LABELS = {
    "amplitude", "area", "at", "axis", "base", "center", "centre", "circumference", "coordinate",
    "coordinates", "count", "diameter", "difference", "distance", "domain", "eccentricity",
    "equals", "foci", "focus", "height", "intercept", "is", "its", "length", "max", "maximum",
    "mean", "median", "min", "minimum", "mode", "number", "of", "perimeter", "period", "point",
    "probability", "product", "radius", "range", "ratio", "side", "slope", "sum", "symmetry",
    "the", "total", "value", "variance", "vertex", "vertices", "volume", "width", "with",
    "x-intercept", "y-intercept",
}  # fmt: skip


def label_in_words(c: Cursor) -> bool:
    """Go past nouns that only say what a value is: "vertex (2, -1)", "maximum value 2"."""
    start = c.at
    while (c.peek().kind == "word" and c.peek().value.lower() in _LABELS) or _of_an_axis(c):
        c.at += 3 if c.peek().kind == "let" else 1
    c.accept("=", ":")
    return c.at > start


def _of_an_axis(c: Cursor) -> bool:
    """Whether `y-intercept` or the like follows."""
    letter, dash, noun = (c.peek(i) for i in range(3))
    return letter.kind == "let" and dash.value == "-" and noun.value in ("intercept", "coordinate")


def name_in_words(c: Cursor) -> Node:
    r"""Read what stands before an equals sign as a name: `\text{Area} = 12`, `P(X = 2) = 1/3`."""
    name, level, start = "", 0, c.at
    while not (c.op("=") and not level) and c.peek().kind != "end":
        t = c.take()
        level += (t.kind == "op" and t.value in CLOSING) - (t.value in CLOSING.values())
        name += (" " if t.space else "") + t.value
        if not level and c.separator():
            break
    charge(2 * (c.at - start))
    named = (t.kind == "word" or t.value in ("(", "max", "min") for t in c.tokens[start : c.at])
    if not c.op("=") or not any(named):
        raise Unreadable("no name before an equals sign")
    return tree.text(normal_words(name))


def _label(c: Cursor) -> None:
    """Go past the name of a point or case: `P(1,2)`, `Minimum: 3`."""
    t = c.peek()
    if t.kind == "let" and t.value.isupper() and c.peek(1).value == "_":
        index, opening = c.peek(2), c.peek(3)
        if index.kind == "num" and opening.value == "(" and _holds_a_comma(c, 3):
            c.at += 3  # F_1(-4, 0)
        return
    # a capital before two coordinates; F, G and H are functions, and one coordinate a product
    if t.kind == "let" and t.value.isupper() and c.peek(1).value == "(" and t.value not in "FGH":
        if _holds_a_comma(c, 1):
            c.take()
        return
    i = 0
    while c.peek(i).kind == "word" or (c.peek(i).kind == "let" and i):
        i += 1
    colon = c.peek(i)
    # words before a colon; capitals before one are a ratio of segments, AB : CD
    if (
        i
        and colon.kind == "op"
        and colon.value == ":"
        and c.peek(i + 1).kind != "end"
        and (i > 1 or (len(t.value) > 1 and not t.value.isupper()))
    ):
        c.at += i + 1


def _holds_a_comma(c: Cursor, i: int) -> bool:
    """Whether the bracket that opens at a coming token holds coordinates and ends its item."""
    depth, comma = 0, False
    while c.peek(i).kind != "end":
        v = c.peek(i).value
        depth += (v == "(") - (v == ")")
        comma = comma or (v == "," and depth == 1)
        if not depth:
            break
        i += 1
    return comma and (c.peek(i + 1).kind == "end" or c.peek(i + 1).value in (",", ";", "and"))
