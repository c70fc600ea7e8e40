"""Strict and flexible string matching in the sense of lm-eval, for comparison columns only."""

from __future__ import annotations

import re
from fractions import Fraction
from functools import lru_cache

from harness.verify.reading.boxes import boxed
from harness.verify.reading.extract import HASH, Form, tagged_answer

_STRIP = re.compile(r"\\(?:left|right|displaystyle|,|;|!|:| )|\\text\{([^{}]*)\}|[$\s]|\\%|%|\\\$")
_DIGITS, _IN_NUMBER = frozenset("0123456789"), frozenset("0123456789.,$")
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


def strict_match(text: str, gold: str, form: Form) -> bool:
    """Whether the protocol's own form is there and its content equals the gold as a string.

    `boxed`: the last box. `hash`: the number behind the first `####` (as lm-eval's
    strict-match filter of gsm8k). `answer_is`: what follows the first "The answer is" up to
    the end of its sentence (as gsm8k_cot). `answer_tag`: the last `<answer>`. `bare`: the whole
    text.
    """
    if form == "boxed":
        inner = boxed(text)
    elif form == "hash":
        match = HASH.search(text)
        inner = match.group(1) if match else None
    elif form == "answer_tag":
        inner = tagged_answer(text)
    elif form == "answer_is":
        match = re.search(r"The answer is[: ]*([^\n]{1,300}?)(?:\.(?=\s|$)|\n|$)", text)
        inner = match.group(1) if match else None
    else:
        inner = text
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
    end = len(text)
    while end and text[end - 1] not in _DIGITS:
        end -= 1
    if not end:
        return None
    start = end
    while start and text[start - 1] in _IN_NUMBER:
        start -= 1
    if start and text[start - 1] == "-":
        start -= 1
    return text[start:end].replace("$", "").lstrip(",")
