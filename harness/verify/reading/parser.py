"""The parser: atoms, which close the circle of the grammar, and the entry to it."""

from __future__ import annotations

from fractions import Fraction

from harness.verify.algebra import tree
from harness.verify.algebra.node import Node
from harness.verify.limits import Unreadable
from harness.verify.reading import statements
from harness.verify.reading.cursor import Cursor, is_math_word
from harness.verify.reading.expressions import expression, factor, group, literal
from harness.verify.reading.names import and_part, constant, letter, spoken, subscripted
from harness.verify.reading.notation import command, function
from harness.verify.reading.tokens import Token
from harness.verify.reading.words import CONSTANT_WORDS, FUNCTIONS, ROMAN, UNITS, WORDS_OF_THREE


def parse(tokens: list[Token]) -> Node:
    """Return the tree of a whole answer.

    Raises:
        Unreadable: If the tokens are not mathematics.
        TooLarge: If a bound is passed.
    """
    return statements.answer(Cursor(tokens, _atom))


def _atom(c: Cursor) -> Node:
    """Read a number, symbol, function, fraction, root, matrix or bracketed value."""
    token = c.take()
    kind, value = token.kind, token.value
    if kind == "num":
        return _number(c, token)
    if kind == "let":
        return (spoken(c, value) if value in ("a", "A") else None) or letter(c, value)
    if kind == "word":
        return _word(c, token)
    if kind == "cmd":
        if value == "langle":
            return tree.structure("br", _nested(c, "rangle"), "(", ")")
        if value == "begin" and c.peek(1).value in ("cases", "aligned", "align", "gathered"):
            return _system(c)
        return command(c, value)
    if kind == "end":
        raise Unreadable("the answer ends too early")
    if value == "{":
        c.at -= 1
        return group(c)
    if value in ("(", "[", "{set", "|"):
        c.down()
        node = _absolute(c) if value == "|" else statements.bracket(c, value)
        c.depth -= 1
        return node
    if value == "money":
        return factor(c)
    raise Unreadable(f"{value!r} where a value should be")


_WHEN = {"if", "for", "when", "where"}  # between a value and its case


def _nested(c: Cursor, closer: str) -> list[Node]:
    c.down()
    found, _ = statements.items(c, (closer,))
    c.expect(closer)
    c.depth -= 1
    return found


def _system(c: Cursor) -> Node:
    """Read a system of equations or a case distinction."""
    name = c.raw_group()
    c.tokens = [
        t for i, t in enumerate(c.tokens) if i < c.at or not t.prose or t.value not in _WHEN
    ]
    c.down()
    rows: list[list[Node]] = []
    while not c.accept("end"):
        rows.append(statements.items(c, ("end", "\\\\"))[0])
        c.accept("\\\\")
        if c.peek().kind == "end":
            raise Unreadable("an open environment")
    c.depth -= 1
    if c.raw_group() != name:
        raise Unreadable("an environment that closes another")
    rows = [row for row in rows if row]
    if name == "cases" and all(len(row) == 2 and row[1].kind != "num" for row in rows):
        return tree.structure("list", [tree.structure("br", row, "(", ")") for row in rows])
    return tree.structure("list", [item for row in rows for item in row])


def _absolute(c: Cursor) -> Node:
    c.bars += 1
    value = expression(c)
    c.bars -= 1
    c.expect("|")
    return tree.fn("abs", value)


def _number(c: Cursor, token: Token) -> Node:
    r"""Read a number, with the fraction of a mixed number such as `2 1/3` or `2\frac13`."""
    value = literal(token.value)
    if not token.value.isdigit():
        return value
    if c.peek().value == "and" and c.peek(1).kind in ("let", "word"):  # 15 and a half
        return tree.add(value, tree.num(and_part(c)))
    if c.op("frac"):
        start = c.mark()
        part = c.atom(c)
        integers = all(
            (t.kind == "num" and t.value.isdigit()) or t.value in ("frac", "{", "}")
            for t in c.tokens[start[0] : c.at]
        )
        if part.kind == "num" and 0 < part.args[0] < 1 and integers:
            return tree.add(value, part)
        c.back(start)  # a product
        return value
    top, slash, bottom = (c.peek(i) for i in range(3))
    if (
        top.kind == bottom.kind == "num"
        and top.space
        and slash.value == "/"
        and top.value.isdigit()
        and bottom.value.isdigit()
        and c.peek(3).value not in ("/", "^")
    ):
        if not 0 < int(top.value) < int(bottom.value):
            raise Unreadable("two numbers side by side")
        c.at += 3
        return tree.add(value, tree.num(Fraction(int(top.value), int(bottom.value))))
    return value


def _word(c: Cursor, token: Token) -> Node:
    """Read a run of letters: a function, a constant, or a product of variables."""
    word = token.value
    if word in FUNCTIONS:
        return function(c, FUNCTIONS[word])
    if word in CONSTANT_WORDS:
        return constant(c, word)
    if word in ROMAN:
        return tree.sym(word)
    number = spoken(c, word)
    if number is not None:
        return number
    for name in (
        ()
        if token.prose
        else ("arcsin", "arccos", "arctan", "sqrt", "sin", "cos", "tan", "ln", "log")
    ):
        if word.startswith(name) and len(word) <= len(name) + 1:  # sinx, lnx
            c.at -= 1
            c.put(c.at, Token("let", word[len(name) :], False, token.prose))
            return function(c, FUNCTIONS[name])
    letters = len(word) == 2 and word in UNITS and word not in WORDS_OF_THREE and not token.prose
    if not letters and not is_math_word(token):  # mg before any number is m times g
        raise Unreadable(f"the word {word!r}")
    if len(word) > 2 and word.isupper():
        return subscripted(c, word)  # a triangle or an order of letters: ABC is not CAB
    # the letters are factors; a power or subscript behind them belongs to the last
    each = (Token("let", char, token.space and not i, token.prose) for i, char in enumerate(word))
    c.put(c.at - 1, *each)
    return letter(c, word[0])
