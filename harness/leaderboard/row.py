"""One row of a leaderboard, computed from the cells of its trainer and of the start model."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from harness.leaderboard.cells import Entry, describe_environment
from harness.leaderboard.comparison import PairedDifference
from harness.leaderboard.compute import (
    budget_used,
    controls_of,
    gain_over_control,
    mean_cost,
    tuned_row,
)
from harness.leaderboard.data import RecordRef, Row, TaskResult, TrainedBy
from harness.leaderboard.ranking import Ranking
from harness.leaderboard.results import accuracy_of, gain_between
from harness.records import Record


def _sources(cells: Sequence[Record]) -> tuple[TrainedBy, ...]:
    stages = (stage for cell in cells for stage in cell.stages)
    found = (
        TrainedBy(**{name: getattr(stage, name) for name in TrainedBy.model_fields})
        for stage in stages
    )
    return tuple(dict.fromkeys(found))


def build_row(
    entry: Entry,
    start: Entry | None,
    others: dict[str, Entry],
    ranking: Ranking,
    tasks: tuple[TaskResult, ...],
    tallied: tuple[int, int, int],
    gain: PairedDifference | None,
    p_adjusted: float | None,
    ref: Callable[[Record], RecordRef],
    again: Sequence[Record],
) -> Row:
    """Compute a row.

    Args:
        entry: The trainer's cells.
        start: The start model's, if it has every ranking score.
        others: The cells of every row, by trainer.
        ranking: Of the board.
        tasks: Its results.
        tallied: On how many scores it beats, ties with and loses to the start model.
        gain: The comparison with the start model by the ranking score, if there is one.
        p_adjusted: Its p-value after Holm's correction, for a ranked row.
        ref: Names a record.
        again: Records that confirm those of the trainer.
    """
    conditions, keys = entry.questions.conditions, entry.questions.ranking
    wins, ties, losses = tallied
    seeds = entry.seeds
    failed = tuple(sorted(cell.seed for cell in entry.failed if cell.seed is not None))
    missing = () if entry.start else tuple(sorted({*conditions.seeds} - {*seeds, *failed}))
    cost = mean_cost(entry.done)
    controls = controls_of(entry, others.values(), conditions)
    return Row(
        trainer=entry.trainer,
        start=entry.start,
        rank=ranking.places.get(entry.trainer),
        letters=ranking.letters.get(entry.trainer, ""),
        seeds=seeds,
        failed_seeds=failed,
        missing_seeds=missing,
        accuracy=accuracy_of(entry, keys) if entry.total is not None else None,
        gain=gain_between(start, entry, keys, gain, p_adjusted) if start and gain else None,
        wins=wins,
        ties=ties,
        losses=losses,
        tasks=tasks,
        overall=None,
        controls=controls,
        stage_gain=gain_over_control(entry, others, controls),
        curve=(),
        flops_to_reach=None,
        cost=cost,
        budget_used=budget_used(entry, conditions),
        tuning=tuned_row(entry),
        parameters=next((c.checkpoint.parameters for c in entry.done if c.checkpoint), None),
        sources=_sources(entry.cells),
        environment="; ".join(sorted({describe_environment(cell) for cell in entry.done})),
        notes=_notes(entry.done),
        warnings=(),
        records=tuple(map(ref, entry.cells)),
        claimed=entry.claimed,
        confirmations=tuple(map(ref, again)),
        commands=_commands(entry.cells),
    )


def _commands(cells: Sequence[Record]) -> tuple[str, ...]:
    """Return the commands that reproduce a row: one, where they differ in the seed alone."""
    found: dict[tuple[str, str], set[str]] = defaultdict(set)
    for cell in cells:
        before, option, rest = cell.command.partition(" --seeds ")
        seed, space, after = rest.partition(" ")
        found[before + option, space + after].add(seed)
    return tuple(
        before + ",".join(sorted(seeds, key=lambda seed: (len(seed), seed))) + after
        for (before, after), seeds in sorted(found.items())
    )


def _notes(cells: Sequence[Record]) -> tuple[str, ...]:
    """Return what trainers noted, one line a note; a note that differs by seed lists its values."""
    found: dict[tuple[str, str], dict[str, None]] = defaultdict(dict)
    for stage in (stage for cell in cells for stage in cell.stages):
        for name, value in sorted(stage.notes.items()):
            found[stage.trainer, name][_worded(value)] = None
    return tuple(f"{trainer}: {name} {', '.join(v)}" for (trainer, name), v in found.items())


def _worded(value: Any) -> str:
    """Return a JSON value for people: `correct 1, format 0` and not as a program writes it."""
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "none"}[value]
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_worded(each)}" for name, each in value.items())
    return "; ".join(map(_worded, value)) if isinstance(value, list | tuple) else str(value)
