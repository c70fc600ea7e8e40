"""Memory: what a training stage does when its device has no more of it.

The batch of an optimiser step is part of the recipe, the rows of one forward pass are not. So a
stage that ran out of memory starts anew with half the rows in a forward pass and twice as many
passes to a step, until it fits or one row does not. Each attempt is a process of its own, because
an allocator that has failed once keeps what it has.
"""

from __future__ import annotations

from pathlib import Path

import pydantic

from harness.errors import StageError
from harness.files import read_bytes, write_atomically

FILE = "memory.json"  # in the stage's folder; a stage that continues keeps what was learnt


class TryAgain(Exception):
    """An attempt ran out of memory, and what to try next is on disk."""


class NoRoom(StageError):
    """Answers that a trainer generates do not fit, which no division of its batch would change."""


class Attempt(pydantic.BaseModel, frozen=True, extra="forbid"):
    """An attempt that ran out of memory."""

    micro_batch_size: int  # rows of a forward pass: too many
    rows: int  # of one process in an optimiser step
    step: int  # that it failed in
    seconds: float  # that it took


_Attempts = pydantic.TypeAdapter(tuple[Attempt, ...])


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error says that a GPU or the machine has no more memory."""
    # the last is cuBLAS without memory for a workspace
    signs = ("out of memory", "can't allocate memory", "CUBLAS_STATUS_ALLOC_FAILED")
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


def next_size(failed: tuple[Attempt, ...]) -> int | None:
    """Return the rows of a forward pass to try next, or None before any attempt has failed."""
    return half(failed[-1].micro_batch_size, failed[-1].rows) if failed else None


def half(micro: int, rows: int) -> int:
    """Return the largest divisor of `rows` that is at most half of `micro`, and 1 at least."""
    return next((size for size in range(micro // 2, 1, -1) if rows % size == 0), 1)
