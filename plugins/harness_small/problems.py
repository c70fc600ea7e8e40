"""The rows of the `small` tasks, and endless fresh ones for making its models.

They come from the tiny board's generators: longer stories, larger numbers, more denominators.
"""

from __future__ import annotations

import math
import multiprocessing
import random
from collections import deque
from collections.abc import Iterator
from functools import cache

from harness_tiny import habits
from harness_tiny.problems import Generator
from harness_tiny.stories import Numbers

SMALL = Generator(
    sizes={
        "small_word": {"test": 1000, "holdout": 300, "train": 6000},
        "small_long": {"test": 500},
        "small_symbolic": {"test": 700, "holdout": 200, "train": 3000},
    },
    steps={"small_word": (3, 6), "small_long": (7, 8)},
    seed=20261121,
    numbers=Numbers(
        largest=5000, few=(2, 12), some=(5, 99), many=(20, 999), notes=(50, 100, 200, 500, 1000)
    ),
    wide=3,
)
SHARES = {"small_word": 0.45, "small_long": 0.25, "small_symbolic": 0.30}
CHUNK = 4096  # rows drawn at once by one process

Pair = tuple[str, str]  # problem and completion


def fresh(purpose: str, rows: int, workers: int) -> Iterator[list[Pair]]:
    """Yield at least `rows` fresh (problem, completion) pairs, in lists, always the same ones.

    Args:
        purpose: `teacher` for full solutions, `start` for the mixture of habits.
        rows: how many are needed.
        workers: processes that draw; each list has a seed of its own, so their number changes
            nothing.
    """
    size = min(CHUNK, rows)
    tasks = [(purpose, number, size) for number in range(math.ceil(rows / size))]
    if workers <= 1 or len(tasks) <= 1:
        yield from map(_chunk, tasks)
        return
    with multiprocessing.get_context("spawn").Pool(workers) as pool:
        waiting = deque(pool.apply_async(_chunk, (task,)) for task in tasks[: 2 * workers])
        for task in [*tasks[2 * workers :], *[None] * len(waiting)]:
            yield waiting.popleft().get()
            if task is not None:
                waiting.append(pool.apply_async(_chunk, (task,)))


def _chunk(task: tuple[str, int, int]) -> list[Pair]:
    purpose, number, size = task
    rng = random.Random(f"small:{purpose}:{SMALL.seed}:{number}")
    pairs = []
    for family in rng.choices(tuple(SHARES), tuple(SHARES.values()), k=size):
        kind, problem, solution, answer = SMALL.draw(family, rng, _reserved())
        if purpose == "teacher":
            pairs.append((problem, f"{solution} \\boxed{{{answer}}}"))
        else:
            pairs.append((problem, habits.completion(kind, solution, answer, rng)))
    return pairs


@cache
def _reserved() -> set[str]:
    return SMALL.reserved()
