"""Cells: what a bench does for one row and one seed."""

from __future__ import annotations

from dataclasses import dataclass

from harness.files import json_sha256, slug
from harness.records import cell_name
from harness.tuning import Tuning


@dataclass(frozen=True)
class Cell:
    """A trainer (or chain, or the start model) with a seed: its stages up to the score."""

    board: str  # digest of the board
    trainer: str  # as shown on the leaderboard
    seed: int | None
    train: tuple[str, ...]  # stage ids, in order
    generate: str  # stage id
    judge: str  # stage id
    command: str  # reproduces the row
    share: float = 1.0  # of the board's budget
    tuning: Tuning | None = None  # how its options were chosen
    probe: tuple[str, ...] = ()  # stage id, of the start model where the board asks for it

    @property
    def name(self) -> str:
        return cell_name(self.trainer, self.seed)

    @property
    def stages(self) -> tuple[str, ...]:
        return (*self.train, self.generate, self.judge, *self.probe)

    @property
    def digest(self) -> str:
        chosen = [self.tuning.identity] if self.tuning else []
        return json_sha256(
            [self.board, self.trainer, *self.train, self.generate, *self.probe, *chosen]
        )

    @property
    def record_id(self) -> str:
        """Return the id of the cell's record: readable, unique, and safe as a file name."""
        return f"{cell_name(slug(self.trainer), self.seed, '-s')}-{self.digest[:12]}"
