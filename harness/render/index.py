"""The index of published boards, `leaderboards/README.md`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from harness.render import numbers
from harness.render.escape import markdown
from harness.render.markdown import EDIT
from harness.render.sections import table

if TYPE_CHECKING:
    from harness.leaderboard.data import Leaderboard

HEAD = ("Board", "Start model", "Trainers", "First place", "Its accuracy %", "Latest record")


def render(leaderboards: Iterable[Leaderboard]) -> str:
    """Return the text of the index."""
    ordered = sorted(leaderboards, key=lambda leaderboard: leaderboard.conditions.board)
    parts = (
        "# Leaderboards",
        f"<!-- {EDIT} -->",
        "Every board fixes its start model, data, budget and benchmarks before anyone trains. Its"
        " page is computed from the records beside it, and `harness publish --check` computes it"
        " again. Trainers that share the first place were not told apart.",
        table(HEAD, [_line(leaderboard) for leaderboard in ordered], left=2),
        "The `.json` files follow [leaderboard.schema.json](leaderboard.schema.json); the `.csv`"
        " files open in a spreadsheet.",
    )
    return "\n\n".join(parts) + "\n"


def _line(leaderboard: Leaderboard) -> tuple[str, ...]:
    conditions = leaderboard.conditions
    first = [row for row in leaderboard.rows if row.rank and row.rank[0] == 1]
    names = ", ".join(markdown(row.trainer) for row in first[:4]) or numbers.NONE
    return (
        f"[{markdown(conditions.title)}]({conditions.board}.md)",
        markdown(conditions.start_model),
        str(sum(not row.start for row in leaderboard.rows)),
        f"{names} and {len(first) - 4} more" if len(first) > 4 else names,
        numbers.accuracy(first[0].accuracy if first else None),
        markdown(leaderboard.date),
    )
