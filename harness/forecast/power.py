"""What a plan's seeds and questions would find, and what it would take to find less."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import pydantic

from harness.errors import HarnessError
from harness.leaderboard.build import build
from harness.leaderboard.comparison import TRAINER_SEEDS
from harness.leaderboard.data import Noise
from harness.leaderboard.planning import (
    ASSUMED,
    questions_needed,
    seeds_needed,
    smallest_difference,
)
from harness.leaderboard.stats import minimum_detectable
from harness.records import Record, read_records

if TYPE_CHECKING:
    from harness.bench.plan import Plan
    from harness.boards.board import Board
    from harness.boards.conditions import Conditions

WANTED = (0.01, 0.02, 0.04)
"""Differences that a plan is priced for."""
MORE_SEEDS = (5, 10, 20, 50)
"""Seeds that are tried where no number of questions is enough for those of the plan."""


class Need(pydantic.BaseModel, frozen=True):
    """What it takes to find a difference four times in five: more seeds, or more questions."""

    difference: float  # a share of 1
    seeds: int | None  # with the board's questions; None where no number of up to 50 does
    questions: int | None  # None where no number of up to 100,000 does
    with_seeds: int  # so many questions with so many seeds: the plan's, or more if these never do


class Power(pydantic.BaseModel, frozen=True):
    """What the verdicts of a plan's leaderboard would find."""

    seeds: int  # of each row
    comparisons: int  # that Holm's correction is over: all pairs of rows, or the one gain
    sides: int  # of a comparison that are trained
    noise: Noise
    source: Literal["earlier records", "assumed"]
    needs: tuple[Need, ...]  # empty where too few seeds are planned for a claim on trainers

    def finds(self, questions: int) -> float:
        """Return the smallest difference found four times in five, a share of 1."""
        if self.seeds < TRAINER_SEEDS:
            return minimum_detectable(questions, comparisons=self.comparisons)
        return smallest_difference(self.noise, questions, self.seeds, self.comparisons, self.sides)

    def finds_best(self, sizes: Sequence[int]) -> list[float]:
        """Return the smallest differences found with at most so many questions.

        With few seeds fewer than there are may find more: the more questions, the more the seeds
        alone decide how wide an interval is, and few say little of how far apart they lie.
        """
        return list(accumulate(map(self.finds, sizes), min))


def power(plan: Plan, measured: Noise | None, questions: int) -> Power:
    """Return what a plan finds on so many questions; see `power_of`."""
    rows: dict[str, set[int | None]] = {}
    for cell in plan.cells:
        if cell.train and cell.share == 1:
            rows.setdefault(cell.trainer, set()).add(cell.seed)
    seeds = min((len(found) for found in rows.values()), default=0)
    return power_of(measured, len(rows), seeds, questions)


def power_of(
    measured: Noise | None,
    rows: int,
    seeds: int,
    questions: int,
    wanted: Sequence[float] = WANTED,
) -> Power:
    """Return what so many rows with so many seeds find on so many questions.

    Args:
        measured: What moves the difference of two rows; None where nobody knows yet.
        rows: That are ranked.
        seeds: Of each.
        questions: Of the ranking score.
        wanted: Differences, shares of 1, for which the seeds and questions are looked for.
    """
    pairs = math.comb(rows, 2)
    noise, comparisons = measured or ASSUMED, max(1, pairs)
    needs: list[Need] = []
    for difference in sorted(wanted) if seeds >= TRAINER_SEEDS and pairs else ():
        most = needs[-1].questions if needs else None
        for count in (seeds, *(more for more in MORE_SEEDS if more > seeds)):
            needed = questions_needed(noise, count, comparisons, difference)
            # A larger difference is not said to need more problems, by fewer seeds, than a smaller.
            if needed is not None and (most is None or needed <= most):
                break
        needs.append(
            Need(
                difference=difference,
                seeds=seeds_needed(noise, questions, comparisons, difference),
                questions=needed,
                with_seeds=count,
            )
        )
    return Power(
        seeds=seeds,
        comparisons=comparisons,
        sides=2 if pairs else 1,
        noise=noise,
        source="earlier records" if measured else "assumed",
        needs=tuple(needs),
    )


def measured_noise(
    conditions: Callable[[], Conditions], digest: str, records: Sequence[Record]
) -> Noise | None:
    """Return what moved the rows of a board's records, if they have seeds enough; else None."""
    mine = [one for one in records if one.board.digest == digest and one.share == 1]
    if not mine:
        return None
    try:
        found = build(mine, conditions()).detectable
    except HarnessError:  # records that make no leaderboard are the bench's to report
        return None
    return found.noise if found else None


def first_measured(board: Board, places: Iterable[Path]) -> tuple[Noise | None, Path | None]:
    """Return what moved the rows of a board's records, and the first folder that tells it."""
    for place in places:
        noise = measured_noise(board.conditions, board.digest, read_records(place))
        if noise:
            return noise, place
    return None, None
