"""The sentences of a leaderboard: what it claims, and what each number means."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from harness.leaderboard.comparison import TRAINER_SEEDS
from harness.leaderboard.data import LEAST_SHARED
from harness.leaderboard.multiple_testing import SIGNIFICANCE, level_at
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
COMPUTED = "Computed"  # behind FLOPs, where a row's is known
COMPUTED_COST = (
    "FLOPs are the usual estimate, from parameters and tokens. Computed are those of all products"
    " of matrices that were made, padding included; the CSV file has their parts (body, head,"
    " attention)."
)
TRIALS = ("FLOPs of trials", "Time of trials")
TRIALS_COST = "The last two columns are what all trials of a row cost together, once for all seeds."
PACKAGES = ("torch", "transformers", "trl", "lm_eval", "peft", "vllm")
NOT_RANKED = (
    "A board fixes its seeds before anyone trains. A row without a score under each of them is"
    " shown, but compared with none: some seeds are no fair sample of all. The interval of its"
    " accuracy is over questions."
)
PLOT = (
    "The ranking as a plot: a row's accuracy with its 95 % interval, the start model as a line; the"
    " table has the same numbers"
)
NO_CONTROL = "more compute, no control"


def chains(leaderboard: Leaderboard) -> str:
    """Return what chains are compared with."""
    return (
        "The difference between a chain and its control: a row without the chain's last stage that"
        f" spent at least {100 * leaderboard.matched_share:.0f} % of what the chain spent, on the"
        " same questions. It is the chain that ends one stage earlier if that spent as much, else"
        " one with fewer of its stages, down to the first alone. So it says what that stage did"
        " beyond what the same compute does without it. Where every such row spent less, the chain"
        " has had more compute and no control, and nothing is said of its last stage. The last"
        " column is the share of the budget that the two spent."
    )


CURVES = (
    "Accuracy with shares of the budget, with its interval, and what a seed spent. Each point is a"
    " run of its own for every seed, trained until that share was spent with its schedule laid over"
    " it, so the learning rate has come down at every point. The last column is where a curve is"
    " first at the accuracy that every curve reaches, on a straight line over the logarithm of"
    " FLOPs between two points; a dash where its first point is there already."
)


def leads(leaderboard: Leaderboard, shown: Callable[[str], str]) -> str:
    """Return who is first with each share of the budget; `shown` makes names harmless."""
    parts = []
    for one in leaderboard.leads:
        apart = ", ".join(map(shown, one.apart)) or "no row"
        parts.append(f"with {100 * one.share:g} % {shown(one.first)} (told apart from it: {apart})")
    changes = len({one.first for one in leaderboard.leads}) > 1
    return (
        f"First {'; '.join(parts)}; at 5 % after Holm's correction over all differences to the"
        " first."
        + (" Where the first changes, curves cross." if changes else " No curve crosses the first.")
    )


def label(conditions: Conditions, one: Benchmark | TaskResult | LeaderboardWarning) -> str:
    """Return a benchmark's name, with its protocol where the board scores the task twice."""
    several = sum(other.task == one.task for other in conditions.benchmarks) > 1
    return f"{one.task} ({one.protocol})" if several and one.protocol else one.task or ""


def claim(leaderboard: Leaderboard) -> str:
    """Return the sentence that says what the board compares."""
    if leaderboard.claim == "trainers":
        return (
            "**Trainers compared:** every interval of a gain covers the choice of questions and"
            " the training seeds. Rows are ranked if they have all of the board's seeds."
        )
    seeds = leaderboard.conditions.seeds
    if leaderboard.pair_family or len(seeds) < TRAINER_SEEDS:
        return (
            "**Checkpoints compared:** with fewer than three training seeds this board says which"
            " checkpoint is better on these questions, not which trainer is."
        )
    return (
        "**Checkpoints compared, no trainer ranked:** no row has all of the board's seeds"
        f" ({', '.join(map(str, seeds))}), so its gains are those of these checkpoints on these"
        " questions and say nothing of another run of the same trainer."
    )


def looks(conditions: Conditions) -> str:
    """Return after how many seeds a board is looked at, and what each look may use of the 5 %."""
    every, now = conditions.looks, len(conditions.seeds)
    *before, last = map(str, every)
    shares = ", ".join(f"{100 * level_at(every, look):.2g}" for look in every)
    return (
        f"after {', '.join(before)} and {last} seeds, until every two ranked rows are told apart or"
        f" shown to be equal; this page is the one after {now}. Looking several times alone would"
        " be wrong more often, so the 5 % of each family of tests are spent over the looks like"
        " O'Brien and"
        f" Fleming's bounds (Lan and DeMets 1983): {shares} %. Every p (Holm) here is multiplied by"
        f" {SIGNIFICANCE / level_at(every, now):.3g}, so that 5 % holds over all looks together;"
        " intervals are those of this look alone."
    )


def equal(leaderboard: Leaderboard, shown: Callable[[str], str]) -> str:
    """Return which rows were shown to be equal, and which not worse than the first.

    The text is plain but for the rows' names, which `shown` makes harmless where they are read.
    """
    margin = f"{leaderboard.conditions.margin:g} points"
    first = next(row.trainer for row in leaderboard.rows if row.rank)
    pairs = "; ".join(f"{shown(one.first)} and {shown(one.second)}" for one in leaderboard.equal)
    others = ", ".join(map(shown, leaderboard.not_worse))
    number = leaderboard.pair_family
    return (
        f"Rows that were not told apart are not shown to be equal by it. Shown to differ by less"
        f" than {margin} either way (two one-sided tests at 5 % after Holm's correction over"
        f" {_pairs(number)}): {pairs or 'no two rows'}. Shown to be less than {margin} behind"
        f" {shown(first)} (one-sided, Holm's correction over the other rows):"
        f" {others or 'no row'}."
    )


def explanations(leaderboard: Leaderboard) -> Iterator[str]:
    """Yield the paragraphs that say what each number means."""
    trainers = leaderboard.claim == "trainers"
    yield (
        "**Rank** is a range: a row is behind another only if the two were told apart at 5 %"
        " after Holm's correction"
        + (f" over {_pairs(leaderboard.pair_family)}" if leaderboard.pair_family else "")
        + ". The ranges hold together: on at most one board in twenty is any of them wrong. Rows"
        " that share a group letter were not told apart, whatever their order. The start model and"
        " rows without all of the board's seeds are not ranked. **Budget** is the share of the"
        " tightest cap that training spent, the mean over seeds"
        + (
            ": every trainer trains until no whole step is left, unless its options say how long."
            if leaderboard.conditions.fill
            else ": rows that stop early might have done better with the rest, so an order of rows"
            " is also one of what they spent."
        )
    )
    yield (
        "**Accuracy** is the share of answers that the verifier found right, the mean over seeds,"
        " with Wilson's 95 % interval over questions (a question answered under several seeds"
        " counts as one group). It is of these checkpoints: another run of the trainer also moves"
        " by the seed."
        + (
            " Of several answers to a question it is the mean (avg@k), and they count as one group."
            if any(one.samples > 1 for one in leaderboard.conditions.benchmarks)
            else ""
        )
    )
    yield (
        "**Questions, seed, answers** are standard deviations in points of the accuracy of a single"
        " seed: by which questions were chosen, by the training seed itself, and by single answers"
        " that flip between seeds. Their squares add up. Of few seeds the one of the seed is known"
        " roughly: 0.0 says that the seeds lie no further apart than flips alone would put them."
    )
    yield (
        "**Gain** is the difference to the untouched start model on the same questions, with a"
        " 95 % interval"
        + (
            " over questions and training seeds, in closed form with Student's t"
            " (docs/statistics.md)."
            if trainers
            else ": that of Bonett and Price with McNemar's exact test, or over questions with"
            " Student's t where they come in groups, have several answers, or a row has several"
            " seeds."
        )
        + " Intervals are not widened for the number of comparisons; **p** is, by Holm's method"
        f" over {_comparisons(leaderboard.gain_family)} with the start model."
    )
    yield (
        "**Format** is the part of a gain that comes from more answers that could be read,"
        " **correctness** the part that comes from readable answers being right more often, each"
        " with its 95 % interval. With r the readable share and q the share right among them,"
        " format is (r1 - r0)(q0 + q1)/2 and correctness (q1 - q0)(r0 + r1)/2; they sum to the"
        " gain."
    )
    if leaderboard.detectable:
        found = leaderboard.detectable
        both = {
            f"a gain over the start model of {_points(found.gain or 0)}": found.gain,
            f"a difference between two rows of {_points(found.pair or 0)}": found.pair,
        }
        said = " and ".join(what for what, at in both.items() if at is not None)
        seeds = f" with {len(leaderboard.conditions.seeds)} seeds" if trainers else ""
        yield (
            f"**What this board finds** four times in five, by the verdicts above (5 % after Holm's"
            f" correction){seeds}: {said}"
            + (
                ", from what moved the row in the middle."
                if trainers
                else ", by the number of questions, with half of the answers correlated."
            )
            + " A smaller difference may be real and not found."
        )
    results = [result for row in leaderboard.rows for result in row.tasks]
    if any(result.overlap_8 or result.rephrased for result in results):
        family = sum(result.shared_gain is not None for result in results)
        yield (
            "**Shared:** a problem counts by words if 13 (or 8) of its words in a row occur in what"
            " the row was trained on, its teacher's texts included; a shorter problem only if it is"
            " a training problem as a whole. It is rephrased if a training problem has many of its"
            " words and most of its numbers (docs/contamination.md); a dash there says that nobody"
            " looked. Many runs are phrases that problems share, so a count is a reason to look,"
            " not a proof: `harness contamination` shows the texts. *Without them* leaves out the"
            " problems that share 13 words or are rephrased. *More on them* is the gain on these"
            " less the gain on the others, with its 95 % interval: a row that learnt problems by"
            " heart gains more on them, and so does one to which they are easier for another"
            " reason. Behind the accuracy a dash says that there is nothing to leave out, or"
            f" nothing else; of fewer than {LEAST_SHARED} such problems, or others, no gain on them"
            " is stated."
            + (
                f" p is by Holm's method over {_differences(family)} of this page."
                if family
                else ""
            )
        )
    yield (
        "**W/T/L** counts the scores on which a row beats, ties with and loses to the start model"
        f" at 5 % after Holm's correction over all {leaderboard.score_family} rows and scores of"
        f" this page. **Cost** is the mean of a seed, teacher and sampling included; FLOPs are 6"
        f" N per trained token and 2 N per token read or generated."
    )


def _points(share: float) -> str:
    return f"{numbers.percent(share)} points"


def _pairs(number: int) -> str:
    return "the one pair" if number == 1 else f"all {number} pairs"


def _differences(number: int) -> str:
    return "the one such difference" if number == 1 else f"all {number} such differences"


def _comparisons(number: int) -> str:
    return "the one comparison" if number == 1 else f"the {number} comparisons"
