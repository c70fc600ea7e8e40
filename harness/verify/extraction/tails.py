"""What a sentence ends in where all of it is a value: `it is 2 1/2`, `x is 2, 3`."""

from __future__ import annotations

import re

from harness.verify.extraction.closing import SEVERAL
from harness.verify.extraction.sentences import ASSIGNS, NUMBERISH, has_digit
from harness.verify.reading.answer import read
from harness.verify.reading.words import (
    DEGREE_WORDS,
    DENOMINATORS,
    FUNCTIONS,
    NUMBER_WORDS,
    PERCENT_WORDS,
    SCALES,
    SPOKEN,
    UNITS,
)

_STATES = re.compile(
    r"\b(?:is|are|was|were|be|equals?|becomes?|gives?|get|gets|have|has|obtain|yields?|total(?:s|ing)?"
    r"|about|exactly|only|just|therefore|thus|so|with)\b:?\s+|(?<![<>!])[=≈]\s*|(?<!\d)(?<!\d\s):\s*"
)
_VOCABULARY = {
    *NUMBER_WORDS, *SCALES, *DENOMINATORS, *PERCENT_WORDS, *DEGREE_WORDS, *FUNCTIONS, "and", "or",
    "a", "an", "pi", "infinity", "negative", "minus", "x", "pm", "am",
}  # fmt: skip
_LETTERS = re.compile(r"[A-Za-z\u00c0-\u024f\u0400-\u04ff\u3040-\u9fff\uac00-\ud7af]+")
_EQUALS = re.compile(r"(?<![<>!])=")
_SCALED = re.compile(rf"^\.|\b(?:percent|degrees|{'|'.join(DENOMINATORS)})\b")
_SPOKEN_ONLY = re.compile(
    rf"((?i:{SPOKEN}))(?:\s(?!(?:{SPOKEN}|and|percent|degrees)\b)[a-z]{{3,15}}){{1,2}}"
)
_LEFT = re.compile(r"\bis\s(?:-?\d*[a-z]\s?[-+]\s?[\da-z]+|\d+[a-z])\s$")
_PLAIN_END = re.compile(r"(?:\s[a-z]+){0,3}")


def tail(sentence: str) -> str | None:
    """Return what a sentence ends in where all of it is a value: `it is 2 1/2`, `x is 2, 3`.

    A plain number at the end is not for this function, since a sentence may have several.
    """
    if SEVERAL.fullmatch(sentence):
        return None
    for states in reversed(list(_STATES.finditer(sentence, max(0, len(sentence) - 90)))[-4:]):
        end = sentence[states.end() :].strip().rstrip(".!").strip("* ")
        spoken = _SPOKEN_ONLY.fullmatch(end)
        if spoken is not None and states.group().startswith(":"):
            return spoken.group(1)
        before = sentence[: states.start()]
        if states.group()[0] == "=" and _LEFT.search(before):
            continue  # the line is y - 1 = 3(x - 1)
        if has_digit(before) and not any(map(str.isnumeric, end)) and "∞" not in end:
            continue  # 60 minutes, which is one hour
        words = _LETTERS.findall(end)
        known = all(w.lower() in _VOCABULARY or w.lower() in UNITS for w in words if len(w) > 1)
        plain = NUMBERISH.match(end)
        if "$" in end[1:]:
            continue
        two = (_EQUALS.search(end) and not ASSIGNS.match(end)) or ("or " in end and "%" in end)
        alone = plain and _PLAIN_END.fullmatch(end, plain.end()) and not _SCALED.search(end)
        if not end or not known or two or alone:
            continue
        found = read(end)
        if found and found[0].kind != "text":
            return end
    return None
