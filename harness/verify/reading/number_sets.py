r"""Which sets of numbers a declaration may mean: `\mathbb{Z}^+`, "nonnegative integer", `n \ge 2`.

Its text is that of its tokens with a blank between them and without braces: `Z ^ +`.
"""

from __future__ import annotations

import re

# some let the natural numbers begin with 0, some with 1
_NATURAL = frozenset({"0", "1"})
_GREATER = r"(?P<sign>>|≥|\\g(?:eq?|eqslant|t)\b)"
_SYMBOL = re.compile(
    rf"(?P<set>[ZNQRC])(?:(?P<from>(?: [_^])? {_GREATER} (?P<least>\d+))"
    r"|(?P<marks>(?: [_^] [+*0])*)) ?\)?"
)
_BOUND = re.compile(rf"{_GREATER} (?P<minus>- )?(?P<least>\d+)")
_WORDS = {  # what has the one set of words and none of the others; the first that applies does
    "whole": ("1", "0", _NATURAL | {"Z"}),
    "natural": ("1", "0", _NATURAL),
    "integ": ("1", "0", frozenset({"Z"})),
    "rational": ("", "", frozenset({"Q"})),
    "complex": ("", "", frozenset({"C"})),
    "real": ("R>0", "R>=0", frozenset({"R"})),
    "": ("", "", frozenset({"Q", "R", "C"})),  # an arbitrary constant
}


def of_symbol(said: str) -> frozenset[str]:
    """Return the sets that a symbol may mean, which may have more than marks behind it."""
    said += " *" * said.endswith("^")  # which may have been taken for a mark of bold words
    found = _SYMBOL.fullmatch(said)
    if found is None:
        return frozenset()
    symbol, marks = found["set"], (found["marks"] or "").split()[1::2]
    whole = symbol in ("Z", "N")
    if found["from"]:
        return _from(found["sign"], int(found["least"]), "Z" if whole else symbol)
    if not marks:
        return _NATURAL if symbol == "N" else frozenset({symbol})
    if whole and (marks == ["+"] or (symbol == "N" and marks == ["*"])):
        return frozenset({"1"})
    if whole and "0" in marks and "*" not in marks and (symbol == "N" or "+" in marks):
        return frozenset({"0"})
    return frozenset({"R>0", "R>=0"}) if symbol == "R" and marks == ["+"] else frozenset()


def of_bound(said: str) -> frozenset[str]:
    r"""Return the sets that a bound below may mean, of whole numbers or of all: `\ge 2`."""
    found = _BOUND.match(said)
    if found is None:
        return frozenset()
    least = int(found["least"]) * (-1 if found["minus"] else 1)
    return _from(found["sign"], least, "Z") | _from(found["sign"], least, "R")


def of_words(said: str) -> frozenset[str]:
    """Return the sets that words may mean: "positive integer", "arbitrary constant"."""
    negative = "negative" in said
    nonnegative = negative and "non" in said
    positive, from_zero, all_of_them = next(v for k, v in _WORDS.items() if k in said)
    if negative and not nonnegative:
        return frozenset()
    sets = (positive,) if "positive" in said else (from_zero,) if nonnegative else all_of_them
    return frozenset(filter(None, sets))


def _from(sign: str, least: int, numbers: str) -> frozenset[str]:
    """Return the numbers from one on, which for whole ones are called by the first."""
    strict = sign in (">", "\\gt")
    if numbers == "Z":
        return frozenset({str(least + strict)})
    return frozenset({f"{numbers}{'>' if strict else '>='}{least}"})
