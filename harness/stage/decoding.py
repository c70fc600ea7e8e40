"""Decoding: how answers are generated with transformers, batch by batch, and where they end.

The board sets it, and a checkpoint's own generation defaults change nothing.

Rows of a batch end one by one, at their end-of-turn token, a stop string or their limit, and rows
that have ended are taken out of it, so that a batch costs what its answers cost and not its longest
one times its size. An answer depends on its own prompt and its own random numbers only: batches may
be formed and split in any way (up to the rounding of floating-point sums).
"""

from __future__ import annotations

import inspect
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

LEAVE = 0.25  # share of a batch that has ended when the ended rows are taken out of it
STRIDE = 8  # tokens between two looks at what a GPU has generated: each look waits for it


@dataclass(frozen=True)
class Prompt:
    """A prompt, as token ids, and how one answer to it is generated."""

    tokens: list[int]
    limit: int  # most tokens of the answer
    seed: int = 0  # of this answer's random numbers, where decoding is not greedy


@dataclass
class Decoder:
    """Generates with a causal model of transformers, batch by batch.

    A batch that does not fit into the GPU's memory is halved until it does; no answer is lost.
    """

    model: Any
    tokenizer: Any
    batch_size: int  # prompts generated together
    stop: Sequence[str] = ()  # strings that end an answer
    temperature: float = 0.0  # 0 is greedy
    top_p: float = 1.0  # nucleus sampling (Holtzman et al. 2020, arXiv 1904.09751)
    smallest: int | None = field(default=None, init=False)  # batch that memory forced, if any

    def generate(self, prompts: Sequence[Prompt]) -> Iterator[tuple[int, list[int], bool]]:
        """Generate an answer to each prompt.

        Yields:
            The index of a prompt, the token ids of its answer, and whether that ended before its
            limit. They come batch by batch, the longest prompts first, equally long ones in order.
        """
        import torch

        order = sorted(range(len(prompts)), key=lambda i: -len(prompts[i].tokens))
        size = self.batch_size
        batches = deque(order[i : i + size] for i in range(0, len(order), size))
        while batches:
            batch = batches.popleft()
            try:
                answers = self._batch([prompts[i] for i in batch])
            except torch.OutOfMemoryError:
                if len(batch) == 1:
                    raise
                answers = None
            if answers is None:  # only here are the frames gone that held the tensors
                half = (len(batch) + 1) // 2
                self.smallest = min(half, self.smallest or half)
                batches.extendleft((batch[half:], batch[:half]))
                torch.cuda.empty_cache()
                continue
            yield from ((i, *answer) for i, answer in zip(batch, answers, strict=True))

    def _batch(self, prompts: Sequence[Prompt]) -> list[tuple[list[int], bool]]:
        """Return the answers to one batch, its prompts padded on the left to the longest."""
        import torch
        from transformers import DynamicCache

        device = self.model.device
        width = max(len(prompt.tokens) for prompt in prompts)
        padding = self.tokenizer.pad_token_id or 0
        ids = torch.full((len(prompts), width), padding)
        mask = torch.zeros((len(prompts), width), dtype=torch.long)
        for row, prompt in enumerate(prompts):
            ids[row, width - len(prompt.tokens) :] = torch.tensor(prompt.tokens)
            mask[row, width - len(prompt.tokens) :] = 1
        ids, mask = ids.to(device), mask.to(device)
        places = (mask.cumsum(-1) - 1).clamp(min=0)
        # a row that has ended but is still in the batch must not run past the model's context
        last = torch.tensor([[len(one.tokens) + one.limit - 1] for one in prompts], device=device)
        uniform = self._uniform(prompts, device)
        cache = DynamicCache(config=self.model.config)
        takes = inspect.signature(self.model.forward).parameters
        only_last = {"logits_to_keep": 1} if "logits_to_keep" in takes else {}
        rows = [_Row(prompt.limit) for prompt in prompts]
        open_rows = list(range(len(prompts)))  # which prompt each row of the tensors is
        stride = 1 if device.type == "cpu" else STRIDE
        step = 0
        unseen: list[torch.Tensor] = []
        while True:
            given = {"input_ids": ids, "attention_mask": mask, "position_ids": places}
            output = self.model(**given, past_key_values=cache, use_cache=True, **only_last)
            logits = output.logits[:, -1]
            noise = uniform[:, step] if uniform is not None else None
            chosen = choose(logits, noise, self.temperature, self.top_p)
            unseen.append(chosen)
            step += 1
            if len(unseen) == stride or step == max(prompt.limit for prompt in prompts):
                for row, tokens in zip(open_rows, torch.stack(unseen, 1).tolist(), strict=True):
                    rows[row].extend(tokens, self)
                unseen = []
                keep = [place for place, row in enumerate(open_rows) if not rows[row].done]
                if not keep:
                    return [(row.tokens, row.stopped) for row in rows]
                ended = len(open_rows) - len(keep)
                if ended >= LEAVE * len(open_rows) and _can_shrink(cache):
                    at = torch.tensor(keep, device=device)
                    cache.batch_select_indices(at)
                    mask, places, last, chosen = mask[at], places[at], last[at], chosen[at]
                    uniform = uniform[at] if uniform is not None else None
                    open_rows = [open_rows[place] for place in keep]
            ids, places = chosen[:, None], torch.minimum(places[:, -1:] + 1, last)
            mask = torch.cat((mask, mask.new_ones((len(mask), 1))), dim=-1)

    def _uniform(self, prompts: Sequence[Prompt], device: torch.device) -> torch.Tensor | None:
        """Return random numbers in [0, 1), shape (prompts, longest limit), each row its own."""
        import torch

        if not self.temperature:
            return None
        longest = max(prompt.limit for prompt in prompts)
        rows = torch.empty((len(prompts), longest), dtype=torch.float64)
        for row, prompt in zip(rows, prompts, strict=True):
            torch.rand(longest, generator=torch.Generator().manual_seed(prompt.seed), out=row)
        return rows.to(device)

    @property
    def ends(self) -> set[int]:
        found: Any = self.model.generation_config.eos_token_id
        found = found if isinstance(found, list | tuple) else [found]
        return {token for token in (*found, self.tokenizer.eos_token_id) if token is not None}


class _Row:
    """The answer in one row of a batch, as far as it is generated."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.tokens: list[int] = []
        self.done = self.stopped = False

    def extend(self, new: Sequence[int], decoder: Decoder) -> None:
        """Append tokens up to the first that ends the answer; what comes after it is dropped."""
        if self.done:
            return
        before = len(self.tokens)
        ends = decoder.ends
        for token in new:
            self.tokens.append(token)
            self.stopped = token in ends
            self.done = self.stopped or len(self.tokens) == self.limit
            if self.done:
                break
        self._cut(before, decoder)

    def _cut(self, before: int, decoder: Decoder) -> None:
        """End the answer at the first of its new tokens that completes a stop string."""
        if not decoder.stop:
            return
        # a token is a byte at least, so a stop string that ends in a new token starts in this tail
        tail = max(0, before - max(len(text.encode()) for text in decoder.stop))
        if not self._has_stop(tail, len(self.tokens), decoder):
            return
        end = before + 1
        while not self._has_stop(tail, end, decoder):
            end += 1
        del self.tokens[end:]
        self.done = self.stopped = True

    def _has_stop(self, start: int, end: int, decoder: Decoder) -> bool:
        text = decoder.tokenizer.decode(self.tokens[start:end])
        return any(stop in text for stop in decoder.stop)


def choose(
    logits: torch.Tensor, uniform: torch.Tensor | None, temperature: float, top_p: float
) -> torch.Tensor:
    """Return the next token of each row: the most probable, or a sampled one.

    Args:
        logits: Shape (rows, vocabulary).
        uniform: A random number in [0, 1) for each row; None is greedy.
        temperature: Above 0, divides the logits.
        top_p: The most probable tokens are kept until their probabilities reach this sum.

    Returns:
        Token ids, shape (rows,).
    """
    import torch

    if uniform is None:
        return logits.float().argmax(-1)
    chances = (logits.float() / temperature).softmax(-1).double()
    order = None
    if top_p < 1:
        chances, order = chances.sort(dim=-1, descending=True, stable=True)
        chances = chances.masked_fill(chances.cumsum(-1) - chances >= top_p, 0.0)
    total = chances.cumsum(-1)
    place = torch.searchsorted(total, (uniform.double() * total[:, -1])[:, None], right=True)
    place = place.clamp(max=logits.shape[-1] - 1)
    return (place if order is None else order.gather(-1, place))[:, 0]


def _can_shrink(cache: Any) -> bool:
    """Return whether rows can be taken out of a cache; not where linear attention has states."""
    return not any(hasattr(layer, "recurrent_states") for layer in cache.layers)
