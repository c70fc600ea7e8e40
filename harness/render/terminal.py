"""A leaderboard in a terminal: one table that fits its width, by rich."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console, ConsoleOptions, Group, JustifyMethod, RenderableType, RenderResult
from rich.text import Text

from harness.records import cell_name
from harness.render import numbers, sentences, warnings
from harness.render.escape import terminal
from harness.render.tables import table

if TYPE_CHECKING:
    from harness.leaderboard.data import Leaderboard, Row

NAME_LIMIT = 24
# columns, and the least width of a terminal that shows each
COLUMNS = {
    "Rank": 0, "Trainer": 0, "Seeds": 50, "Accuracy %": 0, "Gain, points": 46, "p": 60, "Time": 72,
    "Trials": 79,
}  # fmt: skip
ONE_LINE = 80  # the least width for figures with their intervals in one line
_SIDES: dict[str, JustifyMethod] = {"Rank": "center"}


def render(leaderboard: Leaderboard) -> RenderableType:
    """Return what `rich.console.Console.print` shows."""
    conditions = leaderboard.conditions
    ranking = ", ".join(one.task for one in conditions.benchmarks if one.ranking)
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
        quoted = "Results from elsewhere, under other conditions, never ranked:"
        lines.append(Text(quoted, style="dim"))
    for quote in conditions.quoted:
        about = "; ".join(terminal(text, 200) for text in (quote.source, quote.note) if text)
        figure = f"  {terminal(quote.task, 40)} {numbers.percent(quote.accuracy)} %"
        lines.append(Text(f"{figure}: {terminal(quote.name, 80)} ({about})", style="dim"))
    return Group(_Ranks(leaderboard), *lines)


def kinds(row: Row) -> set[str]:
    """Return the kinds of a row's warnings; what every trained row has marks none of them."""
    return {one.kind for one in row.warnings}


class _Ranks:
    """The table of ranks, with the columns that the width has room for; the trainer's always."""

    def __init__(self, leaderboard: Leaderboard) -> None:
        self.leaderboard = leaderboard

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield the table for a width."""
        conditions, width = self.leaderboard.conditions, options.max_width
        shown = [name for name, least in COLUMNS.items() if width >= least]
        if conditions.tuning is None:
            shown = [name for name in shown if name != "Trials"]
        title = Text(terminal(f"{conditions.title} ({conditions.board})", 200))
        ranks = table(title, {}, ())
        for name in shown:
            if name == "Trainer":
                ranks.add_column(name, overflow="fold", min_width=6)
            else:
                ranks.add_column(name, justify=_SIDES.get(name, "right"), no_wrap=True)
        # an interval goes below its figure before it would be cut
        mark = "\n[" if width < ONE_LINE else " ["
        trained = [kinds(row) for row in self.leaderboard.rows if not row.start]
        shared = set.intersection(*trained) if len(trained) > 1 else set()
        for row in self.leaderboard.rows:
            name = terminal(row.trainer, NAME_LIMIT) + (" !" if kinds(row) - shared else "")
            cells = {
                "Rank": numbers.rank(row),
                "Seeds": numbers.seeds(row),
                "Accuracy %": numbers.accuracy(row.accuracy).replace(" [", mark),
                "Gain, points": numbers.gain(row.gain).replace(" [", mark),
                "p": numbers.p_value(row.gain.p_adjusted if row.gain else None),
                "Trials": numbers.trials(row),
                "Time": numbers.time_spent(row.cost) if row.cost else numbers.NONE,
            }
            trainer = Text(name, style="" if row.start else "bold")
            ranks.add_row(
                *(trainer if head == "Trainer" else Text(cells[head]) for head in shown),
                style="dim" if row.start else "",
            )
        yield ranks
