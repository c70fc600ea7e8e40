"""Commas as decimal marks: `3,5` is `3.5`, and `12.600` a whole number where they are."""

from __future__ import annotations

import re

from harness.verify.reading.answer import Readings, read

_COMMA_DECIMAL = re.compile(r"(?<!\d)(\d+),(\d+)(?!\d)")
_EUROPEAN = re.compile(r"(?<![\d.,])(\d{1,3}(?:\.\d{3}){1,4}),(\d{1,12})(?![\d,.])")  # 1.234,5
_POINTS = re.compile(r"(?<![\d.,])[1-9]\d{0,2}(?:\.\d{3}){1,4}(?![\d.,])")  # 12.600
_CENTS = re.compile(r"(?<![\d.,])\d{1,9},00(?!\d)")  # 77,00
_THOUSANDS = re.compile(r"(?<!\d)[1-9]\d{0,2},\d{3}(?!\d)")


def with_points(text: str) -> str:
    """Return a text with commas for decimal marks, and points for thousands, turned to points."""
    text = _EUROPEAN.sub(lambda m: m.group(1).replace(".", "") + "." + m.group(2), text)
    text = _POINTS.sub(lambda m: m.group().replace(".", ""), text)
    return _COMMA_DECIMAL.sub(r"\1.\2", text)


def european(text: str, nodes: Readings) -> Readings:
    """Return the readings of a text where commas are decimal marks; `nodes` are those of points."""
    swapped = with_points(text)
    if swapped == text:
        return nodes
    return read(swapped) if _POINTS.search(text) else read(swapped) + nodes


def may_be_decimal(text: str, golds: Readings) -> bool:
    """Whether a comma of an answer may be a decimal mark though nothing says so: `3,5` for `3.5`.

    A comma before three digits marks thousands.
    """
    if "," not in text or _THOUSANDS.search(text):
        return False
    fraction = any(g.kind == "num" and g.args[0].denominator != 1 for g in golds)
    return fraction or _CENTS.search(text) is not None
