"""Where a sentence ends: one pattern for each kind of text in which that is asked."""

from __future__ import annotations

import re

_SHORT = "".join(
    rf"(?<!\b{w})" for w in (r"i\.e", r"e\.g", "Mr", "Mrs", "Ms", "Dr", "vs", "approx")
)
# in a response: no stop of a number or an abbreviation is one
STOP = re.compile(
    rf"(?=[.。!?])(?<=[^\d\s]){_SHORT}[.。!?](?:\s|$|\*)|(?<=\d)[.。](?:\s|$|\*)|(?<=\d)!\s(?=[A-Z][a-z])|\n|(?<=[一-鿿])。|(?<=\.\$)\s(?=[A-Z])"
)
# before its closing sentence, which a formula or a comma of the one before does not end
CLOSING = re.compile(r"(?<=[\w)*])[.!?]\s+|\n+")
# in the few words before a value or behind it
ANY = re.compile(r"[.!?]\s|\n")
# in a tag, which has one sentence or several: no line of a formula is one
IN_TAG = re.compile(
    r"(?<=[a-z0-9$])[.!?]\s+(?=[A-Z])|(?<=[a-z.$])\s{0,3}\n+(?=[A-Z$\\])|(?<=\d)\n+(?=[A-Z][a-z]+\s)"
)
# in what was given as a bare answer, which is a response if it has one
IN_BARE = re.compile(r"\n|。|[\w$)]\.\s+\S")
# in a problem, whose sentences all begin with a capital
IN_PROBLEM = re.compile(r"(?<=[.!?])\s+(?=[A-Z])")


def stops(text: str) -> list[re.Match[str]]:
    """Return the stops of a response, without one that ends it."""
    return list(STOP.finditer(text, 0, max(0, len(text) - 3)))


def last_start(text: str) -> int:
    """Return where the last sentence of a response begins."""
    found = stops(text)
    return found[-1].end() if found else 0


def behind_any(text: str) -> str:
    """Return what stands behind the last stop of a text."""
    return ANY.split(text)[-1]


def start_before(text: str, end: int) -> int:
    """Return where the sentence before a place of a text begins, its stop included."""
    begin, find = max(0, end - 300), text.rfind  # found faster than a pattern
    found = find(". ", begin, end), find("! ", begin, end), find("? ", begin, end)
    return max(begin, find("\n", begin, end) + 1, *found)
