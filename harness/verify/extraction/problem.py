"""What a problem's text says about its answer: its own expressions, the rounding, the unit."""

from __future__ import annotations

import re
from collections import Counter
from functools import lru_cache
from itertools import islice, pairwise
from math import gcd

from harness.verify.extraction.sentences import MATH, content
from harness.verify.limits import MAX_ANSWER, charge, with_allowance
from harness.verify.reading.tokens import plain
from harness.verify.reading.words import FUNCTIONS, UNITS, number_of

# -- copies ---------------------------------------------------------------------------------------

_PIECE = re.compile(r"\\(?:[a-zA-Z]+|.)|[a-zA-Z]+|\d+(?:\.\d+)?|\S", re.S)
# marks that change nothing, whatever they stand around
_SILENT = {
    "{", "}", "$", "left", "right", "big", "Big", "bigg", "Bigg", "bigl", "bigr", "Bigl", "Bigr",
    "displaystyle", "textstyle", ",", ";", "!", ":", " ", "quad", "qquad", "limits", "mathrm",
    "text", "boxed", "operatorname", "tag", "[", "]", "(", ")", "&", "~",
}  # fmt: skip
_SAME = {
    "dfrac": "frac", "tfrac": "frac", "cfrac": "frac", "cdot": "*", "times": "*", "div": "/",
    "leq": "le", "geq": "ge", "lt": "<", "gt": ">", "circ": "degree", "bmod": "mod", "pmod": "mod",
    "lvert": "|", "rvert": "|", "vert": "|",
}  # fmt: skip
_RELATIONS = {"=", "<", ">", "le", "ge", "ne", "approx", "equiv", "in"}
_WORK = {
    "+", "*", "/", "^", "!", "|", "frac", "sqrt", "over", "choose", "binom", "dbinom", "sum",
    "prod", "int", "lim", "lfloor", "lceil", "mod", "bmod", "pmod", "cup", "cap", "pm", "det",
} | set(FUNCTIONS)  # fmt: skip
_PLAIN = re.compile(r"[-+]?[\d,.]{1,40}")
_MAX_DIGITS = 300  # of a numerator or denominator that may have to be reduced
_SIMPLE = re.compile(r"frac \d+ \d+|\d+ / \d+")


def _pieces(text: str) -> tuple[str, ...]:
    """Return the characters, names and numbers of a text, without what does not change it."""
    found: list[str] = []
    tokens = _PIECE.findall(plain(text))
    charge(len(tokens) // 2)
    for token in tokens:
        escaped = token[0] == "\\" and len(token) > 1
        name = _SAME.get(token[1:], token[1:]) if escaped else token
        if (escaped and name in _SILENT) or name in ("{", "}", "$", "~", "&"):
            continue
        if not escaped and name.isalpha() and name not in FUNCTIONS:
            found.extend(name)  # a product
        else:
            found.append(name)
    while found and found[-1] in (".", ",", ";", ":", "?", "="):
        found.pop()
    return tuple(found)


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
        pieces = _pieces(content(formula))
        bags.add(_bag(pieces))
        bags.add(_bag(_side(pieces)))
        for part in re.split(r"(?<!\\)[=,;]|\\(?:le|ge|quad|text)", content(formula)):
            bags.add(_bag(_pieces(part)))
    for said, written in _IN_WORDS:
        for found in islice(said.finditer(problem), 20):
            bags.add(_bag(_pieces(found.expand(written))))
    return frozenset(bags), f" {' '.join(_pieces(problem))} "


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
    each = [_unwrapped(tuple(s)) for s in sides if any(p[0].isdigit() for p in s) or _WORK & set(s)]
    return list(dict.fromkeys(each))


def is_copy(answer: str, gold: str, problem: str) -> bool:
    """Whether an answer is an expression of the problem that nobody evaluated.

    It is one if it has work left in it, stands in the problem (in any order of its terms, where
    it is a whole formula; whatever is written around it), and is not written as the gold is.
    """
    if len(answer) > MAX_ANSWER or len(gold) > MAX_ANSWER:
        return False
    if answer.isdecimal() or _PLAIN.fullmatch(answer):
        return False
    mine, other = _side(_pieces(answer)), _side(_pieces(gold))
    decimal = "decimal" in problem and any("." in p for p in other)  # 9/2 as a decimal
    fraction = _SIMPLE.fullmatch(" ".join(mine)) is not None
    tried = [[mine]] if _is_work(mine) or (decimal and fraction) else []
    sides = _sides(_pieces(_bare(answer)))
    if sides != [mine] and sides and all(map(_is_work, sides)):
        tried += [sides] if "," not in other and not _RELATIONS.intersection(other) else []
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


def is_asked_for(expression: str, problem: str) -> bool:
    """Whether an expression is a formula of the problem, whose value is then an answer to it."""
    pieces = _pieces(expression) if len(expression) <= MAX_ANSWER else ()
    return bool(pieces) and pieces in _formulas(problem)


@lru_cache(maxsize=1024)
def _formulas(problem: str) -> frozenset[tuple[str, ...]]:
    """Return the formulas of a problem in which nothing is related to anything."""
    found = with_allowance(lambda p: [_pieces(content(m)) for m in MATH.finditer(p)], problem)
    return frozenset(f for f in found if not _RELATIONS.intersection(f))


# -- what is asked for ----------------------------------------------------------------------------

_PLACES = {
    "tenth": 1, "hundredth": 2, "thousandth": 3, "cent": 2, "penny": 2, "ten": -1, "hundred": -2,
    "thousand": -3, "million": -6,
}  # fmt: skip
_NEAREST = re.compile(
    r"\bnearest\s+\$?(?:\\?\$)?(one[- ]|ten[- ])?(whole|integer|unit|dollar|degree|percent|tenth"
    r"|hundredth|thousandth|cent|penny|ten|hundred|thousand|million|[a-z]{1,12})\b",
    re.I,
)
_DECIMALS = re.compile(
    r"\b(\d|one|two|three|four|five|six)\s+(?:decimal|places?\s+(?:after|of\s+decimal))", re.I
)
_ASKED = re.compile(
    r"\b(in|how\s+many|number\s+of)\s+(?:the\s+|(?:more|fewer|total)\s+)?(square\s+|cubic\s+)?\$?(?:\\(?:text|mathrm)"
    r"\s*\{\s*)?([a-z]{2,12})\b(?!\s+(?:per|a|an|each)\b|\s*[/^\\])(\s+of\b)?",
    re.I,
)


_WORD = re.compile(r"[a-z]{3,15}")
_COMMON = {
    "the", "and", "are", "was", "were", "has", "have", "had", "how", "many", "much", "what", "does",
    "did", "will", "would", "can", "could", "for", "with", "from", "that", "this", "they", "she",
    "his", "her", "its", "their", "there", "find", "each", "all", "after", "before", "more", "less",
    "than",
}  # fmt: skip


def words(text: str) -> frozenset[str]:
    """Return the words of a text that say something, without their endings."""
    found = _WORD.findall(MATH.sub(" ", text).lower())
    return frozenset(w[:5].rstrip("s") for w in found if w not in _COMMON and w not in UNITS)


@lru_cache(maxsize=1024)
def asked_words(problem: str) -> frozenset[str]:
    """Return the words of a problem's last question, or last sentence, units and numbers too."""
    sentences = _SENTENCES.split(problem[-2_000:].strip())
    question = next((s for s in reversed(sentences) if s.endswith("?")), sentences[-1])
    numbers = re.findall(r"\d[\d,.]*(?<=\d)", question)
    asks = _ASKS.search(question)
    question = question[asks.start() :] if asks is not None else question
    units = {w for w in _WORD.findall(question.lower()) if w in UNITS}
    many = _HOW_MANY.findall(problem, max(0, len(problem) - _QUESTION))
    counted = {HOW_MANY, TWICE} if len(many) == 2 else {HOW_MANY} if many else set()
    return words(question) | units | set(numbers) | counted


@lru_cache(maxsize=1024)
def asked_formulas(problem: str) -> frozenset[str]:
    """Return the formulas that a problem's end asks for, without blanks: `m+n`, `f(2)`."""
    end = problem[-_QUESTION:]
    found = [MATH.match(end, asks.end()) for asks in _FIND.finditer(end)]
    return frozenset(
        squeezed(content(m))
        for m in found
        if m is not None and "=" not in m.group() and _ASKED_ALONE.match(end, m.end())
    )


def squeezed(formula: str) -> str:
    """Return a formula without blanks and without a stop behind it."""
    return "".join(formula.split()).rstrip(".,;?")


_FIND = re.compile(
    r"\b(?:find|compute|determine|evaluate|calculate|what\s(?:is|are))\s(?:the\svalue\sof\s)?"
    r"|\b(?:what|which)\svalues?\sof\s",
    re.I,
)
_ASKED_ALONE = re.compile(r"\s?(?:[.?!,]|when\b|if\b|given\b|does\b|do\b|is\b|will\b|$)")
_SENTENCES = re.compile(r"(?<=[.!?])\s+(?=[A-Z])")

HOW_MANY = "how many"  # among the words of a question that asks for a number of things
TWICE = "how many, how many"  # among them where it asks for two
_HOW_MANY = re.compile(r"how\s+many\b|\bnumber\s+of\b", re.I)
_ASKS = re.compile(r"\b(?:how\s+(?:much|many|far|long|fast|old|tall)|what)\b", re.I)
_QUESTION = 300  # characters at the end of a problem that ask for the answer


@lru_cache(maxsize=1024)
def asked_places(problem: str) -> int | None:
    """Return the place that a problem rounds to: 1 for tenths, 0 for whole numbers; or None."""
    decimals = _DECIMALS.search(problem)
    if decimals is not None:
        said = decimals.group(1).lower()
        return int(said) if said.isdigit() else number_of([said])
    nearest = _NEAREST.search(problem)
    if nearest is None:
        return None
    scale, unit = nearest.group(1) or "", nearest.group(2).lower()
    if scale.lower().startswith("ten") and unit in ("thousand", "thousandth"):
        return _PLACES[unit] + (1 if unit == "thousandth" else -1)
    return _PLACES.get(unit, 0)


@lru_cache(maxsize=1024)
def asked_unit(problem: str) -> str | None:
    """Return the unit that a problem asks its answer in, or None."""
    found = None
    for match in _ASKED.finditer(problem, max(0, len(problem) - _QUESTION)):
        power, unit = (match.group(2) or "").lower(), match.group(3).lower()
        # the last one, for the question ends a problem; "in the second week" asks for no unit
        one = unit == "in" or (len(unit) > 2 and f"{unit}s" in UNITS)
        amount = match.group(4) is None or match.group(1).lower() != "in"
        if unit in UNITS and amount and not one and not _ASKS.search(problem, match.end()):
            found = power + unit
    return found
