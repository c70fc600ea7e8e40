"""A leaderboard as CSV: one line per trainer and benchmark, plain numbers, safe to open."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from harness.render.escape import cell
from harness.render.warnings import sentence

if TYPE_CHECKING:
    from harness.leaderboard.data import Leaderboard, Row, TaskResult

COLUMNS = (
    "board",
    "trainer",
    "kind",
    "rank_low",
    "rank_high",
    "group",
    "task",
    "protocol",
    "ranking",
    "questions",
    "samples",
    "seeds",
    "seeds_failed",
    "seeds_missing",
    "accuracy",
    "accuracy_low",
    "accuracy_high",
    "seed_sd",
    "gain",
    "gain_low",
    "gain_high",
    "p",
    "p_holm",
    "test",
    "claim",
    "gain_format",
    "gain_correctness",
    "pass_at_k",
    "maj_at_k",
    "overlap_13",
    "overlap_8",
    "clean_questions",
    "clean_accuracy",
    "clean_low",
    "clean_high",
    "clean_gain",
    "clean_gain_low",
    "clean_gain_high",
    "lm_eval",
    "strict",
    "flexible",
    "wrong",
    "no_answer",
    "truncated",
    "ungradable",
    "limit_reached",
    "mean_tokens",
    "steps",
    "trained_tokens",
    "generated_tokens",
    "teacher_tokens",
    "flops",
    "seconds",
    "gpu_seconds",
    "peak_memory_bytes",
    "energy_joules",
    "environment",
    "notes",
    "warnings",
    "sources",
    "records",
    "command",
)
"""Accuracies, shares and gains are shares of 1; cost is the mean of a seed.

`kind` is `trained`, `start`, or `quoted` for a figure of a publication, which has no rank.
"""


def render(leaderboard: Leaderboard) -> str:
    """Return the text of `leaderboards/<board>.csv`."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    for row in leaderboard.rows:
        for result in row.tasks or (None,):
            values = _values(leaderboard, row, result)
            writer.writerow([_cell(values.get(column)) for column in COLUMNS])
    for one in leaderboard.conditions.quoted:
        values = {
            "board": leaderboard.conditions.board,
            "trainer": one.name,
            "kind": "quoted",
            "task": one.task,
            "accuracy": one.accuracy,
            "notes": one.note,
            "sources": one.source,
        }
        writer.writerow([_cell(values.get(column)) for column in COLUMNS])
    return out.getvalue()


def _cell(value: object) -> object:
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, str):
        return cell(value)
    return "" if value is None else value


def _values(leaderboard: Leaderboard, row: Row, result: TaskResult | None) -> dict[str, object]:
    values: dict[str, object] = {
        "board": leaderboard.conditions.board,
        "trainer": row.trainer,
        "kind": "start" if row.start else "trained",
        "rank_low": row.rank[0] if row.rank else None,
        "rank_high": row.rank[1] if row.rank else None,
        "group": row.letters,
        "seeds": len(row.seeds),
        "seeds_failed": len(row.failed_seeds),
        "seeds_missing": len(row.missing_seeds),
        "environment": row.environment,
        "notes": "; ".join(row.notes),
        "warnings": "; ".join(sentence(leaderboard.conditions, one) for one in row.warnings),
        "sources": "; ".join(
            f"{s.trainer}: {s.distribution} {s.version} {s.source_sha256[:12]}" for s in row.sources
        ),
        "records": " ".join(ref.id for ref in row.records),
        "command": "; ".join(row.commands),
    }
    if row.cost is not None:
        values |= {name: value for name, value in row.cost if name in COLUMNS}
    if result is None:
        return values
    values |= {
        "task": result.task,
        "protocol": result.protocol,
        "ranking": result.ranking,
        "questions": result.accuracy.n,
        "accuracy": result.accuracy.accuracy,
        "accuracy_low": result.accuracy.low,
        "accuracy_high": result.accuracy.high,
        "seed_sd": result.accuracy.seed_sd,
        "samples": result.samples,
        "pass_at_k": _named(result.pass_at),
        "maj_at_k": result.majority,
        "lm_eval": _named(result.own),
        "overlap_13": None if row.start else result.overlap_13,
        "overlap_8": None if row.start else result.overlap_8,
        "strict": result.strict,
        "flexible": result.flexible,
        "limit_reached": result.limit_reached,
        "mean_tokens": result.mean_tokens,
        **{name: share for name, share in result.verdicts.items() if name in COLUMNS},
    }
    if result.clean is not None:
        values |= {
            "clean_questions": result.clean.n,
            "clean_accuracy": result.clean.accuracy,
            "clean_low": result.clean.low,
            "clean_high": result.clean.high,
        }
    for name, gain in (("gain", result.gain), ("clean_gain", result.clean_gain)):
        if gain is not None:
            ends = {f"{name}_low": gain.low, f"{name}_high": gain.high}
            values |= {name: gain.difference, **ends}
    if gain := result.gain:
        alone = result.ranking and sum(task.ranking for task in row.tasks) == 1
        values |= {
            "p": gain.p,
            "p_holm": row.gain.p_adjusted if alone and row.gain else None,
            "test": gain.test,
            "claim": gain.claim,
            "gain_format": gain.format,
            "gain_correctness": gain.correctness,
        }
    return values


def _named(values: Mapping[Any, float]) -> str:
    """Return named numbers in one cell: `1=0.31; 4=0.52`."""
    return "; ".join(f"{name}={value:.9g}" for name, value in values.items())
