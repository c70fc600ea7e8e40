"""How rows look: one colour and mark for each, the same in every figure and table of a board."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

Interval = tuple[float, float, float]  # a share with the low and the high end of its interval
INK, GRID = "#010203", "#040506"  # stand for what follows the page's light or dark colours
VARIABLES = {INK: "currentColor", GRID: "var(--line)"}
SERIES = (
    *("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9"),
    *("#8c6d31", "#7f7f7f", "#7a5cc9", "#c1272d", "#2f9aa8", "#7a9a01"),
)
"""The first six are colours that people with any colour vision tell apart (Okabe and Ito)."""
_LINES = ("-", "--", ":", "-.")
_MARKS = {
    "o": '<circle cx="6" cy="6" r="4.5"/>',
    "s": '<rect x="2" y="2" width="8" height="8"/>',
    "^": '<path d="M6 1 11 10.5H1z"/>',
    "D": '<path d="M6 .5 11.5 6 6 11.5 .5 6z"/>',
    "v": '<path d="M6 11 1 1.5H11z"/>',
}
NAME = 28
"""Most characters of a name in a figure."""


class Look(NamedTuple):
    """How a row is drawn."""

    color: str
    line: str
    mark: str

    @property
    def fill(self) -> str:
        """The colour as SVG has it."""
        return VARIABLES.get(self.color, self.color)

    @property
    def shape(self) -> str:
        """The mark as a shape of SVG in a square of 12 units."""
        return _MARKS[self.mark]

    def key(self) -> str:
        """Return the row's mark as an `<svg>` element as high as a letter."""
        return (
            f'<svg class="mark" viewBox="0 0 12 12" fill="{self.fill}" aria-hidden="true">'
            f"{self.shape}</svg>"
        )


def looks(names: Iterable[str], plain: str) -> dict[str, Look]:
    """Return a look for each name, no two alike among sixty; `plain` has the text's colour."""
    marks = tuple(_MARKS)
    found = {plain: Look(INK, "-", "o")}
    for place, name in enumerate(name for name in names if name != plain):
        line = _LINES[place // len(SERIES) % len(_LINES)]
        found[name] = Look(SERIES[place % len(SERIES)], line, marks[place % len(marks)])
    return found
