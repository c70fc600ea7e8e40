"""Values with what belongs to them: a currency, a base, a unit."""

from __future__ import annotations

from fractions import Fraction

from harness.verify.algebra import tree
from harness.verify.algebra.node import Node
from harness.verify.limits import Unreadable, charge
from harness.verify.reading.cursor import Cursor
from harness.verify.reading.expressions import expression, group, literal, postfix
from harness.verify.reading.words import DENOMINATORS, QUALIFIERS, SCALES, UNIT_OF_SYMBOL, UNITS

_CURRENCIES = {"money": "dollar", "€": "euro", "£": "£", "¥": "¥", "₹": "₹"}
_CURRENCY_WORDS = {
    "usd": "dollar", "us": "dollar", "eur": "euro", "gbp": "£", "rs": "₹", "inr": "₹",
}  # fmt: skip
_TEMPERATURES = {"f": "°f", "c": "°c", "fahrenheit": "°f", "celsius": "°c", "centigrade": "°c"}
_NO_UNITS = {
    "below", "vs", "until", "remainder", "too", "debt", "less", "most", "power", "bn", "ppm",
    *SCALES, *(w for w, (_, plural) in DENOMINATORS.items() if plural),
} - {"quarters", "halves", "tens", "dozen"}  # fmt: skip
_THOUSANDS = {"k": 1_000, "K": 1_000, "M": 10**6, "B": 10**9}
_BASES = {
    "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9,
    "ten": 10, "twelve": 12, "sixteen": 16,
}  # fmt: skip


def value(c: Cursor) -> Node:
    """Read an amount of money, a numeral with its base, or an expression."""
    t, name = c.peek(), None
    if t.kind == "op":
        name = _CURRENCIES.get(t.value)
    elif t.kind == "word" and (c.peek(1).kind == "num" or c.peek(1).value in ("money", ".")):
        name = _CURRENCY_WORDS.get(t.value.lower())
    if name is not None:
        c.take()
        while t.kind == "word" and c.accept(".", "money"):
            pass
        scale = c.peek(1)
        if c.peek().kind == "num" and scale.value in _THOUSANDS and not scale.space:
            amount = tree.mul(literal(c.take().value), tree.num(_THOUSANDS[c.take().value]))
        else:
            amount = expression(c)
        return tree.quantity(amount, name)
    if c.op("-") and c.peek(1).value in ("money", "€", "£"):
        c.take()
        inner = value(c)
        return tree.quantity(tree.neg(inner.args[0]), inner.args[1])
    amount = _based(c) or expression(c)
    name = _CURRENCIES.get(c.peek().value) if c.op("€", "£", "¥", "₹") else None
    if name is not None:  # 146 €
        c.take()
        return tree.quantity(amount, name)
    return amount


def _based(c: Cursor) -> Node | None:
    """Read a base-n numeral such as `1021_3` or `2A_{16}`."""
    start = 1 if c.op("-", "(") else 0
    bracketed = c.op("(")
    i, digits = start, ""
    while c.peek(i).kind in ("num", "let", "word") and (i == start or not c.peek(i).space):
        digits += c.peek(i).value
        i += 1
    charge(i - start)
    if bracketed and c.peek(i).value != ")":
        return None
    i += bracketed
    if i == start or not (c.peek(i).kind == "op" and c.peek(i).value == "_"):
        return None
    # letters are digits only behind a figure, or where several are capitals: x_3 is a variable
    if c.peek(start).kind != "num" and not (len(digits) > 1 and digits.isupper()):
        return None
    braced = c.peek(i + 1).value == "{"
    base = c.peek(i + 1 + braced)
    written = base.kind == "num" and base.value.isdigit() and len(base.value) < 3
    n = int(base.value) if written else _BASES.get(base.value, 0)
    if not 2 <= n <= 36:
        return None
    c.at += i + 2 + braced
    if braced:
        c.expect("}")
    whole, _, part = digits.partition(".")
    try:
        number = Fraction(int(whole + part, n), n ** len(part))
    except ValueError as error:
        raise Unreadable("digits that the base does not have") from error
    shown = (digits.upper().lstrip("0") or "0") if not part else digits.upper()
    if start and not bracketed:
        shown, number = "-" + shown, -number
    return Node("base", (shown, n, number), f"{shown}_{n}", 1)


_MODULO = {"pmod", "mod", "bmod", "modulo"}


def with_modulus(c: Cursor, value: Node) -> Node:
    """Attach the modulus behind a residue; whole numbers in lowest terms, `16 mod 11` as `5`."""
    first = c.peek().value
    in_brackets = first == "(" and c.peek(1).value in _MODULO
    if not in_brackets and first not in _MODULO:
        return value
    c.at += 1 + in_brackets
    modulus = group(c) if c.op("{") else postfix(c)
    if in_brackets:
        c.expect(")")
    numbers = [n.args[0] for n in (value, modulus) if n.kind == "num"]
    if len(numbers) == 2 and all(n.denominator == 1 for n in numbers) and numbers[1] > 0:
        value = tree.num(numbers[0] % numbers[1])
    return tree.modulo(value, modulus)


def with_unit(c: Cursor, node: Node) -> Node:
    """Attach the words behind a value as its unit."""
    words: list[str] = []
    while True:
        t = c.peek()
        if t.value == "in" and c.peek(1).value in ("(", "[", "{set"):
            break  # x in [0, 2]
        if c.op("(") and _words_only(c):
            c.take()
            while not c.accept(")"):
                words.append(c.take().value)
            continue
        if t.kind in ("word", "let") and not c.separator():
            if not words:
                qualifier = t.value.lower() in QUALIFIERS and t.value.lower() != "in"
                if qualifier or not (t.kind == "word" or c.unit_ahead(0) or c.each_ahead()):
                    break
            words.append("per" if c.each_ahead() else UNIT_OF_SYMBOL.get(t.value, t.value))
            c.take()
        elif words and t.kind == "op" and t.value == "^":
            c.take()
            words.append(f"^{c.raw_group()}")
        elif words and t.kind == "op" and t.value in ("/", "-", ".", "*", "'"):
            c.take()
            if t.value == "/":
                words.append("per")
        elif t.kind == "op" and t.value == "/" and c.unit_ahead(1):
            c.take()
            words.append("per")
        elif (  # cm2
            words and t.kind == "num" and c.tokens[c.at - 1].kind in ("word", "let") and not t.space
        ):
            words.append(("^" if t.value in ("2", "3") else "") + c.take().value)
        elif t.kind == "cmd" and c.unit_ahead(0):
            if c.take().value == "frac":
                words += [c.raw_group(), "per", c.raw_group()]
            else:
                words.append("micro" + c.take().value)
        elif words and t.kind == "cmd" and t.value == "frac":
            raise Unreadable("a unit with a fraction")
        else:
            break
    if not words or node.kind == "unit":
        return node
    if (
        node.key in ("a", "A")
        and words[0].isalpha()
        and words[0] not in UNITS
        and len(words[0]) > 1
    ):
        raise Unreadable("an article")  # a parabola
    if _NO_UNITS.intersection(map(str.lower, words)):
        raise Unreadable("words that make another value of the number")
    unit = " ".join(words).lower()
    if node.kind == "deg" and unit in _TEMPERATURES:
        node, unit = node.args[0], _TEMPERATURES[unit]
    node = _compound(c, node, unit)
    return tree.quantity(node, unit)


def _compound(c: Cursor, node: Node, unit: str) -> Node:
    """Add the smaller part of a quantity in two units: `2 hours and 15 minutes`."""
    while node.kind == "num" and unit in UNITS:
        ahead = 1 if c.peek().value in ("and", ",") else 0
        number, name = c.peek(ahead), c.peek(ahead + 1)
        kind, size = UNITS[unit]
        smaller = UNITS.get(name.value.lower())
        if number.kind != "num" or smaller is None or smaller[0] != kind or smaller[1] >= size:
            break
        c.at += ahead + 2
        node = tree.add(node, tree.mul(literal(number.value), tree.num(smaller[1] / size)))
    return node


def _words_only(c: Cursor) -> bool:
    """Whether the parentheses that open here hold words alone, such as `(in cm)`."""
    i, seen = 1, False
    while c.peek(i).kind != "end":
        t = c.peek(i)
        if t.value == ")" and t.kind == "op":
            return seen
        if t.kind == "word" and t.value not in ("sin", "cos", "tan", "pi", "sqrt", "ln", "log"):
            seen = seen or len(t.value) > 2
        elif t.kind not in ("word", "let") and t.value not in ("-", ".", "/", "'", ","):
            return False
        i += 1
    return False
