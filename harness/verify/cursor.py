"""Where the reader stands among the tokens, and what it can tell from the next ones."""

from __future__ import annotations

from harness.verify.limits import MAX_DEPTH, TooLarge, Unreadable
from harness.verify.tokens import Token
from harness.verify.words import (
    AND_OR,
    CONSTANT_WORDS,
    DEGREE_WORDS,
    FUNCTIONS,
    PERCENT_WORDS,
    SHORT_UNITS,
    UNITS,
)

END = Token("end", "", False, False)
# fmt: off
GREEK_OR_SYMBOL = {
    "alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa", "lambda",
    "mu", "nu", "xi", "rho", "sigma", "tau", "upsilon", "phi", "chi", "psi", "omega", "Gamma",
    "Delta", "Theta", "Lambda", "Xi", "Pi", "Sigma", "Upsilon", "Phi", "Psi", "Omega", "ell",
    "hbar", "star", "ldots", "nabla", "partial", "square", "Box", "heartsuit", "spadesuit",
    "clubsuit", "diamondsuit", "bullet", "diamond", "triangle", "Re", "Im", "aleph", "wp",
}
DECORATIONS = {"overline", "vec", "hat", "bar", "tilde", "dot", "ddot", "widehat", "widetilde",
                "overrightarrow", "overleftrightarrow", "overarc", "underline", "mathbb",
                "mathfrak", "mathscr", "not", "overset", "stackrel", "angle", "measuredangle",
                "overbrace", "underbrace", "wideparen", "check"}
OPAQUE = {"sum", "prod", "int", "iint", "oint", "lim", "bigcup", "bigcap", "limsup", "liminf",
           "sup", "inf", "forall", "exists"}
MATRICES = {"pmatrix", "bmatrix", "matrix", "Bmatrix", "smallmatrix", "array", "vmatrix",
             "Vmatrix"}
# fmt: on
RELATIONS = {
    "=",
    "<",
    ">",
    "le",
    "ge",
    "ne",
    "approx",
    "in",
    "notin",
    "equiv",
    "subset",
    "subseteq",
    "perp",
    "parallel",
    "sim",
}
_CLOSERS = {")", "]", "}", "}set", "rangle", "rfloor", "rceil"}
UNIT_LETTERS = set("msghlLNJWVCKFd")
ROMAN = {"II", "III", "IV", "VI", "VII", "VIII", "IX"}
ORDINALS = {"th", "st", "nd", "rd"}
# fmt: off
WORDS_OF_THREE = {
    "the", "and", "are", "not", "yes", "odd", "one", "two", "six", "ten", "his", "her", "all",
    "any", "for", "can", "day", "men", "way", "cat", "dog", "pen", "egg", "red", "may", "sun",
    "mon", "tue", "wed", "thu", "fri", "sat", "who", "how", "why", "out", "box", "car", "map",
    "pie", "cup", "bag", "toy", "hat", "bus", "pig", "cow", "hen", "kid", "boy", "age", "no",
    "is", "to", "of", "in", "or", "it", "if", "so", "we", "he", "pm", "am", "none", "old", "new",
    "nan", "as", "at", "by", "an", "on", "be", "do", "per", "ft", "cm", "km", "dne",
}
# fmt: on


class Cursor:
    """A place in a list of tokens."""

    def __init__(self, tokens: list[Token]) -> None:
        self.tokens = tokens
        self.at = 0
        self.depth = 0
        self.bars = 0

    # -- tokens ---------------------------------------------------------------------------------

    def peek(self, ahead: int = 0) -> Token:
        """Return a coming token, or an end mark."""
        i = self.at + ahead
        return self.tokens[i] if i < len(self.tokens) else END

    def take(self) -> Token:
        """Return the next token and go past it."""
        token = self.peek()
        self.at += 1
        return token

    def op(self, *values: str) -> bool:
        """Whether the next token is one of the operators or commands, not a letter or word."""
        token = self.peek()
        return token.kind in ("op", "cmd") and token.value in values

    def accept(self, *values: str) -> bool:
        """Go past the next token if it is one of the operators or commands."""
        if self.op(*values):
            self.at += 1
            return True
        return False

    def expect(self, value: str) -> None:
        """Go past the operator or fail."""
        if not self.accept(value):
            raise Unreadable(f"expected {value!r}, found {self.peek().value!r}")

    def down(self) -> None:
        """Enter one more level of nesting."""
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise TooLarge(f"nested deeper than {MAX_DEPTH}")

    def begins_factor(self, token: Token) -> bool:
        """Whether a token can begin a factor of an implicit product."""
        if token.kind == "num":
            return True
        if token.kind == "let":
            return not self._unit_ahead(0)
        if token.kind == "word":
            return not self._unit_ahead(0) and self._is_math_word(token)
        if token.kind == "op":
            if token.value == "|":
                return not self.bars
            if token.value == "(":
                return self.peek(1).kind not in ("word",) or self._is_math_word(self.peek(1))
            return token.value in ("{", "[")
        if token.kind == "cmd":
            v = token.value
            return (
                v in FUNCTIONS
                or v in GREEK_OR_SYMBOL
                or v in DECORATIONS
                or v in OPAQUE
                or v
                in (
                    "frac",
                    "pi",
                    "binom",
                    "lfloor",
                    "lceil",
                    "langle",
                    "infty",
                    "begin",
                    "mathop",
                    "operatorname",
                )
            )
        return False

    def _is_math_word(self, token: Token) -> bool:
        word = token.value
        if word in FUNCTIONS or word in CONSTANT_WORDS or word in ROMAN:
            return True
        if token.prose or word.lower() in AND_OR or word.lower() in UNITS:
            return False
        if word.lower() in PERCENT_WORDS or word.lower() in DEGREE_WORDS:
            return False
        if any(word.startswith(f) and len(word) <= len(f) + 1 for f in ("sin", "cos", "tan", "ln")):
            return True
        if len(word) == 3 and word[1] in "aeiou" and token.space:
            return False
        return (len(word) <= 3 and word.lower() not in WORDS_OF_THREE) or not word.isascii()

    def _unit_ahead(self, ahead: int) -> bool:
        """Whether the token there begins a unit behind a value rather than a factor."""
        token = self.peek(ahead)
        if token.kind == "let":
            if ahead == 1:  # a slash before it: per
                return token.prose and token.value in ("s", "h", "m", "g", "l", "L")
            return token.prose and token.value in UNIT_LETTERS
        if token.kind != "word":
            return False
        word = token.value.lower()
        if word in ("and", "or"):
            return False
        return (
            (token.prose and word not in FUNCTIONS and word not in CONSTANT_WORDS)
            or word in SHORT_UNITS
            or (len(word) > 3 and word not in FUNCTIONS and word not in CONSTANT_WORDS)
        )

    def _raw_group(self) -> str:
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
