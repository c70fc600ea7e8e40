"""Whole answers: lists, relations, tuples, sets, intervals and words."""

from __future__ import annotations

import re

from harness.verify.algebra import tree
from harness.verify.algebra.node import Node
from harness.verify.limits import MAX_ITEMS, TooLarge, Unreadable
from harness.verify.reading.cursor import CLOSING, Cursor, relation_operator
from harness.verify.reading.expressions import expression
from harness.verify.reading.labels import label_in_words, lead, name_in_words
from harness.verify.reading.quantities import value, with_modulus, with_unit
from harness.verify.reading.tokens import Token
from harness.verify.reading.words import ALL_REALS, QUALIFIERS, normal_words


def answer(c: Cursor) -> Node:
    """Read everything; the result is one value or a list."""
    found, joined = items(c, ())
    if c.at < len(c.tokens):
        raise Unreadable(f"{c.peek().value!r} is left over")
    if not found:
        raise Unreadable("nothing to read")
    if "or" in joined and joined <= {"or", ","}:
        worth = {
            (tree.div(n.args[0], tree.num(100)) if n.kind == "pct" else n): n for n in found[::-1]
        }
        found = list(worth.values())[::-1]  # one value in two notations
    if len(found) == 1:
        return found[0]
    # "x < 1 or x > 3" is a set of numbers, "x = 1 or x = 3" two values
    if (
        "or" in joined
        and all(i.kind in ("rel", "br", "union") for i in found)
        and any(i.kind == "rel" and i.args[0][0] in ("<", ">", "le", "ge", "in") for i in found)
    ):
        return tree.structure("union", found)
    return tree.structure("list", found)


def items(c: Cursor, closers: tuple[str, ...]) -> tuple[list[Node], set[str]]:
    """Read the items of a list up to a closing mark; also return what separates them."""
    found: list[Node] = []
    joined: set[str] = set()
    step: Node | None = None
    while True:
        while c.separator() and not c.op(*closers):
            joined.add(c.take().value)
        if c.peek().kind == "end" or c.op(*closers):
            return found, joined
        found.append(_clause(c, closers))
        if step is not None:
            _follows(step, found[-1])
            step = None
        if len(found) > MAX_ITEMS:
            raise TooLarge("a list has too many items")
        if c.peek().kind == "end" or c.op(*closers):
            return found, joined
        if c.accept("implies"):
            step = found.pop()  # on the way to the answer
        elif not c.separator():
            raise Unreadable(f"{c.peek().value!r} is not expected here")


def _follows(step: Node, then: Node) -> None:
    """Refuse a step from one value to another: `1 => 2`, `x = 4 => x = 9`."""
    if step.key == then.key or "text" in (step.kind, then.kind):
        return
    values = [n.args[1][-1] if n.kind == "rel" else n for n in (step, then)]
    if "rel" not in (step.kind, then.kind):
        same = False
    elif step.kind == then.kind and step.args[1][0].kind == "sym":
        same = step.args[1][0] != then.args[1][0] or {*step.args[0], *then.args[0]} != {"="}
    else:
        return
    if not same and values[0] != values[1] and all(v.kind == "num" for v in values):
        raise Unreadable("a step from one value to another")


# -- clauses ------------------------------------------------------------------------------------


def _clause(c: Cursor, closers: tuple[str, ...]) -> Node:
    """Read one item of a list: a relation, a set or a value with its unit, or words."""
    start = c.mark()
    try:
        return _all_of(c, closers, _relation(c, closers))
    except Unreadable:
        c.back(start)
    if not closers:  # in brackets, where reading twice would double with every level, no names
        try:
            return _all_of(c, closers, _relation(c, closers, name_in_words(c)))
        except Unreadable:
            c.back(start)
        if label_in_words(c):
            try:
                return _all_of(c, closers, _relation(c, closers))
            except Unreadable:
                pass
        c.back(start)
    return _words(c, closers)


def _all_of(c: Cursor, closers: tuple[str, ...], node: Node) -> Node:
    """Return the node if its clause ends here."""
    if not (c.peek().kind == "end" or c.op(*closers, "implies") or c.separator()):
        raise Unreadable(f"{c.peek().value!r} is left over")
    return node


def _words(c: Cursor, closers: tuple[str, ...]) -> Node:
    """Read a clause as words; only where it has words."""
    taken: list[Token] = []
    depth = 0
    while c.peek().kind != "end":
        if not depth and (c.op(*closers) or c.separator()):
            break
        t = c.take()
        depth += (t.value in CLOSING) - (t.value in CLOSING.values())
        taken.append(t)
    if not any(t.kind in ("word", "let") for t in taken):
        raise Unreadable("neither mathematics nor words")
    words = normal_words("".join((" " if t.space else "") + t.value for t in taken))
    half = _HALF_LINE.fullmatch(words)
    if half is not None:
        sign = _SIGNED[half.group(1).replace("-", "")]
        return tree.relation((sign,), (tree.sym("x"), tree.ZERO))
    return tree.sym("RR") if words in ALL_REALS else tree.text(words)


_FUNCTIONS = {"f", "g", "h", "F", "G", "P", "Q"}  # without an argument
_SIGNED = {"positive": ">", "negative": "<", "nonnegative": "ge", "nonpositive": "le"}
_HALF_LINE = re.compile(r"(?:all )?((?:non-?)?(?:posi|nega)tive) reals?(?: numbers?)?")


def _relation(c: Cursor, closers: tuple[str, ...], name: Node | None = None) -> Node:
    """Read a value or a chain of relations, whose first side may have been read as a name."""
    if name is None:
        lead(c)
    sides = [name or _side(c)]
    operators: list[str] = []
    while (operator := relation_operator(c)) is not None:
        operators.append(operator)
        sides.append(_side(c))
        if len(sides) > 60:
            raise TooLarge("a chain of relations is too long")
    _qualifier(c, closers)
    left = sides[0]
    if operators == ["equiv"] and (
        left.key in _FUNCTIONS or (left.kind == "fn" and left.args[0].startswith("@"))
    ):
        operators = ["="]  # f(x) is that everywhere
    return tree.relation(operators, sides) if operators else left


def _qualifier(c: Cursor, closers: tuple[str, ...]) -> None:
    """Go past `for all x > 0` and the like, to the end of this bracket."""
    t, inner = c.peek(), c.peek(1)
    if t.kind == "end":
        return
    if (
        (t.kind == "cmd" and t.value in ("forall", "exists"))
        or (
            t.kind == "word"
            and t.value.lower() in QUALIFIERS
            and (t.value not in ("is", "are") or inner.value in ("the", "our", "my"))
        )
        or (
            c.op("(")
            and inner.kind == "word"
            and (inner.value.lower() in QUALIFIERS or inner.value.lower() == "mod")
        )
    ):
        while c.peek().kind != "end" and not c.op(*closers) and not _another_function(c):
            c.take()


def _another_function(c: Cursor) -> bool:
    """Whether a list goes on with another function: `f(x) = x for all x, or f(x) = 0`."""
    if not c.separator():
        return False
    ahead = 1 if c.peek(1).value.lower() not in ("or", "and") else 2
    name, opening, _, closing, equals = (c.peek(ahead + i) for i in range(5))
    if name.value in _FUNCTIONS and opening.value in ("=", "equiv"):
        return True
    return name.kind == "let" and (opening.value + closing.value, equals.value) == ("()", "=")


# -- the sides of a relation --------------------------------------------------------------------


def _side(c: Cursor) -> Node:
    """Read one side of a relation: sets joined by union, or a value, a ratio, a unit."""
    node = _joinable(c)
    if c.peek().kind == "end":
        return node
    parts = [node]
    while c.op("cup", "bigcup"):
        c.take()
        parts.append(_joinable(c))
    if len(parts) > 1:
        node = tree.structure(
            "union", [x for p in parts for x in (p.args if p.kind == "union" else (p,))]
        )
    for mark in ("cap", "setminus"):
        if c.accept(mark):
            right = _side(c)
            return tree.make("fn", (f"@{mark}", node, right), f"{mark}({node.key}, {right.key})")
    return node


def _joinable(c: Cursor) -> Node:
    if c.op("{"):  # a group, or a set whose braces lack their backslashes
        start = c.mark()
        try:
            node = value(c)
        except Unreadable:
            c.back(start)
            c.take()
            node = bracket(c, "{")
    else:
        node = value(c)
    if c.peek().kind == "end":
        return node
    if c.op("over", "choose"):
        over = c.take().value == "over"
        node = tree.div(node, value(c)) if over else tree.fn("binomial", node, value(c))
    if c.op(":") and c.peek(1).value != "=":
        parts = [node]
        while c.accept(":"):
            parts.append(value(c))
        node = tree.structure("ratio", [tree.value_of(p) for p in parts])
    elif c.peek().value == "to" and c.peek(1).kind == "num" and node.kind == "num":
        c.take()
        node = tree.structure("ratio", [node, value(c)])
    elif node.kind == "num" and c.peek().value in ("out", "in"):
        ahead = 2 if c.peek(1).value == "of" else 1  # 1 out of 4, 1 in 4
        last = c.peek(2)
        if ahead == 2 or (c.peek(1).kind == "num" and last.value in ("", ",", "or")):
            c.at += ahead
            node = tree.div(node, value(c))
    return with_unit(c, with_modulus(c, node))


# -- brackets -----------------------------------------------------------------------------------


def bracket(c: Cursor, opening: str) -> Node:
    """Read a bracketed value, a tuple, an interval or a set, whose opening was just taken."""
    bars, c.bars = c.bars, 0
    closers = (")", "]") if opening in ("(", "[") else (CLOSING[opening],)  # (0, 1] is an interval
    node = _builder(c) if opening == "{set" else None
    if node is not None:
        c.bars = bars
        return node
    found, joined = items(c, closers)
    c.bars = bars
    if not c.op(*closers):
        raise Unreadable("an open bracket")
    close = c.take().value
    if opening in ("{set", "{"):
        if opening == "{" and len(found) == 1:
            return found[0]
        return tree.structure("set", found)
    if not found:
        raise Unreadable("empty brackets")
    grouping = (opening == "(" and close == ")") or found[0].kind == "matrix"
    if len(found) == 1 and "," not in joined and grouping:
        return found[0]
    return tree.structure("br", found, opening, close)


def _builder(c: Cursor) -> Node | None:
    """Read `x | condition }` or `x : condition }`; None if it is a plain set."""
    start = c.mark()
    name = c.peek()
    c.bars += 1  # so that the mark is not read as an absolute value
    try:
        element = expression(c)
        if c.accept("in"):
            expression(c)
        marked = c.op("|", "mid", ":")
    except Unreadable:
        marked = False
    finally:
        c.bars -= 1
    if not marked:
        c.back(start)
        return None
    c.take()
    found, joined = items(c, ("}set",))
    c.expect("}set")
    if len(found) > 1 and element.kind == "sym":  # {x | x != k pi, k in ZZ}
        found = [x for x in found if not _says_what(x, element)] or found
    if element.kind == "sym" and name.kind in ("let", "cmd"):
        if len(found) == 1:
            return found[0]  # {x | x > 1} is x > 1
        return tree.structure("union" if "or" in joined else "list", found)
    inner = tree.structure("list", found)
    return tree.make("fn", ("@such that", element, inner), f"{{{element.key} | {inner.key}}}")


def _says_what(node: Node, element: Node) -> bool:
    """Whether a condition of a set only says what kind of number another letter is."""
    if node.kind != "rel" or node.args[0] != ("in",):
        return False
    name, kind = node.args[1]
    return name.kind == "sym" and name != element and kind.key in ("ZZ", "NN", "RR", "QQ")
