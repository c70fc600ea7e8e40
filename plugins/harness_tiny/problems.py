"""The rows of the `tiny` tasks: written by seeded generators, fixed once and for all.

Families: `tiny_word` (word problems in two or three steps), `tiny_long` (the same in four or five
steps, a test of generalisation, so it has no training split) and `tiny_symbolic` (answers that are
fractions, decimals or polynomials). Only the standard library is used.
"""

from __future__ import annotations

import random
from collections.abc import Container
from functools import lru_cache

from harness_tiny import stories, symbolic

FAMILIES = ("tiny_word", "tiny_long", "tiny_symbolic")
SIZES: dict[str, dict[str, int]] = {
    "tiny_word": {"test": 300, "holdout": 200, "train": 2000},
    "tiny_long": {"test": 150},
    "tiny_symbolic": {"test": 200, "holdout": 100, "train": 1000},
}
STEPS = {"tiny_word": (2, 3), "tiny_long": (4, 5)}
SEED = 20261121


def rows(family: str, split: str) -> list[dict[str, str]]:
    """The rows of one split, always the same ones in the same order.

    Args:
        family: one of `FAMILIES`.
        split: `train`, `holdout` or `test`; `tiny_long` has only `test`.

    Returns:
        Dictionaries with `id`, `problem`, `solution` (steps, without the box) and `answer`.
        No problem text is in two splits, or twice in one.

    Raises:
        ValueError: there is no such family or split.
    """
    if family not in SIZES:
        raise ValueError(f"unknown family {family!r}; there are {', '.join(FAMILIES)}")
    if split not in SIZES[family]:
        raise ValueError(f"{family} has no split {split!r}; it has {', '.join(SIZES[family])}")
    return [
        {"id": f"{family}-{split}-{number:04d}", "problem": p, "solution": s, "answer": a}
        for number, (_, p, s, a) in enumerate(_splits(family)[split])
    ]


def draw(
    family: str, rng: random.Random, exclude: Container[str] = ()
) -> tuple[str, str, str, str]:
    """Draw one fresh row as (kind, problem, solution, answer), its problem not in `exclude`."""
    while True:
        if family == "tiny_symbolic":
            row = symbolic.question(rng)
        else:
            row = stories.story(rng, *STEPS[family])
        if row[1] not in exclude:
            return row


def reserved() -> set[str]:
    """The problem texts of every hold-out and test split: nothing may be trained on these."""
    return {
        row[1]
        for family, sizes in SIZES.items()
        for split in sizes
        if split != "train"
        for row in _splits(family)[split]
    }


@lru_cache
def _splits(family: str) -> dict[str, list[tuple[str, str, str, str]]]:
    """Every split of a family from one stream: the test rows come first, so they never move."""
    rng = random.Random(f"{family}:{SEED}")
    seen: set[str] = set()
    splits: dict[str, list[tuple[str, str, str, str]]] = {}
    for split, size in SIZES[family].items():
        splits[split] = []
        for _ in range(size):
            splits[split].append(draw(family, rng, seen))
            seen.add(splits[split][-1][1])
    return splits
