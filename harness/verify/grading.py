"""Grading files: JSONL in, the same rows with verdicts out."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from harness.errors import UsageError
from harness.verify.conventions import DEFAULT, Conventions
from harness.verify.extract import Form
from harness.verify.judgement import Judgement, Verdict
from harness.verify.pool import VerifierPool
from harness.verify.version import VERIFIER_VERSION
from harness.verify.wire import judgement_fields

_BATCH = 512


@dataclass
class Tally:
    """Counts of one grading: rows per verdict, strict and flexible matches, torn lines."""

    rows: int = 0
    verdicts: Counter[str] = field(default_factory=Counter)
    strict: int = 0
    flexible: int = 0
    torn: int = 0

    def add(self, judgement: Judgement) -> None:
        """Count one judgement."""
        self.rows += 1
        self.verdicts[judgement.verdict.value] += 1
        self.strict += judgement.strict
        self.flexible += judgement.flexible

    @property
    def accuracy(self) -> float:
        """The share of correct answers among all rows; 0 without rows."""
        return self.verdicts[Verdict.correct.value] / self.rows if self.rows else 0.0


def rows_of(lines: Iterable[str], tally: Tally, name: str = "the file") -> Iterator[dict[str, Any]]:
    """Yield the objects of JSONL; a torn last line is counted, any other bad line is an error.

    Raises:
        UsageError: a line that is no JSON object, with its number.
    """
    number, bad = 0, 0
    for number, line in enumerate(lines, 1):
        if bad:
            raise UsageError(f"line {bad} of {name} is no JSON object; remove or mend it")
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError:
            row = None
        if not isinstance(row, dict):
            bad = number
            if line.endswith("\n"):
                raise UsageError(f"line {bad} of {name} is no JSON object; remove or mend it")
            continue
        yield row
    if bad:
        tally.torn += 1


def grade_rows(
    rows: Iterable[Mapping[str, Any]],
    pool: VerifierPool,
    *,
    answer_key: str = "answer_text",
    gold_key: str = "gold",
    truncated_key: str = "truncated",
    conventions: Conventions = DEFAULT,
    form: Form = "boxed",
    tally: Tally | None = None,
    progress: Callable[[int], None] | None = None,
) -> Iterator[dict[str, Any]]:
    """Yield each row with a ``judgement`` and the ``verifier`` version added, in order.

    Streams: only one batch is held in memory.

    Raises:
        UsageError: a row lacks its answer or gold column.
    """
    source = iter(rows)
    done = 0
    while batch := list(islice(source, _BATCH)):
        for i, row in enumerate(batch):
            for key in (answer_key, gold_key):
                if key not in row:
                    raise UsageError(f"row {done + i + 1} has no {key!r}; it has {sorted(row)}")
        judged = pool.verify_many(
            [_text(r[answer_key]) for r in batch],
            [_text(r[gold_key]) for r in batch],
            conventions,
            form,
            [bool(r.get(truncated_key, False)) for r in batch],
        )
        for row, judgement in zip(batch, judged, strict=True):
            if tally is not None:
                tally.add(judgement)
            yield dict(row) | {
                "judgement": judgement_fields(judgement),
                "verifier": VERIFIER_VERSION,
            }
        done += len(batch)
        if progress is not None:
            progress(len(batch))


def _text(value: Any) -> str:
    return value if isinstance(value, str) else "" if value is None else str(value)
