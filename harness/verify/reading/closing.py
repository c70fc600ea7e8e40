"""The value that a sentence states, where nothing in it is marked as the answer.

Every number and formula of a sentence is a candidate, and its place says how much it counts:
most what stands alone, less what a preposition governs or a side clause holds (`12 apples after
giving away 8`, `240 loaves in 4 weeks`), least what is only beside it (`24 of them (80%)`,
`than 20`). Of equals the last one counts, or the one whose clause speaks of what is asked for.
"""

# ruff: noqa: RUF001 -- these characters are the subject
from __future__ import annotations

import re
from fractions import Fraction
from typing import NamedTuple

from harness.verify.reading.places import BOUNDED, rank
from harness.verify.reading.problem import words
from harness.verify.reading.sentences import (
    AND,
    ASSIGNS,
    BOUND,
    FURTHER,
    MATH,
    NAME_ONLY,
    NUMBERISH,
    TWO_WORDS,
    affirmed,
    content,
    expression,
    in_two_units,
    measure,
)
from harness.verify.reading.words import DENOMINATORS, NUMBER_WORDS, SCALES, SPOKEN, UNITS

_SO = re.compile(r"^(?:so|thus|therefore|hence|then)\b,?\s*", re.I)
_HEDGE = re.compile(r"\b(?:could|might|may)\s+be\b|\b(?:maybe|perhaps|possibly)\b", re.I)
_BOLD = re.compile(rf"\*\*([^*\n]{{0,80}}?(?:\d|\b{SPOKEN})[^*\n]{{0,80}})\*\*")
_OCCURS = re.compile(  # the maximum is 8, which occurs at x = 4
    r",?\s(?:which|this|and|it)\s(?:it\s)?(?:occurs|happens|is\s(?:attained|achieved|reached|found))\s.*$"
)
_PRECISION = re.compile(  # to two significant digits, rounded to 2 decimal places
    r"(?:,?\s?\brounded)?\s?\bto\s(?:\w{1,9}\s(?:significant|decimal)\s\w{1,9}|the\snearest\s\w{1,12})\b,?",
    re.I,
)
_SEVERAL = re.compile(r".{0,30}?\b[a-z]\s*=[^=]{1,30}?(?:\bor\b|\band\b|,)\s*[a-z]\s*=[^=]{1,30}")
_THEREFORE = re.compile(
    r"(?:,\s*|\s)(?:and\s+)?(?:so|thus|therefore|hence|which\s+(?:leaves|gives|makes|means))\b"
    r"|,\s*(?:leaving|giving|making|meaning|for\s+a\s+(?:final|total))\b",
    re.I,
)
# 8.3%, which rounds down to 8%
_ROUNDED = re.compile(r"\bround(?:s|ed|ing)\b[a-z\s]{0,30}\bto\s(\S{0,3}\d.*)$")
# the mathematics without dollars that ends a sentence: "the equation is y = 2x + 1", "so x > 5"
_TAIL = re.compile(
    r".*\b(?:(?:is|are|be|(?:simplifies|reduces)\s+to|becomes|factors\s+as|equals|so|thus|therefore|hence|get|have|obtain)\b[,:]?\s+(?:at\s+)?"
    r"|(?:holds|true|valid|satisfied)\s+(?:for|when|if)\s+(?:all\s+)?"
    r"|(?:has|have|of)\s+(?:an?\s+|the\s+)?[a-z]{4,12}\s+(?:of\s+)?)([^.].{1,80})$",
    re.I,
)
_MATHEMATICS = re.compile(
    r"(?:[^A-Za-z$]|\b(?:sqrt|pi|sin|cos|tan|ln|log|or|and)\b|(?<![A-Za-z])[A-Za-z]{1,2}(?![A-Za-z]))+"
)
_OPERATION = re.compile(r"[A-Za-z]\s?[-+*/^=<>≤≥²³(]|[<>≤≥]\s?[-\d]|[π√∞]|\d[nkxyz]\b")
_FAILS = re.compile(  # n = 3 works, while n = 2 does not
    r"(?:,\s(?:while|whereas|but)|(?:;|,?\sand)(?=\s\S{0,3}\d))\s([^,;]{1,80}?)\b(?:d(?:o|oes|id)\snot|n['’]t|fails?)\b"
)
_SUBJECT = re.compile(
    r"[^\d]{0,12}\s(?:is|are|was|were)\s(?:the|what|how|an?|his|her|their|our)\b", re.I
)


def concluded(sentence: str, asked: frozenset[str] = frozenset()) -> str | None:
    """Return the value that a sentence states: in bold, behind "=", or the one that counts most.

    None leaves it open; a sentence that only guesses is returned whole, and the reader refuses it.

    Args:
        sentence: The sentence.
        asked: The words of the problem's question.
    """
    if len(sentence) > 800:
        return None
    so = re.search(r"\bnot\b[^.]*,\s(?:so|thus|hence|therefore)\b", sentence)
    fails = _FAILS.search(sentence) if so is None else None
    if fails is not None and any(map(str.isdigit, sentence[: fails.start()])):
        sentence = fails.group(1) if "not" in asked else sentence[: fails.start()]
    rounded = _ROUNDED.search(sentence) if {"round", "neare"} & asked else None
    if rounded is not None:
        sentence = rounded.group(1)
    sentence = _PRECISION.sub("", sentence)
    occurs = _OCCURS.search(sentence) if not {"occur", "attai", "where"} & asked else None
    if occurs is not None and any(map(str.isdigit, sentence[: occurs.start()])):
        sentence = sentence[: occurs.start()]
    bold = [m for m in _BOLD.finditer(sentence) if not m.group(1).rstrip().endswith(":")]
    if bold:
        return value_in(bold[-1].group(1).strip(" :"))
    if _SEVERAL.fullmatch(sentence):
        return _SO.sub("", sentence)
    if _HEDGE.search(sentence):
        return sentence
    tail = _TAIL.search(sentence)
    end = tail.group(1) if tail is not None else ""
    if _MATHEMATICS.fullmatch(end) and _OPERATION.search(end):
        last = end.split(" and ")[-1]  # 2x = 14 and x = 7
        return last if ASSIGNS.match(last) and not ASSIGNS.match(end) else end
    formulas = list(MATH.finditer(sentence))
    if "=" in sentence[formulas[-1].end() if formulas else 0 :]:
        behind = sentence[sentence.rindex("=") + 1 :].strip()
        number = NUMBERISH.match(behind)
        if number is None:
            behind = behind.lstrip("> ")
            short = _MATHEMATICS.fullmatch(behind) and _OPERATION.search(behind)
            return value_in(behind) if short or behind.startswith(("π", "√", "(", "-")) else None
        further = FURTHER.search(behind, number.end())
        then = behind[further.end() :] if further is not None else ""
        answered = further is not None and asked & words(behind[: further.start()])
        if any(map(str.isdigit, then)) and not (answered and answered > asked & words(then)):
            return concluded(then, asked)
        scale = _SCALE.match(behind, number.end())
        scaled = scale is not None and scale.group(1)[:5] not in asked
        at = scale.end() if scale is not None and scaled else number.end()
        return (behind[:at] + measure(behind, at)).strip()
    return _chosen(sentence, asked)


_SCALE = re.compile(r"\s(hundred|thousand|million|billion|trillion|dozen)\b")


class _Candidate(NamedTuple):
    start: int
    end: int
    text: str
    rank: int
    math: bool


_W, _S = "|".join(NUMBER_WORDS), "|".join([*SCALES, *DENOMINATORS])
# a number with what makes another value of it: (3, 4), 8:30 PM, 6π, 5√2, 24!, 4 in 10, 3 x 10^8
_PLAIN = re.compile(
    rf"\b(?:(?<=exactly\s)|(?<=only\s)|(?!one\s(?!and\s|{_S})))(?i:{_W}|a\s(?:dozen|hundred|thousand|million))(?:[\s-]"
    rf"(?:and\s)?(?:an?\s)?(?:{_W}|{_S})){{0,8}}\b(?:\spercent)?"
    r"|[(\[]\s?[-−√π/.\w]{1,12}(?:,\s?[-−√π/.\w]{1,12}){1,3}\s?[)\]](?<!\s)"
    rf"|(?:(?<=\s)√\(?)?{NUMBERISH.pattern}(?::\d\d)?(?:[²³√π^/(]\S*)?(?:!(?!\s\S)|(?<=\d)[kKM]\b)?"
    r"(?:\s?(?:\\times|×|\*|\\cdot|x)\s?10\s?(?:\^|\*\*)\{?[-−]?\d{1,3}\}?)?(?:\s(?:[apAP]\.?[mM]\b\.?|pi\b))?"
    r"(?:\s(?:hundred|thousand|million|billion|trillion|dozen)\b|\s(?:in|out\sof|to)\s\d{1,9}\b(?!\s[a-z])"
    r"|(?<!from\s\d)(?<!from\s\d\d)\sto\s\d{1,9}\b(?:\s(?!in\b|for\b|of\b|and\b|or\b|when\b)[a-z]{3,15})?"
    r"|\s?[–—]\s?\d[\d,.]{0,9}\b(?:\s[a-z]{3,15})?)?",
)


_BELOW = re.compile(
    r"(?:\s?(?:degrees?|°))?(?:\s?(?:[CF]|Celsius|Fahrenheit))?\sbelow\s(?:zero|0)\b"
)


def _candidates(sentence: str) -> list[_Candidate]:
    """Return the numbers and formulas of a sentence in order, joined ones as one."""
    shown = [(*m.span(), content(m).strip()) for m in MATH.finditer(sentence)]
    spans = [*shown]
    sums: set[int] = set()  # where a calculation begins, which counts less than any result
    ends = [(start, end) for start, end, _ in spans]
    for m in _PLAIN.finditer(sentence):
        start = m.start() + len(m.group()) - len(m.group().lstrip())
        if any(a <= start < b for a, b in ends):
            continue
        text = in_two_units(sentence, start) or m.group().strip(" .,;")
        if text[-1:].isdigit():
            text += measure(sentence, start + len(text))
            below = _BELOW.match(sentence, start + len(text))
            text += below.group() if below is not None else ""
        first, last = expression(sentence, start, start + len(text))
        if last - first > len(text):
            start, text = first, sentence[first:last].strip(" .,;")
            if not any(map(str.isalpha, text)):
                sums.add(start)
        spans.append((start, start + len(text), text))
        ends.append(spans[-1][:2])
    spans.sort()
    joined: list[tuple[int, int, str]] = []
    many, again = False, set()
    for start, end, text in reversed(spans[-30:]):
        gap = sentence[end : joined[-1][0]] if joined else "."
        named = bool(joined) and all(map(ASSIGNS.match, (text, joined[-1][2])))
        more = AND.fullmatch(gap) is not None or (gap.strip() == "," and (many or named))
        if more and "or" in gap and text[0] in "$€£¥" and joined[-1][2].endswith("%"):
            more = False  # $20, or 25%
            again.add(joined[-1][0])
        if more and (named or "=" not in text + joined[-1][2]):
            mark = " or " if "or" in gap else ", "
            joined[-1] = (start, joined[-1][1], f"{text}{mark}{joined[-1][2]}")
            many = True
        else:
            joined.append((start, end, text))
            many = False
    found = []
    for start, end, text in reversed(joined):
        formula, spoken = sentence[start] in "$\\", not any(map(str.isdigit, text))
        if start in again:
            place = 4
        elif formula or not spoken:
            place = 6 if formula and NAME_ONLY.fullmatch(text) else rank(sentence, start, end)
            # the perimeter of the square 4 * 9 = 36
            place = 0 if place == 2 and "=" in text and _OF.search(sentence, 0, start) else place
        elif _COUNTED.search(sentence[:start]):  # the two friends
            continue
        else:
            place = rank(sentence, start, end) + (not text.endswith("percent"))
        math = any(a == start for a, _ in ends[: len(shown)])
        found.append(_Candidate(start, end, text, place + 3 * (start in sums), math))
    return found


_LEFT_OVER = re.compile(
    r".{0,3}\bwith\s\S{1,9}(?:\s[a-z]+)?\s(?:left\b|remaining\b|leftover)"
)  # with 2 left over
_CLOCK = re.compile(r"\d:\d\d|\d\s?[ap]\.?m\b", re.I)
_OF = re.compile(r"\b(?:of\sthe\s[a-z]{2,15}|in|into)\s+\S{0,2}$")
_COUNTED = re.compile(r"\b(?:the|these|those|both|all|other|her|his|their|my|our|nearest)\s$", re.I)


def _chosen(sentence: str, asked: frozenset[str]) -> str | None:
    found = _candidates(sentence)
    if not found:
        return None
    start = 0
    for mark in _THEREFORE.finditer(sentence, 0, found[-1].start):
        start = mark.end()
    beside = _ITS.match(sentence, start) and not asked & words(sentence[start:])
    if start and beside and asked & words(sentence[:start]):
        return _chosen(sentence[: mark.start()], asked)  # the radius is 5, so the diameter is 10
    every = found = [c for c in found if c.start >= start]
    if "perce" in asked:
        found = [c for c in found if c.text.endswith(("%", "percent"))] or found
    if "when" in asked or any(w in UNITS for w in asked):  # a time of day, or none
        found = [c for c in found if bool(_CLOCK.search(c.text)) is ("when" in asked)] or found
    found = [c for c in found if c.rank == min(x.rank for x in found)]
    found = [c for c in found if c.text not in asked] or found  # 3 of the numbers up to 40
    best = other = found[-1]
    if asked and len(found) > 1:
        other = max(found, key=lambda c: (len(_clause(sentence, c, asked)), c.start))
    if len(found) > 1:
        if not sentence[start : found[0].start].strip() and _SUBJECT.match(sentence, found[0].end):
            best = found[0]
        elif (
            asked
            and (sentence[best.start] not in "$\\" or _OTHER.search(sentence, 0, best.start))
            and not _clause(sentence, best, asked)
        ):
            best = other
        elif asked and "=" not in best.text and not _LINKED.search(sentence[: best.start]):
            free = [c for c in found if not _LINKED.search(sentence[: c.start])]
            near = {c: _near(sentence, c, found, asked) for c in free if "=" not in c.text}
            best = best if near[best] else max(near, key=lambda c: (near[c], c.start))
    plain = (
        other is not best
        and not best.math
        and not other.math
        and _BREAK.search(sentence[other.end : best.end])
    )
    if plain and _clause(sentence, best, asked) < _clause(sentence, other, asked):
        best = other
    over = [c for c in every if _LEFT_OVER.match(sentence, max(0, c.start - 6))]
    best = over[-1] if over and {"left", "remai", "lefto"} & asked else best
    kind = _unit(best)
    if asked and kind is not None:  # 150 minutes, or 2.5 hours
        wanted = {UNITS.get(w) for w in asked}
        same = [c for c in every if (u := _unit(c)) and u[0] == kind[0] and u in wanted]
        best = same[-1] if same and kind not in wanted else best
    bound = BOUNDED.search(sentence[max(0, best.start - 40) : best.start])
    if bound is not None or _OR_MORE.match(sentence, best.end):
        return f"{bound.group(1) if bound is not None else 'at least'} {best.text}"  # is refused
    return best.text


_LINKED = re.compile(
    r"\b(?:is|are|was|were|equals?|of|be|to|has|have|at|in|for|by|an?)\s+\S{0,2}$", re.I
)


def _near(sentence: str, one: _Candidate, found: list[_Candidate], asked: frozenset[str]) -> int:
    """Return how many words of the question stand right before a candidate or behind it."""
    behind = sentence[one.end : min((c.start for c in found if c.start > one.start), default=None)]
    before = re.split(r"\band\b", " ".join(sentence[: one.start].split()[-2:]))[-1]
    return len(asked & words(f"{before} {behind[:60]}"))


def _unit(found: _Candidate) -> tuple[str, Fraction] | None:
    words = found.text.split()
    return UNITS.get(words[1 if in_two_units(found.text) else -1].lower()) if words else None


_OR_MORE = re.compile(r"(?:\s[a-z]{1,15})?\sor\s(?:more|less|fewer|greater|above|higher|longer)\b")


_ITS = re.compile(r"\s(?:its|their|the|his|her)\s[a-z]{2,15}\s(?:is|are)\s")
_OTHER = re.compile(
    r"\b(?:and|while|but)\s(?:its|their|the|his|her)\s[a-z]{2,15}\s(?:is\s|are\s)?\S{0,2}$"
)
_BREAK = re.compile(
    r";\s|,\s(?=(?:his|her|its|their|the)\s)|,?\s(?:and|but|while|whereas)\s(?!\S{0,3}\d)"
)


def _clause(sentence: str, found: _Candidate, asked: frozenset[str]) -> frozenset[str]:
    """Return the words of the question that the clause around a candidate has."""
    start = 0
    for mark in _BREAK.finditer(sentence, 0, found.start):
        start = mark.end()
    end = _BREAK.search(sentence, found.end)
    clause = sentence[start : end.start() if end else len(sentence)]
    return asked & (words(clause) | set(re.findall(r"\d+", clause)))


_BECAUSE = re.compile(r"(?<=\w),?\s+(?:because|since)\b", re.I)
_MINUS = re.compile(r"^(?:negative|minus)\s+(?=[\d$\\])", re.I)
_OTHERWISE = re.compile(  # 14, or maybe 15; 9 pears or 10 pears
    r"(?:\s[a-z]{1,15})?\sor\s(?:more|less|fewer|greater|above|higher|longer)\b"
    r"|(?:\s{0,9},?\s{0,9}\band\b|(?:\s{1,9}[a-z]{1,15}){0,2}\s{0,9},?\s{0,9}\bor\b)[^.;]{0,30}?\d",
    re.I,
)
# 50% of 80, 5 more than 7
_RELATIVE = re.compile(
    r"(?:(?<=%)\s+of|\s+(?:more|less|fewer|greater|higher|lower)\s+than)\s+[$\\(]{0,2}\d"
)
_CJK = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af，。：；！？、]+")
_WORD_FIRST = re.compile(r"[A-Za-z]{2,}\s")


def value_in(sentence: str, asked: frozenset[str] = frozenset()) -> str:
    """Return the value of a sentence: all of it if it is short, else a formula or number."""
    said = affirmed(sentence)
    if said is None or BOUND.match(sentence):
        return sentence  # what it denies, or a bound, is for the reader to refuse
    sentence = _MINUS.sub("-", _BECAUSE.split(said, maxsplit=1)[0])
    foreign = _CJK.search(sentence) is not None and any(c.isdigit() for c in sentence)
    short = (
        len(sentence) <= 40
        and not foreign
        and not MATH.search(sentence)
        and not TWO_WORDS.search(sentence)
    )
    if short and (not _WORD_FIRST.match(sentence) or not any(c.isdigit() for c in sentence)):
        return sentence
    lead = NUMBERISH.match(sentence)
    if lead and (_OTHERWISE.match(sentence, lead.end()) or _RELATIVE.match(sentence, lead.end())):
        return sentence
    choice = re.match(r"(?:for sure\s+)?\(?([A-J])\)?(?=$|[\s.,:])", sentence)
    if choice is not None and not re.match(r"A\s+[a-z]", sentence):
        return choice.group(1)
    return concluded(sentence, asked) or (sentence if len(sentence) <= 200 else "")
