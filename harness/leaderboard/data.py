"""What a leaderboard holds, as shares of 1; intervals are nominally 95 %."""

from __future__ import annotations

from typing import Any, Literal

import pydantic

from harness.boards.conditions import Conditions
from harness.probes import Probed
from harness.records import Cost, Frozen
from harness.tuning import TunedRow

SCHEMA = 3


class Accuracy(Frozen):
    """Mean over seeds, interval over questions (of these checkpoints), what moves one seed.

    The three standard deviations are of the accuracy of a single seed; those of seeds and answers
    are None where there is one seed.
    """

    accuracy: float
    low: float
    high: float
    question_sd: float  # by which questions were chosen
    seed_sd: float | None  # by the training seed, flips of single answers taken out
    answer_sd: float | None  # by answers that flip between seeds
    n: int  # questions
    seeds: int


class Gain(Frozen):
    """A difference to another row on the same questions."""

    to: str  # the row it is measured from
    difference: float
    low: float  # not adjusted for the number of comparisons
    high: float
    p: float
    p_adjusted: float | None  # Holm over its family; None where it is in none
    test: str
    claim: Literal["trainers", "checkpoints"]
    format: float  # part of the difference: more answers could be read
    format_low: float
    format_high: float
    correctness: float  # part of the difference: readable answers are more often right
    correctness_low: float
    correctness_high: float


LEAST_SHARED = 10
"""Shared questions, and others, below which no gain on them is stated: it would say nothing."""


class SharedGain(Frozen):
    """How much more a row gains on questions that it shares with training text than on the rest."""

    difference: float  # the gain on the shared questions less the gain on all others
    low: float
    high: float
    p: float
    p_adjusted: float | None  # Holm over all rows and scores of the page that have one


class Share(Frozen):
    """A share of questions with its interval over questions."""

    share: float
    low: float
    high: float


class TaskResult(Frozen):
    """One row on one task: means over seeds."""

    task: str
    protocol: str
    ranking: bool
    accuracy: Accuracy
    gain: Gain | None  # over the start model
    strict: float
    flexible: float
    verdicts: dict[str, float]  # share of each verdict
    limit_reached: float  # share of answers that ended at the token limit
    unreadable: float = 0.0  # share of answers that the verifier could not read
    copied: float = 0.0  # share of answers that repeat an expression of the problem
    mean_tokens: float  # completion tokens an answer
    samples: int = 1  # answers to each question; the accuracy is their mean (avg@k)
    # several answers: k -> share of questions with one right of k
    pass_at: dict[int, Share] = pydantic.Field(default={})
    majority: Share | None = None  # several answers: share whose most frequent answer is right
    # lm-eval's own metrics, under protocols that are its own tasks
    own: dict[str, float] = pydantic.Field(default={})
    overlap_13: int = 0  # questions that share 13 words in a row with what was trained on
    overlap_8: int = 0  # the same for 8 words
    rephrased: int | None = None  # training problems in other words; None where nobody looked
    shared: int = 0  # questions of overlap_13 or rephrased
    clean: Accuracy | None = None  # without the shared questions, where there are any
    clean_gain: Gain | None = None  # over the start model on the same questions
    shared_gain: SharedGain | None = None  # where there are ten shared questions and ten others


WarningKind = Literal[
    # about the board
    "declared",  # by the board itself
    "no_start_model",
    "no_record",
    "measured_differently",
    "trained_elsewhere",
    "few_questions",
    "unfit_to_rank",
    "no_figure_to_compare",
    "off_baseline",
    "conflict",
    # about a row
    "control_arm",
    "claimed",
    "failed",
    "unscored",
    "missing_seeds",
    "token_limit",
    "matching",
    "ungradable",
    "shared_words",
    "rephrased",
    "all_shared_words",
    "seeds_scored_differently",
    "seeds_trained_differently",
    "seeds_trained_elsewhere",
    "unconfined",
    "had_network",
    "within_reach",
    "reached_for",
    "costs_contradict",
    "computes_otherwise",
    "computes_beside",
    "costs_little",
    "same_as_start",
    "same_as_teacher",
    "near_teacher",
    "almost_teacher",
    "toward_teacher",
    "same_as_other",
    "uncounted",
]
WarningValue = int | float | str | tuple[str, ...] | tuple[int, ...]


class LeaderboardWarning(Frozen):
    """What a reader must know before believing a row or a board."""

    kind: WarningKind
    task: str | None  # None where it is about a row or the board as a whole
    protocol: str | None  # None where it is about a task under any protocol
    values: dict[str, WarningValue]  # by kind; shares of 1, counts, names, texts


class Overall(Frozen):
    """One row over all of the board's tasks, each weighing the same, however often it is scored.

    The tasks are taken as they are: the interval is over their questions and the training seeds.
    """

    accuracy: float
    gain: float  # over the start model
    low: float
    high: float
    above_start: float  # share of (task, seed) in which it is above the start model; ties half
    above_others: float | None  # the same against a seed of another row, of all ranked rows


class Control(Frozen):
    """A row that is a chain without its last stages."""

    trainer: str
    budget_used: float  # share of the tightest cap that was spent, mean over seeds
    matched: bool  # whether that is `matched_share` of what the chain spent, or more


class CurvePoint(Frozen):
    """A trainer that was given a share of the budget: a run of its own for each seed."""

    share: float
    accuracy: Accuracy  # by which rows are ranked
    budget_used: float  # of the whole budget
    cost: Cost  # mean over seeds


class Lead(Frozen):
    """Who is first with a share of the budget."""

    share: float
    first: str  # of the rows that have a point there
    apart: tuple[str, ...]  # rows told apart from it, after Holm over all that is here


class TrainedBy(Frozen):
    """The code that trained one stage."""

    trainer: str
    plugin: str
    distribution: str
    version: str
    source_sha256: str


class RecordRef(Frozen):
    """A record behind a row."""

    id: str
    digest: str
    seed: int | None
    status: str
    file: str  # its name without `.json`: its id, or its id and digest
    claimed: bool  # no answers that give its verdicts are known
    submission: str = ""  # that brought it; empty for the publisher's own
    signer: str = ""  # of that submission


class Refused(Frozen):
    """A record that counts for nothing."""

    record: RecordRef
    trainer: str
    reason: str  # in one line


class Row(Frozen):
    """One trainer, over its seeds."""

    trainer: str
    start: bool  # the untouched start model: what every gain is measured from, never ranked
    rank: tuple[int, int] | None  # its best and worst place, by the rows that differ from it
    letters: str  # rows that share a letter do not differ significantly
    seeds: tuple[int, ...]
    failed_seeds: tuple[int, ...]
    missing_seeds: tuple[int, ...]
    accuracy: Accuracy | None  # by which rows are ranked: mean over the ranking tasks
    gain: Gain | None
    wins: int  # scores on which it beats the start model, Holm-adjusted over the whole page
    ties: int
    losses: int
    tasks: tuple[TaskResult, ...]
    overall: Overall | None  # of a ranked row, where the board has several tasks
    # of a chain: the rows without its last stages. The first is its control if it is matched; if
    # none is, nothing is said of its last stage
    controls: tuple[Control, ...] | None
    stage_gain: Gain | None  # of a chain over its control
    curve: tuple[CurvePoint, ...]  # of rising shares, the row itself last; () without a curve
    # FLOPs of training after which the curve is at the accuracy that every curve reaches; None if
    # there is none, or its first point is above it already
    flops_to_reach: float | None
    cost: Cost | None  # mean over seeds; None where nothing was trained
    budget_used: float | None  # share of the tightest cap that was spent, mean over seeds
    # how its options were chosen, where the board has that done
    tuning: TunedRow | None = pydantic.Field(default=None, exclude_if=lambda one: one is None)
    parameters: int | None
    sources: tuple[TrainedBy, ...]
    environment: str  # hardware, engine, dtype and batch size the scores were made on
    notes: tuple[str, ...]  # what a reader must know, from the trainers
    warnings: tuple[LeaderboardWarning, ...]
    records: tuple[RecordRef, ...]
    claimed: bool  # its verdicts cannot be checked, so it is not ranked
    confirmations: tuple[RecordRef, ...]  # made again with the same weights and answers
    commands: tuple[str, ...]


class Failure(Frozen):
    """A cell without scores."""

    trainer: str
    seed: int | None
    status: str
    error: str
    log: str
    record: str  # the name of its file without `.json`


class Noise(Frozen):
    """What moves the difference of two rows, per question and per seed: variances of shares."""

    questions: float  # of a question's true difference: over n it is the variance of the mean
    seeds: float  # of a seed's accuracy, flips of answers taken out
    answers: float  # of an answer's flips, per question


class Detectable(Frozen):
    """The smallest true differences that the printed verdicts find four times in five."""

    gain: float | None  # a row over the start model, after Holm over the page's gains
    pair: float | None  # one ranked row over another, after Holm over all pairs
    noise: Noise | None  # what they were computed from: the row in the middle


class Equal(Frozen):
    """Two rows shown to differ by less than the board's margin, either way."""

    first: str
    second: str
    p: float  # of two one-sided tests, Holm over all pairs


class Leaderboard(Frozen):
    """Everything that a published leaderboard holds."""

    schema_version: int = SCHEMA
    conditions: Conditions
    published: bool  # by the rules of published boards, with what is known of each record
    claim: Literal["trainers", "checkpoints"]
    date: str  # of the latest record
    verifier: tuple[str, ...]
    judged_before: tuple[str, ...] = ()  # versions that first judged answers judged anew
    hardware: tuple[str, ...]
    packages: dict[str, tuple[str, ...]]
    gain_family: int  # comparisons with the start model that Holm's correction is over
    pair_family: int  # pairs of rows that Holm's correction is over
    score_family: int  # rows times scores that Holm's correction of wins and losses is over
    leads: tuple[Lead, ...]  # with each share of the budget that is on the curves
    reached: float | None  # accuracy that every curve reaches
    matched_share: float  # of what a chain spent, that its control must have spent
    detectable: Detectable | None
    probes: tuple[Probed, ...] = ()  # of the start model, where the board asks for them
    equal: tuple[Equal, ...]  # within the margin of the conditions
    not_worse: tuple[str, ...]  # rows shown to be less than the margin behind the first one
    rows: tuple[Row, ...]
    failures: tuple[Failure, ...]
    superseded: tuple[RecordRef, ...]  # replaced by another record, or not the one that counts
    refused: tuple[Refused, ...]
    warnings: tuple[LeaderboardWarning, ...]
    properties: tuple[LeaderboardWarning, ...]  # of a benchmark or of every row alike

    def comparable(self) -> dict[str, Any]:
        """Return what two runs of the same cells must have in common.

        Left out: dates, ids and digests of records, logs; measured time, memory and energy.
        """
        measured = ["seconds", "gpu_seconds", "verifier_cpu_seconds", "peak_memory_bytes"]
        content = self.model_dump(mode="json", exclude={"date", "superseded", "refused"})
        for row in content["rows"]:
            row["records"] = [[ref["seed"], ref["status"]] for ref in row["records"]]
            del row["confirmations"]
            for cost in (row["cost"], row.get("tuning", {}).get("cost")):
                for name in (*measured, "energy_joules") if cost else ():
                    cost.pop(name, None)
        for failure in content["failures"]:
            del failure["record"], failure["log"]
        return content
