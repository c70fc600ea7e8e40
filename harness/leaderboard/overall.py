"""One row over all of a board's tasks: the mean, its gain, and how often it is the better one.

The scores of a task under several protocols are averaged first, then the tasks, each weighing the
same. The tasks are taken as they are, not as a sample of others. How often a row is above another
is the probability of improvement of Agarwal et al. 2021 (arXiv 2108.13264): of a seed of one, a
seed of the other and a task, all drawn at random, ties counting half.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from harness.leaderboard.comparison import Sample, compare, mean_of_tasks
from harness.leaderboard.data import Overall

if TYPE_CHECKING:
    from harness.leaderboard.cells import Entry, Key


def _by_task(entry: Entry) -> list[Sample]:
    """Return a row's accuracy on each task, the mean over its protocols."""
    keys: dict[str, list[Key]] = defaultdict(list)
    for key in entry.questions.benchmarks:
        keys[key[0]].append(key)
    found = []
    for same in keys.values():
        samples = [entry.sample([key]) for key in same]
        parts = [one.influence[0] for one in samples]
        if len({part.shape for part in parts}) == 1:  # the same questions, asked again
            values = np.mean([one.values for one in samples], axis=0)
            found.append(Sample(values, (np.mean(parts, axis=0),)))
        else:
            found.append(mean_of_tasks(samples))
    return found


def _above(first: Sequence[Sample], second: Sequence[Sample]) -> float:
    """Return how often a seed of the first is above a seed of the second, over tasks."""
    shares = []
    for mine, theirs in zip(first, second, strict=True):
        apart = np.round(mine.values[:, None] - theirs.values[None, :], 12)
        shares.append(float(((apart > 0) + (apart == 0) / 2).mean()))
    return float(np.mean(shares))


def overall(entries: Sequence[Entry], start: Entry | None) -> dict[str, Overall]:
    """Return the ranked rows (and only these) that have every score, over all tasks."""
    if start is None or not start.complete:
        return {}
    tasks = {one.trainer: _by_task(one) for one in entries if one.ranked and one.complete}
    base = _by_task(start)
    if len(base) < 2:
        return {}
    found = {}
    for name, mine in tasks.items():
        total = mean_of_tasks(mine)
        gain = compare(mean_of_tasks(base), total, first_trained=False, claim=start.questions.claim)
        others = [_above(mine, theirs) for other, theirs in tasks.items() if other != name]
        found[name] = Overall(
            accuracy=total.mean,
            gain=gain.difference,
            low=gain.low,
            high=gain.high,
            above_start=_above(mine, base),
            above_others=float(np.mean(others)) if others else None,
        )
    return found
