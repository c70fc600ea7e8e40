"""The cells of a board, grouped by trainer, checked to be comparable, with their resamples."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from harness.errors import UsageError
from harness.records import LETTERS, Record, Score
from harness.resampling import Questions, Sample, mean_of_tasks, sample

if TYPE_CHECKING:
    from harness.conditions import Conditions

START = "start"
Key = tuple[str, str]  # task and protocol


class Entry:
    """The cells of one trainer, with the resamples of their scores."""

    def __init__(self, trainer: str, cells: Sequence[Record], board: BoardQuestions) -> None:
        self.trainer = trainer
        self.start = trainer == START
        self.done = [cell for cell in cells if cell.status == "ok" and cell.scores]
        self.failed = [cell for cell in cells if cell not in self.done]
        self.cells = list(cells)
        self.scores: dict[Key, list[Score]] = {}
        self.samples: dict[Key, Sample] = {}
        for key in board.keys:
            found = [
                score
                for cell in self.done
                for score in cell.scores
                if (score.task, score.protocol) == key
            ]
            if found and len(found) == len(self.done):
                self.scores[key] = found
                self.samples[key] = sample(
                    np.stack([correct_answers(score) for score in found]),
                    board.of(key),
                    key=trainer,
                )
        complete = all(key in self.samples for key in board.ranking)
        self.total = (
            mean_of_tasks([self.samples[key] for key in board.ranking]) if complete else None
        )

    @property
    def ranked(self) -> bool:
        """Return whether it takes part in the ranking: every ranking score, no failed seed."""
        return self.total is not None and not self.start and not self.failed


class BoardQuestions:
    """The questions of a board's tasks, checked to be the same in every record."""

    def __init__(self, conditions: Conditions, records: Sequence[Record]) -> None:
        self.keys = [(one.task, one.protocol) for one in conditions.benchmarks]
        self.ranking = [(one.task, one.protocol) for one in conditions.benchmarks if one.ranking]
        self.conditions = conditions
        self.first: dict[Key, Score] = {}
        for record in records:
            for score in record.scores:
                self._check(record, score)
        self._drawn: dict[Key, Questions] = {}

    def _check(self, record: Record, score: Score) -> None:
        key = (score.task, score.protocol)
        limits = {(b.task, b.protocol): b.max_new_tokens for b in self.conditions.benchmarks}
        if key not in limits:
            raise UsageError(
                f"record {record.id}: board {self.conditions.board!r} has no task {score.task!r}"
                f" under {score.protocol!r}"
            )
        first = self.first.setdefault(key, score)
        same = (score.task_digest, score.n, score.groups) == (
            first.task_digest,
            first.n,
            first.groups,
        )
        if not same or score.max_new_tokens != limits[key]:
            raise UsageError(
                f"record {record.id}: task {score.task!r} has other questions or another token"
                " limit than the board's other records; they cannot be compared"
            )
        if score.n < 1:
            raise UsageError(f"record {record.id}: task {score.task!r} has no questions")

    def of(self, key: Key) -> Questions:
        """Return the resamples of one task's questions, drawn once for the whole board."""
        if key not in self._drawn:
            first = self.first[key]
            self._drawn[key] = Questions.of(
                first.n, first.groups, key=f"{self.conditions.digest} {key[0]} {key[1]}"
            )
        return self._drawn[key]

    def grouped(self, key: Key) -> bool:
        """Return whether the task's questions come in groups."""
        return bool(self.first[key].groups)


def correct_answers(score: Score) -> np.ndarray:
    """Return which answers are right, shape (n,)."""
    return np.frombuffer(score.verdicts.encode(), dtype=np.uint8) == ord(LETTERS["correct"])


def select_cells(
    records: Sequence[Record],
) -> tuple[dict[str, list[Record]], list[Record], list[str]]:
    """Return one record a cell, by trainer; those replaced; and a line for each conflict."""
    replaced = {record.supersedes for record in records}
    cells: dict[tuple[str, int], list[Record]] = defaultdict(list)
    for record in records:
        if record.id not in replaced:
            cells[record.trainer, -1 if record.seed is None else record.seed].append(record)
    kept: dict[str, list[Record]] = defaultdict(list)
    dropped = [record for record in records if record.id in replaced]
    lines = []
    for (trainer, _), same in sorted(cells.items()):
        # A finished cell stands for its failed attempts; of two finished ones the earlier counts.
        same.sort(key=lambda record: (record.status != "ok", record.created, record.id))
        first = same[0]
        kept[trainer].append(first)
        dropped += same[1:]
        for other in same[1:]:
            if other.status != "ok":
                continue
            alike = [score.verdicts for score in first.scores] == [
                score.verdicts for score in other.scores
            ]
            lines.append(
                f"{other.id} is {'a duplicate of' if alike else 'in conflict with'} {first.id};"
                " the earlier one counts"
            )
    return kept, dropped, lines
