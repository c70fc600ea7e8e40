"""Batches: plain generation with transformers' own cache, for models that slots are not made for.

A batch is as large as its rows at first; ended rows are taken out of it once they are a quarter.
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
        """Return the answers to one batch, its prompts padded on the left to the longest."""
        import torch
        from transformers import DynamicCache

        device = self._model.device
        width = max(len(prompt.tokens) for prompt in prompts)
        ids = torch.zeros((len(prompts), width), dtype=torch.long)
        mask = torch.zeros((len(prompts), width), dtype=torch.long)
        for row, prompt in enumerate(prompts):
            ids[row, width - len(prompt.tokens) :] = torch.tensor(prompt.tokens)
            mask[row, width - len(prompt.tokens) :] = 1
        ids, mask = ids.to(device), mask.to(device)
        places = (mask.cumsum(-1) - 1).clamp(min=0)
        # a row that has ended but is still in the batch must not run past the model's context
        last = torch.tensor([[len(one.tokens) + one.limit - 1] for one in prompts], device=device)
        noise = self._noise(prompts, device)
        cache = DynamicCache(config=self._model.config)
        takes = inspect.signature(self._model.forward).parameters
        more = {"logits_to_keep": 1} if "logits_to_keep" in takes else {}
        rows = [Row(prompt.limit) for prompt in prompts]
        open_rows = list(range(len(prompts)))  # which prompt each row of the tensors is
        for step in range(max(prompt.limit for prompt in prompts)):
            given = {"input_ids": ids, "attention_mask": mask}
            if "position_ids" in takes:
                given["position_ids"] = places
            with self._head:
                output = self._model(**given, past_key_values=cache, use_cache=True, **more)
            chosen = self._choose(output.logits[:, -1], None if noise is None else noise[:, step])
            for row, token in zip(open_rows, chosen.tolist(), strict=True):
                rows[row].extend((token,), self._stops)
            keep = [place for place, row in enumerate(open_rows) if not rows[row].done]
            if not keep:
                break
            ended = len(open_rows) - len(keep)
            if ended >= LEAVE * len(open_rows) and _can_shrink(cache):
                at = torch.tensor(keep, device=device)
                cache.batch_select_indices(at)
                mask, places, last, chosen = mask[at], places[at], last[at], chosen[at]
                noise = noise[at] if noise is not None else None
                open_rows = [open_rows[place] for place in keep]
            ids, places = chosen[:, None], torch.minimum(places[:, -1:] + 1, last)
            mask = torch.cat((mask, mask.new_ones((len(mask), 1))), dim=-1)
        return rows

    def _noise(self, prompts: Sequence[Prompt], device: torch.device) -> torch.Tensor | None:
        """Return random numbers, shape (prompts, longest limit), each row its prompt's own."""
        import torch

        if not self._sampled:
            return None
        longest = max(prompt.limit for prompt in prompts)
        return torch.stack([uniform(prompt.seed, longest) for prompt in prompts]).to(device)


def _can_shrink(cache: Any) -> bool:
    """Return whether rows can be taken out of a cache; not where linear attention has states."""
    return not any(hasattr(layer, "recurrent_states") for layer in cache.layers)
