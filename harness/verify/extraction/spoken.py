"""The value in words that a response ends in: `the slope is one half`, `he swims twelve times`."""

# ruff: noqa: RUF001 -- these characters are the subject
from __future__ import annotations

import re

from harness.verify.extraction.closing import concluded
from harness.verify.extraction.question import Asked, words
from harness.verify.extraction.sentences import HENCE, affirmed, has_digit
from harness.verify.extraction.stops import ANY, CLOSING, behind_any
from harness.verify.reading.words import DENOMINATORS, NUMBER_WORDS, SPOKEN


def spoken_value(window: str, end: int, asked: Asked) -> str | None:
    """Return the value in words behind all figures, which end at `end`, or without any."""
    closing = CLOSING.split(window)[-1]
    word = _named(window, end, asked)
    if word == "one" and has_digit(closing):
        return None  # 56 are without candles, while 8 hold one
    if word is not None:
        part = DENOMINATORS.get(word, (0, True))[1] is False and not _IN_LINE.search(window)
        return f"one {word}" if part else word
    return _twelve_times(closing, asked) if end else _without_figures(window, asked)


_IN_LINE = re.compile(
    r"\b(?:in\sline|place|floor|in\sthe\s(?:row|queue|race)|position)\b[^\n]{0,9}$"
)
# the day is Monday, the slope is one half
_REST = rf"(?:\s(?!(?:{SPOKEN}|not)\b)[A-Za-z'’-]+)"  # words of which none is a number
_FILLED = r"(?:(?:on|therefore|thus|exactly|only|just|still)\s+)*(?:an?\s+|the\s+)?"
_NAMED = re.compile(
    rf"\b(?:is|are)\s+{_FILLED}([A-Z][a-z]+)[.!*\s]*$"
    r"|\b(?:is|are|was|were|has|have|had|takes?|took|costs?|needs?|makes?|made|gets?|got|earn(?:s|ed)?"
    r"|pays?|paid|sold|bought|baked|saves?|saved|spends?|spent|equals?|gives?|gave|lasts?|contains?"
    rf"|holds?|sells?|buys?)(?:\s(?:her|him|them|it|us|me|you|[A-Z][a-z]+))?\s+{_FILLED}({SPOKEN})"
    rf"{_REST}{{0,6}}[.!*\s]*$"
    rf"|\b(half\san?\s[a-z]{{2,12}}){_REST}{{0,6}}[.!*\s]*$"
    rf"|(?:^|[.!?]\s|\n)((?i:{'|'.join(NUMBER_WORDS)})[\s-](?:{'|'.join(DENOMINATORS)}))"
    rf"(?=\sof\b){_REST}{{1,10}}[.!*\s]*$"  # two thirds of the cake are left
)


def _named(window: str, end: int, asked: Asked) -> str | None:
    """Return the word that the last sentence gives as a value: `Monday`, `one half`."""
    named = _NAMED.search(window, end)
    if named is not None and end:  # in a sentence of their own
        gap = ANY.split(window[end : named.start()])
        least = asked.words & words(behind_any(window[:end]))
        so = re.search(rf"\b(?:{HENCE})\b", gap[-1])
        own = (len(gap) > 1 or so) and not asked.words & words(gap[-1] + named.group()) < least
        number = named.group(2) or named.group(3) or named.group(4)
        named = named if number and (own or not "".join(gap).strip()) else None
    word = next(filter(None, named.groups())).strip() if named is not None else None
    return re.sub(r"^half\san?\b", "1/2", word) if word is not None else None


_HENCE = re.compile(rf"(?:{HENCE}|in\s(?:total|all)|altogether)\b", re.I)


def _twelve_times(closing: str, asked: Asked) -> str | None:
    """Return the value of a last sentence with one number, in words: `so he swims twelve times`."""
    hence = _HENCE.match(closing) is not None
    states = hence or asked.words & words(closing)
    once = re.findall(rf"\b{SPOKEN}", closing.lower()) if states else []
    if len(once) != 1 or once[0] == "one" or has_digit(closing):
        return None
    value = concluded(closing, asked)
    return value or str(once[0]) if value is not None or hence else None


def _without_figures(window: str, asked: Asked) -> str | None:
    """Return the value in words that a response without any figures ends in: `nine lines`."""
    closing = behind_any(window.rstrip(" .!"))
    ends = window.endswith((".", "!")) and not re.search(r"\b(?:than|no)\b", closing)
    sure = ends and affirmed(closing, asked.words) is not None
    value = concluded(closing, asked) if sure else None
    numeral = value is not None and re.search(rf"{SPOKEN}|∞|infinity", value.lower())
    return value if numeral or (value and any(map(str.isnumeric, value))) else None
