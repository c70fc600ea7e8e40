"""Overlaps of training text with test sets in a terminal, by rich."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from harness.contamination.words import verbatim
from harness.render.escape import terminal
from harness.render.tables import table

if TYPE_CHECKING:
    from harness.contamination.overlap import Overlap, Shared


def render(name: str, overlaps: list[Overlap]) -> RenderableType:
    """Return the counts for a terminal, then the examples."""
    title = Text(terminal(f"Shared with {name}", 200))
    figures = ("Problems", "13 words", "8 words", "Rephrased", "Template", "Same", "Verbatim")
    shown = table(title, {"Test set": None}, figures, padding=2)
    for one in overlaps:
        found = (one.overlap_13, one.overlap_8, one.rephrased, one.template, one.same)
        counts = (one.n, *map(len, (*found, one.verbatim)))
        shown.add_row(Text(terminal(one.task, 40)), *(f"{count:,}" for count in counts))
    return Group(shown, *(_example(one.task, each) for one in overlaps for each in one.examples))


def _example(task: str, shared: Shared) -> RenderableType:
    head = f"{task} {shared.id} and {shared.source}: {shared.kind}"
    lines = (
        Text(f"shared:   {terminal(shared.words, 400)}", style="yellow"),
        Text(f"test:     {terminal(verbatim(shared.problem), 400)}"),
        Text(f"training: {terminal(verbatim(shared.text), 400)}"),
    )
    return Group(Text(terminal(head, 300), style="bold"), Padding(Group(*lines), (0, 0, 1, 2)))
