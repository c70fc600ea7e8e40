"""A leaderboard in a terminal: one table that fits 80 columns, by rich."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.text import Text

from harness.records import cell_name
from harness.render import numbers, sentences, warnings
from harness.render.escape import terminal
from harness.render.tables import table

if TYPE_CHECKING:
    from harness.leaderboard.data import Leaderboard

NAME_LIMIT = 24


def render(leaderboard: Leaderboard) -> RenderableType:
    """Return what `rich.console.Console.print` shows."""
    conditions = leaderboard.conditions
    ranking = ", ".join(one.task for one in conditions.benchmarks if one.ranking)
    title = Text(terminal(f"{conditions.title} ({conditions.board})", 200))
    ranks = table(title, {}, ())
    ranks.add_column("Rank", justify="center", no_wrap=True)
    ranks.add_column("Trainer", overflow="fold")
    for head in ("Seeds", "Accuracy %", "Gain, points", "p", "Time"):
        ranks.add_column(head, justify="right", no_wrap=True)
    for row in leaderboard.rows:
        name = terminal(row.trainer, NAME_LIMIT) + (" !" if row.warnings else "")
        ranks.add_row(
            Text(numbers.rank(row)),
            Text(name, style="" if row.start else "bold"),
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
        subject = f"{terminal(who, 200)}: " if who else ""
        lines.append(Text(f"! {subject}{terminal(line, 300)}", style="yellow"))
    for cell in leaderboard.failures:
        failed = cell_name(terminal(cell.trainer, NAME_LIMIT), cell.seed, " ")
        what = f"x {failed}: {terminal(cell.status)}: {terminal(cell.error, 300)}"
        lines.append(Text(what, style="red"))
    for one in leaderboard.refused:
        what = f"x {terminal(one.record.file, 80)}: refused: {terminal(one.reason, 300)}"
        lines.append(Text(what, style="red"))
    if conditions.quoted:
        quoted = "Quoted from publications; not measured here, never ranked:"
        lines.append(Text(quoted, style="dim"))
    for quote in conditions.quoted:
        about = "; ".join(terminal(text, 200) for text in (quote.source, quote.note) if text)
        figure = f"  {terminal(quote.task, 40)} {numbers.percent(quote.accuracy)} %"
        lines.append(Text(f"{figure}: {terminal(quote.name, 80)} ({about})", style="dim"))
    return Group(ranks, *lines)
