"""Passes of a model over prompts and over single tokens, with the cache of all slots."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

from harness.stage.decoding import graphs
from harness.stage.decoding.cache import Prefix, SlotCache
from harness.stage.decoding.head import ExactHead, last_only
from harness.stage.decoding.masks import Masks
from harness.stage.reading.lean import is_known

if TYPE_CHECKING:
    import torch

    from harness.stage.computed.products import Products

SHARE = 0.05  # of a GPU's memory that a cache may hold while its model learns


class Kept:
    """A reader and the recorded steps over its cache, kept from one call to the next.

    A recording is of the memory of its weights and its cache. So it is kept where both stay where
    they are: the weights as those of rollouts do (`writing.Half`), and the cache if it is small
    enough to be held while the model learns. It is kept of models alone in which nothing but
    weights can have changed: those of a well-known shape, without an adapter or a hook.
    """

    def __init__(self) -> None:
        self._held: tuple[Reader, graphs.Step] | None = None  # between two calls
        self._used: tuple[Reader, graphs.Step] | None = None  # in this one
        self._key: tuple[Any, ...] | None = None

    def take(
        self, model: Any, slots: int, exact: bool, products: Products | None
    ) -> tuple[Reader, graphs.Step]:
        """Return a reader of a model, and its steps: those of the call before where they fit.

        What a call that fails has used is not kept.
        """
        key = _key(model, slots, exact, products)
        held, self._held = self._held, None
        if held is None or key is None or key != self._key:
            del held
            self._used = None
            reader = Reader(model, slots, exact=exact)
            step: graphs.Step = reader.write
            if (recorder := graphs.recorder(model.device)) is not None:
                step = graphs.Graphs(step, reader.cache, model.device, recorder, products)
            held = reader, step
        else:
            held[0].attach(model, exact)
            if isinstance(held[1], graphs.Graphs):
                held[1].check_again()
        self._used, self._key = held, key
        return held

    def drop(self) -> None:
        """Hold nothing, as where memory is full."""
        self._held = self._used = None

    def give(self, device: torch.device) -> None:
        """Keep for the next call what this one has used, if that is worth its memory."""
        used, self._used = self._used, None
        if used is None or self._key is None or not isinstance(used[1], graphs.Graphs):
            return
        used[0].detach()
        if used[0].cache.bytes <= _room(device):
            self._held = used


def _room(device: torch.device) -> float:
    """Return the bytes that a cache may have which is kept."""
    import torch

    if device.type != "cuda":
        return math.inf
    whole: int = torch.cuda.get_device_properties(device).total_memory
    return SHARE * whole


def _key(model: Any, slots: int, exact: bool, products: Products | None) -> tuple[Any, ...] | None:
    """Return all that recorded steps depend on; None where that cannot be told."""
    import torch

    if not is_known(model.base_model):
        return None
    tensors = (*model.parameters(), *model.buffers())
    places = tuple((one.data_ptr(), one.dtype, one.stride()) for one in tensors)
    kind = model.device.type
    cast = torch.is_autocast_enabled(kind) and torch.get_autocast_dtype(kind)
    return id(model), slots, exact, id(products), cast, torch.is_inference_mode_enabled(), places


class Reader:
    """Runs a model on prompts and on single tokens, with a cache."""

    def __init__(self, model: Any, slots: int, *, exact: bool = False) -> None:
        self.cache = SlotCache(slots)
        self._masks = Masks(model)
        # Attention of cuDNN, which torch prefers on some GPUs, is planned anew for every number of
        # columns, and that takes longer than a step
        self._few_widths = model.device.type != "cpu"
        self._used = 0  # slots that have held a row
        self.attach(model, exact)
        self.slots = self._arange(slots)

    def attach(self, model: Any, exact: bool) -> None:
        """Use a model, the same one always."""
        self._model = model
        self._head: Any = ExactHead(model) if exact else nullcontext()

    def detach(self) -> None:
        """Hold the model no longer, so that it can be given up while this is kept."""
        self._model = self._head = None

    def read_prefix(self, tokens: Sequence[int]) -> Prefix:
        """Return the keys and values of tokens that prompts begin with.

        They are read into a cache of their own, so that no row is lost.
        """
        apart = Reader(self._model, 1)
        apart.read([tuple(tokens)], 0, 0, None)
        return apart.cache.prefix(0, len(tokens))

    def read(
        self,
        tails: Sequence[Sequence[int]],
        start: int,
        shared: int,
        prefix: Prefix | None,
    ) -> torch.Tensor:
        """Read prompts into slots from `start` on; return the logits behind each, float or half.

        Args:
            tails: The tokens of each behind the first `shared`.
            start: The first of the slots.
            shared: Columns of `prefix`.
            prefix: As `read_prefix` returns it; None if `shared` is 0.

        Returns:
            Shape (prompts, vocabulary).
        """
        import torch

        count, width = len(tails), max(map(len, tails))
        device = self._model.device
        ids = torch.zeros((count, width), dtype=torch.long)
        for row, tail in enumerate(tails):
            ids[row, : len(tail)] = torch.tensor(tail)
        ends = torch.tensor([len(tail) - 1 for tail in tails]).to(device)
        ids = ids.to(device)
        self._take(start, count)
        self.cache.read(start, shared, shared + width)
        if prefix is not None:
            self.cache.share(prefix, start, start + count)
        at = self._arange(shared + width)[None, shared:]
        with last_only(self._model, self.slots[:count], ends):
            logits = self._forward(ids, at, at.expand(count, -1), shared + width)
        if logits.shape[1] > 1:  # the head was not called as a module
            return logits[self.slots[:count], ends]
        return logits[:, 0]

    def give(self, columns: Prefix, start: int, count: int) -> None:
        """Put the keys and values of a prompt into `count` slots from `start` on."""
        self._take(start, count)
        self.cache.share(columns, start, start + count)

    def _take(self, start: int, count: int) -> None:
        self.cache.clear(start, min(start + count, self._used))
        self._used = max(self._used, start + count)

    def repeat(self, start: int, read: Sequence[int]) -> torch.Tensor:
        """Spread prompts that were read into slots from `start` on; return `read` as a tensor.

        Args:
            start: The first of the slots.
            read: Of each slot that is to hold one, the number of its prompt.
        """
        import torch

        source = torch.tensor(read, device=self._model.device)
        self.cache.copy(start + source, start + self.slots[: len(read)])
        self._used = max(self._used, start + len(read))
        return source

    def write(self, ids: torch.Tensor, at: torch.Tensor, width: int) -> torch.Tensor:
        """Write one token to each of the first rows, in column `at`; return the logits behind.

        Args:
            ids: Shape (rows,).
            at: Shape (rows,), all below `width`.
            width: Columns that any row attends to.
        """
        if self._few_widths:
            width = graphs.sizes(len(ids), width)[1]
        self.cache.write(self.slots[: len(ids)], at, width)
        return self._forward(ids[:, None], at[:, None], at[:, None], width)[:, -1]

    def _forward(
        self, ids: torch.Tensor, seen: torch.Tensor, at: torch.Tensor, width: int
    ) -> torch.Tensor:
        with self._head:
            output = self._model(
                input_ids=ids,
                attention_mask=self._masks(seen, self._arange(width)),
                position_ids=at,
                past_key_values=self.cache,
                use_cache=True,
            )
        logits: torch.Tensor = output.logits
        return logits

    def _arange(self, count: int) -> torch.Tensor:
        import torch

        return torch.arange(count, device=self._model.device)
