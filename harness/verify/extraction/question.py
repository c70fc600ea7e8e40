"""What a problem asks for: the words of its question, its formulas, the rounding, the unit."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from harness.verify.extraction.pieces import RELATIONS, pieces
from harness.verify.extraction.sentences import MATH, content
from harness.verify.extraction.stops import IN_PROBLEM
from harness.verify.limits import MAX_ANSWER, with_allowance
from harness.verify.reading.words import UNITS, number_of

_PLACES = {
    "tenth": 1, "hundredth": 2, "thousandth": 3, "cent": 2, "penny": 2, "ten": -1, "hundred": -2,
    "thousand": -3, "million": -6,
}  # fmt: skip
_NEAREST = re.compile(
    r"\bnearest\s+\$?(?:\\?\$)?(one[- ]|ten[- ])?(whole|integer|unit|dollar|degree|percent|tenth"
    r"|hundredth|thousandth|cent|penny|ten|hundred|thousand|million|[a-z]{1,12})\b",
    re.I,
)
_DECIMALS = re.compile(
    r"\b(\d|one|two|three|four|five|six)\s+(?:decimal|places?\s+(?:after|of\s+decimal))", re.I
)
_ASKED = re.compile(
    r"\b(in|how\s+many|number\s+of)\s+(?:the\s+|(?:more|fewer|total)\s+)?(square\s+|cubic\s+)?\$?(?:\\(?:text|mathrm)"
    r"\s*\{\s*)?([a-z]{2,12})\b(?!\s+(?:per|a|an|each)\b|\s*[/^\\])(\s+of\b)?",
    re.I,
)

_WORD = re.compile(r"[a-z]{3,15}")
_COMMON = {
    "the", "and", "are", "was", "were", "has", "have", "had", "how", "many", "much", "what", "does",
    "did", "will", "would", "can", "could", "for", "with", "from", "that", "this", "they", "she",
    "his", "her", "its", "their", "there", "find", "each", "all", "after", "before", "more", "less",
    "than",
}  # fmt: skip


@dataclass(frozen=True)
class Asked:
    """What the question of a problem asks for; all of it empty where no problem is given.

    Attributes:
        words: The words of the last question, or last sentence, without their endings; its
            numbers, and the names of units as they are written.
        head: The words of what is asked for, without what it is of: `area` of "the area of a
            circle".
        counted: The units that it counts: `days` in "how many days".
        given: All numbers of the problem.
        quantities: The numbers of the question, each with the word behind it: `20 chick`.
        formulas: The formulas whose value it asks for, without blanks: `m+n`, `f(2)`.
        numbers: How often it asks for a number of things: 2 for "how many cows and how many hens".
        scale: The word of a scale that it counts in: `dozen`, `million`; or nothing.
        supposes: Whether it asks what would be.
        difference: Whether it asks by how much.
        time: Whether it asks for a time.
    """

    words: frozenset[str] = frozenset()
    head: frozenset[str] = frozenset()
    counted: frozenset[str] = frozenset()
    given: frozenset[str] = frozenset()
    quantities: frozenset[str] = frozenset()
    formulas: frozenset[str] = frozenset()
    numbers: int = 0
    scale: str = ""
    supposes: bool = False
    difference: bool = False
    time: bool = False

    def __bool__(self) -> bool:
        return bool(self.words)

    def weight(self, said: Iterable[str]) -> int:
        """Return how much some words speak of the question, most by what is asked for itself."""
        return sum((w in self.words) + 2 * (w in self.head) for w in said)


NOTHING = Asked()

_REMAIN = re.compile(r"\bremain(?:s|ing|ed)?\b|\bleft\s?over\b")


def words(text: str) -> frozenset[str]:
    """Return the words of a text that say something, without their endings."""
    found = _WORD.findall(_REMAIN.sub("left", MATH.sub(" ", text).lower()))
    return frozenset(w[:5].rstrip("s") for w in found if w not in _COMMON and w not in UNITS)


@lru_cache(maxsize=1024)
def last_question(problem: str) -> str:
    """Return the last question of a problem, or its last sentence."""
    sentences = IN_PROBLEM.split(problem[-2_000:].strip())
    return next((s for s in reversed(sentences) if s.endswith("?")), sentences[-1])


@lru_cache(maxsize=1024)
def asked_by(problem: str) -> Asked:
    """Return what a problem asks for; nothing by an empty one."""
    if not problem:
        return NOTHING
    question = last_question(problem)
    numbers = _GIVEN.findall(question)
    asks = _ASKS.search(question)
    question = question[max(0, asks.start() - 3) :] if asks is not None else question
    units = {w for w in _WORD.findall(question.lower()) if w in UNITS}
    head = _HEAD.search(question)
    scale = _HOW_MANY_SCALE.search(question)
    said = words(question) | units | set(numbers)
    return Asked(
        words=said,
        head=words(head.group(1)) if head is not None else frozenset(),
        counted=frozenset(_HOW_MANY_UNITS.findall(question.lower())) & UNITS.keys(),
        given=frozenset(_GIVEN.findall(problem[-2_000:])),
        quantities=frozenset(map(" ".join, _QUANTITY.findall(question.lower()))),
        formulas=_asked_formulas(problem[-_QUESTION:]),
        numbers=len(_HOW_MANY.findall(problem, max(0, len(problem) - _QUESTION))),
        scale=next(filter(None, scale.groups())).lower() if scale is not None else "",
        supposes=_SUPPOSES.search(question) is not None,
        difference=_BY_HOW_MUCH.search(question) is not None,
        time="when" in said or _WHAT_TIME.search(question) is not None,
    )


def _asked_formulas(end: str) -> frozenset[str]:
    """Return the formulas that a problem's end asks for, without blanks: `m+n`, `f(2)`."""
    found = [MATH.match(end, asks.end()) for asks in _FIND.finditer(end)]
    return frozenset(
        squeezed(content(m))
        for m in found
        if m is not None and "=" not in m.group() and _ASKED_ALONE.match(end, m.end())
    )


def squeezed(formula: str) -> str:
    """Return a formula without blanks and without a stop behind it."""
    return "".join(formula.split()).rstrip(".,;?")


_FIND = re.compile(
    r"\b(?:find|compute|determine|evaluate|calculate|what\s(?:is|are))\s(?:the\svalue\sof\s)?"
    r"|\b(?:what|which)\svalues?\sof\s"
    r"|\b(?:for|at)\s(?:which|what)\s(?:(?:real|positive|negative|integer|whole)\s)*(?:(?:numbers?|values?|integers?)\s)?(?:of\s)?",
    re.I,
)
_ASKED_ALONE = re.compile(r"\s?(?:[.?!,]|when\b|if\b|given\b|does\b|do\b|is\b|are\b|will\b|$)")

_BY_HOW_MUCH = re.compile(
    r"\bby\s(?:how|what)\b|\bhow\s(?:many|much)\s(?:[a-z]{1,15}\s)?(?:more|fewer|less|longer|older|farther|further)\b",
    re.I,
)
_HOW_MANY_UNITS = re.compile(r"\bhow\smany\s(?:more\s|full\s|whole\s|total\s)?([a-z]{3,15})\b")
_HEAD = re.compile(
    r"\b(?:find|determine|compute|calculate|what\s(?:is|was|are))\s(?:the|its|his|her|their)\s(.{3,60}?)"
    r"(?:\s(?:of|for|in|when|if|that|such|to)\b|[?.,]|$)",
    re.I,
)
_QUANTITY = re.compile(r"(\d[\d,.]*(?<=\d))\s([a-z]{1,5})")
_GIVEN = re.compile(r"\d[\d,.]*(?<=\d)")
_SUPPOSES = re.compile(r"\b(?:would|could|if|suppose|were)\b", re.I)
_SCALES = "dozen|hundred|thousand|million|billion"
_HOW_MANY_SCALE = re.compile(
    rf"\bhow\smany\s(?:(?:more|whole|full|total)\s)?({_SCALES})s?\b|\bin\s({_SCALES})s\b"
    rf"|\bnumber\sof\s({_SCALES})s\b",
    re.I,
)
_WHAT_TIME = re.compile(
    r"\bwhat\s(?:is\sthe\s(?:latest|earliest)\s)?time\b|\btime\sof\sday\b|\bwhat\shour\b", re.I
)
_HOW_MANY = re.compile(r"how\s+many\b|\bnumber\s+of\b", re.I)
_ASKS = re.compile(r"\b(?:how\s+(?:much|many|far|long|fast|old|tall)|what)\b", re.I)
_QUESTION = 300  # characters at the end of a problem that ask for the answer


@lru_cache(maxsize=1024)
def asked_places(problem: str) -> int | None:
    """Return the place that a problem rounds to: 1 for tenths, 0 for whole numbers; or None."""
    decimals = _DECIMALS.search(problem)
    if decimals is not None:
        said = decimals.group(1).lower()
        return int(said) if said.isdigit() else number_of([said])
    nearest = _NEAREST.search(problem)
    if nearest is None:
        return None
    scale, unit = nearest.group(1) or "", nearest.group(2).lower()
    if scale.lower().startswith("ten") and unit in ("thousand", "thousandth"):
        return _PLACES[unit] + (1 if unit == "thousandth" else -1)
    return _PLACES.get(unit, 0)


@lru_cache(maxsize=1024)
def asked_unit(problem: str) -> str | None:
    """Return the unit that a problem asks its answer in, or None."""
    found = None
    for match in _ASKED.finditer(problem, max(0, len(problem) - _QUESTION)):
        power, unit = (match.group(2) or "").lower(), match.group(3).lower()
        # the last one, for the question ends a problem; "in the second week" asks for no unit
        one = unit == "in" or (len(unit) > 2 and f"{unit}s" in UNITS)
        amount = match.group(4) is None or match.group(1).lower() != "in"
        if unit in UNITS and amount and not one and not _ASKS.search(problem, match.end()):
            found = power + unit
    return found


def is_asked_for(expression: str, problem: str) -> bool:
    """Whether an expression is a formula of the problem, whose value is then an answer to it."""
    found = pieces(expression) if len(expression) <= MAX_ANSWER else ()
    return bool(found) and found in _formulas(problem)


@lru_cache(maxsize=1024)
def _formulas(problem: str) -> frozenset[tuple[str, ...]]:
    """Return the formulas of a problem in which nothing is related to anything."""
    found = with_allowance(lambda p: [pieces(content(m)) for m in MATH.finditer(p)], problem)
    return frozenset(f for f in found if not RELATIONS.intersection(f))
