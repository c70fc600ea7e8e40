"""What an exporter is given: finished cells, and what their records do not know."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from harness.boards.conditions import Benchmark, Conditions
from harness.boards.questions import Questions
from harness.errors import UsageError
from harness.files import slug
from harness.records import Record, Score
from harness.tasks.canonical import Row
from harness.tasks.task import Task

SCALES = {"share": 1, "percent": 100}


@dataclass(frozen=True)
class HubBenchmark:
    """Where a task's score belongs on the Hugging Face Hub."""

    dataset: str  # its id
    task_id: str  # within that dataset, as its `eval.yaml` names it
    scale: str  # one of SCALES
    questions: int | None = None  # of the whole benchmark; a score over fewer is not its score

    def value(self, accuracy: float) -> float:
        return round(SCALES[self.scale] * accuracy, 6)

    def problem(self, questions: int) -> str | None:
        """Return why a score over so many questions cannot be reported, or None."""
        if self.questions is not None and questions != self.questions:
            return f"{questions:,} questions are not the {self.questions:,} of {self.dataset}"
        return None


# `.eval_results` names a dataset and one of its tasks, and does not say whether a value is a share
# or per cent. That differs by benchmark, so a task is in this table only if both are established.
# The Hub decides which datasets are benchmarks; that list could not be read.
# openai/gsm8k: the table and the examples of the Community Evals converter in
#   github.com/evaleval/every_eval_ever (`tools/hf_community_evals.py`, 0.3.0), and the examples of
#   `huggingface_hub`.
# MathArena/aime_2026: the `eval.yaml` in the Hub's own documentation of benchmark datasets, and
#   values read back from its interface (94.7).
_AIME_2026 = HubBenchmark("MathArena/aime_2026", "MathArena/aime_2026", "percent", 30)
KNOWN: dict[str, HubBenchmark] = {
    "gsm8k": HubBenchmark("openai/gsm8k", "gsm8k", "percent", 1319),
    "aime26": _AIME_2026,
    "aime_2026": _AIME_2026,
}


@dataclass(frozen=True)
class Request:
    """What is to be exported, and what the records do not know."""

    records: Sequence[Record]  # finished cells of one board
    conditions: Conditions
    folder: Path  # the board's runs folder, for answers and lm-eval's files
    out: Path
    developer: str = "unknown"  # who trained the checkpoints
    organization: str = "unknown"  # who evaluated them
    relationship: str = "other"  # of the evaluator to the developer, one of RELATIONSHIPS
    benchmarks: Mapping[str, HubBenchmark] = field(default_factory=dict)  # on top of KNOWN
    questions: Questions | None = None  # where problems and gold answers are looked up

    def benchmark(self, task: str) -> HubBenchmark | None:
        return self.benchmarks.get(task) or KNOWN.get(task)

    def asked(self, score: Score) -> tuple[Task, Mapping[str, Row]]:
        """Return the task of a score, and its problems and gold answers by id.

        Raises:
            UsageError: If its task is not at hand.
        """
        if self.questions is None:
            raise UsageError(f"the problems of {score.task} are needed, and no board was given")
        return self.questions.needed(score)

    def conditions_of(self, score: Score) -> Benchmark | None:
        """Return what the board states of a score: how answers were decoded, and more."""
        found = (one for one in self.conditions.benchmarks if one.task == score.task)
        return next((one for one in found if one.protocol == score.protocol), None)


def model_name(record: Record) -> str:
    """Return a cell's model name: the board, the trainer and the seed, safe in paths and ids."""
    seed = "" if record.seed is None else f"-s{record.seed}"
    return f"{slug(record.board.name)}-{slug(record.trainer)}{seed}"


def interval(score: Score) -> tuple[float, float, str]:
    """Return the 95 % interval of an accuracy over questions, and the name of its method."""
    import numpy as np

    from harness.leaderboard.stats import accuracy_interval

    correct = np.array([letter == "C" for letter in score.verdicts])
    return accuracy_interval(correct.reshape(score.n, score.samples), score.groups)
