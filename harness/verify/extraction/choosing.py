"""Which of several numbers and formulas a sentence states.

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

from harness.verify.extraction.places import BOUNDED, rank
from harness.verify.extraction.problem import TWICE, words
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
from harness.verify.reading.words import DENOMINATORS, NUMBER_WORDS, SCALES, UNITS


class _Candidate(NamedTuple):
    """A number or formula of a sentence, or several joined; `rank` says how little it counts."""

    start: int
    end: int
    text: str
    rank: int
    math: bool


def chosen(sentence: str, asked: frozenset[str]) -> str | None:
    """Return the candidate of a sentence that counts most; `asked` are the question's words."""
    found = _candidates(sentence)
    if not found:
        return None
    *_, step = [None, *_THEREFORE.finditer(sentence, 0, found[-1].start)]
    start = step.end() if step is not None else 0
    if step is not None and _is_beside(sentence, start, asked):
        return chosen(sentence[: step.start()], asked)
    every = [c for c in found if c.start >= start]
    found = _likeliest(sentence, every, asked)
    if TWICE in asked and len(found) == 2:  # 11 geese and 6 goats
        return ", ".join(c.text for c in found)
    best = _best(sentence, start, found, asked)
    best = _left_over(sentence, every, asked) or best
    best = _in_asked_unit(best, every, asked) or best
    return _with_bound(sentence, best, asked)


_THEREFORE = re.compile(
    r"(?:,\s*|\s)(?:and\s+)?(?:so|thus|therefore|hence|which\s+(?:leaves|gives|makes|means))\b"
    r"|\s?[→⇒]\s|,\s*(?:leaving|giving|making|meaning|for\s+a\s+(?:final|total))\b",
    re.I,
)
_ITS = re.compile(r"\s(?:its|their|the|his|her)\s[a-z]{2,15}\s(?:is|are)\s")


def _is_beside(sentence: str, start: int, asked: frozenset[str]) -> bool:
    """Whether a last step is not what was asked for: `the radius is 5, so the diameter is 10`."""
    its = _ITS.match(sentence, start) and not asked & words(sentence[start:])
    return bool(its and asked & words(sentence[:start]))


# -- the candidates -------------------------------------------------------------------------------

_OF = re.compile(r"\b(?:of\sthe\s[a-z]{2,15}|in|into)\s+\S{0,2}$")
_COUNTED = re.compile(r"\b(?:the|these|those|both|all|other|her|his|their|my|our|nearest)\s$", re.I)


def _candidates(sentence: str) -> list[_Candidate]:
    """Return the numbers and formulas of a sentence in order, joined ones as one."""
    formulas = [(*m.span(), content(m).strip()) for m in MATH.finditer(sentence)]
    numbers, sums = _numbers(sentence, formulas)
    joined, again = _joined(sentence, sorted(formulas + numbers)[-30:])
    found = []
    for start, end, text in joined:
        formula, spoken = sentence[start] in "$\\", not has_digit(text)
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
        math = any(a == start for a, _, _ in formulas)
        found.append(_Candidate(start, end, text, place + 3 * (start in sums), math))
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
    r"|\s?[–—]\s?\d[\d,.]{0,9}\b(?:\s[a-z]{3,15})?)?",
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


# -- the best of them -----------------------------------------------------------------------------

_CLOCK = re.compile(r"\d:\d\d|\d\s?[ap]\.?m\b", re.I)
_TOTAL = re.compile(r"\btotal\sof\s\S{0,2}$")


def _likeliest(sentence: str, found: list[_Candidate], asked: frozenset[str]) -> list[_Candidate]:
    """Return the candidates of the kind that is asked for whose place counts most."""
    if "perce" in asked:
        found = [c for c in found if c.text.endswith(("%", "percent"))] or found
    if "when" in asked or any(w in UNITS for w in asked):  # a time of day, or none
        found = [c for c in found if bool(_CLOCK.search(c.text)) is ("when" in asked)] or found
    if "total" in asked:
        found = [c for c in found if _TOTAL.search(sentence, 0, c.start)] or found
    least = min(c.rank for c in found)
    found = [c for c in found if c.rank == least]
    # 3 of the numbers up to 40
    return [c for c in found if "".join(c.text.split()[:1]) not in asked] or found


_SUBJECT = re.compile(
    r"[^\d]{0,12}\s(?:is|are|was|were)\s(?:the|what|how|an?|his|her|their|our)\b", re.I
)


def _best(sentence: str, start: int, found: list[_Candidate], asked: frozenset[str]) -> _Candidate:
    """Return the last of equal candidates, or the one that speaks of the question."""
    if len(found) == 1:
        return found[0]
    first = not sentence[start : found[0].start].strip()
    subject = first and _SUBJECT.match(sentence, found[0].end)  # 12 is the number of pears
    if not asked:
        return found[0] if subject else found[-1]
    other = max(found, key=lambda c: (len(_clause(sentence, c, asked)), c.start))
    best = found[0] if subject else _last_or_near(sentence, found, other, asked)
    if other is best or best.math or other.math:
        return best
    apart = _BREAK.search(sentence[other.end : best.end])
    less = apart and _clause(sentence, best, asked) < _clause(sentence, other, asked)
    return other if less else best


_OTHER = re.compile(
    r"\b(?:and|while|but)\s(?:its|their|the|his|her)\s[a-z]{2,15}\s(?:is\s|are\s)?\S{0,2}$"
)
_THERE_ARE = re.compile(r"\bthere\s(?:is|are|was|were)\s\S{0,2}$", re.I)
_LINKED = re.compile(
    r"\b(?:is|are|was|were|equals?|of|be|to|has|have|at|in|for|by|an?)\s+\S{0,2}$", re.I
)


def _last_or_near(
    sentence: str, found: list[_Candidate], other: _Candidate, asked: frozenset[str]
) -> _Candidate:
    """Return the last candidate, or one nearer to words of the question.

    `other` is the one whose clause has most of them: it counts where that of the last has none.
    """
    last = found[-1]
    formula = sentence[last.start] in "$\\" and not _OTHER.search(sentence, 0, last.start)
    if not formula and not _clause(sentence, last, asked):
        return other
    if "=" in last.text or _LINKED.search(sentence[: last.start]):
        return last
    before = [(c, sentence[: c.start]) for c in found]
    free = [c for c, b in before if not _LINKED.search(b) or _THERE_ARE.search(b)]
    near = {c: _near(sentence, c, found, asked) for c in free if "=" not in c.text}
    return last if near[last] else max(near, key=lambda c: (near[c], c.start))


def _near(sentence: str, one: _Candidate, found: list[_Candidate], asked: frozenset[str]) -> int:
    """Return how many words of the question stand right before a candidate or behind it."""
    behind = sentence[one.end : min((c.start for c in found if c.start > one.start), default=None)]
    behind = re.split(r"\b(?:in|from|for|on|at|with|by)\b", behind)[0]
    before = re.split(r"\band\b", " ".join(sentence[: one.start].split()[-2:]))[-1]
    return len(asked & words(f"{before} {behind[:60]}"))


_BREAK = re.compile(
    r";\s|,\s(?=(?:his|her|its|their|the|die|der|das|la|le|el|los|les)\s)|,?\s(?:and|but|while|whereas)\s(?!\S{0,3}\d)"
)


def _clause(sentence: str, found: _Candidate, asked: frozenset[str]) -> frozenset[str]:
    """Return the words of the question that the clause around a candidate has."""
    start = 0
    for mark in _BREAK.finditer(sentence, 0, found.start):
        start = mark.end()
    end = _BREAK.search(sentence, found.end)
    clause = sentence[start : end.start() if end else len(sentence)]
    return asked & (words(clause) | set(re.findall(r"\d+", clause)))


# -- what the question makes of it ----------------------------------------------------------------

_LEFT_OVER = re.compile(r".{0,3}\bwith\s\S{1,9}(?:\s[a-z]+)?\s(?:left\b|remaining\b|leftover)")


def _left_over(sentence: str, every: list[_Candidate], asked: frozenset[str]) -> _Candidate | None:
    """Return what is left over, if that is asked for: `2` of `6 bags, with 2 left over`."""
    over = [c for c in every if _LEFT_OVER.match(sentence, max(0, c.start - 6))]
    return over[-1] if over and {"left", "remai", "lefto"} & asked else None


def _in_asked_unit(
    best: _Candidate, every: list[_Candidate], asked: frozenset[str]
) -> _Candidate | None:
    """Return the same quantity in the unit that is asked for: `150 minutes, or 2.5 hours`."""
    kind = _unit(best)
    if not asked or kind is None:
        return None
    wanted = {UNITS.get(w) for w in asked}
    same = [c for c in every if (u := _unit(c)) and u[0] == kind[0] and u in wanted]
    return same[-1] if same and kind not in wanted else None


def _unit(found: _Candidate) -> tuple[str, Fraction] | None:
    words = found.text.split()
    return UNITS.get(words[1 if in_two_units(found.text) else -1].lower()) if words else None


_LEAST = {"minim", "least", "small", "fewes"}
_MUST = re.compile(
    r"\b(?:must|needs?|ha[sd]\sto|have\sto|should|required)\b[^,;]{1,40}\bat\sleast\b"
)
_OR_MORE = re.compile(r"(?:\s[a-z]{1,15})?\sor\s(?:more|less|fewer|greater|above|higher|longer)\b")


def _with_bound(sentence: str, best: _Candidate, asked: frozenset[str]) -> str:
    """Return a value, or `at least 12` for a bound, which the reader refuses."""
    bound = BOUNDED.search(sentence[max(0, best.start - 40) : best.start])
    if bound is not None and _LEAST & asked and _MUST.search(sentence, 0, best.start):
        return best.text  # he must sell at least 715, where the minimum is asked for
    if bound is not None:
        return f"{bound.group(1)} {best.text}"
    return f"at least {best.text}" if _OR_MORE.match(sentence, best.end) else best.text
