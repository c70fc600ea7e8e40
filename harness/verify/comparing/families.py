r"""Families of solutions as sets: `x = \pm\pi/3 + 2k\pi`, `(2 + 3t, 5 - 2t)`, `f(x) = cx`."""

from __future__ import annotations

import re
from fractions import Fraction
from itertools import permutations
from math import lcm
from typing import NamedTuple

from harness.verify.algebra import tree
from harness.verify.algebra.node import Node
from harness.verify.comparing.cases import settled
from harness.verify.comparing.comparison import Comparison, Result
from harness.verify.comparing.names import named
from harness.verify.comparing.parts import EXPRESSIONS
from harness.verify.limits import charge
from harness.verify.reading.declarations import Declared

_WHOLE = {"k", "n", "m", "l"}  # beside pi these count periods, whether that is said or not
_MOST = 60  # residues that families are written out to


class _Line(NamedTuple):
    """What a family is in each of its coordinates: a start, and a step for each whole number."""

    start: tuple[Node, ...]
    step: tuple[Node, ...]


def families(
    c: Comparison, gold: Node, answer: Node, mine: Declared, other: Declared, problem: str
) -> Result | None:
    """Compare two families by their free letters; None where they are none, or cannot be told.

    Whole numbers may be shifted, reversed and split by residues, real ones replaced by a multiple
    plus a constant, and any letter renamed. A letter that the problem has is free only if the gold
    answer says so.

    Raises:
        Unreadable: If something has no value for some letter.
    """
    if c.conventions.names == "match":
        return None
    (gold, mine), (answer, other) = _as_steps(gold, mine), _as_steps(answer, other)
    if mine.differs(other):
        return _renumbered(c, (gold, mine), (answer, other))
    kinds = {d.kind for d in (mine, other) if d.kind}
    if len(kinds) > 1 or not (kinds or "pi" in gold.key):
        return None
    given = _letters(problem) - mine.names
    left = _free(gold, answer, mine, other) - given
    right = _free(answer, gold, other, mine) - given
    if not left or not right:
        return None
    several = 3 if mine.names else 1
    if 1 <= len(left) == len(right) <= several and left != right:
        for names in permutations(sorted(left)):
            # by way of names that neither side has
            renamed = answer
            for old in right:
                renamed = tree.substitute(renamed, old, tree.sym(f"@{old}"))
            for old, new in zip(sorted(right), names, strict=True):
                renamed = tree.substitute(renamed, f"@{old}", tree.sym(new))
            if c.same(gold, renamed)[0]:
                return True, "equal up to the names of free letters"
    if len(left) != 1 or len(right) != 1 or "N" in kinds:
        return None
    ones, others = _lines(gold, next(iter(left))), _lines(answer, next(iter(right)))
    if not ones or not others:
        return None
    same = _same_line(ones, others) if kinds == {"R"} else _same_residues(ones, others)
    return (True, "the same family of solutions") if same else None


def _renumbered(
    c: Comparison, gold: tuple[Node, Declared], answer: tuple[Node, Declared]
) -> Result | None:
    """Compare two families of one letter for different numbers; None unless they are the same.

    `2k + 1` from 0 on is `2k - 1` from 1 on, and `k^2` of all whole numbers that of those from 0.
    """
    (left, mine), (right, other) = gold, answer
    if len(mine.names) != 1 or len(other.names) != 1:
        return None
    name, first, second = *mine.names, _first(mine), _first(other)
    letter = tree.sym(name)
    renamed = tree.substitute(right, next(iter(other.names)), letter)
    if any(x.numbers == {"Z"} and "0" in y.numbers for x, y in ((mine, other), (other, mine))):
        mirrored = tree.substitute(left, name, tree.neg(letter))
        even = c.same(left, mirrored)[0] and c.same(left, renamed)[0]
        return (True, "the same for all whole numbers") if even else None
    if first is None or second is None or first == second:
        return None
    shifted = tree.add(letter, tree.num(second - first))
    same = c.same(left, tree.substitute(renamed, name, shifted))[0]
    return (True, "the same family of solutions") if same else None


def _first(own: Declared) -> int | None:
    """Return the first of the whole numbers that are declared, if there is one for certain."""
    found = [int(n) for n in own.numbers if n.lstrip("-").isdecimal()]
    return found[0] if len(found) == 1 and "Z" not in own.numbers else None


_FORMULA = re.compile(r"\$([^$]{1,300})\$")
_LETTER = re.compile(r"(?<![a-zA-Z\\])[a-zA-Z](?![a-zA-Z])")


def _letters(problem: str) -> frozenset[str]:
    """Return the letters in the formulas of a problem."""
    return frozenset(_LETTER.findall(" ".join(_FORMULA.findall(problem))))


def _as_steps(node: Node, own: Declared) -> tuple[Node, Declared]:
    r"""Return `1 + 5 @k` for `x \equiv 1 \pmod 5` and what it declares; else both as they are."""
    parts = node.args if node.kind == "list" and node.args else (node,)
    modulus = _residue(parts[-1])[1]
    residues = [_residue(part)[0] for part in parts]
    if modulus is None or any(r.kind != "num" for r in residues):
        return node, own
    steps = [tree.add(r, tree.mul(modulus, tree.sym("@k"))) for r in residues]
    return tree.structure("list", steps), Declared(frozenset({"@k"}), "Z")


def _residue(node: Node) -> tuple[Node, Node | None]:
    r"""Return (1, 5) of `x \equiv 1 \pmod 5`, and (1, None) where the modulus is left out."""
    if node.kind == "rel" and node.args[0] in (("=",), ("equiv",)):
        node = node.args[1][1]
    if node.kind == "fn" and node.args[0] == "@mod":
        return node.args[1], node.args[2]
    return node, None


def _free(node: Node, beside: Node, own: Declared, other: Declared) -> set[str]:
    """Return the letters of a node that stand for any number of a kind."""
    names = tree.symbols(node)
    if own.names:
        return {str(n) for n in names & own.names}
    if other.names:  # what the other side has not, but for what it declares
        return names - (tree.symbols(beside) - other.names) - left_sides(node)
    return names & _WHOLE


def left_sides(node: Node) -> set[str]:
    """Return the letters before the relations of a node."""
    if node.kind == "list":
        return set().union(*map(left_sides, node.args))
    return tree.symbols(node.args[1][0]) if node.kind == "rel" else set()


def _lines(node: Node, name: str) -> list[_Line] | None:
    """Return the families of a node, of which each is linear in a name."""
    parts = list(node.args) if node.kind in ("list", "union") else [node]
    pairs = [named(x) for x in parts]
    if len(parts) > 1 and all(pairs) and len({n for n, _ in filter(None, pairs)}) == len(parts):
        # x = 2 + 3t, y = 5 - 2t
        return _family([v for _, v in sorted(filter(None, pairs), key=lambda p: p[0])], name)
    found: list[_Line] = []
    for part, pair in zip(parts, pairs, strict=True):
        value = pair[1] if pair is not None else part
        inner = value.args if value.kind in ("list", "set") else _by_parity(value, name)
        for x in inner:
            each = _family(list(x.args[2]) if x.kind == "br" else [x], name)
            if each is None:
                return None
            found += each
    return found


def _by_parity(value: Node, name: str) -> list[Node]:
    """Return a value for even and for odd numbers, if it has a power of -1."""
    if f"-1^{name}" not in value.key and "-1^(" not in value.key:
        return [value]
    twice = tree.mul(tree.num(2), tree.sym("@m"))
    at = (twice, tree.add(twice, tree.ONE))
    return [
        tree.substitute(settled(tree.substitute(value, name, n)), "@m", tree.sym(name)) for n in at
    ]


def _family(coordinates: list[Node], name: str) -> list[_Line] | None:
    start, step = [], []
    for value in coordinates:
        if value.kind not in EXPRESSIONS:
            return None
        at = [tree.substitute(value, name, tree.num(n)) for n in (0, 1, 2)]
        start.append(at[0])
        step.append(tree.sub(at[1], at[0]))
        if tree.sub(at[2], at[1]).key != step[-1].key or name in tree.symbols(step[-1]):
            return None
    charge(10 * len(coordinates))
    return [_Line(tuple(start), tuple(step))] if any(x.key != "0" for x in step) else None


def _ratio(over: tuple[Node, ...], under: tuple[Node, ...]) -> Fraction | None:
    """Return the rational number by which one vector is a multiple of another, or None."""
    found: set[Fraction] = set()
    for x, y in zip(over, under, strict=True):
        if y.key == "0":
            if x.key != "0":
                return None
            continue
        value = tree.div(x, y)
        if value.kind != "num":
            return None
        found.add(value.args[0])
    return found.pop() if len(found) == 1 else None


def _between(one: _Line, other: _Line) -> tuple[Node, ...]:
    return tuple(tree.sub(x, y) for x, y in zip(one.start, other.start, strict=True))


def _same_line(ones: list[_Line], others: list[_Line]) -> bool:
    """Whether two single lines have the same points."""
    (one, *more), (other, *others) = ones, others
    if more or others or len(one.start) != len(other.start):
        return False
    return bool(_ratio(other.step, one.step)) and _ratio(_between(other, one), one.step) is not None


def _same_residues(ones: list[_Line], others: list[_Line]) -> bool:
    """Whether two lists of families with whole numbers have the same points."""
    first = ones[0]
    sides: list[list[tuple[Fraction, Fraction]]] = []
    for side in (ones, others):
        found = []
        for line in side:
            if len(line.start) != len(first.start):
                return False
            step = _ratio(line.step, first.step)
            start = _ratio(_between(line, first), first.step)
            if not step or start is None:
                return False
            found.append((start, abs(step)))
        sides.append(found)
    steps = [step for side in sides for _, step in side]
    # the least common multiple of fractions
    bottom = lcm(*(s.denominator for s in steps))
    period = Fraction(lcm(*(int(s * bottom) for s in steps)), bottom)
    if any(sum(period / step for _, step in side) > _MOST for side in sides):
        return False
    one, other = (
        {(start + i * step) % period for start, step in side for i in range(int(period / step))}
        for side in sides
    )
    return one == other
