"""The value that a response ends with which marks nothing as its answer.

Every pattern here is linear in the text: no nested repetition, and a search window at the end of a
long response.
"""

# ruff: noqa: RUF001 -- these characters are the subject
from __future__ import annotations

import math
import re

from harness.verify.extraction.closing import HEDGE, concluded
from harness.verify.extraction.phrases import DOUBTED, SENTENCE, WINDOW, cut, last_match
from harness.verify.extraction.problem import HOW_MANY, squeezed, words
from harness.verify.extraction.remarks import CONCLUDES, unsettled, without_remarks
from harness.verify.extraction.sentences import (
    ASSIGNS,
    BOUND,
    MATH,
    NUMBERISH,
    affirmed,
    content,
    last_formulas,
)
from harness.verify.extraction.tails import tail
from harness.verify.reading.words import DENOMINATORS, NUMBER_WORDS, SPOKEN


def last_value(
    text: str, asked: frozenset[str], asked_formulas: frozenset[str] = frozenset()
) -> str | None:
    """Return the value that a response ends with which commits to nothing.

    Args:
        text: The response.
        asked: The words of the problem's question.
        asked_formulas: The formulas whose value it asks for, without blanks.
    """
    window = without_remarks(cut(text[-WINDOW:]) or text[-WINDOW:].strip())
    doubted = unsettled(window)
    if doubted is not None:
        return doubted or None
    plain = _stated(window, asked)
    if plain is not None:
        return plain
    formulas, number = list(MATH.finditer(window)), last_match(NUMBERISH, window)
    end = max(number.end() if number is not None else 0, formulas[-1].end() if formulas else 0)
    spoken = _in_words(window, end, asked)
    if spoken is not None or not end:
        return spoken
    if formulas and (number is None or number.end() <= formulas[-1].end() + 1):
        return _of_formulas(window, formulas, asked, asked_formulas)
    assert number is not None
    return _of_numbers(window, number, asked)


def _stated(window: str, asked: frozenset[str]) -> str | None:
    """Return the value of a response that begins with it, or ends in a whole value or a list."""
    first = _FIRST.match(window)
    if first is not None and "=" not in window and not CONCLUDES.search(window):
        parts = [float(n) for n in _INTEGER.findall(window[first.end(1) :])]
        worth = float("".join(c for c in first.group(1) if c in "0123456789.").rstrip(".") or 0)
        if parts and worth in (math.prod(parts), sum(parts)):
            return first.group(1)  # 35. Each of 5 bags has 7 marbles.
    if _NUMBERS_ONLY.fullmatch(window) and len(numbers := NUMBERISH.findall(window)) > 1:
        return ", ".join(dict.fromkeys(n.strip() for n in numbers))  # guesses
    closing = _CLOSING.split(window)[-1]
    if _NOTHING.search(closing) and not any(map(str.isdigit, closing)):
        return closing.strip(" *")  # which is no value
    listed = _LISTED.search(closing) if HOW_MANY in asked else None
    if listed is not None:  # so there are 4 such triples: (2, 7, 16), ...
        return listed.group(1)
    closing = _SO_WITHIN.split(closing)[-1]
    whole = tail(closing) if len(closing) < 300 and not MATH.search(closing) else None
    sure = affirmed(closing) is not None and not HEDGE.search(closing)
    return whole if sure else None


def _in_words(window: str, end: int, asked: frozenset[str]) -> str | None:
    """Return the value in words behind all figures, which end at `end`, or without any."""
    closing = _CLOSING.split(window)[-1]
    named = _NAMED.search(window, end)
    if named is not None and end:  # in a sentence of their own
        gap = re.split(r"[.!?]\s|\n", window[end : named.start()])
        least = asked & words(window[:end].rsplit("\n", 1)[-1].rsplit(". ", 1)[-1])
        so = re.search(r"\b(?:so|thus|hence|therefore)\b", gap[-1])
        own = (len(gap) > 1 or so) and not asked & words(gap[-1] + named.group()) < least
        number = named.group(2) or named.group(3)
        named = named if number and (own or not "".join(gap).strip()) else None
    if named is not None:
        word = next(filter(None, named.groups())).strip()
        if word == "one" and any(map(str.isdigit, closing)):
            return None  # 56 are without candles, while 8 hold one
        part = DENOMINATORS.get(word, (0, True))[1] is False and not _IN_LINE.search(window)
        return f"one {word}" if part else word
    hence = _HENCE.match(closing) or asked & words(closing)
    once = re.findall(rf"\b{SPOKEN}", closing.lower()) if hence and end else []
    if len(once) == 1 and once[0] != "one" and not any(map(str.isdigit, closing)):
        value = concluded(closing, asked)  # so he practises twelve times
        if value is not None or _HENCE.match(closing):
            return value or str(once[0])
    if end:
        return None
    closing = re.split(r"[.!?]\s|\n", window.rstrip(" .!"))[-1]  # nine lines of symmetry
    ends = window.endswith((".", "!")) and not re.search(r"\b(?:than|no)\b", closing)
    value = concluded(closing, asked) if ends and affirmed(closing) is not None else None
    numeral = value is not None and re.search(rf"{SPOKEN}|∞|infinity", value.lower())
    return value if numeral or (value and any(map(str.isnumeric, value))) else None


def _of_formulas(
    window: str,
    formulas: list[re.Match[str]],
    asked: frozenset[str],
    asked_formulas: frozenset[str],
) -> str:
    """Return the value of a text that ends in formulas."""
    ends = not window[formulas[-1].end() :].strip(" .,")
    shown = ends and window[: formulas[-1].start()].endswith(": ") and len(formulas) > 1
    if shown or _NAMELY.search(window, 0, formulas[-1].start()):
        return content(formulas[-1]).strip()
    last = last_formulas(formulas, window)
    single = last == content(formulas[-1]).strip()
    lefts = [squeezed(content(f).partition("=")[0]) for f in formulas[-6:]]
    several = len(set(lefts)) < len(lefts)
    for formula in reversed(formulas[-6:] if asked_formulas and (single or not several) else []):
        if SENTENCE.search(window, formula.end(), formulas[-1].start()):
            break
        value = content(formula).strip()
        left, equals, _ = value.partition("=")
        if equals and squeezed(left) in asked_formulas:
            return _unless_denied(value, window, formula, asked)
    before = window[: formulas[-1].start()]
    shown = formulas[-1].group().startswith(("\\[", "$$", "\\begin"))
    alone = shown and not window[formulas[-1].end() :].strip(" .,")
    under = _CONDITION.search(before)
    within = len(formulas) > 1 or (under and ("=" not in last or not under.group(1)))
    if single and within and not alone:
        last = concluded(_sentence(window, formulas[-1]), asked) or last
    chosen = last != content(formulas[-1]).strip() and len(formulas) > 1
    subject = "=" in last and _SUBJECT.search(re.split(r"[.,]\s(?!which)", before)[-1])
    if subject and not ASSIGNS.match(last) and "approx" not in last:
        last = re.split(r"(?<![<>!:])=", last)[-1]
    return last if chosen else _unless_denied(last, window, formulas[-1], asked)


def _of_numbers(
    window: str, number: re.Match[str], asked: frozenset[str], again: bool = True
) -> str:
    """Return the value of a text that ends in a sentence with numbers, of which `number` is last.

    A sentence that only remarks on the one before it is passed over, once.
    """
    sentence = _sentence(window, number)
    so = _SO.match(sentence) or _SO_WITHIN.search(sentence)
    said = any(map(str.isalpha, sentence)) and not so
    if "=" not in sentence and (_NOTE.match(sentence) or (asked and said)):
        earlier = last_match(NUMBERISH, window[: window.rfind(sentence)])
        before = _sentence(window, earlier) if earlier is not None else ""
        since = max(0, window.rfind(before) - 20) if before else 0
        taken_back = earlier is not None and _BACK.search(window, since)
        less = asked & words(sentence) < asked & words(before) and not taken_back
        if earlier and (_NOTE.match(sentence) or less):
            sentence, number = before, earlier  # what stands behind it is a remark
    value = concluded(sentence, asked)
    about = value is not None and (BOUND.match(value) or value.startswith(("nearly", "almost")))
    if again and about and "=" not in sentence:
        shorter = window[: window.rfind(sentence)]
        earlier = last_match(NUMBERISH, shorter) if "=" in shorter else None
        if earlier is not None:  # that is more than 20 thousand in a day
            return _of_numbers(shorter, earlier, asked, again=False)
    if value is not None and "=" in sentence and not _WRONG.match(window, number.end()):
        return value  # what comes behind an equation says nothing about its value
    figure = number.group().strip()
    if value and figure not in value and affirmed(sentence[: sentence.find(value) + len(value)]):
        return value  # 13 passed; 2 did not
    return _unless_denied(value or figure, window, number, asked)


_FIRST = re.compile(
    r"\s{0,3}([$€£]?\d[\d,]{0,12}(?:\.\d{1,6})?%?(?:\s[a-z]{2,12}){0,2})(?:\.\s{1,2}(?=[A-Z\d])|\n\n)[^\n]{5,200}$"
)
_BACK = re.compile(
    r"\b(?:no|wait|actually|oops|mistake|wrong|sorry|correct(?:ion|ed)|hang\son|hold\son)\b", re.I
)
_IN_LINE = re.compile(
    r"\b(?:in\sline|place|floor|in\sthe\s(?:row|queue|race)|position)\b[^\n]{0,9}$"
)
_NAMELY = re.compile(
    r"\b(?:namely|that\sis,|for\sa\stotal\sof|,\sand\s(?:their|its)\s[a-z]{3,12}\sis)\s$"
)  # one digit N for which ..., namely N = 4
_LISTED = re.compile(
    rf"\b[Tt]here\s(?:are|is)\s(?:exactly\s|only\s)?\$?(\d{{1,6}}|{SPOKEN})\$?\s(?:[a-z]{{2,15}}\s?){{1,6}}:\s"
)
_NUMBERS_ONLY = re.compile(r"[\s\d,.;$%-]+")
_NOTHING = re.compile(r"\bno\ssuch\b|\bdo(?:es)?(?:\snot|n['’]t)\sexist\b", re.I)
_SO_WITHIN = re.compile(r",\s(?:so|thus|hence|therefore|leaving)\b")
_HENCE = re.compile(r"(?:so|thus|hence|therefore|in\s(?:total|all)|altogether)\b", re.I)
_BOUNDED = re.compile(r"\b(?:at\s(?:most|least)|no\s(?:more|less|fewer)\sthan)\s*[$\\(\[]{0,2}$")
_EXTREMES = frozenset({"minim", "least", "small", "fewes", "maxim", "most", "large", "great"})
_INTEGER = re.compile(r"\d{1,9}(?:\.\d{1,6})?")
_CLOSING = re.compile(r"(?<=[\w)*])[.!?]\s+|\n+")
_SO = re.compile(
    r"(?:so|thus|hence|therefore|then|finally|now|but|however|which|that['’]s"
    r"|(?:that|this)\s(?:is|makes|gives|leaves|comes))\b",
    re.I,
)
# the area is $6a^2 = 24$: what stands before the equals sign only says how it was found
_SUBJECT = re.compile(
    r"^(?!.*\b(?:equations?|relations?|conditions?|constraints?|formulas?|identity|system)\b)"
    r".*\b(?:is|are|was|equals?)\s+(?:therefore\s+|thus\s+|just\s+|simply\s+)?$",
    re.S,
)
_CONDITION = re.compile(r"\b(?:at|when|where|if|for|(in|on|over))\s+$")  # 8 when $x = 3$
_NOTE = re.compile(
    r"(?:note|notice|remember|recall|for\s(?:comparison|reference))\b"
    r"|\w{1,12}\s(?:had\s)?(?:needed|wanted|hoped|planned|expected)\b",
    re.I,
)
# the day is Monday, the slope is one half
_REST = rf"(?:\s(?!(?:{SPOKEN}|not)\b)[A-Za-z'’-]+)"  # words of which none is a number
_FILLED = r"(?:(?:on|therefore|thus|exactly|only|just|still)\s+)*(?:an?\s+|the\s+)?"
_NAMED = re.compile(
    rf"\b(?:is|are)\s+{_FILLED}([A-Z][a-z]+)[.!*\s]*$"
    r"|\b(?:is|are|was|were|has|have|had|takes?|took|costs?|needs?|makes?|made|gets?|got|earn(?:s|ed)?"
    r"|pays?|paid|sold|bought|baked|saves?|saved|spends?|spent|equals?|gives?|gave|lasts?|contains?"
    rf"|holds?|sells?|buys?)(?:\s(?:her|him|them|it|us|me|you|[A-Z][a-z]+))?\s+{_FILLED}({SPOKEN})"
    rf"{_REST}{{0,6}}[.!*\s]*$"
    rf"|(?:^|[.!?]\s|\n)((?i:{'|'.join(NUMBER_WORDS)})[\s-](?:{'|'.join(DENOMINATORS)}))"
    rf"(?=\sof\b){_REST}{{1,10}}[.!*\s]*$"  # two thirds of the cake are left
)


def _sentence(text: str, found: re.Match[str]) -> str:
    """Return the sentence around a formula or number."""
    start = 0
    blanks = len(found.group()) - len(found.group().lstrip())
    for stop in SENTENCE.finditer(text, 0, found.start() + blanks):
        start = stop.end()
    end = SENTENCE.search(text, found.end())
    return text[start : end.start() if end else len(text)].strip()


_BREAKS = (". ", "! ", "? ", "\n", ", ", "; ", ",$ ", ".$ ", ",\\) ", ".\\) ")
_DENIED = re.compile(
    r"(?:\b(?:not|never|cannot)\b|n['’]t\b|不是)\s*"
    r"(?:(?!(?:is|are|was|equals|it['’]s|that['’]s)\b)[\w'’]{1,20}\s+){0,4}"
    r"[$\\(\[]{0,2}$|\b(?:less|more|greater|fewer|larger|smaller|bigger|higher|lower|shorter"
    r"|longer)\s+than\s*[$\\(\[]{0,2}$"
)
# a condition on what the value is of, in which "not" says nothing about the value itself
_SUCH = re.compile(
    r"\b(?:such that|where|who|which|that|so that)\b[^.]{0,200}\b(?:is|are|equals)\b"
    r"|\bnot\s+(?!(?:true|the|think|believe|sure|certain|correct|possible|that|mean)\b)[^.]{0,200}"
    r"\b(?:is|are|equals)\s+[$\\(\[]{0,2}$"
)
_RELATIVE = re.compile(r"\b(?:which|that|who)\s+\w{1,6}(?:\s+not|n['’]t)\b[^,.;]*")
_WRONG = re.compile(
    r"[$\\)\]]{0,2}\s*(?:(?:is|are|was|were)\s*(?:not\b|n['’]t\b|wrong|incorrect)"
    r"|(?:does|do)(?:\snot|n['’]t)\s(?:work|hold|fit|satisfy)\b)",
    re.I,
)


def _unless_denied(value: str, text: str, found: re.Match[str], asked: frozenset[str]) -> str:
    """Return a value, or the clause around it where that says what the answer is not."""
    start = max(text.rfind(mark, 0, found.start()) for mark in _BREAKS) + 1
    stop = SENTENCE.search(text, found.end())
    clause = text[start : stop.start() if stop else len(text)].strip()
    before = text[start : found.start()]
    denied = DOUBTED.search(before) or ("not" not in asked and _DENIED.search(before))
    bounded = _BOUNDED.search(before) and not _EXTREMES & asked
    if denied or bounded or _WRONG.match(text, found.end()):
        return clause
    denies = affirmed(_RELATIVE.sub("", clause)) is None and not _SUCH.search(before)
    return clause if denies and "not" not in asked else value
