"""A prompt: what one answer is generated to."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Prompt:
    """A prompt, as token ids, and how one answer to it is generated."""

    tokens: list[int]
    limit: int  # most tokens of the answer
    seed: int = 0  # of this answer's random numbers, where decoding is not greedy
