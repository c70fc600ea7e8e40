"""Batches: plain generation with transformers' own cache, for models that slots are not made for.

`probe` finds out whether they are right for a model. A batch is as large as its rows at first;
ended rows are taken out of it once they are a quarter.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

from harness.stage.decoding.head import ExactHead
from harness.stage.decoding.prompt import Prompt
from harness.stage.decoding.sampling import Sampler, uniform
from harness.stage.decoding.stops import Row, Stops

if TYPE_CHECKING:
    import torch

    from harness.stage.decoding.slots import Answer, More

LEAVE = 0.25  # share of a batch that has ended when the ended rows are taken out of it


class Batches:
    """Generates answers batch by batch."""

    def __init__(self, model: Any, stops: Stops, choose: Sampler, size: int, sampled: bool) -> None:
        """Take what `Slots` takes; `size` is the prompts of a batch."""
        self._model, self._stops, self._choose = model, stops, choose
        self._size, self._sampled = size, sampled
        self._head = nullcontext() if sampled else ExactHead(model)

    def answers(
        self, prompts: Sequence[Prompt], places: Sequence[int], more: More
    ) -> Iterator[Answer]:
        """Generate answers to the prompts at `places`, and yield those of a batch when it is over.

        The longest prompts come first, equally long ones in order. Prompts that come later are left
        to another call.
        """
        order = sorted(places, key=lambda place: -len(prompts[place].tokens))
        for first in range(0, len(order), self._size):
            batch = order[first : first + self._size]
            yield from zip(batch, self._batch([prompts[i] for i in batch]), strict=True)

    def _batch(self, prompts: Sequence[Prompt]) -> list[Row]:
        """Return the answers to one batch."""
        import torch

        device = self._model.device
        limits = [prompt.limit for prompt in prompts]
        padded = Padded(self._model, [prompt.tokens for prompt in prompts], limits)
        noise = self._noise(prompts, device)
        rows = [Row(limit) for limit in limits]
        open_rows = list(range(len(prompts)))  # which prompt each row of the tensors is
        for step in range(max(limits)):
            with self._head:
                logits = padded.logits()
            chosen = self._choose(logits, None if noise is None else noise[:, step])
            for row, token in zip(open_rows, chosen.tolist(), strict=True):
                rows[row].extend((token,), self._stops)
            keep = [place for place, row in enumerate(open_rows) if not rows[row].done]
            if not keep:
                break
            ended = len(open_rows) - len(keep)
            if ended >= LEAVE * len(open_rows) and padded.can_shrink:
                at = torch.tensor(keep, device=device)
                padded.keep(at)
                chosen = chosen[at]
                noise = noise[at] if noise is not None else None
                open_rows = [open_rows[place] for place in keep]
            padded.write(chosen)
        return rows

    def _noise(self, prompts: Sequence[Prompt], device: torch.device) -> torch.Tensor | None:
        """Return random numbers, shape (prompts, longest limit), each row its prompt's own."""
        import torch

        if not self._sampled:
            return None
        longest = max(prompt.limit for prompt in prompts)
        return torch.stack([uniform(prompt.seed, longest) for prompt in prompts]).to(device)


class Padded:
    """Rows of tokens, padded on the left to the longest, with transformers' own cache.

    Attributes:
        can_shrink: Whether rows can be taken out; not where linear attention has states.
    """

    def __init__(self, model: Any, rows: Sequence[Sequence[int]], limits: Sequence[int]) -> None:
        """Begin with some tokens in each row, after which come `limits` of them at most."""
        import torch
        from transformers import DynamicCache

        self._model, device = model, model.device
        width = max(map(len, rows))
        ids = torch.zeros((len(rows), width), dtype=torch.long)
        mask = torch.zeros((len(rows), width), dtype=torch.long)
        for row, tokens in enumerate(rows):
            ids[row, width - len(tokens) :] = torch.tensor(tokens)
            mask[row, width - len(tokens) :] = 1
        self._ids, self._mask = ids.to(device), mask.to(device)
        self._places = (self._mask.cumsum(-1) - 1).clamp(min=0)
        # a row that has ended but is still in the batch must not run past the model's context
        last = [len(row) + limit - 1 for row, limit in zip(rows, limits, strict=True)]
        self._last = torch.tensor(last, device=device)[:, None]
        self._cache = DynamicCache(config=model.config)
        self._takes = inspect.signature(model.forward).parameters

    def logits(self) -> torch.Tensor:
        """Return the logits behind each row's last token, shape (rows, vocabulary)."""
        given: dict[str, Any] = {"input_ids": self._ids, "attention_mask": self._mask}
        if "position_ids" in self._takes:
            given["position_ids"] = self._places
        if "logits_to_keep" in self._takes:
            given["logits_to_keep"] = 1
        output = self._model(**given, past_key_values=self._cache, use_cache=True)
        logits: torch.Tensor = output.logits[:, -1]
        return logits

    def write(self, tokens: torch.Tensor) -> None:
        """Append a token to each row."""
        import torch

        self._ids = tokens[:, None]
        self._places = torch.minimum(self._places[:, -1:] + 1, self._last)
        self._mask = torch.cat((self._mask, self._mask.new_ones((len(self._mask), 1))), dim=-1)

    @property
    def can_shrink(self) -> bool:
        return not any(hasattr(layer, "recurrent_states") for layer in self._cache.layers)

    def keep(self, at: torch.Tensor) -> None:
        """Take all rows out but those `at`."""
        self._cache.batch_select_indices(at)
        self._mask, self._places, self._last = self._mask[at], self._places[at], self._last[at]
