"""Warnings: what a reader of a leaderboard must know before believing a row."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from harness.resampling import TRAINER_SEEDS

if TYPE_CHECKING:
    from harness.conditions import Conditions
    from harness.entries import Entry
    from harness.records import Record
    from harness.standings import TaskResult

LIMIT_REACHED = 0.05
STRICT_FLEXIBLE = 0.02
UNGRADABLE = 0.01
FEW_QUESTIONS = 30


def describe_environment(record: Record) -> str:
    """Return the hardware, engine, dtype and batch size that the scores were made on."""
    where = record.environment
    hardware = where.gpu or where.processor or where.platform
    return f"{hardware}, {where.device}, {where.engine}, {where.dtype}, batch {where.batch_size}"


def row_warnings(entry: Entry, tasks: Sequence[TaskResult], missing: Sequence[int]) -> list[str]:
    """Return what is to be said of one row."""
    lines = []
    if entry.failed:
        seeds = ", ".join("-" if cell.seed is None else str(cell.seed) for cell in entry.failed)
        lines.append(f"seed {seeds} failed: not ranked, the seeds that survived are no fair sample")
    elif not entry.start and entry.total is None:
        lines.append("not ranked: a score that the board ranks by is missing")
    if missing:
        lines.append(f"missing of the board's seeds: {', '.join(map(str, missing))}")
    if not entry.start and 0 < len(entry.done) < TRAINER_SEEDS:
        lines.append(
            f"{len(entry.done)} seed{'s' * (len(entry.done) > 1)}: says something of"
            f" {'these checkpoints' if len(entry.done) > 1 else 'this checkpoint'},"
            " not of the trainer"
        )
    for task in tasks:
        if task.limit_reached > LIMIT_REACHED:
            lines.append(f"{task.task}: {task.limit_reached:.1%} of answers hit the token limit")
        if abs(task.strict - task.flexible) > STRICT_FLEXIBLE:
            lines.append(
                f"{task.task}: strict and flexible matching differ by"
                f" {100 * abs(task.strict - task.flexible):.1f} points"
            )
        if task.verdicts["ungradable"] > UNGRADABLE:
            lines.append(f"{task.task}: {task.verdicts['ungradable']:.1%} could not be graded")
    if len({describe_environment(cell) for cell in entry.done}) > 1:
        lines.append("its seeds were scored on different hardware or engines")
    if len({_recipe(cell) for cell in entry.done}) > 1:
        lines.append("its seeds were trained with different options or versions of a trainer")
    return lines


def _recipe(cell: Record) -> str:
    """Return what must be the same in all seeds of a row."""
    return json.dumps(
        [[one.trainer, one.source_sha256, one.options] for one in cell.stages], sort_keys=True
    )


def _mixed(cells: Iterable[Record]) -> list[str]:
    """Return a line for whatever should be the same in every cell and is not."""
    cells = list(cells)
    found: dict[str, set[str]] = {
        "hardware": {cell.environment.gpu or cell.environment.processor for cell in cells},
        "devices": {cell.environment.device for cell in cells},
        "engines": {cell.environment.engine for cell in cells},
        "dtypes": {cell.environment.dtype for cell in cells},
        "batch sizes": {str(cell.environment.batch_size) for cell in cells},
        "verifier versions": {cell.verifier_version for cell in cells},
    }
    for package in ("torch", "transformers", "lm_eval"):
        found[f"versions of {package}"] = {
            cell.environment.packages.get(package, "unknown") for cell in cells
        }
    return [
        f"rows were measured with different {name}: {', '.join(sorted(values))}"
        for name, values in found.items()
        if len(values) > 1
    ]


def board_warnings(
    conditions: Conditions, entries: Mapping[str, Entry], start: Entry | None
) -> list[str]:
    """Return what is to be said of a whole board."""
    lines = list(conditions.warnings)
    if start is None:
        lines.append("the start model was not scored: no gain can be stated")
    absent = sorted(set(conditions.trainers) - set(entries))
    if absent:
        lines.append(f"planned and not there: {', '.join(absent)}")
    lines += _mixed(cell for entry in entries.values() for cell in entry.done)
    for benchmark in conditions.benchmarks:
        key = (benchmark.task, benchmark.protocol)
        sample = next((e.samples[key] for e in entries.values() if key in e.samples), None)
        if sample is not None and sample.n < FEW_QUESTIONS:
            lines.append(f"{benchmark.task} has only {sample.n} questions")
        expected = benchmark.baseline
        if expected is None or start is None or key not in start.samples:
            continue
        found = start.samples[key].accuracy
        if expected.metric != "verified":
            own = [score.own.get(expected.metric) for score in start.scores[key]]
            given = [value for value in own if value is not None]
            if not given:
                lines.append(f"{benchmark.task}: no {expected.metric} to compare with a baseline")
                continue
            found = sum(given) / len(given)
        if abs(found - expected.accuracy) > expected.tolerance:
            metric = "" if expected.metric == "verified" else f" ({expected.metric})"
            note = f" ({expected.note})" if expected.note else ""
            lines.append(
                f"{benchmark.task}: the start model scores {found:.1%}{metric}, while"
                f" {expected.source} gives {expected.accuracy:.1%}"
                f" ± {100 * expected.tolerance:.1f} points{note}"
            )
    return lines
