"""The value that a response ends with which marks nothing as its answer.

Every pattern here is linear in the text: no nested repetition, and a search window at the end of a
long response.
"""

# ruff: noqa: RUF001 -- these characters are the subject
from __future__ import annotations

import math
import re

from harness.verify.extraction.closing import HEDGE, concluded
from harness.verify.extraction.phrases import DOUBTED, WINDOW, cut, last_match
from harness.verify.extraction.question import Asked, squeezed, words
from harness.verify.extraction.remarks import CONCLUDES, unsettled, without_remarks
from harness.verify.extraction.sentences import (
    ASSIGNS,
    BOUND,
    HENCE,
    MATH,
    NUMBERISH,
    affirmed,
    content,
    has_digit,
    last_formulas,
)
from harness.verify.extraction.shortening import shortened
from harness.verify.extraction.spoken import spoken_value
from harness.verify.extraction.stops import CLOSING, STOP, last_start
from harness.verify.extraction.tails import tail
from harness.verify.reading.lexicon import DO_NOT, FAIL, MORE, OOPS, WRONG
from harness.verify.reading.words import SPOKEN


def last_value(text: str, asked: Asked) -> str | None:
    """Return the value that a response ends with which commits to nothing.

    Args:
        text: The response.
        asked: What the problem asks for.
    """
    full = without_remarks(cut(text[-WINDOW:]) or text[-WINDOW:].strip(), asked)
    window = _shortened_end(full, asked)
    doubted = unsettled(window)
    if doubted is not None:
        return doubted or None
    for plain in (_before_explanation, _only_numbers, _closing_value):
        value = plain(window, asked)
        if value is not None:
            return value
    formulas, number = list(MATH.finditer(window)), last_match(NUMBERISH, window)
    end = max(number.end() if number is not None else 0, formulas[-1].end() if formulas else 0)
    spoken = spoken_value(window, end, asked)
    if spoken is not None or not end:
        return spoken
    if formulas and (number is None or number.end() <= formulas[-1].end() + 1):
        return _of_formulas(window, formulas, asked)
    assert number is not None
    return _of_numbers(window, number, asked, remark=window == full)


def _shortened_end(window: str, asked: Asked) -> str:
    """Return a text whose last sentence is without what it says beside its value."""
    start = last_start(window)
    return window[:start] + shortened(window[start:], asked)


_FIRST = re.compile(
    r"\s{0,3}([$€£]?\d[\d,]{0,12}(?:\.\d{1,6})?%?(?:\s[a-z]{2,12}){0,2})(?:\.\s{1,2}(?=[A-Z\d])|\n\n)[^\n]{5,200}$"
)
_INTEGER = re.compile(r"\d{1,9}(?:\.\d{1,6})?")


def _before_explanation(window: str, asked: Asked) -> str | None:
    """Return the value that a response begins with: `35` of `35. Each of 5 has 7`."""
    first = _FIRST.match(window)
    if first is None or "=" in window or CONCLUDES.search(window):
        return None
    parts = [float(n) for n in _INTEGER.findall(window[first.end(1) :])]
    worth = float("".join(c for c in first.group(1) if c in "0123456789.").rstrip(".") or 0)
    return first.group(1) if parts and worth in (math.prod(parts), sum(parts)) else None


_NUMBERS_ONLY = re.compile(r"[\s\d,.;$%-]+")


def _only_numbers(window: str, asked: Asked) -> str | None:
    """Return a response of nothing but several numbers as the list that it is: guesses."""
    numbers = NUMBERISH.findall(window) if _NUMBERS_ONLY.fullmatch(window) else []
    return ", ".join(dict.fromkeys(n.strip() for n in numbers)) if len(numbers) > 1 else None


_NOTHING = re.compile(rf"\bno\ssuch\b|\b{DO_NOT}\sexist\b", re.I)
_LISTED = re.compile(
    rf"\b(?:[Tt]here\s(?:are|is)|has|have)\s(?:exactly\s|only\s)?\$?(\d{{1,6}}|{SPOKEN})\$?\s(?:[a-z]{{2,15}}\s?){{1,6}}:\s"
)
_SO_WITHIN = re.compile(rf",\s(?:{HENCE}|leaving)\b")


def _closing_value(window: str, asked: Asked) -> str | None:
    """Return what the last sentence is or ends in: `no such x exists`, `4 pairs: ...`, `2 1/2`."""
    closing = CLOSING.split(window)[-1]
    if _NOTHING.search(closing) and not has_digit(closing):
        return closing.strip(" *")  # which is no value
    listed = _LISTED.search(closing) if asked.numbers else None
    if listed is not None:  # so there are 4 such triples: (2, 7, 16), ...
        return listed.group(1)
    closing = _SO_WITHIN.split(closing)[-1]
    whole = tail(closing) if len(closing) < 300 and not MATH.search(closing) else None
    sure = affirmed(closing, asked.words) is not None and not HEDGE.search(closing)
    return whole if sure else None


# -- formulas --------------------------------------------------------------------------------------

_NAMELY = re.compile(
    r"\b(?:namely|that\sis,|for\sa\stotal\sof|,\sand\s(?:their|its)\s[a-z]{3,12}\sis)\s$"
)  # one digit N for which ..., namely N = 4
_CONDITION = re.compile(r"\b(?:at|when|where|if|for|(in|on|over))\s+$")  # 8 when $x = 3$
# the area is $6a^2 = 24$: what stands before the equals sign only says how it was found
_SUBJECT = re.compile(
    r"^(?!.*\b(?:equations?|relations?|conditions?|constraints?|formulas?|identity|system)\b)"
    r".*\b(?:is|are|was|equals?)\s+(?:therefore\s+|thus\s+|just\s+|simply\s+)?$",
    re.S,
)


def _of_formulas(window: str, formulas: list[re.Match[str]], asked: Asked) -> str:
    """Return the value of a text that ends in formulas."""
    final = formulas[-1]
    before, ends = window[: final.start()], not window[final.end() :].strip(" .,")
    listed = ends and before.endswith(": ") and len(formulas) > 1
    if listed or _NAMELY.search(before):
        return content(final).strip()
    last = last_formulas(formulas, window)
    single = last == content(final).strip()
    named = _asked_for(window, formulas[-6:], single, asked.formulas)
    if named is not None:
        return _unless_denied(content(named).strip(), window, named, asked)
    alone = ends and final.group().startswith(("\\[", "$$", "\\begin"))
    under = _CONDITION.search(before)
    within = len(formulas) > 1 or (under and ("=" not in last or not under.group(1)))
    if single and within and not alone:
        last = concluded(_sentence(window, final), asked) or last
    chosen = last != content(final).strip() and len(formulas) > 1
    if _EXTREMES & asked.words and _BOUND_THAT_IS.search(last):
        last = last.rsplit("=", 1)[1]  # x + 16/x >= 2 * 4 = 8
    subject = "=" in last and _SUBJECT.search(re.split(r"[.,]\s(?!which)", before)[-1])
    if subject and not ASSIGNS.match(last) and "approx" not in last:
        last = re.split(r"(?<![<>!:])=", last)[-1]
    return last if chosen else _unless_denied(last, window, final, asked)


_BOUND_THAT_IS = re.compile(r"(?:\\(?:ge|le|geq|leq)\b|[≥≤])[^=]*=[^=<>≤≥]*$")


def _asked_for(
    window: str, formulas: list[re.Match[str]], single: bool, asked_formulas: frozenset[str]
) -> re.Match[str] | None:
    """Return the equation of the last sentence whose left side is asked for: `m + n = 12`."""
    if not asked_formulas:
        return None
    lefts = [squeezed(content(f).partition("=")[0]) for f in formulas]
    if not single and len(set(lefts[-2:])) < 2:
        return None  # x = 3 or x = 5
    for formula, left in zip(reversed(formulas), reversed(lefts), strict=True):
        if STOP.search(window, formula.end(), formulas[-1].start()):
            return None
        if "=" in content(formula) and left in asked_formulas:
            return formula
    return None


# -- numbers ---------------------------------------------------------------------------------------

_SO = re.compile(
    r"(?:so|thus|hence|therefore|then|finally|now|but|however|which|that['’]s"
    r"|(?:that|this)\s(?:is|makes|gives|leaves|comes))\b",
    re.I,
)
_NOTE = re.compile(
    r"(?:note|notice|remember|recall|for\s(?:comparison|reference))\b"
    r"|\w{1,12}\s(?:had\s)?(?:needed|wanted|hoped|planned|expected)\b",
    re.I,
)
_GOES_ON = re.compile(r"\b(?:and\sso\son|etc)\b|\.\.\.|…")
_BACK = re.compile(
    rf"\b(?:no|{OOPS}|mistake|wrong|sorry|correct(?:ion|ed)|hang\son|hold\son)\b", re.I
)


def _before_remark(window: str, number: re.Match[str], asked: Asked) -> tuple[str, re.Match[str]]:
    """Return the sentence of a number, or the one before it on which it only remarks.

    A remark speaks less of the question, with no "so" or "=" in it: `Note that 7 are red`.
    """
    sentence = _sentence(window, number)
    note = _NOTE.match(sentence)
    so = _SO.match(sentence) or _SO_WITHIN.search(sentence)
    said = any(map(str.isalpha, sentence)) and not so
    if "=" in sentence or not (note or (asked and said)):
        return sentence, number
    earlier = last_match(NUMBERISH, window[: window.rfind(sentence)])
    if earlier is None:
        return sentence, number
    before = _sentence(window, earlier)
    between = window[window.rfind(before) + len(before) : window.rfind(sentence)]
    if any(map(str.isalpha, between)) or _GOES_ON.search(before):
        return sentence, number  # We divide by six. Each angle measures 120 degrees.
    taken_back = _BACK.search(window, max(0, window.rfind(before) - 20))
    less = asked.words & words(sentence) < asked.words & words(before) and not taken_back
    return (before, earlier) if note or less else (sentence, number)


def _of_numbers(
    window: str, number: re.Match[str], asked: Asked, *, remark: bool, again: bool = True
) -> str:
    """Return the value of a text that ends in a sentence with numbers, of which `number` is last.

    `remark` says that it may be a remark on the one before it. Where it only bounds the value of an
    equation before it, the equation has it.
    """
    sentence = _sentence(window, number)
    if remark:
        sentence, number = _before_remark(window, number, asked)
    value = concluded(sentence, asked)
    about = value is not None and (BOUND.match(value) or value.startswith(("nearly", "almost")))
    if again and about and "=" not in sentence:
        shorter = window[: window.rfind(sentence)]
        earlier = last_match(NUMBERISH, shorter) if "=" in shorter else None
        if earlier is not None:  # that is more than 20 thousand in a day
            return _of_numbers(shorter, earlier, asked, remark=remark, again=False)
    if value is not None and "=" in sentence and not _WRONG.match(window, number.end()):
        return value  # what comes behind an equation says nothing about its value
    figure = number.group().strip()
    if value and figure not in value and affirmed(sentence[: sentence.find(value) + len(value)]):
        return value  # 13 passed; 2 did not
    return _unless_denied(value or figure, window, number, asked)


# -- sentences -------------------------------------------------------------------------------------


def _sentence(text: str, found: re.Match[str]) -> str:
    """Return the sentence around a formula or number."""
    start = 0
    blanks = len(found.group()) - len(found.group().lstrip())
    for stop in STOP.finditer(text, 0, found.start() + blanks):
        start = stop.end()
    end = STOP.search(text, found.end())
    return text[start : end.start() if end else len(text)].strip()


_EXTREMES = frozenset({"minim", "least", "small", "fewes", "maxim", "most", "large", "great"})
_BREAKS = (". ", "! ", "? ", "\n", ", ", "; ", ",$ ", ".$ ", ",\\) ", ".\\) ")
_DENIED = re.compile(
    r"(?:\b(?:not|never|cannot)\b|n['’]t\b|不是)\s*"
    r"(?:(?!(?:is|are|was|equals|it['’]s|that['’]s)\b)[\w'’]{1,20}\s+){0,4}"
    rf"[$\\(\[]{{0,2}}$|\b(?:{MORE}|bigger|higher|lower|shorter|longer)\s+than\s*[$\\(\[]{{0,2}}$"
)
# a condition on what the value is of, in which "not" says nothing about the value itself
_SUCH = re.compile(
    r"\b(?:such that|where|who|which|that|so that)\b[^.]{0,200}\b(?:is|are|equals)\b"
    r"|\bnot\s+(?!(?:true|the|think|believe|sure|certain|correct|possible|that|mean)\b)[^.]{0,200}"
    r"\b(?:is|are|equals)\s+[$\\(\[]{0,2}$"
)
_RELATIVE = re.compile(r"\b(?:which|that|who)\s+\w{1,6}(?:\s+not|n['’]t)\b[^,.;]*")
_WRONG = re.compile(
    rf"[$\\)\]]{{0,2}}\s*(?:(?:is|are|was|were)\s*(?:not\b|n['’]t\b|{WRONG})"
    rf"|{DO_NOT}\s(?:{FAIL}|fit)\b)",
    re.I,
)


def _unless_denied(value: str, text: str, found: re.Match[str], asked: Asked) -> str:
    """Return a value, or the clause around it where that says what the answer is not."""
    start = max(text.rfind(mark, 0, found.start()) for mark in _BREAKS) + 1
    stop = STOP.search(text, found.end())
    clause = text[start : stop.start() if stop else len(text)].strip()
    before = text[start : found.start()]
    denied = DOUBTED.search(before) or ("not" not in asked.words and _DENIED.search(before))
    wrong = not {"wrong", "incor", "not"} & asked.words and _WRONG.match(text, found.end())
    if denied or wrong:
        return clause
    denies = affirmed(_RELATIVE.sub("", clause), asked.words) is None and not _SUCH.search(before)
    return clause if denies and "not" not in asked.words else value
