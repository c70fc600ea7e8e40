"""Sums, products and powers in canonical form: exact, collected, sorted, bounded."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from math import gcd, prod

from harness.verify.algebra.factors import factor
from harness.verify.algebra.node import (
    INFINITY,
    MINUS_ONE,
    ONE,
    ZERO,
    I,
    Node,
    bounded,
    make,
    matrix,
    num,
)
from harness.verify.limits import MAX_BITS, Unreadable


def _matrices(args: Iterable[Node]) -> bool:
    return any(a.kind == "matrix" for a in args)


def add(*terms: Node) -> Node:
    """Return the sum, with equal terms collected."""
    if len(terms) == 2 and terms[0].kind == terms[1].kind == "num":
        return num(terms[0].args[0] + terms[1].args[0])
    if _matrices(terms):
        return _matrix_sum(terms)
    constant = Fraction(0)
    collected: dict[str, tuple[Fraction, Node]] = {}
    for term in terms:
        for part in term.args if term.kind == "add" else (term,):
            part = value_of(part)
            if part.kind == "num":
                constant = bounded(constant + part.args[0])
                continue
            size, rest = coefficient(part)
            before = collected.get(rest.key)
            collected[rest.key] = (
                (size, rest) if before is None else (bounded(before[0] + size), rest)
            )
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


def coefficient(node: Node) -> tuple[Fraction, Node]:
    """Return the rational factor of a node and the rest."""
    if node.kind == "mul" and node.args[0].kind == "num":
        rest = node.args[1:]
        return node.args[0].args[0], rest[0] if len(rest) == 1 else _product(rest)
    return Fraction(1), node


def value_of(node: Node) -> Node:
    """Return what a structural node is worth inside arithmetic."""
    if node.kind == "br" and len(node.args[2]) == 1:
        only: Node = node.args[2][0]
        return only
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
    collected: dict[str, tuple[Node, list[Node]]] = {}
    for each in factors:
        for part in each.args if each.kind == "mul" else (each,):
            part = value_of(part)
            if part.kind == "num":
                constant = bounded(constant * part.args[0])
                continue
            base, exponent = part.args if part.kind == "pow" else (part, ONE)
            collected.setdefault(base.key, (base, []))[1].append(exponent)
    if not constant:
        if "oo" in collected:
            raise Unreadable("zero times infinity")
        return ZERO
    parts: list[Node] = []
    for base, exponents in collected.values():
        part = base if exponents == [ONE] else power(base, add(*exponents))
        for piece in part.args if part.kind == "mul" else (part,):
            if piece.kind == "num":
                constant = bounded(constant * piece.args[0])
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
    if top.kind == bottom.kind == "num" and bottom.args[0]:
        return num(top.args[0] / bottom.args[0])
    return mul(top, power(bottom, MINUS_ONE))


def power(base: Node, exponent: Node) -> Node:
    """Return the power, exact where both are numbers and the result is of bounded size."""
    base, exponent = value_of(base), value_of(exponent)
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
    elif base.kind == "num" and base.args[0] > 0 and (split := _split_power(base, exponent)):
        return split
    elif exponent.kind == "fn" and exponent.args[0] == "ln" and base.key == "e":
        logarithm: Node = exponent.args[1]
        return logarithm
    if exponent.key == "oo" or base.key == "oo":
        raise Unreadable("infinity in a power")
    if (
        base.kind == "pow"
        and base.args[0].kind in ("num", "const")
        and base.args[0].key not in ("i", "oo")
        and (base.args[0].kind == "const" or base.args[0].args[0] > 0)
    ):
        return power(base.args[0], mul(base.args[1], exponent))  # (2^a)^b is 2^(ab) for 2 > 0
    return _power(base, exponent)


def _split_power(base: Node, exponent: Node) -> Node | None:
    """Return 4^(x+1) as 4*2^(2x) and (1/2)^x as 2^(-x); None where there is nothing to do."""
    b: Fraction = base.args[0]
    if b.numerator == 1:
        return power(num(b.denominator), neg(exponent))
    if b.denominator == 1 and b < 10**12:
        factors = factor(b.numerator)
        shared = gcd(*(count for _, count in factors))
        if shared > 1:
            stem = prod(p ** (count // shared) for p, count in factors)
            return power(num(stem), mul(num(shared), exponent))
    last = exponent.args[-1] if exponent.kind == "add" else ZERO
    for part in exponent.args if exponent.kind == "add" else ():
        last = part if part.kind == "num" else last
    whole = int(last.args[0] // 1) if last.kind == "num" else 0
    if not whole or b.numerator.bit_length() * abs(whole) > 2_000:
        return None
    return mul(num(b**whole), _power(base, sub(exponent, num(whole))))


def _power(base: Node, exponent: Node) -> Node:
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
        return _power(base, exponent)
    if (
        e.denominator > 64
        or abs(e.numerator) > 10_000
        or b.numerator.bit_length() > 400
        or (b.denominator.bit_length() > 400)
    ):
        return _power(base, exponent)
    if b < 0:
        if e.denominator == 2:  # the square root of a negative number is imaginary
            return mul(power(I, num(e.numerator)), power(num(-b), exponent))
        if e.denominator % 2:  # the real odd root, which is what a textbook means
            sign = MINUS_ONE if e.numerator % 2 else ONE
            return mul(sign, power(num(-b), exponent))
        return _power(base, exponent)
    outside = Fraction(1)
    inside: list[tuple[int, Fraction]] = []
    for part, side in ((b.numerator, 1), (b.denominator, -1)):
        for p, count in factor(part) if part > 1 else ():
            total = side * count * e
            whole = total.numerator // total.denominator
            if p.bit_length() * abs(whole) > MAX_BITS:
                return _power(base, exponent)
            outside = bounded(outside * Fraction(p) ** whole)
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


# -- matrices ------------------------------------------------------------------------------------


def _matrix_sum(terms: tuple[Node, ...]) -> Node:
    """Return the sum of matrices of one shape."""
    if not all(t.kind == "matrix" for t in terms):
        raise Unreadable("a matrix plus a number")
    shapes = {(len(t.args), len(t.args[0])) for t in terms}
    if len(shapes) != 1:
        raise Unreadable("a sum of matrices of different shape")
    n, m = shapes.pop()
    return matrix([[add(*(t.args[i][j] for t in terms)) for j in range(m)] for i in range(n)])


def _matrix_product(factors: tuple[Node, ...]) -> Node:
    """Return the product of matrices and scalars, in order."""
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
    """Return a small whole power of a matrix."""
    if exponent.kind == "num" and exponent.args[0].denominator == 1 and 1 <= exponent.args[0] <= 6:
        return _matrix_product((base,) * int(exponent.args[0])) if exponent.args[0] > 1 else base
    raise Unreadable("a power of a matrix")


def determinant(node: Node) -> Node:
    """Return the determinant of a matrix of up to 4 rows."""
    rows: tuple[tuple[Node, ...], ...] = node.args
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
