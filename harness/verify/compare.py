"""Whether an answer that was read equals the gold answer, under a task's conventions.

Symmetric but for what the gold fixes: its unit, its base, its number of decimals.
"""

from __future__ import annotations

from fractions import Fraction

from harness.verify import tree
from harness.verify.conventions import Conventions
from harness.verify.equal import equal, proportional, tolerance_equal
from harness.verify.numeric import Undecided, Undefined, magnitude
from harness.verify.regions import is_order, region, same_region
from harness.verify.tree import Node
from harness.verify.words import canonical_unit

_EXPRESSIONS = {"num", "sym", "const", "add", "mul", "pow", "fn"}
Result = tuple[bool, str]


class Comparison:
    """One comparison under fixed conventions."""

    def __init__(self, conventions: Conventions, gold_places: int | None = None) -> None:
        self.conventions = conventions
        self.gold_places = gold_places

    def same(self, gold: Node, answer: Node) -> Result:
        """Return whether the two are equal, and why."""
        if gold.key == answer.key:
            return True, "the same value"
        gold, answer = _bare(gold), _bare(answer)
        kinds = {gold.kind, answer.kind}
        if gold.key == answer.key:
            return True, "the same value"
        if kinds <= _EXPRESSIONS:
            return self.values(gold, answer)
        if "unit" in kinds:
            return self.units(gold, answer)
        if "rel" in kinds or "union" in kinds or ("RR" in (gold.key, answer.key) and "br" in kinds):
            return self.relations(gold, answer)
        if "text" in kinds and "set" in kinds:
            empty = any(n.kind == "set" and not n.args for n in (gold, answer)) and any(
                n.kind == "text" and n.args[0] in _NOTHING for n in (gold, answer)
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
            return _times(gold, answer)
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
            again = equal(_common_logs(gold), _common_logs(answer))
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
            and _near(gold.args[0], answer, self.gold_places)
        ):
            return True
        if self.conventions.rounding == "either" and answer.kind == "num":
            places = _places(answer.args[0])
            if places is not None and places and abs(answer.args[0]) * 10**places >= 100:
                return _near(answer.args[0], gold, places)
        return False

    def units(self, gold: Node, answer: Node) -> Result:
        """Compare values with a unit on one side or both."""
        gold, answer = _with_unit_symbol(gold), _with_unit_symbol(answer)
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
                if scale != 1 and other.kind in _EXPRESSIONS:
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
        if left.kind in _EXPRESSIONS and right.kind in _EXPRESSIONS:
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
        left, right = (_quotient(n) for n in (gold, answer))
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
        left, right = _items(gold), _items(answer)
        if "br" in (gold.kind, answer.kind):
            return self._list_and_tuple(gold, answer, left, right)
        if gold.kind == "set" or answer.kind == "set":
            left, right = self._distinct(left), self._distinct(right)
        if len(left) != len(right) and len(self._distinct(left)) == len(left):
            right = self._distinct(right)  # naming a solution twice adds none
        if len(left) != len(right):
            spread = [(_regions(gold), _regions(answer))]
            if all(spread[0]) and (is_region_list(gold) or is_region_list(answer)):
                return same_region(spread[0][0], spread[0][1]), "sets of numbers"
            return False, f"{len(left)} values against {len(right)}"
        if len(left) == 1:
            return self.same(left[0], right[0])
        names = [_named(x) for x in left], [_named(x) for x in right]
        if all(n is not None for side in names for n in side):
            return self._by_name(*names)
        left, right = _values_of(left), _values_of(right)
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
        values = _values_of(_items(other))
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

    # -- relations ------------------------------------------------------------------------------

    def relations(self, gold: Node, answer: Node) -> Result:
        """Compare equations, assignments, inequalities and unions."""
        if gold.kind == answer.kind == "rel":
            both = self._two_relations(gold, answer)
            if both is not None:
                return both
        named = _named(gold), _named(answer)
        if gold.kind == "rel" and answer.kind == "rel" and all(named):
            return self._two_names(gold, answer, *named)
        for node, name, other, swapped in (
            (gold, named[0], answer, False),
            (answer, named[1], gold, True),
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
            if mixed and self.conventions.intervals == "strict" and not _declared(gold, answer):
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
            names = _named(gold), _named(answer)
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
        if any(s.kind not in _EXPRESSIONS for s in sides):
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
        a, b = _ascending(gold), _ascending(answer)
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
        if _is_function(a) or _is_function(b):
            one, two = left[1], right[1]
            if _is_function(a) and _is_function(b) and len(a.args) == len(b.args):
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


def is_region_list(node: Node) -> bool:
    """Whether a list is one of inequalities or intervals."""
    return node.kind in ("union", "rel") or (
        node.kind == "list" and any(is_order(x) for x in node.args)
    )


_NOTHING = {"no solution", "none", "empty set", "empty"}
_UNIT_SYMBOLS = {"m", "s", "h", "g", "L", "l"}


def without_unit(node: Node) -> Node:
    """Return ``576*pi*m^2`` without its unit; only metre, second, hour, gram and litre."""
    if node.kind != "mul":
        return node
    units = [f for f in node.args if (f.args[0] if f.kind == "pow" else f).key in _UNIT_SYMBOLS]
    if len(units) != 1 or (units[0].kind == "pow" and units[0].args[1].key not in ("2", "3")):
        return node
    return tree.mul(*(f for f in node.args if f is not units[0]))


def _with_unit_symbol(node: Node) -> Node:
    """Return ``5*m`` as five metres, for comparison with an answer that has a unit."""
    value = without_unit(node)
    if value is node or tree.symbols(value):
        return node
    unit = next(f for f in node.args if (f.args[0] if f.kind == "pow" else f).key in _UNIT_SYMBOLS)
    name = unit.key if unit.kind != "pow" else f"{unit.args[0].key} ^{unit.args[1].key}"
    return tree.make("unit", (value, name), f"{value.key} [{name}]")


def _regions(node: Node):
    found = region(node)
    return found[1] if found is not None else None


def _declared(gold: Node, answer: Node) -> bool:
    return any(n.kind == "rel" and n.args[0] == ("in",) for n in (gold, answer))


def _bare(node: Node) -> Node:
    """Return a single value out of a list, set or name of one."""
    while node.kind in ("list", "set") and len(node.args) == 1:
        node = node.args[0]
    return node


def _items(node: Node) -> list[Node]:
    if node.kind in ("list", "set"):
        return list(node.args)
    if node.kind == "rel":
        named = _named(node)
        if named is not None and named[1].kind in ("list", "set"):
            return list(named[1].args)
    return [node]


def _values_of(items: list[Node]) -> list[Node]:
    """Return items without the names of assignments."""
    named = [_named(x) for x in items]
    if named[0] is None and any(named):
        return items
    return [n[1] if n is not None else x for n, x in zip(named, items, strict=True)]


def _named(node: Node) -> tuple[str, Node] | None:
    """Return (name, value) of an assignment such as ``x = 5`` or ``f(x) = 2x``, or None."""
    if node.kind != "rel":
        return None
    operators, items = node.args
    if operators[0] == "approx" and not is_name(items[0]):
        return ("", items[0])
    if any(o not in ("=", "approx", "equiv") for o in operators) or operators[0] == "equiv":
        return None
    if "approx" in operators[1:]:
        items = items[: operators.index("approx", 1) + 1]
    if is_name(items[0]):
        return items[0].key, items[-1]
    if len(items) == 2 and is_name(items[1]) and not tree.symbols(items[0]):
        return items[1].key, items[0]
    constants = all(not tree.symbols(x) and x.kind in _EXPRESSIONS for x in items)
    if constants and all(equal(items[0], x)[0] for x in items[1:]):
        return "", items[-1]
    return None


def is_name(node: Node) -> bool:
    """Whether the left side of an equation only names a quantity."""
    kind = node.kind
    if kind in ("sym", "text"):
        return True
    if kind == "unit":
        return is_name(node.args[0])
    if _is_function(node):
        return not node.args[0].startswith(("@sum", "@int", "@prod", "@lim"))
    if kind == "br":
        return all(is_name(x) for x in node.args[2])
    if kind == "ratio":
        return all(is_name(x) for x in node.args)
    if kind == "fn" and node.args[0] == "abs":
        return is_name(node.args[1])
    if kind == "mul":  # AB, the name of a segment
        return all(x.kind == "sym" and x.key[:1].isupper() for x in node.args)
    return False


def _is_function(node: Node) -> bool:
    return node.kind == "fn" and node.args[0].startswith("@")


def _ascending(node: Node):
    operators, items = node.args
    if all(o in (">", "ge") for o in operators):
        return tuple("<" if o == ">" else "le" for o in reversed(operators)), items[::-1]
    return (operators, items) if all(o in ("<", "le") for o in operators) else None


def _quotient(node: Node) -> Node | None:
    if node.kind == "ratio":
        return tree.div(*node.args) if len(node.args) == 2 and node.args[1].key != "0" else None
    return node


def _times(gold: Node, answer: Node) -> Result:
    if gold.kind != answer.kind:
        return False, "a time against something else"
    a, b = gold.args, answer.args
    same = a[:3] == b[:3] and (not a[3] or not b[3] or a[3] == b[3])
    return same, "the same time" if same else "different times"


def _common_logs(node: Node) -> Node:
    if node.kind == "fn" and node.args[0] == "log":
        return tree.fn("logbase", tree.num(10), _common_logs(node.args[1]))
    if node.kind in ("add", "mul", "pow", "deg", "pct"):
        return tree.rebuild(node.kind, [_common_logs(a) for a in node.args])
    return node


def _places(value: Fraction) -> int | None:
    places, bottom = 0, value.denominator
    while bottom % 10 == 0:
        bottom //= 10
        places += 1
    twos = fives = 0
    while bottom % 2 == 0:
        bottom, twos = bottom // 2, twos + 1
    while bottom % 5 == 0:
        bottom, fives = bottom // 5, fives + 1
    return places + max(twos, fives) if bottom == 1 else None


def _near(rounded: Fraction, exact: Node, places: int) -> bool:
    """Whether ``exact`` rounds to ``rounded`` at that many decimals, halves either way."""
    half = Fraction(1, 2 * 10**places)
    if exact.kind == "num":
        return abs(exact.args[0] - rounded) <= half
    try:
        return abs(magnitude(exact) - float(rounded)) <= float(half) * (1 + 1e-9)
    except (Undefined, Undecided, KeyError, OverflowError):
        return False
