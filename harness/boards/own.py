"""Checks of rows in files of one's own, before anything is trained; every mistake has its line."""

from __future__ import annotations

from collections.abc import Iterator

from harness.boards.board import Board
from harness.errors import UsageError
from harness.tasks.canonical import problem_digest
from harness.tasks.local import LocalRows


def check_rows(board: Board) -> None:
    """Refuse files of one's own that hold a problem both to train on and to test.

    What published or generated data share is counted and shown instead: nobody here can change it.

    Raises:
        UsageError: With the lines of the first such problem.
    """
    if not any(isinstance(task.rows, LocalRows) for task in board.tasks.values()):
        return
    trained: dict[str, tuple[str, bool]] = {}
    for task in (*board.file.data.train, *board.file.data.traces):
        for split in ("train", "holdout"):
            for problem, at, own in _placed(board, task, split):
                trained.setdefault(problem, (at, own))
    for score in board.file.scores:
        for problem, at, own in _placed(board, score.task, "test"):
            place, trained_own = trained.get(problem, ("", False))
            if place and (own or trained_own):
                raise UsageError(
                    f"board {board.name!r}: {at} is a problem that is trained on ({place});"
                    " take it out of one of them"
                )


def _placed(board: Board, task: str, split: str) -> Iterator[tuple[str, str, bool]]:
    """Yield the digest of each row's problem, where the row is, and if that is a file like this."""
    rows = board.tasks[task].rows
    if isinstance(rows, LocalRows):
        for line in rows.lines(split):
            yield problem_digest(line.row["problem"]), line.at, True
    else:
        for row in board.rows_at_hand(task, split) or ():
            yield problem_digest(row["problem"]), f"{row['id']} of {task}, {split}", False


def check_solutions(board: Board, trainer: str) -> None:
    """Refuse training rows without the worked solutions that a trainer needs.

    Raises:
        UsageError: With the first row that has none.
    """
    for task in board.file.data.train:
        found = board.rows_at_hand(task, "train") or []
        lacking = [row["id"] for row in found if not row.get("solution", "").strip()]
        if not lacking:
            continue
        places: dict[str, str] = {}
        if isinstance(rows := board.tasks[task].rows, LocalRows):
            places = {line.row["id"]: line.at for line in rows.lines("train")}
        raise UsageError(
            f"trainer {trainer!r} learns from worked solutions, and {len(lacking):,} of the"
            f" {len(found):,} training rows of {task} have none, first"
            f" {places.get(lacking[0], lacking[0])}; add them, or take a trainer that needs none,"
            " such as rl"
        )
