"""Prime factors of the numbers that answers have."""

from __future__ import annotations

from functools import lru_cache
from math import isqrt

# fmt: off
_TRIED = (
    2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97,
    *range(101, 1000, 2),
)
# fmt: on
@lru_cache(maxsize=4096)
def factor(n: int) -> tuple[tuple[int, int], ...]:
    """Return the prime factors of n > 1 by trial division; the last may be a large cofactor."""
    found = []
    for p in _TRIED:
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
