"""What the closing sentence of a response is about, where nothing in it is marked as the answer."""

# ruff: noqa: RUF001 -- these characters are the subject
from __future__ import annotations

import re

from harness.verify.reading.sentences import (
    FURTHER,
    MATH,
    NUMBERISH,
    content,
    in_two_units,
    last_numbers,
    value_among_words,
    value_in,
)

_SO = re.compile(r"^(?:so|thus|therefore|hence|then)\b,?\s*", re.I)
_HEDGE = re.compile(r"\b(?:could|might|may)\s+be\b|\b(?:maybe|perhaps|possibly)\b", re.I)
_BOLD = re.compile(r"\*\*([^*\n]{0,80}?\d[^*\n]{0,80})\*\*")
_SEVERAL = re.compile(r".{0,30}?\b[a-z]\s*=[^=]{1,30}?(?:\bor\b|\band\b|,)\s*[a-z]\s*=[^=]{1,30}")
_SUBORDINATE = re.compile(
    r"(?:(?:so|thus|therefore|hence|then|and|now|finally|this means(?: that)?)\b[,:]?\s+)*"
    r"(?:if|when|after|since|because|as|with|for|in|given|by|at|on|of|to)\b[^,]{0,200},\s+",
    re.I,
)
_THEREFORE = re.compile(
    r"(?:,\s*|\s)(?:and\s+)?(?:so|thus|therefore|hence|which\s+(?:leaves|gives|makes|means))\b"
    r"|,\s*(?:leaving|giving|making|meaning|for\s+a\s+(?:final|total))\b",
    re.I,
)
_NOT_THAT = re.compile(  # "17 students are not on the team" denies nothing
    r"\b(?:is|are|was|were)(?:n['’]t|\s+not)\s+(?:the|an?|our|right|correct|true|possible|valid|it)\b"
    r"|\b(?:wrong|incorrect)\b",
    re.I,
)
_JOINED = re.compile(r"\s*(?:,|and\b|or\b|=)|[^.]{0,80}\band\s[^.]{0,80}=")
_CLAUSE = re.compile(
    r"[^(].*?(?:(?:,\s|\band\b|\bthen\b).*\d|\bto\s+[-−$]?\d)"
)  # another value behind the first
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
_AFTER = re.compile(r"\s(?:after|before|when|if|because|since|while|until|than)\b")
# what is only beside the value: 250, 50 more than on Friday; 512 codes, of which 8 are odd;
# n = 3 works, while n = 2 does not
_AND_NUMBER = re.compile(r"\band\s+\S{0,3}\d")
_ASIDE = re.compile(
    r"\s\((?:which|that\sis|i\.e\.|or|since|because|about|approximately)\b[^()]{0,80}\)\W*$"
    r"|,\s(?:(?:of|among|out\sof)\swhich|namely\b|including|compared\s(?:with|to)"
    r"|(?:which\sis\s)?\$?\d[\d.,]{0,12}\s(?:\w{1,15}\s)?(?:more|less|fewer|higher|lower|greater)\s"
    r"|(?:while|whereas|but)\s.{1,80}?\b(?:do(?:es)?\snot|n['’]t|fails?)\b)"
)
_VERB = re.compile(
    r"(?<!to )\b(?:is|are|was|were|be|equals?|equal\s+to|total\s+of|at|has|have|had|gets?|needs?"
    r"|takes?|took|makes?|made|earn(?:s|ed)?|costs?|pays?|paid|spends?|spent|saves?|saved|uses?"
    r"|used|covers?|travels?|weighs?|contains?|sold|sells?|bought|buys?|gives?|gave|holds?|lasts?|scored?"
    r"|collect(?:s|ed)|produce[sd]|receive[sd]|earns?|walk(?:s|ed)|runs?|ran|reads?|bakes?|baked|left\s+with)\s+(?:(?:him|her|them|it|me|us|you|thus|therefore|then|simply|about|approximately|only|exactly|now"
    r"|a\s+total\s+of|still|equal\s+to|the\s+[a-z]{2,12}|(?-i:[A-Z][a-z]{1,15}))\s+)*+(?=[-−$€£¥\\(√.\d])",
    re.I,
)
_FIRST = re.compile(
    r"(?:(?:so|thus|therefore|hence|in\s+total|altogether)\b[,:]?\s+)?(?=[-$€£\d])", re.I
)


def concluded(sentence: str) -> str | None:
    """Return the value that a closing sentence is about: in bold, behind "=", or behind its verb.

    `Therefore, she has 12 apples left after giving away 8` is about 12. None leaves it open.
    """
    if len(sentence) > 800:
        return None
    aside = _ASIDE.search(sentence)
    if aside is not None and any(map(str.isdigit, sentence[: aside.start()])):
        sentence = sentence[: aside.start()]
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
        return tail.group(1)
    formulas = list(MATH.finditer(sentence))
    if "=" in sentence[formulas[-1].end() if formulas else 0 :]:
        behind = sentence[sentence.rindex("=") + 1 :].strip()
        number = NUMBERISH.match(behind)
        if number is None:
            return value_in(behind) if behind.startswith(("π", "√", "(", "-")) else None
        if _NOT_THAT.search(behind):
            return sentence
        further = FURTHER.search(behind, number.end())
        if further is not None and any(map(str.isdigit, behind[further.end() :])):
            return concluded(behind[further.end() :])
        return value_among_words(behind) or number.group()
    numbers = list(NUMBERISH.finditer(sentence))
    joined = last_numbers(numbers, sentence) if numbers else ""
    if numbers and numbers[-1].end() == len(sentence) and joined != numbers[-1].group().strip():
        return joined  # "the numbers are 3 and -3."
    start = 0
    for mark in _THEREFORE.finditer(sentence, 0, numbers[-1].start() if numbers else 0):
        start = mark.end()
    before = _SUBORDINATE.match(sentence, start)
    clause = sentence[before.end() if before is not None else start :]
    after = _AFTER.search(clause)
    if (
        after is not None
        and any(map(str.isdigit, clause[: after.start()]))
        and not _AND_NUMBER.search(clause, after.end())  # 48 before and 58 now
    ):
        clause = clause[: after.start()]
    verbs = list(_VERB.finditer(clause))
    if verbs:
        behind = clause[verbs[-1].end() :]
        together = in_two_units(behind)
        if together is not None:
            return together
        formula = MATH.match(behind)
        if formula is not None and _JOINED.match(behind, formula.end()) is None:
            return content(formula).strip()
        return None if formula or _CLAUSE.match(behind) else value_in(behind)
    clause = clause.lstrip()
    first = _FIRST.match(clause) if not formulas else None
    if first is not None:
        return value_in(clause[first.end() :])
    return (last_numbers(list(NUMBERISH.finditer(clause)), clause) or None) if aside else None


_MARKS = "√π^²³"


def whole(found: re.Match[str], text: str) -> str:
    """Return a number with what touches it, where that makes another value of it: `3√7`, `30π`."""
    start, end = found.span()
    if text[end : end + 1] in _MARKS and end < len(text):
        end += len(text[end : end + 40].split(maxsplit=1)[0])
    elif start and text[start - 1] in _MARKS:
        start -= len(text[max(0, start - 40) : start].rsplit(maxsplit=1)[-1])
    else:
        return found.group().strip()
    return text[start:end].strip(" .,;:*_")
