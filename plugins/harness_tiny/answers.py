"""A small equality of answers for the script that makes the models; scores never use it."""

from __future__ import annotations

import re
from fractions import Fraction

_BOX = "\\boxed{"
_LATEX_FRACTION = re.compile(r"\\frac\{(\d+)\}\{(\d+)\}")
_TERM = re.compile(r"([+-]?)(\d*)(x(?:\^(\d+))?)?")


def boxed(text: str) -> str | None:
    r"""The contents of the last complete `\boxed{...}`, or None."""
    start = text.rfind(_BOX)
    if start < 0:
        return None
    depth = 1
    for end in range(start + len(_BOX), len(text)):
        depth += {"{": 1, "}": -1}.get(text[end], 0)
        if depth == 0:
            return text[start + len(_BOX) : end]
    return None


def correct(text: str, gold: str) -> bool:
    """Whether the last boxed answer of a text has the value of the gold answer."""
    answer = boxed(text)
    return answer is not None and _value(answer) == _value(gold)


def _value(text: str) -> object:
    """A number as a Fraction, a polynomial as its coefficients by power, else the text."""
    text = _LATEX_FRACTION.sub(r"\1/\2", text.replace(" ", ""))
    try:
        return Fraction(text)
    except (ValueError, ZeroDivisionError):
        pass
    coefficients: dict[int, int] = {}
    at = 0
    while at < len(text):
        term = _TERM.match(text, at)
        if term is None or not term[0].lstrip("+-") or (at and not term[1]):
            return text
        at = term.end()
        power = int(term[4] or 1) if term[3] else 0
        size = int(f"{term[1]}{term[2] or 1}")
        coefficients[power] = coefficients.get(power, 0) + size
    return {power: c for power, c in coefficients.items() if c}
