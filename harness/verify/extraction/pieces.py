"""The pieces of a formula: its characters, names and numbers, without what changes nothing."""

from __future__ import annotations

import re

from harness.verify.limits import charge
from harness.verify.reading.tokens import plain
from harness.verify.reading.words import FUNCTIONS

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
RELATIONS = {"=", "<", ">", "le", "ge", "ne", "approx", "equiv", "in"}


def pieces(text: str) -> tuple[str, ...]:
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
