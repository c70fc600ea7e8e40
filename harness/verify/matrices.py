"""Matrices and their arithmetic."""

from __future__ import annotations

from collections.abc import Iterable

from harness.verify.arithmetic import add, mul
from harness.verify.limits import Unreadable
from harness.verify.node import ONE, Node, num


def matrix(rows: Iterable[Iterable[Node]]) -> Node:
    """Return a matrix; rows of unequal length are unreadable."""
    rows = tuple(tuple(r) for r in rows)
    if not rows or len({len(r) for r in rows}) != 1 or not rows[0]:
        raise Unreadable("a matrix with rows of unequal length")
    size = 1 + sum(c.size for r in rows for c in r)
    key = "[" + "; ".join(", ".join(c.key for c in r) for r in rows) + "]"
    return Node("matrix", rows, key, size)


def matrix_sum(terms: tuple[Node, ...]) -> Node:
    """Return the sum of matrices of one shape."""
    if not all(t.kind == "matrix" for t in terms):
        raise Unreadable("a matrix plus a number")
    shapes = {(len(t.args), len(t.args[0])) for t in terms}
    if len(shapes) != 1:
        raise Unreadable("a sum of matrices of different shape")
    n, m = shapes.pop()
    return matrix([[add(*(t.args[i][j] for t in terms)) for j in range(m)] for i in range(n)])


def matrix_product(factors: tuple[Node, ...]) -> Node:
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


def matrix_power(base: Node, exponent: Node) -> Node:
    """Return a small whole power of a matrix."""
    if exponent.kind == "num" and exponent.args[0].denominator == 1 and 1 <= exponent.args[0] <= 6:
        return matrix_product((base,) * int(exponent.args[0])) if exponent.args[0] > 1 else base
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
