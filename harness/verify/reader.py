"""The expression reader: tokens into a canonical tree by bounded recursive descent.

Nothing here evaluates text as code. The grammar is that of answers: LaTeX and plain notation
mixed, with implicit multiplication, mixed numbers, units, relations, sets and matrices.
"""

from __future__ import annotations

from fractions import Fraction

from harness.verify import tree
from harness.verify.cursor import END, ORDINALS, ROMAN
from harness.verify.limits import MAX_EXPONENT_10, TooLarge, Unreadable
from harness.verify.notation import Notation
from harness.verify.tokens import Token
from harness.verify.tree import Node
from harness.verify.words import CONSTANT_WORDS, DEGREE_WORDS, FUNCTIONS, PERCENT_WORDS


class Reader(Notation):
    """Reads expressions from a list of tokens; ``statements`` adds relations, lists and sets."""

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
                factors.append(tree.power(tree.value_of(self.factor()), tree.MINUS_ONE))
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
                and self.peek().value in ORDINALS
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
        if self.op("{") and self.peek(1).kind == "word" and self.peek(1).value in ORDINALS:
            while not self.accept("}"):
                if self.take().kind == "end":
                    raise Unreadable("an open brace")
            return None
        if self.peek().kind == "word" and self.peek().value in ORDINALS:
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
        after = self.tokens[i + 1] if i + 1 < len(self.tokens) else END
        return simple and after.kind == "op" and after.value == "="

    def _word(self, token: Token) -> Node:
        word = token.value
        if word in FUNCTIONS:
            return self._function(FUNCTIONS[word])
        if word in CONSTANT_WORDS:
            return self._constant(word)
        if word in ROMAN:
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
