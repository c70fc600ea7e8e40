"""The sentences of a leaderboard: what it claims, and what each number means."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from harness.leaderboard.bootstrap import REPLICATES
from harness.render import numbers

if TYPE_CHECKING:
    from harness.boards.conditions import Benchmark, Conditions
    from harness.leaderboard.data import Leaderboard, LeaderboardWarning, TaskResult

COST = (
    "Trainer",
    "Time",
    "Steps",
    "Trained tokens",
    "Generated",
    "Teacher",
    "FLOPs",
    "Memory",
    "Energy",
)
PACKAGES = ("torch", "transformers", "trl", "lm_eval", "peft", "vllm")
FEWER = "fewer than three training seeds"


def label(conditions: Conditions, one: Benchmark | TaskResult | LeaderboardWarning) -> str:
    """Return a benchmark's name, with its protocol where the board scores the task twice."""
    several = sum(other.task == one.task for other in conditions.benchmarks) > 1
    return f"{one.task} ({one.protocol})" if several and one.protocol else one.task or ""


def claim(leaderboard: Leaderboard) -> str:
    """Return the sentence that says what the board compares."""
    if leaderboard.claim == "trainers":
        return (
            "**Trainers compared:** every interval of a gain covers the choice of questions and"
            " the training seeds."
        )
    if leaderboard.claim == "checkpoints":
        return (
            f"**Checkpoints compared:** with {FEWER} this board says which checkpoint is better"
            " on these questions, not which trainer is."
        )
    return (
        f"**Trainers compared where there are three seeds or more.** A row with {FEWER} says"
        " something of its checkpoints only and is marked."
    )


def explanations(leaderboard: Leaderboard) -> Iterator[str]:
    """Yield the paragraphs that say what each number means."""
    yield (
        "**Rank** is a range: a row is behind another only if the two were told apart at 5 %"
        " after Holm's correction"
        + (f" over {_pairs(leaderboard.pair_family)}" if leaderboard.pair_family else "")
        + ". Rows that share a group letter were not told apart, whatever their order. The start"
        " model and rows with a failed seed are not ranked."
    )
    yield (
        "**Accuracy** is the share of answers that the verifier found right, the mean over seeds,"
        " with Wilson's 95 % interval over questions (a question answered under several seeds"
        " counts as one group). It does not cover the training seeds; the spread over seeds, a"
        " standard deviation in points, is shown beside it."
        + (
            " Of several answers to a question it is the mean (avg@k), and they count as one group."
            if any(one.samples > 1 for one in leaderboard.conditions.benchmarks)
            else ""
        )
    )
    yield (
        "**Gain** is the difference to the untouched start model on the same questions, with a"
        " 95 % interval: from three seeds on by a two-level bootstrap over questions and training"
        f" seeds ({REPLICATES:,} resamples, Student's t), for single checkpoints the paired"
        " interval of Bonett and Price with McNemar's exact test (over questions only by the"
        " bootstrap, where questions come in groups or have several answers). Intervals are not"
        " widened for the number of comparisons; **p** is, by Holm's method over"
        f" {_comparisons(leaderboard.gain_family)} with the start model."
    )
    yield (
        "**Format** is the part of a gain that comes from more answers that could be read,"
        " **correctness** the part that comes from readable answers being right more often. With r"
        " the readable share and q the share right among them, format is (r1 - r0)(q0 + q1)/2 and"
        " correctness (q1 - q0)(r0 + r1)/2; they sum to the gain."
    )
    if leaderboard.detectable:
        found = leaderboard.detectable
        measured = {
            "a gain over the start model": found.gain,
            "a difference between two rows": found.pair,
        }
        also = [f"{what} of {_points(at)}" for what, at in measured.items() if at is not None]
        yield (
            "**Smallest difference found** four times in five (80 % power, 5 % level, before"
            f" Holm): {_points(found.checkpoints)} between two checkpoints by the number of"
            " questions alone, at half the answers correlated"
            + (f"; as measured here, {' and '.join(also)}." if also else ".")
        )
    if any(result.overlap_8 for row in leaderboard.rows for result in row.tasks):
        yield (
            "**Shared words:** a problem counts if 13 (or 8) of its words in a row occur in what"
            " the row was trained on, its teacher's texts included; a shorter problem only if it"
            " is a training problem as a whole. Many runs are phrases that problems share, so a"
            " count is a reason to look, not a proof: `harness contamination` shows the texts."
            " *Without them* is the accuracy on the problems that share no 13."
        )
    yield (
        "**W/T/L** counts the benchmarks on which a row beats, ties with and loses to the"
        " start model at 5 % after Holm's correction over the row's benchmarks. **Cost** is the"
        " mean of a seed, teacher and sampling included; FLOPs are 6 N per trained token and 2 N"
        " per token read or generated."
    )


def _points(share: float) -> str:
    return f"{numbers.percent(share)} points"


def _pairs(number: int) -> str:
    return "the one pair" if number == 1 else f"all {number} pairs"


def _comparisons(number: int) -> str:
    return "the one comparison" if number == 1 else f"the {number} comparisons"
