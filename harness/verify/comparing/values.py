"""Single values compared: expressions, units, percentages, angles, ratios, numerals."""

from __future__ import annotations

import re
from fractions import Fraction
from itertools import permutations

from harness.verify.algebra import tree
from harness.verify.algebra.equal import tolerance_equal
from harness.verify.algebra.node import Node
from harness.verify.comparing.comparison import Comparison, Result
from harness.verify.comparing.parts import (
    BASIS,
    EXPRESSIONS,
    common_logs,
    decimal_places,
    is_clock,
    quotient,
    radians,
    rounds_to,
    unit_vectors,
    with_unit_symbol,
    without_unit,
)
from harness.verify.reading.words import canonical_unit


def values(c: Comparison, gold: Node, answer: Node) -> Result:
    """Compare two expressions, then within the declared tolerance."""
    result = c.equal(gold, answer)
    if result[0]:
        return result
    names = tree.symbols(gold) | tree.symbols(answer)
    if names.intersection(BASIS) and c.equal(unit_vectors(gold), unit_vectors(answer))[0]:
        return True, "equal with bare letters as unit vectors"
    if "I" in names and c.equal(*(tree.substitute(n, "I", tree.I) for n in (gold, answer)))[0]:
        return True, "equal with I as the imaginary unit"
    if ("log(" in gold.key or "log(" in answer.key) and c.equal(
        common_logs(gold), common_logs(answer)
    )[0]:
        return True, "equal with log to base ten"
    if names and c.conventions.letters == "units":
        # 5*m may be five metres: a unit inside the expression on one side only is dropped
        value, measured = without_unit(gold), without_unit(answer)
        if (value is gold) != (measured is answer) and not (
            tree.symbols(value) or tree.symbols(measured)
        ):
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
    parts = node.args if node.kind == "add" else (node,)
    return any(p.key == name or {name} < tree.symbols(p) for p in parts)


def _rounds(c: Comparison, gold: Node, answer: Node) -> bool:
    """Whether one side is the other rounded to its own decimals."""
    if (
        c.gold_places is not None
        and gold.kind == "num"
        and rounds_to(gold.args[0], answer, c.gold_places)
    ):
        return True
    if c.conventions.rounding == "problem":
        places = c.gold_places
        return (
            places is not None and answer.kind == "num" and rounds_to(answer.args[0], gold, places)
        )
    if c.conventions.rounding == "either" and answer.kind == "num":
        places = decimal_places(answer.args[0])
        # fewer than three significant digits would let a guess count
        if places is not None and places and abs(answer.args[0]) * 10**places >= 100:
            return rounds_to(answer.args[0], gold, places)
    return False


def units(c: Comparison, gold: Node, answer: Node) -> Result:
    """Compare values with a unit on one side or both."""
    if "deg" in (gold.kind, answer.kind) and (radians(gold) or radians(answer)):
        return angles(c, gold, answer)
    if c.conventions.letters == "units" or gold.kind == "unit":  # the gold says that it has units
        gold, answer = with_unit_symbol(gold), with_unit_symbol(answer)
    value, other = (n.args[0] if n.kind == "unit" else n for n in (gold, answer))
    none = ("", Fraction(1), "")
    (kind, size, name), (other_kind, other_size, other_name) = (
        canonical_unit(n.args[1]) if n.kind == "unit" else none for n in (gold, answer)
    )
    lettered = _LETTERS.get((name, other_kind)), _LETTERS.get((other_name, kind))
    if lettered[0] is not None:
        kind, size = lettered[0], Fraction(1)
    elif lettered[1] is not None:
        other_kind, other_size = lettered[1], Fraction(1)
    match = c.conventions.units == "match"
    if name and other_name:
        if kind and other_kind:
            warm, also = _kelvins(kind, value), _kelvins(other_kind, other)
            if kind != other_kind and warm is not None and also is not None:
                return c.same(warm, also)
            if kind != other_kind:
                return False, f"the units {name} and {other_name} measure different things"
            if size != other_size and other.kind in EXPRESSIONS:
                return c.same(value, tree.mul(tree.num(other_size / size), other))
        elif match and name != other_name:
            return False, "the units differ"
    elif match and name != other_name:
        return False, "a unit on one side only"
    return c.same(value, other)


# what C and F stand for beside a quantity of a kind: degrees or coulombs, degrees or farads
_LETTERS = {
    ("lb^1", "£^1"): "£^1",
    ("c", "charge^1"): "charge^1",
    ("f", "capacitance^1"): "capacitance^1",
} | {
    (letter, f"{kind}^1"): f"{scale}^1"
    for letter, scale in (("c", "celsius"), ("f", "fahrenheit"))
    for kind in ("celsius", "fahrenheit", "kelvin")
}
_TEMPERATURES = {  # the size of a degree in kelvins, and where its scale begins
    "kelvin^1": (Fraction(1), Fraction(0)),
    "celsius^1": (Fraction(1), Fraction(27315, 100)),
    "fahrenheit^1": (Fraction(5, 9), Fraction(45967, 180)),
}


def _kelvins(kind: str, value: Node) -> Node | None:
    """Return a temperature in kelvins, or None if a quantity is none."""
    if kind not in _TEMPERATURES or value.kind != "num":
        return None
    size, zero = _TEMPERATURES[kind]
    return tree.num(value.args[0] * size + zero)


def percentages(c: Comparison, gold: Node, answer: Node) -> Result:
    """Compare a percentage with a percentage or a number."""
    if gold.kind == answer.kind:
        return c.same(gold.args[0], answer.args[0])
    if "deg" in (gold.kind, answer.kind):
        return False, "a percentage against an angle"
    number = (gold if gold.kind == "pct" else answer).args[0]
    plain = answer if gold.kind == "pct" else gold
    # 7 is 700% by value alone: whoever may take p% as p writes 7% for it
    several = plain.kind == "num" and plain.args[0].denominator == 1 and abs(plain.args[0]) > 1
    wanted = "number" if c.conventions.percent == "either" and several else c.conventions.percent
    for name, value in (("value", tree.div(number, tree.num(100))), ("number", number)):
        if wanted in ("either", name):
            pair = (value, answer) if gold.kind == "pct" else (gold, value)
            if c.same(*pair)[0]:
                return True, f"a percentage taken as its {name}"
    return False, "a percentage of another value"


def angles(c: Comparison, gold: Node, answer: Node) -> Result:
    """Compare an angle in degrees with degrees, a number or radians."""
    if gold.kind == answer.kind:
        return c.same(gold.args[0], answer.args[0])
    named = radians(gold) or radians(answer)
    left, right = (n.args[0] if n.kind in ("deg", "unit") else n for n in (gold, answer))
    result = (False, "degrees against radians") if named else c.same(left, right)
    if result[0] or c.conventions.degrees == "strict":
        return result
    if left.kind in EXPRESSIONS and right.kind in EXPRESSIONS:
        to_radians = tree.mul(tree.PI, tree.num(Fraction(1, 180)))
        left = tree.mul(left, to_radians) if gold.kind == "deg" else left
        right = tree.mul(right, to_radians) if answer.kind == "deg" else right
        plain = (answer if gold.kind == "deg" else gold).key
        # a bare number is an angle in radians only where it looks like one
        turned = named or any(mark in plain for mark in ("pi", "asin", "acos", "atan"))
        if turned and c.equal(left, right)[0]:
            return True, "degrees against radians"
    return result


def ratios(c: Comparison, gold: Node, answer: Node) -> Result:
    """Compare ratios: as a quotient for two terms, up to a factor for more."""
    if gold.kind == answer.kind == "ratio":
        a, b = gold.args, answer.args
        if is_clock(gold) and is_clock(answer):
            return False, "two times of day, or one ratio in other terms"
        if len(a) != len(b):
            return False, "ratios of different length"
        same = "0" not in [n.key for n in (*a, *b)] and all(
            c.same(tree.mul(a[0], y), tree.mul(b[0], x))[0]
            for x, y in zip(a[1:], b[1:], strict=True)
        )
        return same, "proportional terms" if same else "terms not in proportion"
    left, right = quotient(gold), quotient(answer)
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
