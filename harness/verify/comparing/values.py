"""Single values compared: expressions, constants by their names, roundings, ratios, numerals."""

from __future__ import annotations

import re
from fractions import Fraction
from itertools import permutations

from harness.verify.algebra import tree
from harness.verify.algebra.equal import tolerance_equal
from harness.verify.algebra.node import Node
from harness.verify.algebra.numeric import magnitude
from harness.verify.comparing.comparison import Comparison, Result
from harness.verify.comparing.parts import BASIS, unit_vectors
from harness.verify.comparing.quantities import split_unit
from harness.verify.limits import MAX_EXPONENT_10


def values(c: Comparison, gold: Node, answer: Node) -> Result:
    """Compare two expressions, then within the declared tolerance."""
    result = c.equal(gold, answer)
    if result[0]:
        return result
    names = tree.symbols(gold) | tree.symbols(answer)
    readings = (
        (names.intersection(BASIS), unit_vectors, "bare letters as unit vectors"),
        ("I" in names, lambda n: tree.substitute(n, "I", tree.I), "I as the imaginary unit"),
        ("log(" in gold.key or "log(" in answer.key, _common_logs, "log to base ten"),
    )
    for possible, reading, why in readings:
        if possible and c.equal(reading(gold), reading(answer))[0]:
            return True, f"equal with {why}"
    if names and c.conventions.letters == "units":
        # 5*m may be five metres: a unit inside the expression on one side only is dropped
        (value, unit), (measured, other) = split_unit(gold), split_unit(answer)
        if bool(unit) != bool(other) and not (tree.symbols(value) or tree.symbols(measured)):
            return values(c, value, measured)
    if names:
        return _renamed(c, gold, answer) or result
    rules = c.conventions
    if (rules.relative or rules.absolute) and tolerance_equal(
        gold, answer, rules.relative, rules.absolute
    ):
        return True, "within the declared tolerance"
    if rules.rounding != "exact" and _rounds(c, gold, answer):
        return True, "equal after the declared rounding"
    return result


def _common_logs(node: Node) -> Node:
    """Return the node with log read to base ten."""
    if node.kind == "fn" and node.args[0] == "log":
        return tree.fn("logbase", tree.num(10), _common_logs(node.args[1]))
    inside = node.kind in ("add", "mul", "pow", "deg", "pct")
    return tree.mapped(node, _common_logs) if inside else node


_CONSTANT = re.compile(r"[CcK](?:_\d)?")
_MAYBE_CONSTANT = re.compile(r"[ABCDKabck](?:_\d)?")


def _renamed(c: Comparison, gold: Node, answer: Node) -> Result | None:
    """Compare general solutions such as `k*pi` and `n*pi` up to the whole number's name."""
    if c.conventions.names == "match":
        return None
    left, right = tree.symbols(gold), tree.symbols(answer)
    mine, other = sorted(left - right), sorted(right - left)
    if (
        1 <= len(mine) == len(other) <= 3
        and gold.kind != "sym"
        and any(all(map(_CONSTANT.fullmatch, names)) for names in (mine, other))
        and all(map(_MAYBE_CONSTANT.fullmatch, mine + other))
        and all(_is_free(gold, name) for name in mine)
    ):
        for names in permutations(mine):
            renamed = answer
            for old, new in zip(other, names, strict=True):
                renamed = tree.substitute(renamed, old, tree.sym(new))
            if c.equal(gold, renamed)[0]:
                return True, "equal up to the names of the constants"
    if "pi" not in gold.key or "pi" not in answer.key:
        return None  # only solutions of trigonometric equations count a period
    if (
        len(left) == len(right) == 1
        and left | right <= {"k", "n", "m", "l"}
        and c.equal(gold, tree.substitute(answer, right.pop(), tree.sym(left.pop())))[0]
    ):
        return True, "equal up to the name of the whole number"
    return None


def _is_free(node: Node, name: str) -> bool:
    """Whether a constant is added or scales a function: `x + C`, `C e^x`, but not `9c + 6`."""
    return any(p.key == name or {name} < tree.symbols(p) for p in tree.terms_of(node))


def _rounds(c: Comparison, gold: Node, answer: Node) -> bool:
    """Whether one side is the other rounded to its own decimals."""
    places = c.gold_places
    if places is not None and gold.kind == "num" and _rounds_to(gold.args[0], answer, places):
        return True
    if answer.kind != "num" or c.conventions.rounding == "gold":
        return False
    rounded: Fraction = answer.args[0]
    if c.conventions.rounding == "either":
        places = _decimal_places(rounded)
        # fewer than three significant digits would let a guess count
        if not places or abs(rounded) * 10**places < 100:
            return False
    return places is not None and _rounds_to(rounded, gold, places)


def _decimal_places(value: Fraction) -> int | None:
    """Return how many decimals a number has, or None if it never ends."""
    bottom, fives = value.denominator, 0
    twos = (bottom & -bottom).bit_length() - 1
    bottom >>= twos
    while bottom % 5 == 0:
        bottom, fives = bottom // 5, fives + 1
    return max(twos, fives) if bottom == 1 else None


def _rounds_to(rounded: Fraction, exact: Node, places: int) -> bool:
    """Whether `exact` rounds to `rounded` at that many decimals, halves either way.

    A negative number of decimals counts places before the point.
    """
    if abs(places) > MAX_EXPONENT_10:
        return False
    half = Fraction(1, 2) / Fraction(10) ** places
    if exact.kind == "num":
        return bool(abs(exact.args[0] - rounded) <= half)
    value = magnitude(exact)
    try:
        return value is not None and abs(value - float(rounded)) <= float(half) * (1 + 1e-9)
    except OverflowError:
        return False


def ratios(c: Comparison, gold: Node, answer: Node) -> Result:
    """Compare ratios: as a quotient for two terms, up to a factor for more."""
    if gold.kind == answer.kind == "ratio":
        a, b = gold.args, answer.args
        if _is_clock(gold) and _is_clock(answer):
            return False, "two times of day, or one ratio in other terms"
        if len(a) != len(b):
            return False, "ratios of different length"
        same = tree.ZERO not in (*a, *b) and c.all_same(
            [tree.mul(a[0], y) for y in b[1:]], [tree.mul(b[0], x) for x in a[1:]]
        )
        return same, "proportional terms" if same else "terms not in proportion"
    left, right = _quotient(gold), _quotient(answer)
    if left is None or right is None:
        return False, f"a {gold.kind} against a {answer.kind}"
    return c.same(left, right)


def bases(c: Comparison, gold: Node, answer: Node) -> Result:
    """Compare base-n numerals; the gold's base may be left out by the answer."""
    if gold.kind == answer.kind:
        return gold.args[:2] == answer.args[:2], "different numerals"
    if gold.kind == "base":
        same = answer.kind == "num" and answer.key == gold.args[0]
        return same, "the same digits without the base" if same else "not the same numeral"
    return c.same(gold, tree.num(answer.args[2]))


def _quotient(node: Node) -> Node | None:
    """Return what a ratio of two terms is worth, or None."""
    if node.kind == "ratio":
        return tree.div(*node.args) if len(node.args) == 2 and node.args[1].key != "0" else None
    return node


def _is_clock(node: Node) -> bool:
    """Whether a ratio may be a time of day instead, as 2:20 may and 3:4 may not."""
    return len(node.args) == 2 and all(
        x.kind == "num" and x.args[0].denominator == 1 and low <= x.args[0] < high
        for x, low, high in zip(node.args, (0, 10), (25, 60), strict=True)
    )
