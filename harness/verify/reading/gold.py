"""The answer in a gold text, and how exact it is."""

from __future__ import annotations

import re
from functools import lru_cache

from harness.verify.reading.answer import tidy
from harness.verify.reading.boxes import boxed
from harness.verify.reading.extract import extract
from harness.verify.reading.tokens import plain

_DECIMAL = re.compile(
    r"\.(\d+)\s*(?:(?:\\times|\\cdot|\*|×)\s*10\s*(?:\^|\*\*)\s*\{?\s*(-?\d+)|[eE]([-+]?\d+))?"  # noqa: RUF001
)


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


def decimals(gold: str) -> int | None:
    """Return the place of a gold's last decimal, 9 for `2.88e-7`; None for one without decimals."""
    match = _DECIMAL.search(gold)
    if match is None:
        return None
    return len(match.group(1)) - int(match.group(2) or match.group(3) or 0)
