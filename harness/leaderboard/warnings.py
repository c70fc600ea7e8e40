"""Warnings: what a reader of a leaderboard must know before believing a row."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from harness.leaderboard.bootstrap import TRAINER_SEEDS
from harness.leaderboard.stats import minimum_detectable

if TYPE_CHECKING:
    from harness.boards.conditions import Baseline, Benchmark, Conditions
    from harness.leaderboard.cells import Entry
    from harness.leaderboard.data import TaskResult
    from harness.records import Environment, Record, Score

LIMIT_REACHED = 0.05
STRICT_FLEXIBLE = 0.02
UNGRADABLE = 0.01
FEW_QUESTIONS = 100


def label(conditions: Conditions, one: Benchmark | TaskResult) -> str:
    """Return a benchmark's name, with its protocol where the board scores the task twice."""
    several = sum(other.task == one.task for other in conditions.benchmarks) > 1
    return f"{one.task} ({one.protocol})" if several else one.task


def describe_environment(record: Record) -> str:
    """Return the hardware, engine, dtype, batch and attention that the scores were made with."""
    where = record.environment
    return (
        f"{_hardware(where)}, {where.device}, {where.engine}, {where.dtype}, batch"
        f" {where.batch_size}, {where.attention} attention"
    )


def _hardware(where: Environment) -> str:
    return where.gpu or where.processor or where.platform


def _trained_on(cell: Record) -> set[str]:
    """Return the hardware that a cell's stages were trained on, as far as the record says."""
    found = [stage.environment for stage in cell.stages if stage.environment is not None]
    return {f"{where.gpus} x {_hardware(where)}" for where in found}


def row_warnings(
    entry: Entry, tasks: Sequence[TaskResult], missing: Sequence[int], conditions: Conditions
) -> list[str]:
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
        name = label(conditions, task)
        if task.limit_reached > LIMIT_REACHED:
            lines.append(f"{name}: {task.limit_reached:.1%} of answers hit the token limit")
        if abs(task.strict - task.flexible) > STRICT_FLEXIBLE:
            lines.append(
                f"{name}: strict and flexible matching differ by"
                f" {100 * abs(task.strict - task.flexible):.1f} points"
            )
        if task.verdicts["ungradable"] > UNGRADABLE:
            lines.append(f"{name}: {task.verdicts['ungradable']:.1%} could not be graded")
        if task.overlap_13:
            lines.append(_overlap(name, task))
    if len({describe_environment(cell) for cell in entry.done}) > 1:
        lines.append("its seeds were scored on different hardware or engines")
    if len({_recipe(cell) for cell in entry.done}) > 1:
        lines.append("its seeds were trained with different options or versions of a trainer")
    trained = [_trained_on(cell) for cell in entry.done]
    if any(places != trained[0] for places in trained):
        lines.append("its seeds were trained on different hardware")
    return lines


def _overlap(name: str, task: TaskResult) -> str:
    problems = "1 problem shares" if task.overlap_13 == 1 else f"{task.overlap_13} problems share"
    said = f"{name}: {problems} 13 words in a row with training data"
    if task.clean is None:
        return f"{said}, and none does not"
    return f"{said}; the accuracy without them is in the details"


def _recipe(cell: Record) -> str:
    """Return what must be the same in all seeds of a row."""
    return json.dumps(
        [[one.trainer, one.source_sha256, one.options] for one in cell.stages], sort_keys=True
    )


def _mixed(cells: Iterable[Record]) -> list[str]:
    """Return a line for whatever should be the same in every cell and is not."""
    cells = list(cells)
    found: dict[str, set[str]] = {
        "hardware": {_hardware(cell.environment) for cell in cells},
        "devices": {cell.environment.device for cell in cells},
        "engines": {cell.environment.engine for cell in cells},
        "dtypes": {cell.environment.dtype for cell in cells},
        "batch sizes": {str(cell.environment.batch_size) for cell in cells},
        "implementations of attention": {cell.environment.attention for cell in cells},
        "verifier versions": {cell.verifier_version for cell in cells},
    }
    for package in ("torch", "transformers", "lm_eval"):
        found[f"versions of {package}"] = {
            cell.environment.packages.get(package, "unknown") for cell in cells
        }
    lines = [
        f"rows were measured with different {name}: {', '.join(sorted(values))}"
        for name, values in found.items()
        if len(values) > 1
    ]
    trained = {place for cell in cells for place in _trained_on(cell)}
    if len(trained) > 1:
        lines.append(f"trained on different hardware: {', '.join(sorted(trained))}")
    return lines


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
    told = set()
    for benchmark in conditions.benchmarks:
        key = (benchmark.task, benchmark.protocol)
        sample = next((e.samples[key] for e in entries.values() if key in e.samples), None)
        if sample is not None and benchmark.task not in told:
            told.add(benchmark.task)
            lines += _weak(benchmark, sample.n)
        if benchmark.baseline is not None and start is not None and key in start.samples:
            name = label(conditions, benchmark)
            lines += _off_baseline(name, benchmark.baseline, start.scores[key])
    return lines


def _weak(benchmark: Benchmark, questions: int) -> list[str]:
    """Return why a benchmark tells little, if it does."""
    lines = []
    if questions <= FEW_QUESTIONS:
        lines.append(
            f"{benchmark.task} has only {questions} questions: between two checkpoints a difference"
            f" under {100 * minimum_detectable(questions):.0f} points is seldom seen"
        )
    if benchmark.note:
        lines.append(f"{benchmark.task}: no ranking should rest on it: {benchmark.note}")
    return lines


def _off_baseline(name: str, expected: Baseline, scores: Sequence[Score]) -> list[str]:
    """Return a line if the start model is further off a published figure than it allows."""
    verified = expected.metric == "verified"
    measured = [score.accuracy if verified else score.own.get(expected.metric) for score in scores]
    found = [value for value in measured if value is not None]
    what = "" if verified else f" by lm-eval's {expected.metric}"
    if not found:
        return [f"{name}: no figure{what} to compare with {expected.source}"]
    mean = sum(found) / len(found)
    if abs(mean - expected.accuracy) <= expected.tolerance:
        return []
    line = (
        f"{name}: the start model scores {mean:.1%}{what}, while {expected.source} gives"
        f" {expected.accuracy:.1%} ± {100 * expected.tolerance:.1f} points"
    )
    return [f"{line} ({expected.note})" if expected.note else line]
