"""Writing: answers that a trainer's models write while it trains, counted as generated tokens."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Any

from harness.stage.decoding.decoder import Decoder
from harness.stage.decoding.prompt import Prompt
from harness.stage.decoding.stopping import cut
from harness.stage.memory import NoRoom, is_out_of_memory
from harness.stage.reading.lean import lean_writing

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Written:
    """An answer that a model wrote.

    Attributes:
        prompt: The prompt's token ids.
        tokens: The answer's token ids. An end-of-turn token is the last one unless the limit ended
            it: behind a stop string it is added, so that whoever learns from the ids sees the end.
        text: The answer up to the first stop string, without special tokens.
        stopped: Whether it ended by itself, and not at its limit.
    """

    prompt: list[int]
    tokens: list[int]
    text: str
    stopped: bool


def write(
    decoder: Decoder,
    prompts: Sequence[Sequence[int]],
    samples: int,
    limit: int,
    *,
    half: Half | None = None,
) -> list[list[Written]]:
    """Return `samples` answers to each prompt, of at most `limit` tokens.

    Random numbers come from torch's generator, as those of transformers' `generate` do. The meter
    counts what it costs to read each answer's prompt and write its tokens, however that was shared.
    With `half`, which is of the decoder's model, float32 weights are used in bfloat16.
    """
    import torch

    seeds = torch.randint(2**62, (len(prompts) * samples,)).tolist()
    asked = [
        Prompt(list(tokens), limit, seeds[place * samples + sample])
        for place, tokens in enumerate(prompts)
        for sample in range(samples)
    ]
    tokenizer, ends = decoder.tokenizer, decoder.stops.ends
    found: dict[int, Written] = {}
    try:
        with _generating(decoder.model, half), torch.no_grad():
            for place, tokens, stopped in decoder.generate(asked):
                text = cut(tokenizer.decode(tokens, skip_special_tokens=True), decoder.stop)
                found[place] = Written(asked[place].tokens, tokens, text, stopped)
    except Exception as error:
        if is_out_of_memory(error):
            raise NoRoom(
                "out of memory where one answer is written at a time; set a smaller completion"
                " length, or rows of fewer tokens"
            ) from error
        raise
    for place, one in found.items():
        if one.stopped and one.tokens[-1] not in ends:
            found[place] = replace(one, tokens=[*one.tokens, tokenizer.eos_token_id])
    rows = [found[place] for place in range(len(asked))]
    return [rows[first : first + samples] for first in range(0, len(rows), samples)]


@contextmanager
def _generating(model: Any, half: Half | None) -> Iterator[None]:
    """Let a model generate: without dropout, and with weights in bfloat16 where `half` is given.

    The weights that are trained are float32, and would be cast anew for every token under autocast.
    They are set aside, and put back as they were.
    """
    training = [module for module in model.modules() if module.training]
    model.eval()
    try:
        with half.used(model) if half else nullcontext(), lean_writing(model):
            yield
    finally:
        for module in training:
            module.training = True


SAMPLE = 256  # at least so many values of a tensor, by which a change is seen


_steps = [0]  # of all optimisers of this process, since they are counted


@cache
def _count_steps() -> None:
    from torch.optim.optimizer import register_optimizer_step_post_hook

    def count(*_: Any) -> None:
        _steps[0] += 1

    register_optimizer_step_post_hook(count)


class Half:
    """A model's float32 weights in bfloat16, kept from one use to the next.

    They stay where they are in memory, and are copied anew where the model's own were changed:
    after a step of any optimiser, and whenever torch or a sample of the values says so. A trainer
    that writes past both, into a few values through `.data`, would write with the weights that
    were.

    Attributes:
        copies: How often the weights were copied.
    """

    def __init__(self) -> None:
        self.copies = 0
        self._made: dict[Any, torch.Tensor] = {}
        self._state: Any = None  # what the weights were like when they were copied
        self._sample: Any = None  # of their values
        _count_steps()

    @contextmanager
    def used(self, model: Any) -> Iterator[None]:
        """Give the model these weights for a while; its own are put back as they were."""
        import torch

        parameters = [one for one in model.parameters() if one.dtype == torch.float32]
        kept = [(parameter, parameter.data) for parameter in parameters]
        self._refresh(kept)
        try:
            for parameter, _ in kept:
                parameter.data = self._made[parameter]
            yield
        finally:
            for parameter, weights in kept:
                parameter.data = weights

    def _refresh(self, kept: Sequence[tuple[Any, torch.Tensor]]) -> None:
        """Copy the weights, if they are not those that were copied last."""
        import torch

        state = [_steps[0], *((id(one), one._version, one.data_ptr()) for one, _ in kept)]
        every = [max(1, weights.numel() // SAMPLE) for _, weights in kept]
        parts = [one.reshape(-1)[::step] for (_, one), step in zip(kept, every, strict=True)]
        sample = torch.cat(parts) if parts else None
        if sample is not None and state == self._state and torch.equal(sample, self._sample):
            return
        known = {parameter for parameter, _ in kept}
        self._made = {one: made for one, made in self._made.items() if one in known}
        for parameter, weights in kept:
            made = self._made.get(parameter)
            if made is not None and (made.shape, made.device) == (weights.shape, weights.device):
                made.copy_(weights)
            else:
                self._made[parameter] = weights.to(torch.bfloat16)
        self._state, self._sample = state, sample
        self.copies += 1
