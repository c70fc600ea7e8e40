"""Slots: rows that are generated together, each of which leaves when its answer is over.

A row is a slot of the cache, from column 0 to its own length. Rows that live fill the first slots
without a gap: where one leaves, the last one takes its place. Free slots are filled with the next
prompts, and of prompts that are the same, or begin the same, that part is read once.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from harness.stage.decoding import families
from harness.stage.decoding.families import Family, grouped
from harness.stage.decoding.passes import Kept
from harness.stage.decoding.prompt import Prompt
from harness.stage.decoding.sampling import Drawn, Sampler, all_fit, uniform
from harness.stage.decoding.stops import Row, Stops

if TYPE_CHECKING:
    import torch

    from harness.stage.computed.products import Products

REFILL = 0.125  # share of the slots that is free when prompts are read into them
STRIDE = {"cpu": 1, "cuda": 8}  # tokens between two looks: each waits for what a GPU has written
READ = {"cpu": 2048, "cuda": 16_384}  # tokens of prompts that are read at once

Answer = tuple[int, Row]
More = Callable[[bool], Sequence[int]]
"""Returns the places of prompts that have come since, and waits for some where it is given True;
none are left to come where it then returns none."""


class Slots:
    """Generates answers in the slots of one cache."""

    def __init__(
        self,
        model: Any,
        stops: Stops,
        choose: Sampler,
        slots: int,
        sampled: bool,
        products: Products | None = None,
        kept: Kept | None = None,
    ) -> None:
        """Make the slots.

        Args:
            model: A causal model that `probe.against_slots` finds nothing against.
            stops: Where answers end.
            choose: Chooses the next tokens.
            slots: Rows that are generated together.
            sampled: Whether random numbers are wanted; where not, logits are in float32.
            products: Where what a GPU repeats by itself is counted, if it is.
            kept: Where recorded steps are kept for the next call, if they are.
        """
        self._kept = kept or Kept()
        self._reader, self._next = self._kept.take(model, slots, not sampled, products)
        self._stops, self._choose, self._sampled = stops, choose, sampled
        kind = "cpu" if model.device.type == "cpu" else "cuda"
        self._stride, self._most = STRIDE[kind], READ[kind]
        self._slots = slots
        self._device = model.device
        self._rows: list[tuple[int, Row]] = []  # of each live slot its prompt's place, its answer
        self._whole = False  # whether vocabularies are sorted as a whole

    def answers(
        self, prompts: Sequence[Prompt], places: Sequence[int], more: More
    ) -> Iterator[Answer]:
        """Generate answers to the prompts at `places`, and yield each as it is over.

        Where slots are free, `more` is asked for the places of prompts that came since.
        """
        import torch

        self._prompts = prompts
        longest = max(prompts[place].limit for place in places)
        # of each slot: its newest token and the column where that belongs, its prompt's length and
        # the last column that it may have
        self._ids = torch.zeros((self._slots,), dtype=torch.long, device=self._device)
        self._at, self._lengths, self._last = (torch.zeros_like(self._ids) for _ in range(3))
        self._noise = (
            torch.zeros((self._slots, longest), dtype=torch.float64, device=self._device)
            if self._sampled
            else None
        )
        families = deque(grouped(prompts, places))
        while True:
            if not families:
                families.extend(grouped(prompts, more(not self._rows)))
            if not families and not self._rows:
                self._kept.give(self._device)
                return
            free = self._slots - len(self._rows)
            if families and (free >= max(1, REFILL * self._slots) or not self._rows):
                while families and free:
                    taken = self._admit(families[0], free)
                    free -= len(taken)
                    if not families[0].places:
                        families.popleft()
                    yield from self._look(
                        [[token] for token in taken], len(self._rows) - len(taken)
                    )
                continue
            yield from self._look(self._stretch(), 0)

    def _admit(self, family: Family, free: int) -> list[int]:
        """Put prompts of a family into free slots; return the first token of each one's answer."""
        import torch
        from torch.nn.functional import pad

        start = len(self._rows)
        take = self._read if family.kept is None else self._repeat
        given, logits = take(family, free)
        prompts = [self._prompts[place] for place in given]
        new = slice(start, start + len(given))
        lengths = torch.tensor([len(one.tokens) for one in prompts], device=self._device)
        limits = torch.tensor([one.limit for one in prompts], device=self._device)
        self._lengths[new], self._at[new], self._last[new] = lengths, lengths, lengths + limits - 1
        noise = None
        if self._noise is not None:
            longest = max(one.limit for one in prompts)
            if longest > self._noise.shape[1]:  # they came later than the others
                self._noise = pad(self._noise, (0, longest - self._noise.shape[1]))
            for slot, one in enumerate(prompts, start):
                self._noise[slot, : one.limit] = uniform(one.seed, one.limit)
            noise = self._noise[new, 0]
        self._ids[new] = self._choose(logits, noise)
        self._rows += [
            (place, Row(one.limit, len(one.tokens)))
            for place, one in zip(given, prompts, strict=True)
        ]
        tokens: list[int] = self._ids[new].tolist()
        return tokens

    def _read(self, family: Family, free: int) -> tuple[list[int], torch.Tensor]:
        """Read prompts of a family into free slots; return their places and the logits behind."""
        start, shared = len(self._rows), family.shared
        given, tails, read = family.take(self._prompts, free, self._most)
        if shared and family.columns is None:
            first = self._prompts[given[0]].tokens
            family.columns = self._reader.read_prefix(first[:shared])
        logits = self._reader.read(tails, start, shared, family.columns)
        if len(tails) < len(given):
            logits = logits[self._reader.repeat(start, read)]
        if family.goes_on(self._prompts, given[-1]):
            width = len(self._prompts[given[-1]].tokens)
            columns = self._reader.cache.prefix(start + len(given) - 1, width)
            family.kept = families.Kept(columns, logits[-1:].clone())
        return given, logits

    def _repeat(self, family: Family, free: int) -> tuple[list[int], torch.Tensor]:
        """Put samples of the prompt that a family has kept into free slots, as `_read` does."""
        assert family.kept is not None
        columns, logits = family.kept.columns, family.kept.logits
        given = family.take_samples(self._prompts, free)
        self._reader.give(columns, len(self._rows), len(given))
        return given, logits.expand(len(given), -1)

    def _stretch(self) -> list[list[int]]:
        """Write a few tokens in every live row; return those of each.

        Where one lay outside of what is sorted first of a large vocabulary, all are written again
        with all of it sorted, and so are the next while any needs it. A single one is drawn again.
        """
        import torch

        left = max(row.limit - len(row.tokens) for _, row in self._rows)
        count, before = min(self._stride, left), (self._ids.clone(), self._at.clone())
        while True:
            steps, whole = [self._write(number) for number in range(count)], self._whole
            fit = all_fit(steps)
            self._whole = not fit and count > 1
            tokens = torch.stack([step.tokens for step in steps], 1)
            if not (fit or whole):
                if count > 1:
                    self._ids.copy_(before[0])  # columns beyond are not seen until written anew
                    self._at.copy_(before[1])
                    continue
                tokens[:, 0] = self._choose.mend(*self._given, steps[0])
                self._ids[: len(tokens)] = tokens[:, 0]
            return [list(row) for row in tokens.tolist()]

    def _write(self, ahead: int) -> Drawn:
        """Write one token in every live row, `ahead` after the last look; return them."""
        import torch

        count = len(self._rows)
        ids, at = self._ids[:count], self._at[:count]
        width = max(row.start + min(len(row.tokens) + ahead, row.limit) for _, row in self._rows)
        logits = self._next(ids, at, width)
        noise = None
        if self._noise is not None:
            place = (at - self._lengths[:count] + 1).clamp(max=self._noise.shape[1] - 1)
            noise = self._noise[:count].gather(1, place[:, None])[:, 0]
        self._given = logits, noise
        drawn = self._choose.draw(logits, noise, self._whole)
        ids.copy_(drawn.tokens)
        # a row that has ended and waits for the next look must not run past its last column
        torch.minimum(at + 1, self._last[:count], out=at)
        return drawn

    def _look(self, written: Sequence[Sequence[int]], start: int) -> Iterator[Answer]:
        """Append what was written in the rows from `start` on; yield and remove those that end."""
        rows, stops = self._rows, self._stops
        ended = [
            slot
            for slot, tokens in enumerate(written, start)
            if rows[slot][1].extend(tokens, stops)
        ]
        if ended:
            answers = [rows[slot] for slot in ended]
            self._remove(ended)
            yield from answers

    def _remove(self, ended: Sequence[int]) -> None:
        """Free slots; the last rows that live move into those that lie before them."""
        import torch

        gone = set(ended)
        count = len(self._rows) - len(gone)
        holes = [slot for slot in ended if slot < count]
        movers = [slot for slot in range(count, len(self._rows)) if slot not in gone]
        if holes:
            target = torch.tensor(holes, device=self._device)
            source = torch.tensor(movers, device=self._device)
            self._reader.cache.copy(source, target)
            for tensor in (self._ids, self._at, self._lengths, self._last, self._noise):
                if tensor is not None:
                    tensor[target] = tensor[source]
            for hole, mover in zip(holes, movers, strict=True):
                self._rows[hole] = self._rows[mover]
        del self._rows[count:]
