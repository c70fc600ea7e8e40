"""A sentence without what it says beside its value."""

# ruff: noqa: RUF001 -- these characters are the subject
from __future__ import annotations

import re

from harness.verify.extraction.sentences import has_digit


def shortened(sentence: str, asked: frozenset[str]) -> str:
    """Return a sentence without what it says beside its value; `asked` are the question's words."""
    for rule in _RULES:
        sentence = rule(sentence, asked)
    return sentence


_THAT_IS = re.compile(r",\si\.e\.,?\s(?=[^,;]{0,30}\d)(?=[^,;]*$)")


def _behind_that_is(sentence: str, asked: frozenset[str]) -> str:
    """Return what stands behind "i.e.": `18` of `a dozen and a half, i.e. 18`."""
    found = _THAT_IS.search(sentence)
    words_first = found is not None and not has_digit(sentence[: found.start()])
    return sentence[found.end() :] if found is not None and words_first else sentence


_FAILS = re.compile(
    r"(?:,\s(?:while|whereas|but)|(?:;|,?\sand)(?=\s\S{0,3}\d))\s([^,;]{1,80}?)\b(?:d(?:o|oes|id)\snot|n['’]t|fails?)\b"
)
_NOT_SO = re.compile(r"\bnot\b[^.]*,\s(?:so|thus|hence|therefore)\b")


def _without_failure(sentence: str, asked: frozenset[str]) -> str:
    """Return a sentence without what fails: `n = 3 works` of `n = 3 works, while n = 2 does not`.

    Where the question is what does not, only that.
    """
    fails = _FAILS.search(sentence)
    if fails is None or not has_digit(sentence[: fails.start()]) or _NOT_SO.search(sentence):
        return sentence
    return fails.group(1) if "not" in asked else sentence[: fails.start()]


_ROUNDED = re.compile(r"\bround(?:s|ed|ing)\b[a-z\s]{0,30}\bto\s(\S{0,3}\d.*)$")


def _as_rounded(sentence: str, asked: frozenset[str]) -> str:
    """Return what a value rounds to, where that is asked: `8%` of `8.3%, which rounds to 8%`."""
    rounded = _ROUNDED.search(sentence) if {"round", "neare"} & asked else None
    return rounded.group(1) if rounded is not None else sentence


_PRECISION = re.compile(
    r"(?:,?\s?\brounded)?\s?\bto\s(?:\w{1,9}\s(?:significant\s\w{1,9}|decimals?(?:\s(?:places?|digits?|points?))?)|the\snearest\s\w{1,12})\b,?",
    re.I,
)


def _without_precision(sentence: str, asked: frozenset[str]) -> str:
    """Return a sentence without `to two significant digits` or `rounded to 2 decimal places`."""
    return _PRECISION.sub("", sentence)


_OCCURS = re.compile(
    r",?\s(?:which|this|and|it)\s(?:it\s)?(?:occurs|happens|is\s(?:attained|achieved|reached|found))\s.*$"
)


def _without_where(sentence: str, asked: frozenset[str]) -> str:
    """Return a sentence without where it is so: `the maximum is 8, which occurs at x = 4`.

    Unless the question is where.
    """
    occurs = _OCCURS.search(sentence) if not {"occur", "attai", "where"} & asked else None
    if occurs is None or not has_digit(sentence[: occurs.start()]):
        return sentence
    return sentence[: occurs.start()]


_RULES = (_behind_that_is, _without_failure, _as_rounded, _without_precision, _without_where)
