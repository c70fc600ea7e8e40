"""The decoder: generates answers with a causal model of transformers.

The board sets how, and a checkpoint's own generation defaults change nothing. An answer depends on
its own prompt and its own random numbers only: rows may be put together in any way (up to the
rounding of floating-point sums, which is why how many are is part of a stage's identity).
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

from harness.errors import StageError
from harness.stage.decoding import probe
from harness.stage.decoding.alone import Alone
from harness.stage.decoding.batches import Batches
from harness.stage.decoding.prompt import Decoding, Prompt
from harness.stage.decoding.sampling import Sampler
from harness.stage.decoding.slots import More, Slots
from harness.stage.decoding.stops import Stops
from harness.stage.memory import is_out_of_memory

if TYPE_CHECKING:
    from harness.stage.computed.products import Products
    from harness.stage.decoding.crew import Crew
    from harness.stage.decoding.passes import Kept


@dataclass
class Decoder:
    """Generates answers to prompts, in slots where that is right for the model (see `probe`).

    If memory is full, half as many rows are generated together, and so on; answers that were ready
    are kept.
    """

    model: Any
    tokenizer: Any
    batch_size: int  # rows generated together
    stop: Sequence[str] = ()  # strings that end an answer
    temperature: float = 0.0  # 0 is greedy
    top_p: float = 1.0  # the share of probability that is sampled from
    crew: Crew | None = None  # processes that generate in place of this one
    kept: Kept | None = None  # where recorded steps are kept for another decoder of the same model
    smallest: int | None = field(default=None, init=False)  # rows that memory forced, if any
    room: int | None = field(default=None, init=False)  # rows to begin with another time, then
    products: Products | None = field(default=None, init=False)  # where a meter counts them

    def generate(self, prompts: Sequence[Prompt]) -> Iterator[tuple[int, list[int], bool]]:
        """Generate an answer to each prompt.

        Yields:
            The index of a prompt, the token ids of its answer, and whether that ended before its
            limit; each as soon as it is over.

        Raises:
            StageError: If a prompt has no tokens, or an answer may have none.
        """
        if not all(prompt.tokens and prompt.limit > 0 for prompt in prompts):
            raise StageError("a prompt without tokens, or a limit below one, cannot be answered")
        if self.crew is None:
            yield from self.serve(prompts, range(len(prompts)), lambda _: ())
            return
        how = Decoding(self.batch_size, tuple(self.stop), self.temperature, self.top_p)
        yield from self.crew.answers(prompts, how)
        self.smallest, self.way = self.crew.smallest, self.crew.way

    def serve(
        self, prompts: Sequence[Prompt], places: Sequence[int], more: More
    ) -> Iterator[tuple[int, list[int], bool]]:
        """Generate answers to the prompts at `places`, and to those that come meanwhile.

        Args:
            prompts: To which those that come later are appended.
            places: Of those that are there.
            more: Returns the places of others, and waits for them if it is told to; none are left
                to come where it then returns none.

        Yields:
            What `generate` does.
        """
        import torch

        left = dict.fromkeys(places)

        def take(wait: bool) -> Sequence[int]:
            new = more(wait)
            left.update(dict.fromkeys(new))
            return new

        way = self.way.kind
        slots = partial(Slots, products=self.products, kept=self.kept)
        kind: Any = {"slots": slots, "batches": Batches, "alone": Alone}[way]
        rows = 1 if way == "alone" else min(self.batch_size, len(left))
        while left or take(True):
            engine = kind(self.model, self.stops, self._choose, rows, self.temperature > 0)
            try:
                for place, row in engine.answers(prompts, list(left), take):
                    del left[place]
                    yield place, row.tokens, row.stopped
            except Exception as error:
                if rows == 1 or not is_out_of_memory(error):
                    raise
            if left:  # only here are the frames gone that held the tensors
                del engine
                if self.kept is not None:
                    self.kept.drop()
                self.room = (rows + 1) // 2  # the few that were left say nothing of the next call
                rows = (min(rows, len(left)) + 1) // 2
                self.smallest = min(rows, self.smallest or rows)
                torch.cuda.empty_cache()

    @cached_property
    def way(self) -> probe.Way:
        """Return how the model's answers are generated; a line says why, if not in slots."""
        found = probe.way(self.model)
        if found.kind != "slots":
            how = "batch by batch" if found.kind == "batches" else "one answer at a time"
            logging.getLogger(__name__).warning("generating %s: %s", how, found.why)
        return found

    @cached_property
    def stops(self) -> Stops:
        found: Any = self.model.generation_config.eos_token_id
        found = found if isinstance(found, list | tuple) else [found]
        ends = {token for token in (*found, self.tokenizer.eos_token_id) if token is not None}
        return Stops(self.tokenizer, ends, self.stop)

    @cached_property
    def _choose(self) -> Sampler:
        return Sampler(self.temperature, self.top_p)
