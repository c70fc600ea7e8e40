"""Right values of what is not asked for: another direction, another letter, another ratio."""

from __future__ import annotations

import re
from functools import lru_cache

from harness.verify.extraction.question import asked_by, last_question
from harness.verify.extraction.sentences import MATH, content
from harness.verify.extraction.stops import start_before
from harness.verify.objections.directions import says_the_other_way
from harness.verify.objections.things import stems
from harness.verify.objections.vetoes import places

_NAMED = re.compile(r"\s*\$?([a-zA-Z])\s?=(?!=)")
_LETTER = re.compile(r"(?<![a-zA-Z\\])[a-zA-Z](?![a-zA-Z])")
_SAME = re.compile(r"(?<![a-zA-Z\\])([a-zA-Z])\s?=\s?([a-zA-Z])(?=\s?(?:[,;]|$))")  # x = m
_RATIO = re.compile(
    r"\bratio\sof\s(?P<first>[^.,?!:;$\\]{2,60}?)\sto\s(?P<second>[^.,?!:;$\\]{2,60}?)"
    r"(?=\s(?:is|was|in|at|on|after|if|when|equals|for|would)\b|[.,?!:;$\\]|$)",
    re.I,
)


def is_of_another(text: str, value: str, gold: str, problem: str) -> str | None:
    """Return the words by which a value is that of something else than what is asked, or None.

    `x = 6` where the value of `y` is asked for and the problem has both letters; "the ratio of
    girls to boys is 3:2" where that of boys to girls is.

    Args:
        text: The response.
        value: What was read as its answer.
        gold: The gold answer.
        problem: The problem.
    """
    named = _NAMED.match(value) if "=" in value[:6] else None
    if named is not None and value.count("=") == 1:
        asked, others = _letters(problem)
        return named.group().strip(" $") if asked and named.group(1) in others else None
    reverse = _reversed(text[-600:], value, problem) if "ratio of" in problem else None
    return reverse or says_the_other_way(text, value, gold, problem)


@lru_cache(maxsize=1024)
def _letters(problem: str) -> tuple[frozenset[str], frozenset[str]]:
    """Return the letters whose values a problem asks for, and its other ones."""
    asked = asked_by(problem).formulas if "$" in problem or "\\" in problem else frozenset()
    if not asked or any(len(a) != 1 for a in asked):
        return frozenset(), frozenset()
    formulas = [content(m) for m in MATH.finditer(problem)]
    pairs = [{*pair} for formula in formulas for pair in _SAME.findall(formula)]
    same = asked.union(*(pair for pair in pairs if pair & asked))
    return asked, frozenset(_LETTER.findall(" ".join(formulas))) - same


def _reversed(window: str, value: str, problem: str) -> str | None:
    """Return the ratio that a response gives where the question asks for the reverse, or None."""
    asked, at = _RATIO.search(last_question(problem)), places(window, value.strip())
    if asked is None or not at:
        return None
    said = list(_RATIO.finditer(window[start_before(window, at[0]) : at[0]]))
    if not said:
        return None
    first, second = (stems(asked[side]) for side in ("first", "second"))
    over, under = (stems(said[-1][side]) for side in ("first", "second"))
    mine, theirs = first - second, second - first
    crossed = over & theirs and under & mine and not (over & mine or under & theirs)
    return said[-1].group() if crossed else None
