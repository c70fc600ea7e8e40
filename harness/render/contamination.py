"""Overlaps of training text with test sets in a terminal, by rich."""

from __future__ import annotations

from rich import box
from rich.console import Group
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from harness.contamination.overlap import Overlap, Shared
from harness.contamination.words import verbatim
from harness.render.escape import terminal


def render(name: str, overlaps: list[Overlap]) -> Group:
    title = Text(terminal(f"Shared with {name}", 200))
    table = Table(box=box.SIMPLE_HEAD, title=title, pad_edge=False, padding=(0, 2, 0, 0))
    table.title_justify = "left"
    table.add_column("Test set", overflow="fold")
    for head in ("Problems", "13 words", "8 words", "Same", "Verbatim"):
        table.add_column(head, justify="right", no_wrap=True)
    for one in overlaps:
        counts = (one.n, *map(len, (one.overlap_13, one.overlap_8, one.same, one.verbatim)))
        table.add_row(Text(terminal(one.task, 40)), *(f"{count:,}" for count in counts))
    examples = (_example(one.task, shared) for one in overlaps for shared in one.examples)
    return Group(table, *examples)


def _example(task: str, shared: Shared) -> Group:
    head = f"{task} {shared.id} and {shared.source}: {shared.kind}"
    lines = (
        Text(f"shared:   {terminal(shared.words, 400)}", style="yellow"),
        Text(f"test:     {terminal(verbatim(shared.problem), 400)}"),
        Text(f"training: {terminal(verbatim(shared.text), 400)}"),
    )
    return Group(Text(terminal(head, 300), style="bold"), Padding(Group(*lines), (0, 0, 1, 2)))
