"""Whole answers: lists, relations, tuples, sets, intervals, units, times and words."""

from __future__ import annotations

from fractions import Fraction

from harness.verify import tree
from harness.verify.cursor import RELATIONS
from harness.verify.limits import MAX_ITEMS, TooLarge, Unreadable
from harness.verify.reader import Reader
from harness.verify.tokens import Token
from harness.verify.tree import Node
from harness.verify.words import AND_OR, LEADING, QUALIFIERS, normal_words, number_of

_BASES = {
    "two": 2,
    "three": 3,
    "four": 4,
    "five": 5,
    "six": 6,
    "seven": 7,
    "eight": 8,
    "nine": 9,
    "ten": 10,
    "twelve": 12,
    "sixteen": 16,
}
_CLOSE = {"(": ")", "[": "]", "{set": "}set", "{": "}", "langle": "rangle"}


class Statements(Reader):
    """Adds to expressions what only stands in a whole answer."""

    def answer(self) -> Node:
        """Read everything; the result is one value or a list."""
        items, joined = self._items(())
        if self.at < len(self.tokens):
            raise Unreadable(f"{self.peek().value!r} is left over")
        if not items:
            raise Unreadable("nothing to read")
        if joined == {"or"}:
            items = list(dict.fromkeys(items))  # one value in two notations
        if len(items) == 1:
            return items[0]
        if (
            "or" in joined
            and all(i.kind in ("rel", "br", "union") for i in items)
            and any(i.kind == "rel" and i.args[0][0] in ("<", ">", "le", "ge", "in") for i in items)
        ):
            return tree.structure("union", items)
        return tree.structure("list", items)

    def _items(self, closers: tuple[str, ...]) -> tuple[list[Node], set[str]]:
        items: list[Node] = []
        joined: set[str] = set()
        while True:
            while self._separator():
                joined.add(self.take().value)
            if self.peek().kind == "end" or self.op(*closers):
                return items, joined
            items.append(self.clause(closers))
            if len(items) > MAX_ITEMS:
                raise TooLarge("a list has too many items")
            if self.peek().kind == "end" or self.op(*closers):
                return items, joined
            if self.op("implies"):
                self.take()
                items.pop()
                continue
            if not self._separator():
                raise Unreadable(f"{self.peek().value!r} is not expected here")

    def _separator(self) -> bool:
        token = self.peek()
        if token.kind == "op":
            return token.value in (",", ";", "\\\\", "&", "#")
        if token.kind == "cmd":
            return token.value in ("and", "or")
        return (token.kind == "word" and token.value.lower() in AND_OR) or (
            token.kind == "let"
            and token.prose
            and token.value in ("y", "o", "e")
            and token.space
            and self.at > 0
            and self.peek(1).space
        )

    # -- clauses --------------------------------------------------------------------------------

    def clause(self, closers: tuple[str, ...]) -> Node:
        """Read one item of a list: a relation, a set or a value with its unit, or words."""
        start, depth = self.at, self.depth
        tokens = list(self.tokens)
        try:
            node = self._relation(closers)
            if not (
                self.peek().kind == "end"
                or self.op(*closers)
                or self._separator()
                or self.op("implies")
            ):
                raise Unreadable(f"{self.peek().value!r} is left over")
            return node
        except Unreadable:
            self.at, self.depth, self.bars = start, depth, 0
            self.tokens = tokens
            return self._words(closers)

    def _words(self, closers: tuple[str, ...]) -> Node:
        """Read a clause as words; only where it has words."""
        taken: list[Token] = []
        depth = 0
        while self.peek().kind != "end":
            if not depth and (self.op(*closers) or self._separator()):
                break
            t = self.take()
            depth += (t.value in _CLOSE) - (t.value in _CLOSE.values())
            taken.append(t)
        if not any(t.kind in ("word", "let") for t in taken):
            raise Unreadable("neither mathematics nor words")
        value = (
            number_of([t.value for t in taken if t.value != "-"])
            if all(t.kind == "word" or t.value == "-" for t in taken)
            else None
        )
        if value is not None:
            return tree.num(value)
        return tree.text(normal_words("".join((" " if t.space else "") + t.value for t in taken)))

    def _relation(self, closers: tuple[str, ...]) -> Node:
        while (
            self.peek().kind == "word"
            and self.peek().value.lower() in LEADING
            and self.peek(1).kind != "end"
        ) or self.op("approx", "equiv", "="):
            self.take()
        self._label()
        items = [self._side(closers)]
        operators: list[str] = []
        while True:
            operator = self._relation_operator()
            if operator is None:
                break
            operators.append(operator)
            items.append(self._side(closers))
            if len(items) > 60:
                raise TooLarge("a chain of relations is too long")
        self._qualifier(closers)
        return tree.relation(operators, items) if operators else items[0]

    def _label(self) -> None:
        """Go past the name of a point or case: ``P(1,2)``, ``Minimum: 3``."""
        t = self.peek()
        if (
            t.kind == "let"
            and t.value.isupper()
            and self.peek(1).value == "("
            and t.value not in "FGH"
        ):
            depth, i, comma = 0, 1, False
            while self.peek(i).kind != "end":
                v = self.peek(i).value
                depth += (v == "(") - (v == ")")
                comma = comma or (v == "," and depth == 1)
                if not depth:
                    break
                i += 1
            if comma and (self.peek(i + 1).kind == "end" or self.peek(i + 1).value in (",", ";")):
                self.take()
            return
        i = 0
        while self.peek(i).kind == "word" or (self.peek(i).kind == "let" and i):
            i += 1
        if (
            i
            and self.peek(i).value == ":"
            and self.peek(i).kind == "op"
            and (self.peek(i + 1).kind != "end")
            and (i > 1 or (len(t.value) > 1 and not t.value.isupper()))
        ):
            self.at += i + 1

    def _relation_operator(self) -> str | None:
        t = self.peek()
        if t.kind == "op":
            after = self.peek(1).value if self.peek(1).kind == "op" else ""
            if t.value in "<>" and after == "=":
                self.at += 2
                return "le" if t.value == "<" else "ge"
            if (t.value == "<" and after == ">") or (t.value == "!" and after == "="):
                self.at += 2
                return "ne"
            if t.value == "=" and after in ("=", "<", ">"):
                self.at += 2
                return {"=": "=", "<": "le", ">": "ge"}[after]
            if t.value == ":" and after == "=":
                self.at += 2
                return "="
            if t.value in "=<>":
                self.take()
                return t.value
        elif t.kind == "cmd":
            if t.value == "not":
                self.take()
                inner = self._relation_operator()
                return {"=": "ne", "in": "notin"}.get(inner or "", inner)
            if t.value in RELATIONS:
                self.take()
                return t.value
        elif t.kind == "word" and t.value == "in" and not t.prose:
            self.take()
            return "in"
        return None

    def _side(self, closers: tuple[str, ...]) -> Node:
        """Read one side of a relation: sets joined by union, or a value, a ratio, a unit."""
        node = self._joinable(closers)
        parts = [node]
        while self.op("cup", "bigcup") or self._u_between_sets():
            self.take()
            parts.append(self._joinable(closers))
        if len(parts) > 1:
            flat = [x for p in parts for x in (p.args if p.kind == "union" else (p,))]
            node = tree.structure("union", flat)
        for mark in ("cap", "setminus"):
            if self.accept(mark):
                right = self._side(closers)
                return tree.make(
                    "fn", (f"@{mark}", node, right), f"{mark}({node.key}, {right.key})"
                )
        return node

    def _u_between_sets(self) -> bool:
        t = self.peek()
        return (
            t.kind == "let"
            and t.value == "U"
            and self.at > 0
            and (self.tokens[self.at - 1].value in (")", "]", "}set"))
            and (self.peek(1).value in ("(", "[", "{set"))
        )

    def _joinable(self, closers: tuple[str, ...]) -> Node:
        if self.op("{"):
            saved = self.at, self.depth
            try:
                node = self._top_value()
            except Unreadable:
                self.at, self.depth = saved
                self.take()
                node = self._closed("{")
        else:
            node = self._top_value()
        if self.op(":") and self.peek(1).value != "=":
            parts = [node]
            while self.accept(":"):
                parts.append(self._top_value())
            node = tree.structure("ratio", [tree.value_of(p) for p in parts])
        elif self.peek().value == "to" and self.peek(1).kind == "num" and node.kind == "num":
            self.take()
            node = tree.structure("ratio", [node, self._top_value()])
        if self.op("pmod", "mod", "bmod"):
            modulus = self._modulus()
            node = tree.make("fn", ("@mod", node, modulus), f"{node.key} mod {modulus.key}")
        return self._with_unit(node, closers)

    def _modulus(self) -> Node:
        self.take()
        if self.op("{"):
            return self.group()
        return self.postfix()

    def _top_value(self) -> Node:
        if self.peek().kind == "op" and self.peek().value in ("money", "€", "£", "¥", "₹"):
            mark = self.take().value
            value = self.expression()
            name = {"money": "dollar", "€": "euro"}.get(mark, mark)
            return tree.make("unit", (value, name), f"{value.key} [{name}]")
        if self.op("-") and self.peek(1).value in ("money", "€", "£"):
            self.take()
            inner = self._top_value()
            value = tree.neg(inner.args[0])
            return tree.make("unit", (value, inner.args[1]), f"{value.key} [{inner.args[1]}]")
        based = self._based()
        return based if based is not None else self.expression()

    def _based(self) -> Node | None:
        """Read a base-n numeral such as ``1021_3`` or ``2A_{16}``."""
        start = 1 if self.op("-") else 0
        i, digits_ = start, ""
        while self.peek(i).kind in ("num", "let", "word") and (
            i == start or not self.peek(i).space
        ):
            digits_ += self.peek(i).value
            i += 1
        if i == start or not (self.peek(i).kind == "op" and self.peek(i).value == "_"):
            return None
        if self.peek(start).kind != "num" and not (i > start + 1 and digits_.isupper()):
            return None
        braced = self.peek(i + 1).value == "{"
        base = self.peek(i + 1 + braced)
        n = (
            int(base.value)
            if base.kind == "num" and base.value.isdigit() and len(base.value) < 3
            else _BASES.get(base.value, 0)
        )
        if not 2 <= n <= 36:
            return None
        self.at += i + 2 + braced
        if braced:
            self.expect("}")
        whole, _, part = digits_.partition(".")
        try:
            value = Fraction(int(whole + part, n), n ** len(part))
        except ValueError as error:
            raise Unreadable("digits that the base does not have") from error
        shown = (digits_.upper().lstrip("0") or "0") if not part else digits_.upper()
        if start:
            shown, value = "-" + shown, -value
        return Node("base", (shown, n, value), f"{shown}_{n}", 1)

    def _with_unit(self, node: Node, closers: tuple[str, ...]) -> Node:
        """Attach the words behind a value as its unit."""
        words: list[str] = []
        while True:
            t = self.peek()
            if self.op("(") and self._words_only_until(")"):
                self.take()
                while not self.accept(")"):
                    words.append(self.take().value)
                continue
            if t.kind in ("word", "let") and not self._separator():
                if not words and t.value.lower() in QUALIFIERS and t.value.lower() != "in":
                    break
                if not words and not self._unit_ahead(0) and t.kind != "word":
                    break
                words.append(self.take().value)
            elif words and t.kind == "op" and t.value == "^":
                self.take()
                exponent = self._raw_group()
                words.append(f"^{exponent}")
            elif words and t.kind == "op" and t.value in ("/", "-", ".", "*", "'"):
                self.take()
                if t.value == "/":
                    words.append("per")
            elif t.kind == "op" and t.value == "/" and self._unit_ahead(1):
                self.take()
                words.append("per")
            elif (
                words
                and t.kind == "num"
                and self.tokens[self.at - 1].kind in ("word", "let")
                and (not t.space and t.value in ("2", "3"))
            ):
                words.append(f"^{self.take().value}")
            elif words and t.kind == "cmd" and t.value in ("frac",):
                raise Unreadable("a unit with a fraction")
            else:
                break
        if not words:
            return node
        unit = " ".join(words).lower()
        if node.kind == "unit":
            return node
        return tree.make("unit", (node, unit), f"{node.key} [{unit}]")

    def _words_only_until(self, close: str) -> bool:
        i, seen = 1, False
        while self.peek(i).kind != "end":
            t = self.peek(i)
            if t.value == close and t.kind == "op":
                return seen
            if t.kind == "word" and t.value not in ("sin", "cos", "tan", "pi", "sqrt", "ln", "log"):
                seen = seen or len(t.value) > 2
            elif t.kind not in ("word", "let") and t.value not in ("-", ".", "/", "'", ","):
                return False
            i += 1
        return False

    def _qualifier(self, closers: tuple[str, ...]) -> None:
        """Go past ``for all x > 0`` and the like, to the end of this bracket."""
        t = self.peek()
        quantified = t.kind == "cmd" and t.value in ("forall", "exists")
        if (
            quantified
            or (t.kind == "word" and t.value.lower() in QUALIFIERS)
            or (
                self.op("(")
                and self.peek(1).kind == "word"
                and self.peek(1).value.lower() in QUALIFIERS | {"mod"}
            )
        ):
            while self.peek().kind != "end" and not self.op(*closers):
                self.take()

    # -- brackets -------------------------------------------------------------------------------

    def bracket(self, opening: str) -> Node:
        """Read parentheses, square brackets, set braces or bars."""
        if opening == "|":
            return self._bars()
        return self._closed(opening)

    def _closed(self, opening: str) -> Node:
        bars, self.bars = self.bars, 0
        closers = (")", "]") if opening in ("(", "[") else (_CLOSE[opening],)
        if opening == "{set":
            node = self._builder()
            if node is not None:
                self.bars = bars
                return node
        items, joined = self._items(closers)
        self.bars = bars
        if not self.op(*closers):
            raise Unreadable("an open bracket")
        close = self.take().value
        if opening in ("{set", "{"):
            if opening == "{" and len(items) == 1:
                return items[0]
            return tree.structure("set", items)
        if not items:
            raise Unreadable("empty brackets")
        if (
            len(items) == 1
            and "," not in joined
            and ((opening == "(" and close == ")") or items[0].kind == "matrix")
        ):
            return items[0]
        return tree.structure("br", items, opening, close)

    def _builder(self) -> Node | None:
        """Read ``x | condition }`` or ``x : condition }``; None if it is a plain set."""
        start, depth = self.at, self.depth
        name = self.peek()
        self.bars += 1  # so that the mark is not read as an absolute value
        try:
            element = self.expression()
            if self.accept("in"):
                self.expression()
        except Unreadable:
            self.at, self.depth = start, depth
            return None
        finally:
            self.bars -= 1
        if not self.op("|", "mid", ":"):
            self.at, self.depth = start, depth
            return None
        self.take()
        items, joined = self._items(("}set",))
        self.expect("}set")
        if element.kind == "sym" and name.kind in ("let", "cmd"):
            if len(items) == 1:
                return items[0]
            return tree.structure("union" if "or" in joined else "list", items)
        inner = tree.structure("list", items)
        return tree.make("fn", ("@such that", element, inner), f"{{{element.key} | {inner.key}}}")

    def atom(self) -> Node:
        """As in expressions; also angle brackets and systems of equations."""
        if self.op("langle"):
            self.take()
            self.down()
            items, _ = self._items(("rangle",))
            self.expect("rangle")
            self.depth -= 1
            return tree.structure("br", items, "(", ")")
        if self.op("begin") and self.peek(2).value in ("cases", "aligned", "align", "gathered"):
            self.take()
            name = self._raw_group()
            self.down()
            items, _ = self._items(("end",))
            self.expect("end")
            self.depth -= 1
            if self._raw_group() != name:
                raise Unreadable("an environment that closes another")
            return tree.structure("list", items)
        return super().atom()
