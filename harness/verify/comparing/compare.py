"""Whether an answer that was read equals the gold answer, under a task's conventions.

Symmetric but for what the gold fixes: its unit, its base, its number of decimals.
"""

from __future__ import annotations

from fractions import Fraction

from harness.verify.algebra import tree
from harness.verify.algebra.equal import equal, tolerance_equal
from harness.verify.algebra.tree import Node
from harness.verify.comparing.parts import (
    EXPRESSIONS,
    NOTHING,
    Result,
    common_logs,
    decimal_places,
    is_region_list,
    items_of,
    named,
    pieces_of,
    quotient,
    rounds_to,
    same_time,
    single,
    values_of,
    with_unit_symbol,
    without_unit,
)
from harness.verify.comparing.regions import same_region
from harness.verify.comparing.relations import Relations
from harness.verify.conventions import Conventions
from harness.verify.reading.words import canonical_unit


class Comparison(Relations):
    """One comparison under fixed conventions."""

    def __init__(self, conventions: Conventions, gold_places: int | None = None) -> None:
        self.conventions = conventions
        self.gold_places = gold_places

    def same(self, gold: Node, answer: Node) -> Result:
        """Return whether the two are equal, and why."""
        if gold.key == answer.key:
            return True, "the same value"
        gold, answer = single(gold), single(answer)
        kinds = {gold.kind, answer.kind}
        if gold.key == answer.key:
            return True, "the same value"
        if kinds <= EXPRESSIONS:
            return self.values(gold, answer)
        if "unit" in kinds:
            return self.units(gold, answer)
        if "rel" in kinds or "union" in kinds or ("RR" in (gold.key, answer.key) and "br" in kinds):
            return self.relations(gold, answer)
        if "text" in kinds and "set" in kinds:
            empty = any(n.kind == "set" and not n.args for n in (gold, answer)) and any(
                n.kind == "text" and n.args[0] in NOTHING for n in (gold, answer)
            )
            if empty:
                return True, "the empty set in words"
        if "list" in kinds or "set" in kinds:
            return self.lists(gold, answer)
        if "br" in kinds or "matrix" in kinds:
            return self.tuples(gold, answer)
        if "pct" in kinds:
            return self.percentages(gold, answer)
        if "deg" in kinds:
            return self.angles(gold, answer)
        if "ratio" in kinds:
            return self.ratios(gold, answer)
        if "base" in kinds:
            return self.bases(gold, answer)
        if "time" in kinds:
            return same_time(gold, answer)
        return False, f"a {gold.kind} against a {answer.kind}"

    # -- single values --------------------------------------------------------------------------

    def values(self, gold: Node, answer: Node) -> Result:
        """Compare two expressions, then within the declared tolerance."""
        result = equal(gold, answer)
        if result[0]:
            return result
        for name, value in (("I", tree.I),):
            if name in tree.symbols(gold) | tree.symbols(answer):
                again = equal(
                    tree.substitute(gold, name, value), tree.substitute(answer, name, value)
                )
                if again[0]:
                    return True, "equal with I as the imaginary unit"
        if "log(" in gold.key or "log(" in answer.key:
            again = equal(common_logs(gold), common_logs(answer))
            if again[0]:
                return True, "equal with log to base ten"
        if tree.symbols(gold) or tree.symbols(answer):
            value, measured = without_unit(gold), without_unit(answer)
            if (value is gold) != (measured is answer) and not (
                tree.symbols(value) or tree.symbols(measured)
            ):
                return self.values(value, measured)
            return self._renamed(gold, answer) or result
        c = self.conventions
        if (c.relative or c.absolute) and tolerance_equal(gold, answer, c.relative, c.absolute):
            return True, "within the declared tolerance"
        if c.rounding != "exact" and self.rounds(gold, answer):
            return True, "equal after the declared rounding"
        return result

    def _renamed(self, gold: Node, answer: Node) -> Result | None:
        """Compare general solutions such as ``k*pi`` and ``n*pi`` up to the whole number's name."""
        if self.conventions.names == "match":
            return None
        left, right = tree.symbols(gold), tree.symbols(answer)
        mine, other = left - right, right - left
        if (
            len(mine) == len(other) == 1
            and mine | other <= {"C", "c", "K", "C_1", "c_1"}
            and equal(gold, tree.substitute(answer, other.pop(), tree.sym(mine.pop())))[0]
        ):
            return True, "equal up to the name of the constant"
        if "pi" not in gold.key or "pi" not in answer.key:
            return None
        if (
            len(left) == len(right) == 1
            and left | right <= {"k", "n", "m", "l"}
            and equal(gold, tree.substitute(answer, right.pop(), tree.sym(left.pop())))[0]
        ):
            return True, "equal up to the name of the whole number"
        return None

    def rounds(self, gold: Node, answer: Node) -> bool:
        """Whether one side is the other rounded to its own decimals."""
        if (
            self.gold_places is not None
            and gold.kind == "num"
            and rounds_to(gold.args[0], answer, self.gold_places)
        ):
            return True
        if self.conventions.rounding == "either" and answer.kind == "num":
            places = decimal_places(answer.args[0])
            if places is not None and places and abs(answer.args[0]) * 10**places >= 100:
                return rounds_to(answer.args[0], gold, places)
        return False

    def units(self, gold: Node, answer: Node) -> Result:
        """Compare values with a unit on one side or both."""
        gold, answer = with_unit_symbol(gold), with_unit_symbol(answer)
        value, other = gold, answer
        left = right = None
        if gold.kind == "unit":
            value, left = gold.args[0], canonical_unit(gold.args[1])
        if answer.kind == "unit":
            other, right = answer.args[0], canonical_unit(answer.args[1])
        if left and right and left[2] and right[2]:
            if left[0] and right[0]:
                if left[0] != right[0]:
                    return False, f"the units {left[2]} and {right[2]} measure different things"
                scale = Fraction(right[1]) / left[1]
                if scale != 1 and other.kind in EXPRESSIONS:
                    return self.same(value, tree.mul(tree.num(scale), other))
            elif self.conventions.units == "match" and left[2] != right[2]:
                return False, "the units differ"
        elif (
            self.conventions.units == "match"
            and (left or right)
            and ((left or ("", 1, ""))[2] != (right or ("", 1, ""))[2])
        ):
            return False, "a unit on one side only"
        return self.same(value, other)

    def percentages(self, gold: Node, answer: Node) -> Result:
        """Compare a percentage with a percentage or a number."""
        if gold.kind == answer.kind:
            return self.same(gold.args[0], answer.args[0])
        percent, other, swapped = (
            (gold, answer, False) if gold.kind == "pct" else (answer, gold, True)
        )
        accepted = self.conventions.percent
        for name, value in (
            ("value", tree.div(percent.args[0], tree.num(100))),
            ("number", percent.args[0]),
        ):
            if accepted in ("either", name):
                result = self.same(*((other, value) if swapped else (value, other)))
                if result[0]:
                    return True, f"a percentage taken as its {name}"
        return False, "a percentage of another value"

    def angles(self, gold: Node, answer: Node) -> Result:
        """Compare an angle in degrees with degrees, a number or radians."""
        if gold.kind == answer.kind:
            return self.same(gold.args[0], answer.args[0])
        left = gold.args[0] if gold.kind == "deg" else gold
        right = answer.args[0] if answer.kind == "deg" else answer
        result = self.same(left, right)
        if result[0] or self.conventions.degrees == "strict":
            return result
        to_radians = tree.mul(tree.PI, tree.num(Fraction(1, 180)))
        if left.kind in EXPRESSIONS and right.kind in EXPRESSIONS:
            left = tree.mul(left, to_radians) if gold.kind == "deg" else left
            right = tree.mul(right, to_radians) if answer.kind == "deg" else right
            plain = (answer if gold.kind == "deg" else gold).key
            turned = any(mark in plain for mark in ("pi", "asin", "acos", "atan"))
            if turned and equal(left, right)[0]:
                return True, "degrees against radians"
        return result

    def ratios(self, gold: Node, answer: Node) -> Result:
        """Compare ratios: as a quotient for two terms, up to a factor for more."""
        if gold.kind == answer.kind == "ratio":
            a, b = gold.args, answer.args
            if len(a) != len(b):
                return False, "ratios of different length"
            same = "0" not in [n.key for n in (*a, *b)] and all(
                self.same(tree.mul(a[0], y), tree.mul(b[0], x))[0]
                for x, y in zip(a[1:], b[1:], strict=True)
            )
            return same, "proportional terms" if same else "terms not in proportion"
        left, right = (quotient(n) for n in (gold, answer))
        if left is None or right is None:
            return False, f"a {gold.kind} against a {answer.kind}"
        return self.same(left, right)

    def bases(self, gold: Node, answer: Node) -> Result:
        """Compare base-n numerals; the gold's base may be left out by the answer."""
        if gold.kind == answer.kind:
            return gold.args[:2] == answer.args[:2], "different numerals"
        if gold.kind == "base":
            same = answer.kind == "num" and str(answer.args[0]) == gold.args[0]
            return same, "the same digits without the base" if same else "not the same numeral"
        return self.same(gold, tree.num(answer.args[2]))

    # -- several values -------------------------------------------------------------------------

    def lists(self, gold: Node, answer: Node) -> Result:
        """Compare lists and sets in any order (by default), by name where both give names."""
        left, right = items_of(gold), items_of(answer)
        if "br" in (gold.kind, answer.kind):
            return self._list_and_tuple(gold, answer, left, right)
        if gold.kind == "set" or answer.kind == "set":
            left, right = self._distinct(left), self._distinct(right)
        if len(left) != len(right) and len(self._distinct(left)) == len(left):
            right = self._distinct(right)  # naming a solution twice adds none
        if len(left) != len(right):
            spread = [(pieces_of(gold), pieces_of(answer))]
            if all(spread[0]) and (is_region_list(gold) or is_region_list(answer)):
                return same_region(spread[0][0], spread[0][1]), "sets of numbers"
            return False, f"{len(left)} values against {len(right)}"
        if len(left) == 1:
            return self.same(left[0], right[0])
        names = [named(x) for x in left], [named(x) for x in right]
        if all(n is not None for side in names for n in side):
            return self._by_name(*names)
        left, right = values_of(left), values_of(right)
        if self.conventions.order == "given" and "set" not in (gold.kind, answer.kind):
            same = all(self.same(x, y)[0] for x, y in zip(left, right, strict=True))
            return same, "equal in order" if same else "different in the given order"
        rest = list(right)
        for x in left:
            for y in rest:
                if self.same(x, y)[0]:
                    rest.remove(y)
                    break
            else:
                return False, f"{x.key} has no counterpart"
        return True, "the same values in some order"

    def _by_name(self, left: list, right: list) -> Result:
        if sorted(n for n, _ in left) == sorted(n for n, _ in right):
            rest = list(right)
            for name, value in left:
                for pair in rest:
                    if pair[0] == name and self.same(value, pair[1])[0]:
                        rest.remove(pair)
                        break
                else:
                    return False, f"{name} differs"
            return True, "equal name by name"
        if len({n for n, _ in left} & {n for n, _ in right}):
            return False, "different names"
        return self.lists(
            tree.structure("list", [v for _, v in left]),
            tree.structure("list", [v for _, v in right]),
        )

    def _list_and_tuple(self, gold: Node, answer: Node, left: list, right: list) -> Result:
        bracketed, other = (gold, answer) if gold.kind == "br" else (answer, gold)
        inner = list(bracketed.args[2])
        if other.kind == "set" or bracketed.args[0] != "(" or bracketed.args[1] != ")":
            return False, "brackets of different kinds"
        values = values_of(items_of(other))
        if len(values) != len(inner) or any(v.kind == "br" for v in values):
            return False, "a tuple against a list"
        pairs = (
            zip(inner, values, strict=True)
            if bracketed is gold
            else zip(values, inner, strict=True)
        )
        same = all(self.same(x, y)[0] for x, y in pairs)
        return same, "a tuple against the same values in order" if same else "different entries"

    def _distinct(self, items: list[Node]) -> list[Node]:
        kept: list[Node] = []
        for x in items:
            if not any(x.key == y.key for y in kept):
                kept.append(x)
        return kept

    def tuples(self, gold: Node, answer: Node) -> Result:
        """Compare tuples, intervals and matrices entry by entry."""
        if gold.kind == answer.kind == "br":
            if gold.args[:2] != answer.args[:2]:
                return False, "brackets of different kinds"
            return self._entries(gold.args[2], answer.args[2])
        if gold.kind == answer.kind == "matrix":
            if (len(gold.args), len(gold.args[0])) != (len(answer.args), len(answer.args[0])):
                return False, "matrices of different shape"
            return self._entries(
                [c for r in gold.args for c in r], [c for r in answer.args for c in r]
            )
        if {gold.kind, answer.kind} == {"br", "matrix"} and self.conventions.shape == "free":
            box, row = (gold, answer) if gold.kind == "matrix" else (answer, gold)
            lines = row.args[2]
            if (
                all(x.kind == "br" and x.args[0] == "[" for x in lines)
                and len({len(x.args[2]) for x in lines}) == 1
            ):  # [[1, 0], [0, 1]]
                square = tree.matrix([x.args[2] for x in lines])
                return self.tuples(*((box, square) if box is gold else (square, box)))
            if (1 in (len(box.args), len(box.args[0]))) and row.args[0] != "[":
                cells = [c for r in box.args for c in r]
                pair = (cells, row.args[2]) if box is gold else (row.args[2], cells)
                return self._entries(*pair)
        if "pct" in (gold.kind, answer.kind):
            return False, "a percentage against several values"
        return False, f"a {gold.kind} against a {answer.kind}"

    def _entries(self, left, right) -> Result:
        if len(left) != len(right):
            return False, f"{len(left)} entries against {len(right)}"
        for x, y in zip(left, right, strict=True):
            same, _ = self.same(x, y)
            if not same:
                return False, f"{x.key} against {y.key}"
        return True, "equal entry by entry"
