"""Answers that are not factored as far as the problem asks."""

from __future__ import annotations

import re

from harness.verify.algebra import tree
from harness.verify.algebra.node import Node

_ASKS = re.compile(
    r"(?:^|[.?!:]\s+)(?:(?:[Pp]lease|[Ff]ully|[Cc]ompletely)\s)?[Ff]actor(?:i[sz]e)?\s(?!of\b|by\b)|\bfactor(?:ed|i[sz]ed)\sform\b"
    r"|\b[Ff]actor(?:ed|i[sz]ed?|ing)?\b[^.?!]{0,80}\bcompletely\b|\bcompletely\sfactor(?:ed|i[sz]ed)\b"
)


def is_unfactored(gold: Node, answer: Node, problem: str) -> bool:
    """Whether a problem asks to factor, and an answer has fewer factors than the gold answer.

    `3x(4x^2 - 25)` for `3x(2x - 5)(2x + 5)`.
    """
    if "actor" not in problem or gold.kind not in ("mul", "pow") or answer.kind == "rel":
        return False
    return _ASKS.search(problem) is not None and _factors(answer) < _factors(gold)


def _factors(node: Node) -> int:
    """Return how many factors with a variable a product has, a square as two."""
    count = 0
    for base, exponent in map(tree.power_of, tree.factors_of(node)):
        whole = exponent.kind == "num" and exponent.args[0].denominator == 1
        if tree.symbols(base):
            count += max(1, int(exponent.args[0])) if whole else 1
    return count
