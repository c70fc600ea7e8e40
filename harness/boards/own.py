"""Rows with the lines of their files, so that every mistake in a file of one's own has its line."""

from __future__ import annotations

from collections.abc import Iterator

from harness.boards.board import Board
from harness.errors import UsageError
from harness.tasks.local import LocalRows


def placed(board: Board, task: str, split: str) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield the rows of a split that are on this machine, each with where it is, for messages.

    That is the line of a file of one's own, and elsewhere the row's id.
    """
    rows = board.tasks[task].rows
    places = {}
    if isinstance(rows, LocalRows):
        places = {line.row["id"]: line.at for line in rows.lines(split)}
    for row in board.rows_at_hand(task, split) or ():
        yield places.get(row["id"], row["id"]), row


def check_solutions(board: Board, trainer: str) -> None:
    """Refuse training rows without the worked solutions that a trainer needs.

    Raises:
        UsageError: With the first row that has none.
    """
    for task in board.file.data.train:
        found = list(placed(board, task, "train"))
        lacking = [at for at, row in found if not row.get("solution", "").strip()]
        if not lacking:
            continue
        raise UsageError(
            f"trainer {trainer!r} learns from worked solutions, and {len(lacking):,} of the"
            f" {len(found):,} training rows of {task} have none, first"
            f" {lacking[0]}; add them, or take a trainer that needs none,"
            " such as rl"
        )
