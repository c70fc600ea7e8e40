"""One score of a board, with everything that its table names looked up once."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from harness.boards.conditions import Benchmark
from harness.boards.file import ScoreTable
from harness.errors import DataMissing
from harness.tasks.lm_eval import definition
from harness.tasks.protocols import LmEvalProtocol, Protocol, documents, score_name
from harness.tasks.task import Task


@dataclass(frozen=True)
class BoardScore:
    """A task under a protocol, as a board scores it."""

    table: ScoreTable  # in the board's file: limits, samples, decoding
    task: Task
    protocol: Protocol | LmEvalProtocol
    held_out: tuple[str, ...] = ()  # ids of the training rows that it is over; else test rows
    rows_sha256: str = ""  # of those

    @property
    def digest(self) -> str:
        """Return what identifies its problems: the task's digest, or that of held-out rows."""
        return self.rows_sha256 or self.task.digest

    @property
    def name(self) -> str:
        """Return the name of the score's files, safe on any disk."""
        return score_name(self.task.name, self.protocol.id)

    def benchmark(self) -> Benchmark:
        return Benchmark(
            protocol=self.protocol.id,
            summary=self.task.summary,
            note=self.task.unfit,
            **self.table.model_dump(exclude={"protocol"}),
        )

    def documents(self) -> list[dict[str, Any]]:
        return documents(self.protocol, self.task)

    def check(self) -> None:
        """Check, before anything is trained, that a score under `lm_eval:<task>` can be made."""
        if isinstance(self.protocol, LmEvalProtocol):
            found = definition(self.protocol.task)
            found.check_decoding(self.table.samples, self.table.temperature)
            with suppress(DataMissing):  # not here yet: its columns are checked when a bench starts
                self.documents()
