r"""What is said behind an answer of the letters in it: `k \in \mathbb{Z}`, "for any real c"."""

from __future__ import annotations

import re
from bisect import bisect_left
from typing import NamedTuple

from harness.verify.reading.number_sets import of_bound, of_symbol, of_words

_TOKEN = re.compile(r"\\[a-zA-Z]+|\\.|[a-zA-Z]+|\d+|\S", re.S)
_SILENT = {
    "{", "}", "$", "\\,", "\\ ", "\\;", "\\!", "\\:", "~", "\\quad", "\\qquad", "\\text",
    "\\mathrm", "\\left", "\\right", "\\mbox", "\\textrm", "\\mathbb", "\\mathbf", "\\Bbb",
    "\\textbf", "\\displaystyle",
}  # fmt: skip
_TAIL = 240  # characters at the end of an answer that are looked at
_MOST = 40  # of their tokens

_ALL = r"(?:(?:all|any|every|some|each) ){0,2}"
_LEAD = rf"(?:(?:,|;|\(|where|with|for|and|here) ){{1,3}}{_ALL}"
# several names need something that parts them from the answer before them
_NAMES = rf"(?:{_LEAD}(?P<names>[a-zA-Z](?: , [a-zA-Z]){{0,3}})|(?<= )(?P<name>[a-zA-Z]))"
_ONE_OF = (
    r"(?:real|rational|arbitrary|integers?|integral|constants?|whole|natural|non(?: -)?|nonnegative"
    r"|positive|negative|complex|fixed|numbers?|parameters?|values?|of|reals|free)"
)
_DECLARED = [
    re.compile(form)
    for form in (
        # , k, m \in \mathbb{Z}
        rf"{_NAMES} \\in (?P<kind>[ZNRQC])(?: [_^*+0>\\\w-]{{1,4}}){{0,4}}(?: \))?$",
        # for any real constant c
        rf"(?:{_LEAD}|{_ALL})(?:(?:an?|the) )?(?P<kind>(?:{_ONE_OF} ){{1,5}})"
        r"(?P<names>[a-zA-Z](?: , [a-zA-Z]){0,3})(?: \))?$",
        # where c is an arbitrary constant
        rf"{_NAMES} (?:(?:is|are|be|being|can be|may be) (?:(?:an?|any|some|all) )?|an? |"
        r"(?=arbitrary |free |any ))"
        rf"(?P<kind>(?:{_ONE_OF} ?){{1,5}})(?: \))?$",
        # (n \ge 2)
        r"\( (?P<names>[a-zA-Z]) (?P<kind>(?:[<>≤≥]|\\(?:[gl]eq?|[gl]eqslant|neq?)) (?:- )?\d+)"
        r"(?: \))?$",
        # (k = 0, 1, 2, \ldots)
        rf"{_NAMES} = (?P<kind>(?:0 , )?1 , 2)(?: , 3)? , (?:\\[lc]?dots|\. \. \.|…)(?: \))?$",
    )
]
_HINTS = (
    "\\in",
    "integer",
    "real",
    "constant",
    "number",
    "dots",
    "...",
    "parameter",
    "rational",
    "natural",
)
_BOUNDS = ("\\ge", "\\le", "\\ne", "<", ">", "\u2264", "\u2265")


class Declared(NamedTuple):
    """Letters that an answer declares, and what for.

    Attributes:
        names: The letters.
        kind: `Z`, `N` (whole numbers from some number on) or `R`.
        numbers: The sets of numbers that may be meant, for words and signs have several meanings:
            `Z`, `Q`, `R`, `C`, `R>0`, `R>=0`, or for the whole numbers from 2 on `2`. Empty where
            it is not known.
    """

    names: frozenset[str] = frozenset()
    kind: str = ""
    numbers: frozenset[str] = frozenset()

    def differs(self, other: Declared) -> bool:
        """Whether both are of known numbers, and of no set in common."""
        return bool(self.numbers and other.numbers) and self.numbers.isdisjoint(other.numbers)


def declared(text: str) -> tuple[str, Declared]:
    """Return an answer without the declaration at its end, and what it declares."""
    bounded = "(" in text and any(mark in text for mark in _BOUNDS)
    if not bounded and not any(hint in text for hint in _HINTS):
        return text, Declared()
    tail = max(0, len(text) - _TAIL)
    found = [m for m in _TOKEN.finditer(text, tail) if m.group() not in _SILENT][-_MOST:]
    starts, said = [], ""
    for token in found:
        said += " " * bool(said)
        starts.append(len(said))
        said += token.group()
    for pattern in _DECLARED:
        match = pattern.search(said)
        if match is None:
            continue
        at = found[bisect_left(starts, match.start())].start()
        left = _without_opening(text[:at])
        if not left:  # `x \in \mathbb{R}` is an answer itself
            continue
        names = match.groupdict().get("names") or match["name"]
        kind, whole = match["kind"], match.group()
        return left, Declared(
            frozenset(names.split(" , ")),
            _kind(kind, whole),
            _numbers(kind, match.string[match.start("kind") : match.end()]),
        )
    return text, Declared()


_OPENING = re.compile(
    r"(?:\\(?:text|mathrm|mbox|textrm|textbf)\s?\{|\\q?quad|\\[ ,;!:]|\\left|[\s,;($~{])$"
)


def _without_opening(text: str) -> str:
    r"""Return a text without what opened a declaration behind it: `\text{`, a bracket, a dollar."""
    while (opening := _OPENING.search(text[-12:])) is not None:
        text = text[: len(text) - (len(text[-12:]) - opening.start())]
        if opening.group() == "$" and text.count("$") % 2:
            return text + "$"  # that closed a formula
    return text


def _kind(said: str, whole: str) -> str:
    if said in ("Z", "N"):
        return "N" if _STARTS.search(whole) else said
    if said[0] in "\\<>≤≥" or re.search(r"natural|1 ,|(?:positive|negative).*integer", said):
        return "N"
    return "Z" if re.search(r"integer|integral|whole", said) else "R"


_STARTS = re.compile(r"[ZN] .*(?:[+>*]|\\g(?:eq?|t)\b)|[ZN] [_^] 0")  # only some of the numbers


def _numbers(said: str, behind: str) -> frozenset[str]:
    """Return the sets of numbers that a declaration may mean; `behind` is all from `said` on."""
    if said in ("Z", "N", "R", "Q", "C"):
        return of_symbol(behind)
    if said[0] in "\\<>≤≥":
        return of_bound(said)
    return frozenset(said[0]) if "1 , 2" in said else of_words(said)
