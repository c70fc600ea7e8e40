"""Memory: what a training stage does when its device has no more of it.

The batch of an optimiser step is part of the recipe, the rows of one forward pass are not. So a
stage that ran out of memory starts anew with half the rows in a forward pass and twice as many
passes to a step, until it fits or one row does not. Each attempt is a process of its own, because
an allocator that has failed once keeps what it has. A stage on a CPU keeps what it has freed.
"""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

import pydantic

from harness.costs import Caps, Cost, total_cost
from harness.errors import StageError
from harness.files import read_bytes, write_atomically
from harness.scratch import MEMORY as FILE  # a stage that continues keeps what was learnt

FREE = 0.1  # share of a cap that attempts without memory may spend, all together, for nothing


class TryAgain(Exception):
    """An attempt ran out of memory, and what to try next is on disk."""


class NoRoom(StageError):
    """Answers that a trainer generates do not fit, which no division of its batch would change."""


# of malloc.h: M_MMAP_THRESHOLD, its largest value; M_TRIM_THRESHOLD; M_TOP_PAD
LARGEST = {-3: 32 * 2**20, -1: 2**30, -2: 2**26}


class Attempt(pydantic.BaseModel, frozen=True, extra="forbid"):
    """An attempt that ran out of memory."""

    micro_batch_size: int  # rows of a forward pass: too many
    rows: int  # of one process in an optimiser step
    step: int  # that it failed in
    seconds: float  # that it took
    cost: Cost = Cost()  # of it; with that of those before it where it began with theirs

    def remark(self) -> dict[str, float]:
        """Return what a record says of it."""
        spent = {"trained_tokens": self.cost.trained_tokens, "flops": self.cost.flops}
        return {**self.model_dump(exclude={"cost"}), **spent}


_Attempts = pydantic.TypeAdapter(tuple[Attempt, ...])


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error says that a GPU or the machine has no more memory."""
    signs = (
        "out of memory",
        "can't allocate memory",
        "CUBLAS_STATUS_ALLOC_FAILED",  # no memory for a workspace of cuBLAS
        "CUBLAS_STATUS_NOT_INITIALIZED",  # and none for its handle
        "CUDNN_STATUS_ALLOC_FAILED",  # the same of cuDNN, which computes attention on some GPUs
        "CUDNN_STATUS_NOT_INITIALIZED",
    )
    return (
        isinstance(error, MemoryError)
        or type(error).__name__ == "OutOfMemoryError"
        or any(words in str(error) for words in signs)
    )


def failures(folder: Path) -> tuple[Attempt, ...]:
    """Return the attempts of a stage that ran out of memory, in order."""
    path = folder / FILE
    return _Attempts.validate_json(read_bytes(path)) if path.exists() else ()


def add_failure(folder: Path, known: tuple[Attempt, ...], failure: Attempt) -> None:
    """Keep a failed attempt; processes of a stage that fail at once write the same file."""
    write_atomically(folder / FILE, _Attempts.dump_json((*known, failure)).decode())


def spent(failed: tuple[Attempt, ...], caps: Caps) -> Cost | None:
    """Return what the next attempt begins with as spent; None where that is nothing.

    Memory is full in the first steps, if at all, so little is lost by it, and what is trained does
    not depend on the machine. Where more than `FREE` of a cap went into attempts that failed, all
    of it counts: who trains, and then says that memory was full, has spent it.
    """
    total, counts = Cost(), False
    for attempt in failed:
        total = attempt.cost if counts else total_cost((total, attempt.cost))
        counts = any(
            (getattr(total, name) or 0) > FREE * cap for name, cap in caps.set_caps().items()
        )
    if not counts:
        return None
    if caps.steps is not None:  # one is left, so that it ends with a checkpoint
        total = total.model_copy(update={"steps": min(total.steps, caps.steps - 1)})
    return total


def next_size(failed: tuple[Attempt, ...]) -> int | None:
    """Return the rows of a forward pass to try next, or None before any attempt has failed."""
    return half(failed[-1].micro_batch_size, failed[-1].rows) if failed else None


def half(micro: int, rows: int) -> int:
    """Return the largest divisor of `rows` that is at most half of `micro`, and 1 at least."""
    return next((size for size in range(micro // 2, 1, -1) if rows % size == 0), 1)


def keep_freed() -> None:
    """Let this process keep memory that tensors on a CPU have freed, for the next ones.

    By default the C library of Linux gives blocks as large as a small model's hidden states back to
    the system, which clears them page by page when they are asked for again: a tenth of a training
    step. Kept is at most what was used at once; blocks above 32 MB are still given back. Another C
    library is left as it is.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if os.name == "posix" else None
    if mallopt is not None:
        for option, value in LARGEST.items():
            mallopt(option, value)
