"""Graphs: decoding steps that a GPU is shown once and then repeats by itself.

The kernels of one token take a GPU less time than Python takes to start them one by one, if the
model is small. A CUDA graph starts all of them at once. It works on the same memory each time, so a
step is recorded for a number of rows and of columns, with room for some more of both, and what it
is given is copied to where the recording reads it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any, Protocol

from harness.errors import first_line
from harness.stage.memory import is_out_of_memory

if TYPE_CHECKING:
    import torch

    from harness.stage.computed.products import Products
    from harness.stage.decoding.cache import SlotCache

COLUMNS = 64  # fewest columns that a step is recorded for
CHECKS = 2  # repeats that are compared with what they repeat, before repeats are trusted
DIFFERENCE = 1e-2  # relative, of logits, that is taken for rounding: the kernels are the same

Step = Callable[["torch.Tensor", "torch.Tensor", int], "torch.Tensor"]
"""Writes one token to each of the first rows; see `Reader.write`."""


class Recorder(Protocol):
    """Records what a function asks of a device, to have it done again."""

    def rehearsal(self) -> Any:
        """Return a context in which whatever cannot be recorded raises an error."""

    def record(self, run: Callable[[], None]) -> Callable[[], object]:
        """Return what does on the same memory what `run` does."""


class CudaRecorder:
    """Records CUDA graphs, whose intermediate results share their memory."""

    def __init__(self) -> None:
        import torch

        self._pool = torch.cuda.graph_pool_handle()

    @contextmanager
    def rehearsal(self) -> Iterator[None]:
        import torch

        before = torch.cuda.get_sync_debug_mode()
        torch.cuda.set_sync_debug_mode("error")  # of all that waits for the device
        try:
            yield
        finally:
            torch.cuda.set_sync_debug_mode(before)

    def record(self, run: Callable[[], None]) -> Callable[[], object]:
        import torch

        # Weights that autocast has cast and keeps are gone when it ends, and a recording is not.
        casting = torch.autocast(
            "cuda",
            dtype=torch.get_autocast_dtype("cuda"),
            enabled=torch.is_autocast_enabled("cuda"),
            cache_enabled=False,
        )
        graph = torch.cuda.CUDAGraph()
        # what another thread does on the device meanwhile is no part of it, and does no harm
        how = {"pool": self._pool, "capture_error_mode": "thread_local"}
        # where recording fails, torch leaves its own stream current: the outer context does not
        current = torch.cuda.stream(torch.cuda.current_stream())
        with current, casting, torch.cuda.graph(graph, **how):
            run()
        repeat: Callable[[], object] = graph.replay
        return repeat


def recorder(device: torch.device) -> Recorder | None:
    """Return what records steps on a device, or None where they are not worth it."""
    return CudaRecorder() if device.type == "cuda" else None


class Graphs:
    """Does what a step does, and from the second time on by a recording.

    A model whose step waits for the device, or cannot be recorded, or whose first recordings do not
    repeat it, is used step by step, and a line says so.
    """

    def __init__(
        self,
        step: Step,
        cache: SlotCache,
        device: torch.device,
        recorder: Recorder,
        products: Products | None = None,
    ) -> None:
        """Record nothing yet.

        Args:
            step: What is recorded.
            cache: That it writes to. Rows beyond those of a call are written on where they
                ended, those that never were in column 0; both are cleared before they are used.
            device: Of the model.
            recorder: For that device.
            products: Where what is computed is counted, if it is.
        """
        import torch

        self._step, self._cache, self._recorder, self._products = step, cache, recorder, products
        self._ids = torch.zeros((cache.slots,), dtype=torch.long, device=device)
        self._at = torch.zeros_like(self._ids)
        self._logits: torch.Tensor | None = None  # of all slots; one place for all recordings
        # by rows and columns what repeats a step, and the products that it makes
        self._known: dict[tuple[int, int], tuple[Callable[[], object], tuple[float, ...]]] = {}
        self._columns, self._checks, self._works = 0, CHECKS, True

    def __call__(self, ids: torch.Tensor, at: torch.Tensor, width: int) -> torch.Tensor:
        """Write one token to each of the first rows; return the logits behind, until the next call.

        Args:
            ids: Shape (rows,).
            at: The column of each, shape (rows,), all below `width`.
            width: Columns that any row attends to.

        Returns:
            Shape (rows, vocabulary).
        """
        if self._logits is None or not self._works:
            logits = self._step(ids, at, width)
            if self._logits is None:  # the first step of all says what they look like
                self._logits = logits.new_zeros((self._cache.slots, logits.shape[1]))
            return logits
        count = len(ids)
        rows, columns = sizes(count, width)
        rows = min(rows, self._cache.slots)
        self._cache.grow(columns)
        if self._cache.columns != self._columns:  # what is recorded is of another memory
            self._known.clear()
            self._columns = self._cache.columns
        self._ids[:count], self._at[:count] = ids, at
        try:
            if (rows, columns) in self._known:
                self._repeat(rows, columns)
            else:
                self._record(rows, columns)
        except Exception as error:
            if is_out_of_memory(error):
                raise
            self._give_up((first_line(error) or type(error).__name__)[:160])
            return self._step(ids, at, width)  # what a step writes it may write again
        return self._logits[:count]

    def check_again(self) -> None:
        """Compare the next repeats with what they repeat, as the first were."""
        self._checks = CHECKS

    def _run(self, rows: int, columns: int) -> None:
        assert self._logits is not None
        self._logits[:rows] = self._step(self._ids[:rows], self._at[:rows], columns)

    def _record(self, rows: int, columns: int) -> None:
        """Do a step, and record it."""
        counted = self._products
        before = counted.parts if counted else ()
        with self._recorder.rehearsal():
            self._run(rows, columns)
        made = counted.parts if counted else ()
        with counted.aside() if counted else nullcontext():
            repeat = self._recorder.record(lambda: self._run(rows, columns))
        self._known[rows, columns] = (
            repeat,
            tuple(late - early for late, early in zip(made, before, strict=True)),
        )

    def _repeat(self, rows: int, columns: int) -> None:
        """Do a step by its recording."""
        assert self._logits is not None
        repeat, made = self._known[rows, columns]
        repeat()
        if self._products:
            self._products.add(*made)
        if self._checks:
            self._checks -= 1
            repeated = self._logits[:rows].clone().float()
            self._run(rows, columns)
            plain = self._logits[:rows].float()
            far = (plain - repeated).norm() / plain.norm().clamp(min=1e-9)
            if not bool(far <= DIFFERENCE) and bool(plain.isfinite().all()):
                self._give_up(f"a repeated step differs by {float(far):.1%}")

    def _give_up(self, why: str) -> None:
        self._works = False
        self._known.clear()
        logging.getLogger(__name__).warning("decoding without CUDA graphs: %s", why)


def sizes(rows: int, width: int) -> tuple[int, int]:
    """Return the rows and columns of the recording that serves so many.

    Rows are a power of two. Of columns there are four sizes from one power of two to the next, so
    that less than a fifth of what attention reads is read in vain.
    """
    grain = max(COLUMNS, 1 << max(0, width.bit_length() - 3))
    return 1 << (rows - 1).bit_length(), -(-width // grain) * grain
