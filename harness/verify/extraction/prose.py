"""Answers that mean something else in running prose: `42!` at a sentence's end, `5-10 apples`."""

from __future__ import annotations

import re

from harness.verify.extraction.extract import Form, Found
from harness.verify.extraction.sentences import MATH, Refused, content
from harness.verify.extraction.stops import behind_any

_LOUD = re.compile(r"[^!]{1,80}!")
_RANGE = re.compile(
    r"(\d{1,9}(?:,\d{3})*(?:\.\d{1,9})?)(?:-|\s?[\u2013\u2014]\s?|\sto\s(?=\S+\s[a-z]))"
    r"(\d{1,9}(?:,\d{3})*(?:\.\d{1,9})?)"
    r"(?:\s[a-z]{2}[a-z ]{0,40})?"
)
_COORDINATES = re.compile(
    r"\bx\$?-coordinate\s(?:is\s|of\s)?\$?([^\s$,]{1,30})\$?,?\s(?:and\s)?(?:(?:a|the|its)\s)?"
    r"\$?y\$?-coordinate\s(?:is\s|of\s)?\$?([^\s$,]{1,30}?)\$?[.]?\s*$"
)
_COUNTED = re.compile(r"\b(?:orders?|ways|arrange\w*|permut\w*|factorials?)\b", re.I)


def in_prose(text: str, found: Found, form: Form, gold: str, right: bool) -> str | None:
    """Return another text that counts for an answer in running prose, or None.

    It is the equation whose right side was taken, where the gold answer is one, and a point whose
    coordinates were named one by one. `42!` at the end
    of a sentence may be 42, unless the gold answer is a factorial itself, and `5-10 apples` is a
    range and no difference. `right` is the verdict on the text as it stands.
    """
    if found.how not in ("phrase", "last") and form != "answer_is":
        return None
    if not right and "=" in gold and "=" not in found.text and found.how == "last":
        *_, shown = [content(m).strip() for m in MATH.finditer(text)] or [""]
        if shown.endswith(found.text.strip()) and "=" in shown:
            return shown  # the line is x + 2y = 6
    if not right and "(" in gold and found.how == "last" and "-coordinate" in text[-200:]:
        for two in _COORDINATES.finditer(text[-400:]):
            return f"({two.group(1)}, {two.group(2)})"
    loud = _LOUD.fullmatch(found.text) if not right and "!" not in gold else None
    among = _RANGE.fullmatch(found.text) if right and not _RANGE.fullmatch(gold) else None
    at = _place(found.text, text) if loud or among else None
    if at is None:
        return None
    if among is not None:
        low, high = (float(n.replace(",", "")) for n in among.groups())
        return Refused(f"between {found.text}") if low < high else None
    sentence = behind_any(text[max(0, at - 200) : at])
    return None if _COUNTED.search(sentence) else found.text[:-1]


_ENDS = r"[*_\"')!]*(?:\s*$|\n|\s[A-Z]|(?<!!)[.,;\s])"  # behind a number and its unit


def _place(value: str, text: str) -> int | None:
    """Return where a value stands in running prose, outside boxes and formulas, or None."""
    at = re.search(rf"(?<![\w$\\{{(^#])(?<!####\s){re.escape(value)}{_ENDS}", text)
    if at is None or any(m.start() < at.start() < m.end() for m in MATH.finditer(text)):
        return None
    return at.start()
