"""Alone: one answer at a time by transformers' own `generate`, for models whose rows mix.

A model may keep states of another kind than keys and values, or compute a row otherwise where it is
padded or stands beside a longer one. What `generate` writes to a single prompt is its own text by
definition; here it chooses tokens and ends as the other ways do.
"""

from __future__ import annotations

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


class Alone:
    """Generates answers one by one."""

    def __init__(self, model: Any, stops: Stops, choose: Sampler, size: int, sampled: bool) -> None:
        """Take what `Batches` takes; `size` is 1."""
        self._model, self._stops, self._choose, self._sampled = model, stops, choose, sampled
        self._head = nullcontext() if sampled else ExactHead(model)

    def answers(
        self, prompts: Sequence[Prompt], places: Sequence[int], more: More
    ) -> Iterator[Answer]:
        """Generate answers to the prompts at `places`, and yield each when it is over.

        Prompts that come later are left to another call.
        """
        for place in places:
            yield place, self._answer(prompts[place])

    def _answer(self, prompt: Prompt) -> Row:
        import torch
        from transformers import GenerationConfig, LogitsProcessorList, StoppingCriteriaList

        model, make = self._model, GenerationConfig
        row, device = Row(prompt.limit), model.device
        noise = uniform(prompt.seed, prompt.limit).to(device) if self._sampled else None

        def choose(_: torch.Tensor, logits: torch.Tensor) -> torch.Tensor:
            number = len(row.tokens)
            token = self._choose(logits, None if noise is None else noise[number : number + 1])
            row.extend(token.tolist(), self._stops)
            return torch.full_like(logits, -torch.inf).scatter_(1, token[:, None], 0.0)

        def ended(ids: torch.Tensor, *_: Any, **__: Any) -> torch.Tensor:
            return torch.tensor([row.done], device=ids.device)

        ids = torch.tensor([prompt.tokens], device=device)
        # what a checkpoint says of generation changes nothing, and neither does an instance's own
        # `generate`, which `stopping.stop_at` makes
        kept, model.generation_config = model.generation_config, make(pad_token_id=0)
        try:
            with self._head:
                type(model).generate(
                    model,
                    ids,
                    attention_mask=torch.ones_like(ids),
                    do_sample=False,
                    max_new_tokens=prompt.limit,
                    logits_processor=LogitsProcessorList([choose]),
                    stopping_criteria=StoppingCriteriaList([ended]),
                )
        finally:
            model.generation_config = kept
        return row
