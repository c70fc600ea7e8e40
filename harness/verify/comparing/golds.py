"""The answer in a gold text, and what it is: its readings, its decimals, whether it is in words."""

from __future__ import annotations

import re
from functools import lru_cache

from harness.verify.extraction.boxes import boxed
from harness.verify.extraction.extract import extract
from harness.verify.extraction.sentences import only_formula
from harness.verify.reading.answer import Readings, choice, read, readable
from harness.verify.reading.commas import european
from harness.verify.reading.tidy import tidy, with_unit
from harness.verify.reading.tokens import plain
from harness.verify.reading.words import ROMAN


@lru_cache(maxsize=4096)
def gold_answer(gold: str) -> str:
    """Return the answer in a gold text: its last box, or what its last phrase commits to."""
    if gold.isalnum() and gold.isascii():
        return gold
    if "\\\\boxed" in gold:
        gold = gold.replace("\\\\boxed", "\\boxed")
    if "boxed" in gold or "\\fbox" in gold:
        inner = boxed(plain(gold) if not gold.isascii() else gold)
        if inner is not None and inner.strip():
            return inner
    if len(gold) > 150 and re.search(r"answer is|#### ", gold):
        found = extract(gold, "hash", "committed")
        if found is not None:
            return found.text
    return gold if tidy(gold) else ""


_TWO_WAYS = re.compile(r"(?:[<>]|\\[lg]e(?:q|qslant)?\b)[^:]*:\s?([(\[].*[)\]]\$?)$")


def gold_readings(gold: str, locale: str) -> Readings:
    """Return the readings of a gold answer; of one in prose, those of its only formula."""
    golds = readable(gold, read(gold))
    both = _TWO_WAYS.search(gold) if ":" in gold else None
    if both is not None:  # -6 \\le x \\le -2: [-6, -2]
        golds = (*read(both.group(1).strip(" $")), *golds)
    if locale == "comma" and ("," in gold or "." in gold):
        golds = european(gold, golds)
    formula = only_formula(gold) if not golds else None
    return readable(formula, read(formula)) if formula is not None else golds


@lru_cache(maxsize=4096)
def is_worded(gold: str) -> bool:
    """Whether a gold answer is one in words, or the letter of a choice."""
    text = with_unit(tidy(gold)) if len(gold) < 300 and any(map(str.isalpha, gold)) else ""
    if not text:
        return False
    found = read(text)
    empty = bool(found) and found[0].kind == "set" and not found[0].args
    if text in ROMAN or empty:
        return True
    return choice(text) is not None or (bool(found) and found[0].kind == "text")


_DECIMAL = re.compile(
    r"\.(\d+)\s*(?:(?:\\times|\\cdot|\*|×)\s*10\s*(?:\^|\*\*)\s*\{?\s*(-?\d+)|[eE]([-+]?\d+))?"  # noqa: RUF001
)


def decimals(gold: str) -> int | None:
    """Return the place of a gold's last decimal, 9 for `2.88e-7`; None for one without decimals."""
    match = _DECIMAL.search(gold)
    if match is None:
        return None
    return len(match.group(1)) - int(match.group(2) or match.group(3) or 0)
