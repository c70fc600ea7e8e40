"""Equations, assignments, inequalities and unions compared."""

from __future__ import annotations

import re
from fractions import Fraction

from harness.verify.algebra import tree
from harness.verify.algebra.node import Node
from harness.verify.algebra.numeric import magnitude
from harness.verify.comparing.comparison import Comparison, Result
from harness.verify.comparing.lists import entries, lists
from harness.verify.comparing.names import is_compound, named, near
from harness.verify.comparing.parts import EXPRESSIONS, TURNED, ascending, is_function, is_order
from harness.verify.comparing.regions import line, region, same_region, without


def relations(c: Comparison, gold: Node, answer: Node) -> Result:
    """Compare equations, assignments, inequalities and unions: by the first rule that applies."""
    result = _residues(c, gold, answer)
    if result is None:
        gold, answer = solved(gold), solved(answer)
    for rule in _RULES:
        result = result or rule(c, gold, answer)
    return result or (False, f"a {gold.kind} against a {answer.kind}")


def _residues(c: Comparison, gold: Node, answer: Node) -> Result | None:
    """Compare `x = 5 mod 11` by residue and modulus; refuse two names."""
    if " mod " not in gold.key and " mod " not in answer.key:
        return None
    mine, other = _residue(gold), _residue(answer)
    if mine is None or other is None:
        return None
    differ = mine[0] and other[0] and mine[0] != other[0]
    return (False, "different names") if differ else c.same(mine[1], other[1])


def _name_and_value(c: Comparison, gold: Node, answer: Node) -> Result | None:
    """Compare `x = 5` with `5`, whichever is the answer; refuse one value against several.

    A union is a set, which has no name to drop.
    """
    for named_one, bare in ((gold, answer), (answer, gold)):
        name = named(named_one)
        if name is None or bare.kind in ("rel", "union"):
            continue
        if bare.kind == "list" and name[1].kind not in ("list", "br", "set"):
            return False, "one value against several"
        value = name[1]
        names = named_one.args[1][0]
        if names.kind == value.kind == "br" and {"x", "y"} <= tree.symbols(names):
            value = _sorted_by_name(names, value)  # a bare pair is (x, y)
        for stated in (value, *_rounded(named_one, bare)):
            result = c.same(stated, bare) if bare is answer else c.same(bare, stated)
            if result[0]:
                break
        return result
    return None


def _sets_of_numbers(c: Comparison, gold: Node, answer: Node) -> Result | None:
    """Compare inequalities and intervals as sets; refuse two variables, or one kind for another."""
    left, right = region(gold), region(answer)
    if left is None or right is None:
        return None
    if left[0] and right[0] and left[0] != right[0]:
        return False, "inequalities in different variables"
    # `x in (0, 1)` names its variable and is an interval all the same
    mixed = (left[0] is None) != (right[0] is None)
    declared = any(n.kind == "rel" and n.args[0] == ("in",) for n in (gold, answer))
    if mixed and c.conventions.intervals == "strict" and not declared:
        return False, "an interval against an inequality"
    same = same_region(c, left[1], right[1])
    return same, "the same set of numbers" if same else "different sets of numbers"


def _unions(c: Comparison, gold: Node, answer: Node) -> Result | None:
    """Compare unions part by part, where one is no set of numbers, a tuple for instance."""
    if "union" not in (gold.kind, answer.kind):
        return None
    a, b = (n.args if n.kind == "union" else (n,) for n in (gold, answer))
    if len(a) != len(b):
        return False, "unions of different length"
    if len(a) == 1:
        return c.same(a[0], b[0])
    return lists(c, tree.structure("list", a), tree.structure("list", b))


def _rounded(chain: Node, bare: Node) -> list[Node]:
    r"""Return what else a chain says: `\sqrt{34} \approx 5.8`, `90 minutes = 1.5 hours`."""
    sides: tuple[Node, ...] = chain.args[1]
    if bare.kind == "num" and all(s.kind == "unit" for s in sides):
        return list(sides)
    decimal = bare.kind == "num" and bare.args[0].denominator != 1
    about = decimal and chain.args[0][-1] == "approx" and near(*sides[-2:])
    return [sides[-1]] if about else []


def _two_relations(c: Comparison, gold: Node, answer: Node) -> Result | None:
    """Compare two relations as such; None where they are compared as sets or by their values."""
    if not gold.kind == answer.kind == "rel":
        return None
    if is_order(gold) and is_order(answer):
        mine, other = region(gold), region(answer)
        if mine is not None and other is not None and mine[0] == other[0]:
            return None  # intervals of one variable, whatever is written on which side
        return _chains(c, gold, answer)
    mine, other = gold.args[0], answer.args[0]
    sides = (*gold.args[1], *answer.args[1])
    if {*mine, *other} == {"="} and len(mine) > 1 and all(s.kind == "sym" for s in sides):
        same = {*gold.args[1]} == {*answer.args[1]}  # a = b = c
        return same, "the same names" if same else "different names"
    if mine == other == ("=",):
        return _equations(c, gold, answer)
    if mine == other == ("ne",):
        left, right = (tree.sub(*n.args[1]) for n in (gold, answer))
        same = c.proportional(left, right) != 0
        return same, "the same excluded values" if same else "different excluded values"
    if (
        mine == other
        and len(mine) == 1
        and mine[0] not in ("<", ">", "le", "ge", "=", "approx", "in")
    ):  # parallel, perpendicular, congruent, subset: no algebra to do on these
        found = entries(c, gold.args[1], answer.args[1])
        turned = mine[0] in ("parallel", "perp") and entries(c, gold.args[1], answer.args[1][::-1])
        return turned if turned and turned[0] else found
    return None


def _equations(c: Comparison, gold: Node, answer: Node) -> Result | None:
    """Compare two equations as curves: left minus right, up to a constant factor."""
    mine, other = named(gold), named(answer)
    if mine and other and mine[0] == other[0]:
        return None  # y = 2x against y = x + x: the values tell
    if any(s.kind not in EXPRESSIONS for s in (*gold.args[1], *answer.args[1])):
        return None
    left, right = (tree.sub(*n.args[1]) for n in (gold, answer))
    if not tree.symbols(left) or not tree.symbols(right):
        return None  # 2 + 3 = 5 is a value with its derivation
    if c.proportional(left, right):
        return True, "the same equation up to a factor"
    if mine and other:
        return None  # y = 2x against f = 2x: perhaps one value under two names
    return False, "different equations"


def _chains(c: Comparison, gold: Node, answer: Node) -> Result:
    """Compare inequalities in several variables, all turned to < and <=."""
    a, b = ascending(gold), ascending(answer)
    if a is None or b is None or a[0] != b[0]:
        return False, "inequalities of different shape"
    if len(a[0]) == 1:
        # a positive factor changes nothing, a negative one turns the sign
        left, right = (tree.sub(x[1][1], x[1][0]) for x in (a, b))
        same = c.proportional(left, right) > 0
        return same, "the same inequality" if same else "different inequalities"
    return entries(c, a[1], b[1])


def _two_names(c: Comparison, gold: Node, answer: Node) -> Result | None:
    """Compare two assignments by their values; refuse names that mean different things."""
    left, right = named(gold), named(answer)
    if left is None or right is None:
        return None
    if left[0] == right[0]:
        mine, other = family(gold), family(answer)
        if mine is not None and other is not None and mine[1:] == other[1:]:
            return True, "equal up to the name of the whole number"
        return c.same(left[1], right[1])
    if c.conventions.names == "match" or _order(left[0]) != _order(right[0]):
        return False, "different names"
    a, b = gold.args[1][0], answer.args[1][0]
    one, two = left[1], right[1]
    if a.kind == b.kind == one.kind == two.kind == "br" and set(a.args[2]) == set(b.args[2]):
        one, two = (_sorted_by_name(*x) for x in ((a, one), (b, two)))
    if is_compound(a) or is_compound(b):
        return False, f"{a.key} against {b.key}"  # x + y = 5 and x + z = 5 are two equations
    if is_function(a) or is_function(b):
        # f(x) = 2x against g(t) = 2t: the arguments are bound names
        if is_function(a) and is_function(b) and len(a.args) == len(b.args):
            for x, y in zip(a.args[1:], b.args[1:], strict=True):
                if x.kind == y.kind == "sym":
                    two = tree.substitute(two, y.args[0], x)
        return c.same(one, two)
    # `x = 5` and `y = 5` state different things; `y = 2x + 1` and `A = 2x + 1` may be one formula
    if (
        a.kind == b.kind == "sym"
        and len(a.key) == len(b.key) == 1
        and not (tree.symbols(one) and tree.symbols(two))
    ):
        return False, f"{a.key} against {b.key}"
    return c.same(one, two)


_RULES = (_two_relations, _two_names, _name_and_value, _sets_of_numbers, _unions)


def _order(name: str) -> int:
    """Return how often what a name stands for is differentiated: `y'` and `dy/dx` once."""
    return name.count("'") or len(_DERIVATIVE.findall(name))


_DERIVATIVE = re.compile(r"d[a-zA-Z]/d[a-zA-Z]")


def _sorted_by_name(names: Node, values: Node) -> Node:
    """Return the entries of `(y, x) = (2, 1)` in the order of their names."""
    if len(names.args[2]) != len(values.args[2]):
        return values
    pairs = sorted(zip(names.args[2], values.args[2], strict=True), key=lambda p: p[0].key)
    return tree.structure("br", [v for _, v in pairs], *values.args[:2])


def _residue(node: Node) -> tuple[str, Node] | None:
    """Return (name, residue) of `5 mod 11` or `x = 5 mod 11`, or None."""
    name, value = tree.sym(""), node
    if node.kind == "rel" and node.args[0] in (("=",), ("equiv",)):
        name, value = node.args[1]
    bare = name.kind == "sym" or not tree.symbols(name)
    found = bare and value.kind == "fn" and value.args[0] == "@mod"
    return (name.key if name.kind == "sym" else "", value) if found else None


def family(node: Node) -> tuple[str, Fraction, Fraction] | None:
    """Return (name, slope, start) of whole numbers such as `n = 7k + 5`, or None."""
    name, value = named(node) or ("", node) if node.kind == "rel" else ("", node)
    found = line(value) if value.kind in ("add", "mul") else None
    if found is None or found[0] == name or found[0] not in ("k", "n", "m", "l", "j", "t"):
        return None
    slope, start = found[1:]
    if slope.kind != "num" or start.kind != "num":
        return None
    whole = slope.args[0].denominator == start.args[0].denominator == 1
    return (name, slope.args[0], start.args[0]) if whole and abs(slope.args[0]) > 1 else None


def as_residue(node: Node) -> Node:
    """Return `x = 5 mod 7` for `x = 7k + 5`; any other node as it is."""
    found = family(node)
    if found is None:
        return node
    name, slope, start = found
    residue = tree.modulo(tree.num(start % abs(slope)), tree.num(abs(slope)))
    return tree.relation(("=",), (tree.sym(name), residue)) if name else residue


def without_modulus(node: Node) -> Node:
    """Return `5` for `5 mod 11` and for `x = 5 mod 11`; any other node as it is."""
    found = _residue(node)
    residue: Node = found[1].args[1] if found is not None else node
    return residue


def solved(node: Node) -> Node:
    """Return `|x - a| < b` and `a < 2x + 1 < b` as the interval or union that they are.

    Only where numbers bound an expression that is linear in one variable; any other node is
    returned as it is.
    """
    if node.kind == "fn" and node.args[0] == "@setminus" and node.args[1].key == "RR":
        return _without_points(node)
    if not is_order(node):
        return node
    operators, items = node.args
    if len(operators) == 1:
        left, right = items
        if right.kind == "fn" and right.args[0] == "abs":
            left, right, operators = right, left, (TURNED[operators[0]],)
        size = magnitude(right) if right.kind in EXPRESSIONS and not tree.symbols(right) else None
        if left.kind != "fn" or left.args[0] != "abs" or not size or size <= 0:
            return node
        inner, sign = left.args[1], operators[0]
        if sign in ("<", "le"):
            return solved(tree.relation((sign, sign), (tree.neg(right), inner, right)))
        below = tree.relation((TURNED[sign],), (inner, tree.neg(right)))
        return tree.structure("union", (below, tree.relation((sign,), (inner, right))))
    turned = ascending(node)
    if turned is None or len(operators) != 2 or turned[1][1].kind == "sym":
        return node
    (first, second), (low, middle, high) = turned
    if middle.kind == "fn" and middle.args[0] == "abs" and not tree.symbols(low):
        size, inner = magnitude(low), middle.args[1]
        if size is not None and size >= 0:  # 0 < |x| < 1: on both sides of zero
            above = solved(tree.relation((first, second), (low, inner, high)))
            other = tree.relation((second, first), (tree.neg(high), inner, tree.neg(low)))
            return tree.structure("union", (solved(other), above))
    found = line(middle) if not tree.symbols(low) | tree.symbols(high) else None
    if found is None or found[1].kind != "num":
        return node
    name, slope, at_zero = found
    low, high = (tree.div(tree.sub(end, at_zero), slope) for end in (low, high))
    if slope.args[0] < 0:
        low, high, first, second = high, low, second, first
    return tree.relation((first, second), (low, tree.sym(name), high))


def _without_points(node: Node) -> Node:
    """Return the real numbers without a set of them as the union of intervals that they are."""
    taken = node.args[2]
    found = region(tree.structure("set", (taken,)) if taken.kind == "num" else taken)
    if found is None or any(tree.symbols(end) for piece in found[1] for end in piece[:2]):
        return node
    return tree.structure("union", without(found[1]))
