"""Values with units compared: quantities, percentages, angles, temperatures, times of day."""

from __future__ import annotations

from fractions import Fraction

from harness.verify.algebra import tree
from harness.verify.algebra.node import Node
from harness.verify.comparing.comparison import Comparison, Result
from harness.verify.comparing.parts import EXPRESSIONS
from harness.verify.reading.words import canonical_unit

_UNIT_SYMBOLS = {"m", "s", "h", "g", "L", "l"}


def split_unit(node: Node) -> tuple[Node, str]:
    """Return (576*pi, "m ^2") of `576*pi*m^2`, and (node, "") where no letter is a unit.

    Only metre, second, hour, gram and litre.
    """
    factors = tree.factors_of(node)
    units = [f for f in factors if tree.power_of(f)[0].key in _UNIT_SYMBOLS]
    if len(factors) == 1 or len(units) != 1:
        return node, ""
    letter, power = (n.key for n in tree.power_of(units[0]))
    if power not in ("1", "2", "3"):
        return node, ""
    name = letter if power == "1" else f"{letter} ^{power}"
    return tree.mul(*(f for f in factors if f is not units[0])), name


def _with_unit(node: Node) -> Node:
    """Return `5*m` as five metres, for comparison with an answer that has a unit."""
    value, unit = split_unit(node)
    if not unit or tree.symbols(value):
        return node  # with another variable in it, m is more likely one too
    return tree.quantity(value, unit)


def units(c: Comparison, gold: Node, answer: Node) -> Result:
    """Compare values with a unit on one side or both."""
    if "deg" in (gold.kind, answer.kind) and (_radians(gold) or _radians(answer)):
        return angles(c, gold, answer)
    if c.conventions.letters == "units" or gold.kind == "unit":  # the gold says that it has units
        gold, answer = _with_unit(gold), _with_unit(answer)
    (value, kind, size, name), (other, other_kind, other_size, other_name) = (
        (n.args[0], *canonical_unit(n.args[1])) if n.kind == "unit" else (n, "", Fraction(1), "")
        for n in (gold, answer)
    )
    if (name, other_kind) in _LETTERS:
        kind, size = _LETTERS[name, other_kind], Fraction(1)
    elif (other_name, kind) in _LETTERS:
        other_kind, other_size = _LETTERS[other_name, kind], Fraction(1)
    match = c.conventions.units == "match"
    if name and other_name:
        if kind and other_kind:
            if kind != other_kind:
                warm, also = _kelvins(kind, value), _kelvins(other_kind, other)
                if warm is not None and also is not None:
                    return c.same(warm, also)
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
    named = _radians(gold) or _radians(answer) or (gold.kind != "deg" and "pi" in gold.key)
    left, right = (n.args[0] if n.kind in ("deg", "unit") else n for n in (gold, answer))
    result = (False, "degrees against radians") if named else c.same(left, right)
    if result[0] or c.conventions.degrees == "strict":
        return result
    if left.kind in EXPRESSIONS and right.kind in EXPRESSIONS:
        left = tree.in_radians(gold) if gold.kind == "deg" else left
        right = tree.in_radians(answer) if answer.kind == "deg" else right
        plain = (answer if gold.kind == "deg" else gold).key
        # a bare number is an angle in radians only where it looks like one
        turned = named or any(mark in plain for mark in ("pi", "asin", "acos", "atan"))
        if turned and c.equal(left, right)[0]:
            return True, "degrees against radians"
    return result


def _radians(node: Node) -> bool:
    """Whether a value says that it is in radians."""
    return node.kind == "unit" and node.args[1] in ("rad", "rads", "radian", "radians")


def times(_: Comparison, gold: Node, answer: Node) -> Result:
    """Compare times of day; a half of the day counts where both give it."""
    if gold.kind != answer.kind:
        return False, "a time against something else"
    a, b = gold.args, answer.args
    same = a[:3] == b[:3] and (not a[3] or not b[3] or a[3] == b[3])
    return same, "the same time" if same else "different times"
