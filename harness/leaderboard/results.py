"""Results of one row on tasks: accuracies, differences to another row, splits, with intervals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from harness.leaderboard.bootstrap import PairedDifference, compare, compare_checkpoints
from harness.leaderboard.cells import Entry, Key
from harness.leaderboard.data import Accuracy, Gain, TaskResult
from harness.leaderboard.stats import accuracy_interval, pass_at_k, split_gain, t_quantile
from harness.records import LETTERS, Score

if TYPE_CHECKING:
    from harness.boards.conditions import Benchmark


def compare_entries(
    first: Entry, second: Entry, keys: Sequence[Key], without: tuple[int, ...] = ()
) -> PairedDifference:
    """Compare two entries on the mean of some tasks, by the test that their seeds allow.

    Of a single task, questions may be left out: `without` has their places.
    """
    alone = len(keys) == 1 and first.questions.single(keys[0])
    if alone and len(first.done) == len(second.done) == 1:
        mine, theirs = (entry.correct(keys[0], without)[0, :, 0] for entry in (first, second))
        return compare_checkpoints(mine, theirs)
    return compare(
        first.sample(keys, without),
        second.sample(keys, without),
        first_trained=not first.start,
        second_trained=not second.start,
    )


def _split(
    first: Entry, second: Entry, keys: Sequence[Key], without: tuple[int, ...]
) -> tuple[float, float]:
    """Return the format and correctness parts, the mean over tasks, seeds and start records."""
    parts = [
        split_gain(_readable(before, without), _readable(after, without))
        for key in keys
        for before in first.scores[key]
        for after in second.scores[key]
    ]
    # Every pairing of seeds weighs the same, so the parts sum to the difference of the means.
    _, form, correctness = (sum(each) / len(parts) for each in zip(*parts, strict=True))
    return float(form), float(correctness)


def _readable(score: Score, without: tuple[int, ...]) -> tuple[int, int, int]:
    """Return the number of right, of readable and of all answers, some questions left out."""
    verdicts, left_out = score.verdicts, set(without)
    if left_out:
        k = score.samples
        verdicts = "".join(
            verdicts[k * place : k * place + k] for place in range(score.n) if place not in left_out
        )
    right = verdicts.count(LETTERS["correct"])
    return right, right + verdicts.count(LETTERS["wrong"]), len(verdicts)


def gain_between(
    first: Entry,
    second: Entry,
    keys: Sequence[Key],
    comparison: PairedDifference,
    p_adjusted: float | None = None,
    without: tuple[int, ...] = (),
) -> Gain:
    """Return the gain of the second entry over the first, with its two parts."""
    found = comparison._asdict()
    shown = {name: found[name] for name in ("difference", "low", "high", "p", "test", "claim")}
    form, correctness = _split(first, second, keys, without)
    return Gain(
        to=first.trainer, p_adjusted=p_adjusted, format=form, correctness=correctness, **shown
    )


def accuracy_of(entry: Entry, keys: Sequence[Key], without: tuple[int, ...] = ()) -> Accuracy:
    """Return the mean accuracy over tasks with its interval over questions.

    Of a single task, of which questions may be left out, it is Wilson's, clustered by question.
    """
    total = entry.sample(keys, without)
    if len(keys) == 1:
        group = entry.questions.of(keys[0], without).group
        low, high, _ = accuracy_interval(entry.correct(keys[0], without), groups=group)
    else:
        half = t_quantile(0.975, max(1, total.groups - 1)) * max(
            float(total.questions.std()), 1.0 / (total.n + 2)
        )
        low, high = max(0.0, total.accuracy - half), min(1.0, total.accuracy + half)
    return Accuracy(
        accuracy=total.accuracy,
        low=low,
        high=high,
        seed_sd=total.seed_sd,
        n=sum(entry.scores[key][0].n for key in keys) - len(without),
        seeds=total.seeds,
    )


def task_result(entry: Entry, benchmark: Benchmark, start: Entry | None) -> TaskResult | None:
    """Return a row's result on one task, or None where a seed was not scored on it."""
    key = (benchmark.task, benchmark.protocol)
    scores = entry.scores.get(key)
    if not scores:
        return None
    answers = sum(len(score.verdicts) for score in scores)
    hit = entry.overlaps(key, 13)
    without = hit if 0 < len(hit) < scores[0].n else ()

    def gain(left_out: tuple[int, ...]) -> Gain | None:
        if start is None or entry.start or key not in start.scores:
            return None
        found = compare_entries(start, entry, [key], left_out)
        return gain_between(start, entry, [key], found, without=left_out)

    return TaskResult(
        task=benchmark.task,
        protocol=benchmark.protocol,
        ranking=benchmark.ranking,
        accuracy=accuracy_of(entry, [key]),
        gain=gain(()),
        strict=sum(score.strict for score in scores) / answers,
        flexible=sum(score.flexible for score in scores) / answers,
        verdicts={name: sum(score.counts[name] for score in scores) / answers for name in LETTERS},
        limit_reached=sum(score.limit_reached for score in scores) / answers,
        unreadable=sum(score.unreadable for score in scores) / answers,
        copied=sum(score.copied for score in scores) / answers,
        mean_tokens=sum(score.completion_tokens for score in scores) / answers,
        samples=scores[0].samples,
        pass_at=_pass_at(entry.correct(key)),
        majority=_majority(scores),
        own=_own(scores),
        overlap_13=len(hit),
        overlap_8=len(entry.overlaps(key, 8)),
        clean=accuracy_of(entry, [key], without) if without else None,
        clean_gain=gain(without) if without else None,
    )


def _pass_at(correct: np.ndarray) -> dict[int, float]:
    """Return pass@k for the powers of two and all samples, the mean over questions and seeds."""
    samples = correct.shape[2]
    if samples == 1:
        return {}
    right = np.bincount(correct.sum(axis=2).ravel(), minlength=samples + 1)
    sizes = sorted({2**power for power in range(samples.bit_length())} | {samples})
    return {
        k: sum(int(n) * pass_at_k(samples, c, k) for c, n in enumerate(right)) / int(right.sum())
        for k in sizes
    }


def _majority(scores: Sequence[Score]) -> float | None:
    """Return maj@k, the mean over seeds, where every seed has it."""
    if not all(score.majority for score in scores):
        return None
    right = sum(score.majority.count(LETTERS["correct"]) for score in scores)
    return right / sum(score.n for score in scores)


def _own(scores: Sequence[Score]) -> dict[str, float]:
    """Return the metrics that every seed has, the mean over seeds."""
    names = [name for name in scores[0].own if all(name in score.own for score in scores)]
    return {name: sum(score.own[name] for score in scores) / len(scores) for name in sorted(names)}
