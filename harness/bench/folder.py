"""The folder that holds everything a board's benches leave: the truth is what is on disk."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from harness.bench.lease import Lease
from harness.errors import UsageError
from harness.records import Record, read_record

if TYPE_CHECKING:
    from harness.boards.board import Board
    from harness.cells import Cell


@dataclass
class Folder:
    """The folder of one board's runs.

    `stages/<stage>` holds what each stage left, `records/*.json` the records, `answers/<record>`
    every answer with its verdict, `data` the rows that stages were given, `executor` what an
    executor on other machines keeps. The records and answers of tuning's trials are in `trials`.
    """

    path: Path
    trials: bool = False  # whether its records are those of trials
    _lease: Lease | None = None  # while a bench holds it

    @property
    def records(self) -> Path:
        return self._cells / "records"

    @property
    def _cells(self) -> Path:
        return self.path / "trials" if self.trials else self.path

    def stage(self, name: str) -> Path:
        return self.path / "stages" / name

    def answers(self, record_id: str) -> Path:
        return self._cells / "answers" / record_id

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the folder for one bench at a time.

        Raises:
            UsageError: If another bench holds it, or it cannot be written.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            (self.path / "lock").open("a").close()
        except OSError as error:
            raise UsageError(f"cannot write to {self.path}: {error.strerror}") from None
        self._lease = Lease(self.path / "lock")
        with self._lease.held():
            yield

    def check(self) -> None:
        """Check that the folder that is held is still there, and held.

        Raises:
            HarnessError: If somebody has removed it, or another bench has taken it.
        """
        assert self._lease is not None
        self._lease.check()


# how a trial ends for good; one that somebody killed is tried again
FAILED_FOR_GOOD = ("failed", "oom", "timeout")


def finished_record(cell: Cell, board: Board, folder: Folder) -> Record | None:
    """Return the record of a cell that is done.

    A trial that failed is done too: what tuning chose once does not change when a bench goes on.
    """
    paths = [folder.records / f"{cell.record_id}.json"]
    if folder.trials:
        paths += sorted(folder.records.glob(f"{cell.record_id}.failed*.json"))
    for path in paths:
        record = read_record(path) if path.exists() else None
        if (
            record
            and record.status in ("ok", *FAILED_FOR_GOOD)
            and record.board.digest == board.digest
        ):
            return record
    return None
