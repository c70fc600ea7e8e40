"""What a leaderboard holds: plain data, computed once, then rendered.

Accuracies, shares, gains and their intervals are shares of 1; intervals are nominally 95 %.
"""

from __future__ import annotations

import json
from typing import Any, Literal

import pydantic

from harness.boards.conditions import Conditions
from harness.records import Cost, Frozen

SCHEMA = 2


class Accuracy(Frozen):
    """Mean over seeds, interval over questions (of these checkpoints), spread over seeds."""

    accuracy: float
    low: float
    high: float
    seed_sd: float | None  # None for a single seed
    n: int  # questions
    seeds: int


class Gain(Frozen):
    """A difference to another row on the same questions."""

    to: str  # the row it is measured from
    difference: float
    low: float  # not adjusted for the number of comparisons
    high: float
    p: float
    p_adjusted: float | None  # Holm over the family; None where the row is in none
    test: str
    claim: Literal["trainers", "checkpoints"]
    format: float  # part of the difference: more answers could be read
    correctness: float  # part of the difference: readable answers are more often right


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
    pass_at: dict[int, float] = pydantic.Field(default={})
    majority: float | None = None  # several answers: share whose most frequent answer is right
    # lm-eval's own metrics, under protocols that are its own tasks
    own: dict[str, float] = pydantic.Field(default={})
    overlap_13: int = 0  # questions that share 13 words in a row with what was trained on
    overlap_8: int = 0  # the same for 8 words
    clean: Accuracy | None = None  # without the questions of overlap_13, where there are any
    clean_gain: Gain | None = None  # over the start model on the same questions


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
    "claimed",
    "failed",
    "unscored",
    "missing_seeds",
    "few_seeds",
    "token_limit",
    "matching",
    "ungradable",
    "shared_words",
    "all_shared_words",
    "seeds_scored_differently",
    "seeds_trained_differently",
    "seeds_trained_elsewhere",
    "unconfined",
    "had_network",
    "costs_contradict",
    "same_as_start",
    "same_as_teacher",
    "near_teacher",
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
    wins: int  # tasks on which it beats the start model, Holm-adjusted over its tasks
    ties: int
    losses: int
    tasks: tuple[TaskResult, ...]
    stage_gain: Gain | None  # what the last stage of a chain added to the chain before it
    cost: Cost | None  # mean over seeds; None where nothing was trained
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


class Detectable(Frozen):
    """The smallest differences that this board finds with 80 % power, before Holm."""

    checkpoints: float  # two checkpoints, over questions only
    gain: float | None  # a trainer over the start model: median over rows, as measured
    pair: float | None  # one trainer over another: median over pairs, as measured


class Leaderboard(Frozen):
    """Everything that a published leaderboard holds."""

    schema_version: int = SCHEMA
    conditions: Conditions
    published: bool  # by the rules of published boards, with what is known of each record
    claim: Literal["trainers", "checkpoints", "mixed"]
    date: str  # of the latest record
    verifier: tuple[str, ...]
    hardware: tuple[str, ...]
    packages: dict[str, tuple[str, ...]]
    gain_family: int  # comparisons with the start model that Holm's correction is over
    pair_family: int  # pairs of rows that Holm's correction is over
    detectable: Detectable | None
    rows: tuple[Row, ...]
    failures: tuple[Failure, ...]
    superseded: tuple[RecordRef, ...]  # replaced by another record, or not the one that counts
    refused: tuple[Refused, ...]
    warnings: tuple[LeaderboardWarning, ...]

    def to_json(self) -> str:
        """Return the file's text: sorted keys, ASCII, a newline at the end."""
        return json.dumps(self.model_dump(mode="json"), indent=1, sort_keys=True) + "\n"

    def comparable(self) -> dict[str, Any]:
        """Return what two runs of the same cells must have in common.

        Left out: dates, ids and digests of records, logs, and what was measured of time, memory
        and energy.
        """
        measured = ("seconds", "gpu_seconds", "peak_memory_bytes", "energy_joules")
        content = self.model_dump(mode="json", exclude={"date", "superseded", "refused"})
        for row in content["rows"]:
            row["records"] = [[ref["seed"], ref["status"]] for ref in row["records"]]
            del row["confirmations"]
            for name in measured if row["cost"] else ():
                del row["cost"][name]
        for failure in content["failures"]:
            del failure["record"], failure["log"]
        return content


def json_schema() -> str:
    """Return the JSON Schema of a published leaderboard, as the file's text."""
    schema = Leaderboard.model_json_schema(mode="serialization")
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    return json.dumps(schema, indent=1, sort_keys=True) + "\n"


def tidy(value: Any) -> Any:
    """Return data with every number rounded to nine digits, so that no machine's noise shows."""
    if isinstance(value, float):
        return float(f"{round(value, 12):.9g}") + 0.0
    if isinstance(value, dict):
        return {key: tidy(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [tidy(item) for item in value]
    return value
