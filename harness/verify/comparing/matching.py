"""Strict and flexible string matching in the sense of lm-eval, for comparison columns only."""

from __future__ import annotations

import re
from collections.abc import Callable
from fractions import Fraction
from functools import lru_cache

from harness.verify.extraction.boxes import boxed
from harness.verify.extraction.extract import HASH, Form, tagged_answer

_STRIP = re.compile(r"\\(?:left|right|displaystyle|,|;|!|:| )|\\text\{([^{}]*)\}|[$\s]|\\%|%|\\\$")
_NUMBER_BACKWARDS = re.compile(r"[0-9][0-9.,$]*-?")
_PLAIN = re.compile(r"-?(?:\d+(?:\.\d*)?|\.\d+)")


def normalised(text: str) -> str:
    """Return a string as lm-eval's exact match would compare it, a number in lowest terms."""
    if text.isascii() and text.isdigit():
        return text.lstrip("0") or "0"
    bare = _STRIP.sub(lambda m: m.group(1) or "", text).rstrip(".").replace("dfrac", "frac")
    number = bare.replace(",", "")
    if number.isascii() and number.isdigit():
        return number.lstrip("0") or "0"
    if len(number) < 400 and _PLAIN.fullmatch(number):
        return str(Fraction(number))
    return bare.lower()


_of_gold = lru_cache(maxsize=1024)(normalised)  # a gold answer comes back for every sample


def _first(pattern: str | re.Pattern[str]) -> Callable[[str], str | None]:
    return lambda text: found.group(1) if (found := re.search(pattern, text)) else None


_IN_FORM: dict[Form, Callable[[str], str | None]] = {
    "boxed": boxed,
    "hash": _first(HASH),
    "answer_is": _first(r"The answer is[: ]*([^\n]{1,300}?)(?:\.(?=\s|$)|\n|$)"),
    "answer_tag": tagged_answer,
    "bare": str,
}


def strict_match(text: str, gold: str, form: Form) -> bool:
    """Whether the protocol's own form is there and its content equals the gold as a string.

    `boxed`: the last box. `hash`: the number behind the first `####` (as lm-eval's
    strict-match filter of gsm8k). `answer_is`: what follows the first "The answer is" up to
    the end of its sentence (as gsm8k_cot). `answer_tag`: the last `<answer>`. `bare`: the whole
    text.
    """
    inner = _IN_FORM[form](text)
    shown = normalised(inner) if inner is not None else ""
    return bool(shown) and shown == _of_gold(gold)


def flexible_match(text: str, gold: str) -> bool:
    """Whether the last number equals the gold as a string.

    For a gold that is no number: whether the last box, else the last formula between dollar
    signs, else the last line does.
    """
    wanted = _of_gold(gold)
    if not wanted:
        return False
    tail = text[-4_000:]
    if wanted.isdigit() or re.fullmatch(r"-?\d+(?:/\d+)?", wanted):
        number = last_number(tail)
        return number is not None and normalised(number) == wanted
    inner = boxed(text)
    if inner is None:
        formulas = re.findall(r"\$([^$\n]{1,400})\$", tail)
        inner = formulas[-1] if formulas else tail.strip().splitlines()[-1] if tail.strip() else ""
    return normalised(inner) == wanted


def last_number(text: str) -> str | None:
    """Return the last run of digits with its points, commas and sign; found from the end."""
    found = _NUMBER_BACKWARDS.search(text[::-1])
    return found.group()[::-1].replace("$", "").lstrip(",") if found else None
