"""Answers that say the opposite of the gold answer, in words that the comparison looks through."""

from __future__ import annotations

import re
from itertools import permutations

# each line: words of the one direction, a bar, and words of the other
_LINES = """
increase increases increased increasing rises rose grows grew | \
decrease decreases decreased decreasing drops dropped falls fell declines declined
profit gain gains gained | loss loses lost
north northward northern | south southward southern
east eastward eastern | west westward western
left leftward | right rightward
up upward upwards | down downward downwards
above | below
clockwise | counterclockwise anticlockwise counter-clockwise anti-clockwise
before | after
ahead | behind
older | younger
taller | shorter
larger greater bigger largest greatest | smaller smallest less least
higher | lower
heavier | lighter
faster | slower
deposit deposited | withdrawal withdrawn withdrew
inside | outside
horizontal | vertical
warmer hotter | colder cooler
early earlier | late later
exists | forall
"""
_PAIRS = [
    tuple(frozenset(side.split()) for side in line.split("|"))
    for line in _LINES.strip().splitlines()
]
_WORD = re.compile(r"[a-z]+(?:-clockwise)?")
_KNOWN = frozenset(word for pair in _PAIRS for side in pair for word in side)
_THAN = re.compile(r"\b(?:greater|larger|bigger|smaller|less)\s(?:than|or)\b")  # says a bound
_NOT = re.compile(r"\bnot?\b|n't\b")
# which of two the problem asks for
_WHICH = re.compile(r"\b[Ww]hich\b[^.?!]{0,60}?\b(larger|greater|bigger|smaller|less)\b")


def says_the_opposite(answer: str, gold: str, problem: str) -> bool:
    """Whether an answer says the opposite of what the gold answer or the problem says.

    `4% increase` for `4% decrease`, `a is smaller` where it is asked which one is larger.
    """
    said = _words(answer)
    if not said or _NOT.search(answer):
        return False
    meant = _words(gold)
    if not meant and "hich" in problem:
        meant = _words(" ".join(_WHICH.findall(problem)))
    return any(
        one & meant and other & said and not (other & meant or one & said)
        for pair in _PAIRS
        for one, other in permutations(pair)
    )


_KINDS = frozenset(
    [
        "even",
        "odd",
        "prime",
        "composite",
        "rational",
        "irrational",
        "square",
        "squarefree",
        "perfect",
    ]  # numbers
)


def names_others(answer: str, gold: str) -> bool:
    """Whether a set of numbers is named by another kind than that of the gold answer.

    `all integers n >= 3` for `all odd integers n >= 3`.
    """
    said, meant = (_KINDS.intersection(_WORD.findall(x.lower())) for x in (answer, gold))
    return said != meant


def _words(text: str) -> frozenset[str]:
    return _KNOWN.intersection(_WORD.findall(_THAN.sub("", text.lower())))
