"""The value that a sentence states, where nothing in it is marked as the answer."""

# ruff: noqa: RUF001 -- these characters are the subject
from __future__ import annotations

import re

from harness.verify.extraction.choosing import chosen
from harness.verify.extraction.question import NOTHING, Asked, words
from harness.verify.extraction.sentences import (
    ASSIGNS,
    BOUND,
    FURTHER,
    HENCE,
    MATH,
    NUMBERISH,
    TWO_WORDS,
    affirmed,
    has_digit,
    measure,
)
from harness.verify.extraction.shortening import shortened
from harness.verify.reading.lexicon import PERHAPS
from harness.verify.reading.words import SPOKEN, UNITS

MATHEMATICS = re.compile(
    r"(?:[^A-Za-z$]|\b(?:sqrt|pi|sin|cos|tan|ln|log|or|and)\b|(?<![A-Za-z])[A-Za-z]{1,2}(?![A-Za-z]))+"
)
_OPERATION = re.compile(r"[A-Za-z]\s?[-+*/^=<>≤≥²³(]|[<>≤≥]\s?[-\d]|[π√∞]|\d[nkxyz]\b")


def concluded(sentence: str, asked: Asked = NOTHING) -> str | None:
    """Return the value that a sentence states: in bold, behind "=", or the one that counts most.

    None leaves it open; a sentence that only guesses is returned whole, and the reader refuses it.

    Args:
        sentence: The sentence.
        asked: What the problem asks for.
    """
    if len(sentence) > 800:
        return None
    sentence = shortened(sentence, asked)
    for marked in _MARKED:
        value = marked(sentence, asked)
        if value is not None:
            return value
    part = _asked_part(sentence, asked)
    if part is not None:
        return concluded(part, asked)
    if "=" in sentence and "=" in MATH.split(sentence)[-1]:  # behind all formulas
        return _behind_equals(sentence, asked)
    return chosen(sentence, asked)


# -- what marks the value in a sentence -----------------------------------------------------------

_TOTAL = re.compile(rf"\btotal\sof\s({NUMBERISH.pattern})(?=[^\d=]*$)(?!\s?[-+*/])")


def _total(sentence: str, asked: Asked) -> str | None:
    """Return a last "total of 12", where the total is asked for."""
    total = _TOTAL.search(sentence) if "total" in asked.words else None
    return total.group(1) + measure(sentence, total.end()) if total is not None else None


_BOLD = re.compile(rf"\*\*([^*\n]{{0,80}}?(?:[\d½⅓⅔¼¾∞]|\b{SPOKEN})[^*\n]{{0,80}})\*\*")


def _in_bold(sentence: str, asked: Asked) -> str | None:
    """Return the value in the last bold words that are no heading: `it is **8 apples**`."""
    bold = [m for m in _BOLD.finditer(sentence) if not m.group(1).rstrip().endswith(":")]
    return value_in(bold[-1].group(1).strip(" :")) if bold else None


_SO = re.compile(rf"^(?:{HENCE}|then)\b,?\s*", re.I)
_NAME = r"(?:[a-zα-ω][₀-₉\d]?|\([a-z](?:,\s?[a-z]){1,3}\))"
SEVERAL = re.compile(
    rf".{{0,30}}?(?<!\w){_NAME}\s*=[^=]{{1,30}}?(?:\bor\b|\band\b|,)\s*{_NAME}\s*=[^=]{{1,30}}"
)
_STEP = re.compile(rf"[,;]\s(?:and\s)?(?:{HENCE}|which\s(?:gives|means|yields)|giving)\s")
HEDGE = re.compile(rf"\b(?:could|might|may)\s+be\b|\b(?:{PERHAPS})\b", re.I)


def _whole(sentence: str, asked: Asked) -> str | None:
    """Return all of a sentence that only guesses, or gives names their values: `x = 2, y = 3`."""
    last = _STEP.split(sentence)[-1]
    if SEVERAL.fullmatch(last):
        return _SO.sub("", last)
    return sentence if HEDGE.search(sentence) else None


_TAIL = re.compile(
    r".*\b(?:(?:is|are|be|(?:simplifies|reduces)\s+to|becomes|factors\s+as|equals|so|thus|therefore|hence|get|have|obtain)\b[,:]?\s+(?:at\s+)?"
    r"|(?:holds|true|valid|satisfied)\s+(?:for|when|if)\s+(?:all\s+)?"
    r"|(?:has|have|of)\s+(?:an?\s+|the\s+)?[a-z]{4,12}\s+(?:of\s+)?)([^.].{1,80})$",
    re.I,
)


def _formula_at_end(sentence: str, asked: Asked) -> str | None:
    """Return mathematics without dollars at the end: `the equation is y = 2x + 1`, `so x > 5`."""
    tail = _TAIL.search(sentence)
    end = tail.group(1) if tail is not None else ""
    if not MATHEMATICS.fullmatch(end) or not _OPERATION.search(end):
        return None
    last = _NEXT.split(end)[-1]  # 2x = 14 and x = 7
    return last if ASSIGNS.match(last) and not ASSIGNS.match(end) else end


_NEXT = re.compile(r"\sand\s|[,;]\s|\s?(?:=>|→|⇒)\s?")
_ALL_NUMBERS = re.compile(
    r"\b(?:is|are|for|when|of|:)\s+((?:the\sset\sof\s)?all\s(?:of\sthe\s)?(?:real\s)?(?:numbers|values|reals)\b"
    r"[^.]{0,25}?\b(?:greater|more|larger|less|smaller|at\s(?:least|most)|between|above|below)\b[^.]{1,60})[.]?$"
    r"|((?:\$?[a-z]\$?|\$?[a-z]\([a-z]\)\$?)\s(?:is|must\sbe)\s(?:strictly\s)?(?:greater|less)\sthan"
    r"(?:\sor\sequal\sto)?\s\S{1,12}?)[.]?$"
)


def _region(sentence: str, asked: Asked) -> str | None:
    """Return a set in words at the end: `all real numbers greater than 4`, `x is less than 4`."""
    found = _ALL_NUMBERS.search(sentence)
    return next(filter(None, found.groups())) if found is not None else None


_MARKED = (_total, _in_bold, _whole, _region, _formula_at_end)

_ANDS = re.compile(r"\sand\s|[;,]\s")


def _asked_part(sentence: str, asked: Asked) -> str | None:
    """Return the equation that speaks of the question, if that is not the last of several.

    `1,414 girls` of `678 + 736 = 1,414 girls and 761 + 8 = 769 boys`, where girls are asked for.
    """
    if not asked or sentence.count("=") < 2 or MATH.search(sentence):
        return None
    parts = _ANDS.split(sentence)
    if len(parts) < 2 or not all("=" in p for p in parts):
        return None
    best = max(parts, key=lambda p: len(asked.words & words(p)))
    return best if asked.words & words(best) > asked.words & words(parts[-1]) else None


# -- behind the last equals sign ------------------------------------------------------------------
_BETWEEN = re.compile(r"=\s*(-?\d[\d,]*(?:\.\d+)?)\s*=(?=[^=]*$)")
_QUANTITIES = re.compile(
    rf"(?<==\s)({NUMBERISH.pattern})\s?([a-z]{{1,9}})\s?=\s?({NUMBERISH.pattern})\s?([a-z]{{1,9}})[.]?$"
)


def _behind_equals(sentence: str, asked: Asked) -> str | None:
    """Return the value behind the last "=": `13 cm` of `the sides are 5 + 8 = 13 cm`."""
    behind = sentence[sentence.rindex("=") + 1 :].strip()
    number = NUMBERISH.match(behind)
    if number is None:
        return _expression(behind, asked)
    between = _BETWEEN.findall(sentence)
    if between and between[-1].replace(",", "") != number.group().strip().replace(",", ""):
        return sentence  # 5 + 7 = 13 = 12 says two things
    twice = _QUANTITIES.search(sentence)  # 92 cm = 0.92 m
    if twice is not None and len({UNITS.get(u, (u,))[0] for u in twice.group(2, 4)}) == 1:
        wanted = {UNITS[w] for w in asked.words if w in UNITS}
        if UNITS.get(twice.group(4)) in wanted and UNITS.get(twice.group(2)) not in wanted:
            return twice.group(3) + " " + twice.group(4)
        return twice.group().rstrip(".")
    then = _next_step(behind, number, asked)
    return concluded(then, asked) if then is not None else _quantity(behind, number)


def _expression(behind: str, asked: Asked) -> str | None:
    """Return an expression behind "=" that begins with no number: `π/4`, `2x + 1`."""
    further = FURTHER.search(behind)
    if further is not None and has_digit(behind[further.end() :]):
        return concluded(behind[further.end() :], asked)
    behind = behind.lstrip("> ")
    short = MATHEMATICS.fullmatch(behind) and _OPERATION.search(behind)
    return value_in(behind) if short or behind.startswith(("π", "√", "(", "-")) else None


_LEADS_TO = re.compile(r"which|leaving|giving|making")


def _next_step(behind: str, number: re.Match[str], asked: Asked) -> str | None:
    """Return the step behind a result: `he has 7 left` of `5, so he has 7 left`.

    None where there is none, or where the result speaks more of the question.
    """
    further = FURTHER.search(behind, number.end())
    then = behind[further.end() :] if further is not None else ""
    if further is None or not has_digit(then):
        return None
    if _LEADS_TO.search(further.group()):
        return then
    answered = asked.words & words(behind[: further.start()])
    return None if answered and answered > asked.words & words(then) else then


_TIMES_TEN = re.compile(
    r"\s?(?:\\times|×|\*|x)\s?10\s?(?:(?:\^|\*\*)\s?\{?[-−]?\d{1,3}\}?|[⁻⁰¹²³⁴⁵⁶⁷⁸⁹]{1,4})"
    r"|\s?\*?\s?(?:pi\b|π)"
)
_SCALE = re.compile(r"\s(?:hundred|thousand|million|billion|trillion|dozen)\b")


def _quantity(behind: str, number: re.Match[str]) -> str:
    """Return a number with its power of ten, scale and unit: `3 x 10^8 m`, `5 million dollars`."""
    power = _TIMES_TEN.match(behind, number.end())
    if power is not None:
        return behind[: power.end()] + measure(behind, power.end())
    scale = _SCALE.match(behind, number.end())
    at = scale.end() if scale is not None else number.end()
    return (behind[:at] + measure(behind, at)).strip()


# -- sentences and what is none -------------------------------------------------------------------

_BECAUSE = re.compile(r"(?<=\w),?\s+(?:because|since)\b", re.I)
_MINUS = re.compile(r"^(?:negative|minus)\s+(?=[\d$\\])", re.I)
# seventy-nine (79) stones, 79 (seventy-nine) stones
_AGAIN = re.compile(
    rf"(?i:{SPOKEN})\s\((\d[\d,.]{{0,15}})\)|(?<!\S)(\d[\d,.]{{0,15}})\s\((?i:{SPOKEN})\)"
)


def value_in(sentence: str, asked: Asked = NOTHING) -> str:
    """Return the value of a sentence: all of it if it is short, else a formula or number."""
    said = affirmed(sentence, asked.words)
    if said is None or BOUND.match(sentence):
        return sentence  # what it denies, or a bound, is for the reader to refuse
    sentence = _MINUS.sub("-", _BECAUSE.split(said, maxsplit=1)[0])
    sentence = _behind_so(_AGAIN.sub(lambda m: m.group(1) or m.group(2), sentence), asked)
    if _is_value(sentence):
        return sentence
    lead = NUMBERISH.match(sentence)
    if lead and "; " in sentence and (not asked or asked.words & words(sentence.split("; ")[0])):
        sentence = sentence.split("; ")[0]  # 3 dollars each; the pack costs 15
    choice = re.match(r"(?:for sure\s+)?\(?([A-J])\)?(?=$|[\s.,:])", sentence)
    if choice is not None and not re.match(r"A\s+[a-z]", sentence):
        return choice.group(1)
    return concluded(sentence, asked) or (sentence if len(sentence) <= 200 else "")


_AND_SO = re.compile(
    rf"[,;]\s(?:and\s)?(?:{HENCE}|i\.e\.|that\sis,?|namely)[,:]?\s"
    r"(?=[^,;]{0,30}\d)(?![^,;]*\bnot\b)(?=[^,;]*$)"
)


def _behind_so(sentence: str, asked: Asked) -> str:
    """Return what follows: `42` of `15 more than 27, so 42`, `185` of `90 + 95, i.e. 185`."""
    so = _AND_SO.search(sentence)
    if so is None or MATH.search(sentence) or asked.words & words(sentence[: so.start()]):
        return sentence
    percent = sentence.rstrip().endswith(("%", "percent")) and "perce" not in asked.words
    return sentence[: so.start()] if percent else sentence[so.end() :]


_CJK = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af，。：；！？、]+")
_WORD_FIRST = re.compile(r"[A-Za-z]{2,}\s")
_FORMULA = re.compile(r"^(?:sqrt|pi|sin|cos|tan|ln|log)\b|^[A-Za-z]{1,2}\s?[-+*/^=<>≤≥²³(]")  # ln 2


def _is_value(text: str) -> bool:
    """Whether a text is a value and no sentence: a formula as `ln 2`, or few words."""
    if MATHEMATICS.fullmatch(text) and _FORMULA.search(text):
        return True
    if len(text) > 40 or MATH.search(text) or TWO_WORDS.search(text):
        return False
    digit = has_digit(text)
    return not (digit and (_CJK.search(text) or _WORD_FIRST.match(text)))
