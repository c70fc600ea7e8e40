"""LaTeX commands and function names: fractions, roots, functions, sums, matrices."""

from __future__ import annotations

import re

from harness.verify.algebra import tree
from harness.verify.algebra.node import Node
from harness.verify.limits import MAX_ITEMS, TooLarge, Unreadable
from harness.verify.reading.cursor import Cursor
from harness.verify.reading.expressions import (
    exponent,
    expression,
    group,
    literal,
    postfix,
    signs,
    term,
)
from harness.verify.reading.names import letter, subscripted
from harness.verify.reading.tokens import Token
from harness.verify.reading.words import (
    CONSTANT_WORDS,
    DECORATIONS,
    FUNCTIONS,
    GREEK_OR_SYMBOL,
    INVERSES,
    OPAQUE,
)

_MATRICES = {
    "pmatrix", "bmatrix", "matrix", "Bmatrix", "smallmatrix", "array", "vmatrix", "Vmatrix",
}  # fmt: skip


def command(c: Cursor, name: str) -> Node:
    """Read what a LaTeX command begins, which was just taken."""
    if name == "frac":
        if _is_derivative(c):
            name = "/".join((c.raw_group(), c.raw_group()))
            if name[1] != "/":
                return tree.sym(name)
            body = term(c)  # the derivative of what follows
            return tree.make("fn", (f"@{name}", body), f"{name}({body.key})")
        top = _argument(c)
        return tree.div(top, _argument(c))
    if name in ("sqrt", "surd"):
        return _sqrt(c)
    if name in FUNCTIONS:
        return function(c, FUNCTIONS[name])
    if name == "pi":
        return tree.PI
    if name == "infty":
        return tree.INFINITY
    if name == "binom":
        top = _argument(c)
        return tree.fn("binomial", top, _argument(c))
    if name in ("lfloor", "lceil"):
        value = expression(c)
        c.expect("r" + name[1:])
        return tree.fn("floor" if name == "lfloor" else "ceil", value)
    if name == "begin":
        return _environment(c)
    if name in DECORATIONS:
        return _decorated(c, name)
    if name in OPAQUE:
        return _opaque(c, name)
    if name in GREEK_OR_SYMBOL:
        return subscripted(c, name)
    if name == "emptyset":
        return tree.structure("set", ())
    raise Unreadable(f"the command \\{name}")


def _is_derivative(c: Cursor) -> bool:
    r"""Whether `\frac{dy}{dx}` follows, which is the name of a function, or `\frac{d}{dx}`."""
    ahead = "".join(c.peek(i).value for i in range(8))
    return re.match(r"\{d[a-zA-Z]?\}\{d[a-zA-Z]\}", ahead) is not None


def _argument(c: Cursor) -> Node:
    r"""Read the argument of a LaTeX command: a group, or one character (`\frac12` is 1/2)."""
    if c.op("{"):
        return group(c)
    token = c.peek()
    first, rest = token.value[:1], token.value[1:]
    if token.kind == "num" and rest and token.value.isdigit():
        c.put(c.at, token._replace(value=rest, space=False))
        return literal(first)
    if token.kind == "word" and rest and token.value not in FUNCTIONS:
        c.put(c.at, Token("word" if len(rest) > 1 else "let", rest, False, token.prose))
        return letter(c, first)
    return c.atom(c)


def _sqrt(c: Cursor) -> Node:
    degree = tree.num(2)
    if c.accept("["):
        degree = expression(c)
        c.expect("]")
    if c.peek().kind == "num" and not c.peek().space:
        value = literal(c.take().value)
    elif c.accept("("):
        c.down()
        value = expression(c)
        c.depth -= 1
        c.expect(")")
    else:
        c.down()
        value = _argument(c) if c.peek().kind != "num" else c.atom(c)
        c.depth -= 1
    return tree.root(value, degree)


def function(c: Cursor, name: str) -> Node:
    """Read the arguments of a function, whose name was just taken, with its power and base."""
    if name == "Matrix":
        raise Unreadable("a constructor")
    if name == "sqrt":
        return _sqrt(c)
    above: Node | None = None
    base = _base(c)
    if name != "exp" and c.accept("^"):
        above = exponent(c)
    base = base or _base(c)
    if name == "log" and base is not None and c.peek().kind == "end":
        base = _only_digit(c, base)
    if above is not None and above.key == "-1" and name in INVERSES:
        name, above = INVERSES[name], None
    c.down()
    args, behind = _arguments(c, name)
    c.depth -= 1
    value = _apply(name, args, base)
    for power in (behind, above):
        if power is not None:
            value = tree.power(value, power)
    return value


def _only_digit(c: Cursor, base: Node) -> Node:
    r"""Read `\log_23` as TeX sets it, the logarithm of 3 to base 2: one digit is the base."""
    written = c.tokens[c.at - 1]
    if written.kind != "num" or not written.value.isdigit() or len(written.value) < 2:
        return base
    c.at -= 1
    c.put(c.at, written._replace(value=written.value[1:]))
    return tree.num(int(written.value[0]))


def _base(c: Cursor) -> Node | None:
    if not c.accept("_"):
        return None
    return group(c) if c.op("{") else c.atom(c)


def _arguments(c: Cursor, name: str) -> tuple[list[Node], Node | None]:
    """Read arguments in brackets or without; also return a power behind the brackets."""
    extremum = name in ("max", "min", "gcd", "lcm")
    if c.op("(") or (c.op("{", "[") and not extremum) or (c.op("{set") and extremum):
        opening = c.take().value
        bars, c.bars = c.bars, 0
        args = [expression(c)]
        while c.accept(",", ";"):
            args.append(expression(c))
            if len(args) > MAX_ITEMS:
                raise TooLarge("too many arguments")
        c.bars = bars
        c.expect({"(": ")", "{": "}", "[": "]", "{set": "}set"}[opening])
        if c.op("^") and opening == "(" and not _degree_ahead(c):
            c.take()  # sin(x)^2 means the square of the sine
            return args, exponent(c)
        return args, None
    factors = [signs(c), postfix(c)]
    while c.begins_factor(c.peek()) and not _stops_argument(c.peek()):
        factors.append(postfix(c))
    while c.op("/") and c.peek(1).kind == "num" and len(factors) > 2:
        c.take()  # sin 2pi/3 is sin(2pi/3), but sin x/3 is sin(x)/3
        factors.append(tree.power(postfix(c), tree.MINUS_ONE))
    return [tree.mul(*factors)], None


def _degree_ahead(c: Cursor) -> bool:
    return c.peek(1).value == "circ" or (c.peek(1).value == "{" and c.peek(2).value == "circ")


def _stops_argument(token: Token) -> bool:
    return (
        token.value in ("(", "[", "|")
        or token.value in FUNCTIONS
        or (token.kind == "word" and token.value not in CONSTANT_WORDS)
    )


def _apply(name: str, args: list[Node], base: Node | None) -> Node:
    if name == "log" and base is not None:
        return tree.fn("logbase", base, args[0])
    if name == "log" and len(args) == 2:
        return tree.fn("logbase", args[1], args[0])
    if name in ("lg", "log10"):
        return tree.fn("logbase", tree.num(10), args[0])
    if name == "log2":
        return tree.fn("logbase", tree.num(2), args[0])
    if name == "cbrt":
        return tree.root(args[0], tree.num(3))
    if name == "root" and len(args) == 2:
        return tree.root(args[0], args[1])
    if name == "binomial" and len(args) != 2:
        raise Unreadable("a binomial of one number")
    if base is not None:
        return tree.make("fn", (f"{name}_{base.key}", *args), f"{name}_{base.key}({args})")
    return tree.fn(name, *args)


def _decorated(c: Cursor, name: str) -> Node:
    if name in ("overset", "stackrel"):
        c.raw_group()
        return subscripted(c, c.raw_group())
    if name in ("angle", "measuredangle"):
        token = c.take()
        if token.kind not in ("let", "word", "num"):
            raise Unreadable("an angle without a name")
        return tree.sym(f"angle {token.value}")
    inner = c.raw_group()
    if inner in ("i", "j", "k") and name in ("vec", "hat", "widehat", "overrightarrow"):
        return subscripted(c, f"hat {inner}")
    if name in ("mathbb", "mathfrak", "mathscr"):
        return subscripted(c, inner * 2 if name == "mathbb" else inner)
    if inner.isdigit():
        raise Unreadable("a repeating decimal without its point")
    if len(inner) == 2 and inner.isupper() and name == "overline":
        return tree.mul(tree.sym(inner[0]), tree.sym(inner[1]))  # a segment by its ends
    return subscripted(c, f"{_SHORT.get(name, name)} {inner}")


_SHORT = {"overrightarrow": "vec", "overline": "bar", "widehat": "hat", "widetilde": "tilde"}


def _opaque(c: Cursor, name: str) -> Node:
    """Read a sum, integral or limit: a short sum of whole numbers is computed, others are not."""
    label = name
    ends: dict[str, str] = {}
    while c.op("_", "^"):
        mark = c.take().value
        ends[mark] = c.raw_group()
        label += mark + ends[mark]
    c.down()
    body = term(c)
    c.depth -= 1
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


def _environment(c: Cursor) -> Node:
    r"""Read a matrix environment, whose `\begin` was just taken."""
    name = c.raw_group()
    if name not in _MATRICES:
        raise Unreadable(f"the environment {name}")
    if name == "array" and c.op("{"):
        c.raw_group()
    c.down()
    rows: list[list[Node]] = [[]]
    while not c.op("end"):
        if c.peek().kind == "end":
            raise Unreadable("an open matrix")
        if c.accept("\\\\"):
            rows.append([])
        elif not c.accept("&"):
            rows[-1].append(expression(c))
            if sum(map(len, rows)) > MAX_ITEMS:
                raise TooLarge("a matrix has too many entries")
    c.take()
    if c.raw_group() != name:
        raise Unreadable("an environment that closes another")
    c.depth -= 1
    if not rows[-1]:
        rows.pop()
    node = tree.matrix(rows)
    return tree.determinant(node) if name in ("vmatrix", "Vmatrix") else node
