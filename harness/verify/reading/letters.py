"""Letters beside a number: of a choice, as in `(B) 12`, or of a unit, as in `252 N`."""

from __future__ import annotations

import re

from harness.verify.reading.words import TEXT

_LETTERED = re.compile(r"\(?[A-J]\)[.:]?[\s~]*(\S.{0,200})")  # (B) 12


def unlettered(answer: str) -> str:
    """Return an answer without the letter of a choice before it: `12` of `(B) 12`."""
    if ")" not in answer[:14] and "." not in answer[:14]:
        return answer
    lettered = _LETTERED.fullmatch(TEXT.sub(r"\1", answer))
    return lettered.group(1) if lettered is not None else answer


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
