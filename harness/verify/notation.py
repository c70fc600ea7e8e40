"""LaTeX commands and function names: fractions, roots, functions, sums, matrices."""

from __future__ import annotations

from harness.verify import tree
from harness.verify.cursor import DECORATIONS, GREEK_OR_SYMBOL, MATRICES, OPAQUE, Cursor
from harness.verify.limits import MAX_ITEMS, TooLarge, Unreadable
from harness.verify.tokens import Token
from harness.verify.tree import Node
from harness.verify.words import CONSTANT_WORDS, FUNCTIONS, INVERSES


class Notation(Cursor):
    """Reads what a command or the name of a function begins; the reader supplies the rest."""

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
        if name in DECORATIONS:
            return self._decorated(name)
        if name in OPAQUE:
            return self._opaque(name)
        if name in GREEK_OR_SYMBOL:
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
        if name not in MATRICES:
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
