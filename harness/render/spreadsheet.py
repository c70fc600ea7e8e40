"""A leaderboard as CSV: a line for each trainer and benchmark, plain numbers, safe to open.

Points of curves have a line each as well, and so have figures of publications.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from harness.costs import PARTS
from harness.records import at_share
from harness.render.escape import cell
from harness.render.tuning import setting_text
from harness.render.warnings import sentence

if TYPE_CHECKING:
    from harness.leaderboard.data import CurvePoint, Leaderboard, Row, TaskResult

COST = (
    *("steps", "trained_tokens", "generated_tokens", "teacher_tokens", "flops"),
    *("seconds", "gpu_seconds", "peak_memory_bytes", "energy_joules"),
)
NEWER = (*PARTS, "verifier_cpu_seconds")  # columns where a row has one of them


def render(leaderboard: Leaderboard) -> str:
    """Return the text of `leaderboards/<board>.csv`.

    Accuracies, shares and gains are shares of 1; cost is the mean of a seed. `kind` is `trained`,
    `control` for a control arm, `start`, `curve` for a trainer with a share of the budget, or
    `quoted` for a result from elsewhere. The last two have no rank.
    """
    lines = [
        _values(leaderboard, row, result)
        for row in leaderboard.rows
        for result in row.tasks or (None,)
    ]
    columns = list(lines[0])  # there is no leaderboard without a row
    lines += [
        _point(leaderboard, row, point)
        for row in leaderboard.rows
        for point in row.curve
        if point.share < 1
    ]
    lines += [
        {
            "board": leaderboard.conditions.board,
            "trainer": one.name,
            "kind": "quoted",
            "task": one.task,
            "accuracy": one.accuracy,
            "notes": one.note,
            "sources": one.source,
        }
        for one in leaderboard.conditions.quoted
    ]
    out = io.StringIO()
    writer = csv.DictWriter(out, columns, lineterminator="\n")
    writer.writeheader()
    for line in lines:
        writer.writerow({column: _cell(value) for column, value in line.items()})
    return out.getvalue()


def _cell(value: object) -> object:
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, str):
        return cell(value)
    return "" if value is None else value


def _values(leaderboard: Leaderboard, row: Row, result: TaskResult | None) -> dict[str, object]:
    """Return a line by column, in their order; every line has all columns, some of them empty."""
    accuracy, clean = (result.accuracy, result.clean) if result else (None, None)
    gain, clean_gain = (result.gain, result.clean_gain) if result else (None, None)
    # Holm's correction is over gains by which the board ranks: of one task alone, or of a mean.
    alone = result and result.ranking and sum(task.ranking for task in row.tasks) == 1
    verdicts = ("wrong", "no_answer", "truncated", "ungradable")
    more, arm = result.shared_gain if result else None, _arm_of(row)
    control = row.controls[0] if row.controls else None
    return {
        "board": leaderboard.conditions.board,
        "trainer": row.trainer,
        "kind": "start" if row.start else "control" if arm else "trained",
        "control_of": " ".join(arm),
        "share": None if row.start else 1,
        "rank_low": row.rank[0] if row.rank else None,
        "rank_high": row.rank[1] if row.rank else None,
        "group": row.letters,
        **_of(result, "task", "protocol", "ranking"),
        **_of(accuracy, questions="n"),
        **_of(result, "samples"),
        "seeds": len(row.seeds),
        "seeds_failed": len(row.failed_seeds),
        "seeds_missing": len(row.missing_seeds),
        **_of(accuracy, "accuracy", accuracy_low="low", accuracy_high="high"),
        **_of(accuracy, "question_sd", "seed_sd", "answer_sd"),
        **_of(gain, gain="difference", gain_low="low", gain_high="high", p="p"),
        "p_holm": row.gain.p_adjusted if alone and gain and row.gain else None,
        **_of(gain, "test", "claim", p_holm_page="p_adjusted"),
        **_of(gain, gain_format="format", format_low="format_low", format_high="format_high"),
        **_of(gain, gain_correctness="correctness"),
        **_of(gain, "correctness_low", "correctness_high"),
        "pass_at_k": _named({k: one.share for k, one in result.pass_at.items()})
        if result
        else None,
        **_of(result.majority if result else None, maj_at_k="share"),
        **_of(result.majority if result else None, maj_low="low", maj_high="high"),
        **_of(None if row.start else result, "overlap_13", "overlap_8", "rephrased"),
        **_of(clean, clean_questions="n", clean_accuracy="accuracy"),
        **_of(clean, clean_low="low", clean_high="high"),
        **_of(clean_gain, clean_gain="difference", clean_gain_low="low", clean_gain_high="high"),
        **_of(more, shared_gain="difference", shared_gain_low="low", shared_gain_high="high"),
        **_of(more, shared_p="p", shared_p_holm="p_adjusted"),
        **_of(control, control="trainer", control_budget_used="budget_used"),
        **_of(control, control_matched="matched"),
        **_of(row.stage_gain, stage_gain="difference", stage_gain_low="low"),
        **_of(row.stage_gain, stage_gain_high="high", stage_p="p", stage_p_holm="p_adjusted"),
        **_of(row, "flops_to_reach"),
        **_of(row.overall, mean_accuracy="accuracy", mean_gain="gain"),
        **_of(row.overall, mean_gain_low="low", mean_gain_high="high"),
        **_of(row.overall, "above_start", "above_others"),
        "lm_eval": _named(result.own) if result else None,
        **_of(result, "strict", "flexible"),
        **{name: result.verdicts[name] if result else None for name in verdicts},
        **_of(result, "unreadable", "copied", "limit_reached", "mean_tokens"),
        **_of(row, "budget_used"),
        **(_tuning(row) if leaderboard.conditions.tuning else {}),
        **_of(row.cost, *COST, *_newer(leaderboard)),
        "environment": row.environment,
        "notes": "; ".join(row.notes),
        "warnings": "; ".join(sentence(leaderboard.conditions, one) for one in row.warnings),
        "sources": "; ".join(
            f"{s.trainer}: {s.distribution} {s.version} {s.source_sha256[:12]}" for s in row.sources
        ),
        "records": " ".join(ref.id for ref in row.records),
        "command": "; ".join(row.commands),
    }


def _tuning(row: Row) -> dict[str, object]:
    """Return the columns of a board whose rows are tuned: what was chosen, and what that cost."""
    found = row.tuning if row.tuning and row.tuning.trials else None
    setting = found.setting if found else {}
    return {
        "trials": None if row.start else found.trials if found else 0,
        "setting": setting_text(setting) or None,
        **_of(found, holdout_default="default", holdout_accuracy="accuracy"),
        **_of(found, holdout_low="low", holdout_high="high"),
        "holdout_expected": _named({one.trials: one.accuracy for one in found.expected})
        if found
        else None,
        "trials_failed": len(found.failed) if found else None,
        **_of(found.cost if found else None, trials_flops="flops", trials_seconds="seconds"),
        **_of(found.cost if found else None, trials_gpu_seconds="gpu_seconds"),
    }


def _newer(leaderboard: Leaderboard) -> tuple[str, ...]:
    """Return what only records of later versions say of their cost, as far as a row says it."""
    costs = [row.cost for row in leaderboard.rows if row.cost]
    return tuple(name for name in NEWER if any(getattr(one, name) is not None for one in costs))


def _arm_of(row: Row) -> tuple[str, ...]:
    """Return the trainers that a row is a control arm of."""
    found = (one.values["trainers"] for one in row.warnings if one.kind == "control_arm")
    return tuple(str(name) for names in found if isinstance(names, tuple) for name in names)


def _point(leaderboard: Leaderboard, row: Row, point: CurvePoint) -> dict[str, object]:
    """Return the line of a point of a curve, by column; its accuracy is that of the ranking."""
    ranking = [one for one in leaderboard.conditions.benchmarks if one.ranking]
    alone = ranking[0] if len(ranking) == 1 else None
    return {
        "board": leaderboard.conditions.board,
        "trainer": at_share(row.trainer, point.share),
        "kind": "curve",
        "share": point.share,
        **_of(alone, "task", "protocol", "ranking", "samples"),
        **_of(point.accuracy, "seeds", questions="n"),
        **_of(point.accuracy, "accuracy", accuracy_low="low", accuracy_high="high"),
        **_of(point.accuracy, "question_sd", "seed_sd", "answer_sd"),
        **_of(point, "budget_used"),
        **_of(point.cost, *COST, *_newer(leaderboard)),
    }


def _of(what: object | None, *names: str, **named: str) -> dict[str, object]:
    """Return fields as columns of their names, then as columns named otherwise."""
    fields = dict(zip(names, names, strict=True)) | named
    return {column: getattr(what, name) if what else None for column, name in fields.items()}


def _named(values: Mapping[Any, float]) -> str:
    """Return named numbers in one cell: `1=0.31; 4=0.52`."""
    return "; ".join(f"{name}={value:.9g}" for name, value in values.items())
