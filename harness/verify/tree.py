"""Expression trees in a canonical form: equal keys mean equal values.

A :class:`Node` is built only by the constructors below, which fold exact numbers, collect equal
terms and factors and sort what commutes, so that most equal answers get the same key. Folding is
bounded: a power too large to compute stays a power.
"""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from functools import lru_cache
from math import comb, factorial, isqrt

from harness.verify.limits import MAX_BITS, MAX_FACTORIAL, TooLarge, Unreadable


class Node:
    """One node: its kind, its arguments (nodes, or a number or a name in a leaf) and its key.

    Kinds of expressions: num, sym, const, add, mul, pow, fn, deg, pct. Kinds that only stand at
    the top of an answer: br (bracketed items), set, list, rel, union, matrix, text, base, ratio,
    time, unit.
    """

    __slots__ = ("args", "key", "kind", "size")

    def __init__(self, kind: str, args: tuple, key: str, size: int) -> None:
        self.kind = kind
        self.args = args
        self.key = key
        self.size = size
        if size > 4_000 or len(key) > 60_000:
            raise TooLarge("the expression is too large")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Node) and self.key == other.key

    def __hash__(self) -> int:
        return hash(self.key)

    def __repr__(self) -> str:
        return self.key


def make(kind: str, args: tuple, key: str) -> Node:
    """Return a node whose arguments are nodes (or leaves), with its size counted."""
    return Node(kind, args, key, 1 + sum(a.size for a in args if isinstance(a, Node)))


def num(value: int | Fraction) -> Node:
    """Return the node of an exact rational number."""
    value = Fraction(value)
    top, bottom = value.numerator, value.denominator
    if top.bit_length() > MAX_BITS or bottom.bit_length() > MAX_BITS:
        raise TooLarge("a number is too large")
    key = _digits(top) if bottom == 1 else f"{_digits(top)}/{_digits(bottom)}"
    return Node("num", (value,), key, 1)


def _digits(n: int) -> str:
    # hexadecimal beyond Python's own limit on decimal conversion, which is quadratic
    return str(n) if n.bit_length() < 8_000 else hex(n)


ZERO, ONE, MINUS_ONE, HALF = num(0), num(1), num(-1), num(Fraction(1, 2))
PI = Node("const", ("pi",), "pi", 1)
E = Node("const", ("e",), "e", 1)
I = Node("const", ("i",), "i", 1)  # noqa: E741
INFINITY = Node("const", ("oo",), "oo", 1)


def sym(name: str) -> Node:
    """Return the node of a variable; ``name`` carries subscripts and primes."""
    return Node("sym", (name,), name, 1)


def _matrices(args: Iterable[Node]) -> bool:
    return any(a.kind == "matrix" for a in args)


def add(*terms: Node) -> Node:
    """Return the sum, with equal terms collected."""
    if len(terms) == 2 and terms[0].kind == terms[1].kind == "num":
        return num(terms[0].args[0] + terms[1].args[0])
    if _matrices(terms):
        return _matrix_sum(terms)
    constant = Fraction(0)
    collected: dict[str, list] = {}
    for term in terms:
        for part in term.args if term.kind == "add" else (term,):
            part = _value(part)
            if part.kind == "num":
                constant += part.args[0]
                continue
            factor, rest = _coefficient(part)
            slot = collected.setdefault(rest.key, [Fraction(0), rest])
            slot[0] += factor
    infinite = collected.get("oo")
    if infinite is not None and len(collected) == 1 and infinite[0]:
        return INFINITY if infinite[0] > 0 else mul(MINUS_ONE, INFINITY)
    parts = [mul(num(f), rest) for f, rest in collected.values() if f]
    if infinite is not None and not infinite[0]:
        raise Unreadable("infinity minus infinity")
    if constant:
        parts.append(num(constant))
    if not parts:
        return ZERO
    if len(parts) == 1:
        return parts[0]
    parts.sort(key=lambda n: n.key)
    return make("add", tuple(parts), "(" + " + ".join(p.key for p in parts) + ")")


def _coefficient(node: Node) -> tuple[Fraction, Node]:
    if node.kind == "mul" and node.args[0].kind == "num":
        rest = node.args[1:]
        return node.args[0].args[0], rest[0] if len(rest) == 1 else _product(rest)
    return Fraction(1), node


def _value(node: Node) -> Node:
    """Return what a structural node is worth inside arithmetic."""
    if node.kind == "br" and len(node.args[2]) == 1:
        return node.args[2][0]
    if node.kind == "ratio" and len(node.args) == 2:
        return div(*node.args)
    if node.kind in _STRUCTURES:
        raise Unreadable(f"{node.kind} inside arithmetic")
    return node


_STRUCTURES = {"br", "set", "list", "rel", "union", "text", "base", "time", "ratio", "unit"}


def _product(parts: Iterable[Node]) -> Node:
    parts = tuple(parts)
    return make("mul", parts, "*".join(p.key for p in parts))


def mul(*factors: Node) -> Node:
    """Return the product, with equal bases collected."""
    if len(factors) == 2 and factors[0].kind == factors[1].kind == "num":
        return num(factors[0].args[0] * factors[1].args[0])
    if _matrices(factors):
        return _matrix_product(factors)
    constant = Fraction(1)
    collected: dict[str, list] = {}
    for factor in factors:
        for part in factor.args if factor.kind == "mul" else (factor,):
            part = _value(part)
            if part.kind == "num":
                constant *= part.args[0]
                continue
            base, exponent = part.args if part.kind == "pow" else (part, ONE)
            slot = collected.setdefault(base.key, [base, []])
            slot[1].append(exponent)
    if constant.numerator.bit_length() > MAX_BITS or constant.denominator.bit_length() > MAX_BITS:
        raise TooLarge("a number is too large")
    if not constant:
        if "oo" in collected:
            raise Unreadable("zero times infinity")
        return ZERO
    parts = []
    for base, exponents in collected.values():
        part = base if exponents == [ONE] else power(base, add(*exponents))
        for piece in part.args if part.kind == "mul" else (part,):
            if piece.kind == "num":
                constant *= piece.args[0]
            else:
                parts.append(piece)
    if "oo" in collected and len(parts) == 1 and parts[0].key == "oo":
        constant = Fraction(1 if constant > 0 else -1)
    if not constant:
        return ZERO
    if len(parts) == 1:
        if constant == 1:
            return parts[0]
        if parts[0].kind == "add":  # distribute a number, so that 2(x+1) is 2x+2
            return add(*(mul(num(constant), t) for t in parts[0].args))
    parts.sort(key=lambda n: n.key)
    if constant != 1 or not parts:
        parts.insert(0, num(constant))
    return parts[0] if len(parts) == 1 else _product(parts)


def neg(node: Node) -> Node:
    """Return minus the node."""
    return mul(MINUS_ONE, node)


def sub(left: Node, right: Node) -> Node:
    """Return the difference."""
    return add(left, neg(right))


def div(top: Node, bottom: Node) -> Node:
    """Return the quotient; division by the number zero is unreadable."""
    return mul(top, power(bottom, MINUS_ONE))


@lru_cache(maxsize=4096)
def _factor(n: int) -> tuple[tuple[int, int], ...]:
    """Return the prime factors of n > 1 by trial division; the last may be a large cofactor."""
    found = []
    for p in (
        2,
        3,
        5,
        7,
        11,
        13,
        17,
        19,
        23,
        29,
        31,
        37,
        41,
        43,
        47,
        53,
        59,
        61,
        67,
        71,
        73,
        79,
        83,
        89,
        97,
        *range(101, 1000, 2),
    ):
        if p * p > n:
            break
        count = 0
        while n % p == 0:
            n //= p
            count += 1
        if count:
            found.append((p, count))
    if n > 1:
        root = isqrt(n)
        found.append((root, 2) if root * root == n else (n, 1))
    return tuple(found)


def power(base: Node, exponent: Node) -> Node:
    """Return the power, exact where both are numbers and the result is of bounded size."""
    base, exponent = _value(base), _value(exponent)
    if base.kind == "matrix":
        return _matrix_power(base, exponent)
    if exponent.kind == "num":
        e = exponent.args[0]
        if base.key == "oo":
            return INFINITY if e > 0 else ZERO
        if e == 1:
            return base
        if e == 0:
            if base.kind == "num" and not base.args[0]:
                raise Unreadable("zero to the power zero")
            return ONE
        if base.kind == "num":
            return _number_power(base.args[0], e, base, exponent)
        if e.denominator == 1:
            if base.key == "i":
                return (ONE, I, MINUS_ONE, neg(I))[e.numerator % 4]
            if base.kind == "mul":
                return mul(*(power(f, exponent) for f in base.args))
            if base.kind == "pow":
                return power(base.args[0], mul(base.args[1], exponent))
        elif base.kind == "mul" and base.args[0].kind == "num" and base.args[0].args[0] > 0:
            head, *rest = base.args
            return mul(
                power(head, exponent), power(_product(rest) if len(rest) > 1 else rest[0], exponent)
            )
    elif base.key == "1":
        return ONE
    elif base.key == "0":
        raise Unreadable("zero to an unknown power")
    elif exponent.kind == "fn" and exponent.args[0] == "ln" and base.key == "e":
        return exponent.args[1]
    if exponent.key == "oo" or "oo" in (base.key,):
        raise Unreadable("infinity in a power")
    if (
        base.kind == "pow"
        and base.args[0].kind in ("num", "const")
        and base.args[0].key not in ("i", "oo")
        and (base.args[0].kind == "const" or base.args[0].args[0] > 0)
    ):
        return power(base.args[0], mul(base.args[1], exponent))  # (2^a)^b is 2^(ab) for 2 > 0
    return make("pow", (base, exponent), f"{_atom(base)}^{_atom(exponent)}")


def _atom(node: Node) -> str:
    return f"({node.key})" if node.kind in ("mul", "pow") or "/" in node.key else node.key


def _number_power(b: Fraction, e: Fraction, base: Node, exponent: Node) -> Node:
    if not b:
        if e < 0:
            raise Unreadable("division by zero")
        return ZERO
    if b == 1:
        return ONE
    if e.denominator == 1:
        n = e.numerator
        bits = max(b.numerator.bit_length(), b.denominator.bit_length())
        if b == -1:
            return ONE if n % 2 == 0 else MINUS_ONE
        if bits * abs(n) <= MAX_BITS:
            return num(b**n)
        return make("pow", (base, exponent), f"{_atom(base)}^{_atom(exponent)}")
    if (
        e.denominator > 64
        or abs(e.numerator) > 10_000
        or b.numerator.bit_length() > 400
        or (b.denominator.bit_length() > 400)
    ):
        return make("pow", (base, exponent), f"{_atom(base)}^{_atom(exponent)}")
    if b < 0:
        if e.denominator == 2:  # the square root of a negative number is imaginary
            return mul(power(I, num(e.numerator)), power(num(-b), exponent))
        if e.denominator % 2:  # the real odd root, which is what a textbook means
            sign = MINUS_ONE if e.numerator % 2 else ONE
            return mul(sign, power(num(-b), exponent))
        return make("pow", (base, exponent), f"{_atom(base)}^{_atom(exponent)}")
    outside = Fraction(1)
    inside: list[tuple[int, Fraction]] = []
    for part, sign in ((b.numerator, 1), (b.denominator, -1)):
        for p, count in _factor(part) if part > 1 else ():
            total = sign * count * e
            whole = total.numerator // total.denominator
            if p.bit_length() * abs(whole) > MAX_BITS:
                return make("pow", (base, exponent), f"{_atom(base)}^{_atom(exponent)}")
            outside *= Fraction(p) ** whole
            if total != whole:
                inside.append((p, total - whole))
    roots = [make("pow", (num(p), num(f)), f"{p}^({f})") for p, f in inside]
    if not roots:
        return num(outside)
    roots.sort(key=lambda n: n.key)
    if outside == 1:
        return roots[0] if len(roots) == 1 else _product(roots)
    return _product([num(outside), *roots])


def root(value: Node, degree: Node) -> Node:
    """Return the principal root; the real one of a negative number when the degree is odd."""
    return power(value, power(degree, MINUS_ONE))


_EVEN = {"cos", "sec", "cosh", "abs"}
_ODD = {"sin", "tan", "csc", "cot", "asin", "atan", "sinh", "tanh"}


def fn(name: str, *args: Node) -> Node:
    """Return a function application, folded where that is exact and short."""
    args = tuple(a if a.kind in ("br", "set", "matrix") else _value(a) for a in args)
    arg = args[0] if args else ZERO
    number = arg.args[0] if arg.kind == "num" else None
    if name == "factorial" and number is not None and number.denominator == 1:
        if 0 <= number <= MAX_FACTORIAL:
            return num(factorial(int(number)))
    elif name == "binomial" and number is not None and args[1].kind == "num":
        n, k = number, args[1].args[0]
        if n.denominator == k.denominator == 1 and k >= 0 and 0 <= n <= 4_000:
            return num(comb(int(n), int(k)))
    elif name in ("floor", "ceil") and number is not None:
        return num(number.__floor__() if name == "floor" else number.__ceil__())
    elif name == "abs" and number is not None:
        return num(abs(number))
    elif name == "abs" and arg.kind == "matrix":
        return determinant(arg)
    elif name == "sqrt":
        return power(arg, HALF)
    elif name == "exp":
        return power(E, arg)
    elif name in ("ln", "log"):
        if number == 1:
            return ZERO
        if name == "ln" and arg.key == "e":
            return ONE
        if name == "ln" and arg.kind == "pow" and arg.args[0].key == "e":
            return arg.args[1]
        if number == 0:
            raise Unreadable("logarithm of zero")
    elif name == "logbase":
        base, arg = args
        if base.key == "e":
            return fn("ln", arg)
        return div(fn("ln", arg), fn("ln", base))
    elif name in ("gcd", "lcm", "min", "max") and all(a.kind == "num" for a in args):
        return _of_numbers(name, [a.args[0] for a in args])
    elif name == "sec":
        return power(fn("cos", arg), MINUS_ONE)
    elif name == "csc":
        return power(fn("sin", arg), MINUS_ONE)
    elif name == "cot":
        return div(fn("cos", arg), fn("sin", arg))
    elif name == "tan":
        return div(fn("sin", arg), fn("cos", arg))
    if name in ("sin", "cos"):
        exact = _exact_trig(name, arg)
        if exact is not None:
            return exact
    if name in _EVEN | _ODD and _coefficient(arg)[0] < 0:
        return fn(name, neg(arg)) if name in _EVEN else neg(fn(name, neg(arg)))
    if arg.key == "oo":
        raise Unreadable("function of infinity")
    return make("fn", (name, *args), f"{name}({', '.join(a.key for a in args)})")


def _of_numbers(name: str, values: list[Fraction]) -> Node:
    from math import gcd, lcm

    if name in ("min", "max"):
        return num(min(values) if name == "min" else max(values))
    if any(v.denominator != 1 for v in values):
        raise Unreadable(f"{name} of fractions")
    return num((gcd if name == "gcd" else lcm)(*(int(v) for v in values)))


_SQRT2, _SQRT3 = power(num(2), HALF), power(num(3), HALF)
_SIN_12TH = {0: ZERO, 2: HALF, 3: div(_SQRT2, num(2)), 4: div(_SQRT3, num(2)), 6: ONE}


def _exact_trig(name: str, arg: Node) -> Node | None:
    """Return sin or cos of a multiple of pi/6 or pi/4, or None."""
    if arg.kind == "deg":
        arg = mul(arg.args[0], PI, num(Fraction(1, 180)))
    factor, rest = _coefficient(arg)
    if arg.key == "0":
        factor = Fraction(0)
    elif rest.key != "pi":
        return None
    twelfths = factor * 12 + (6 if name == "cos" else 0)
    if twelfths.denominator != 1:
        return None
    n = int(twelfths) % 24
    sign, n = (MINUS_ONE, n - 12) if n >= 12 else (ONE, n)
    n = 12 - n if n > 6 else n
    return mul(sign, _SIN_12TH[n]) if n in _SIN_12TH else None


def matrix(rows: Iterable[Iterable[Node]]) -> Node:
    """Return a matrix; rows of unequal length are unreadable."""
    rows = tuple(tuple(r) for r in rows)
    if not rows or len({len(r) for r in rows}) != 1 or not rows[0]:
        raise Unreadable("a matrix with rows of unequal length")
    size = 1 + sum(c.size for r in rows for c in r)
    key = "[" + "; ".join(", ".join(c.key for c in r) for r in rows) + "]"
    return Node("matrix", rows, key, size)


def _matrix_sum(terms: tuple[Node, ...]) -> Node:
    if not all(t.kind == "matrix" for t in terms):
        raise Unreadable("a matrix plus a number")
    shapes = {(len(t.args), len(t.args[0])) for t in terms}
    if len(shapes) != 1:
        raise Unreadable("a sum of matrices of different shape")
    n, m = shapes.pop()
    return matrix([[add(*(t.args[i][j] for t in terms)) for j in range(m)] for i in range(n)])


def _matrix_product(factors: tuple[Node, ...]) -> Node:
    scalar, result = ONE, None
    for f in factors:
        if f.kind != "matrix":
            scalar = mul(scalar, f)
        elif result is None:
            result = f
        else:
            a, b = result.args, f.args
            if len(a[0]) != len(b) or len(a) * len(b) * len(b[0]) > 1000:
                raise Unreadable("a product of matrices whose shapes do not fit")
            result = matrix(
                [
                    [add(*(mul(a[i][k], b[k][j]) for k in range(len(b)))) for j in range(len(b[0]))]
                    for i in range(len(a))
                ]
            )
    assert result is not None
    return (
        result if scalar.key == "1" else matrix([[mul(scalar, c) for c in r] for r in result.args])
    )


def _matrix_power(base: Node, exponent: Node) -> Node:
    if exponent.kind == "num" and exponent.args[0].denominator == 1 and 1 <= exponent.args[0] <= 6:
        return _matrix_product((base,) * int(exponent.args[0])) if exponent.args[0] > 1 else base
    raise Unreadable("a power of a matrix")


def determinant(node: Node) -> Node:
    """Return the determinant of a matrix of up to 4 rows."""
    rows = node.args
    if len(rows) != len(rows[0]) or len(rows) > 4:
        raise Unreadable("a determinant of a large or oblong matrix")
    if len(rows) == 1:
        return rows[0][0]
    return add(
        *(
            mul(
                num((-1) ** j),
                rows[0][j],
                determinant(matrix([r[:j] + r[j + 1 :] for r in rows[1:]])),
            )
            for j in range(len(rows))
        )
    )


def structure(kind: str, items: Iterable[Node], open_: str = "", close: str = "") -> Node:
    """Return a list, set, union or bracketed tuple of items."""
    items = tuple(items)
    inner = ", ".join(i.key for i in items)
    size = 1 + sum(i.size for i in items)
    if kind == "br":
        return Node("br", (open_, close, items), f"{open_}{inner}{close}", size)
    shown = {"set": "{%s}", "list": "list[%s]", "union": "union[%s]", "ratio": "ratio[%s]"}[kind]
    return Node(kind, items, shown % inner, size)


def relation(operators: Iterable[str], items: Iterable[Node]) -> Node:
    """Return a chain of relations, such as ``0 < x <= 1``."""
    operators, items = tuple(operators), tuple(items)
    key = items[0].key + "".join(f" {o} {i.key}" for o, i in zip(operators, items[1:], strict=True))
    return Node("rel", (operators, items), key, 1 + sum(i.size for i in items))


def text(words: str) -> Node:
    """Return plain words, already normalised."""
    return Node("text", (words,), f'"{words}"', 1)


def substitute(node: Node, name: str, value: Node) -> Node:
    """Return the node with a variable (or the constant ``name``) replaced."""
    if node.kind in ("sym", "const"):
        return value if node.args[0] == name else node
    if name not in node.key:
        return node
    kind, args = node.kind, node.args
    if kind in ("add", "mul", "pow", "deg", "pct"):
        new = [substitute(a, name, value) for a in args]
        return rebuild(kind, new)
    if kind == "fn":
        return fn(args[0], *(substitute(a, name, value) for a in args[1:]))
    if kind == "matrix":
        return matrix([[substitute(c, name, value) for c in r] for r in args])
    if kind == "br":
        return structure("br", [substitute(a, name, value) for a in args[2]], args[0], args[1])
    if kind in ("set", "list", "union", "ratio"):
        return structure(kind, [substitute(a, name, value) for a in args])
    if kind == "rel":
        return relation(args[0], [substitute(a, name, value) for a in args[1]])
    if kind == "unit":
        return make("unit", (substitute(args[0], name, value), args[1]), node.key)
    return node


def rebuild(kind: str, args: list[Node]) -> Node:
    """Return an expression node of ``kind`` built anew from its arguments."""
    if kind == "add":
        return add(*args)
    if kind == "mul":
        return mul(*args)
    if kind == "pow":
        return power(*args)
    return make(kind, tuple(args), f"{kind}({args[0].key})")


def degrees(node: Node) -> Node:
    """Return an angle in degrees."""
    return make("deg", (_value(node),), f"{_value(node).key} deg")


def percentage(node: Node) -> Node:
    """Return a percentage."""
    return make("pct", (_value(node),), f"{_value(node).key}%")


def symbols(node: Node) -> set[str]:
    """Return the names of the variables in a node."""
    found: set[str] = set()
    todo = [node]
    while todo:
        n = todo.pop()
        if n.kind == "sym":
            found.add(n.args[0])
        else:
            for a in n.args:
                if isinstance(a, Node):
                    todo.append(a)
                elif isinstance(a, tuple):
                    todo.extend(x for x in a if isinstance(x, Node))
    return found
