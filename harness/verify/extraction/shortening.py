"""A sentence without what it says beside its value."""

# ruff: noqa: RUF001 -- these characters are the subject
from __future__ import annotations

import re

from harness.verify.extraction.question import Asked, words
from harness.verify.extraction.sentences import HENCE, MATH, has_digit
from harness.verify.reading.lexicon import NOT, WRONG
from harness.verify.reading.words import SPOKEN


def shortened(sentence: str, asked: Asked) -> str:
    """Return a sentence without what it says beside its value."""
    for rule in _RULES:
        sentence = rule(sentence, asked)
    return sentence


_THAT_IS = re.compile(r",\si\.e\.,?\s(?=[^,;]{0,30}\d)(?=[^,;]*$)")


def _behind_that_is(sentence: str, asked: Asked) -> str:
    """Return what stands behind "i.e.": `18` of `a dozen and a half, i.e. 18`."""
    found = _THAT_IS.search(sentence)
    words_first = found is not None and not has_digit(sentence[: found.start()])
    return sentence[found.end() :] if found is not None and words_first else sentence


_EXACT = re.compile(
    r",\s([^,]{0,5}\d[^,]{0,30}?)\s(?:to\sbe\s(?:exact|precise)|exactly|precisely)\.?$"
)


def _exactly(sentence: str, asked: Asked) -> str:
    """Return a value "to be exact": `42` of `more than 40 were sold, 42 to be exact`."""
    found = _EXACT.search(sentence)
    return found.group(1) if found is not None else sentence


_FAILS = re.compile(
    r"(?:,\s(?:while|whereas|but)|(?:;|,?\sand)(?=\s\S{0,3}\d))\s([^,;]{1,80}?)\b(?:d(?:o|oes|id)\snot|n['’]t|fails?)\b"
)
_NOT_SO = re.compile(rf"\bnot\b[^.]*,\s(?:{HENCE})\b")


def _without_failure(sentence: str, asked: Asked) -> str:
    """Return a sentence without what fails: `n = 3 works` of `n = 3 works, while n = 2 does not`.

    Where the question is what does not, only that.
    """
    fails = _FAILS.search(sentence)
    if fails is None or not has_digit(sentence[: fails.start()]) or _NOT_SO.search(sentence):
        return sentence
    return fails.group(1) if "not" in asked.words else sentence[: fails.start()]


_ROUNDED = re.compile(r"\bround(?:s|ed|ing)\b[a-z\s]{0,30}\bto\s(\S{0,3}\d.*)$")


def _as_rounded(sentence: str, asked: Asked) -> str:
    """Return what a value rounds to, where that is asked: `8%` of `8.3%, which rounds to 8%`."""
    rounded = _ROUNDED.search(sentence) if {"round", "neare"} & asked.words else None
    return rounded.group(1) if rounded is not None else sentence


_PRECISION = re.compile(
    r"(?:,?\s?\brounded)?\s?\bto\s(?:\w{1,9}\s(?:significant\s\w{1,9}|decimals?(?:\s(?:places?|digits?|points?))?)|the\snearest\s\w{1,12})\b,?",
    re.I,
)


def _without_precision(sentence: str, asked: Asked) -> str:
    """Return a sentence without `to two significant digits` or `rounded to 2 decimal places`."""
    return _PRECISION.sub("", sentence)


_WHERE = frozenset({"which", "where", "attai", "occur"})
_OCCURS = re.compile(
    r",?\s(?:which|this|and|it)\s(?:it\s)?(?:(?:occurs|happens)\s(?!with\b)|is\s(?:attained|achieved|reached|found)\s).*$"
    r"|(?<=[\d$])\s(?:is|are|being)\s(?:attained|achieved|reached)\s(?:when|at|for|if|by)\s"
    rf"(?:(?!\b(?:{HENCE})\b).)*$"
)


def _without_where(sentence: str, asked: Asked) -> str:
    """Return a sentence without where it is so: `the maximum is 8, which occurs at x = 4`.

    Unless the question is where.
    """
    occurs = _OCCURS.search(sentence) if not _WHERE & asked.words else None
    if occurs is None or not has_digit(sentence[: occurs.start()]):
        return sentence
    return sentence[: occurs.start()]


_FRONT = re.compile(  # After 3 hours, ...; Adding 2 and 3, ...
    r"\W{0,5}(?:(?:so|thus|hence|therefore|then|finally|now|and)\b,?\s)?"
    r"(?:(?:after|if|when|since|because|as|with|given|for|at|in|of|out|from|before|while|although"
    r"|once|by|to|on|during|until|among|instead)\b|[a-z]{2,12}ing\b)[^,:]*(?:,(?=\d{3}\b)[^,:]*)*,\s",
    re.I,
)
_CLAUSE = re.compile(r"\W{0,5}(?:since|because|if|although|given)\b", re.I)

# how clauses and additions begin that only explain, describe or compare
_CONCLUDES = (
    r"leaves?|left|gives?|gave|makes?|made|means?|brings?|brought|adds?|comes?|totals?|results?"
    r"|simplifies|reduces|works|equals|yields|implies|factors|rounds?|rounded|rounding|becomes|to"
    r"|we|can|has|have|in\stotal|together\s(?:is|are|makes?)"
)
_COMPARES = r"times|more|less|fewer|for|each|every|per|above|below|of|as|away"
_VALUE = r"(?:\$[^$]{1,40}\$|\S{1,20})"
_SIDES = (
    # reasons
    r",?\s(?:and\s)?(?:since|because|given\sthat)\s",
    r",\s(?:and\s)?as\s(?!an?\s|follows|required|desired|well|the\s(?:answer|result))",
    # relative clauses, but for "which leaves 5" and "which is 5"
    rf",\swhich\s(?!(?:{_CONCLUDES}|(?:is|are|was|were)(?!\s{_VALUE}\s(?:[a-z]{{1,12}}\s)?(?:{_COMPARES})\b))\b)",
    r",\s(?:who|whose|whom|where|when|(?:at|of|in)\swhich|each\sof\swhich)\s",
    # what goes with it, but for "with 2 left"
    r",\s(?:(?:together|along)\s)?with\s(?!\S{1,9}(?:\s[a-z]+)?\s(?:left|remaining|leftover)\b)",
    r",\s(?:against|compared|as\sopposed|unlike|(?:but\s)?not\s(?:enough|counting|including)"
    r"|including|excluding|counting)\b",
    r",\s(?:being|having|keeping|representing|consisting|corresponding|covering|using|matching"
    r"|satisfying)\b",
    r",\s\S{1,12}\s[a-z]{1,15}\sbeing\b",
    r",\s(?:up\s|down\s)?from\s[^,]*\sto\s",
    r",\sout\sof\s(?!these|which|them)",
    r",\sthe\slatter\s",
    # contrasts
    r",?\s(?:whereas|although|though|even\sthough)\s",
    r",\s(?:while|and\sonly(?=\s\S+\sof\b))\s",
    # the same once more: "that is, 2 times 6", "6 in each box", "3 times as many", "or 5 a day"
    r",\sthat\sis,?\s(?=.{0,30}(?:\btimes\b|\s[-+*/×·]\s))",
    r",\s\$?\d[\d,.]*\s(?:[a-z]+\s)?(?:(?:in|for|on|at|per)\s)?(?:each|every|per)\b",
    r",\s\d[\d,.]*\stimes\s",
    r",\sor\s\S{1,8}\s(?:an?|per|each|every)\s",
    r",\sor\s\S{1,14}\s(?:each)\b",
    # examples and checks
    r"[,;]\sfor\s(?:example|instance)\b",
    r",?\sand\s(?:indeed|in\sfact)\b",
    r",\s(?:and\s)?(?=[^,=]{1,30}=[^,=]{1,30}\s(?:confirms|checks|shows)\b)",
    r";\s(?=(?:indeed|in\sfact|note|the\sother)\b)",
    r"\s\((?=[^\s()]{1,12}\s=[^()]*\)\.?\s*$)",
    r"\s\((?:and|since|as|because|check|so\sthat|indeed|which)\s",
)
_SIDE = re.compile("|".join(_SIDES), re.I)
# a conclusion in what would be left out, or the rest of the main clause behind it
_GOES_ON = re.compile(
    rf":\s|\b(?:{HENCE}|leaving|which\s(?:leaves|gives|makes|means))\b"
    r"|,\s(?!(?:and|or|but|while)\b)[A-Za-z][^,]*(?:\d|\$)|\\\[|\$\$|,\s\d[^,=]*="
    r"|\b(?:sum|answer|value|total|result)\s(?:is|of)\b|\bnot\s(?:the|right|correct)\b"
    rf"|\b(?:{WRONG})\b"
)
_REASON = re.compile(r",?\s(?:and\s)?(?:since|because|given\sthat|as)\b|[,;]\sfor\s|\s\(", re.I)
_NEGATED = re.compile(NOT, re.I)
_COMES_TO = re.compile(r"([^=;.]*)=\s*(-?\d[\d,]*(?:\.\d+)?)[^=\d]*$")
_STEP_NUMBER = re.compile(r"\d[\d,]*(?:\.\d+)?")
_PERCENT = re.compile(r"%|\bpercent")
_STATES = re.compile(rf"\d|\b{SPOKEN}\b", re.I)


def _main_clause(sentence: str, asked: Asked) -> str:
    """Return a sentence without clauses that only explain or describe what its main clause says.

    `the ride takes 3 hours` of `the ride takes 3 hours, since it is 90 km at 30 km/h`.
    """
    if len(sentence) > 1_000:
        return sentence
    masked = MATH.sub(lambda m: "$" + "0" * (len(m.group()) - 2) + "$", sentence)
    start = _front(masked)
    for side in _SIDE.finditer(masked, start):
        stated = _STATES.search(masked, start, side.start())
        if stated and not _counts(sentence, side, sentence[start : side.start()], asked):
            return sentence[: side.start()]
    return sentence


def _counts(sentence: str, side: re.Match[str], main: str, asked: Asked) -> bool:
    """Whether what begins with a side clause may be what the sentence states."""
    rest = sentence[side.end() :]
    if _GOES_ON.search(rest) or _NEGATED.search(main):
        return True
    if not asked and not _REASON.match(side.group()):
        return True  # nothing says which of two values is asked for
    if asked.weight(words(rest)) > asked.weight(words(sentence[: side.start()])):
        return True
    comes_to = _COMES_TO.search(rest) if "ecause" in side.group() and "$" not in rest else None
    if comes_to is not None and comes_to.group(2) not in main:
        # 132 because 48 + 36 + 12 = 96; but 44 because 26 + 44 = 70
        parts = _STEP_NUMBER.findall(comes_to.group(1))
        return not (parts and set(parts) & set(_STEP_NUMBER.findall(main)))
    if "perce" in asked.words and _PERCENT.search(rest) and not _PERCENT.search(main):
        return True
    return bool(asked.words & _WHERE) and "=" in rest  # where it is so is asked


def _front(masked: str) -> int:
    """Return where the main clause begins behind a side clause with a comma, else 0."""
    front = _FRONT.match(masked)
    if front is None or not _STATES.search(masked, front.end()):
        return 0
    main = _SIDE.match(masked, front.end() - 2) and not _CLAUSE.match(masked)
    return 0 if main else front.end()


def _without_front(sentence: str, asked: Asked) -> str:
    """Return a main clause without a calculation before it: `Adding 2 + 3 = 5, he has 9 left`."""
    start = _front(sentence) if "=" in sentence and "$" not in sentence else 0
    if not start or "=" in sentence[start:] or "=" not in sentence[:start]:
        return sentence
    front, main = sentence[:start], sentence[start:]
    return main if len(asked.words & words(front)) <= len(asked.words & words(main)) else sentence


_WORTH = re.compile(r",\s(?:each\s)?worth\s[^,]{1,30}(?=,|\.?$)")


def _without_worth(sentence: str, asked: Asked) -> str:
    """Return a sentence without what its things are worth, unless that is asked for."""
    asks = {"worth", "value", "dolla", "money"} & asked.words
    return sentence if asks else _WORTH.sub("", sentence)


_RULES = (
    _behind_that_is, _exactly, _without_failure, _as_rounded, _without_precision, _without_where,
    _main_clause, _without_front, _without_worth,
)  # fmt: skip
