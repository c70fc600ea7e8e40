"""A place among the tokens of an answer, and what the next tokens can begin."""

from __future__ import annotations

from collections.abc import Callable

from harness.verify.algebra.node import Node
from harness.verify.limits import MAX_DEPTH, TooLarge, Unreadable, charge
from harness.verify.reading.tokens import Token
from harness.verify.reading.words import (
    AND_OR,
    CONSTANT_WORDS,
    DECORATIONS,
    DEGREE_WORDS,
    FUNCTIONS,
    GREEK_OR_SYMBOL,
    OPAQUE,
    PERCENT_WORDS,
    RELATIONS,
    ROMAN,
    SHORT_UNITS,
    UNITS,
    WORDS_OF_THREE,
)

CLOSING = {"(": ")", "[": "]", "{set": "}set", "{": "}", "langle": "rangle"}
END = Token("end", "", False, False)
_EACH = UNITS.keys() | {"person", "piece", "head", "night", "share", "item"}
_UNIT_LETTERS = set("msghlLNJWVACKFTd")
_BEGIN_FACTOR = (
    {"frac", "pi", "binom", "lfloor", "lceil", "langle", "infty", "begin", "mathop", "operatorname"}
    | set(FUNCTIONS)
    | GREEK_OR_SYMBOL
    | DECORATIONS
    | OPAQUE
)


class Cursor:
    """A place in a list of tokens.

    The grammar is recursive: an expression consists of atoms, an atom may be a bracket, and a
    bracket may hold a whole list of statements. The modules of the grammar import one another in
    one direction only (parser > statements > quantities, notation > names > expressions); the one
    call in the other direction, from an expression to its atoms, is the function `atom`, which
    `parser.parse` passes in.

    Attributes:
        tokens: The tokens; a rule may put others in the place of one (`xy` is `x` and `y`), in a
            list of its own, so that whoever goes back has those from before.
        atom: Reads a number, symbol, function or bracket.
        at: The index of the next token.
        depth: How many levels of nesting are open.
        bars: How many absolute values are open; in one, `|` closes.
    """

    __slots__ = ("at", "atom", "bars", "depth", "tokens")

    def __init__(self, tokens: list[Token], atom: Callable[[Cursor], Node]) -> None:
        self.tokens = tokens
        self.atom = atom
        self.at = 0
        self.depth = 0
        self.bars = 0

    def mark(self) -> tuple[int, int, int, list[Token]]:
        """Return what `back` goes back to, if what follows cannot be read."""
        return self.at, self.depth, self.bars, self.tokens

    def back(self, mark: tuple[int, int, int, list[Token]]) -> None:
        """Go back to a place, and to the tokens as they were there."""
        self.at, self.depth, self.bars, self.tokens = mark

    def put(self, at: int, *tokens: Token) -> None:
        """Put these tokens in the place of one."""
        charge(len(self.tokens) >> 6)
        self.tokens = [*self.tokens[:at], *tokens, *self.tokens[at + 1 :]]

    def peek(self, ahead: int = 0) -> Token:
        """Return a coming token, or an end mark."""
        try:
            return self.tokens[self.at + ahead]
        except IndexError:
            return END

    def take(self) -> Token:
        """Return the next token and go past it."""
        token = self.peek()
        self.at += 1
        return token

    def op(self, *values: str) -> bool:
        """Whether the next token is one of these operators or commands, not a letter or word."""
        try:
            kind, value, _, _ = self.tokens[self.at]
        except IndexError:
            return False
        return value in values and (kind == "op" or kind == "cmd")

    def accept(self, *values: str) -> bool:
        """Go past the next token if it is one of these operators or commands."""
        found = self.op(*values)
        self.at += found
        return found

    def expect(self, value: str) -> None:
        """Go past the operator or fail."""
        if not self.accept(value):
            raise Unreadable(f"expected {value!r}, found {self.peek().value!r}")

    def down(self) -> None:
        """Enter one more level of nesting."""
        self.depth += 1
        charge(20)  # some rules read a text twice, one inside the other
        if self.depth > MAX_DEPTH:
            raise TooLarge(f"nested deeper than {MAX_DEPTH}")

    def separator(self) -> bool:
        """Whether the next token separates items: a comma, a line break, "and"."""
        token = self.peek()
        kind, value = token.kind, token.value
        if kind == "op":
            return value in (",", ";", "\\\\", "&", "#")
        if kind == "cmd":
            return value in ("and", "or")
        if kind == "word":
            return value.lower() in AND_OR
        # a Spanish or Italian "and" is a letter between blanks, and only inside a text command
        return (
            kind == "let"
            and token.prose
            and value in ("y", "o", "e")
            and token.space
            and self.at > 0
            and self.peek(1).space
        )

    def begins_factor(self, token: Token) -> bool:
        """Whether the next token, which is `token`, can begin a factor of an implicit product."""
        kind, value = token.kind, token.value
        if kind == "num":
            return True
        if kind == "let":
            listed = token.prose and self.separator()
            return not self.unit_ahead(0) and not self.each_ahead() and not listed
        if kind == "word":
            return not self.unit_ahead(0) and is_math_word(token)
        if kind == "op":
            if value == "|":
                return not self.bars
            if value == "(":  # a remark in words is no factor
                word = self.peek(1)
                return word.kind != "word" or (is_math_word(word) and word.value != "mod")
            return value in ("{", "[")
        return kind == "cmd" and value in _BEGIN_FACTOR and not self.unit_ahead(0)

    def each_ahead(self) -> bool:
        """Whether "a week" and the like follows a value."""
        token, after = self.peek(), self.peek(1)
        return token.value == "a" and after.space and len(after.value) > 2 and after.value in _EACH

    def unit_ahead(self, ahead: int) -> bool:
        """Whether the token there begins a unit behind a value rather than a factor."""
        token = self.peek(ahead)
        if token.kind == "cmd":  # \\frac{\text{m}}{\text{s}}, \mu\text{m}
            i = {"frac": 2, "mu": 1}.get(token.value)
            unit = END if i is None else self.peek(ahead + i)
            return unit.prose and unit.kind in ("let", "word")
        if token.value > "\u2fff" or "\u0400" <= token.value[:1] <= "\u04ff":
            # a Chinese or Japanese counter; a Russian word
            return True
        if token.value in ("F", "C") and self._behind_degrees(ahead):
            return True
        if token.kind == "let":
            if ahead == 1:  # a slash before it: per
                return token.prose and token.value in ("s", "h", "m", "g", "l", "L")
            return token.prose and token.value in _UNIT_LETTERS
        if token.kind != "word":
            return False
        word = token.value.lower()
        if word in ("and", "or"):
            return False
        named = word in FUNCTIONS or word in CONSTANT_WORDS
        return word in SHORT_UNITS or ((token.prose or len(word) > 3) and not named)

    def _behind_degrees(self, ahead: int) -> bool:
        """Whether a degree mark was just read."""
        i = self.at + ahead - 1
        while i > 0 and self.tokens[i].value == "}":
            i -= 1
        return self.tokens[i].value in ("circ", "degrees", "degree") and i >= 0

    def raw_group(self) -> str:
        """Read a subscript as text."""
        if not self.op("{"):
            return self.take().value
        self.take()
        depth, parts = 1, []
        while depth:
            t = self.take()
            if t.kind == "end":
                raise Unreadable("an open subscript")
            depth += (t.value == "{") - (t.value == "}")
            if depth:
                parts.append(t.value)
        return "".join(parts)


def is_math_word(token: Token) -> bool:
    """Whether a run of letters is a function, a constant or a product, and not a word of prose."""
    word, lower = token.value, token.value.lower()
    if word in FUNCTIONS or word in CONSTANT_WORDS or word in ROMAN:
        return True
    if token.prose or any(lower in words for words in (AND_OR, UNITS, PERCENT_WORDS, DEGREE_WORDS)):
        return False
    if any(word.startswith(f) and len(word) <= len(f) + 1 for f in ("sin", "cos", "tan", "ln")):
        return True
    named = word[0].isupper() and word[1:].islower()
    if len(word) == 3 and word[1] in "aeiou" and (token.space or named):
        return False  # it can be pronounced
    return (len(word) <= 3 and lower not in WORDS_OF_THREE) or not word.isascii()


# relations of two characters; `= <` is a slip for `<=`
_TWO_CHARACTERS = {
    "<=": "le", ">=": "ge", "<>": "ne", "!=": "ne", "==": "=", "=<": "le", "=>": "ge", ":=": "=",
}  # fmt: skip


def relation_operator(c: Cursor) -> str | None:
    """Go past a relation sign and return its name, or None where none follows."""
    t = c.peek()
    if t.kind == "op":
        after = c.peek(1)
        joined = after.kind == "op" and not (t.value == "!" and after.space)  # 5! = 120
        two = _TWO_CHARACTERS.get(t.value + after.value) if joined else None
        if two is not None:
            c.at += 2
            return two
        if t.value in "=<>":
            c.take()
            return t.value
    elif t.kind == "cmd":
        if t.value == "not":
            c.take()
            inner = relation_operator(c)
            return {"=": "ne", "in": "notin"}.get(inner or "", inner)
        if t.value in RELATIONS:
            c.take()
            return t.value
    elif t.kind == "word" and t.value == "in" and not t.prose:
        c.take()
        return "in"
    return None
