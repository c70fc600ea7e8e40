"""Families: prompts that begin alike, in the order in which slots are filled with them."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.stage.decoding.cache import Prefix
from harness.stage.decoding.prompt import Prompt

if TYPE_CHECKING:
    import torch

SHARED = 16  # tokens that prompts must have in common for those to be read apart,
ALIKE = 8  # and how many prompts must begin with them


@dataclass(frozen=True)
class Kept:
    """A prompt that was read, for those of its samples that found no free slot.

    Attributes:
        columns: Its keys and values.
        logits: Behind its last token, shape (1, vocabulary).
    """

    columns: Prefix
    logits: torch.Tensor


class Family:
    """Prompts that begin alike, in the order in which they are read.

    Attributes:
        places: Of those that are not in a slot yet.
        shared: Tokens that all begin with and that are read apart.
        columns: Keys and values of the shared tokens, once they were read.
        kept: The first of `places`, where the same prompt was read for another sample.
    """

    def __init__(self, places: Sequence[int], shared: int) -> None:
        self.places = deque(places)
        self.shared = shared
        self.columns: Prefix | None = None
        self.kept: Kept | None = None

    def take(
        self, prompts: Sequence[Prompt], free: int, most: int
    ) -> tuple[list[int], list[tuple[int, ...]], list[int]]:
        """Take the next places, to be read together.

        Args:
            prompts: That the places are of.
            free: Places at most.
            most: Tokens that are read at most, if several prompts are.

        Returns:
            The places, what is read of the distinct prompts behind the shared tokens, and for each
            place which of those it is.
        """
        given: list[int] = []
        alike: dict[tuple[int, ...], int] = {}  # what is read of a prompt -> its number
        read: list[int] = []
        width = len(prompts[self.places[0]].tokens) - self.shared  # of the longest
        while self.places and len(given) < free:
            tail = tuple(prompts[self.places[0]].tokens[self.shared :])
            if tail not in alike and alike and (len(alike) + 1) * width > most:
                break
            read.append(alike.setdefault(tail, len(alike)))
            given.append(self.places.popleft())
        return given, list(alike), read

    def take_samples(self, prompts: Sequence[Prompt], free: int) -> list[int]:
        """Take the next places, `free` at most, that are of the prompt that is kept."""
        given = [self.places.popleft()]
        while len(given) < free and self.goes_on(prompts, given[0]):
            given.append(self.places.popleft())
        if not self.goes_on(prompts, given[0]):
            self.kept = None
        return given

    def goes_on(self, prompts: Sequence[Prompt], place: int) -> bool:
        """Return whether the next place is of the same prompt as another one."""
        return bool(self.places) and prompts[self.places[0]].tokens == prompts[place].tokens


def grouped(prompts: Sequence[Prompt], places: Sequence[int]) -> Iterator[Family]:
    """Group prompts by how they begin; the longest come first, the same ones together."""
    groups: dict[tuple[int, ...], list[int]] = {}

    def order(place: int) -> tuple[int, list[int], int]:
        return -len(prompts[place].tokens), prompts[place].tokens, place

    for place in sorted(places, key=order):
        groups.setdefault(tuple(prompts[place].tokens[:SHARED]), []).append(place)
    single: list[int] = []
    for group in groups.values():
        distinct = {tuple(prompts[place].tokens) for place in group}
        shared = _common(min(distinct), max(distinct))
        shared = min(shared, *(len(tokens) - 1 for tokens in distinct))
        if shared < SHARED or len(distinct) < ALIKE:
            single += group
        else:
            yield Family(group, shared)
    if single:
        yield Family(sorted(single, key=order), 0)


def _common(one: Sequence[int], other: Sequence[int]) -> int:
    """Return how many tokens two prompts have in common at their beginning."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((place for place, (a, b) in pairs if a != b), min(len(one), len(other)))
