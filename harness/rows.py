"""One row of a leaderboard, computed from the cells of its trainer and of the start model."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from harness.budget import Cost
from harness.caveats import describe_environment, row_warnings
from harness.distributions import t_quantile
from harness.entries import BoardQuestions, Entry, Key, correct_answers
from harness.records import LETTERS, Record, Score, total_cost
from harness.resampling import Comparison, compare, compare_checkpoints, mean_of_tasks
from harness.standings import Accuracy, Gain, RecordRef, Row, Source, TaskResult
from harness.stats import Interval, clustered_wilson, holm, split_gain, wilson

if TYPE_CHECKING:
    from harness.conditions import Benchmark

SIGNIFICANCE = 0.05


def compare_entries(
    first: Entry, second: Entry, keys: Sequence[Key], board: BoardQuestions
) -> Comparison:
    """Compare two entries on the mean of some tasks, by the test that their seeds allow."""
    single = len(keys) == 1 and not board.grouped(keys[0])
    if single and len(first.done) == len(second.done) == 1:
        mine, theirs = first.scores[keys[0]][0], second.scores[keys[0]][0]
        return compare_checkpoints(correct_answers(mine), correct_answers(theirs))
    samples = [mean_of_tasks([entry.samples[key] for key in keys]) for entry in (first, second)]
    return compare(*samples, first_trained=not first.start, second_trained=not second.start)


def _split(first: Entry, second: Entry, keys: Sequence[Key]) -> tuple[float, float]:
    """Return the format and correctness parts, the mean over tasks, seeds and start records."""
    parts = [
        split_gain(_readable(before), _readable(after))
        for key in keys
        for before in first.scores[key]
        for after in second.scores[key]
    ]
    # Every pairing of seeds weighs the same, so the parts sum to the difference of the means.
    per_task = Fraction(1, len(parts))
    return (
        float(sum((part.format for part in parts), Fraction(0)) * per_task),
        float(sum((part.correctness for part in parts), Fraction(0)) * per_task),
    )


def _readable(score: Score) -> tuple[int, int, int]:
    right = score.verdicts.count(LETTERS["correct"])
    return right, right + score.verdicts.count(LETTERS["wrong"]), score.n


def gain_between(
    first: Entry,
    second: Entry,
    keys: Sequence[Key],
    comparison: Comparison,
    p_adjusted: float | None = None,
) -> Gain:
    """Return the gain of the second entry over the first, with its two parts."""
    form, correctness = _split(first, second, keys)
    return Gain(
        to=first.trainer,
        difference=comparison.difference,
        low=comparison.low,
        high=comparison.high,
        p=comparison.p,
        p_adjusted=p_adjusted,
        test=comparison.test,
        claim=comparison.claim,
        format=form,
        correctness=correctness,
    )


def accuracy_of(entry: Entry, keys: Sequence[Key], board: BoardQuestions) -> Accuracy:
    """Return the accuracy with its interval over questions: Wilson, clustered by question."""
    total = mean_of_tasks([entry.samples[key] for key in keys])
    if len(keys) == 1:
        correct = np.stack([correct_answers(score) for score in entry.scores[keys[0]]])
        group = board.of(keys[0]).group
        if len(entry.done) == 1 and not board.grouped(keys[0]):
            low, high = wilson(int(correct.sum()), correct.size)
        elif total.groups == 1:
            low, high = Interval(0.0, 1.0)
        else:
            low, high = clustered_wilson(correct.ravel(), np.tile(group, len(entry.done)))
    else:
        half = t_quantile(0.975, max(1, total.groups - 1)) * max(
            float(total.questions.std()), 1.0 / (total.n + 2)
        )
        low, high = max(0.0, total.accuracy - half), min(1.0, total.accuracy + half)
    return Accuracy(
        accuracy=total.accuracy,
        low=low,
        high=high,
        seed_sd=total.seed_sd,
        n=sum(entry.scores[key][0].n for key in keys),
        seeds=total.seeds,
    )


def task_result(
    entry: Entry, benchmark: Benchmark, board: BoardQuestions, start: Entry | None
) -> TaskResult | None:
    """Return a row's result on one task, or None where a seed was not scored on it."""
    key = (benchmark.task, benchmark.protocol)
    scores = entry.scores.get(key)
    if not scores:
        return None
    answers = sum(score.n for score in scores)
    gain = None
    if start is not None and not entry.start and key in start.samples:
        gain = gain_between(start, entry, [key], compare_entries(start, entry, [key], board))
    return TaskResult(
        task=benchmark.task,
        protocol=benchmark.protocol,
        ranking=benchmark.ranking,
        accuracy=accuracy_of(entry, [key], board),
        gain=gain,
        strict=sum(score.strict for score in scores) / answers,
        flexible=sum(score.flexible for score in scores) / answers,
        verdicts={name: sum(score.counts[name] for score in scores) / answers for name in LETTERS},
        limit_reached=sum(score.limit_reached for score in scores) / answers,
        mean_tokens=sum(score.completion_tokens for score in scores) / answers,
    )


def _tally(tasks: Sequence[TaskResult]) -> tuple[int, int, int]:
    """Return on how many tasks a row beats, ties with and loses to the start model."""
    gains = [task.gain for task in tasks if task.gain is not None]
    adjusted = holm([gain.p for gain in gains])
    told = [gain.difference for gain, p in zip(gains, adjusted, strict=True) if p < SIGNIFICANCE]
    wins = sum(difference > 0 for difference in told)
    return wins, len(gains) - len(told), len(told) - wins


def _mean_cost(cells: Sequence[Record]) -> Cost | None:
    """Return the mean cost of a seed; the peak of memory is the highest."""
    if not any(cell.stages for cell in cells):
        return None
    total = total_cost(cell.cost for cell in cells).model_dump()
    for name, value in total.items():
        if name != "peak_memory_bytes" and value is not None:
            mean = value / len(cells)
            total[name] = mean if isinstance(value, float) else round(mean)
    return Cost(**total)


def _sources(cells: Sequence[Record]) -> tuple[Source, ...]:
    found = {
        Source(
            trainer=stage.trainer,
            plugin=stage.plugin,
            distribution=stage.distribution,
            version=stage.version,
            source_sha256=stage.source_sha256,
        ): None
        for cell in cells
        for stage in cell.stages
    }
    return tuple(found)


def record_ref(record: Record) -> RecordRef:
    """Return the reference to a record that a leaderboard keeps."""
    return RecordRef(id=record.id, digest=record.digest, seed=record.seed, status=record.status)


def build_row(
    entry: Entry,
    start: Entry | None,
    previous: Entry | None,
    board: BoardQuestions,
    *,
    gain: Comparison | None,
    p_adjusted: float | None,
    rank: tuple[int, int] | None,
    letters: str,
) -> Row:
    """Compute a row.

    Args:
        entry: The trainer's cells.
        start: The start model's, if it was scored.
        previous: Those of the chain without its last stage, if they are on the board.
        board: The board's questions.
        gain: The comparison with the start model by the ranking score.
        p_adjusted: Its p-value after Holm's correction, for a ranked row.
        rank: Best and worst place, for a ranked row.
        letters: Its group letters.
    """
    conditions = board.conditions
    results = [task_result(entry, one, board, start) for one in conditions.benchmarks]
    tasks = tuple(result for result in results if result is not None)
    wins, ties, losses = _tally(tasks)
    ranking = board.ranking
    stage_gain = None
    if previous is not None and previous.total is not None and entry.total is not None:
        comparison = compare_entries(previous, entry, ranking, board)
        stage_gain = gain_between(previous, entry, ranking, comparison)
    seeds = tuple(sorted(cell.seed for cell in entry.done if cell.seed is not None))
    failed = tuple(sorted(cell.seed for cell in entry.failed if cell.seed is not None))
    missing = () if entry.start else tuple(sorted({*conditions.seeds} - {*seeds, *failed}))
    return Row(
        trainer=entry.trainer,
        start=entry.start,
        rank=rank,
        letters=letters,
        seeds=seeds,
        failed_seeds=failed,
        missing_seeds=missing,
        accuracy=accuracy_of(entry, ranking, board) if entry.total is not None else None,
        gain=gain_between(start, entry, ranking, gain, p_adjusted) if start and gain else None,
        wins=wins,
        ties=ties,
        losses=losses,
        tasks=tasks,
        stage_gain=stage_gain,
        cost=_mean_cost(entry.done),
        parameters=next((c.checkpoint.parameters for c in entry.done if c.checkpoint), None),
        sources=_sources(entry.cells),
        environment="; ".join(sorted({describe_environment(cell) for cell in entry.done})),
        notes=_notes(entry.done),
        warnings=tuple(row_warnings(entry, tasks, missing)),
        records=tuple(record_ref(cell) for cell in entry.cells),
        commands=_commands(entry.cells),
    )


def _commands(cells: Sequence[Record]) -> tuple[str, ...]:
    """Return the commands that reproduce a row: one, where they differ in the seed alone."""
    found: dict[tuple[str, str], set[str]] = {}
    for cell in cells:
        before, option, rest = cell.command.partition(" --seeds ")
        seed, space, after = rest.partition(" ")
        found.setdefault((before + option, space + after), set()).add(seed)
    return tuple(
        before + ",".join(sorted(seeds, key=lambda seed: (len(seed), seed))) + after
        for (before, after), seeds in sorted(found.items())
    )


def _notes(cells: Sequence[Record]) -> tuple[str, ...]:
    """Return what trainers noted, one line a note; a note that differs by seed lists its values."""
    found: dict[tuple[str, str], list[str]] = {}
    for cell in cells:
        for stage in cell.stages:
            for name, value in sorted(stage.notes.items()):
                values = found.setdefault((stage.trainer, name), [])
                text = f"{value:.4g}" if isinstance(value, float) else str(value)
                if text not in values:
                    values.append(text)
    return tuple(f"{trainer}: {name} {', '.join(v)}" for (trainer, name), v in found.items())
