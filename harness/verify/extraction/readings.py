"""The readings of an answer, with those that only its gold answer or its problem suggest.

An answer is read as it stands. Then the rules of `_RULES` see it in their order: each takes what
has been read so far, and returns it with what it adds, or what it puts in its place.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from harness.verify.algebra import tree
from harness.verify.algebra.numeric import rounds
from harness.verify.extraction.closing import concluded
from harness.verify.extraction.question import (
    Asked,
    asked_by,
    asked_places,
    asked_unit,
    is_asked_for,
)
from harness.verify.extraction.sentences import (
    NAME_ONLY,
    NUMBERISH,
    WORK,
    before_that_is,
    in_two_units,
    only_formula,
    value_among_words,
)
from harness.verify.reading.answer import Readings, read, readable
from harness.verify.reading.commas import european, may_be_decimal, with_points
from harness.verify.reading.letters import apart, unlettered
from harness.verify.reading.words import TEXT, UNITS


@dataclass
class _Case:
    """An answer and what it stands beside.

    Attributes:
        answer: Its text; a rule may simplify it for those behind it.
        golds: The readings of the gold answer.
        gold: The kind of the first of them, or nothing.
        problem: The problem's text, or nothing.
        locale: As in `Conventions`.
    """

    answer: str
    golds: Readings
    gold: str
    problem: str
    locale: str


def readings(answer: str, golds: Readings, locale: str, problem: str = "") -> Readings:
    """Return the readings of an answer, with those that only its gold answer or problem suggest."""
    case = _Case(before_that_is(answer), golds, _kind(golds), problem, locale)
    found = readable(case.answer, read(case.answer))
    if case.gold == "base" and case.answer.replace(" ", "") == golds[0].args[0]:
        return golds[:1]  # 2A, whose base only the gold gives
    for rule in _RULES:
        found = rule(case, found)
    return found


def _kind(found: Readings) -> str:
    return found[0].kind if found else ""


def _asked_side(case: _Case, found: Readings) -> Readings:
    """The other side of what is asked for: `a^2 + b^4 = 34` where that is "find `a^2 + b^4`"."""
    if not case.problem or _kind(found) != "rel" or case.gold in ("", "rel"):
        return found
    left, _, right = case.answer.partition("=")
    if right and is_asked_for(left, case.problem):
        last = right.rpartition("=")[
            2
        ]  # of a chain that ends in other names: log 72 = ... = 2b + 3a
        return found + readable(right, read(right)) + (read(last) if last != right else ())
    if right and is_asked_for(right, case.problem):
        return found + readable(left, read(left))
    return found


def _asked_rounding(case: _Case, found: Readings) -> Readings:
    r"""What is rounded as asked: `2685/200 \approx 13` to the nearest cent."""
    if not case.problem or _kind(found) != "rel" or case.gold in ("", "rel"):
        return found
    about = case.answer.rpartition("\\approx")[2] if "\\approx" in case.answer else ""
    if about and asked_places(case.problem) is not None and rounds(found[0]):
        return found + readable(about, read(about))
    return found


def _asked_last(case: _Case, found: Readings) -> Readings:
    """What is asked for at the end of several equations: `p = 55/703, and m + n = 758`."""
    if not case.problem or _kind(found) != "list" or case.gold != "num":
        return found
    left, _, right = case.answer.rpartition("and")[2].partition("=")
    return found + read(right) if right and is_asked_for(left.strip(" $"), case.problem) else found


def _among_words(case: _Case, found: Readings) -> Readings:
    """The value in a sentence: its formula, what it concludes, or `14` of `14 pears remain`."""
    worded = _kind(found) in ("", "text")
    listed = _kind(found) == "list" and any(x.kind == "text" for x in found[0].args)
    if case.gold in ("", "text") or not (worded or listed):
        return found
    value = only_formula(case.answer)
    if value and NAME_ONLY.fullmatch(value) and NUMBERISH.search(case.answer):
        # the value of $x$ is 3
        case.answer, value = case.answer.replace(f"${value}$", value), None
    asked = asked_by(case.problem)
    value = value or _said(case.answer, asked) or value_among_words(case.answer)
    if value is None:
        return found
    value = (apart(value) if case.gold == "num" else None) or value
    within = readable(value, read(value))
    return found + within if _kind(found) == "list" else within or found


def _said(text: str, asked: Asked) -> str | None:
    """Return what a sentence with numbers states, or None where an answer is none."""
    text = TEXT.sub(r"\1", text)
    sentence = text[:1].isupper() and 3 < len(text.split()) < 80 and not set("\\$=") & set(text)
    numbers = len(NUMBERISH.findall(text))
    if not sentence or not numbers or (numbers == 1 and WORK.search(text)):
        return None
    return concluded(text, asked)


_WHOLE = re.compile(  # letters that usually stand for whole numbers
    r"(?:all|any|every)\s+(?:positive\s|natural\s)?(?:integers?|numbers?)(?:\svalues\sof)?\s+"
    r"\$?([abdkmnpNMK]\s?(?:\\(?:ge|le|ne)\b|\\geq|\\leq|[<>=]).{1,80}?)\$?"
)


def _all_such(case: _Case, found: Readings) -> Readings:
    """The condition on whole numbers: `all integers n >= 3`."""
    if found or case.gold != "rel":
        return found
    whole = _WHOLE.fullmatch(TEXT.sub(r"\1", case.answer))
    return read(whole.group(1)) if whole is not None else ()


def _unit_of_name(case: _Case, found: Readings) -> Readings:
    """A letter behind what a name equals, as a unit: `t = 4 s`."""
    if case.gold not in ("num", "unit") or _kind(found) != "rel":
        return found
    name, _, value = case.answer.rpartition("=")
    quantity = apart(value.strip())
    return found + read(f"{name}={quantity}") if quantity is not None else found


_WORD_BEHIND = re.compile(r"(\d[\d,.]{0,20})\s([^\W\d_]{3,15})")
_SHORT_SCALE = re.compile(r"\$?([\d.,]{1,9})\s?([kKMB])")
_SHORT_SCALES = {"k": "thousand", "K": "thousand", "M": "million", "B": "billion"}


def _no_product(case: _Case, found: Readings) -> Readings:
    """Letters behind a number that multiply nothing: `12 pears`, `252 N`, `$3.5M`."""
    if _kind(found) != "mul" or not case.golds:
        return found
    if case.gold != "unit" and tree.symbols(case.golds[0]):
        return found
    counted = _WORD_BEHIND.fullmatch(case.answer)
    if counted is not None:
        found += read(f"{counted.group(1)}\\text{{ {counted.group(2)}}}")
    quantity, scaled = apart(case.answer), _SHORT_SCALE.fullmatch(case.answer)
    if quantity is not None:
        found += read(quantity)
    if scaled is not None:
        found += read(f"{scaled.group(1)} {_SHORT_SCALES[scaled.group(2)]}")
    return found


def _behind_letter(case: _Case, found: Readings) -> Readings:
    """The words of a choice: `12` of `(B) 12`."""
    if ")" not in case.answer[:14] or case.gold in ("", "text"):
        return found
    words = unlettered(case.answer)
    return found + read(words) if words != case.answer else found


def _in_asked_unit(case: _Case, found: Readings) -> Readings:
    """`7 hours 32 minutes` in minutes, where the problem asks for minutes."""
    if not case.problem or case.gold != "num" or _kind(found) != "unit":
        return found
    unit = asked_unit(case.problem) if in_two_units(TEXT.sub(r"\1", case.answer)) else None
    large, small = UNITS.get(found[0].args[1]), UNITS.get(unit or "")
    if large is None or small is None or large[0] != small[0]:
        return found
    return (*found, tree.mul(tree.num(large[1] / small[1]), found[0].args[0]))


def _in_asked_scale(case: _Case, found: Readings) -> Readings:
    """The number of what the question counts: `7` of `7 dozen`, where it asks how many dozens."""
    scale = asked_by(case.problem).scale
    if not scale or case.gold != "num" or scale not in case.answer:
        return found
    number = re.match(rf"(.{{0,40}}?\d)[\s~]{{0,3}}(?:\\text\s?\{{\s?)?{scale}s?\b", case.answer)
    return read(number.group(1)) if number is not None else found


def _hour(case: _Case, found: Readings) -> Readings:
    """The hour of a time of day on the hour: `2` of `2 pm`, where a time is asked for."""
    if case.gold != "num" or _kind(found) != "time" or found[0].args[1:3] != (0, 0):
        return found
    asked = asked_by(case.problem)
    return (*found, tree.num(found[0].args[0])) if asked.time and not asked.numbers else found


_REGION = re.compile(
    r"\b(?:intervals?|domain|range|inequalit\w{1,3}|(?:in|de)creas\w{1,4}|concav\w{1,4}|convex)\b"
    r"|[<>≤≥]|\\(?:le|ge|lt|gt|leq|geq)\b",
    re.I,
)
_POINT = re.compile(
    r"\b(?:pairs?|triples?|tuples?|points?|vert(?:ex|ices)|coordinates?|cent(?:er|re)|vectors?"
    r"|intersect\w{0,5})\b|\(\s?[a-z]\s?,\s?[a-z]\s?\)",
    re.I,
)


def _no_interval(case: _Case, found: Readings) -> Readings:
    """A list as a set where the gold is an open interval, whose ends a model may list for it.

    Also where "or" joins its values, or one name has all of them, which no point does.
    """
    pair = case.gold == "br" and case.golds[0].args[:2] == ("(", ")")
    if not pair or not any(n.kind == "list" for n in found):
        return found
    asks = case.problem and _REGION.search(case.problem) and not _POINT.search(case.problem)
    names = [left.strip()[-1:] for left in case.answer.split("=")[:-1]]
    one_of = re.search(r"\bor\b", case.answer) or (len(names) > 1 and len(set(names)) == 1)
    if not (asks or one_of) or len(case.golds[0].args[2]) != 2:
        return found
    return tuple(tree.structure("set", n.args) if n.kind == "list" else n for n in found)


_OTHER_WORDS = re.compile(r",?\s(?:or\s)?in\sother\swords[,:]?\s")


def _before_other_words(case: _Case, found: Readings) -> Readings:
    """What stands before "in other words", where all of it cannot be read."""
    if found or "other words" not in case.answer:
        return found
    return read(_OTHER_WORDS.split(case.answer)[0])


def _of_two_units(case: _Case, found: Readings) -> Readings:
    """The one in the unit that is asked for: `3 minutes and 24 seconds, or 204 seconds`."""
    if not case.problem or _kind(found) != "list" or case.gold != "num":
        return found
    units = [n for n in found[0].args if n.kind == "unit" and n.args[1] in UNITS]
    worth = {tree.mul(tree.num(UNITS[n.args[1]][1]), n.args[0]).key for n in units}
    if len(units) != len(found[0].args) or len(worth) != 1:
        return found
    return found + tuple(n for n in units if n.args[1] == asked_unit(case.problem))


_TWICE = re.compile(r"([^(]{1,60})\s\(\s*=?\s*([^()]{1,60})\)")


def _said_twice(case: _Case, found: Readings) -> Readings:
    """The value that brackets repeat: `17 (8 + 9)`, `5 (five)`."""
    twice = _TWICE.fullmatch(case.answer) if case.answer.endswith(")") else None
    if twice is None:
        return found
    once, again = read(twice.group(1)), read(twice.group(2))
    return once if once and again and once[0].key == again[0].key else found


def _decimal_comma(case: _Case, found: Readings) -> Readings:
    """`3,5` as `3.5`, where the task says so or the gold is a decimal fraction."""
    if case.locale == "comma":
        return european(case.answer, found)
    if case.locale != "auto" or not may_be_decimal(case.answer, case.golds):
        return found
    pointed = with_points(case.answer)
    return found + read(apart(pointed) or pointed)


_RULES: tuple[Callable[[_Case, Readings], Readings], ...] = (
    _asked_side, _asked_rounding, _asked_last, _among_words, _all_such, _unit_of_name, _no_product,
    _behind_letter, _in_asked_unit, _before_other_words, _of_two_units, _in_asked_scale, _hour,
    _said_twice, _decimal_comma, _no_interval,
)  # fmt: skip
