"""Whether an answer that was read equals the gold answer, under a task's conventions.

Symmetric but for what the gold fixes: its unit, its base, its number of decimals.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, floor

from harness.verify.algebra import tree
from harness.verify.algebra.node import Node
from harness.verify.comparing.cases import by_cases
from harness.verify.comparing.comparison import Comparison, Result
from harness.verify.comparing.families import families, left_sides
from harness.verify.comparing.lists import lists, tuples
from harness.verify.comparing.names import agree
from harness.verify.comparing.parts import EXPRESSIONS, is_order
from harness.verify.comparing.quantities import angles, percentages, times, units
from harness.verify.comparing.regions import graph, region
from harness.verify.comparing.relations import relations
from harness.verify.comparing.values import bases, ratios, values
from harness.verify.conventions import Conventions
from harness.verify.limits import MAX_ITEMS, Unreadable
from harness.verify.reading.declarations import Declared


def comparison(conventions: Conventions, gold_places: int | None = None) -> Comparison:
    """Return the comparison under these conventions; its `same` takes trees of any kind."""
    return Comparison(conventions, gold_places, _same)


def as_sets(
    c: Comparison, gold: Node, answer: Node, said: tuple[Declared, Declared], problem: str
) -> Result | None:
    """Compare families of solutions and distinctions of cases; None if they are not shown equal.

    `said` is what both sides declare of their letters.
    """
    before = gold, answer
    gold, answer = (_whole(n, d) for n, d in zip((gold, answer), said, strict=True))
    changed = (gold, answer) != before
    try:
        if changed and c.same(gold, answer)[0]:
            return True, "the same whole numbers"
        return families(c, gold, answer, *said, problem) or by_cases(c, gold, answer, problem)
    except Unreadable:  # what has no value for some letter
        return None


def of_other_numbers(
    said: tuple[Declared, Declared], golds: Sequence[Node], answers: Sequence[Node]
) -> bool:
    r"""Whether two sides declare their letters for different numbers: `k \in \mathbb{N}`, `Z`.

    Letters of different names are meant for each other where neither side has that of the other.
    The argument of a function, as in `f(x) = 2x`, is none: its domain is the problem's.
    """
    mine, other = said
    if not mine.differs(other):
        return False
    sides = [[(tree.symbols(n), left_sides(n)) for n in nodes] for nodes in (golds, answers)]
    left, right = (set().union(*(all_of - first for all_of, first in s)) for s in sides)
    if mine.names & other.names:
        return bool(mine.names & other.names & left & right)
    apart = not (mine.names & right or other.names & left)
    return apart and mine.names <= left and other.names <= right


def _whole(node: Node, said: Declared) -> Node:
    """Return the whole numbers of an interval as a set, where the answer says that they are."""
    found = region(node) if is_order(node) and said.kind in ("Z", "N") else None
    if found is None or found[0] not in said.names or len(found[1]) != 1:
        return node
    low, high, low_in, high_in = found[1][0]
    if low.kind != "num" or high.kind != "num" or high.args[0] - low.args[0] > MAX_ITEMS:
        return node
    first = ceil(low.args[0]) + (not low_in and low.args[0].denominator == 1)
    last = floor(high.args[0]) - (not high_in and high.args[0].denominator == 1)
    return tree.structure("set", [tree.num(n) for n in range(first, last + 1)])


# what compares trees of which at least one is of that kind; the first that applies does
_BY_KIND = (
    (("list", "set"), lists),
    (("br", "matrix"), tuples),
    (("pct",), percentages),
    (("deg",), angles),
    (("ratio",), ratios),
    (("base",), bases),
    (("time",), times),
)
_NOTHING = {"no solution", "none", "empty set", "empty"}


def _same(c: Comparison, gold: Node, answer: Node) -> Result:
    gold, answer = _single(gold), _single(answer)
    if gold.key == answer.key:
        return True, "the same value"
    gold, answer = graph(_each_name(gold, answer)), graph(_each_name(answer, gold))
    kinds = {gold.kind, answer.kind}
    if kinds <= EXPRESSIONS:
        return values(c, gold, answer)
    if "unit" in kinds:
        if answer.kind == "list" and all(x.kind == "unit" for x in answer.args):
            # 850 grams, or 0.85 kg: one quantity twice
            answer = answer.args[0] if agree(answer.args) else answer
        return units(c, gold, answer)
    parts = [x for n in (gold, answer) if n.kind == "list" for x in n.args]
    regions = not kinds.isdisjoint(("union", "rel")) or any(map(is_order, parts))
    if "list" in kinds and regions and region(gold) is not None and region(answer) is not None:
        return relations(c, gold, answer)
    # the real line RR is an interval too, though it reads as a symbol
    if "rel" in kinds or "union" in kinds or ("RR" in (gold.key, answer.key) and "br" in kinds):
        return relations(c, gold, answer)
    if (
        kinds == {"text", "set"}
        and any(n.kind == "set" and not n.args for n in (gold, answer))
        and any(n.kind == "text" and n.args[0] in _NOTHING for n in (gold, answer))
    ):
        return True, "the empty set in words"
    for those, function in _BY_KIND:
        if kinds & set(those):
            return function(c, gold, answer)
    return False, f"a {gold.kind} against a {answer.kind}"


def _each_name(node: Node, beside: Node) -> Node:
    """Return `x = 1, y = 1` for `x = y = 1` beside several values; any other node as it is."""
    several = beside.args[1][0] if beside.kind == "rel" else beside
    if several.kind not in ("list", "br") or node.kind != "rel":
        return node
    if len(node.args[1]) < 3 or {*node.args[0]} != {"="}:
        return node
    *names, value = node.args[1]
    if any(n.kind != "sym" for n in names) or value.kind not in EXPRESSIONS or tree.symbols(value):
        return node
    return tree.structure("list", [tree.relation(("=",), (n, value)) for n in names])


def _single(node: Node) -> Node:
    """Return a single value out of a list, set or name of one."""
    while True:
        inner = node.args[2] if node.kind == "br" else node.args
        if node.kind not in ("list", "set", "br") or len(inner) != 1:
            return node
        node = inner[0]
