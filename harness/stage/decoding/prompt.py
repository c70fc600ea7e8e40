"""A prompt: what one answer is generated to, and how all answers of one call are."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Prompt:
    """A prompt, as token ids, and how one answer to it is generated."""

    tokens: list[int]
    limit: int  # most tokens of the answer
    seed: int = 0  # of this answer's random numbers, where decoding is not greedy


@dataclass(frozen=True)
class Decoding:
    """How answers are generated, in words that another process can be told."""

    batch_size: int  # rows generated together by one process
    stop: tuple[str, ...]  # strings that end an answer
    temperature: float  # 0 is greedy
    top_p: float  # the share of probability that is sampled from
