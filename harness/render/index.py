"""The index of published boards, `leaderboards/README.md`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from harness.render import numbers
from harness.render.escape import markdown
from harness.render.markdown import EDIT
from harness.render.sections import table

if TYPE_CHECKING:
    from harness.leaderboard.data import Leaderboard, Row

HEAD = ("Board", "Start model", "Trainers", "First place", "Its accuracy %", "Latest record")


def render(leaderboards: Iterable[Leaderboard]) -> str:
    """Return the text of the index."""
    rows = []
    for leaderboard in sorted(leaderboards, key=lambda leaderboard: leaderboard.conditions.board):
        name = leaderboard.conditions.board
        first = [row for row in leaderboard.rows if row.rank and row.rank[0] == 1]
        rows.append(
            (
                f"[{markdown(leaderboard.conditions.title)}]({name}.md)",
                markdown(leaderboard.conditions.start_model),
                str(sum(not row.start for row in leaderboard.rows)),
                _names(first),
                numbers.accuracy(first[0].accuracy) if first else numbers.NONE,
                markdown(leaderboard.date),
            )
        )
    return (
        "\n\n".join(
            (
                "# Leaderboards",
                f"<!-- {EDIT} -->",
                "Every board fixes its start model, data, budget and benchmarks before anyone"
                " trains. Its page is computed from the records beside it, and `harness publish"
                " --check` computes it again. Trainers that share the first place were not told"
                " apart.",
                table(HEAD, rows, left=2),
                "The `.json` files follow [leaderboard.schema.json](leaderboard.schema.json); the"
                " `.csv` files open in a spreadsheet.",
            )
        )
        + "\n"
    )


def _names(rows: list[Row]) -> str:
    names = [markdown(row.trainer) for row in rows]
    shown = ", ".join(names[:4])
    return f"{shown} and {len(names) - 4} more" if len(names) > 4 else shown or numbers.NONE
