"""Results of one row on tasks: accuracies, differences to another row, splits, with intervals."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from harness.leaderboard.cells import Entry, Key, verdict_letters
from harness.leaderboard.comparison import (
    PairedDifference,
    compare,
    compare_checkpoints,
    components,
    difference_of,
    half_apart,
)
from harness.leaderboard.data import LEAST_SHARED, Accuracy, Gain, Share, SharedGain, TaskResult
from harness.leaderboard.gain_parts import Readable, parts_of_gain
from harness.leaderboard.stats import (
    accuracy_interval,
    clustered_wilson,
    pass_at_k,
    t_beyond,
    wilson,
)
from harness.probes import Probed
from harness.records import LETTERS, Score

if TYPE_CHECKING:
    from harness.boards.conditions import Benchmark


def compare_entries(
    first: Entry,
    second: Entry,
    keys: Sequence[Key],
    without: tuple[int, ...] = (),
    *,
    paired: bool = False,
) -> PairedDifference:
    """Compare two entries on the mean of some tasks, by the test that the page's claim asks for.

    Of a single task, questions may be left out: `without` has their places. The seeds are `paired`
    where the second went on from the first's checkpoints.
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
        paired=paired,
        claim=first.questions.claim,
    )


def _readable(entry: Entry, key: Key, without: Sequence[int]) -> Readable:
    """Return the shares of right and of readable answers to each question, seed by seed."""
    letters = np.stack([verdict_letters(score) for score in entry.scores[key]])
    letters = np.delete(letters, without, axis=1) if without else letters
    right, wrong = ((letters == ord(LETTERS[name])).mean(axis=2) for name in ("correct", "wrong"))
    return Readable(right, right + wrong)


def gain_between(
    first: Entry,
    second: Entry,
    keys: Sequence[Key],
    comparison: PairedDifference,
    p_adjusted: float | None = None,
    without: tuple[int, ...] = (),
    *,
    paired: bool = False,
) -> Gain:
    """Return the gain of the second entry over the first, with its two parts."""
    form, correctness = parts_of_gain(
        [
            (
                _readable(first, key, without),
                _readable(second, key, without),
                first.questions.of(key, without),
            )
            for key in keys
        ],
        comparison.claim,
        first_trained=not first.start,
        second_trained=not second.start,
        paired=paired,
    )
    found = comparison._asdict()
    shown = {name: found[name] for name in ("difference", "low", "high", "p", "test", "claim")}
    return Gain(
        to=first.trainer,
        p_adjusted=p_adjusted,
        format=form.difference,
        format_low=form.low,
        format_high=form.high,
        correctness=correctness.difference,
        correctness_low=correctness.low,
        correctness_high=correctness.high,
        **shown,
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
        found = difference_of(total.averaged, (), "checkpoints")
        low, high = max(0.0, found.low), found.high
    moved = components(total)
    return Accuracy(
        accuracy=total.mean,
        low=low,
        high=high,
        question_sd=moved.questions,
        seed_sd=moved.seeds,
        answer_sd=moved.answers,
        n=sum(entry.scores[key][0].n for key in keys) - len(without),
        seeds=total.seeds,
    )


def task_results(entry: Entry, start: Entry | None) -> tuple[TaskResult, ...]:
    """Return a row's results on the tasks that every one of its seeds was scored on."""
    found = (task_result(entry, one, start) for one in entry.questions.conditions.benchmarks)
    return tuple(result for result in found if result is not None)


def task_result(entry: Entry, benchmark: Benchmark, start: Entry | None) -> TaskResult | None:
    """Return a row's result on one task, or None where a seed was not scored on it."""
    key = (benchmark.task, benchmark.protocol)
    scores = entry.scores.get(key)
    if not scores:
        return None
    answers = sum(len(score.verdicts) for score in scores)
    shared = entry.overlaps(key, "overlap_13", "rephrased")
    without = shared if 0 < len(shared) < scores[0].n else ()
    compared = start is not None and entry.compared and key in start.scores

    def gain(left_out: tuple[int, ...]) -> Gain | None:
        if start is None or not compared:
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
        pass_at=_pass_at(entry, key),
        majority=_majority(entry, key),
        own=_own(scores),
        overlap_13=len(entry.overlaps(key, "overlap_13")),
        overlap_8=len(entry.overlaps(key, "overlap_8")),
        rephrased=None
        if any(score.rephrased is None for score in scores)
        else len(entry.overlaps(key, "rephrased")),
        shared=len(shared),
        clean=accuracy_of(entry, [key], without) if without else None,
        clean_gain=gain(without) if without else None,
        shared_gain=_shared_gain(start, entry, key, without) if without and compared else None,
    )


def _shared_gain(
    start: Entry | None, entry: Entry, key: Key, shared: tuple[int, ...]
) -> SharedGain | None:
    """Return how much more an entry gains on some questions of a task than on all others.

    Nothing is said of fewer than `LEAST_SHARED` questions, or groups of them, on either side.
    """
    if start is None:
        return None
    others = tuple(sorted({*range(entry.scores[key][0].n)} - {*shared}))
    first, second = (
        half_apart(one.sample([key], others), one.sample([key], shared)) for one in (start, entry)
    )
    if min(part.shape[1] for part in second.influence) < LEAST_SHARED:
        return None
    found = compare(first, second, first_trained=False, claim=entry.questions.claim)
    low, high = 2 * found.low, 2 * found.high
    return SharedGain(
        difference=2 * found.difference, low=low, high=high, p=found.p, p_adjusted=None
    )


def _pass_at(entry: Entry, key: Key) -> dict[int, Share]:
    """Return pass@k for the powers of two and all samples, the mean over questions and seeds."""
    correct = entry.correct(key)
    samples = correct.shape[2]
    if samples == 1:
        return {}
    right = correct.sum(axis=2)  # of each seed and question
    group = entry.questions.of(key).group
    clusters = np.broadcast_to(group, right.shape).ravel()
    sizes = sorted({2**power for power in range(samples.bit_length())} | {samples})
    found = {}
    for k in sizes:
        chance = np.array([pass_at_k(samples, c, k) for c in range(samples + 1)])
        low, high = 0.0, 1.0
        if group.max() > 0:  # one group of questions bounds nothing
            low, high = clustered_wilson(chance[right].ravel(), clusters, correct.size // k)
        found[k] = Share(share=float(chance[right].mean()), low=low, high=high)
    return found


def _majority(entry: Entry, key: Key) -> Share | None:
    """Return maj@k, the mean over seeds, where every seed has it."""
    scores = entry.scores[key]
    if not all(score.majority for score in scores):
        return None
    right = np.array([[letter == LETTERS["correct"] for letter in one.majority] for one in scores])
    low, high, _ = accuracy_interval(right[..., None], groups=entry.questions.of(key).group)
    return Share(share=float(right.mean()), low=low, high=high)


def _own(scores: Sequence[Score]) -> dict[str, float]:
    """Return the metrics that every seed has, the mean over seeds."""
    names = [name for name in scores[0].own if all(name in score.own for score in scores)]
    return {name: sum(score.own[name] for score in scores) / len(scores) for name in sorted(names)}


def probed(start: Entry) -> tuple[Probed, ...]:
    """Return what the start model writes of test problems, with intervals over problems."""
    found = []
    for one in start.done[0].probes if start.done else ():
        if one.n < 2:
            continue
        low, high = wilson(one.exact, one.n)
        half = t_beyond(0.025, one.n - 1) * one.rouge_l_sd / math.sqrt(one.n)
        difference = one.rouge_l - one.rouge_l_other
        found.append(
            Probed(
                **one.model_dump(),
                exact_low=low,
                exact_high=high,
                difference=difference,
                low=difference - half,
                high=difference + half,
            )
        )
    return tuple(found)
