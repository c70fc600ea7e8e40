"""What compute does: controls of chains, and curves of trainers over the budget.

A chain's last stage is judged by what the same compute does without it: by the row of the chain
that lacks it, or by that of its first stage alone, trained until it spent what the chain spent. A
row that spent less is no control, and where there is none nothing is claimed.

A point of a curve is no checkpoint on the way, whose learning rate has not come down yet: it is a
run of its own with a share of the budget, its schedule laid over that.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.leaderboard.data import Control, CurvePoint, Lead
from harness.leaderboard.multiple_testing import SIGNIFICANCE, holm
from harness.leaderboard.results import accuracy_of, compare_entries, gain_between
from harness.leaderboard.stats import accuracy_interval
from harness.plugin.options import LENGTH
from harness.records import Cost, at_share, total_cost
from harness.tuning import RIGHT, ExpectedBest, TunedRow

if TYPE_CHECKING:
    from harness.boards.conditions import Conditions
    from harness.leaderboard.cells import Entry
    from harness.leaderboard.data import Gain
    from harness.records import Record

MATCHED = 0.9
"""The share of what a chain spent that another row must have spent to be its control."""


def budget_used(entry: Entry, conditions: Conditions) -> float | None:
    """Return the share of the tightest cap that a seed spent in the mean; None without a cap."""
    cells = [cell for cell in entry.done if cell.stages]
    if not cells or not conditions.caps:
        return None
    shares = (
        sum(float(getattr(cell.cost, name)) for cell in cells) / len(entry.done) / cap
        for name, cap in conditions.caps.set_caps().items()
    )
    return max(shares)


def _recipe(entry: Entry) -> list[tuple[str, dict[str, Any]]]:
    """Return the trainers of a row's stages with their options, but for how long they train.

    A recipe that ended before its budget did is the same one: a control is the recipe continued.
    Nor do options count that tuning chose: each row is compared as its own trials left it.
    """
    stages = entry.done[0].stages if entry.done else ()
    tuning = entry.done[0].tuning if entry.done else None
    return [
        (
            one.trainer,
            {
                name: "tuned" if tuning and name in tuning.setting.get(one.trainer, {}) else set_to
                for name, set_to in one.options.items()
                if name not in LENGTH
            },
        )
        for one in stages
    ]


def controls_of(
    chain: Entry, entries: Iterable[Entry], conditions: Conditions
) -> tuple[Control, ...] | None:
    """Return the rows that are a chain without its last stages, the best control first.

    Those that spent as much come first, then those with more of its stages. None for a row that is
    no chain, or is compared with none.
    """
    recipe, spent = _recipe(chain), budget_used(chain, conditions)
    if len(recipe) < 2 or not chain.compared:
        return None
    found = []
    for entry in entries:
        own, theirs = _recipe(entry), budget_used(entry, conditions)
        shorter = 0 < len(own) < len(recipe) and own == recipe[: len(own)]
        if shorter and spent and theirs is not None and entry.compared:
            matched = theirs >= MATCHED * spent
            one = Control(trainer=entry.trainer, budget_used=theirs, matched=matched)
            found.append((not matched, -len(own), -theirs, entry.trainer, one))
    return tuple(one for *_, one in sorted(found, key=lambda each: each[:4]))


def gain_over_control(
    chain: Entry, entries: dict[str, Entry], controls: tuple[Control, ...] | None
) -> Gain | None:
    """Return a chain's gain over its control; seed by seed if it went on from its checkpoints."""
    if not controls or not controls[0].matched:
        return None
    control, keys = entries[controls[0].trainer], chain.questions.ranking
    paired = control.shares_stages(chain)
    comparison = compare_entries(control, chain, keys, paired=paired)
    return gain_between(control, chain, keys, comparison, paired=paired)


def mean_cost(cells: Sequence[Record]) -> Cost | None:
    """Return the mean cost of a seed; the peak of memory is the highest."""
    if not any(cell.stages for cell in cells):
        return None
    total = dict(total_cost(cell.cost for cell in cells))
    for name, value in total.items():
        if any(getattr(cell.cost, name) is None for cell in cells):
            total[name] = None  # where it is not known of a seed
        elif name != "peak_memory_bytes" and value is not None:
            mean = value / len(cells)
            total[name] = mean if isinstance(value, float) else round(mean)
    return Cost(**total)


def tuned_row(entry: Entry) -> TunedRow | None:
    """Return how a row's options were chosen, with accuracies on the held-out problems."""
    tuning = next((cell.tuning for cell in entry.done if cell.tuning), None)
    if tuning is None:
        return None
    answers = tuning.problems * tuning.samples
    rates = [max(0, one.correct) / answers for one in tuning.trials]
    interval: tuple[float | None, float | None] = None, None
    if tuning.trials and tuning.trials[tuning.chosen].verdicts:
        letters = list(tuning.trials[tuning.chosen].verdicts)
        right = np.array([one == RIGHT for one in letters], dtype=int)
        interval = accuracy_interval(right.reshape(tuning.problems, tuning.samples))[:2]
    return TunedRow(
        trials=len(tuning.trials),
        problems=tuning.problems,
        space=tuning.space,
        setting=tuning.setting,
        chosen=tuning.chosen,
        default=rates[0] if rates and tuning.trials[0].error is None else None,
        accuracy=rates[tuning.chosen] if interval[0] is not None else None,
        low=interval[0],
        high=interval[1],
        expected=expected_best(rates),
        failed={n: one.error for n, one in enumerate(tuning.trials) if one.error is not None},
        cost=tuning.cost,
    )


def expected_best(rates: Sequence[float]) -> tuple[ExpectedBest, ...]:
    """Return what the best of 1, 2, ... settings comes to (Dodge et al. 2019, arXiv 1909.03004).

    The settings are drawn, with replacement, from those that were tried, whose accuracies are
    given: so the best of n is at most the i-th lowest one with probability (i / k) to the n. That
    is its whole distribution, so mean and interval are exact and nothing is drawn.
    """
    ordered, k = sorted(rates), len(rates)
    found = []
    for n in range(1, k + 1):
        mean = sum(rate * (i**n - (i - 1) ** n) / k**n for i, rate in enumerate(ordered, start=1))
        low, high = (
            next(rate for i, rate in enumerate(ordered, start=1) if 40 * i**n >= part * k**n)
            for part in (1, 39)  # of 40: 2.5 and 97.5 %
        )
        found.append(ExpectedBest(trials=n, accuracy=mean, low=low, high=high))
    return tuple(found)


def curve_of(entry: Entry, points: Mapping[str, Entry]) -> dict[float, Entry]:
    """Return what a row came to with each share of the budget, itself last; {} without a curve.

    A point counts like a row: where trainers are compared, with all of the board's seeds.
    """
    shares = entry.questions.conditions.curve
    found = {one: points.get(at_share(entry.trainer, one)) for one in shares}
    kept = {share: one for share, one in found.items() if one is not None and one.compared}
    return {**kept, 1.0: entry} if kept and entry.compared else {}


def points_of(curve: Mapping[float, Entry], conditions: Conditions) -> tuple[CurvePoint, ...]:
    """Return a curve as a page holds it."""
    found = []
    for share, entry in curve.items():
        cost, used = mean_cost(entry.done), budget_used(entry, conditions)
        if cost is not None and used is not None:
            accuracy = accuracy_of(entry, entry.questions.ranking)
            found.append(CurvePoint(share=share, accuracy=accuracy, budget_used=used, cost=cost))
    return tuple(found)


def leads_of(
    curves: Mapping[str, Mapping[float, Entry]], level: float = SIGNIFICANCE
) -> tuple[Lead, ...]:
    """Return who is first with each share, and who was told apart from it.

    That the first was chosen for its accuracy makes differences to it look larger than they are;
    Holm's correction is over all of them.
    """
    found: list[tuple[float, str, str, float]] = []
    firsts: dict[float, str] = {}
    for share in sorted({share for curve in curves.values() for share in curve}):
        there = {name: curve[share] for name, curve in curves.items() if share in curve}
        if len(there) < 2:
            continue
        accuracies = {name: round(one.total.mean, 12) for name, one in there.items() if one.total}
        first = firsts[share] = max(sorted(accuracies), key=lambda name: accuracies[name])
        for name, one in there.items():
            if name != first:
                keys = one.questions.ranking
                found.append((share, first, name, compare_entries(there[first], one, keys).p))
    adjusted = holm([p for *_, p in found], level)
    apart = [
        (share, name)
        for (share, _, name, _), p in zip(found, adjusted, strict=True)
        if p < SIGNIFICANCE
    ]
    return tuple(
        Lead(share=share, first=first, apart=tuple(name for at, name in apart if at == share))
        for share, first in firsts.items()
    )


def all_reach(curves: Sequence[Sequence[CurvePoint]]) -> float | None:
    """Return the accuracy that every curve reaches: the lowest of their highest."""
    return min((max(one.accuracy.accuracy for one in curve) for curve in curves), default=None)


def flops_to_reach(curve: Sequence[CurvePoint], accuracy: float) -> float | None:
    """Return the FLOPs at which a curve is first at an accuracy, or None.

    Between two points it is taken to rise in a straight line over the logarithm of FLOPs. None too
    where the first point is there already, since it is not known since when.
    """
    for before, after in pairwise(curve):
        low, high = before.accuracy.accuracy, after.accuracy.accuracy
        if low >= accuracy:
            return None
        if high >= accuracy and before.cost.flops > 0:
            part = (accuracy - low) / (high - low)
            return float(before.cost.flops * (after.cost.flops / before.cost.flops) ** part)
    return None
