"""Expressions: sums, products, signs, powers and the marks behind a value.

Nothing here evaluates text as code. The grammar is that of answers: LaTeX and plain notation
mixed, with implicit multiplication.
"""

from __future__ import annotations

from fractions import Fraction

from harness.verify.algebra import tree
from harness.verify.algebra.node import Node
from harness.verify.limits import MAX_EXPONENT_10, TooLarge, Unreadable
from harness.verify.reading.cursor import Cursor
from harness.verify.reading.words import (
    DEGREE_WORDS,
    DENOMINATORS,
    ORDINALS,
    PERCENT_WORDS,
    scale_of,
)

_MAX_OPERANDS = 2_000
_PARTS = {w: Fraction(1, n) for w, (n, plural) in DENOMINATORS.items() if plural}
del _PARTS["quarters"]  # coins, too
_POWERS = {"squared": 2, "cubed": 3}


def expression(c: Cursor) -> Node:
    """Read a sum."""
    c.down()
    terms: list[Node] = []
    sign: Node | None = None
    while True:
        mark = c.peek()
        if mark.kind == "op" or mark.kind == "cmd":  # a letter or number begins a term
            if mark.value == "+":
                c.at += 1
            elif mark.value == "-":
                c.at += 1
                sign = tree.neg(sign) if sign else tree.MINUS_ONE
                continue
            elif mark.value in ("pm", "mp"):
                c.at += 1
                both = tree.sym("±") if mark.value == "pm" else tree.neg(tree.sym("±"))
                sign = tree.mul(sign, both) if sign else both
                continue
        value = term(c)
        terms.append(_signed(sign, value) if sign else value)
        sign = None
        if len(terms) > _MAX_OPERANDS:
            raise TooLarge("a sum has too many terms")
        if not c.op("+", "-", "pm", "mp"):
            break
    c.depth -= 1
    return tree.add(*terms) if len(terms) > 1 else terms[0]


def term(c: Cursor) -> Node:
    """Read a product: explicit, implicit, and division from left to right."""
    result = factor(c)
    factors = [result]
    while True:
        token = c.peek()
        mark = token.value if token.kind == "op" else ""
        if token.kind == "end":
            break
        if mark == "*":
            if c.peek(1).value == "*" and c.peek(1).kind == "op":
                raise Unreadable("a power without a base")
            c.take()
            factors.append(factor(c))
        elif mark == "/" and not c.unit_ahead(1):
            c.take()
            factors.append(tree.power(tree.value_of(factor(c)), tree.MINUS_ONE))
        elif c.begins_factor(token):
            if token.kind == "num" and _plain_number_before(c):
                raise Unreadable("two numbers side by side")
            factors.append(factor(c))
        else:
            break
        if len(factors) > _MAX_OPERANDS:
            raise TooLarge("a product has too many factors")
    return tree.mul(*factors) if len(factors) > 1 else result


def _plain_number_before(c: Cursor) -> bool:
    """Whether a number was just read that is no exponent: `2 3` is no product, `x^2 3` is one."""
    tokens, at = c.tokens, c.at
    before = tokens[at - 1]
    if before.kind == "num":
        return not (at > 1 and tokens[at - 2].value == "^")
    return (
        before.value == "}"
        and at >= 3
        and tokens[at - 2].kind == "num"
        and tokens[at - 3].value == "{"
        and not (at >= 4 and tokens[at - 4].value in ("^", "}", "_", "frac"))
    )


def signs(c: Cursor) -> Node:
    """Go past a run of signs and return their product."""
    sign = tree.ONE
    while c.op("-", "+"):
        if c.take().value == "-":
            sign = tree.neg(sign)
    return sign


def factor(c: Cursor) -> Node:
    """Read a signed atom with its powers and postfix marks."""
    if c.peek().kind in ("num", "let", "word"):
        return postfix(c)
    sign = signs(c)
    if c.accept("pm"):
        sign = tree.mul(sign, tree.sym("±"))
    value = postfix(c)
    return value if sign is tree.ONE else _signed(sign, value)


def _signed(sign: Node, value: Node) -> Node:
    """Return a value with its sign, which belongs to the number of an angle or a percentage."""
    if value.kind in ("deg", "pct"):
        marked = tree.degrees if value.kind == "deg" else tree.percentage
        return marked(tree.mul(sign, value.args[0]))
    return tree.mul(sign, value)


def postfix(c: Cursor) -> Node:
    """Read an atom, then powers, factorials, percent and degree marks."""
    value = c.atom(c)
    while True:
        token = c.peek()
        kind, mark = token.kind, token.value
        if kind == "word":
            if mark.lower() in PERCENT_WORDS:
                value = tree.percentage(value)
            elif mark.lower() in DEGREE_WORDS:
                value = tree.degrees(value)
            elif value.kind == "num" and scale_of(mark) is not None:  # 3.5 million
                value = tree.mul(value, tree.num(scale_of(mark) or 1))
            elif mark.lower() in _POWERS and value.kind == "num":
                value = tree.power(value, tree.num(_POWERS[mark.lower()]))
            elif mark.lower() in _PARTS and value.kind == "num":  # 5 hundredths
                value = tree.mul(value, tree.num(_PARTS[mark.lower()]))
            elif not (mark in ORDINALS and value.kind == "num" and not token.space):
                return value
            c.take()
        elif kind not in ("op", "cmd"):
            return value
        elif mark == "^":
            c.take()
            if _degree_mark(c):
                value = _minutes(c, tree.degrees(value))
                continue
            above = exponent(c)
            if above is not None and value.kind == "matrix" and above.key in ("T", "top"):
                value = tree.matrix(zip(*value.args, strict=True))
            elif above is not None and value.kind == "br" and above.key == "T":
                value = tree.matrix([[x] for x in value.args[2]])
            elif above is not None:
                value = tree.power(value, above)
        elif mark == "*" and c.peek(1).value == "*":
            c.at += 2
            above = exponent(c)
            if above is None:
                raise Unreadable("an ordinal in place of an exponent")
            value = tree.power(value, above)
        elif mark == "!" and (c.peek(1).value != "=" or c.peek(1).space or _of_number(c)):
            c.take()
            twice = c.peek().value == "!" and not c.peek().space and c.accept("!")
            value = double_factorial(value) if twice else tree.fn("factorial", value)
        elif mark == "%":
            c.take()
            value = tree.percentage(value)
        elif mark == "circ":
            c.take()
            value = _minutes(c, tree.degrees(value))
        else:
            return value


def _of_number(c: Cursor) -> bool:
    """Whether a mark touches the number before it: `2!=2` is a factorial, `x != 2` is none."""
    return c.tokens[c.at - 1].kind == "num" and not c.peek().space


def _minutes(c: Cursor, value: Node) -> Node:
    r"""Add the minutes of an angle such as `30^\circ 15'` to its degrees."""
    if c.peek().kind == "num" and c.peek(1).value in ("'", "^"):
        marks = [c.peek(i).value for i in (1, 2, 3)]
        if marks[0] == "^" and marks[1] != "'" and marks[1:] != ["{", "'"]:
            return value
        amount, size = value.args[0], 60
        while c.peek().kind == "num" and size <= 3600:  # minutes, then seconds
            amount = tree.add(amount, tree.div(literal(c.take().value), tree.num(size)))
            size *= 60
            while c.accept("^", "{", "'", '"', "}"):
                pass
        return tree.degrees(amount)
    return value


def _degree_mark(c: Cursor) -> bool:
    r"""Go past `\circ` in an exponent, where `^` was just taken."""
    if c.accept("circ"):
        return True
    if c.op("{") and c.peek(1).value in ("circ", "o") and c.peek(2).value == "}":
        c.at += 3
        return True
    return False


def exponent(c: Cursor) -> Node | None:
    """Read what follows `^`; None for an ordinal mark, which has no value."""
    if c.op("{") and c.peek(1).kind == "word" and c.peek(1).value in ORDINALS:
        while not c.accept("}"):
            if c.take().kind == "end":
                raise Unreadable("an open brace")
        return None
    if c.peek().kind == "word" and c.peek().value in ORDINALS:
        c.take()
        return None
    if c.op("{"):
        return group(c)
    if c.op("'"):
        raise Unreadable("a prime")
    sign = signs(c)
    c.down()
    value = c.atom(c)
    if c.accept("^"):  # towers associate to the right
        above = exponent(c)
        if above is not None:
            value = tree.power(value, above)
    c.depth -= 1
    return tree.mul(sign, value)


def group(c: Cursor) -> Node:
    """Read a brace group of one expression."""
    c.expect("{")
    c.down()
    bars, c.bars = c.bars, 0
    value = expression(c)
    if c.accept("choose"):
        value = tree.fn("binomial", value, expression(c))
    elif c.accept("over"):
        value = tree.div(value, expression(c))
    c.bars = bars
    c.depth -= 1
    c.expect("}")
    return value


def literal(digits: str) -> Node:
    """Return the value of a number literal."""
    if digits.isdecimal():
        return tree.num(int(digits))
    mantissa, mark, power = digits.replace("E", "e").partition("e")
    if mark and abs(int(power)) > MAX_EXPONENT_10:
        raise TooLarge("the exponent of a number is too large")
    value = Fraction(mantissa if mantissa[0] != "." else "0" + mantissa)
    return tree.num(value * Fraction(10) ** int(power) if mark else value)


def double_factorial(node: Node) -> Node:
    """Return `n!!` by factorials, or unknown where it is not seen whether n is even or odd.

    `(2m)!!` is `2^m m!` and `(2m - 1)!!` is `(2m)! / (2^m m!)`.
    """
    parts = [tree.coefficient(t)[0] if t.kind != "num" else None for t in tree.terms_of(node)]
    whole = tree.whole_term(node)
    if any(p is not None and (p.denominator != 1 or p % 2) for p in parts) or node.kind == "sym":
        return tree.make("fn", ("@!!", node), f"{node.key}!!")
    half = tree.mul(tree.HALF, tree.add(node, tree.num(whole % 2)))
    even = tree.mul(tree.power(tree.num(2), half), tree.fn("factorial", half))
    if whole % 2 == 0:
        return even
    return tree.div(tree.fn("factorial", tree.add(node, tree.ONE)), even)
