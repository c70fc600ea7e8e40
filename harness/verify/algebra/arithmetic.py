"""Sums, products and powers in canonical form: exact, collected, sorted, bounded."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction
from functools import lru_cache
from math import gcd, isqrt, prod

from harness.verify.algebra.node import (
    INFINITY,
    MINUS_ONE,
    ONE,
    ZERO,
    I,
    Node,
    bounded,
    factors_of,
    make,
    matrix,
    num,
    power_of,
    terms_of,
    whole_term,
)
from harness.verify.limits import MAX_BITS, Unreadable


def add(*terms: Node) -> Node:
    """Return the sum, with equal terms collected."""
    if len(terms) == 2 and terms[0].kind == terms[1].kind == "num":
        return num(terms[0].args[0] + terms[1].args[0])
    if any(t.kind == "matrix" for t in terms):
        return _matrix_sum(terms)
    constant = Fraction(0)
    collected: dict[str, tuple[Fraction, Node]] = {}
    for term in terms:
        for part in map(value_of, terms_of(term)):
            if part.kind == "num":
                constant = bounded(constant + part.args[0])
                continue
            size, rest = coefficient(part)
            if rest.key in collected:
                size = bounded(collected[rest.key][0] + size)
            collected[rest.key] = size, rest
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
        return node.args[0].args[0], _product(node.args[1:])
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
    """Return the product of factors that are sorted and collected; a single one is itself."""
    parts = tuple(parts)
    return parts[0] if len(parts) == 1 else make("mul", parts, "*".join(p.key for p in parts))


def mul(*factors: Node) -> Node:
    """Return the product, with equal bases collected."""
    if len(factors) == 2 and factors[0].kind == factors[1].kind == "num":
        return num(factors[0].args[0] * factors[1].args[0])
    if any(f.kind == "matrix" for f in factors):
        return _matrix_product(factors)
    constant = Fraction(1)
    collected: dict[str, tuple[Node, list[Node]]] = {}
    for each in factors:
        for part in map(value_of, factors_of(each)):
            if part.kind == "num":
                constant = bounded(constant * part.args[0])
                continue
            base, exponent = power_of(part)
            collected.setdefault(base.key, (base, []))[1].append(exponent)
    if not constant and "oo" in collected:
        raise Unreadable("zero times infinity")
    if not constant:
        return ZERO
    parts: list[Node] = []
    for base, exponents in collected.values():
        part = base if exponents == [ONE] else power(base, add(*exponents))
        for piece in factors_of(part):
            if piece.kind == "num":
                constant = bounded(constant * piece.args[0])
            else:
                parts.append(piece)
    if "oo" in collected and len(parts) == 1 and parts[0].key == "oo":
        constant = Fraction(1 if constant > 0 else -1)
    if not constant:
        return ZERO
    if constant != 1 and [p.kind for p in parts] == ["add"]:  # 2(x+1) is 2x+2
        return add(*(mul(num(constant), t) for t in parts[0].args))
    parts.sort(key=lambda n: n.key)
    if constant != 1 or not parts:
        parts.insert(0, num(constant))
    return _product(parts)


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
            return mul(power(head, exponent), power(_product(rest), exponent))
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
    if base.kind == "pow" and _positive(base.args[0]):
        return power(base.args[0], mul(base.args[1], exponent))  # (2^a)^b is 2^(ab) for 2 > 0
    return _power(base, exponent)


def _positive(node: Node) -> bool:
    """Whether a node is a positive number, pi or e."""
    if node.kind == "num":
        return bool(node.args[0] > 0)
    return node.kind == "const" and node.key in ("pi", "e")


def _split_power(base: Node, exponent: Node) -> Node | None:
    """Return 4^(x+1) as 4*2^(2x) and (1/2)^x as 2^(-x); None where there is nothing to do."""
    b: Fraction = base.args[0]
    if b.numerator == 1:
        return power(num(b.denominator), neg(exponent))
    if b.denominator == 1 and b < 10**12:
        factors = factor(b)
        shared = gcd(*(count for _, count in factors))
        if shared > 1:
            stem = prod(p ** (count // shared) for p, count in factors)
            return power(num(stem), mul(num(shared), exponent))
    whole = whole_term(exponent)
    if not whole or b.numerator.bit_length() * abs(whole) > 2_000:
        return None
    return mul(num(b**whole), _power(base, sub(exponent, num(whole))))


def _power(base: Node, exponent: Node) -> Node:
    return make("pow", (base, exponent), f"{_atom(base)}^{_atom(exponent)}")


def _atom(node: Node) -> str:
    return f"({node.key})" if node.kind in ("mul", "pow") or "/" in node.key else node.key


def _number_power(b: Fraction, e: Fraction, base: Node, exponent: Node) -> Node:
    if not b and e < 0:
        raise Unreadable("division by zero")
    if b in (0, 1):
        return base
    bits = max(b.numerator.bit_length(), b.denominator.bit_length())
    if e.denominator == 1:
        if b == -1:
            return MINUS_ONE if e.numerator % 2 else ONE
        return (
            num(b**e.numerator) if bits * abs(e.numerator) <= MAX_BITS else _power(base, exponent)
        )
    if e.denominator > 64 or abs(e.numerator) > 10_000 or bits > 400:
        return _power(base, exponent)
    if b < 0:
        if e.denominator == 2:  # the square root of a negative number is imaginary
            return mul(power(I, num(e.numerator)), power(num(-b), exponent))
        if e.denominator % 2:  # the real odd root, which is what a textbook means
            sign = MINUS_ONE if e.numerator % 2 else ONE
            return mul(sign, power(num(-b), exponent))
        return _power(base, exponent)
    outside, roots = Fraction(1), []
    for p, count in factor(b):
        whole, part = divmod(count * e, 1)
        if p.bit_length() * abs(whole) > MAX_BITS:
            return _power(base, exponent)
        outside = bounded(outside * Fraction(p) ** whole)
        if part:
            roots.append(make("pow", (num(p), num(part)), f"{p}^({part})"))
    roots.sort(key=lambda n: n.key)
    return _product(roots if roots and outside == 1 else [num(outside), *roots])


_TRIED = (2, *range(3, 1_000, 2))


@lru_cache(maxsize=4096)
def factor(value: Fraction) -> tuple[tuple[int, int], ...]:
    """Return the prime factors of a positive number with their powers, negative below its line.

    By trial division: the last of either part may be a large cofactor.
    """
    found = []
    for n, sign in ((value.numerator, 1), (value.denominator, -1)):
        for p in _TRIED:
            if p * p > n:
                break
            count = 0
            while n % p == 0:
                n //= p
                count += 1
            if count:
                found.append((p, sign * count))
        if n > 1:
            square_root = isqrt(n)
            whole = square_root * square_root == n
            found.append((square_root, 2 * sign) if whole else (n, sign))
    return tuple(found)


# -- matrices ------------------------------------------------------------------------------------


def _matrix_sum(terms: tuple[Node, ...]) -> Node:
    """Return the sum of matrices of one shape."""
    if not all(t.kind == "matrix" for t in terms):
        raise Unreadable("a matrix plus a number")
    if len({(len(t.args), len(t.args[0])) for t in terms}) != 1:
        raise Unreadable("a sum of matrices of different shape")
    return matrix(map(add, *rows) for rows in zip(*(t.args for t in terms), strict=True))


def _matrix_product(factors: tuple[Node, ...]) -> Node:
    """Return the product of matrices and scalars, in order."""
    scalar: Node = ONE
    rows: Sequence[Sequence[Node]] | None = None
    for f in factors:
        if f.kind != "matrix":
            scalar = mul(scalar, f)
        elif rows is None:
            rows = f.args
        else:
            if len(rows[0]) != len(f.args) or len(rows) * len(f.args) * len(f.args[0]) > 1000:
                raise Unreadable("a product of matrices whose shapes do not fit")
            columns = list(zip(*f.args, strict=True))
            rows = [[add(*map(mul, row, column)) for column in columns] for row in rows]
    assert rows is not None
    return matrix(rows if scalar.key == "1" else [[mul(scalar, c) for c in r] for r in rows])


def _matrix_power(base: Node, exponent: Node) -> Node:
    """Return a small whole power of a matrix."""
    if exponent.kind == "num" and exponent.args[0] in range(1, 7):
        return _matrix_product((base,) * int(exponent.args[0]))
    raise Unreadable("a power of a matrix")


def determinant(node: Node) -> Node:
    """Return the determinant of a matrix of up to 4 rows."""
    rows: tuple[tuple[Node, ...], ...] = node.args
    first, *rest = rows
    if len(first) != len(rows) or len(rows) > 4:
        raise Unreadable("a determinant of a large or oblong matrix")
    if not rest:
        return first[0]
    minors = [matrix([r[:j] + r[j + 1 :] for r in rest]) for j in range(len(first))]
    return add(*(mul(num((-1) ** j), first[j], determinant(m)) for j, m in enumerate(minors)))
