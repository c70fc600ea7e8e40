"""What an exporter is given: finished cells, and what their records do not know."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from harness.boards.conditions import Benchmark, Conditions
from harness.files import slug
from harness.records import Record, Score

SCALES = {"share": 1, "percent": 100}


@dataclass(frozen=True)
class HubBenchmark:
    """Where a task's score belongs on the Hugging Face Hub.

    Attributes:
        dataset: Id of the benchmark's dataset.
        task_id: The task within that dataset, as its `eval.yaml` names it.
        scale: Whether values are shares of 1 or per cent.
        questions: Test questions of the whole benchmark, where they are known; a score over fewer
            is not the benchmark's.
    """

    dataset: str
    task_id: str
    scale: str
    questions: int | None = None

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
    """What is to be exported, and what the records do not know.

    Attributes:
        records: Finished cells of one board.
        conditions: The board's.
        folder: The board's runs folder, for answers and lm-eval's files.
        out: Where files go.
        developer: Who trained the checkpoints, as a folder name and in model ids.
        organization: Who evaluated them.
        relationship: Of the evaluator to the developer, in the words of Every Eval Ever.
        benchmarks: For the Hub: task -> benchmark, on top of `KNOWN`.
    """

    records: Sequence[Record]
    conditions: Conditions
    folder: Path
    out: Path
    developer: str = "unknown"
    organization: str = "unknown"
    relationship: str = "other"
    benchmarks: Mapping[str, HubBenchmark] = field(default_factory=dict)

    def benchmark(self, task: str) -> HubBenchmark | None:
        return self.benchmarks.get(task) or KNOWN.get(task)

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
