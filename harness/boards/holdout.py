"""A board as the trials of its tuning see it: training problems held out, and only they scored.

Nothing here, and no stage of a trial, reads a test row.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Sequence

from harness.boards.board import Board
from harness.boards.file import ScoreTable
from harness.boards.score import BoardScore
from harness.errors import UsageError
from harness.files import json_sha256
from harness.plugin.scored_rows import scored
from harness.tasks.canonical import problem_digest, rows_sha256
from harness.tuning import TuningRules

Rows = Sequence[dict[str, str]]


class TrialBoard(Board):
    """A board whose scores are over held-out training problems, which no row of it trains on.

    Each training task gives its share of them. Problems of one group go together, and which are
    held out follows from their texts alone, so it does not change with the order of rows. A problem
    is scored once; every training row and trace of it is left out, in whatever task it is.
    """

    def __init__(self, board: Board, rules: TuningRules) -> None:
        """Take all but the scores and the training rows from a board.

        Raises:
            UsageError: If the board trains on too few problems to hold so many out.
        """
        self.__dict__.update(board.__dict__)
        rows = {task: board.rows(task, "train") for task in board.file.data.train}
        problems = {task: len(_units(each)) for task, each in rows.items()}
        total = sum(len(unit) for each in rows.values() for unit in _units(each).values())
        if 2 * rules.holdout > total:
            raise UsageError(
                f"board {board.name!r}: [tuning] holdout = {rules.holdout} is more than half of its"
                f" {total:,} training problems"
            )
        held: dict[str, list[dict[str, str]]] = {}
        for task, each in rows.items():
            size = sum(map(len, _units(each).values()))
            if problems[task]:
                held[task] = _held_out(each, max(1, round(rules.holdout * size / total)))
        self.problem_count = sum(map(len, held.values()))
        self._left_out = {problem_digest(row["problem"]) for each in held.values() for row in each}
        table = board.ranking.model_dump(
            include={"max_new_tokens", "samples", "temperature", "top_p"}
        )
        self.scores = tuple(
            BoardScore(
                ScoreTable(task=task, protocol=board.protocol.name, ranking=True, **table),
                board.tasks[task],
                board.protocol,
                ids := tuple(row["id"] for row in each),
                rows_sha256(scored(board.tasks[task], None, held_out=ids)),
            )
            for task, each in held.items()
        )
        self.held_out = json_sha256([one.rows_sha256 for one in self.scores])

    def train_rows(self, split: str = "train") -> list[dict[str, str]]:
        """Return the training rows that are left."""
        rows = super().train_rows(split)
        return self._left(rows) if split == "train" else rows

    def trace_rows(self) -> list[dict[str, str]]:
        """Return the traces whose problems are left."""
        return self._left(super().trace_rows())

    def _left(self, rows: Rows) -> list[dict[str, str]]:
        return [row for row in rows if problem_digest(row["problem"]) not in self._left_out]

    def problems(self, score: ScoreTable) -> int:
        """Return how many problems a score of a task is over."""
        return sum(len(one.held_out) for one in self.scores if one.task.name == score.task)


def _units(rows: Rows) -> dict[str, dict[str, dict[str, str]]]:
    """Return problems that are held out together, by group or each alone: the first row of each."""
    found: dict[str, dict[str, dict[str, str]]] = defaultdict(dict)
    for row in rows:
        problem = problem_digest(row["problem"])
        found[f"group {row['group']}" if row.get("group") else problem].setdefault(problem, row)
    return found


def _held_out(rows: Rows, count: int) -> list[dict[str, str]]:
    """Return problems, one row each, until there are so many; a group is never split."""
    units, chosen = _units(rows), list[dict[str, str]]()
    for name in sorted(units, key=lambda one: hashlib.sha256(one.encode()).hexdigest()):
        if len(chosen) >= count:
            break
        chosen += units[name].values()
    return chosen
