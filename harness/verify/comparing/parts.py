"""The parts of an answer that comparison looks at: names, items, units, decimals."""

from __future__ import annotations

from fractions import Fraction

from harness.verify.algebra import tree
from harness.verify.algebra.fields import Undecided, Undefined
from harness.verify.algebra.node import Node
from harness.verify.algebra.numeric import magnitude
from harness.verify.comparing.comparison import Result
from harness.verify.comparing.regions import is_order
from harness.verify.limits import MAX_EXPONENT_10

EXPRESSIONS = {"num", "sym", "const", "add", "mul", "pow", "fn"}
NOTHING = {"no solution", "none", "empty set", "empty"}
BASIS = ("hat i", "hat j", "hat k")
_UNIT_SYMBOLS = {"m", "s", "h", "g", "L", "l"}


def is_region_list(node: Node) -> bool:
    """Whether a list is one of inequalities or intervals."""
    return node.kind in ("union", "rel") or (
        node.kind == "list" and any(is_order(x) for x in node.args)
    )


def without_unit(node: Node) -> Node:
    """Return `576*pi*m^2` without its unit; only metre, second, hour, gram and litre."""
    if node.kind != "mul":
        return node
    units = [f for f in node.args if (f.args[0] if f.kind == "pow" else f).key in _UNIT_SYMBOLS]
    if len(units) != 1 or (units[0].kind == "pow" and units[0].args[1].key not in ("2", "3")):
        return node
    return tree.mul(*(f for f in node.args if f is not units[0]))


def with_unit_symbol(node: Node) -> Node:
    """Return `5*m` as five metres, for comparison with an answer that has a unit."""
    value = without_unit(node)
    if value is node or tree.symbols(value):
        return node  # with another variable in it, m is more likely one too
    unit = next(f for f in node.args if (f.args[0] if f.kind == "pow" else f).key in _UNIT_SYMBOLS)
    name = unit.key if unit.kind != "pow" else f"{unit.args[0].key} ^{unit.args[1].key}"
    return tree.make("unit", (value, name), f"{value.key} [{name}]")


def in_unit(gold: Node, unit: str | None) -> Node:
    """Return a gold answer without a unit in the unit that its problem asks for."""
    if unit is None or gold.kind not in EXPRESSIONS:
        return gold
    return tree.make("unit", (gold, unit), f"{gold.key} [{unit}]")


def unit_vectors(node: Node) -> Node:
    """Return `i + 2j - k` with its letters as unit vectors."""
    for name in BASIS:
        node = tree.substitute(node, name[-1], tree.sym(name))
    return node


def declared(gold: Node, answer: Node) -> bool:
    """Whether a side is `x in (0, 1)`, so that its brackets are an interval."""
    return any(n.kind == "rel" and n.args[0] == ("in",) for n in (gold, answer))


def single(node: Node) -> Node:
    """Return a single value out of a list, set or name of one."""
    while True:
        inner = node.args[2] if node.kind == "br" else node.args
        if node.kind not in ("list", "set", "br") or len(inner) != 1:
            return node
        node = inner[0]


def ascending(node: Node) -> tuple[tuple[str, ...], tuple[Node, ...]] | None:
    """Return (operators, items) of a chain turned to < and <=, or None if it is mixed."""
    operators, items = node.args
    if all(o in (">", "ge") for o in operators):
        return tuple("<" if o == ">" else "le" for o in reversed(operators)), items[::-1]
    return (operators, items) if all(o in ("<", "le") for o in operators) else None


def quotient(node: Node) -> Node | None:
    """Return what a ratio of two terms is worth, or None."""
    if node.kind == "ratio":
        return tree.div(*node.args) if len(node.args) == 2 and node.args[1].key != "0" else None
    return node


def radians(node: Node) -> bool:
    """Whether a value says that it is in radians."""
    return node.kind == "unit" and node.args[1] in ("rad", "rads", "radian", "radians")


def is_clock(node: Node) -> bool:
    """Whether a ratio may be a time of day instead, as 2:20 may and 3:4 may not."""
    return len(node.args) == 2 and all(
        x.kind == "num" and x.args[0].denominator == 1 and low <= x.args[0] < high
        for x, low, high in zip(node.args, (0, 10), (25, 60), strict=True)
    )


def same_time(gold: Node, answer: Node) -> Result:
    """Compare times of day; a half of the day counts where both give it."""
    if gold.kind != answer.kind:
        return False, "a time against something else"
    a, b = gold.args, answer.args
    same = a[:3] == b[:3] and (not a[3] or not b[3] or a[3] == b[3])
    return same, "the same time" if same else "different times"


def common_logs(node: Node) -> Node:
    """Return the node with log read to base ten."""
    if node.kind == "fn" and node.args[0] == "log":
        return tree.fn("logbase", tree.num(10), common_logs(node.args[1]))
    if node.kind in ("add", "mul", "pow", "deg", "pct"):
        return tree.rebuild(node.kind, [common_logs(a) for a in node.args])
    return node


def decimal_places(value: Fraction) -> int | None:
    """Return how many decimals a number has, or None if it never ends."""
    bottom, fives = value.denominator, 0
    twos = (bottom & -bottom).bit_length() - 1
    bottom >>= twos
    while bottom % 5 == 0:
        bottom, fives = bottom // 5, fives + 1
    return max(twos, fives) if bottom == 1 else None


def rounds_to(rounded: Fraction, exact: Node, places: int) -> bool:
    """Whether `exact` rounds to `rounded` at that many decimals, halves either way.

    A negative number of decimals counts places before the point.
    """
    if abs(places) > MAX_EXPONENT_10:
        return False
    half = Fraction(1, 2) / Fraction(10) ** places
    if exact.kind == "num":
        return bool(abs(exact.args[0] - rounded) <= half)
    try:
        return abs(magnitude(exact) - float(rounded)) <= float(half) * (1 + 1e-9)
    except (Undefined, Undecided, KeyError, OverflowError):
        return False
