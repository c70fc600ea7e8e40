"""The cells of a board, grouped by trainer, checked to be comparable, with their resamples."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from harness.errors import UsageError
from harness.leaderboard.bootstrap import Questions, Sample, mean_of_tasks, sample
from harness.records import LETTERS, Record, Score

if TYPE_CHECKING:
    from harness.boards.conditions import Conditions

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
        self._drawn: dict[tuple[Key, tuple[int, ...]], Sample] = {}
        for key in board.keys:
            found = [
                score
                for cell in self.done
                for score in cell.scores
                if (score.task, score.protocol) == key
            ]
            if found and len(found) == len(self.done):
                self.scores[key] = found
                self.samples[key] = self.sample(key, board)
        complete = all(key in self.samples for key in board.ranking)
        self.total = (
            mean_of_tasks([self.samples[key] for key in board.ranking]) if complete else None
        )

    def correct(self, key: Key, without: Sequence[int] = ()) -> np.ndarray:
        """Return which answers are right, shape (seeds, questions kept, answers to each)."""
        found = np.stack([correct_answers(score) for score in self.scores[key]])
        return np.delete(found, without, axis=1) if without else found

    def sample(self, key: Key, board: BoardQuestions, without: tuple[int, ...] = ()) -> Sample:
        """Return the resamples on one task, without some of its questions."""
        if (key, without) not in self._drawn:
            correct, questions = self.correct(key, without), board.of(key, without)
            self._drawn[key, without] = sample(correct, questions, key=self.trainer)
        return self._drawn[key, without]

    def overlaps(self, key: Key, words: int) -> tuple[int, ...]:
        """Return the questions that share so many words with what any of its seeds trained on."""
        found = (getattr(score, f"overlap_{words}") for score in self.scores[key])
        return tuple(sorted({place for places in found for place in places}))

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
        self._drawn: dict[tuple[Key, tuple[int, ...]], Questions] = {}

    def _check(self, record: Record, score: Score) -> None:
        key = (score.task, score.protocol)
        limits = {
            (b.task, b.protocol): (b.max_new_tokens, b.samples) for b in self.conditions.benchmarks
        }
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
        if not same or (score.max_new_tokens, score.samples) != limits[key]:
            raise UsageError(
                f"record {record.id}: task {score.task!r} has other questions, another token limit"
                " or another number of answers than the board; they cannot be compared"
            )
        if score.n < 1:
            raise UsageError(f"record {record.id}: task {score.task!r} has no questions")

    def of(self, key: Key, without: tuple[int, ...] = ()) -> Questions:
        """Return the resamples of one task's questions, drawn once for the whole board.

        Args:
            key: Task and protocol.
            without: Places of questions that are left out.
        """
        if (key, without) not in self._drawn:
            first = self.first[key]
            name = f"{self.conditions.digest} {key[0]} {key[1]}"
            left_out = set(without)
            self._drawn[key, without] = Questions.of(
                first.n - len(without),
                [group for place, group in enumerate(first.groups) if place not in left_out],
                key=f"{name} without {without}" if without else name,
            )
        return self._drawn[key, without]

    def single(self, key: Key) -> bool:
        """Return whether a task's answers are independent: no groups, one answer to each."""
        first = self.first[key]
        return not first.groups and first.samples == 1


def correct_answers(score: Score) -> np.ndarray:
    """Return which answers are right, shape (n, answers to each question)."""
    letters = np.frombuffer(score.verdicts.encode(), dtype=np.uint8)
    return (letters == ord(LETTERS["correct"])).reshape(score.n, score.samples)


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
