"""What a response adds to its value: offers, checks, notes, remarks, questions, refusals."""

# ruff: noqa: RUF001 -- these characters are the subject
from __future__ import annotations

import re

from harness.verify.extraction.phrases import REFUSES, last_match
from harness.verify.extraction.question import Asked
from harness.verify.extraction.sentences import HENCE, NUMBERISH, Refused, has_digit
from harness.verify.extraction.stops import behind_any, stops
from harness.verify.reading.lexicon import FAIL, REJECTED, WRONG


def without_remarks(window: str, asked: Asked) -> str:
    """Return the end of a response without what it only adds to the value before it."""
    window = _QED.sub("", window).rstrip()
    concluding = last_match(CONCLUDES, window)
    window = _DRAWING.sub("", window)
    checks = concluding.end() if concluding is not None else 0
    for added, start in ((_OFFER, 0), (_NOTES, 0), (_CHECK, checks)):
        found = added.search(window, start)
        if found is not None and _is_aside(window, found.start()):
            window = window[: found.start()].rstrip()
    remark = _REMARKED.search(window, max(0, len(window) - 120))
    if remark is not None:  # 17, not 16
        before = window[: remark.start()]
        if has_digit(behind_any(before)):
            window = before
    rejected = _REJECTED.search(window)
    if rejected is not None and re.search(r"\d[^.]*$", window[: rejected.start()]):
        window = window[: rejected.start()]
    window = _CONSTANTS.sub("", _AS_REQUIRED.sub("", window))
    window = _IN_BRACKETS.sub("", window).rstrip() or window
    aside = _ASIDE.search(window)
    if aside is not None and _is_aside(window, aside.start() + 1):
        window = window[: aside.start() + 1].rstrip(" *")
    question = _asks(window)
    if question is not None and has_digit(window[: question.start()]):
        window = window[: question.start() + 1].rstrip()
    return _without_supposed(_without_enumeration(window, asked), asked)


_ENUMERATES = re.compile(
    r"(?:The|These|They|Those)\b[^.:\d$]{0,40}?\bare:?\s(?:\$|\\\()?(?=[(-]?\d)"
)


def _without_enumeration(window: str, asked: Asked) -> str:
    """Return a text without a last sentence that lists what the one before it has counted.

    `There are 3. These are 2, 3 and 5.`: as many as that says, or with dots among them.
    """
    ends = stops(window) if asked.numbers else []
    listed = _ENUMERATES.match(window, ends[-1].end()) if ends else None
    if listed is None:
        return window
    marks = re.sub(r"\$|\\[()]", "", window[listed.end() :])
    body = re.sub(r"\band\b", ",", marks)
    items = re.findall(r"\([^()]*\)|[^\s,()]+", body.strip(" .\n"))
    counted = last_match(NUMBERISH, window[: ends[-1].start()])
    if len(items) < 2 or "=" in body or counted is None:
        return window
    dots = any(mark in body for mark in ("...", "…", "dots"))
    as_many = dots or counted.group().strip() == str(len(items))
    return window[: ends[-1].end()].rstrip() if as_many else window


_HENCE = re.compile(rf"\b(?:{HENCE})\b", re.I)
_SUPPOSED = re.compile(
    rf"(?!.*(?:\b(?:{HENCE})\b|\b(?:this|that|which|it)\swould\b|=))"
    r"(?:.*\b(?:would|instead)\b|If\s.*\b(?:get|gets|is|are|be)\b|The\s[^.]*\bcancels)",
    re.I,
)


def _without_supposed(window: str, asked: Asked) -> str:
    """Return a text without a last sentence that only supposes, behind one that concludes.

    `So he has 140 cents. He would need 15 more to have 155.`
    """
    ends = stops(window)
    if not ends or not asked or asked.supposes or not _SUPPOSED.match(window, ends[-1].end()):
        return window
    start = ends[-2].end() if len(ends) > 1 else 0
    before = window[start : ends[-1].start()]
    concludes = has_digit(before) and _HENCE.search(before)
    return window[: ends[-1].end()].rstrip() if concludes else window


def _is_aside(window: str, start: int) -> bool:
    """Whether the text from `start` takes nothing back, and a value stands before it."""
    stated = has_digit(window[:start])
    return stated and _TAKES_BACK.search(window, start) is None


_TAKES_BACK = re.compile(
    r"\b(?:wrong|misread|an?\serror|an?\smistake|joking|kidding|mistaken?|not\ssure|it\s(?:may|might|could)\sbe"
    r"|correct\s(?:answer|number|value)|true\svalue|right\s(?:answer|value))\b",
    re.I,
)


def unsettled(window: str) -> Refused | None:
    """Return what a response asks, or by what it gives up; else None.

    Empty where it has no value at all.
    """
    question = _asks(window)
    if question is not None:
        return Refused.uncertain(question.group()[:60])
    refused = REFUSES.search(window, max(0, len(window) - 300))
    if refused is None or CONCLUDES.search(window, refused.end()):
        return None
    return Refused.uncertain(refused.group()) if has_digit(window) else Refused()


def _asks(window: str) -> re.Match[str] | None:
    question = _QUESTION.search(window)
    return question if question and not _CONFIRMS.search(question.group()) else None


# a remark behind the value: "Note that the sum of the even ones would be 420"
_ASIDE = re.compile(
    r"[.!?$*](?:\s|-{3,}){1,9}[*_(]{0,3}(?:(?:note|notice|remark|for\scomparison)\b[^.!?]{0,120}"
    r"\b(?:would|different|instead|even|also|excluded|included|allowed)\b[^!?\n]{0,80}[.!)*_]{0,4}$"
    r"|\((?:hint|p\.s\.|source|see)\b[^()]{3,300}\)$"
    r"|(?:this|that)\s(?:makes\ssense|works\s(?:because|since|as)|is\s(?:consistent|reasonable|the\s(?:same)(?:\sthing)?\sas)|agrees|checks\sout|matches)\b[^\n]{0,300}$"
    r"|(?:this|that)\s(?:is|was)\sbecause\b[^\n]{3,300}$"
    r"|\([A-Z](?![^()]*\b(?:so|thus|hence|therefore|answer)\b)[^()]{3,300}\)$"
    r"|(?:(?:for|as\san)\s(?:example|instance)|by\sthe\sway|incidentally),?\s[^\n]{3,300}$"
    r"|[A-Z][^.!?\n]{3,60}\swould\sbe\s[^.!?\n]{1,40},\sbut\b[^!?\n]{1,80}$)",
    re.I,
)
_QUESTION = re.compile(
    r"(?:(?<=[.!\n])|^)\s{0,3}"
    r"(?:is|are|was|were|do|does|did|could|would|should|can|will|how|what|which|who|why|maybe|perhaps)\b"
    r"[^.!?\n]{5,200}\?\s*$",
    re.I,
)
_CONFIRMS = re.compile(r"\b(?:right|correct|ok(?:ay)?|isn['’]t it|no)\s?\?\s*$", re.I)
# each carries 51, and 3 x 51 + 18 = 171 as required
_AS_REQUIRED = re.compile(
    r",?\s(?:and|since|because)\s[^,.\n]{1,40}=[^,.\n]{1,40}\bas\s(?:required|expected|given|needed|stated)[.!]?\s*$"
    r"|,\swhich\s(?:checks|matches|agrees)\b[^,.\n]{0,40}[.!]?\s*$"
)
_CONSTANTS = re.compile(  # where A and B are arbitrary constants
    r"[\s,;]{0,3}\b[Ww]here\s[^.=\d<>]{1,60}\b(?:constants?|(?:integers?|numbers?|parameters?))\b[^.=\d]{0,30}[.]?\s*$"
)
_IN_BRACKETS = re.compile(r"(?<=[^\n]\n)\s{0,3}\([a-z](?![^()]*\banswer\b)[^()]{3,300}\)\s*$")
_QED = re.compile(r"[\s$]{0,9}(?:\\(?:blacksquare|square|qed|Box)|[∎■□])[\s$.]{0,9}$")
_REJECTED = re.compile(  # x = 6, as x = -6 does not satisfy the equation
    r"(?:;|,?\s(?:as|since|because|while|whereas|and|but))\s[^;.]{1,60}\b(?:is\s(?:not\s(?:a|valid|possible|in)"
    rf"|{REJECTED}|discarded)|(?:does\snot|doesn['’]t|cannot)\s(?:{FAIL}|be))\b(?:(?!\bso\b)[^.;])*[.!]?\s*$"
)
_REMARKED = re.compile(
    r"(?:[,;(]\s?(?:and\s|but\s)?not|[,;]\s(?:and\s|but\s)?not\s(?:by|to|at|for)(?=\s\d)|\s(?:and\snot|et\snon|y\sno|und\snicht|e\snon|e\snão"
    r"|instead of|rather than|as opposed to))\s+"
    r"[$\\(]{0,3}[-−]?\d(?:(?!,\s(?:and\s)?so\s)[^!?\n]){0,40}$"
)
_DRAWING = re.compile(r"\[asy\](?:(?!\[/?asy\]).){0,4000}(?:\[/asy\]|$)", re.S)
_OFFER = re.compile(  # what a chat model adds
    r"(?:\n|[.!?]\s)\s{0,9}(?:[^.!?\n]{0,80}\blet\s(?:me)\sknow|would\s+you\s+like|let\s+me\s+know|do\s+you\s+(?:want|need)|if\s+you\s+"
    r"(?:like(?=,)|have|need|want|would)|feel\s+free|is\s+there\s+anything|i\s+hope|please\s+(?:let|feel))\b",
    re.I,
)
# a check of the value before it, which takes nothing back
_CHECK = re.compile(
    r"(?:\n|[.!]\s)\s{0,9}(?:[*#]{1,4}\s?)?(?:step\s\d{1,2}:?\s{1,3})?(?:to\s|let(?:'s|\sus|\s(?:me))\s|(?:we|you|one)\s(?:should|can|may|could)\s(?:also\s)?)?"
    r"(?:(?:this\smeans\s(?:that\s)?)?(?:when|if)\s(?:we|you|i)\s(?:substitut|plug|put|check|test)\w*|(?:(?:double|quick|sanity|cross)[-\s])?check(?:ing)?|verif(?:y|ying|ication)|indeed)\b",
    re.I,
)
# a last paragraph beside the solution, or a last remark in brackets
_NOTES = re.compile(
    r"(?:\n\n(?:-{3,}\n{1,2})?[*_(]{0,3}|[.$]\s{1,2}\()(?:note|notice|remark|challenge|alternatively|another\s(?:way|solution))\b"
    r"(?:(?!\n\n|\b(?:so|thus|hence|therefore|answer)\b).)*$",
    re.I | re.S,
)
CONCLUDES = re.compile(
    rf"\b(?:not|{HENCE}|in\s(?:conclusion|summary)|but|however|wait|mistake|{WRONG})\b", re.I
)
