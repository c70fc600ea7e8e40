"""The two parts of a gain, format and correctness, with what moves them.

Accuracy is r q: the share r of answers that can be read at all (verdict correct or wrong) times the
share q of those that is right. The gain is the change of r at the mean q, and the change of q at
the mean r (Shapley's symmetric split, so no order of the two is preferred):

    r1 q1 - r0 q0 = (r1 - r0) (q0 + q1) / 2  +  (q1 - q0) (r0 + r1) / 2

Where one side has no readable answer its q is unknown and taken to be the other's: the whole gain
is then format. The interval of a part is that of any difference; what a question adds to a part is
its first-order effect (the delta method).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from harness.leaderboard.comparison import PairedDifference, Sample, difference_of, mean_of_tasks

if TYPE_CHECKING:
    from harness.leaderboard.comparison import Claim, Questions


class Readable(NamedTuple):
    """One row's answers on one task: shares of each question's answers, shape (seeds, n)."""

    right: np.ndarray
    readable: np.ndarray


class _Shares(NamedTuple):
    """The readable share r of each seed and the share q right of it, with what moves them."""

    r: np.ndarray  # shape (seeds,)
    q: np.ndarray  # shape (seeds,)
    of_r: np.ndarray  # shape (seeds, groups)
    of_q: np.ndarray  # shape (seeds, groups)
    known: np.ndarray  # whether a seed has a readable answer, shape (seeds,)


def _shares(one: Readable, questions: Questions) -> _Shares:
    r, right = one.readable.mean(axis=1), one.right.mean(axis=1)
    known = r > 0
    safe = np.where(known, r, 1.0)
    q = np.where(known, right / safe, 0.0)
    n = one.right.shape[1]
    of_r = questions.sums(one.readable - r[:, None]) / n
    of_q = questions.sums(one.right - q[:, None] * one.readable) / n / safe[:, None]
    return _Shares(r, q, of_r, of_q, known)


class _Table(NamedTuple):
    """A part of a gain for every pair of seeds, with what each group of questions adds."""

    values: np.ndarray  # shape (seeds of the first, seeds of the second)
    influence: np.ndarray  # shape (seeds of the first, seeds of the second, groups)

    def samples(self, *, paired: bool) -> tuple[Sample, Sample, Sample]:
        """Return the part averaged over seeds, and by the seeds of the first and of the second."""
        if paired:
            values = np.diagonal(self.values)
            influence = np.diagonal(self.influence).T
            one = Sample(values, (influence,))
            return one.averaged, one, one
        first = Sample(self.values.mean(axis=1), (self.influence.mean(axis=1),))
        second = Sample(self.values.mean(axis=0), (self.influence.mean(axis=0),))
        return second.averaged, first, second


def split(before: Readable, after: Readable, questions: Questions) -> tuple[_Table, _Table]:
    """Return the format and the correctness part of a gain on one task, for every pair of seeds."""
    first, second = _shares(before, questions), _shares(after, questions)
    both = first.known[:, None] & second.known[None, :]

    def table(array: np.ndarray, axis: int) -> np.ndarray:
        return np.expand_dims(array, axis)

    r0, r1 = table(first.r, 1), table(second.r, 0)
    q0 = np.where(table(first.known, 1), table(first.q, 1), table(second.q, 0))
    q1 = np.where(table(second.known, 0), table(second.q, 0), table(first.q, 1))
    d_r0, d_r1 = table(first.of_r, 1), table(second.of_r, 0)
    d_q0, d_q1 = table(first.of_q, 1), table(second.of_q, 0)
    d_q0, d_q1 = (
        np.where(table(first.known, 1)[..., None], d_q0, d_q1),
        np.where(table(second.known, 0)[..., None], d_q1, d_q0),
    )
    change, mean = (r1 - r0)[..., None], (r0 + r1)[..., None] / 2
    form = _Table(
        (r1 - r0) * (q0 + q1) / 2,
        (d_r1 - d_r0) * (q0 + q1)[..., None] / 2 + change * (d_q0 + d_q1) / 2,
    )
    correctness = _Table(
        np.where(both, (q1 - q0) * (r0 + r1) / 2, 0.0),
        np.where(
            both[..., None], (d_q1 - d_q0) * mean + (q1 - q0)[..., None] * (d_r0 + d_r1) / 2, 0
        ),
    )
    return form, correctness


def parts_of_gain(
    tasks: Sequence[tuple[Readable, Readable, Questions]],
    claim: Claim,
    *,
    first_trained: bool,
    second_trained: bool = True,
    paired: bool = False,
) -> tuple[PairedDifference, PairedDifference]:
    """Return the format and the correctness part, the mean over tasks, with their intervals.

    Args:
        tasks: For each task the answers before and after, and its questions.
        claim: On trainers the seeds are left to chance too.
        first_trained: Whether the first row has training seeds to vary.
        second_trained: The same of the second.
        paired: Whether the seeds of the two rows are pairs.
    """
    found = [split(*task) for task in tasks]
    results = []
    for tables in zip(*found, strict=True):
        each = zip(*(one.samples(paired=paired) for one in tables), strict=True)
        total, first, second = (mean_of_tasks(list(samples)) for samples in each)
        if claim == "checkpoints":
            sides = []
        elif paired:
            sides = [second]
        else:
            sides = [one for one, on in ((first, first_trained), (second, second_trained)) if on]
        results.append(difference_of(total, sides, claim, paired=paired))
    return results[0], results[1]
