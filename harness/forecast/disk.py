"""The disk that a bench takes: what stays in the runs folder, and what stages need for a while.

What it counts is stated in `docs/boards.md`, section "The plan".
"""

from __future__ import annotations

import math
import shutil
from collections.abc import Iterable
from pathlib import Path

import pydantic

from harness import checkpoints
from harness.boards.file import Compute
from harness.forecast.formulas import Estimate

WEIGHT = 4
"""Bytes of a weight in a checkpoint: what is trained is float32, and is left so."""
STATE = 12
"""Bytes of a trained weight in a training checkpoint: itself and AdamW's two moments, float32."""
SAVED = 3
"""Training checkpoints at once: two are kept, and a third is written before one is removed."""
COPIED = 2
"""Those in the runs folder where others lie on a node's own disk: one, and the next while it is
copied."""
SAVE_RATE = 0.3e9
"""Assumed bytes of a checkpoint that are written and digested in a second.

540 MB of weights took 1.4 s to write with safetensors and 0.4 s to digest, on a cloud machine's
disk; a training checkpoint, which is not digested, is written at twice that speed by torch.
"""
CHARACTERS = 3.5
"""Assumed bytes of a generated token."""
COPIES, AROUND = 5, 900
"""How often the text of an answer is kept, and the bytes of all that is kept beside it.

Its text is in the generated answers, the judged ones, those of the record, and twice in lm-eval's
log of samples.
"""


class Scratch(pydantic.BaseModel, frozen=True):
    """What stages write to the folder that `--scratch` names, while they run; all in bytes."""

    working_bytes: float | None  # at the peak; None while the model's size is not known
    free_bytes: int | None  # None where it is on other machines
    folder: str  # as it was given
    beside: bool = False  # whether the runs folder is on the same disk


class Disk(pydantic.BaseModel, frozen=True):
    """What the stages that are still to do write, beside what is free; all in bytes."""

    checkpoints: int  # trained ones that are kept
    kept_bytes: float | None  # that stay; None while the model's size is not known
    working_bytes: float | None  # more at the peak, while stages run
    free_bytes: int  # of the disk that the runs folder is on
    folder: str  # the runs folder, or the one that it will be made in
    scratch: Scratch | None = None  # where `--scratch` was given

    @property
    def needed_bytes(self) -> float | None:
        """Return what must be free when the bench begins."""
        if self.kept_bytes is None or self.working_bytes is None:
            return None
        return self.kept_bytes + self.working_bytes

    @property
    def fits(self) -> bool:
        """Return whether that is free; True while nobody knows."""
        return self.needed_bytes is None or self.needed_bytes <= self.free_bytes

    @property
    def scratch_fits(self) -> bool:
        """Return whether that is so of the folder that `--scratch` names."""
        one = self.scratch
        if one is None or one.working_bytes is None or one.free_bytes is None:
            return True
        other = (self.needed_bytes or 0) if one.beside else 0
        return one.working_bytes + other <= one.free_bytes


def with_training(
    found: Estimate, parameters: int, beside: int, trained: float, compute: Compute
) -> Estimate:
    """Return a training stage's estimate with its checkpoints, and the time of writing them.

    `beside` are the bytes of a model's files that hold no weights, `trained` is the share of its
    parameters that are trained: an adapter's training checkpoint has these alone. A time that is
    not made of sizes, be it from records or a cap, has the writing in it.
    """
    saves = found.steps // compute.save_every if compute.save_every else 0
    if compute.save_minutes:
        often = 60 * compute.save_minutes
        saves += SAVED if found.seconds is None else int(found.seconds // often)
    one, kept = STATE * trained * parameters + beside, WEIGHT * parameters + beside
    seconds = found.seconds
    if seconds is not None and found.source == "sizes":
        seconds += kept / SAVE_RATE + saves * one / (2 * SAVE_RATE)
    return found.model_copy(
        update={
            "kept_bytes": kept,
            "working_bytes": min(SAVED, saves) * one,
            "copied_bytes": min(COPIED, saves) * one,
            "seconds": seconds,
        }
    )


def with_answers(found: Estimate, answers: int) -> Estimate:
    """Return a scoring stage's estimate with its answers and their verdicts."""
    text = found.generated_tokens * CHARACTERS
    return found.model_copy(
        update={"kept_bytes": COPIES * text + AROUND * answers, "working_bytes": 0.0}
    )


def beside(folder: Path | None) -> int:
    """Return the bytes of a checkpoint's files beside its weights; 0 while no model is here."""
    return sum(map(len, checkpoints.dressing(folder, folder).values())) if folder else 0


def disk(
    training: Iterable[Estimate],
    scoring: Iterable[Estimate],
    jobs: int,
    at: Path,
    scratch: str | None = None,
    elsewhere: Path | None = None,
) -> Disk:
    """Return what stages that are to do write, `jobs` of them at a time, in a runs folder.

    Args:
        training: Estimates of the stages that train.
        scoring: Of those that generate answers.
        jobs: Stages at once.
        at: The runs folder.
        scratch: What `--scratch` names, where it was given: training checkpoints are there.
        elsewhere: That folder, where it is one of this machine.
    """
    trained, scored = list(training), list(scoring)
    kept = [each.kept_bytes for each in (*trained, *scored)]
    known = None not in kept

    def peak(sizes: Iterable[float | None]) -> float | None:
        return math.fsum(sorted(size or 0 for size in sizes)[-jobs:]) if known else None

    place = next(each for each in (at, *at.parents) if each.exists())
    working = peak(each.working_bytes for each in trained)
    found = None
    if scratch is not None:
        found = Scratch(
            working_bytes=working,
            free_bytes=shutil.disk_usage(elsewhere).free if elsewhere else None,
            folder=scratch,
            beside=elsewhere is not None and elsewhere.stat().st_dev == place.stat().st_dev,
        )
        working = peak(each.copied_bytes for each in trained)
    return Disk(
        checkpoints=len(trained),
        kept_bytes=math.fsum(each or 0 for each in kept) if known else None,
        working_bytes=working,
        free_bytes=shutil.disk_usage(place).free,
        folder=str(place),
        scratch=found,
    )
