"""The one style of tables in a terminal, by rich."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from rich import box
from rich.cells import cell_len
from rich.table import Table
from rich.text import Text


def table(
    title: str | Text | None,
    texts: Mapping[str, int | None],
    figures: Iterable[str],
    padding: int = 1,
) -> Table:
    """Return a table without rows: columns of texts (name to least width), then of figures."""
    made = Table(
        box=box.SIMPLE_HEAD,
        title=title,
        title_justify="left",
        caption_justify="left",
        pad_edge=False,
        padding=(0, padding, 0, 0),
    )
    for name, width in texts.items():
        # A narrow terminal folds names: two that are cut off could look the same.
        made.add_column(name, overflow="fold", min_width=width)
    for name in figures:
        made.add_column(name, justify="right", no_wrap=True)
    return made


def pieces(name: str) -> list[str]:
    """Return the parts of a trainer's name between which a line may break.

    Examples:
        >>> pieces("sft+kd-on-policy(lr=1e-05, a=2)")
        ['sft+', 'kd-', 'on-', 'policy(', 'lr=1e-05, ', 'a=2)']
    """
    return re.findall(r".+?(?:[+(](?=.)|, |(?<=[^\W\d_])-(?=[^\W\d])|$)", name)


def folded(name: str, width: int) -> str:
    """Return a name in lines of at most a width, broken between its `pieces` alone."""
    lines = [""]
    for part in pieces(name):
        if lines[-1] and cell_len((lines[-1] + part).rstrip()) > width:
            lines.append("")
        lines[-1] += part
    return "\n".join(line.rstrip() for line in lines)
