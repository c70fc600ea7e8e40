"""The cells of a board, grouped by trainer and checked to be comparable."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from harness.errors import UsageError
from harness.leaderboard.comparison import Questions, Sample, mean_of_tasks, sample
from harness.leaderboard.origins import Origins
from harness.leaderboard.rules import NOTHING, Knowledge, about, replaced_here
from harness.records import LETTERS, START, Record, Score

if TYPE_CHECKING:
    from harness.boards.conditions import Conditions
    from harness.leaderboard.comparison import Claim
    from harness.records import Environment

Key = tuple[str, str]  # task and protocol


class Entry:
    """The cells of one trainer: their scores by task, and the accuracies that follow."""

    def __init__(
        self,
        trainer: str,
        cells: Sequence[Record],
        questions: BoardQuestions,
        *,
        claimed: bool = False,
    ) -> None:
        self.trainer, self.claimed = trainer, claimed
        self.questions = questions
        self.start = trainer == START
        self.done = [cell for cell in cells if cell.status == "ok" and cell.scores]
        self.failed = [cell for cell in cells if cell not in self.done]
        self.cells = list(cells)
        self._samples: dict[tuple[Key, tuple[int, ...]], Sample] = {}
        found: dict[Key, list[Score]] = defaultdict(list)
        for cell in self.done:
            for score in cell.scores:
                found[score.task, score.protocol].append(score)
        # A mean over seeds needs all of them: a task that one was not scored on is left out.
        self.scores = {key: each for key, each in found.items() if len(each) == len(self.done)}
        complete = all(key in self.scores for key in questions.ranking)
        self.total = self.sample(questions.ranking) if complete else None

    def correct(self, key: Key, without: Sequence[int] = ()) -> np.ndarray:
        """Return which answers are right, shape (seeds, questions kept, answers to each)."""
        found = np.stack([correct_answers(score) for score in self.scores[key]])
        return np.delete(found, without, axis=1) if without else found

    def sample(self, keys: Sequence[Key], without: tuple[int, ...] = ()) -> Sample:
        """Return the mean accuracy over tasks; of a single one, without some questions."""
        for key in keys:
            if (key, without) not in self._samples:
                self._samples[key, without] = sample(
                    self.correct(key, without), self.questions.of(key, without)
                )
        return mean_of_tasks([self._samples[key, without] for key in keys])

    def overlaps(self, key: Key, *kinds: str) -> tuple[int, ...]:
        """Return the questions that are shared with what any of its seeds trained on.

        `kinds` are fields of a score: `overlap_13`, `overlap_8` or `rephrased`.
        """
        found = (getattr(score, kind) or () for score in self.scores[key] for kind in kinds)
        return tuple(sorted(set().union(*found)))

    @property
    def seeds(self) -> tuple[int, ...]:
        """Return the seeds that count, in order."""
        return tuple(sorted(cell.seed for cell in self.done if cell.seed is not None))

    @property
    def complete(self) -> bool:
        """Whether every score of the board was made under each of its seeds."""
        return all(key in self.scores for key in self.questions.benchmarks)

    @property
    def ranked(self) -> bool:
        """Whether it takes part in the ranking: every ranking score under every seed of the board.

        The board fixes its seeds before anyone trains: who could choose some of them, or more of
        them, could choose the lucky ones. A mere claim does not, nor weights that no counted
        training made.
        """
        planned = self.seeds == tuple(sorted(self.questions.conditions.seeds))
        return self.comparable and not self.failed and planned

    @property
    def comparable(self) -> bool:
        """Whether its scores can be set beside others: it has them, checked and its own."""
        shown = self.total is not None and not self.start and not self.claimed
        return shown and not self.questions.origins.barred(self.done)

    @property
    def compared(self) -> bool:
        """Whether the page states gains of it: where trainers are compared, of ranked rows only."""
        return self.ranked if self.questions.claim == "trainers" else self.comparable

    def shares_stages(self, chain: Entry) -> bool:
        """Whether seed by seed a longer chain went on from the very checkpoints of this one."""
        mine, theirs = (
            {cell.seed: [one.stage for one in cell.stages] for cell in entry.done}
            for entry in (self, chain)
        )
        return mine.keys() == theirs.keys() and all(
            stages and stages == theirs[seed][: len(stages)] for seed, stages in mine.items()
        )


class BoardQuestions:
    """The questions of a board's tasks, checked to be the same in every record."""

    def __init__(self, conditions: Conditions, records: Sequence[Record]) -> None:
        self.benchmarks = {(one.task, one.protocol): one for one in conditions.benchmarks}
        self.ranking = [key for key, one in self.benchmarks.items() if one.ranking]
        self.conditions = conditions
        self.claim: Claim = "trainers"  # of the whole page; `harness.leaderboard.build` decides it
        self.first: dict[Key, Score] = {}
        for record in records:
            for score in record.scores:
                self._check(record, score)
        self._questions: dict[tuple[Key, tuple[int, ...]], Questions] = {}
        self.origins = Origins(records)

    def _check(self, record: Record, score: Score) -> None:
        key = (score.task, score.protocol)
        benchmark = self.benchmarks.get(key)
        if benchmark is None:
            raise UsageError(
                f"record {record.id}: board {self.conditions.board!r} has no task {score.task!r}"
                f" under {score.protocol!r}"
            )
        first = self.first.setdefault(key, score)
        same: list[tuple[object, str]] = [(first, name) for name in ("task_digest", "n", "groups")]
        same += [(benchmark, name) for name in ("max_new_tokens", "samples")]
        if any(getattr(score, name) != getattr(other, name) for other, name in same):
            raise UsageError(
                f"record {record.id}: task {score.task!r} has other questions, another token limit"
                " or another number of answers than the board; they cannot be compared"
            )
        if score.n < 1:
            raise UsageError(f"record {record.id}: task {score.task!r} has no questions")

    def of(self, key: Key, without: tuple[int, ...] = ()) -> Questions:
        """Return a task's questions (some left out), the same for every row."""
        if (key, without) not in self._questions:
            first, left_out = self.first[key], set(without)
            groups = [group for place, group in enumerate(first.groups) if place not in left_out]
            self._questions[key, without] = Questions.of(first.n - len(without), groups)
        return self._questions[key, without]

    def single(self, key: Key) -> bool:
        """Return whether a task's answers are independent: no groups, one answer to each."""
        first = self.first[key]
        return not first.groups and first.samples == 1


def verdict_letters(score: Score) -> np.ndarray:
    """Return the letter of each answer as its code, shape (n, answers to each question)."""
    letters = np.frombuffer(score.verdicts.encode(), dtype=np.uint8)
    return letters.reshape(score.n, score.samples)


def correct_answers(score: Score) -> np.ndarray:
    """Return which answers are right, shape (n, answers to each question)."""
    right: np.ndarray = verdict_letters(score) == ord(LETTERS["correct"])
    return right


def hardware(where: Environment) -> str:
    """Return the GPU, or else the processor, or else the platform."""
    return where.gpu or where.processor or where.platform


def describe_environment(record: Record) -> str:
    """Return the hardware, engine, dtype, batch and attention that the scores were made with."""
    where = record.environment
    return (
        f"{hardware(where)}, {where.device}, {where.engine}, {where.dtype}, batch"
        f" {where.batch_size}, {where.attention} attention"
    )


@dataclass
class Selected:
    """Which records of a board count, and what became of the others."""

    kept: dict[str, list[Record]] = field(default_factory=lambda: defaultdict(list))
    """Those that count, one a cell, by trainer."""
    again: dict[str, list[Record]] = field(default_factory=lambda: defaultdict(list))
    """Those that confirm one that counts, by its digest: one by each other hand."""
    conflicts: list[tuple[Record, Record]] = field(default_factory=list)
    """Finished ones with other answers than the one that counts, each with that one."""
    failed: list[Record] = field(default_factory=list)
    """Failures that others had with a trainer's cells; they say nothing of its row."""
    dropped: list[Record] = field(default_factory=list)
    """Those that are replaced or count for nothing else."""


def select_cells(records: Sequence[Record], known: Knowledge = NOTHING) -> Selected:
    """Choose the record that counts for each cell, by the rule that pages state.

    A finished record counts and not a failed attempt, one whose verdicts can be checked and not a
    claim, and then the first that was published, or else made. So nobody who joins later changes
    what counts: neither its cell, nor a row by a failure or a claim for a seed of it.
    """
    found = Selected()
    gone = replaced_here(records, known)
    found.dropped += [record for record in records if record.digest in gone]
    cells: dict[tuple[str, int], list[Record]] = defaultdict(list)
    for record in records:
        if record.digest not in gone:
            cells[record.trainer, -1 if record.seed is None else record.seed].append(record)
    rows: dict[str, list[Record]] = defaultdict(list)
    for (trainer, _), same in sorted(cells.items()):
        same.sort(
            key=lambda record: (
                record.status != "ok",
                about(known, record).claimed,
                about(known, record).place,
                record.created,
                record.id,
            )
        )
        first, *others = same
        rows[trainer].append(first)
        confirming = {about(known, first).hand}
        for other in others:
            hand = about(known, other).hand
            if other.status != "ok" or first.status != "ok":
                found.dropped.append(other)
            elif same_result(first, other) and hand in confirming:
                found.dropped.append(other)  # nobody confirms a result twice, nor their own
            elif same_result(first, other):
                confirming.add(hand)
                found.again[first.digest].append(other)
            else:
                found.conflicts.append((other, first))
                found.dropped.append(other)
    for trainer, row in rows.items():
        checked = [one for one in row if one.status == "ok" and not about(known, one).claimed]
        hands = {about(known, one).hand for one in checked}
        for record in row:
            if checked and record.status == "ok" and about(known, record).claimed:
                found.dropped.append(record)
            elif checked and record.status != "ok" and about(known, record).hand not in hands:
                found.failed.append(record)
            else:
                found.kept[trainer].append(record)
    return found


def same_result(first: Record, second: Record) -> bool:
    """Return whether two records have the same weights and the same answers to every question."""
    weights = [one.checkpoint and one.checkpoint.digest for one in (first, second)]
    return weights[0] == weights[1] and same_answers(first, second)


def same_answers(first: Record, second: Record) -> bool:
    """Return whether two records have the same answers to every question."""
    one, other = (
        {(s.task, s.protocol): (s.samples_sha256, s.verdicts) for s in record.scores}
        for record in (first, second)
    )
    return one == other
