"""The value that a sentence states, where nothing in it is marked as the answer."""

# ruff: noqa: RUF001 -- these characters are the subject
from __future__ import annotations

import re

from harness.verify.extraction.choosing import chosen
from harness.verify.extraction.problem import words
from harness.verify.extraction.sentences import (
    ASSIGNS,
    BOUND,
    FURTHER,
    MATH,
    NUMBERISH,
    TWO_WORDS,
    affirmed,
    measure,
)
from harness.verify.reading.answer import read
from harness.verify.reading.words import (
    DEGREE_WORDS,
    DENOMINATORS,
    FUNCTIONS,
    NUMBER_WORDS,
    PERCENT_WORDS,
    SCALES,
    SPOKEN,
    UNITS,
)

_SO = re.compile(r"^(?:so|thus|therefore|hence|then)\b,?\s*", re.I)
HEDGE = re.compile(r"\b(?:could|might|may)\s+be\b|\b(?:maybe|perhaps|possibly)\b", re.I)
_BOLD = re.compile(rf"\*\*([^*\n]{{0,80}}?(?:[\d½⅓⅔¼¾∞]|\b{SPOKEN})[^*\n]{{0,80}})\*\*")
_OCCURS = re.compile(  # the maximum is 8, which occurs at x = 4
    r",?\s(?:which|this|and|it)\s(?:it\s)?(?:occurs|happens|is\s(?:attained|achieved|reached|found))\s.*$"
)
_PRECISION = re.compile(  # to two significant digits, rounded to 2 decimal places
    r"(?:,?\s?\brounded)?\s?\bto\s(?:\w{1,9}\s(?:significant\s\w{1,9}|decimals?(?:\s(?:places?|digits?|points?))?)|the\snearest\s\w{1,12})\b,?",
    re.I,
)
_SEVERAL = re.compile(
    r".{0,30}?\b[a-zα-ω][₀-₉]?\s*=[^=]{1,30}?(?:\bor\b|\band\b|,)\s*[a-zα-ω][₀-₉]?\s*=[^=]{1,30}"
)
# 8.3%, which rounds down to 8%
_ROUNDED = re.compile(r"\bround(?:s|ed|ing)\b[a-z\s]{0,30}\bto\s(\S{0,3}\d.*)$")
# the mathematics without dollars that ends a sentence: "the equation is y = 2x + 1", "so x > 5"
_TAIL = re.compile(
    r".*\b(?:(?:is|are|be|(?:simplifies|reduces)\s+to|becomes|factors\s+as|equals|so|thus|therefore|hence|get|have|obtain)\b[,:]?\s+(?:at\s+)?"
    r"|(?:holds|true|valid|satisfied)\s+(?:for|when|if)\s+(?:all\s+)?"
    r"|(?:has|have|of)\s+(?:an?\s+|the\s+)?[a-z]{4,12}\s+(?:of\s+)?)([^.].{1,80})$",
    re.I,
)
MATHEMATICS = re.compile(
    r"(?:[^A-Za-z$]|\b(?:sqrt|pi|sin|cos|tan|ln|log|or|and)\b|(?<![A-Za-z])[A-Za-z]{1,2}(?![A-Za-z]))+"
)
_OPERATION = re.compile(r"[A-Za-z]\s?[-+*/^=<>≤≥²³(]|[<>≤≥]\s?[-\d]|[π√∞]|\d[nkxyz]\b")
_FAILS = re.compile(  # n = 3 works, while n = 2 does not
    r"(?:,\s(?:while|whereas|but)|(?:;|,?\sand)(?=\s\S{0,3}\d))\s([^,;]{1,80}?)\b(?:d(?:o|oes|id)\snot|n['’]t|fails?)\b"
)


def concluded(sentence: str, asked: frozenset[str] = frozenset()) -> str | None:
    """Return the value that a sentence states: in bold, behind "=", or the one that counts most.

    None leaves it open; a sentence that only guesses is returned whole, and the reader refuses it.

    Args:
        sentence: The sentence.
        asked: The words of the problem's question.
    """
    if len(sentence) > 800:
        return None
    that_is = _THAT_IS.search(sentence)
    if that_is is not None and not any(map(str.isdigit, sentence[: that_is.start()])):
        sentence = sentence[that_is.end() :]  # a dozen and a half, i.e. 18
    so = re.search(r"\bnot\b[^.]*,\s(?:so|thus|hence|therefore)\b", sentence)
    fails = _FAILS.search(sentence) if so is None else None
    if fails is not None and any(map(str.isdigit, sentence[: fails.start()])):
        sentence = fails.group(1) if "not" in asked else sentence[: fails.start()]
    rounded = _ROUNDED.search(sentence) if {"round", "neare"} & asked else None
    if rounded is not None:
        sentence = rounded.group(1)
    sentence = _PRECISION.sub("", sentence)
    occurs = _OCCURS.search(sentence) if not {"occur", "attai", "where"} & asked else None
    if occurs is not None and any(map(str.isdigit, sentence[: occurs.start()])):
        sentence = sentence[: occurs.start()]
    total = _TOTAL.search(sentence) if "total" in asked else None
    if total is not None:
        return total.group(1) + measure(sentence, total.end())
    which = _WHICH_IS.search(sentence)
    if which is not None:
        return value_in(which.group(1))
    bold = [m for m in _BOLD.finditer(sentence) if not m.group(1).rstrip().endswith(":")]
    if bold:
        return value_in(bold[-1].group(1).strip(" :"))
    if _SEVERAL.fullmatch(sentence):
        return _SO.sub("", sentence)
    if HEDGE.search(sentence):
        return sentence
    tail = _TAIL.search(sentence)
    end = tail.group(1) if tail is not None else ""
    if MATHEMATICS.fullmatch(end) and _OPERATION.search(end):
        last = end.split(" and ")[-1]  # 2x = 14 and x = 7
        return last if ASSIGNS.match(last) and not ASSIGNS.match(end) else end
    formulas = list(MATH.finditer(sentence))
    parts = _ANDS.split(sentence) if asked and not formulas and sentence.count("=") > 1 else []
    if len(parts) > 1 and all("=" in p for p in parts):  # 1,414 girls and 761 + 8 = 769 boys
        best = max(parts, key=lambda p: len(asked & words(p)))
        if asked & words(best) > asked & words(parts[-1]):
            return concluded(best, asked)
    if "=" in sentence[formulas[-1].end() if formulas else 0 :]:
        behind = sentence[sentence.rindex("=") + 1 :].strip()
        number = NUMBERISH.match(behind)
        between = _BETWEEN.findall(sentence)
        if number is not None and between and between[-1].replace(",", "") != _digits(number):
            return sentence  # 5 + 7 = 13 = 12 says two things
        further = FURTHER.search(behind) if number is None else None
        if further is not None and any(map(str.isdigit, behind[further.end() :])):
            return concluded(behind[further.end() :], asked)
        if number is None:
            behind = behind.lstrip("> ")
            short = MATHEMATICS.fullmatch(behind) and _OPERATION.search(behind)
            return value_in(behind) if short or behind.startswith(("π", "√", "(", "-")) else None
        twice = _QUANTITIES.search(sentence)  # 92 cm = 0.92 m
        if twice is not None and len({UNITS.get(u, (u,))[0] for u in twice.group(2, 4)}) == 1:
            return twice.group().rstrip(".")
        further = FURTHER.search(behind, number.end())
        then = behind[further.end() :] if further is not None else ""
        answered = asked & words(behind[: further.start()]) if further is not None else frozenset()
        if further is not None and _LEADS_TO.search(further.group()):
            answered = frozenset()
        if any(map(str.isdigit, then)) and not (answered and answered > asked & words(then)):
            return concluded(then, asked)
        power = _TIMES_TEN.match(behind, number.end())
        if power is not None:
            return behind[: power.end()] + measure(behind, power.end())
        scale = _SCALE.match(behind, number.end())
        scaled = scale is not None and scale.group(1)[:5] not in asked
        at = scale.end() if scale is not None and scaled else number.end()
        return (behind[:at] + measure(behind, at)).strip()
    return chosen(sentence, asked)


_TOTAL = re.compile(rf"\btotal\sof\s({NUMBERISH.pattern})(?=[^\d=]*$)(?!\s?[-+*/])")
# the first digit of 17, which is 1
_WHICH_IS = re.compile(
    r"\b(?:of|in)\s(?:the\s)?(?:\$[^$]{1,40}\$|\d[\d,]{0,12}),\swhich\s(?:is|equals)\s"
    rf"(\$[^$]{{1,40}}\$|{NUMBERISH.pattern})[.]?$"
)
_QUANTITIES = re.compile(
    rf"(?<==\s)({NUMBERISH.pattern})\s?([a-z]{{1,9}})\s?=\s?({NUMBERISH.pattern})\s?([a-z]{{1,9}})[.]?$"
)
_THAT_IS = re.compile(r",\si\.e\.,?\s(?=[^,;]{0,30}\d)(?=[^,;]*$)")
_TIMES_TEN = re.compile(
    r"\s?(?:\\times|×|\*|x)\s?10\s?(?:(?:\^|\*\*)\s?\{?[-−]?\d{1,3}\}?|[⁻⁰¹²³⁴⁵⁶⁷⁸⁹]{1,4})"
    r"|\s?\*?\s?(?:pi\b|π)"
)
_BETWEEN = re.compile(r"=\s*(-?\d[\d,]*(?:\.\d+)?)\s*=(?=[^=]*$)")


def _digits(number: re.Match[str]) -> str:
    return number.group().strip().replace(",", "")


_LEADS_TO = re.compile(r"which|leaving|giving|making")
_ANDS = re.compile(r"\sand\s|[;,]\s")
_SCALE = re.compile(r"\s(hundred|thousand|million|billion|trillion|dozen)\b")

_BECAUSE = re.compile(r"(?<=\w),?\s+(?:because|since)\b", re.I)
_MINUS = re.compile(r"^(?:negative|minus)\s+(?=[\d$\\])", re.I)
_OTHERWISE = re.compile(  # 14, or maybe 15; 9 pears or 10 pears
    r"(?:\s[a-z]{1,15})?\sor\s(?:more|less|fewer|greater|above|higher|longer)\b"
    r"|(?:\s{0,9},?\s{0,9}\band\b|(?:\s{1,9}[a-z]{1,15}){0,2}\s{0,9},?\s{0,9}\bor\b)[^.;]{0,30}?\d",
    re.I,
)
# 50% of 80, 5 more than 7
_RELATIVE = re.compile(
    r"(?:(?<=%)\s+of|\s+(?:more|less|fewer|greater|higher|lower)\s+than)\s+[$\\(]{0,2}\d"
)
# seventy-nine (79) stones, 79 (seventy-nine) stones
_AGAIN = re.compile(
    rf"(?i:{SPOKEN})\s\((\d[\d,.]{{0,15}})\)|(?<!\S)(\d[\d,.]{{0,15}})\s\((?i:{SPOKEN})\)"
)
# 15 more than 27, so 42; 90 + 95, i.e. 185 goals
_AND_SO = re.compile(
    r"[,;]\s(?:and\s)?(?:so|thus|hence|therefore|i\.e\.|that\sis,?|namely)[,:]?\s"
    r"(?=[^,;]{0,30}\d)(?![^,;]*\bnot\b)(?=[^,;]*$)"
)
_ARE_NOT = re.compile(r"\s(?:are|is|was|were|did|do|does|have|has)\s(?:not|n['’]t)[.!]?$")
_CJK = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af，。：；！？、]+")
_WORD_FIRST = re.compile(r"[A-Za-z]{2,}\s")
_FORMULA = re.compile(r"^(?:sqrt|pi|sin|cos|tan|ln|log)\b|^[A-Za-z]{1,2}\s?[-+*/^=<>≤≥²³(]")  # ln 2


_STATES = re.compile(
    r"\b(?:is|are|was|were|be|equals?|becomes?|gives?|get|gets|have|has|obtain|yields?|total(?:s|ing)?"
    r"|about|exactly|only|just|therefore|thus|so|with)\b:?\s+|(?<![<>!])[=≈]\s*|(?<!\d)(?<!\d\s):\s*"
)
_VOCABULARY = {
    *NUMBER_WORDS, *SCALES, *DENOMINATORS, *PERCENT_WORDS, *DEGREE_WORDS, *FUNCTIONS, "and", "or",
    "a", "an", "pi", "infinity", "negative", "minus", "x", "pm", "am",
}  # fmt: skip
_LETTERS = re.compile(r"[A-Za-z\u00c0-\u024f\u0400-\u04ff\u3040-\u9fff\uac00-\ud7af]+")


def tail(sentence: str) -> str | None:
    """Return what a sentence ends in where all of it is a value: `it is 2 1/2`, `x is 2, 3`.

    A plain number at the end is not for this function, since a sentence may have several.
    """
    if _SEVERAL.fullmatch(sentence):
        return None
    for states in reversed(list(_STATES.finditer(sentence, max(0, len(sentence) - 90)))[-4:]):
        end = sentence[states.end() :].strip().rstrip(".!").strip("* ")
        spoken = _SPOKEN_ONLY.fullmatch(end)
        if spoken is not None and states.group().startswith(":"):
            return spoken.group(1)
        before = sentence[: states.start()]
        if any(map(str.isdigit, before)) and not any(map(str.isnumeric, end)) and "∞" not in end:
            continue  # 60 minutes, which is one hour
        words = _LETTERS.findall(end)
        known = all(w.lower() in _VOCABULARY or w.lower() in UNITS for w in words if len(w) > 1)
        plain = NUMBERISH.match(end)
        if "$" in end[1:]:
            continue
        two = (_EQUALS.search(end) and not ASSIGNS.match(end)) or ("or " in end and "%" in end)
        alone = plain and _PLAIN_END.fullmatch(end, plain.end()) and not _SCALED.search(end)
        if not end or not known or two or alone:
            continue
        found = read(end)
        if found and found[0].kind != "text":
            return end
    return None


_EQUALS = re.compile(r"(?<![<>!])=")
_SCALED = re.compile(rf"^\.|\b(?:percent|degrees|{'|'.join(DENOMINATORS)})\b")
_SPOKEN_ONLY = re.compile(
    rf"((?i:{SPOKEN}))(?:\s(?!(?:{SPOKEN}|and|percent|degrees)\b)[a-z]{{3,15}}){{1,2}}"
)
_PLAIN_END = re.compile(r"(?:\s[a-z]+){0,3}")


def value_in(sentence: str, asked: frozenset[str] = frozenset()) -> str:
    """Return the value of a sentence: all of it if it is short, else a formula or number."""
    if "not" in asked:  # how many are not in the choir?
        sentence = _ARE_NOT.sub("", sentence)
    said = affirmed(sentence)
    if said is None or BOUND.match(sentence):
        return sentence  # what it denies, or a bound, is for the reader to refuse
    sentence = _MINUS.sub("-", _BECAUSE.split(said, maxsplit=1)[0])
    sentence = _AGAIN.sub(lambda m: m.group(1) or m.group(2), sentence)
    so = _AND_SO.search(sentence)
    if so is not None and not MATH.search(sentence) and not asked & words(sentence[: so.start()]):
        percent = sentence.rstrip().endswith(("%", "percent")) and "perce" not in asked
        sentence = sentence[: so.start()] if percent else sentence[so.end() :]
    foreign = _CJK.search(sentence) is not None and any(c.isdigit() for c in sentence)
    if MATHEMATICS.fullmatch(sentence) and _FORMULA.search(sentence):
        return sentence
    short = (
        len(sentence) <= 40
        and not foreign
        and not MATH.search(sentence)
        and not TWO_WORDS.search(sentence)
    )
    if short and (not _WORD_FIRST.match(sentence) or not any(c.isdigit() for c in sentence)):
        return sentence
    lead = NUMBERISH.match(sentence)
    if lead and "; " in sentence and (not asked or asked & words(sentence.split("; ")[0])):
        sentence = sentence.split("; ")[0]  # 3 dollars each; the pack costs 15
    if lead and (_OTHERWISE.match(sentence, lead.end()) or _RELATIVE.match(sentence, lead.end())):
        return sentence
    choice = re.match(r"(?:for sure\s+)?\(?([A-J])\)?(?=$|[\s.,:])", sentence)
    if choice is not None and not re.match(r"A\s+[a-z]", sentence):
        return choice.group(1)
    return concluded(sentence, asked) or (sentence if len(sentence) <= 200 else "")
