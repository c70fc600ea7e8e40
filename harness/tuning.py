"""Tuning: what a board says of it, what became of it, and what a row shows of that."""

from __future__ import annotations

from typing import Any

import pydantic

from harness.costs import Cost, Frozen, total_cost
from harness.files import json_sha256

Setting = dict[str, dict[str, Any]]
"""Values of options: trainer -> option -> value."""
RIGHT = "C"  # the letter of a right answer (`harness.records.LETTERS`)


class TuningRules(Frozen, allow_inf_nan=False):
    """How the options of every row are chosen, the same for all of them."""

    trials: int = pydantic.Field(ge=2, le=1000)  # settings that are tried, the defaults included
    share: float = pydantic.Field(default=0.25, gt=0, le=1)  # of the budget, for each of them
    holdout: int = pydantic.Field(default=200, ge=2)  # training problems that trials are scored on


class Trial(Frozen):
    """One setting: trained with a share of the budget, scored on held-out training problems."""

    options: Setting  # the values of all options that are searched
    record: str  # id of its record in the folder of the runs
    verdicts: str = ""  # a letter an answer, as in a record's scores; none where it failed
    error: str | None = None  # why it failed, in one line
    cost: Cost = Cost()

    @property
    def correct(self) -> int:
        """Return how many answers are right; -1 where it failed, which is worse than none."""
        return self.verdicts.count(RIGHT) if self.verdicts else -1


class Tuning(Frozen):
    """How the options of a row were chosen."""

    rules: TuningRules
    seed: int  # of every trial
    held_out: str  # sha256 of the problems that no trial was trained on, and all were scored on
    problems: int  # how many they are
    samples: int  # answers to each
    # what was searched: trainer -> option -> its space in words; {} where no trainer has a space
    space: dict[str, dict[str, str]]
    trials: tuple[Trial, ...] = ()  # the first one is of what holds without tuning
    chosen: int = 0  # the best trial, the first of several

    @pydantic.model_validator(mode="after")
    def _the_best_was_chosen(self) -> Tuning:
        wanted = self.rules.trials if self.space else 0
        if len(self.trials) != wanted:
            raise ValueError(f"tuning: {len(self.trials)} trials, and the rules say {wanted}")
        answers = self.problems * self.samples
        names = {trainer: set(options) for trainer, options in self.space.items()}
        for number, one in enumerate(self.trials):
            if {trainer: set(options) for trainer, options in one.options.items()} != names:
                raise ValueError(f"tuning: trial {number} sets other options than the space has")
            if one.error is None and (len(one.verdicts) != answers or not answers):
                raise ValueError(f"tuning: trial {number} has other than {answers} answers")
            if one.error is not None and one.verdicts:
                raise ValueError(f"tuning: trial {number} failed and has answers")
        if self.chosen != best(self.trials):
            raise ValueError(f"tuning: trial {self.chosen} was chosen and is not the first best")
        return self

    @property
    def setting(self) -> Setting:
        """Return the options that were chosen."""
        return self.trials[self.chosen].options if self.trials else {}

    @property
    def cost(self) -> Cost:
        """Return what all trials cost together."""
        return total_cost(one.cost for one in self.trials)

    @property
    def identity(self) -> str:
        """Return what tells rows apart that were tuned in different ways."""
        rules = self.rules.model_dump(mode="json")
        return json_sha256([rules, self.chosen, *(one.record for one in self.trials)])


def named_trials(trials: int) -> str:
    """Return how the name of a row says that another number of trials was made than the board's."""
    return f"trials={trials}"


def best(trials: tuple[Trial, ...]) -> int:
    """Return the place of the best of trials, the first of several; 0 where there are none."""
    return max(range(len(trials)), key=lambda number: (trials[number].correct, -number), default=0)


class ExpectedBest(Frozen):
    """The best of so many settings that are drawn from those that were tried."""

    trials: int
    accuracy: float  # its mean
    low: float  # in 95 % of draws it lies between these two
    high: float


class TunedRow(Frozen):
    """What a leaderboard shows of how the options of a row were chosen."""

    trials: int  # 0 where none of its trainers has a search space
    problems: int  # held-out training problems
    space: dict[str, dict[str, str]]
    setting: Setting
    chosen: int
    # accuracies on the held-out problems, with Wilson's interval over them
    default: float | None  # of the first trial; None where it failed
    accuracy: float | None  # of the one that was chosen; None where all failed
    low: float | None
    high: float | None
    expected: tuple[ExpectedBest, ...]  # of 1, 2, ... trials
    failed: dict[int, str]  # trials that failed, each with the reason
    cost: Cost  # of all trials together
