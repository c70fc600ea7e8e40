"""The rows of the `tiny` tasks: written by seeded generators, fixed once and for all.

Families: `tiny_word` (word problems in two or three steps), `tiny_long` (the same in four or five
steps, a test of generalisation, so it has no training split) and `tiny_symbolic` (answers that are
fractions, decimals or polynomials). Only the standard library is used.
"""

from __future__ import annotations

import random
from collections.abc import Container, Mapping
from dataclasses import dataclass
from functools import cached_property

from harness_tiny import stories, symbolic

Problem = tuple[str, str, str, str]  # kind, problem, solution, answer


@dataclass(frozen=True)
class Generator:
    """Families of problems that are always the same ones.

    Attributes:
        sizes: family -> split -> rows.
        steps: family of word problems -> fewest and most steps; another family is symbolic.
        seed: makes the rows another board's.
        numbers: how large the numbers of word problems are.
        wide: how many times as large as on the tiny board those of symbolic problems are.
    """

    sizes: Mapping[str, Mapping[str, int]]
    steps: Mapping[str, tuple[int, int]]
    seed: int
    numbers: stories.Numbers = stories.TINY
    wide: int = 1

    @property
    def families(self) -> tuple[str, ...]:
        """The names of all families."""
        return tuple(self.sizes)

    def rows(self, family: str, split: str) -> list[dict[str, str]]:
        """The rows of one split, always the same ones in the same order.

        Args:
            family: one of `families`.
            split: `train`, `holdout` or `test`; a family may have only `test`.

        Returns:
            Dictionaries with `id`, `problem`, `solution` (steps, without the box) and `answer`.
            No problem text is in two splits, or twice in one.

        Raises:
            ValueError: there is no such family or split.
        """
        if family not in self.sizes:
            raise ValueError(f"unknown family {family!r}; there are {', '.join(self.families)}")
        if split not in self.sizes[family]:
            known = ", ".join(self.sizes[family])
            raise ValueError(f"{family} has no split {split!r}; it has {known}")
        return [
            {"id": f"{family}-{split}-{number:04d}", "problem": p, "solution": s, "answer": a}
            for number, (_, p, s, a) in enumerate(self._splits(family, split)[split])
        ]

    def draw(self, family: str, rng: random.Random, exclude: Container[str] = ()) -> Problem:
        """Draw one fresh row as (kind, problem, solution, answer), its problem not in `exclude`."""
        while True:
            if family in self.steps:
                row = stories.story(rng, *self.steps[family], self.numbers)
            else:
                row = symbolic.question(rng, self.wide)
            if row[1] not in exclude:
                return row

    def reserved(self) -> set[str]:
        """The problem texts of every hold-out and test split: nothing may be trained on these."""
        return {
            row[1]
            for family, sizes in self.sizes.items()
            for split in sizes
            if split != "train"
            for row in self._splits(family, split)[split]
        }

    @cached_property
    def _made(self) -> dict[str, dict[str, list[Problem]]]:
        return {}

    def _splits(self, family: str, wanted: str) -> dict[str, list[Problem]]:
        """The splits of a family up to the one that is wanted, all from one stream.

        The test rows come first, so they never move, and are there at once.
        """
        if wanted not in self._made.get(family, {}):
            rng = random.Random(f"{family}:{self.seed}")
            seen: set[str] = set()
            splits: dict[str, list[Problem]] = {}
            for split, size in self.sizes[family].items():
                splits[split] = []
                for _ in range(size):
                    splits[split].append(self.draw(family, rng, seen))
                    seen.add(splits[split][-1][1])
                if split == wanted:
                    break
            self._made[family] = splits
        return self._made[family]


SIZES: dict[str, dict[str, int]] = {
    "tiny_word": {"test": 300, "holdout": 200, "train": 2000},
    "tiny_long": {"test": 150},
    "tiny_symbolic": {"test": 200, "holdout": 100, "train": 1000},
}
FAMILIES = tuple(SIZES)
STEPS = {"tiny_word": (2, 3), "tiny_long": (4, 5)}
SEED = 20261121
TINY = Generator(SIZES, STEPS, SEED)

rows, draw, reserved = TINY.rows, TINY.draw, TINY.reserved
