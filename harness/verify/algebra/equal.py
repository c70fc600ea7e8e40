"""Whether two expressions are equal: cheapest sufficient test first.

1. equal canonical keys;
2. values modulo large random numbers drawn from a digest of both, with the laws of exponentials,
   sines, logarithms and factorials (`modular.py`): they show equality up to a negligible chance,
   and settle it for rational functions;
3. complex floats at random points, as a filter that only ever rejects;
4. for algebraic constants, enough digits to pass a root separation bound (Burnikel, Funke,
   Mehlhorn, Schirra, Schmitt, 2009, doi:10.1007/s00453-007-9132-4): a proof;
5. absolute values and extrema case by case, functions of which nothing is known as variables;
6. for the rest, many digits at many points far and near, where what is too small to be seen is
   refused. That is no proof, and whoever asks says whether it counts;
7. equal arguments of the same function.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

from harness.verify.algebra import tree
from harness.verify.algebra.digits import DIGITS_BITS, digits
from harness.verify.algebra.fields import FLOATS, NoValue, Undecided, Undefined
from harness.verify.algebra.modular import modular
from harness.verify.algebra.node import Node
from harness.verify.algebra.numeric import Field, evaluate, hashed_random, magnitude, points
from harness.verify.algebra.pieces import Pieces
from harness.verify.algebra.separation import bound_bits
from harness.verify.limits import Unreadable, charge

_TRIES = 40
_WANTED = 10
_MOST_BITS = 4_096  # of digits that are computed
_UNSHOWN = False, "equality could not be shown"


def equal(a: Node, b: Node, *, sampling: bool = True) -> tuple[bool, str]:
    """Return whether two expressions are equal, and how that was settled in a few words.

    Args:
        a: The one.
        b: The other.
        sampling: Whether agreement at random points, or to many digits, counts where nothing is
            proved.
    """
    if a.key == b.key:
        return True, "the same expression"
    if a.kind == "num" and b.kind == "num":
        return False, "different exact numbers"
    if "oo" in (a.key, b.key, a.key.removeprefix("-1*"), b.key.removeprefix("-1*")):
        return False, "infinity on one side"
    charge(a.size + b.size)
    verdict = modular(a, b)
    if verdict is not None:
        return verdict, (
            "equal by exact arithmetic" if verdict else "different by exact arithmetic"
        )
    if _differ(a, b):
        return False, "different values"
    right, why = _in_pieces(a, b, sampling)
    if not right and why == _UNSHOWN[1] and a.kind == b.kind and len(a.args) == len(b.args):
        return _part_by_part(a, b, sampling)
    return right, why


def _proved(a: Node, b: Node) -> bool:
    return a.key == b.key or modular(a, b) is True


def _in_pieces(a: Node, b: Node, sampling: bool) -> tuple[bool, str]:
    """Compare what is left of two expressions without absolute values and unknown functions."""
    pieces = Pieces(_proved)
    try:
        cases = pieces.cases(pieces.smooth(a), pieces.smooth(b))
    except Unreadable:  # a case divides by zero
        return _UNSHOWN
    result = _UNSHOWN
    for x, y in cases or ():
        if not _proved(x, y):
            result = _sampled(x, y) if _names(x, y) else _constants(x, y)
            if not result[0]:  # some case may never happen, so nothing is shown
                return _UNSHOWN if pieces else result
            if result[1].startswith(_PROBABLY) and not sampling:
                return False, f"{result[1]}, which does not count here"
        elif not result[0]:
            result = True, "equal in every case"
    return result


def _part_by_part(a: Node, b: Node, sampling: bool) -> tuple[bool, str]:
    """Compare powers and functions by their arguments: enough to be equal, not to differ."""
    if a.kind == "pow" or (a.kind == "fn" and a.args[0] == b.args[0]):
        pairs = [(x, y) for x, y in zip(a.args, b.args, strict=True) if isinstance(x, Node)]
        found = [equal(x, y, sampling=sampling) for x, y in pairs]
        if all(right for right, _ in found):
            return found[-1]
    return _UNSHOWN


# -- numbers ------------------------------------------------------------------------------------

_PROBABLY = "probably equal"


def _names(a: Node, b: Node) -> list[str]:
    return sorted(tree.symbols(a) | tree.symbols(b))


def _values(
    a: Node, b: Node, field: Field, tries: int, *, seed: str, real: bool, places: int = 0
) -> Iterator[tuple[Any, Any]]:
    """Yield what two expressions are worth, at those of some random points where both have one."""
    rng = hashed_random(seed, a.key, b.key)
    for at in islice(points(_names(a, b), rng, places), tries):
        try:
            yield evaluate(a, at, field, real=real), evaluate(b, at, field, real=real)
        except NoValue:
            continue


def _differ(a: Node, b: Node) -> bool:
    """Whether floats clearly differ at one of a few points."""
    names, agreed = bool(_names(a, b)), 0
    for x, y in _values(a, b, FLOATS, 12 if names else 1, seed="filter", real=names):
        if x != x or y != y or (names and not (FLOATS.real(x) and FLOATS.real(y))):
            continue
        if not FLOATS.close(x, y):
            return True
        agreed += 1
        if agreed == 4:
            break
    return False


def _height(*nodes: Node) -> int:
    """Return the bits of the largest number in some expressions, above and below its line."""
    numbers = [n.args[0] for node in nodes for n in tree.leaves(node) if n.kind == "num"]
    return max((max(map(int.bit_length, x.as_integer_ratio())) for x in numbers), default=0)


def _precision(least: int, height: int) -> int | None:
    """Return how many bits show the difference of two numbers of that height, or None."""
    bits = max(least, -(-4 * height // 256) * 256 + least)
    return bits if bits <= _MOST_BITS else None


def _constants(a: Node, b: Node) -> tuple[bool, str]:
    difference = tree.sub(a, b)
    needed = bound_bits(difference)
    try:
        if needed is not None and needed <= 4_000:
            field = digits(-(-(needed + 80) // 256) * 256)
            size = abs(evaluate(difference, {}, field.unguarded()))
            same = not size or field.m.mag(size) < -needed
            return same, ("proved by a root separation bound" if same else "different values")
        height = _height(a, b)
        for least in (DIGITS_BITS, 4 * DIGITS_BITS):
            bits = _precision(least, height)
            if bits is None:
                return _UNSHOWN
            field = digits(bits)
            try:
                x, y = evaluate(a, {}, field), evaluate(b, {}, field)
            except Undecided:
                continue
            if not field.close(x, y):
                return False, "different values"
            if bits >= 4 * DIGITS_BITS:
                return True, f"{_PROBABLY}: {bits * 9 // 50} digits agree"
    except Undefined:
        return _UNSHOWN
    return _UNSHOWN


def _sampled(a: Node, b: Node) -> tuple[bool, str]:
    """Compare many digits at many points: first where all is real, else in the complex plane."""
    height = _height(a, b)
    bits = _precision(DIGITS_BITS, height) if height > DIGITS_BITS // 4 else DIGITS_BITS
    if bits is None:
        return _UNSHOWN
    field = digits(bits)
    for real in (True, False):
        agreed = elsewhere = differed = 0
        places = 2 + height // 3
        for x, y in _values(a, b, field, _TRIES, seed="digits", real=real, places=places):
            same = field.close(x, y)
            if not (field.real(x) and field.real(y)):
                elsewhere, differed = elsewhere + same, differed + (not same)
                continue
            if not same:
                return False, "different values"
            agreed += 1
            if agreed == _WANTED:
                break
        if agreed >= 5 or (not real and not differed and agreed + elsewhere >= 8):
            return True, f"{_PROBABLY}: 40 digits agree at {agreed + elsewhere} random points"
        if differed:
            return False, "different values"
    return _UNSHOWN


def tolerance_equal(a: Node, b: Node, relative: float, absolute: float) -> bool:
    """Whether a constant `b` lies within a declared tolerance of the gold `a`."""
    try:
        x, y = complex(evaluate(a, {}, FLOATS)), complex(evaluate(b, {}, FLOATS))
    except NoValue:
        return False
    return abs(x - y) <= max(relative * abs(x), absolute) * (1 + 1e-12)


def proportional(a: Node, b: Node, *, sampling: bool = True) -> int:
    """Return the sign of c if a = c*b for a constant c, or 0 if there is none."""
    pieces = Pieces(lambda x, y: x.key == y.key)
    cases = pieces.cases(pieces.smooth(a), pieces.smooth(b))
    if not cases:
        return 0
    one, two = cases[0]  # a factor that holds in every case holds in this one
    for at in islice(points(_names(one, two), hashed_random("ratio", a.key, b.key)), 13):
        left, right = one, two
        try:
            for name, value in at.items():
                point = tree.num(value.limit_denominator(97))
                left = tree.substitute(left, name, point)
                right = tree.substitute(right, name, point)
        except Unreadable:
            continue
        x, y = magnitude(left), magnitude(right)
        if x is None or y is None or not abs(x) > 1e-9 or not abs(y) > 1e-9:
            continue
        if equal(tree.mul(right, a), tree.mul(left, b), sampling=sampling)[0]:
            return 1 if x * y > 0 else -1
        return 0
    return 0
