"""Words that take a value back, bound it, or make another value of it.

What an answer is read as says nothing of the words around it: "just over 42", "42 would be the
tempting answer", "42. Scratch that", "three times 42". A value that would be right is looked for in
the response once more, and such words right beside it, or behind it with no other value between,
say that the response does not state it. Words of the question itself never count: where "how many
were wrong" is asked, a value may be called wrong.
"""

# ruff: noqa: RUF001 -- these characters are the subject
from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

from harness.verify.extraction.question import asked_by, last_question
from harness.verify.extraction.sentences import MATH, NUMBERISH, has_any
from harness.verify.extraction.stops import start_before
from harness.verify.reading import lexicon
from harness.verify.reading.words import NUMBER_WORDS, SPOKEN

_WINDOW = 2_000  # characters at the end of a response that are looked at
_OPENS = re.compile(r"(?:\\(?:boxed|text|mathbf|textbf)\s?\{|####|[$*({}\[\\~\s])+$")
_CLOSES = re.compile(r"(?:[$*)}\]~\s]|\\[)\]]|\\text\s?\{)*")
_UNIT = r"(?:\s?(?:[a-z%]{1,15}|°\s?[CF]|\\[a-z]{1,8}))?"

# whose function of a number it is: "the square root of the number is 12"
_OF_ANSWER = re.compile(
    r"\b(?P<said>square|cube|(?:square|cube)\sroot|half|double|twice|triple|reciprocal|opposite"
    r"|negative|third|quarter)(?:\sof)?\s(?:the|this|that|our|what)\s(?:number|answer|value|result"
    r"|one|solution|quantity|total)\b[^.,;!?\d]{0,40}\s(?:is|was|equals)\s\S{0,3}$",
    re.I,
)
_RIGHT_BEFORE = re.compile(rf"\b{lexicon.any_of(lexicon.BOUNDS, lexicon.FUNCTIONS)}\s?$", re.I)
_RELATED = re.compile(rf"{lexicon.any_of(lexicon.RELATIONS)}\s?$")
_IN_CLAUSE = (
    re.compile(rf"\b{lexicon.any_of(lexicon.DENIALS)}\b[^.,;:!?\d]{{0,80}}$", re.I),
    re.compile(r"(?:^|[.;,]\s)(?P<said>no)\s$", re.I),
    _OF_ANSWER,
)
_RIGHT_BEHIND = (
    re.compile(rf"{_UNIT}(?:\s[a-z]{{1,12}})?,?\s{lexicon.any_of(lexicon.REMARKS)}\b", re.I),
    re.compile(rf"{_UNIT}\s?{lexicon.any_of(lexicon.CHANGES)}", re.I),
    re.compile(r"(?P<said>\^)(?!\{?(?:\\circ|\\text|th\b|st\b|nd\b|rd\b))"),  # a power
)
_COMPARED = re.compile(rf"{_UNIT}\s{lexicon.any_of(lexicon.COMPARISONS)}\b", re.I)
_OPERAND = re.compile(rf"[\w)}}]\s?{lexicon.any_of(lexicon.OPERATORS)}\s?\$?\\boxed\s?\{{$")
_LATER = re.compile(rf"\b{lexicon.any_of(lexicon.RETRACTIONS)}\b", re.I)
_REFUSED = re.compile(rf"\b{lexicon.any_of(lexicon.REFUSALS)}", re.I)
_NUMBER = re.compile(rf"\d|\b(?!one\b){SPOKEN}\b", re.I)
# what is only supposed, up to a value that stands at \0: "he hoped for 42", "if it were 42, ..."
_UNREAL = re.compile(
    rf"\b{lexicon.any_of(lexicon.UNREAL)}\b[^.;:!?\d\0]{{0,60}}(?=\0(?!.*(?:{_NUMBER.pattern})))"
    r"|^\W*(?:had|were|if|suppose)\b(?=[^\0]*(?:\0.{0,80})?\bwould\b)[^.;!?\0]*(?=\0)",
    re.I | re.S,
)
_SEQUENCE = re.compile(r"\b(?:lim|limit|sequence|series|converge|approach|tend|asymptote)", re.I)

_VALUE = re.compile(r"\d|[\\$]")
_TAG = re.compile(r"</?[a-z][^<>]{0,40}>", re.I)
# values that their only number is no part of by itself
_WHOLE = re.compile(
    r"\$|\\(?!text)|[<>=≤≥≠|]|(?<![A-Za-z'’])[b-hj-z](?![A-Za-z'’])"
    r"|\b(?:greater|larger|less|smaller|between|at\sleast|at\smost|minus|negative|dozen|hundred|thousand|million|billion)\b",
    re.I,
)


def taken_back(text: str, value: str, problem: str) -> str | None:
    """Return the words by which a response takes back, bounds or changes a value, or None.

    Args:
        text: The response.
        value: What was read as its answer.
        problem: The problem, whose own words say nothing of the value.
    """
    value, window = value.strip(), text[-_WINDOW:]
    if "<" in window:
        window = _TAG.sub(lambda m: " " * len(m.group()), window)
    hedged = lexicon.HEDGES.search(value) if " " in value else None
    if hedged is not None:
        return hedged.group()
    refused = _REFUSED.search(window) if has_any(window[-600:], _I) else None
    if refused is not None and value not in window[refused.end() :]:
        return refused.group()
    if " " in value and (len(value.split()) > 2 or "\\text" in value):
        numbers = NUMBERISH.findall(value)
        value = numbers[0].strip() if len(numbers) == 1 and not _WHOLE.search(value) else value
    at = places(window, value) if len(value) < 100 and _VALUE.search(value) else []
    found = [_around(window, start, start + len(value), problem) for start in at]
    return found[-1] if found and all(found) else None


_SIGNS = ("-", "+", "*", "/", "cdot", "times")
_I = ("I ", "I'", "I’")
_PART_BEFORE = re.compile(r"[\w.,]$|\d[-/^]$")
_PART_BEHIND = re.compile(r"[\w^]|[.,/]\d")


def places(window: str, value: str) -> list[int]:
    """Return where a value begins in the last sentence that has it; a marked one alone."""
    found: list[int] = []
    first, at = 0, window.rfind(value) if value else -1
    while at >= first and len(found) < 9:
        before, end = window[max(0, at - 2) : at], at + len(value)
        if not (_PART_BEFORE.search(before) or _PART_BEHIND.match(window, end)):
            first = first if found else start_before(window, at)
            found.append(at)
        at = window.rfind(value, 0, at)
    for mark in ("\\boxed{", "#### "):
        marked = window.rfind(mark + value) if found else -1
        if marked >= 0:
            return [marked + len(mark)]
    return found


class _Around(NamedTuple):
    """What stands around one place of a value."""

    touching: str  # all that stands before it, as it is written
    before: str  # its sentence up to it, without what only sets it
    behind: str  # what stands behind it and behind what closes it
    close: str  # the beginning of that, with a blank where something closed the value
    problem: str
    question: str  # the last one of the problem


def _around(window: str, start: int, end: int, problem: str) -> str | None:
    """Return the words around one place of a value that take it back, or None."""
    touching = window[max(0, start - 160) : start]
    before = touching[start_before(touching, len(touching)) :]
    before = before[:-24] + _OPENS.sub(" ", before[-24:])
    closes = _CLOSES.match(window, end)
    behind = window[closes.end() if closes is not None else end :]
    gap = " " if closes is not None and closes.group().strip("$*)}]\\") else ""
    around = _Around(touching, before, behind, gap + behind[:120], problem, last_question(problem))
    joined = _operand(around)
    if joined is not None:
        return joined
    silent = not behind.strip(" .")
    for rule in _BEFORE if silent else _BEFORE + _BEHIND:
        for found in rule(around):
            said = found.group("said") if found is not None else ""
            if said and not _is_asked(said, around.question):
                return said
    return None if silent else _doubted(around) or _supposed(around)


_Found = Iterable[re.Match[str] | None]  # by a rule, of which the words of the question never count


def _operand(around: _Around) -> str | None:
    r"""A box that is only part of a calculation: `2 \cdot \boxed{9}`."""
    before = around.touching
    if not before.endswith("{") or not has_any(before[-16:], _SIGNS):
        return None
    joined = _OPERAND.search(before)
    return joined.group("said") if joined is not None else None


def _related(around: _Around) -> _Found:
    r"""A relation right before it: `x \le 9`."""
    yield _RELATED.search(around.before[-16:])


def _denied_before(around: _Around) -> _Found:
    """A denial before it in its clause: "nobody who counts says 9"."""
    if has_any(around.before.lower(), lexicon.HINTS):
        yield from (pattern.search(around.before) for pattern in _IN_CLAUSE)


def _bounded_before(around: _Around) -> _Found:
    """A bound or function right before it, unless its value follows: "just over 9", "half of 9"."""
    last = around.before.lower().rstrip().rpartition(" ")[2]
    if last.startswith(lexicon.LAST_WORDS) and not _COMES_TO.match(
        around.behind
    ):  # half of 32 is 16
        yield _RIGHT_BEFORE.search(around.before[-60:])


def _changed_behind(around: _Around) -> _Found:
    """A remark or an operation right behind it: "9 or so", "9 is too high", "9 squared"."""
    yield from (pattern.match(around.close) for pattern in _RIGHT_BEHIND)


def _retracted_later(around: _Around) -> _Found:
    """What takes it back behind it, if no other value stands between: "9. Scratch that"."""
    later = _LATER.search(around.behind, 0, 400)
    between = around.behind[: later.start()] if later is not None else ""
    if not (_NUMBER.search(between) or _NO_MATTER.search(between) or MATH.search(between)):
        yield later


def _compared_behind(around: _Around) -> _Found:
    """A comparison behind it, where none is asked for: "9 more than"."""
    if around.problem and not _COMPARES.search(around.question):
        yield _COMPARED.match(around.close)


_BEFORE = (_related, _denied_before, _bounded_before)
_BEHIND = (_changed_behind, _retracted_later, _compared_behind)


def _doubted(around: _Around) -> str | None:
    """A question mark, with no other value behind it."""
    return "?" if _ASKS.match(around.behind) and not _NUMBER.search(around.behind) else None


def _supposed(around: _Around) -> str | None:
    """A value that is only supposed, where the question supposes nothing: "he hoped for 9, but"."""
    real = _REAL.search(around.behind)
    unreal = _UNREAL.search(f"{around.before}\0{around.behind}") if real else None
    if unreal is None:
        return None
    said = unreal.group("said")
    asked = _is_asked(said, around.question) if said else asked_by(around.problem).supposes
    return None if asked else unreal.group()


_COMES_TO = re.compile(r"\s?(?:[a-z]{1,15}\s)?(?:is|are|equals?|gives|makes|=)\s\S{0,2}\d")
_COMPARES = re.compile(r"\b(?:more|less|fewer|difference|than|by)\b", re.I)
_ASKS = re.compile(r"\s?\?(?:\s|$)")
_REAL = re.compile(
    r"\b(?:not|but|though|however|actual(?:ly)?|real(?:ity)?|did|do|does)\b|n['’]t\b", re.I
)
_NO_MATTER = re.compile(
    r"\b(?:not|without|never|rest|others?|remaining|nothing)\b[^.!?]{0,15}$", re.I
)
_EXTREME = re.compile(
    r"\b(?:largest|smallest|greatest|fewest|highest|lowest|longest|shortest|most|least|max|min)",
    re.I,
)
_KEYS = re.compile(r"[a-z]{4,}")
_SMALL = frozenset(
    {"than", "that", "this", "with", "just", "well", "much", "would", "have", "been"}
)


def _is_asked(said: str, question: str) -> bool:
    """Whether a question has the words itself, asks for a bound, or speaks of limits."""
    lower = question.lower()
    if said.startswith("at ") and _EXTREME.search(lower):
        return True
    if said.startswith(("tend", "approach", "close", "very close")):
        return _SEQUENCE.search(lower) is not None
    if not question:
        return "short" in said
    words = (w for w in _KEYS.findall(said.lower()) if w not in _SMALL and w not in NUMBER_WORDS)
    word = next(words, "")
    return bool(word) and word[:5] in lower
