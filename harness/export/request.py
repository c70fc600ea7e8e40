"""Formats that others read: each exporter takes finished cells and writes files into a folder.

`eee` Every Eval Ever 0.3.0; `lm-eval` lm-eval's own files, unchanged; `parquet` all answers;
`evalstats` a long CSV of right and wrong; `hub` a model card and `.eval_results` for the Hub.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from harness.boards.conditions import Conditions
from harness.export.benchmarks import KNOWN, Benchmark
from harness.records import Record, Score


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
        benchmarks: For the Hub: task -> benchmark, on top of `harness.export.benchmarks.KNOWN`.
    """

    records: Sequence[Record]
    conditions: Conditions
    folder: Path
    out: Path
    developer: str = "unknown"
    organization: str = "unknown"
    relationship: str = "other"
    benchmarks: Mapping[str, Benchmark] = field(default_factory=dict)

    def benchmark(self, task: str) -> Benchmark | None:
        """Return the Hub's benchmark for a task: the one that was given, else the known one."""
        return self.benchmarks.get(task) or KNOWN.get(task)


def model_name(record: Record) -> str:
    """Return a cell's model name: the board, the trainer and the seed, safe in paths and ids."""
    from harness.files import slug

    seed = "" if record.seed is None else f"-s{record.seed}"
    return f"{slug(record.board.name)}-{slug(record.trainer)}{seed}"


def interval(score: Score) -> tuple[float, float, str]:
    """Return the 95 % interval of an accuracy over questions, and the name of its method.

    Wilson's, clustered where several answers belong to one question or several questions to one
    group.
    """
    from harness.leaderboard.stats import clustered_wilson, wilson

    if score.samples == 1 and not score.groups:
        return *wilson(score.counts["correct"], score.n), "wilson"
    import numpy as np

    groups = np.array(score.groups or range(score.n))
    if len(set(groups.tolist())) == 1:
        return 0.0, 1.0, "one group of questions bounds nothing"
    right = np.array([letter == "C" for letter in score.verdicts])
    low, high = clustered_wilson(right, np.repeat(groups, score.samples))
    return low, high, f"wilson, clustered by {'group' if score.groups else 'question'}"
