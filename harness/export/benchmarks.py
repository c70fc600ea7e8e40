"""Benchmarks of the Hugging Face Hub: which dataset a task's score belongs to, and in which scale.

`.eval_results` names a dataset and one of its tasks, and does not say whether a value is a share or
per cent. That differs by benchmark, so a task is in this table only where both are established:

- `openai/gsm8k`, task `gsm8k`, per cent: the table and the examples of the Community Evals
  converter in github.com/evaleval/every_eval_ever (`tools/hf_community_evals.py`, 0.3.0), and the
  examples of `huggingface_hub`.
- `MathArena/aime_2026`, task `MathArena/aime_2026`, per cent: the `eval.yaml` in the Hub's own
  documentation of benchmark datasets, and values read back from its interface (94.7).

The Hub decides which datasets are benchmarks; that list could not be read from here.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

Scale = Literal["share", "percent"]
SCALES: dict[str, int] = {"share": 1, "percent": 100}


@dataclass(frozen=True)
class Benchmark:
    """Where a task's score belongs on the Hub.

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
        """Return an accuracy, a share of 1, in the benchmark's scale."""
        return round(SCALES[self.scale] * accuracy, 6)

    def problem(self, questions: int) -> str | None:
        """Return why a score over so many questions cannot be reported, or None."""
        if self.questions is not None and questions != self.questions:
            return f"{questions:,} questions are not the {self.questions:,} of {self.dataset}"
        return None

    def holds(self, value: object) -> bool:
        """Return whether something is a number that this scale can have."""
        if not isinstance(value, (int, float)) or isinstance(value, bool):
            return False
        return math.isfinite(value) and 0 <= value <= SCALES[self.scale]


_AIME_2026 = Benchmark("MathArena/aime_2026", "MathArena/aime_2026", "percent", 30)
KNOWN: dict[str, Benchmark] = {
    "gsm8k": Benchmark("openai/gsm8k", "gsm8k", "percent", 1319),
    "aime26": _AIME_2026,
    "aime_2026": _AIME_2026,
}
