"""Several values compared: lists, sets, tuples, intervals and matrices."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import permutations

from harness.verify.algebra import tree
from harness.verify.algebra.equal import equal
from harness.verify.algebra.node import Node
from harness.verify.comparing.comparison import Comparison, Result, unpaired
from harness.verify.comparing.names import agree, items_of, named, values_of
from harness.verify.comparing.parts import BASIS, EXPRESSIONS, unit_vectors
from harness.verify.reading.words import canonical_unit

_SHAPE = re.compile(r" (?:triangle|function|number|sequence)$")
_OF = re.compile(r"^([A-Za-z])\([a-z]\)$")  # P(x) is P


def lists(c: Comparison, gold: Node, answer: Node) -> Result:
    """Compare lists and sets in any order (by default), by name where both give names."""
    left, right = (_alike(_permuted(_solutions(items_of(n)))) for n in (gold, answer))
    if "br" in (gold.kind, answer.kind):
        return _list_and_tuple(c, gold, answer)
    if gold.kind == "set" or answer.kind == "set":
        left, right = _distinct(left), _distinct(right)
    if len(left) != len(right) and len(_distinct(left)) == len(left):
        right = _distinct(right)  # naming a solution twice adds none
    if len(left) == 1 < len(right) and left[0].kind in EXPRESSIONS:
        # (x + 4) / (x + 3), x != 4
        stated = [x for x in right if x.kind != "rel" or x.args[0] != ("ne",)]
        right = stated if len(stated) == 1 and _is_expression(stated[0]) else right
    if len(left) == 1 and any(n is not None for n in map(named, right)):
        # x = 2401/100, or x = 24.01
        worth = [(named(x) or ("", x))[1] for x in right]
        right = right[:1] if c.all_same(worth[:1] * len(worth), worth) else right
    if len(left) == 1 < len(right) and all(x.kind == "unit" for x in right) and agree(tuple(right)):
        # 160 minutes, or 2 hours and 40 minutes
        return any(c.same(left[0], x)[0] for x in right), "one quantity in several units"
    if len(left) != len(right):
        return False, f"{len(left)} values against {len(right)}"
    if len(left) == 1:
        return c.same(left[0], right[0])
    mine_named = [n for n in map(named, left) if n is not None]
    other_named = [n for n in map(named, right) if n is not None]
    if len(mine_named) == len(other_named) == len(left):
        return _by_name(c, mine_named, other_named)
    equations = any(x.kind == "rel" and named(x) is None for x in right)
    if equations and unpaired(left, right, lambda x, y: c.same(x, y)[0]) is None:
        # 2x + 3y = 0 and 2x - 3y = 0 for y = 2x/3 and y = -2x/3
        return True, "the same equations in some order"
    left, right = values_of(left), values_of(right)
    if c.conventions.order == "given" and "set" not in (gold.kind, answer.kind):
        same = c.all_same(left, right)
        return same, "equal in order" if same else "different in the given order"
    nouns = _nouns(left)
    each = len(nouns) > 1 and nouns == _nouns(right)  # 14 ducks and 9 goats
    alone = unpaired(
        left, right, lambda x, y: (not each or _noun(x) == _noun(y)) and c.same(x, y)[0]
    )
    if alone is not None:
        return False, f"{alone.key} has no counterpart"
    return True, "the same values in some order"


def _alike(items: list[Node]) -> list[Node]:
    """Return functions of x, whatever their argument is called, and kinds without their noun."""
    if all(x.kind == "text" for x in items):
        return [tree.text(_SHAPE.sub("", x.args[0])) for x in items]
    return [_in_x(x) if x.kind == "rel" else _point(x) for x in items]


def _point(item: Node) -> Node:
    """Return `{x = 3, y = 2}` as (3, 2)."""
    pairs = [named(x) for x in item.args] if item.kind == "set" else []
    found = sorted((p for p in pairs if p is not None), key=lambda p: p[0])
    if len(found) < 2 or len(found) < len(pairs) or len({n for n, _ in found}) < len(found):
        return item
    return tree.structure("br", [v for _, v in found], "(", ")")


def _in_x(item: Node) -> Node:
    left, *values = item.args[1]
    if left.kind != "fn" or len(left.args) != 2 or left.args[1].kind != "sym":
        return item
    name = left.args[1].key
    if name == "x" or any("x" in tree.symbols(v) for v in values):
        return item
    return tree.relation(
        item.args[0], [tree.substitute(s, name, tree.sym("x")) for s in item.args[1]]
    )


def _nouns(items: list[Node]) -> set[str]:
    """Return the names of what is counted or measured, if each item has one of its own."""
    names = {_noun(x) for x in items if x.kind == "unit"}
    return names if len(names) == len(items) else set()


def _noun(item: Node) -> str:
    return canonical_unit(item.args[1])[2]


def _is_expression(node: Node) -> bool:
    known = named(node)  # g(x) = x + 1, but no x = 42
    return bool(tree.symbols(node if known is None else known[1]))


def _solutions(items: list[Node]) -> list[Node]:
    """Return `x = 1, y = 2, x = 3, y = 4` as (1, 2) and (3, 4); other items as they are."""
    pairs = [n for n in map(named, items) if n is not None]
    names = sorted({n for n, _ in pairs})
    size = len(names)
    if size < 2 or len(pairs) != len(items) or len(items) == size or len(items) % size:
        return items
    groups = [dict(pairs[i : i + size]) for i in range(0, len(pairs), size)]
    if any(len(group) < size for group in groups):
        return items
    return [tree.structure("br", [group[n] for n in names], "(", ")") for group in groups]


def _by_name(c: Comparison, left: list[tuple[str, Node]], right: list[tuple[str, Node]]) -> Result:
    left, right = ([(_OF.sub(r"\1", n), v) for n, v in side] for side in (left, right))
    if sorted(n for n, _ in left) == sorted(n for n, _ in right):
        alone = unpaired(left, right, lambda x, y: x[0] == y[0] and c.same(x[1], y[1])[0])
        return alone is None, f"{alone[0]} differs" if alone else "equal name by name"
    if {n for n, _ in left} & {n for n, _ in right}:
        return False, "different names"
    # no name in common, as in a = 1, b = 2 against x = 1, y = 2: the values alone count
    return lists(c, *(tree.structure("list", [v for _, v in side]) for side in (left, right)))


def _list_and_tuple(c: Comparison, gold: Node, answer: Node) -> Result:
    """Compare `(1, 2)` with `1, 2`, in order; an interval or a set is neither."""
    bracketed, other = (gold, answer) if gold.kind == "br" else (answer, gold)
    opening, close, inner = bracketed.args
    if all(named(x) is not None for x in inner):  # [x = 1, y = 2]
        plain = tree.structure("list", inner)
        return lists(c, *((plain, other) if bracketed is gold else (other, plain)))
    if other.kind == "set" or opening != "(" or close != ")":
        return False, "brackets of different kinds"
    values = values_of(_sorted_by_name(items_of(other)))
    if len(values) != len(inner) or any(v.kind == "br" for v in values):
        return False, "a tuple against a list"
    same = c.all_same(*((inner, values) if bracketed is gold else (values, inner)))
    return same, "a tuple against the same values in order" if same else "different entries"


def _sorted_by_name(items: list[Node]) -> list[Node]:
    """Return `y = 3, x = 2` in the order of its names, if they are neighbours in the alphabet."""
    names = [n[0] if n is not None else "" for n in map(named, items)]
    order = "".join(sorted(names))
    if all(len(n) == 1 for n in names) and order in "abcdefghijklmnopqrstuvwxyz":
        return [x for _, x in sorted(zip(names, items, strict=True), key=lambda pair: pair[0])]
    return items


def _permuted(items: list[Node]) -> list[Node]:
    """Return tuples with all their permutations, where words name these."""
    if not items or items[-1].key != '"permutations"':
        return items
    tuples = [x for x in items if x.kind == "br" and len(x.args[2]) <= 4]
    if len(tuples) != len(items) - 1:
        return items
    return _distinct(
        [tree.structure("br", p, *x.args[:2]) for x in tuples for p in permutations(x.args[2])]
    )


def _distinct(items: list[Node]) -> list[Node]:
    return list(dict.fromkeys(items))


def tuples(c: Comparison, gold: Node, answer: Node) -> Result:
    """Compare tuples, intervals and matrices entry by entry."""
    if gold.kind == answer.kind == "br":
        if gold.args[:2] != answer.args[:2]:
            return False, "brackets of different kinds"
        return entries(c, gold.args[2], answer.args[2])
    if gold.kind == answer.kind == "matrix":
        if (len(gold.args), len(gold.args[0])) != (len(answer.args), len(answer.args[0])):
            return False, "matrices of different shape"
        return entries(c, _cells(gold), _cells(answer))
    if {gold.kind, answer.kind} == {"br", "matrix"} and c.conventions.shape == "free":
        squares = _square(gold), _square(answer)
        if squares[0].kind == squares[1].kind:
            return tuples(c, *squares)
        box, row = (gold, answer) if gold.kind == "matrix" else (answer, gold)
        if 1 in (len(box.args), len(box.args[0])) and row.args[0] != "[":
            return entries(c, _cells(gold), _cells(answer))
    left, right = _cells(gold), _cells(answer)
    vectors = not EXPRESSIONS.isdisjoint((gold.kind, answer.kind)) and left and right
    if vectors and "[" not in (gold.args[0], answer.args[0]):
        if 2 in (len(left), len(right)):  # without a third component
            left, right = (x[:2] if [n.key for n in x[2:]] == ["0"] else x for x in (left, right))
        return entries(c, left, right)
    if "pct" in (gold.kind, answer.kind):
        return False, "a percentage against several values"
    return False, f"a {gold.kind} against a {answer.kind}"


def _square(node: Node) -> Node:
    """Return `[[1, 0], [0, 1]]` as the matrix that it is; any other node as it is."""
    rows = node.args[2] if node.kind == "br" else ()
    nested = all(x.kind == "br" and x.args[0] == "[" for x in rows)
    if nested and len({len(x.args[2]) for x in rows}) == 1:
        return tree.matrix([x.args[2] for x in rows])
    return node


def _cells(node: Node) -> tuple[Node, ...]:
    """Return the entries of a matrix, row by row, of brackets or of a sum of unit vectors."""
    if node.kind == "matrix":
        return tuple(cell for row in node.args for cell in row)
    return node.args[2] if node.kind == "br" else _components(node)


def _components(node: Node) -> tuple[Node, ...]:
    """Return (a, b, c) of `a i + b j + c k`, else (); bare letters need a j or k among them."""
    if node.kind not in EXPRESSIONS:
        return ()
    node = unit_vectors(node) if {"j", "k"} & tree.symbols(node) else node
    if not set(BASIS) & tree.symbols(node):
        return ()
    found = []
    for name in BASIS:
        part = node
        for other in BASIS:
            part = tree.substitute(part, other, tree.ONE if other == name else tree.ZERO)
        found.append(part)
    whole = tree.add(*(tree.mul(x, tree.sym(n)) for x, n in zip(found, BASIS, strict=True)))
    return tuple(found) if equal(whole, node, sampling=False)[0] else ()


def entries(c: Comparison, left: Sequence[Node], right: Sequence[Node]) -> Result:
    """Compare entries one by one, in order."""
    if len(left) != len(right):
        return False, f"{len(left)} entries against {len(right)}"
    for x, y in zip(left, right, strict=True):
        if not c.same(x, y)[0]:
            return False, f"{x.key} against {y.key}"
    return True, "equal entry by entry"
