"""The answer in a gold text, the readings that an answer may have beside it, answers in words."""

from __future__ import annotations

import re
from functools import lru_cache

from harness.verify.algebra import tree
from harness.verify.algebra.node import Node
from harness.verify.algebra.numeric import rounds
from harness.verify.extraction.boxes import boxed
from harness.verify.extraction.closing import concluded
from harness.verify.extraction.extract import Form, Found, extract
from harness.verify.extraction.phrases import in_words
from harness.verify.extraction.problem import asked_places, asked_unit, asked_words, is_asked_for
from harness.verify.extraction.sentences import (
    MATH,
    NAME_ONLY,
    NUMBERISH,
    WORK,
    before_that_is,
    content,
    in_two_units,
    only_formula,
    value_among_words,
)
from harness.verify.reading.answer import choice, read, readable
from harness.verify.reading.tidy import tidy, with_unit
from harness.verify.reading.tokens import plain
from harness.verify.reading.words import ROMAN, TEXT, UNITS, canonical_unit, normal_words

_DECIMAL = re.compile(
    r"\.(\d+)\s*(?:(?:\\times|\\cdot|\*|×)\s*10\s*(?:\^|\*\*)\s*\{?\s*(-?\d+)|[eE]([-+]?\d+))?"  # noqa: RUF001
)


@lru_cache(maxsize=4096)
def gold_answer(gold: str) -> str:
    """Return the answer in a gold text: its last box, or what its last phrase commits to."""
    if gold.isalnum() and gold.isascii():
        return gold
    if "\\\\boxed" in gold:
        gold = gold.replace("\\\\boxed", "\\boxed")
    if "boxed" in gold or "\\fbox" in gold:
        inner = boxed(plain(gold) if not gold.isascii() else gold)
        if inner is not None and inner.strip():
            return inner
    if len(gold) > 150 and re.search(r"answer is|#### ", gold):
        found = extract(gold, "hash", "committed")
        if found is not None:
            return found.text
    return gold if tidy(gold) else ""


def decimals(gold: str) -> int | None:
    """Return the place of a gold's last decimal, 9 for `2.88e-7`; None for one without decimals."""
    match = _DECIMAL.search(gold)
    if match is None:
        return None
    return len(match.group(1)) - int(match.group(2) or match.group(3) or 0)


_LETTERED = re.compile(r"\(?[A-J]\)[.:]?[\s~]*(\S.{0,200})")  # (B) 12


def unlettered(answer: str) -> str:
    """Return an answer without the letter of a choice before it: `12` of `(B) 12`."""
    if ")" not in answer[:14] and "." not in answer[:14]:
        return answer
    lettered = _LETTERED.fullmatch(TEXT.sub(r"\1", answer))
    return lettered.group(1) if lettered is not None else answer


_WORD_BEHIND = re.compile(r"(\d[\d,.]{0,20})\s([^\W\d_]{3,15})")
_THOUSAND = re.compile(r"\$?([\d.,]{1,9})\s?([kKMB])")
_SHORT_SCALES = {"k": "thousand", "K": "thousand", "M": "million", "B": "billion"}
_IT_IS = re.compile(
    r"^(?:it|this|that|they|[a-z]{1,12})(?:'s|\s+(?:is|are|was|were|falls|lands|fell))\s+"
    r"(?:(?:an?|the|on)\s+)*"
)
_OTHER_WORDS = re.compile(r",?\s(?:or\s)?in\sother\swords[,:]?\s")
_TWO_WAYS = re.compile(r"(?:[<>]|\\[lg]e(?:q|qslant)?\b)[^:]*:\s?([(\[].*[)\]]\$?)$")
_TWICE = re.compile(r"([^(]{1,60})\s\(\s*=?\s*([^()]{1,60})\)")
_COMMA_DECIMAL = re.compile(r"(?<!\d)(\d+),(\d+)(?!\d)")
_EUROPEAN = re.compile(r"(?<![\d.,])(\d{1,3}(?:\.\d{3}){1,4}),(\d{1,12})(?![\d,.])")  # 1.234,5
_POINTS = re.compile(r"(?<![\d.,])[1-9]\d{0,2}(?:\.\d{3}){1,4}(?![\d.,])")  # 12.600
_CENTS = re.compile(r"(?<![\d.,])\d{1,9},00(?!\d)")  # 77,00
_THOUSANDS = re.compile(r"(?<!\d)[1-9]\d{0,2},\d{3}(?!\d)")
_NOUN = re.compile(r"(?<=\w)\s(?:function|number|integer|series|sequence|triangle)$")
_YES_OR_NO = re.compile(r"(yes|no|true|false)(?:[,.;:!]|\s+because\b)")


_WHOLE = re.compile(  # all integers n >= 3; letters that usually stand for whole numbers
    r"(?:all|any|every)\s+(?:positive\s|natural\s)?(?:integers?|numbers?)(?:\svalues\sof)?\s+"
    r"\$?([abdkmnpNMK]\s?(?:\\(?:ge|le|ne)\b|\\geq|\\leq|[<>=]).{1,80}?)\$?"
)
_APART = re.compile(
    r"\$?((?:[-+.,\d\s^{}()*/]|(?<=\d)[eE](?=[-+\d])|\\(?:times|cdot|pi|sqrt|d?frac)\b|\s(?:thousand|million|billion)\b){1,80}?)\$?"
    r"(?:\s+|~|\\[ ,;]\s*)"
    r"\$?((?:(?:\\mu\s?|[pnumkMG])?(?:[msgLNJWVAKCTF]|Hz|Pa|eV|mol)|h|l|cm)(?:/(?:s|h|min|kg|m|mol)|\^\{?[23]\}?|\s(?:m|s|kg|K|mol)\^\{?-?[123]\}?)*)\$?"
    r"(?:\s(?:per\s[a-z]{2,12}|each))?"
)


def apart(text: str) -> str | None:
    r"""Return `252\text{ N}` for `252 N`: letters of a unit that stand apart from a plain number.

    A letter that touches its number (`5m`) is a variable.
    """
    found = _APART.fullmatch(text) if len(text) < 120 else None
    if found is None or not any(map(str.isdigit, found.group(1))):
        return None
    unit = found.group(2).replace("\\mu ", "u").replace("\\mu", "u")
    return f"{found.group(1)}\\text{{ {unit}}}"


def measured(
    gold: str, golds: tuple[Node, ...], answer: str, answers: tuple[Node, ...]
) -> tuple[tuple[Node, ...], tuple[Node, ...]]:
    """Return both sides with the readings as quantities, `1500 m` and `1.5 km`, if both are one.

    Letters of a unit that stand apart in the gold may be variables: they are a unit only beside
    an answer that measures the same.
    """
    if not golds or not answers or golds[0].kind != "mul":
        return golds, answers
    sides = []
    for text, nodes in ((gold, golds), (answer, answers)):
        written = apart(text) if nodes[0].kind == "mul" else None
        sides.append(read(written) if written is not None else nodes[:1])
    kinds = [n[0].kind == "unit" and canonical_unit(n[0].args[1])[0] for n in sides if n]
    if len(kinds) < 2 or not kinds[0] or kinds[0] != kinds[1]:
        return golds, answers
    return golds + sides[0], answers + sides[1]


def gold_readings(gold: str, locale: str) -> tuple[Node, ...]:
    """Return the readings of a gold answer; of one in prose, those of its only formula."""
    golds = readable(gold, read(gold))
    both = _TWO_WAYS.search(gold) if ":" in gold else None
    if both is not None:  # -6 \\le x \\le -2: [-6, -2]
        golds = (*read(both.group(1).strip(" $")), *golds)
    if locale == "comma" and ("," in gold or "." in gold):
        golds = _european(gold, golds)
    formula = only_formula(gold) if not golds else None
    return readable(formula, read(formula)) if formula is not None else golds


@lru_cache(maxsize=4096)
def is_worded(gold: str) -> bool:
    """Whether a gold answer is one in words, or the letter of a choice."""
    text = with_unit(tidy(gold)) if len(gold) < 300 and any(map(str.isalpha, gold)) else ""
    if not text:
        return False
    found = read(text)
    empty = bool(found) and found[0].kind == "set" and not found[0].args
    if text in ROMAN or empty:
        return True
    return choice(text) is not None or (bool(found) and found[0].kind == "text")


def readings(
    answer: str, golds: tuple[Node, ...], locale: str, problem: str = ""
) -> tuple[Node, ...]:
    """Return the readings of an answer, with those that only its gold answer or problem suggest."""
    answer = before_that_is(answer)
    answers = readable(answer, read(answer))
    if problem and answers and answers[0].kind == "rel" and golds and golds[0].kind != "rel":
        left, _, right = answer.partition("=")
        if right and is_asked_for(left, problem):  # a^2 + b^4 = 34
            answers += readable(right, read(right))
        elif right and is_asked_for(right, problem):
            answers += readable(left, read(left))
        about = answer.rpartition("\\approx")[2] if "\\approx" in answer else ""
        if about and asked_places(problem) is not None and rounds(answers[0]):
            # 2685/200 = 13 to the nearest cent
            answers += readable(about, read(about))
    if problem and answers and answers[0].kind == "list" and golds and golds[0].kind == "num":
        left, _, right = answer.rpartition("and")[2].partition("=")
        if right and is_asked_for(left.strip(" $"), problem):  # p = 55/703, and m + n = 758
            answers += read(right)
    if golds and golds[0].kind == "base" and answer.replace(" ", "") == golds[0].args[0]:
        return golds[:1]  # 2A, whose base only the gold gives
    if (
        golds
        and golds[0].kind != "text"
        and (
            not answers
            or answers[0].kind == "text"
            or (answers[0].kind == "list" and any(x.kind == "text" for x in answers[0].args))
        )
    ):
        formula = only_formula(answer)
        if formula and NAME_ONLY.fullmatch(formula) and NUMBERISH.search(answer):
            answer, formula = answer.replace(f"${formula}$", formula), None  # the value of $x$ is 3
        asked = asked_words(problem) if problem else frozenset()
        formula = formula or _said(answer, asked) or value_among_words(answer)
        if formula is not None:
            formula = (apart(formula) if golds[0].kind == "num" else None) or formula
            found = readable(formula, read(formula))
            answers = (
                (*answers, *found)
                if answers[:1] and answers[0].kind == "list"
                else found or answers
            )
    if golds and golds[0].kind == "rel" and not answers:
        whole = _WHOLE.fullmatch(TEXT.sub(r"\1", answer))
        answers = read(whole.group(1)) if whole is not None else ()
    if golds and golds[0].kind in ("num", "unit") and answers and answers[0].kind == "rel":
        side = apart(answer.rpartition("=")[2].strip())  # t = 4 s
        answers += read(f"{answer.rpartition('=')[0]}={side}") if side is not None else ()
    constant = bool(golds) and (golds[0].kind == "unit" or not tree.symbols(golds[0]))
    if constant and answers and answers[0].kind == "mul":
        counted = _WORD_BEHIND.fullmatch(answer)
        answers += read(f"{counted.group(1)}\\text{{ {counted.group(2)}}}") if counted else ()
        measured, thousand = apart(answer), _THOUSAND.fullmatch(answer)
        answers += read(measured) if measured is not None else ()
        if thousand is not None:
            answers += read(f"{thousand.group(1)} {_SHORT_SCALES[thousand.group(2)]}")
    if ")" in answer[:14] and golds and golds[0].kind != "text":
        answers += read(unlettered(answer)) if unlettered(answer) != answer else ()
    if problem and golds and golds[0].kind == "num" and answers and answers[0].kind == "unit":
        unit = asked_unit(problem) if in_two_units(TEXT.sub(r"\1", answer)) else None
        large, small = UNITS.get(answers[0].args[1]), UNITS.get(unit or "")
        if large is not None and small is not None and large[0] == small[0]:
            # 7 hours 32 minutes, where minutes are asked for
            answers += (tree.mul(tree.num(large[1] / small[1]), answers[0].args[0]),)
    if not answers and "other words" in answer:
        answers = read(_OTHER_WORDS.split(answer)[0])
    if problem and answers and answers[0].kind == "list" and golds and golds[0].kind == "num":
        units = [n for n in answers[0].args if n.kind == "unit" and n.args[1] in UNITS]
        worth = {tree.mul(tree.num(UNITS[n.args[1]][1]), n.args[0]).key for n in units}
        if len(units) == len(answers[0].args) and len(worth) == 1:
            # 3 minutes and 24 seconds, or 204 seconds
            answers += tuple(n for n in units if n.args[1] == asked_unit(problem))
    twice = _TWICE.fullmatch(answer) if answer.endswith(")") else None
    if twice is not None:  # 17 (8 + 9), 5 (five): the same value once more
        once, again = read(twice.group(1)), read(twice.group(2))
        if once and again and once[0].key == again[0].key:
            answers = once
    if locale == "comma":
        return _european(answer, answers)
    decimal = any(g.kind == "num" and g.args[0].denominator != 1 for g in golds)
    decimal = decimal or _CENTS.search(answer) is not None
    # a comma before three digits marks thousands unless the task says otherwise
    if locale == "auto" and "," in answer and decimal and not _THOUSANDS.search(answer):
        pointed = _with_points(answer)
        return (*answers, *read(apart(pointed) or pointed))
    return answers


def _european(text: str, nodes: tuple[Node, ...]) -> tuple[Node, ...]:
    """Return the readings of a text with decimal commas, in which `12.600` is a whole number."""
    swapped = _with_points(text)
    if swapped == text:
        return nodes
    return read(swapped) if _POINTS.search(text) else read(swapped) + nodes


def choices(gold: str, answer: str) -> tuple[bool, str] | None:
    """Compare multiple-choice letters where the gold is one."""
    if len(gold) > 300 or len(answer) > 300:
        return None
    g = choice(gold)
    if g is None:
        return None
    a = choice(answer)
    if a is not None and (g[1] or a[1] or g[0] == a[0]):
        return g[0] == a[0], "the same choice" if g[0] == a[0] else "another choice"
    if a is None and g[1] and normal_words(answer) == g[1]:
        return True, "the words of the choice"
    return None


def same_words(gold: str, answer: str) -> str | None:
    """Return why two answers in words are the same, or None."""
    words, said = normal_words(gold), normal_words(answer)
    said = _NOUN.sub("", said) if not _NOUN.search(words) else said  # an even function
    if len(words) > 1 and words in (said, _IT_IS.sub("", said)):
        return "equal words"
    if words.count("=") == 1 and [*map(str.strip, words.split("="))] == [
        *map(str.strip, said.split("=")[::-1])
    ]:
        return "the same equation"
    last = normal_words(in_words(TEXT.sub(r"\1", answer)) or "")
    if len(words) > 2 and " or " not in said and last == words:
        return "the last words of a sentence"
    first = _YES_OR_NO.match(said)
    if first is None or first.group(1) != words or (_YES_OR_NO.match(f"{last}.") and last != words):
        return None  # Yes. The answer is no.
    return "the first word of a sentence"


def _said(text: str, asked: frozenset[str]) -> str | None:
    """Return what a sentence with numbers states, or None where an answer is none."""
    text = TEXT.sub(r"\1", text)
    sentence = text[:1].isupper() and 3 < len(text.split()) < 80 and not set("\\$=") & set(text)
    numbers = len(NUMBERISH.findall(text))
    if not sentence or not numbers or (numbers == 1 and WORK.search(text)):
        return None
    return concluded(text, asked)


def _with_points(text: str) -> str:
    """Return a text with commas for decimal marks, and points for thousands, turned to points."""
    text = _EUROPEAN.sub(lambda m: m.group(1).replace(".", "") + "." + m.group(2), text)
    text = _POINTS.sub(lambda m: m.group().replace(".", ""), text)
    return _COMMA_DECIMAL.sub(r"\1.\2", text)


def in_prose(text: str, found: Found, form: Form, gold: str, right: bool) -> str | None:
    """Return another text that counts for an answer in running prose, or None.

    It is the equation whose right side was taken, where the gold answer is one. `42!` at the end
    of a sentence may be 42, unless the gold answer is a factorial itself, and `5-10 apples` is a
    range and no difference. `right` is the verdict on the text as it stands.
    """
    if found.how not in ("phrase", "last") and form != "answer_is":
        return None
    if not right and "=" in gold and "=" not in found.text and found.how == "last":
        *_, shown = [content(m).strip() for m in MATH.finditer(text)] or [""]
        if shown.endswith(found.text.strip()) and "=" in shown:
            return shown  # the line is x + 2y = 6
    loud = _LOUD.fullmatch(found.text) if not right and "!" not in gold else None
    among = _RANGE.fullmatch(found.text) if right and not _RANGE.fullmatch(gold) else None
    if loud is None and among is None:
        return None
    at = re.search(rf"(?<![\w$\\{{(^#])(?<!####\s){re.escape(found.text)}{_ENDS}", text)
    if at is None or any(m.start() < at.start() < m.end() for m in MATH.finditer(text)):
        return None
    if among is None:
        sentence = re.split(r"[.!?]\s|\n", text[max(0, at.start() - 200) : at.start()])[-1]
        return None if _COUNTED.search(sentence) else found.text[:-1]
    low, high = (float(n.replace(",", "")) for n in among.groups())
    return f"between {found.text}" if low < high else None


_COUNTED = re.compile(r"\b(?:orders?|ways|arrange\w*|permut\w*|factorials?)\b", re.I)
_ENDS = r"[*_\"')!]*(?:\s*$|\n|\s[A-Z]|(?<!!)[.,;\s])"  # behind a number and its unit
_RANGE = re.compile(
    r"(\d{1,9}(?:,\d{3})*(?:\.\d{1,9})?)(?:-|\s?[\u2013\u2014]\s?|\sto\s(?=\S+\s[a-z]))"
    r"(\d{1,9}(?:,\d{3})*(?:\.\d{1,9})?)"
    r"(?:\s[a-z]{2}[a-z ]{0,40})?"
)
_LOUD = re.compile(r"[^!]{1,80}!")
