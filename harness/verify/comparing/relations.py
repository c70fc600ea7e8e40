"""Equations, assignments, inequalities and unions compared."""

from __future__ import annotations

from harness.verify.algebra import tree
from harness.verify.algebra.equal import proportional
from harness.verify.algebra.tree import Node
from harness.verify.comparing.parts import (
    EXPRESSIONS,
    Result,
    ascending,
    declared,
    is_function,
    named,
)
from harness.verify.comparing.regions import is_order, region, same_region
from harness.verify.conventions import Conventions


class Relations:
    """The part of a comparison that knows relations; the rest of it comes from the whole."""

    conventions: Conventions

    def relations(self, gold: Node, answer: Node) -> Result:
        """Compare equations, assignments, inequalities and unions."""
        if gold.kind == answer.kind == "rel":
            both = self._two_relations(gold, answer)
            if both is not None:
                return both
        pair = named(gold), named(answer)
        if gold.kind == "rel" and answer.kind == "rel" and all(pair):
            return self._two_names(gold, answer, *pair)
        for node, name, other, swapped in (
            (gold, pair[0], answer, False),
            (answer, pair[1], gold, True),
        ):
            if (
                node.kind == "rel"
                and name is not None
                and other.kind != "rel"
                and (other.kind != "union")
            ):
                if other.kind in ("list",) and name[1].kind not in ("list", "br", "set"):
                    return False, "one value against several"
                return self.same(*((other, name[1]) if swapped else (name[1], other)))
        left, right = region(gold), region(answer)
        if left is not None and right is not None:
            if left[0] and right[0] and left[0] != right[0]:
                return False, "inequalities in different variables"
            mixed = (left[0] is None) != (right[0] is None)
            if mixed and self.conventions.intervals == "strict" and not declared(gold, answer):
                return False, "an interval against an inequality"
            same = same_region(left[1], right[1])
            return same, "the same set of numbers" if same else "different sets of numbers"
        if "union" in (gold.kind, answer.kind):
            a, b = (n.args if n.kind == "union" else (n,) for n in (gold, answer))
            if len(a) != len(b):
                return False, "unions of different length"
            return (
                self.lists(tree.structure("list", a), tree.structure("list", b))
                if len(a) > 1
                else self.same(a[0], b[0])
            )
        return False, f"a {gold.kind} against a {answer.kind}"

    def _two_relations(self, gold: Node, answer: Node) -> Result | None:
        if is_order(gold) and is_order(answer):
            left, right = region(gold), region(answer)
            if left is not None and right is not None:
                return None
            return self._chains(gold, answer)
        operators = gold.args[0], answer.args[0]
        if operators == (("=",), ("=",)):
            names = named(gold), named(answer)
            if all(names) and names[0][0] == names[1][0]:
                return None
            return self._equations(gold, answer, names)
        if (
            operators[0] == operators[1]
            and operators[0] not in (("=",), ("ne",))
            and (
                len(operators[0]) == 1
                and operators[0][0] not in ("<", ">", "le", "ge", "=", "approx", "in")
            )
        ):
            return self._entries(gold.args[1], answer.args[1])
        if operators == (("ne",), ("ne",)):
            left, right = (tree.sub(*n.args[1]) for n in (gold, answer))
            same = proportional(left, right) != 0
            return same, "the same excluded values" if same else "different excluded values"
        return None

    def _equations(self, gold: Node, answer: Node, names) -> Result | None:
        """Compare two equations as curves: left minus right, up to a constant factor."""
        sides = [*gold.args[1], *answer.args[1]]
        if any(s.kind not in EXPRESSIONS for s in sides):
            return None
        left, right = (tree.sub(*n.args[1]) for n in (gold, answer))
        if not tree.symbols(left) or not tree.symbols(right):
            return None
        if proportional(left, right):
            return True, "the same equation up to a factor"
        if all(names):
            return None
        return False, "different equations"

    def _chains(self, gold: Node, answer: Node) -> Result:
        a, b = ascending(gold), ascending(answer)
        if a is None or b is None or a[0] != b[0]:
            return False, "inequalities of different shape"
        if len(a[0]) == 1:
            left, right = (tree.sub(x[1][1], x[1][0]) for x in (a, b))
            same = proportional(left, right) > 0
            return same, "the same inequality" if same else "different inequalities"
        return self._entries(a[1], b[1])

    def _two_names(self, gold: Node, answer: Node, left, right) -> Result:
        if left[0] == right[0]:
            return self.same(left[1], right[1])
        if self.conventions.names == "match":
            return False, "different names"
        a, b = gold.args[1][0], answer.args[1][0]
        if is_function(a) or is_function(b):
            one, two = left[1], right[1]
            if is_function(a) and is_function(b) and len(a.args) == len(b.args):
                for x, y in zip(a.args[1:], b.args[1:], strict=True):
                    if x.kind == y.kind == "sym":
                        two = tree.substitute(two, y.args[0], x)
            return self.same(one, two)
        if (
            a.kind == b.kind == "sym"
            and len(a.key) == len(b.key) == 1
            and not (tree.symbols(left[1]) and tree.symbols(right[1]))
        ):
            return False, f"{a.key} against {b.key}"
        return self.same(left[1], right[1])
