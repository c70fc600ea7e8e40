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
)
from harness.verify.reading.words import NUMBER_WORDS, UNITS

_SO = re.compile(r"^(?:so|thus|therefore|hence|then)\b,?\s*", re.I)
_HEDGE = re.compile(r"\b(?:could|might|may)\s+be\b|\b(?:maybe|perhaps|possibly)\b", re.I)
_BOLD = re.compile(r"\*\*([^*\n]{0,80}?\d[^*\n]{0,80})\*\*")
_SEVERAL = re.compile(r".{0,30}?\b[a-z]\s*=[^=]{1,30}?(?:\bor\b|\band\b|,)\s*[a-z]\s*=[^=]{1,30}")
_THEREFORE = re.compile(
    r"(?:,\s*|\s)(?:and\s+)?(?:so|thus|therefore|hence|which\s+(?:leaves|gives|makes|means))\b"
    r"|,\s*(?:leaving|giving|making|meaning|for\s+a\s+(?:final|total))\b",
    re.I,
)
_ROUNDED = re.compile(r"\bround(?:s|ed|ing)\b[a-z\s]{0,30}\bto\s(\S{0,3}\d.*)$")  # 8.3%, which rounds down to 8%
# the mathematics without dollars that ends a sentence: "the equation is y = 2x + 1", "so x > 5"
_TAIL = re.compile(
    r".*\b(?:(?:is|are|be|so|thus|therefore|hence|get|have|obtain)\b[,:]?\s+(?:at\s+)?"
    r"|(?:holds|true|valid|satisfied)\s+(?:for|when|if)\s+(?:all\s+)?"
    r"|(?:has|have|of)\s+(?:an?\s+|the\s+)?[a-z]{4,12}\s+(?:of\s+)?)([^.].{1,80})$",
    re.I,
)
_MATHEMATICS = re.compile(
    r"(?:[^A-Za-z$]|\b(?:sqrt|pi|sin|cos|tan|ln|log|or|and)\b|(?<![A-Za-z])[A-Za-z]{1,2}(?![A-Za-z]))+"
)
_OPERATION = re.compile(r"[A-Za-z]\s?[-+*/^=<>≤≥²³(]|[<>≤≥]\s?[-\d]|[π√]")

# -- the place of a candidate ---------------------------------------------------------------------

_DETERMINERS = (
    r"(?:(?:the|an?|this|that|these|those|only|just|both|his|her|its|their|our|my|your|each|every"
    r"|another|other|next|last|first|final|whole|entire|remaining|additional|extra|more|original"
    r"|same|all|about|\w{1,20}['’]s)\s+){0,4}"
)
_LABELS = (
    r"(?:days?|weeks?|steps?|crate|years?|grade|chapter|page|room|problem|question|part|case|number"
    r"|round|level|age|mile|store|class|group|team|box|trial|test|game|table|line|method)\s+"
)
_GOVERNED = re.compile(
    r"(?:\b(?:en|em|dans|pendant|durante|nach|für|pour|para|in|for|with|at|on|after|before|from|per|by|over|within|during|every|among|between|into"
    r"|since|until|without|against|through|using|if|when|where|who\s+(?:is|was))"
    r"|(?:[\d%$)]|\b(?:percent|half|third|thirds|quarter|quarters|fourths?|fifths?|sixths|tenths?|each|one"
    r"|all|both|most|some|none|any|out|short|every|rest|instead|because|ahead)|\d\s[a-z]{2,15})\s+of)"
    rf"\s+(?:[a-z]{{2,12}}ing\s+)?{_DETERMINERS}(?:{_LABELS})?[$\\(*]{{0,3}}$"
    r"|\b(?:in|from|on)\s+the\s+[a-z]{2,12}\s+of\s+\S{0,3}$"
    r"|\bof\s+(?:the|these|those|all|both|his|her|its|their|our|my|your)\s+(?:[a-z]{2,12}\s+)?\S{0,3}$",
    re.I,
)
_LEFT_WITH = re.compile(
    r"\b(?:left|up|remains?|lea(?:ves|ving)\s\w+)\s+with\s+\S{0,3}$"
    r"|\b(?:is|are|lies?|meets?|located)\s+at\s+\S{0,3}$"
    r"|\b(?:brought|brings?|takes?|took)\s+in\s+\S{0,3}$",
    re.I,
)
_LABELLED = re.compile(rf"\b{_LABELS}#?$", re.I)
_THAN = re.compile(r"\bthan\b(?:(?!\b(?:is|are|was|were)\b)[^,;])*$", re.I)
_SIDE_CLAUSE = re.compile(
    r"\b(?:having|after|before|when|if|because|since|while|until|unless|although|though|where|given"
    r"|assuming|to\s+(?!(?:be|get|obtain|find|equal|give|make|have|about|a|an|the)\b)[a-z]{2,15}"
    r"|(?<=\s)more\b[^,;]{0,40}\sto\s+(?:get|have|make))"
    r"\s(?!and\b)[^,;]*$",
    re.I,
)
_WANTS = re.compile(
    r"\b(?:needs?|have|has|had|wants?|able|going|expect(?:s|ed)?|used|plans?|planned|decided|afford"
    r"|managed|required|hopes?|allowed|tries|tried|was|were|is|are|will)(?:\s\w{1,12})?\s+$",
    re.I,
)
_COMPARED = re.compile(
    r"\s?(?:[a-z]+\s)?(?:more|less|fewer|higher|lower|greater|[a-z]{2,8}er|further|farther)\s"
    r"(?:[a-z]+\s){0,2}than\b|\s?times\s(?:as|more|the|what|that)\b",
    re.I,
)
_INSTEAD = re.compile(  # i.e. 60 a week; 24 students, or 80% of them, passed
    r"(?:,\s*(?:including|namely\b|compared\s(?:with|to)|(?:of|among|out\sof)\swhich)"
    r"[^,;]*|\d[^:]*\w:\s[^:]*|\((?:[^()]*))$",
    re.I,
)
_FAILS = re.compile(  # n = 3 works, while n = 2 does not
    r",\s(?:while|whereas|but)\s.{1,80}?\b(?:do(?:es)?\snot|n['’]t|fails?)\b"
)
_BESIDE = re.compile(r",\s(?:or\s)?(?:about\s)?\S{0,2}$", re.I)
_SHARE = re.compile(r",\s(?:which|that)\s(?:is|are|was|were)\s(?:[a-z]{1,15}\s)?\S{0,2}$", re.I)
_OF_THEM = re.compile(r"(?:\s[a-z]+)?\sof\s(?:them|which|whom|these|those)\b")
_SUBJECT = re.compile(
    r"[^\d]{0,12}\s(?:is|are|was|were)\s(?:the|what|how|an?|his|her|their|our)\b", re.I
)


# what makes a number a bound or a part of the value; "10 more than 20" compares
_BOUNDED = re.compile(
    r"(?<!\d\s)\b((?:more|less|greater|fewer|larger|smaller|bigger)\s+than|at\s+(?:most|least)|up\s+to"
    r"|twice|double|triple)\s+(?:the\s+)?\S{0,3}$",
    re.I,
)


def _rank(text: str, start: int, end: int) -> int:
    """Return how little a number there counts.

    0 by itself, 1 as a bound, 2 governed or in a side clause, 4 aside.
    """
    before = text[max(0, start - 120) : start]
    if _BOUNDED.search(before):
        return 1
    if _THAN.search(before) or _LABELLED.search(before) or _INSTEAD.search(before):
        return 4
    if _BESIDE.search(before) and re.match(r"[^,.]{1,30},", text[end:]):
        return 4  # 24 students, or 80% of them, passed
    side = _SIDE_CLAUSE.search(before)
    if side is not None and not (
        side.group().startswith("to ") and _WANTS.search(before[: side.start()])
    ):
        return 2
    if _GOVERNED.search(before) and not _LEFT_WITH.search(before):
        return 2
    if text[end - 1 : end] == "%" and _SHARE.search(before) and text.startswith(" of ", end):
        return 4
    if _OF_THEM.match(text, end) and re.search(r"(?:,|\band)\s$", before):
        return 4
    return 2 if _COMPARED.match(text, end) else 0


def concluded(sentence: str, asked: frozenset[str] = frozenset()) -> str | None:
    """Return the value that a sentence states: in bold, behind "=", or the one that counts most.

    None leaves it open; a sentence that only guesses is returned whole, and the reader refuses it.

    Args:
        sentence: The sentence.
        asked: The words of the problem's question.
    """
    if len(sentence) > 800:
        return None
    fails = _FAILS.search(sentence)
    if fails is not None and any(map(str.isdigit, sentence[: fails.start()])):
        sentence = sentence[: fails.start()]
    rounded = _ROUNDED.search(sentence) if {"round", "neare"} & asked else None
    if rounded is not None:
        sentence = rounded.group(1)
    bold = [m for m in _BOLD.finditer(sentence) if not m.group(1).rstrip().endswith(":")]
    if bold:
        return value_in(bold[-1].group(1).strip(" :"))
    if _SEVERAL.fullmatch(sentence):
        return _SO.sub("", sentence)
    if _HEDGE.search(sentence):
        return sentence
    tail = _TAIL.search(sentence)
    if (
        tail is not None
        and _MATHEMATICS.fullmatch(tail.group(1))
        and _OPERATION.search(tail.group(1))
    ):
        last = tail.group(1).split(" and ")[-1]  # 2x = 14 and x = 7
        return last if ASSIGNS.match(last) and not ASSIGNS.match(tail.group(1)) else tail.group(1)
    formulas = list(MATH.finditer(sentence))
    if "=" in sentence[formulas[-1].end() if formulas else 0 :]:
        behind = sentence[sentence.rindex("=") + 1 :].strip()
        number = NUMBERISH.match(behind)
        if number is None:
            return value_in(behind) if behind.startswith(("π", "√", "(", "-")) else None
        further = FURTHER.search(behind, number.end())
        if further is not None and any(map(str.isdigit, behind[further.end() :])):
            return concluded(behind[further.end() :], asked)
        return (number.group() + measure(behind, number.end())).strip()
    return _chosen(sentence, asked)


class _Candidate(NamedTuple):
    start: int
    end: int
    text: str
    rank: int


_MEASURED = re.compile(
    r"(\s?(?:(?:square|cubic)\s)?([A-Za-z]{2,15})(?:\s?/\s?[a-z]{1,8}|\sper\s[a-z]{1,10})?)"
)
_W = "|".join(NUMBER_WORDS)
# a number with what makes another value of it: (3, 4), 8:30 PM, 6π, 5√2, 24!, 4 in 10, 3 x 10^8
_PLAIN = re.compile(
    rf"\b(?!one\s(?!hundred|thousand|million))(?i:{_W})(?:[\s-]"
    rf"(?:{_W}|hundred|thousand|and)){{0,8}}\b(?:\spercent)?"
    r"|[(\[]\s?[-−√π/.\w]{1,12}(?:,\s?[-−√π/.\w]{1,12}){1,3}\s?[)\]](?<!\s)"
    rf"|(?:(?<=\s)√\(?)?{NUMBERISH.pattern}(?::\d\d)?(?:[²³√π^/(]\S*)?(?:!(?!\s\S))?"
    r"(?:\s?(?:\\times|×|\*|\\cdot|x)\s?10\s?(?:\^|\*\*)\{?[-−]?\d{1,3}\}?)?(?:\s(?:[apAP]\.?[mM]\b\.?|pi\b))?"
    r"(?:\s(?:hundred|thousand|million|billion|trillion|dozen)\b|\s(?:in|out\sof|to)\s\d{1,9}\b(?!\s[a-z]))?",
)


def measure(text: str, start: int) -> str:
    """Return the unit that follows there, with the blank before it, or nothing."""
    unit = _MEASURED.match(text, start)
    known = unit is not None and unit.group(2).lower() in UNITS and unit.group(2) != "in"
    return unit.group() if unit is not None and known else ""


def _candidates(sentence: str) -> list[_Candidate]:
    """Return the numbers and formulas of a sentence in order, joined ones as one."""
    spans = [(*m.span(), content(m).strip()) for m in MATH.finditer(sentence)]
    sums: set[int] = set()  # where a calculation begins, which counts less than any result
    ends = [(start, end) for start, end, _ in spans]
    for m in _PLAIN.finditer(sentence):
        start = m.start() + len(m.group()) - len(m.group().lstrip())
        if any(a <= start < b for a, b in ends):
            continue
        text = in_two_units(sentence, start) or m.group().strip(" .,;")
        if text[-1:].isdigit():
            text += measure(sentence, start + len(text))
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
            rank = 4
        elif formula or not spoken:
            rank = 6 if formula and NAME_ONLY.fullmatch(text) else _rank(sentence, start, end)
        elif _COUNTED.search(sentence[:start]):  # the two friends
            continue
        else:
            rank = _rank(sentence, start, end) + (not text.endswith("percent"))
        found.append(_Candidate(start, end, text, rank + 3 * (start in sums)))
    return found


_COUNTED = re.compile(r"\b(?:the|these|those|both|all|other|her|his|their|my|our|nearest)\s$", re.I)


def _chosen(sentence: str, asked: frozenset[str]) -> str | None:
    found = _candidates(sentence)
    if not found:
        return None
    start = 0
    for mark in _THEREFORE.finditer(sentence, 0, found[-1].start):
        start = mark.end()
    every = found = [c for c in found if c.start >= start]
    if "perce" in asked:
        found = [c for c in found if c.text.endswith(("%", "percent"))] or found
    least = min(c.rank for c in found)
    found = [c for c in found if c.rank == least]
    found = [c for c in found if c.text not in asked] or found  # 3 of the numbers up to 40
    best = found[-1]
    if len(found) > 1:
        if not sentence[start : found[0].start].strip() and _SUBJECT.match(sentence, found[0].end):
            best = found[0]
        elif asked and sentence[best.start] not in "$\\" and not _overlap(sentence, best, asked):
            best = max(found, key=lambda c: (_overlap(sentence, c, asked), c.start))
    kind = _unit(best)
    if asked and kind is not None:  # 150 minutes, or 2.5 hours
        wanted = {UNITS.get(w) for w in asked}
        same = [c for c in every if (u := _unit(c)) and u[0] == kind[0] and u in wanted]
        best = same[-1] if same and kind not in wanted else best
    bound = _BOUNDED.search(sentence[max(0, best.start - 40) : best.start])
    return best.text if bound is None else f"{bound.group(1)} {best.text}"  # which is refused


def _unit(found: _Candidate) -> tuple[str, Fraction] | None:
    return UNITS.get(found.text.split()[-1].lower())


_BREAK = re.compile(
    r";\s|,\s(?=(?:his|her|its|their|the)\s)|,?\s(?:and|but|while|whereas)\s(?!\S{0,3}\d)"
)


def _overlap(sentence: str, found: _Candidate, asked: frozenset[str]) -> int:
    """Return how many words of the question the clause around a candidate has."""
    start = 0
    for mark in _BREAK.finditer(sentence, 0, found.start):
        start = mark.end()
    end = _BREAK.search(sentence, found.end)
    return len(asked & words(sentence[start : end.start() if end else len(sentence)]))


_BECAUSE = re.compile(r"(?<=\w),?\s+(?:because|since)\b", re.I)
_MINUS = re.compile(r"^(?:negative|minus)\s+(?=[\d$\\])", re.I)
_OTHERWISE = re.compile(  # 14, or maybe 15; 9 pears or 10 pears
    r"(?:\s{0,9},?\s{0,9}\band\b|(?:\s{1,9}[a-z]{1,15}){0,2}\s{0,9},?\s{0,9}\bor\b)[^.;]{0,30}?\d",
    re.I,
)
# 50% of 80, 5 more than 7
_RELATIVE = re.compile(
    r"(?:(?<=%)\s+of|\s+(?:more|less|fewer|greater|higher|lower)\s+than)\s+[$\\(]{0,2}\d"
)
_CJK = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af，。：；！？、]+")
_WORD_FIRST = re.compile(r"[A-Za-z]{2,}\s")


def value_in(sentence: str) -> str:
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
    return concluded(sentence) or (sentence if len(sentence) <= 200 else "")
