r"""The content of `\\boxed{...}` in a response, in one pass over its braces."""

# ruff: noqa: RUF001 -- these characters are the subject
from __future__ import annotations

import re
from functools import lru_cache

_BRACES = re.compile(
    r"\\(?:boxed|fbox|framebox)\s*\{|\\?beginboxed\s*\{|\\.|[{}]|"
    r"\\boxed (?=[^\s${}\\])",
    re.S,
)
_BARE_BOX = re.compile(r"\\boxed ([^\s$\\{}.,]{1,40})")


def boxes(text: str) -> list[tuple[int, int, str]]:
    r"""Return (start, end, content) of every closed `\\boxed{...}`, outermost only.

    One pass over the braces, however they are nested. A box left open at the end of its line
    counts where nothing follows it, since a model that forgets one brace has still answered.
    """
    first = text.find("box")
    if first < 0:
        return []
    found: list[tuple[int, int, str]] = []
    stack: list[tuple[int, int] | None] = []  # None for a brace that opens no box
    opened: tuple[int, int] | None = None
    for m in _BRACES.finditer(text, max(0, first - 20)):
        token = m.group()
        if token == "{":
            stack.append(None)
        elif token == "}":
            if not stack:
                continue
            box = stack.pop()
            if box is None:
                continue
            while found and found[-1][0] > box[0]:
                found.pop()  # it lies inside this one
            found.append((box[0], m.start() + 1, text[box[1] : m.start()]))
        elif token.endswith("{") and len(token) > 2:
            opened = (m.start(), m.end())
            stack.append(opened)
    if opened is not None and opened in stack and (not found or found[-1][0] < opened[0]):
        content = text[opened[1] : opened[1] + 200].split("\n")[0]
        tail = text[opened[1] + len(content) :].strip()
        if 0 < len(content) < 100 and not tail:
            found.append((opened[0], len(text), content.rstrip("$ .}\\")))
    if not found:
        found = [(m.start(), m.end(), m.group(1)) for m in _BARE_BOX.finditer(text)]
    return found


_BETWEEN = re.compile(
    r"(?:\\[()\[\]]|\$|\\(?:quad|qquad|text|mbox|textrm|mathrm)\b|[\s,;{}~&]|\\[,;! \\]"
    r"|\b(?:and|or)\b|\b[a-zA-Z](?:_\w)?\s?=)*"
)
_DENIED = re.compile(r"(?:\bnot|n['’]t|\brather than|\binstead of)\s*[$\\(\[]{0,3}$", re.I)
_JOINS = re.compile(r",|;|\band\b|\bor\b")


@lru_cache(maxsize=4)  # one response is looked at for several purposes in a row
def boxed(text: str) -> str | None:
    """Return the content of the last box, or of the last boxes when a list is boxed piecewise."""
    found = boxes(text)
    if not found:
        return None
    last = found[-1]
    while found and _DENIED.search(text, max(0, found[-1][0] - 20), found[-1][0]):
        found.pop()
    if not found:
        return f"not {last[2]}"
    parts = [found[-1][2]]
    for before, after in zip(found[-2::-1], found[:0:-1], strict=False):
        between = text[before[1] : after[0]]
        if len(between) > 60 or not _BETWEEN.fullmatch(between) or not _JOINS.search(between):
            break
        parts.append(before[2])
    parts = list(dict.fromkeys(p.strip() for p in reversed(parts)))
    return parts[0] if len(parts) == 1 else ", ".join(parts)
