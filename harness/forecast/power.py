"""What a plan's seeds and questions would find, and what it would take to find less."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import pydantic

from harness.errors import HarnessError
from harness.leaderboard.build import build
from harness.leaderboard.comparison import TRAINER_SEEDS, Claim
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
    """What the verdicts of a leaderboard would find, of a plan and what its folder has already."""

    seeds: int  # of each row
    rows: int  # that are compared: with each other, or without a ranking with the start model
    claim: Claim  # on trainers if rows with three seeds or more are ranked, else on checkpoints
    earlier: tuple[str, ...]  # of these the rows that the folder has and the plan does not
    unranked: tuple[str, ...]  # of the plan, for want of the board's seeds
    comparisons: int  # that Holm's correction is over: all pairs of rows, or all gains
    sides: int  # of a comparison that are trained
    noise: Noise
    source: Literal["earlier records", "assumed"]
    needs: tuple[Need, ...]  # empty where no two trainers are compared

    def finds(self, questions: int) -> float:
        """Return the smallest difference found four times in five, a share of 1."""
        if self.claim == "checkpoints":
            return minimum_detectable(questions, comparisons=self.comparisons)
        return smallest_difference(self.noise, questions, self.seeds, self.comparisons, self.sides)

    def finds_best(self, sizes: Sequence[int]) -> list[float]:
        """Return the smallest differences found with at most so many questions.

        With few seeds fewer than there are may find more: the more questions, the more the seeds
        alone decide how wide an interval is, and few say little of how far apart they lie.
        """
        return list(accumulate(map(self.finds, sizes), min))


def power(
    plan: Plan, measured: Noise | None, questions: int, records: Sequence[Record] = ()
) -> Power:
    """Return what the leaderboard finds on so many questions when a plan is done; see `power_of`.

    It has the rows of the plan and those of the records that the plan's folder has already. Only
    rows with all of the board's seeds are ranked; without any, each is compared with the start
    model alone, as a checkpoint.
    """
    planned: dict[str, set[int | None]] = {}
    for cell in plan.cells:
        if cell.train and cell.share == 1:
            planned.setdefault(cell.trainer, set()).add(cell.seed)
    rows = {name: set(found) for name, found in planned.items()}
    for one in records:
        counts = one.status == "ok" and one.scores and one.board.digest == plan.board.digest
        if counts and one.stages and one.share == 1:
            rows.setdefault(one.trainer, set()).add(one.seed)
    wanted = _seeds_of_page(plan.board, rows)
    rows = {name: found & wanted for name, found in rows.items()}
    ranked = [name for name, found in rows.items() if found == wanted]
    least = min((len(found) for found in rows.values()), default=0)
    found = power_of(
        measured,
        len(ranked or rows),
        len(wanted) if ranked else least,
        questions,
        ranked=bool(ranked),
    )
    shown = ranked or list(rows)
    return found.model_copy(
        update={
            "earlier": tuple(sorted(name for name in shown if name not in planned)),
            "unranked": tuple(sorted(name for name in planned if name not in ranked)),
        }
    )


def _seeds_of_page(board: Board, rows: Mapping[str, Set[int | None]]) -> set[int | None]:
    """Return the seeds that a ranked row has: the board's, or those of the last look at it."""
    seeds = board.file.seeds
    if board.file.until_decided is None:
        return set(seeds)
    looks = board.file.until_decided.looks
    whole = [look for look in looks for found in rows.values() if found >= {*seeds[:look]}]
    return set(seeds[: max(whole, default=looks[0])])


def power_of(
    measured: Noise | None,
    rows: int,
    seeds: int,
    questions: int,
    wanted: Sequence[float] = WANTED,
    *,
    ranked: bool = True,
) -> Power:
    """Return what so many rows with so many seeds find on so many questions.

    Args:
        measured: What moves the difference of two rows; None where nobody knows yet.
        rows: That are ranked, or else compared with the start model.
        seeds: Of each.
        questions: Of the ranking score.
        wanted: Differences, shares of 1, for which the seeds and questions are looked for.
        ranked: Whether rows are compared with each other, or only with the start model.
    """
    pairs = math.comb(rows, 2) if ranked else 0
    noise, comparisons = measured or ASSUMED, max(1, pairs if ranked else rows)
    needs: list[Need] = []
    claim: Claim = "trainers" if ranked and seeds >= TRAINER_SEEDS else "checkpoints"
    for difference in sorted(wanted) if claim == "trainers" and pairs else ():
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
        rows=rows,
        claim=claim,
        earlier=(),
        unranked=(),
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
