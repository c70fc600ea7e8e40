"""Several values compared: lists, sets, tuples, intervals and matrices."""

from __future__ import annotations

from collections.abc import Sequence

from harness.verify.algebra import tree
from harness.verify.algebra.equal import equal
from harness.verify.algebra.node import Node
from harness.verify.comparing.comparison import Comparison, Result
from harness.verify.comparing.names import items_of, named, values_of
from harness.verify.comparing.parts import BASIS, EXPRESSIONS, unit_vectors


def lists(c: Comparison, gold: Node, answer: Node) -> Result:
    """Compare lists and sets in any order (by default), by name where both give names."""
    left, right = _solutions(items_of(gold)), _solutions(items_of(answer))
    if "br" in (gold.kind, answer.kind):
        return _list_and_tuple(c, gold, answer)
    if gold.kind == "set" or answer.kind == "set":
        left, right = _distinct(left), _distinct(right)
    if len(left) != len(right) and len(_distinct(left)) == len(left):
        right = _distinct(right)  # naming a solution twice adds none
    if len(left) != len(right):
        return False, f"{len(left)} values against {len(right)}"
    if len(left) == 1:
        return c.same(left[0], right[0])
    mine_named = [n for n in map(named, left) if n is not None]
    other_named = [n for n in map(named, right) if n is not None]
    if len(mine_named) == len(other_named) == len(left):
        return _by_name(c, mine_named, other_named)
    left, right = values_of(left), values_of(right)
    if c.conventions.order == "given" and "set" not in (gold.kind, answer.kind):
        same = all(c.same(x, y)[0] for x, y in zip(left, right, strict=True))
        return same, "equal in order" if same else "different in the given order"
    rest = list(right)
    for x in left:
        for y in rest:
            if c.same(x, y)[0]:
                rest.remove(y)
                break
        else:
            return False, f"{x.key} has no counterpart"
    return True, "the same values in some order"


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
    if sorted(n for n, _ in left) == sorted(n for n, _ in right):
        rest = list(right)
        for name, value in left:
            for pair in rest:
                if pair[0] == name and c.same(value, pair[1])[0]:
                    rest.remove(pair)
                    break
            else:
                return False, f"{name} differs"
        return True, "equal name by name"
    if {n for n, _ in left} & {n for n, _ in right}:
        return False, "different names"
    # no name in common, as in a = 1, b = 2 against x = 1, y = 2: the values alone count
    return lists(
        c,
        tree.structure("list", [v for _, v in left]),
        tree.structure("list", [v for _, v in right]),
    )


def _list_and_tuple(c: Comparison, gold: Node, answer: Node) -> Result:
    """Compare `(1, 2)` with `1, 2`, in order; an interval or a set is neither."""
    bracketed, other = (gold, answer) if gold.kind == "br" else (answer, gold)
    opening, close, inner = bracketed.args
    if other.kind == "set" or opening != "(" or close != ")":
        return False, "brackets of different kinds"
    values = values_of(sorted_by_name(items_of(other)))
    if len(values) != len(inner) or any(v.kind == "br" for v in values):
        return False, "a tuple against a list"
    left, right = (inner, values) if bracketed is gold else (values, inner)
    same = all(c.same(x, y)[0] for x, y in zip(left, right, strict=True))
    return same, "a tuple against the same values in order" if same else "different entries"


def sorted_by_name(items: list[Node]) -> list[Node]:
    """Return `y = 3, x = 2` in the order of its names, if they are neighbours in the alphabet."""
    names = [n[0] if n is not None else "" for n in map(named, items)]
    order = "".join(sorted(names))
    if all(len(n) == 1 for n in names) and order in "abcdefghijklmnopqrstuvwxyz":
        return [x for _, x in sorted(zip(names, items, strict=True), key=lambda pair: pair[0])]
    return items


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
        box, row = (gold, answer) if gold.kind == "matrix" else (answer, gold)
        lines = row.args[2]
        if (
            all(x.kind == "br" and x.args[0] == "[" for x in lines)
            and len({len(x.args[2]) for x in lines}) == 1
        ):  # [[1, 0], [0, 1]]
            square = tree.matrix([x.args[2] for x in lines])
            return tuples(c, *((box, square) if box is gold else (square, box)))
        if 1 in (len(box.args), len(box.args[0])) and row.args[0] != "[":
            cells = _cells(box)
            return entries(c, *((cells, lines) if box is gold else (lines, cells)))
    for one, two in ((gold, answer), (answer, gold)):
        found = components(one)
        if found is not None and two.args[0] != "[":
            cells = _cells(two) if two.kind == "matrix" else list(two.args[2])
            if len(cells) == 2 and found[2].key == "0":
                found = found[:2]
            return entries(c, *((found, cells) if one is gold else (cells, found)))
    if "pct" in (gold.kind, answer.kind):
        return False, "a percentage against several values"
    return False, f"a {gold.kind} against a {answer.kind}"


def components(node: Node) -> tuple[Node, ...] | None:
    """Return (a, b, c) of `a i + b j + c k`, or None; bare letters need a j or k among them."""
    if node.kind not in EXPRESSIONS:
        return None
    node = unit_vectors(node) if {"j", "k"} & tree.symbols(node) else node
    if not set(BASIS) & tree.symbols(node):
        return None
    found = []
    for name in BASIS:
        part = node
        for other in BASIS:
            part = tree.substitute(part, other, tree.ONE if other == name else tree.ZERO)
        found.append(part)
    whole = tree.add(*(tree.mul(x, tree.sym(n)) for x, n in zip(found, BASIS, strict=True)))
    return tuple(found) if equal(whole, node, sampling=False)[0] else None


def _cells(matrix: Node) -> list[Node]:
    return [cell for row in matrix.args for cell in row]


def entries(c: Comparison, left: Sequence[Node], right: Sequence[Node]) -> Result:
    """Compare entries one by one, in order."""
    if len(left) != len(right):
        return False, f"{len(left)} entries against {len(right)}"
    for x, y in zip(left, right, strict=True):
        if not c.same(x, y)[0]:
            return False, f"{x.key} against {y.key}"
    return True, "equal entry by entry"
