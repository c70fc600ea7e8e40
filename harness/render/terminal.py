"""A leaderboard in a terminal: one table that fits 80 columns, by rich."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.render import numbers, sentences, warnings
from harness.render.escape import terminal

if TYPE_CHECKING:
    from rich.console import RenderableType

    from harness.leaderboard.data import Leaderboard, Row

NAME_LIMIT = 24


def render(leaderboard: Leaderboard) -> RenderableType:
    """Return what `rich.console.Console.print` shows."""
    from rich import box
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    conditions = leaderboard.conditions
    ranking = ", ".join(one.task for one in conditions.benchmarks if one.ranking)
    table = Table(
        box=box.SIMPLE_HEAD,
        title=Text(terminal(f"{conditions.title} ({conditions.board})", 200)),
        title_justify="left",
        pad_edge=False,
        padding=(0, 1, 0, 0),
    )
    table.add_column("Rank", justify="center", no_wrap=True)
    table.add_column("Trainer", overflow="fold")
    table.add_column("Seeds", justify="right", no_wrap=True)
    table.add_column("Accuracy %", justify="right", no_wrap=True)
    table.add_column("Gain, points", justify="right", no_wrap=True)
    table.add_column("p", justify="right", no_wrap=True)
    table.add_column("Time", justify="right", no_wrap=True)
    for row in leaderboard.rows:
        table.add_row(
            Text(numbers.rank(row)),
            _name(row),
            Text(numbers.seeds(row)),
            Text(numbers.accuracy(row.accuracy)),
            Text(numbers.gain(row.gain)),
            Text(numbers.p_value(row.gain.p_adjusted if row.gain else None)),
            Text(numbers.time_spent(row.cost) if row.cost else numbers.NONE),
            style="dim" if row.start else "",
        )
    lines = [
        Text(terminal(f"Accuracy on {ranking}; [ ] are 95 % intervals; a rank is a range.", 300)),
        Text(sentences.claim(leaderboard).replace("**", "")),
    ]
    for who, line in warnings.grouped(leaderboard):
        name = f"{terminal(who, 200)}: " if who else ""
        lines.append(Text(f"! {name}{terminal(line, 300)}", style="yellow"))
    for cell in leaderboard.failures:
        name = terminal(cell.trainer, NAME_LIMIT) + ("" if cell.seed is None else f" {cell.seed}")
        lines.append(
            Text(f"x {name}: {terminal(cell.status)}: {terminal(cell.error, 300)}", style="red")
        )
    if conditions.quoted:
        lines.append(
            Text("Quoted from publications; not measured here, never ranked:", style="dim")
        )
    for one in conditions.quoted:
        about = "; ".join(terminal(text, 200) for text in (one.source, one.note) if text)
        figure = f"  {terminal(one.task, 40)} {numbers.percent(one.accuracy)} %"
        lines.append(Text(f"{figure}: {terminal(one.name, 80)} ({about})", style="dim"))
    return Group(table, *lines)


def _name(row: Row) -> RenderableType:
    from rich.text import Text

    mark = " !" if row.warnings else ""
    return Text(terminal(row.trainer, NAME_LIMIT) + mark, style="" if row.start else "bold")
