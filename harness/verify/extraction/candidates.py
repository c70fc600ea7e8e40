"""The numbers and formulas of a sentence, each a candidate for what it states.

Their places say how much they count: most what stands alone, less what a preposition governs or a
side clause holds (`12 apples after giving away 8`, `240 loaves in 4 weeks`), least what is only
beside it (`24 of them (80%)`, `than 20`).
"""

# ruff: noqa: RUF001 -- these characters are the subject
from __future__ import annotations

import re
from typing import NamedTuple

from harness.verify.extraction.places import Place, place
from harness.verify.extraction.sentences import (
    AND,
    ASSIGNS,
    MATH,
    NAME_ONLY,
    NUMBERISH,
    content,
    expression,
    has_digit,
    in_two_units,
    measure,
)
from harness.verify.reading.words import DENOMINATORS, NUMBER_WORDS, SCALES


class Candidate(NamedTuple):
    """A number or formula of a sentence, or several joined; `rank` says how little it counts.

    It is that of its place, and more for what is in words or a mere calculation.
    """

    start: int
    end: int
    text: str
    rank: int
    math: bool


_COUNTED = re.compile(r"\b(?:the|these|those|both|all|other|her|his|their|my|our|nearest)\s$", re.I)

_IN_WORDS, _CALCULATION = 1, 3  # what they add to a rank


def candidates(sentence: str) -> list[Candidate]:
    """Return the numbers and formulas of a sentence in order, joined ones as one."""
    formulas = [(*m.span(), content(m).strip()) for m in MATH.finditer(sentence)]
    numbers, sums = _numbers(sentence, formulas)
    joined, again = _joined(sentence, sorted(formulas + numbers)[-30:])
    found = []
    for start, end, text in joined:
        formula, spoken = sentence[start] in "$\\", not has_digit(text)
        rank: int
        if start in again:
            rank = Place.BESIDE
        elif formula and NAME_ONLY.fullmatch(text):
            rank = Place.NAME
        elif formula or not spoken:
            rank = place(sentence, start, end)
        elif _COUNTED.search(sentence[:start]):  # the two friends
            continue
        else:
            rank = place(sentence, start, end) + _IN_WORDS * (not text.endswith("percent"))
        math = any(a == start for a, _, _ in formulas)
        found.append(Candidate(start, end, text, rank + _CALCULATION * (start in sums), math))
    return found


_Span = tuple[int, int, str]  # where it begins and ends, and its text
_W, _S = "|".join(NUMBER_WORDS), "|".join([*SCALES, *DENOMINATORS])
# a number with what makes another value of it: (3, 4), 8:30 PM, 6π, 5√2, 24!, 4 in 10, 3 x 10^8
_PLAIN = re.compile(
    rf"\b(?:(?<=exactly\s)|(?<=only\s)|(?!one\s(?!(?:and|more|fewer|less)\s|{_S})))(?i:(?:(?:negative|minus)\s)?(?:{_W})|a\s(?:dozen|hundred|thousand|million))(?:[\s-]"
    rf"(?:and\s)?(?:an?\s)?(?:{_W}|{_S})){{0,8}}\b(?:\spercent)?"
    r"|[(\[]\s?[-−√π/.\w]{1,12}(?:,\s?[-−√π/.\w]{1,12}){1,3}\s?[)\]](?<!\s)"
    rf"|(?:(?<=\s)√\(?)?(?:(?<![\d.,])\d{{1,4}}\s(?=\d{{1,3}}/\d))?{NUMBERISH.pattern}(?::\d{{1,3}}(?!\d))?(?:[²³√π^/(]\S*)?(?:!(?!\s\S)|(?<=\d)[kKM]\b)?"
    r"(?:\s?(?:\\times|×|\*|\\cdot|x)\s?10\s?(?:(?:\^|\*\*)\{?[-−]?\d{1,3}\}?|[⁻⁰¹²³⁴⁵⁶⁷⁸⁹]{1,4}))?(?:\s(?:[apAP]\.?[mM]\b\.?|pi\b|in\sthe\s(?:morning|afternoon|evening)|at\snight))?"
    r"(?:\s(?:hundred|thousand|million|billion|trillion|dozen)\b|\s(?:in|out\sof|to)\s\d{1,9}\b(?!\s[a-z])"
    r"|(?<!from\s\d)(?<!from\s\d\d)\sto\s\d{1,9}\b(?:\s(?!in\b|for\b|of\b|and\b|or\b|when\b)[a-z]{3,15})?"
    r"|\s?[–—]\s?\d[\d,.]{0,9}\b(?:\s[a-z]{3,15})?)?"
)
_BELOW = re.compile(
    r"(?:\s?(?:degrees?|°))?(?:\s?(?:[CF]|Celsius|Fahrenheit))?\sbelow\s(?:zero|0)\b"
)
_MINUS = re.compile(r"(?:^|[^\d)\s])\s(?:minus|negative)\s$")


def _numbers(sentence: str, formulas: list[_Span]) -> tuple[list[_Span], set[int]]:
    """Return the numbers outside formulas with sign and unit, or the calculations they are part of.

    Also where a calculation without a name begins, which counts less than any result.
    """
    taken, found, sums = [*formulas], [], set()
    for m in _PLAIN.finditer(sentence):
        start = m.start() + len(m.group()) - len(m.group().lstrip())
        if any(a <= start < b for a, b, _ in taken):
            continue
        text = in_two_units(sentence, start) or m.group().strip(" .,;")
        if text[-1:].isdigit():
            text += measure(sentence, start + len(text))
            below = _BELOW.match(sentence, start + len(text))
            text += below.group() if below is not None else ""
        if _MINUS.search(sentence, 0, start):  # we land at minus 12
            text = f"-{text}"
        first, last = expression(sentence, start, start + len(text))
        if last - first > len(text):
            start, text = first, sentence[first:last].strip(" .,;")
            if not any(map(str.isalpha, text)):
                sums.add(start)
        found.append((start, start + len(text), text))
        taken.append(found[-1])
    return found, sums


def _joined(sentence: str, spans: list[_Span]) -> tuple[list[_Span], set[int]]:
    """Return spans with those as one that a comma, "and" or "or" joins: `3, 4 and 5`.

    Also where one begins that only says the one before it again: `$20, or 25%`.
    """
    joined: list[_Span] = []
    many, again = False, set()
    for start, end, text in reversed(spans):
        gap = sentence[end : joined[-1][0]] if joined else "."
        named = bool(joined) and all(map(ASSIGNS.match, (text, joined[-1][2])))
        more = AND.fullmatch(gap) is not None or (gap.strip() == "," and (many or named))
        if more and bool(NAME_ONLY.fullmatch(text)) is not bool(NAME_ONLY.fullmatch(joined[-1][2])):
            more = False  # slope 5 and y-intercept 7
        if more and "or" in gap and text[0] in "$€£¥" and joined[-1][2].endswith("%"):
            more = False
            again.add(joined[-1][0])
        if more and (named or "=" not in text + joined[-1][2]):
            mark = " or " if "or" in gap else ", "
            joined[-1] = (start, joined[-1][1], f"{text}{mark}{joined[-1][2]}")
            many = True
        else:
            joined.append((start, end, text))
            many = False
    return joined[::-1], again
