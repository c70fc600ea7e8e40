"""Answers that are copies: expressions of the problem's own text that nobody evaluated."""

from __future__ import annotations

import re
from collections import Counter
from functools import lru_cache
from itertools import islice, pairwise
from math import gcd

from harness.verify.extraction.pieces import RELATIONS
from harness.verify.extraction.pieces import pieces as split
from harness.verify.extraction.sentences import MATH, content
from harness.verify.limits import MAX_ANSWER, with_allowance
from harness.verify.reading.words import FUNCTIONS, number_of

_WORK = {
    "+", "*", "/", "^", "!", "|", "frac", "sqrt", "over", "choose", "binom", "dbinom", "sum",
    "prod", "int", "lim", "lfloor", "lceil", "mod", "bmod", "pmod", "cup", "cap", "pm", "det",
} | set(FUNCTIONS)  # fmt: skip
_VALUES = {"emptyset", "varnothing", "infty", "pi"}  # names that are values, with nothing to do
_MAX_DIGITS = 300  # of a numerator or denominator that may have to be reduced
_SIMPLE = re.compile(r"frac \d+ \d+|\d+ / \d+")


def _side(pieces: tuple[str, ...]) -> tuple[str, ...]:
    """Return the right side of an equation that names something on its left."""
    if pieces.count("=") == 1:
        left, right = pieces[: pieces.index("=")], pieces[pieces.index("=") + 1 :]
        if right and not (set(left) & _WORK or any(map(str.isdigit, "".join(left)))):
            return right
    return pieces


def _is_work(pieces: tuple[str, ...]) -> bool:
    """Whether an expression has something left to do: an operation, a function, a power."""
    bare = pieces[1:] if pieces[:1] in (("-",), ("+",)) else pieces
    numbers = [int(p) for p in bare if p.isdecimal() and len(p) <= _MAX_DIGITS]
    if not bare or _SIMPLE.fullmatch(" ".join(bare)):
        return bool(bare) and gcd(*numbers) > 1
    if set(bare) & _WORK or "-" in bare:
        return True
    if numbers and {"overline", "_"} & set(bare):
        return True  # a repeating decimal, a numeral in another base
    # two numbers in brackets side by side, or a number before a bracket, are a product
    return any(b == "(" and (a == ")" or a[-1].isalnum()) for a, b in pairwise(bare))


@lru_cache(maxsize=1024)  # so it has an allowance of its own
def _expressions(problem: str) -> tuple[frozenset[tuple[tuple[str, int], ...]], str]:
    """Return a problem's formulas as multisets of their pieces, and all its pieces in order."""
    return with_allowance(_read, problem)


def _read(problem: str) -> tuple[frozenset[tuple[tuple[str, int], ...]], str]:
    bags: set[tuple[tuple[str, int], ...]] = set()
    for formula in MATH.finditer(problem):
        pieces = split(content(formula))
        bags.add(_bag(pieces))
        for part in re.split(r"(?<!\\)[=,;]|\\(?:le|ge|quad|text)", content(formula)):
            bags.add(_bag(split(part)))
    for said, written in _IN_WORDS:
        for found in islice(said.finditer(problem), 20):
            bags.add(_bag(split(found.expand(written))))
    return frozenset(bags), f" {' '.join(split(problem))} "


def _bag(pieces: tuple[str, ...]) -> tuple[tuple[str, int], ...]:
    """Return the pieces without order, marks of multiplication, brackets and names of indices.

    Of a single fraction the first piece counts as such: one over another is not the other over it.
    """
    bound = [
        n
        for op, _, n, is_ in zip(*(pieces[i:] for i in range(4)), strict=False)
        if op in _SUMS and is_ == "="
    ]
    named = ("#" if p in bound else "/" if p == "frac" else p for p in pieces)
    kept = [p for p in named if p not in "()[]*"]
    if "/" in kept and not {"+", "-"}.intersection(kept):
        kept += [f"first {p}" for p in kept if p != "/"][:1]
    return tuple(sorted(Counter(kept).items()))


# what a problem says in words and an answer may copy in signs
_VALUE = r"\$?([^\s$,]{1,40}|[^$,]{1,40}\$)\$?"
_IN_WORDS = (
    (
        re.compile(rf"greatest common (?:divisor|factor) of {_VALUE} and {_VALUE}", re.I),
        r"gcd \1,\2",
    ),
    (re.compile(rf"least common multiple of {_VALUE} and {_VALUE}", re.I), r"lcm \1,\2"),
    (re.compile(rf"remainder when {_VALUE} is divided by {_VALUE}", re.I), r"\1 \\bmod \2"),
    (re.compile(r"(\d[\d.]{0,12})\s*(?:\\?%\$?|percent) of \$?(\d[\d.]{0,12})"), r"\1 % \2"),
)
_SUMS = {"sum", "prod"}
_COLOURED = re.compile(r"\\(?:color|textcolor)\s?\{\s?\w{1,20}\s?\}")
_BASE = re.compile(r"_\s?\{?\s?\\(?:text|mathrm)\s?\{\s?([a-z]{3,8})\s?\}\s?\}?")
_SAID = re.compile(r"(?<!_)(?<!_\{)\\(?:text|mbox|mathrm|textbf|textit)\s?\{[^{}]{2,60}\}")
_AROUND = re.compile(
    r"^(?:[A-Za-z]{2,20}\s+){1,8}(?=[\d\\$({|+-])|(?:(?<=[\d})])\s+[A-Za-z]{3,20}\.?){1,6}$"
)
_OVER_ONE = re.compile(r"\\[dt]?frac\s?\{(.*)\}\s?\{?\s?1\s?\}?|(.*\S)\s?/\s?1", re.S)
_WRAPPED = {("|", "|"), ("lfloor", "rfloor"), ("lceil", "rceil"), ("(", ")"), ("[", "]")}


def _bare(text: str) -> str:
    """Return an answer without words, units, colours and a denominator of one."""
    text = _COLOURED.sub(" ", text)
    text = _BASE.sub(lambda m: f"_{number_of([m.group(1)]) or m.group(1)}", text)
    text = _AROUND.sub("", _SAID.sub(" ", text).strip(" ~$"))
    over = _OVER_ONE.fullmatch(text.strip())
    return (over.group(1) or over.group(2)) if over is not None else text


def _unwrapped(pieces: tuple[str, ...]) -> tuple[str, ...]:
    """Return an expression without what around all of it leaves its value as it is."""
    while len(pieces) > 2:
        if pieces[0] == "+":
            pieces = pieces[1:]
        elif (pieces[0], pieces[-1]) in _WRAPPED and _closes(pieces):
            pieces = pieces[1:-1]
        else:
            break
    return pieces[3:] if pieces[:3] == ("ln", "e", "^") else pieces


def _closes(pieces: tuple[str, ...]) -> bool:
    """Whether the first bracket of an expression is closed by its last piece."""
    opening, closing = pieces[0], pieces[-1]
    if opening == closing:
        return opening not in pieces[1:-1]
    depth = 0
    for at, piece in enumerate(pieces):
        depth += (piece == opening) - (piece == closing)
        if not depth:
            return at == len(pieces) - 1
    return False


def _sides(pieces: tuple[str, ...]) -> list[tuple[str, ...]]:
    """Return the sides of an equation, or the values of a list, that are no mere names."""
    if _SUMS.intersection(pieces):
        return [_unwrapped(pieces)]
    depth, sides = 0, [[]]  # type: tuple[int, list[list[str]]]
    for piece in pieces:
        depth += (piece in "([") - (piece in ")]")
        if not depth and piece in ("=", ",", "approx"):
            sides.append([])
        else:
            sides[-1].append(piece)
    each = [
        _unwrapped(tuple(s))
        for s in sides
        if any(p[0].isdigit() for p in s) or not (_WORK | _VALUES).isdisjoint(s)
    ]
    return list(dict.fromkeys(each))


def is_copy(answer: str, gold: str, problem: str) -> bool:
    """Whether an answer is an expression of the problem that nobody evaluated.

    It is one if it has work left in it, stands in the problem (in any order of its terms, where
    it is a whole formula; whatever is written around it), and is not written as the gold is.
    """
    if len(answer) > MAX_ANSWER or len(gold) > MAX_ANSWER:
        return False
    if answer.isdecimal():
        return False
    mine, other = _side(split(answer)), _side(split(gold))
    decimal = "decimal" in problem and any("." in p for p in other)  # 9/2 as a decimal
    fraction = _SIMPLE.fullmatch(" ".join(mine)) is not None
    tried = [[mine]] if _is_work(mine) or (decimal and fraction) else []
    sides = _sides(split(_bare(answer)))
    if sides != [mine] and sides and all(map(_is_work, sides)):
        tried += [sides] if "," not in other and not RELATIONS.intersection(other) else []
    if not tried or _bag(mine) == _bag(other):
        return False
    bags, order = _expressions(problem)
    return any(
        all(
            (x is mine or _bag(x) != _bag(other))
            and (_bag(x) in bags or f" {' '.join(x)} " in order)
            for x in those
        )
        for those in tried
    )
