"""The one style of tables in a terminal, by rich."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from rich import box
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
