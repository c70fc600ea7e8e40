"""The expression reader: tokens into a canonical tree by bounded recursive descent.

Nothing here evaluates text as code. The grammar is that of answers: LaTeX and plain notation
mixed, with implicit multiplication, mixed numbers, units, relations, sets and matrices.
"""

from __future__ import annotations

from fractions import Fraction

from harness.verify import tree
from harness.verify.limits import MAX_DEPTH, MAX_EXPONENT_10, MAX_ITEMS, TooLarge, Unreadable
from harness.verify.tokens import Token
from harness.verify.tree import Node
from harness.verify.words import (
    AND_OR,
    CONSTANT_WORDS,
    DEGREE_WORDS,
    FUNCTIONS,
    INVERSES,
    PERCENT_WORDS,
    SHORT_UNITS,
    UNITS,
)

_END = Token("end", "", False, False)
# fmt: off
_GREEK_OR_SYMBOL = {
    "alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa", "lambda",
    "mu", "nu", "xi", "rho", "sigma", "tau", "upsilon", "phi", "chi", "psi", "omega", "Gamma",
    "Delta", "Theta", "Lambda", "Xi", "Pi", "Sigma", "Upsilon", "Phi", "Psi", "Omega", "ell",
    "hbar", "star", "ldots", "nabla", "partial", "square", "Box", "heartsuit", "spadesuit",
    "clubsuit", "diamondsuit", "bullet", "diamond", "triangle", "Re", "Im", "aleph", "wp",
}
_DECORATIONS = {"overline", "vec", "hat", "bar", "tilde", "dot", "ddot", "widehat", "widetilde",
                "overrightarrow", "overleftrightarrow", "overarc", "underline", "mathbb",
                "mathfrak", "mathscr", "not", "overset", "stackrel", "angle", "measuredangle",
                "overbrace", "underbrace", "wideparen", "check"}
_OPAQUE = {"sum", "prod", "int", "iint", "oint", "lim", "bigcup", "bigcap", "limsup", "liminf",
           "sup", "inf", "forall", "exists"}
_MATRICES = {"pmatrix", "bmatrix", "matrix", "Bmatrix", "smallmatrix", "array", "vmatrix",
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
_UNIT_LETTERS = set("msghlLNJWVCKFd")
_ROMAN = {"II", "III", "IV", "VI", "VII", "VIII", "IX"}
_ORDINALS = {"th", "st", "nd", "rd"}


class Reader:
    """Reads expressions from a list of tokens; ``statements`` adds relations, lists and sets."""

    def __init__(self, tokens: list[Token]) -> None:
        self.tokens = tokens
        self.at = 0
        self.depth = 0
        self.bars = 0

    # -- tokens ---------------------------------------------------------------------------------

    def peek(self, ahead: int = 0) -> Token:
        """Return a coming token, or an end mark."""
        i = self.at + ahead
        return self.tokens[i] if i < len(self.tokens) else _END

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

    # -- sums and products ----------------------------------------------------------------------

    def expression(self) -> Node:
        """Read a sum."""
        self.down()
        terms: list[Node] = []
        sign: Node | None = None
        while True:
            if self.accept("+"):
                pass
            elif self.accept("-"):
                sign = tree.neg(sign) if sign else tree.MINUS_ONE
                continue
            elif self.op("pm", "mp"):
                mark = tree.sym("±") if self.take().value == "pm" else tree.neg(tree.sym("±"))
                sign = tree.mul(sign, mark) if sign else mark
                continue
            elif terms and not sign:
                break
            term = self.term()
            terms.append(tree.mul(sign, term) if sign else term)
            sign = None
            if len(terms) > 2_000:
                raise TooLarge("a sum has too many terms")
            if not self.op("+", "-", "pm", "mp") or self._sign_ends_chain():
                break
        self.depth -= 1
        return tree.add(*terms) if len(terms) > 1 else terms[0]

    def _sign_ends_chain(self) -> bool:
        return False

    def term(self) -> Node:
        """Read a product: explicit, implicit, and division from left to right."""
        result = self.factor()
        factors = [result]
        while True:
            token = self.peek()
            if self.op("*") and self.peek(1).value == "*" and self.peek(1).kind == "op":
                raise Unreadable("a power without a base")
            if self.accept("*", "circ*"):
                factors.append(self.factor())
            elif self.op("/") and not self._unit_ahead(1):
                self.take()
                factors.append(tree.power(tree._value(self.factor()), tree.MINUS_ONE))
            elif self.begins_factor(token):
                if token.kind == "num" and self._plain_number_before():
                    raise Unreadable("two numbers side by side")
                factors.append(self.factor())
            else:
                break
            if len(factors) > 2_000:
                raise TooLarge("a product has too many factors")
        return tree.mul(*factors) if len(factors) > 1 else result

    def _plain_number_before(self) -> bool:
        before = self.tokens[self.at - 1]
        if before.kind == "num" and self.at > 1 and self.tokens[self.at - 2].value == "^":
            return False
        return before.kind == "num" or (before.value == "}" and self._group_is_number())

    def _group_is_number(self) -> bool:
        return (
            self.at >= 3
            and self.tokens[self.at - 2].kind == "num"
            and (self.tokens[self.at - 3].value == "{")
            and not (self.at >= 4 and self.tokens[self.at - 4].value in ("^", "}", "_", "frac"))
        )

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
                or v in _GREEK_OR_SYMBOL
                or v in _DECORATIONS
                or v in _OPAQUE
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
        if word in FUNCTIONS or word in CONSTANT_WORDS or word in _ROMAN:
            return True
        if token.prose or word.lower() in AND_OR or word.lower() in UNITS:
            return False
        if word.lower() in PERCENT_WORDS or word.lower() in DEGREE_WORDS:
            return False
        if any(word.startswith(f) and len(word) <= len(f) + 1 for f in ("sin", "cos", "tan", "ln")):
            return True
        if len(word) == 3 and word[1] in "aeiou" and token.space:
            return False
        return (len(word) <= 3 and word.lower() not in _WORDS_OF_THREE) or not word.isascii()

    def _unit_ahead(self, ahead: int) -> bool:
        """Whether the token there begins a unit behind a value rather than a factor."""
        token = self.peek(ahead)
        if token.kind == "let":
            if ahead == 1:  # a slash before it: per
                return token.prose and token.value in ("s", "h", "m", "g", "l", "L")
            return token.prose and token.value in _UNIT_LETTERS
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

    # -- factors --------------------------------------------------------------------------------

    def factor(self) -> Node:
        """Read a signed atom with its powers and postfix marks."""
        sign = tree.ONE
        while self.op("-", "+"):
            if self.take().value == "-":
                sign = tree.neg(sign)
        if self.op("pm"):
            self.take()
            sign = tree.mul(sign, tree.sym("±"))
        value = self.postfix()
        return value if sign is tree.ONE else tree.mul(sign, value)

    def postfix(self) -> Node:
        """Read an atom, then powers, factorials, percent and degree marks."""
        value = self.atom()
        while True:
            if self.op("^") or (self.op("*") and self.peek(1).value == "*"):
                if self.take().value == "*":
                    self.take()
                    value = tree.power(value, self._exponent())
                    continue
                if self._degree_mark():
                    value = self._minutes(tree.degrees(value))
                    continue
                exponent = self._exponent()
                if exponent is not None:
                    value = tree.power(value, exponent)
            elif self.op("!") and self.peek(1).value != "=":
                self.take()
                value = tree.fn("factorial", value)
            elif self.accept("%"):
                value = tree.percentage(value)
            elif self.op("circ"):
                self.take()
                value = self._minutes(tree.degrees(value))
            elif self.peek().kind == "word" and self.peek().value.lower() in PERCENT_WORDS:
                self.take()
                value = tree.percentage(value)
            elif self.peek().kind == "word" and self.peek().value.lower() in DEGREE_WORDS:
                self.take()
                value = tree.degrees(value)
            elif (
                self.peek().kind == "word"
                and self.peek().value in _ORDINALS
                and value.kind == "num"
                and not self.peek().space
            ):
                self.take()
            else:
                return value

    def _minutes(self, value: Node) -> Node:
        if self.peek().kind == "num" and self.peek(1).value in ("'", "^"):
            marks = [self.peek(i).value for i in (1, 2, 3)]
            if marks[0] == "^" and marks[1] != "'" and marks[1:] != ["{", "'"]:
                return value
            minutes = self._literal(self.take().value)
            while self.op("^", "{", "'", "}"):
                self.take()
            return tree.degrees(tree.add(value.args[0], tree.div(minutes, tree.num(60))))
        return value

    def _degree_mark(self) -> bool:
        r"""Go past ``\\circ`` in an exponent, where ``^`` was just taken."""
        if self.accept("circ"):
            return True
        if self.op("{") and self.peek(1).value == "circ" and self.peek(2).value == "}":
            self.at += 3
            return True
        if self.op("{") and self.peek(1).value == "o" and self.peek(2).value == "}":
            self.at += 3
            return True
        return False

    def _exponent(self) -> Node | None:
        """Read what stands behind ``^``; None for an ordinal mark, which has no value."""
        if self.op("{") and self.peek(1).kind == "word" and self.peek(1).value in _ORDINALS:
            while not self.accept("}"):
                if self.take().kind == "end":
                    raise Unreadable("an open brace")
            return None
        if self.peek().kind == "word" and self.peek().value in _ORDINALS:
            self.take()
            return None
        if self.op("{"):
            return self.group()
        if self.op("'"):
            raise Unreadable("a prime")
        sign = tree.ONE
        while self.op("-", "+"):
            if self.take().value == "-":
                sign = tree.neg(sign)
        self.down()
        value = self.atom()
        if self.op("^"):  # towers associate to the right
            self.take()
            above = self._exponent()
            if above is not None:
                value = tree.power(value, above)
        self.depth -= 1
        return tree.mul(sign, value)

    def group(self) -> Node:
        """Read a brace group of one expression."""
        self.expect("{")
        self.down()
        bars, self.bars = self.bars, 0
        value = self.expression()
        if self.accept("choose"):
            value = tree.fn("binomial", value, self.expression())
        self.bars = bars
        self.depth -= 1
        self.expect("}")
        return value

    def argument(self) -> Node:
        """Read the argument of a LaTeX command: a group, or a single character."""
        if self.op("{"):
            return self.group()
        token = self.peek()
        if token.kind == "num" and len(token.value) > 1 and token.value.isdigit():
            self.tokens[self.at] = token._replace(value=token.value[1:], space=False)
            return self._literal(token.value[0])
        if token.kind == "word" and len(token.value) > 1 and token.value not in FUNCTIONS:
            self.tokens[self.at] = Token(
                "word" if len(token.value) > 2 else "let", token.value[1:], False, token.prose
            )
            return self._letter(token.value[0])
        return self.atom()

    # -- atoms ----------------------------------------------------------------------------------

    def _literal(self, digits: str) -> Node:
        mantissa, mark, exponent = digits.replace("E", "e").partition("e")
        if mark and abs(int(exponent)) > MAX_EXPONENT_10:
            raise TooLarge("the exponent of a number is too large")
        value = Fraction(mantissa if mantissa[0] != "." else "0" + mantissa)
        return tree.num(value * Fraction(10) ** int(exponent) if mark else value)

    def atom(self) -> Node:
        """Read a number, symbol, function, fraction, root, matrix or bracketed expression."""
        token = self.take()
        kind, value = token.kind, token.value
        if kind == "num":
            return self._number(token)
        if kind == "let":
            return self._letter(value)
        if kind == "word":
            return self._word(token)
        if kind == "cmd":
            return self._command(value)
        if kind == "end":
            raise Unreadable("the answer ends too early")
        if value == "{":
            self.at -= 1
            return self.group()
        if value in ("(", "[", "{set", "|"):
            self.down()
            node = self.bracket(value)
            self.depth -= 1
            return node
        if value == "money":
            return tree.make("unit", (self.factor(), "dollar"), "") if False else self.factor()
        raise Unreadable(f"{value!r} where a value should be")

    def bracket(self, opening: str) -> Node:
        """Read a bracketed value; ``statements`` widens this to tuples and sets."""
        if opening == "|":
            return self._bars()
        bars, self.bars = self.bars, 0
        value = self.expression()
        self.bars = bars
        self.expect({"(": ")", "[": "]"}[opening])
        return value

    def _bars(self) -> Node:
        self.bars += 1
        value = self.expression()
        self.bars -= 1
        self.expect("|")
        return tree.fn("abs", value)

    def _number(self, token: Token) -> Node:
        value = self._literal(token.value)
        if self.op("_"):
            return value  # a base, read by ``statements``
        if not token.value.isdigit():
            return value
        if self.op("frac"):
            saved = self.at
            part = self.atom()
            if part.kind == "num" and 0 < part.args[0] < 1 and self._written_as_integers(saved):
                return tree.add(value, part)
            self.at = saved
        elif (
            self.peek().kind == "num"
            and self.peek().space
            and self.peek(1).value == "/"
            and self.peek(2).kind == "num"
            and self.peek().value.isdigit()
            and self.peek(2).value.isdigit()
            and self.peek(3).value not in ("/", "^")
        ):
            top, bottom = int(self.peek().value), int(self.peek(2).value)
            if not 0 < top < bottom:
                raise Unreadable("two numbers side by side")
            self.at += 3
            return tree.add(value, tree.num(Fraction(top, bottom)))
        return value

    def _written_as_integers(self, start: int) -> bool:
        return all(
            (t.kind == "num" and t.value.isdigit()) or t.value in ("frac", "{", "}")
            for t in self.tokens[start : self.at]
        )

    def _letter(self, name: str) -> Node:
        if name == "e" and not self.op("_", "'"):
            return tree.E
        if name == "i" and not self.op("_", "'"):
            return tree.I
        return self._subscripted(name)

    def _subscripted(self, name: str) -> Node:
        """Read subscripts, primes and, for a function's name, its arguments."""
        while True:
            if self.op("_"):
                self.take()
                name += "_" + self._raw_group()
            elif self.op("'"):
                self.take()
                name += "'"
            elif self.op("^") and self.peek(1).value == "'":
                self.at += 2
                name += "'"
            elif self.op("^") and self.peek(1).value == "{" and self.peek(2).value == "'":
                self.at += 2
                while self.accept("'"):
                    name += "'"
                self.expect("}")
            else:
                break
        if (
            name in ("f", "g", "h", "F", "G", "H")
            and self.op("^")
            and [self.peek(i).value for i in range(1, 6)] == ["{", "-", "1", "}", "("]
        ):
            self.at += 5
            name += "^-1"
        if self.op("(") and self._is_application(name):
            self.take()
            args = [self.expression()]
            while self.accept(",", ";"):
                args.append(self.expression())
            self.expect(")")
            return tree.make("fn", (f"@{name}", *args), f"{name}({', '.join(a.key for a in args)})")
        return tree.sym(name)

    def _is_application(self, name: str) -> bool:
        """Whether ``name(`` is a function of something and not a product."""
        depth, i = 0, self.at
        simple = True
        while i < len(self.tokens):
            t = self.tokens[i]
            if t.kind == "op" and t.value in "([":
                depth += 1
            elif t.kind == "op" and t.value in ")]":
                depth -= 1
                if not depth:
                    break
            elif t.kind not in ("let", "num") and t.value not in (",", "theta", "phi", "alpha"):
                simple = False
            i += 1
        if name[0] in "fghFGH" and (len(name) == 1 or name[1] in "_'^"):
            return True
        after = self.tokens[i + 1] if i + 1 < len(self.tokens) else _END
        return simple and after.kind == "op" and after.value == "="

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

    def _word(self, token: Token) -> Node:
        word = token.value
        if word in FUNCTIONS:
            return self._function(FUNCTIONS[word])
        if word in CONSTANT_WORDS:
            return self._constant(word)
        if word in _ROMAN:
            return tree.sym(word)
        for name in ("arcsin", "arccos", "arctan", "sqrt", "sin", "cos", "tan", "ln", "log"):
            if word.startswith(name) and len(word) <= len(name) + 1:  # sinx, lnx
                self.at -= 1
                self.tokens[self.at] = Token("let", word[len(name) :], False, token.prose)
                return self._function(FUNCTIONS[name])
        if not self._is_math_word(token):
            raise Unreadable(f"the word {word!r}")
        # the letters are factors; a power or subscript behind them belongs to the last
        self.tokens[self.at - 1 : self.at] = [
            Token("let", c, token.space and not i, token.prose) for i, c in enumerate(word)
        ]
        return self._letter(word[0])

    def _constant(self, word: str) -> Node:
        lower = word.lower()
        if lower == "pi":
            return tree.PI
        if lower in ("infinity", "inf", "oo", "infty"):
            return tree.INFINITY
        if lower == "undefined":
            raise Unreadable("undefined")
        return self._subscripted(lower)

    def _command(self, name: str) -> Node:
        if name == "frac":
            if self._is_derivative():
                label = "/".join((self._raw_group(), self._raw_group()))
                return tree.sym(label)
            top = self.argument()
            return tree.div(top, self.argument())
        if name in ("sqrt", "surd"):
            return self._sqrt()
        if name in FUNCTIONS:
            return self._function(FUNCTIONS[name])
        if name == "pi":
            return tree.PI
        if name == "infty":
            return tree.INFINITY
        if name == "binom":
            top = self.argument()
            return tree.fn("binomial", top, self.argument())
        if name in ("lfloor", "lceil"):
            value = self.expression()
            self.expect("r" + name[1:])
            return tree.fn("floor" if name == "lfloor" else "ceil", value)
        if name == "begin":
            return self.environment()
        if name in _DECORATIONS:
            return self._decorated(name)
        if name in _OPAQUE:
            return self._opaque(name)
        if name in _GREEK_OR_SYMBOL:
            return self._subscripted(name)
        if name in ("emptyset",):
            return tree.structure("set", ())
        raise Unreadable(f"the command \\{name}")

    def _is_derivative(self) -> bool:
        r"""Whether ``\\frac{dy}{dx}`` stands here, which names a function."""
        at = [self.peek(i) for i in range(6)]
        return [t.value for t in at[:1] + at[2:4] + at[5:]] == ["{", "}", "{", "}"] and all(
            t.kind == "word" and len(t.value) == 2 and t.value[0] == "d" for t in (at[1], at[4])
        )

    def _sqrt(self) -> Node:
        degree = tree.num(2)
        if self.op("["):
            self.take()
            degree = self.expression()
            self.expect("]")
        if self.peek().kind == "num" and not self.peek().space:
            value = self._literal(self.take().value)
        elif self.op("("):
            self.take()
            self.down()
            value = self.expression()
            self.depth -= 1
            self.expect(")")
        else:
            self.down()
            value = self.argument() if self.peek().kind != "num" else self.atom()
            self.depth -= 1
        return tree.root(value, degree)

    def _function(self, name: str) -> Node:
        if name == "Matrix":
            raise Unreadable("a constructor")
        if name == "sqrt":
            return self._sqrt()
        exponent: Node | None = None
        base: Node | None = None
        if self.op("_"):
            self.take()
            base = self.group() if self.op("{") else self.atom()
        if self.op("^") and name not in ("exp",):
            self.take()
            exponent = self._exponent()
        if self.op("_") and base is None:
            self.take()
            base = self.group() if self.op("{") else self.atom()
        if exponent is not None and exponent.key == "-1" and name in INVERSES:
            name, exponent = INVERSES[name], None
        self.down()
        args = self._arguments(name)
        self.depth -= 1
        value = self._apply(name, args, base)
        return value if exponent is None else tree.power(value, exponent)

    def _arguments(self, name: str) -> list[Node]:
        if self.op("(") or (self.op("{", "[") and name not in ("max", "min", "gcd")):
            opening = self.take().value
            close = {"(": ")", "{": "}", "[": "]"}[opening]
            bars, self.bars = self.bars, 0
            args = [self.expression()]
            while self.accept(",", ";"):
                args.append(self.expression())
                if len(args) > MAX_ITEMS:
                    raise TooLarge("too many arguments")
            self.bars = bars
            self.expect(close)
            if self.op("^") and opening == "(" and not self._degree_ahead():
                self.take()  # sin(x)^2 means the square of the sine
                exponent = self._exponent()
                self._power_after = exponent
            return args
        sign = tree.ONE
        while self.op("-", "+"):
            if self.take().value == "-":
                sign = tree.neg(sign)
        factors = [sign, self.postfix()]
        while self.begins_factor(self.peek()) and not self._stops_argument(self.peek()):
            factors.append(self.postfix())
        while self.op("/") and self.peek(1).kind == "num" and len(factors) > 2:
            self.take()  # sin pi/3 reads as sin(pi/3) only when the argument has several factors
            factors.append(tree.power(self.postfix(), tree.MINUS_ONE))
        return [tree.mul(*factors)]

    _power_after: Node | None = None

    def _degree_ahead(self) -> bool:
        return self.peek(1).value == "circ" or (
            self.peek(1).value == "{" and self.peek(2).value == "circ"
        )

    def _stops_argument(self, token: Token) -> bool:
        return (
            token.value in ("(", "[", "|")
            or token.value in FUNCTIONS
            or (token.kind == "word" and token.value not in CONSTANT_WORDS)
        )

    def _apply(self, name: str, args: list[Node], base: Node | None) -> Node:
        after, self._power_after = self._power_after, None
        if name == "log" and base is not None:
            value = tree.fn("logbase", base, args[0])
        elif name == "log" and len(args) == 2:
            value = tree.fn("logbase", args[1], args[0])
        elif name in ("lg", "log10"):
            value = tree.fn("logbase", tree.num(10), args[0])
        elif name == "log2":
            value = tree.fn("logbase", tree.num(2), args[0])
        elif name == "cbrt":
            value = tree.root(args[0], tree.num(3))
        elif name == "root" and len(args) == 2:
            value = tree.root(args[0], args[1])
        elif name == "binomial" and len(args) != 2:
            raise Unreadable("a binomial of one number")
        elif base is not None:
            value = tree.make("fn", (f"{name}_{base.key}", *args), f"{name}_{base.key}({args})")
        else:
            value = tree.fn(name, *args)
        return tree.power(value, after) if after is not None else value

    def _decorated(self, name: str) -> Node:
        if name in ("overset", "stackrel"):
            self._raw_group()
            return self._subscripted(self._raw_group())
        if name in ("angle", "measuredangle"):
            token = self.take()
            if token.kind not in ("let", "word", "num"):
                raise Unreadable("an angle without a name")
            return tree.sym(f"angle {token.value}")
        inner = self._raw_group()
        if name in ("mathbb", "mathfrak", "mathscr"):
            return self._subscripted(f"{inner}{inner}" if name == "mathbb" else inner)
        if inner.isdigit():
            raise Unreadable("a repeating decimal without its point")
        if len(inner) == 2 and inner.isupper() and name == "overline":
            return tree.mul(tree.sym(inner[0]), tree.sym(inner[1]))  # a segment by its ends
        return self._subscripted(f"{name} {inner}")

    def _opaque(self, name: str) -> Node:
        label = name
        ends: dict[str, str] = {}
        while self.op("_", "^"):
            mark = self.take().value
            ends[mark] = self._raw_group()
            label += mark + ends[mark]
        self.down()
        body = self.term()
        self.depth -= 1
        if name in ("sum", "prod"):
            index, _, low = ends.get("_", "").partition("=")
            high = ends.get("^", "")
            if low.isdigit() and high.isdigit() and 0 <= int(high) - int(low) < 200:
                terms = [
                    tree.substitute(body, index.strip(), tree.num(n))
                    for n in range(int(low), int(high) + 1)
                ]
                return tree.add(*terms) if name == "sum" else tree.mul(*terms)
        return tree.make("fn", (f"@{label}", body), f"{label}({body.key})")

    def environment(self) -> Node:
        r"""Read a matrix environment, whose ``\\begin`` was just taken."""
        name = self._raw_group()
        if name not in _MATRICES:
            raise Unreadable(f"the environment {name}")
        if name == "array" and self.op("{"):
            self._raw_group()
        self.down()
        rows: list[list[Node]] = [[]]
        while not self.op("end"):
            if self.peek().kind == "end":
                raise Unreadable("an open matrix")
            if self.accept("\\\\"):
                rows.append([])
                continue
            if self.accept("&"):
                continue
            rows[-1].append(self.expression())
            if sum(map(len, rows)) > MAX_ITEMS:
                raise TooLarge("a matrix has too many entries")
        self.take()
        if self._raw_group() != name:
            raise Unreadable("an environment that closes another")
        self.depth -= 1
        if not rows[-1]:
            rows.pop()
        node = tree.matrix(rows)
        return tree.determinant(node) if name in ("vmatrix", "Vmatrix") else node


# fmt: off
_WORDS_OF_THREE = {
    "the", "and", "are", "not", "yes", "odd", "one", "two", "six", "ten", "his", "her", "all",
    "any", "for", "can", "day", "men", "way", "cat", "dog", "pen", "egg", "red", "may", "sun",
    "mon", "tue", "wed", "thu", "fri", "sat", "who", "how", "why", "out", "box", "car", "map",
    "pie", "cup", "bag", "toy", "hat", "bus", "pig", "cow", "hen", "kid", "boy", "age", "no",
    "is", "to", "of", "in", "or", "it", "if", "so", "we", "he", "pm", "am", "none", "old", "new",
    "nan", "as", "at", "by", "an", "on", "be", "do", "per", "ft", "cm", "km", "dne",
}
# fmt: on
