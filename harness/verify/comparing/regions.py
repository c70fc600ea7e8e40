"""Sets of real numbers out of intervals, inequalities, unions and points."""

from __future__ import annotations

from harness.verify.algebra import tree
from harness.verify.algebra.equal import equal
from harness.verify.algebra.node import E, Node
from harness.verify.algebra.numeric import magnitude
from harness.verify.comparing.comparison import Comparison, unpaired
from harness.verify.comparing.parts import TURNED, ascending, is_function, is_order
from harness.verify.limits import Unreadable

NEGATIVE_INFINITY = tree.neg(tree.INFINITY)
# (low, high, low belongs, high belongs)
Piece = tuple[Node, Node, bool, bool]
Region = tuple[str | None, list[Piece]]  # the variable, if it has one, and the pieces


def graph(node: Node) -> Node:
    """Return bounds on `f(x)` as bounds on `y`; any other node as it is."""
    if node.kind in ("list", "union"):
        return tree.mapped(node, graph)
    if node.kind != "rel" or not (is_order(node) or node.args[0] == ("in",)):
        return node
    if not any(map(_is_value, node.args[1])):
        return node
    return tree.mapped(node, lambda side: tree.sym("y") if _is_value(side) else side)


def _is_value(node: Node) -> bool:
    """Whether a node is `f(x)`, a named function of variables."""
    return is_function(node) and all(a.kind == "sym" for a in node.args[1:])


def region(node: Node) -> Region | None:
    """Return (variable, pieces) of a set of reals, or None where a node is no such set.

    The variable is None for a set written without one, as `(0, 1)`.
    """
    try:
        return _region(node)
    except Unreadable:
        return None


def _region(node: Node) -> Region | None:
    kind, args = node.kind, node.args
    if kind == "br" and len(args[2]) == 2:  # a pair is read as an interval, which (1, 2) may be
        low, high = args[2]
        if low.kind in ("rel", "text") or high.kind in ("rel", "text"):
            return None
        return None, [(low, high, args[0] == "[", args[1] == "]")]
    if kind in ("union", "list") and args:
        name, parts = None, []
        for part in args:
            inner = _region(part)
            if inner is None or (name and inner[0] and inner[0] != name) or part.key == "RR":
                return None  # x < 1 or y > 2 is a set in the plane; "all reals, x > 0" is none
            name = name or inner[0]
            parts.append(inner[1])
        pieces = [piece for part in parts for piece in part]
        return name, (kind == "list" and name and _both(parts)) or pieces
    if kind == "set":
        return None, [(x, x, True, True) for x in args]
    if kind == "sym" and node.args[0] == "RR":
        return None, [(NEGATIVE_INFINITY, tree.INFINITY, False, False)]
    if kind != "rel":
        return None
    operators, items = args
    if any(x == E for x in items if x.kind == "const"):  # an eccentricity is no constant
        named = [tree.sym("e") if x == E else x for x in items]
        return _region(tree.relation(operators, named))
    if operators == ("in",) and items[0].kind == "sym":
        inner = _region(items[1])
        return (items[0].key, inner[1]) if inner is not None else None
    # x = 1 is a point and x != 1 all but a point, so that they can be parts of a union
    if operators in (("ne",), ("=",)) and items[0].kind == "sym":
        name, point = items[0].key, items[1]
        if operators == ("=",):
            return name, [(point, point, True, True)]
        return name, [_below(point, False), _above(point, False)]
    return _inequality(node) if is_order(node) else None


def _below(end: Node, closed: bool) -> Piece:
    return NEGATIVE_INFINITY, end, False, closed


def _above(end: Node, closed: bool) -> Piece:
    return end, tree.INFINITY, closed, False


def _size(end: Node) -> float:
    size = magnitude(end)
    if size is None:
        raise Unreadable("an end that is no real number")
    return size


def _both(parts: list[list[Piece]]) -> list[Piece]:
    """Return what lies in all parts: "x > 0 and x != 2"; nothing where they exclude each other."""
    found = parts[0]
    for part in parts[1:]:
        found = [p for x in found for y in part if (p := _common(x, y)) is not None]
    return found


def _common(x: Piece, y: Piece) -> Piece | None:
    low, low_in = _inner(x[0], x[2], y[0], y[2], 1)
    high, high_in = _inner(x[1], x[3], y[1], y[3], -1)
    if tree.symbols(low) or tree.symbols(high):
        return low, high, low_in, high_in
    size = _size(high) - _size(low)
    return (low, high, low_in, high_in) if size > 0 or (size == 0 and low_in and high_in) else None


def _inner(a: Node, a_in: bool, b: Node, b_in: bool, sign: int) -> tuple[Node, bool]:
    """Return the inner one of two lower (or with `sign` -1 upper) ends, with its closedness."""
    for one, other in (((a, a_in), (b, b_in)), ((b, b_in), (a, a_in))):
        if one[0] in (NEGATIVE_INFINITY, tree.INFINITY):
            return other
    order = sign * (_size(a) - _size(b))
    if order == 0:
        return a, a_in and b_in
    return (a, a_in) if order > 0 else (b, b_in)


def _inequality(node: Node) -> Region | None:
    """Return what a chain of order says of one variable, for which it may have to be solved."""
    operators, items = node.args
    if len(operators) == 1:
        (operator,), (left, right) = operators, items
        if "sym" not in (left.kind, right.kind):  # 2x + 1 < 5
            found = line(tree.sub(left, right))
            if found is None:
                return None
            name, slope, at_zero = found
            if _size(slope) < 0:  # dividing by a negative number turns the sign
                operator = TURNED[operator]
            left, right = tree.sym(name), tree.neg(tree.div(at_zero, slope))
        elif left.kind != "sym":
            left, right, operator = right, left, TURNED[operator]
        if left.key in tree.symbols(right):
            return None  # x < 2x: not solved for x
        side = _below if operator in ("<", "le") else _above
        return left.key, [side(right, operator in ("le", "ge"))]
    turned = ascending(node)
    if turned is None or len(operators) != 2 or items[1].kind != "sym":
        return None  # 0 < x > 1 is no interval with two ends
    (first, second), (low, middle, high) = turned
    return middle.key, [(low, high, first == "le", second == "le")]


def line(node: Node) -> tuple[str, Node, Node] | None:
    """Return (variable, slope, value at 0) of an expression linear in one variable, or None."""
    names = tree.symbols(node)
    if len(names) != 1:
        return None
    name = next(iter(names))
    # equal steps at three points suggest a line; the identity below proves it
    at = [tree.substitute(node, name, tree.num(n)) for n in (0, 1, 2)]
    slope = tree.sub(at[1], at[0])
    if slope.key == "0" or tree.sub(at[2], at[1]).key != slope.key:
        return None
    straight = tree.add(at[0], tree.mul(slope, tree.sym(name)))
    return (name, slope, at[0]) if equal(straight, node, sampling=False)[0] else None


def without(pieces: list[Piece]) -> list[Node]:
    """Return the intervals of the real line that lie outside of these pieces, in order."""
    at, closed, found = NEGATIVE_INFINITY, False, []
    for low, high, low_in, high_in in _joined(pieces):
        if low.key != NEGATIVE_INFINITY.key:
            ends = "[" if closed else "(", ")" if low_in else "]"
            found.append(tree.structure("br", (at, low), *ends))
        at, closed = high, not high_in
    if at.key != tree.INFINITY.key:
        found.append(tree.structure("br", (at, tree.INFINITY), "[" if closed else "(", ")"))
    return found


def same_region(c: Comparison, a: list[Piece], b: list[Piece]) -> bool:
    """Whether two lists of pieces are the same set, in any order, after joining what touches."""

    def same(x: Piece, y: Piece) -> bool:
        return x[2:] == y[2:] and c.equal(x[0], y[0])[0] and c.equal(x[1], y[1])[0]

    a, b = _joined(a), _joined(b)
    return len(a) == len(b) and unpaired(a, b, same) is None


def _joined(pieces: list[Piece]) -> list[Piece]:
    """Return the pieces in order, without empty ones and with those that touch made one."""
    try:
        ends = [(_size(p[0]), _size(p[1]), p) for p in pieces]
    except Unreadable:
        return pieces  # an end in another variable
    joined: list[tuple[float, Piece]] = []  # with the size of the upper end
    for low, high, piece in sorted(ends, key=lambda x: (x[0], not x[2][2])):
        if low > high:
            continue
        if joined:
            top, (first, last, first_in, last_in) = joined[-1]
            touch = top - low
            if touch > 1e-12 or (abs(touch) <= 1e-12 and (last_in or piece[2])):
                if high > top:
                    joined[-1] = high, (first, piece[1], first_in, piece[3])
                elif high == top:
                    joined[-1] = top, (first, last, first_in, last_in or piece[3])
                continue
        joined.append((high, piece))
    return [piece for _, piece in joined]
