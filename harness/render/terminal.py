"""A leaderboard in a terminal: one table that fits its width, by rich."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, Group, JustifyMethod, RenderableType, RenderResult
from rich.text import Text

from harness.records import cell_name
from harness.render import numbers, sentences, warnings
from harness.render.escape import short_names, terminal
from harness.render.tables import folded, pieces, table

if TYPE_CHECKING:
    from harness.leaderboard.data import Leaderboard, Row

NAME_LIMIT = 24  # most letters of a name for which columns are left out
# columns, and the least width of a terminal that shows each
COLUMNS = {
    "Rank": 0, "Trainer": 0, "Seeds": 50, "Accuracy %": 0, "Gain, points": 46, "p": 60, "Time": 72,
    "Trials": 79,
}  # fmt: skip
LEFT_OUT = ("Trials", "Time", "p", "Seeds", "Gain, points")  # where names need room, first to last
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
        failed = cell_name(terminal(cell.trainer), cell.seed, " ")
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
        conditions, rows, width = (
            self.leaderboard.conditions,
            self.leaderboard.rows,
            options.max_width,
        )
        trained = [kinds(row) for row in rows if not row.start]
        shared = set.intersection(*trained) if len(trained) > 1 else set()
        marks = {row.trainer: " !" if kinds(row) - shared else "" for row in rows}
        heads, cells, room, limit = self._columns(width, marks)
        short = short_names(marks, limit)
        title = Text(terminal(f"{conditions.title} ({conditions.board})", 200))
        ranks = table(title, {}, ())
        for head in heads:
            if head == "Trainer":
                ranks.add_column(head, overflow="fold", min_width=min(room, len(head)))
            else:
                ranks.add_column(head, justify=_SIDES.get(head, "right"), no_wrap=True)
        for row in rows:
            name = folded(short[row.trainer] + marks[row.trainer], room)
            trainer = Text(name, style="" if row.start else "bold")
            ranks.add_row(
                *(
                    trainer if head == "Trainer" else Text(cells[row.trainer][head])
                    for head in heads
                ),
                style="dim" if row.start else "",
            )
        yield ranks
        for name, shown in short.items():
            if shown != terminal(name, None):
                yield Text(f"{shown}: {terminal(name, 400)}", style="dim")

    def _columns(
        self, width: int, marks: Mapping[str, str]
    ) -> tuple[list[str], dict[str, dict[str, str]], int, int]:
        """Return the columns that a width has room for, all cells, a name's room and its limit.

        Columns are left out before a name is broken, all but the gain, and that before a word is.
        """
        heads = [head for head, least in COLUMNS.items() if width >= least]
        if self.leaderboard.conditions.tuning is None:
            heads = [head for head in heads if head != "Trials"]
        names = [one + marks[name] for name, one in short_names(marks, NAME_LIMIT).items()]
        whole = max(map(cell_len, ["Trainer", *names]))
        words = max(cell_len(part.rstrip()) for one in ["Trainer", *names] for part in pieces(one))
        left_out = [head for head in LEFT_OUT if head in heads]
        kept = [
            [head for head in heads if head not in left_out[:gone]]
            for gone in range(len(left_out) + 1)
        ]
        # an interval goes below its figure before it would be cut
        plain, below = self._cells(" ["), self._cells("\n[")
        tries = [(some, plain, whole) for some in kept if "p" in some and width >= ONE_LINE]
        tries += [(some, below, whole) for some in kept if "Gain, points" in some]
        tries += [(some, below, words) for some in kept[-2:]]
        for some, cells, needed in tries:
            room = width - 2 - sum(_wide(head, cells) + 2 for head in some if head != "Trainer")
            if room >= needed:
                return some, cells, room, max(NAME_LIMIT, room - 2)
        return some, cells, max(1, room), max(8, room - 2)

    def _cells(self, mark: str) -> dict[str, dict[str, str]]:
        """Return what stands in each column of each row; `mark` comes before an interval."""
        return {
            row.trainer: {
                "Rank": numbers.rank(row),
                "Seeds": numbers.seeds(row),
                "Accuracy %": numbers.accuracy(row.accuracy).replace(" [", mark),
                "Gain, points": numbers.gain(row.gain).replace(" [", mark),
                "p": numbers.p_value(row.gain.p_adjusted if row.gain else None),
                "Trials": numbers.trials(row),
                "Time": numbers.time_spent(row.cost) if row.cost else numbers.NONE,
            }
            for row in self.leaderboard.rows
        }


def _wide(head: str, cells: Mapping[str, Mapping[str, str]]) -> int:
    lines = [line for row in cells.values() for line in row[head].split("\n")]
    return max(map(cell_len, [head, *lines]))
