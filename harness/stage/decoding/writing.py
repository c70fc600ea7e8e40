"""Writing: answers that a trainer's models write while it trains, counted as generated tokens."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from typing import Any

from harness.stage.decoding.decoder import Decoder
from harness.stage.decoding.prompt import Prompt
from harness.stage.decoding.stopping import cut
from harness.stage.memory import NoRoom, is_out_of_memory
from harness.stage.reading.lean import lean_writing


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
    half: bool = False,
) -> list[list[Written]]:
    """Return `samples` answers to each prompt, of at most `limit` tokens.

    Random numbers come from torch's generator, as those of transformers' `generate` do. The meter
    counts what it costs to read each answer's prompt and write its tokens, however that was shared.
    With `half` float32 weights are used in bfloat16.
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
def _generating(model: Any, half: bool) -> Iterator[None]:
    """Let a model generate: without dropout, and with weights in bfloat16 where `half` says so.

    The weights that are trained are float32, and would be cast anew for every token under autocast.
    They are set aside, and put back as they were.
    """
    training = [module for module in model.modules() if module.training]
    model.eval()
    try:
        with half_precision(model) if half else nullcontext(), lean_writing(model):
            yield
    finally:
        for module in training:
            module.training = True


@contextmanager
def half_precision(model: Any) -> Iterator[None]:
    """Give a model weights in bfloat16 for a while; the ones that it has are kept and put back."""
    import torch

    kept = [
        (parameter, parameter.data)
        for parameter in model.parameters()
        if parameter.dtype == torch.float32
    ]
    try:
        for parameter, weights in kept:
            parameter.data = weights.to(torch.bfloat16)
        yield
    finally:
        for parameter, weights in kept:
            parameter.data = weights
