"""One row of a leaderboard, computed from the cells of its trainer and of the start model."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.leaderboard.cells import Entry, describe_environment
from harness.leaderboard.comparison import PairedDifference
from harness.leaderboard.compute import (
    budget_used,
    controls_of,
    flops_to_reach,
    gain_over_control,
    mean_cost,
    tuned_row,
)
from harness.leaderboard.data import (
    CurvePoint,
    LeaderboardWarning,
    Overall,
    RecordRef,
    Row,
    TaskResult,
    TrainedBy,
)
from harness.leaderboard.ranking import Ranking
from harness.leaderboard.results import accuracy_of, gain_between
from harness.leaderboard.rules import Knowledge, about
from harness.records import Record


@dataclass(frozen=True)
class Page:
    """What the rows of a leaderboard are computed from, by trainer where nothing else is said."""

    entries: dict[str, Entry]  # the cells of every row
    start: Entry | None  # the start model's, if it has every ranking score
    ranking: Ranking
    results: Mapping[str, tuple[TaskResult, ...]]
    tallies: Mapping[str, tuple[int, int, int]]  # scores that beat the start model, tie, lose
    gains: Mapping[str, PairedDifference]  # comparisons with the start model by the ranking score
    adjusted: Mapping[str, float]  # their p-values after Holm's correction
    overall: Mapping[str, Overall]
    curves: Mapping[str, tuple[CurvePoint, ...]]
    reached: float | None  # accuracy that every curve reaches
    warnings: Mapping[str, Sequence[LeaderboardWarning]]
    known: Knowledge
    again: Mapping[str, Sequence[Record]]  # by the digest of a record, those that confirm it


def ref(record: Record, known: Knowledge) -> RecordRef:
    """Return how a page names a record."""
    return RecordRef(
        **{name: getattr(record, name) for name in ("id", "digest", "seed", "status")},
        **{key: value for key, value in vars(about(known, record)).items() if key != "place"},
    )


def build_row(entry: Entry, page: Page) -> Row:
    """Compute the row of a trainer's cells."""
    conditions, keys, name = entry.questions.conditions, entry.questions.ranking, entry.trainer
    wins, ties, losses = page.tallies[name]
    start, gain, curve = page.start, page.gains.get(name), page.curves.get(name, ())
    seeds = entry.seeds
    failed = tuple(sorted(cell.seed for cell in entry.failed if cell.seed is not None))
    missing = () if entry.start else tuple(sorted({*conditions.seeds} - {*seeds, *failed}))
    controls = controls_of(entry, page.entries.values(), conditions)
    again = [one for cell in entry.cells for one in page.again.get(cell.digest, ())]
    return Row(
        trainer=name,
        start=entry.start,
        rank=page.ranking.places.get(name),
        letters=page.ranking.letters.get(name, ""),
        seeds=seeds,
        failed_seeds=failed,
        missing_seeds=missing,
        accuracy=accuracy_of(entry, keys) if entry.total is not None else None,
        gain=gain_between(start, entry, keys, gain, page.adjusted[name])
        if start and gain
        else None,
        wins=wins,
        ties=ties,
        losses=losses,
        tasks=page.results[name],
        overall=page.overall.get(name),
        controls=controls,
        stage_gain=gain_over_control(entry, page.entries, controls),
        curve=curve,
        flops_to_reach=flops_to_reach(curve, page.reached or 0.0),
        cost=mean_cost(entry.done),
        budget_used=budget_used(entry, conditions),
        tuning=tuned_row(entry),
        parameters=next((c.checkpoint.parameters for c in entry.done if c.checkpoint), None),
        sources=_sources(entry.cells),
        environment="; ".join(sorted({describe_environment(cell) for cell in entry.done})),
        notes=_notes(entry.done),
        warnings=tuple(page.warnings[name]),
        records=tuple(ref(one, page.known) for one in entry.cells),
        claimed=entry.claimed,
        confirmations=tuple(ref(one, page.known) for one in again),
        commands=_commands(entry.cells),
    )


def _sources(cells: Sequence[Record]) -> tuple[TrainedBy, ...]:
    stages = (stage for cell in cells for stage in cell.stages)
    found = (
        TrainedBy(**{name: getattr(stage, name) for name in TrainedBy.model_fields})
        for stage in stages
    )
    return tuple(dict.fromkeys(found))


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
    """Return what trainers noted, one line a note; one that differs has each seed's, in order."""
    found: dict[tuple[int, str, str], list[str]] = defaultdict(list)
    for cell in sorted(cells, key=lambda one: one.seed or 0):
        for place, stage in enumerate(cell.stages):
            for name, value in sorted(stage.notes.items()):
                found[place, stage.trainer, name].append(_worded(value))
    return tuple(
        dict.fromkeys(f"{trainer}: {name} {_each(v)}" for (_, trainer, name), v in found.items())
    )


def _each(values: Sequence[str]) -> str:
    """Return what all have in common, or the value of each seed."""
    if len(set(values)) == 1:
        return values[0]
    return (" | " if any("," in one for one in values) else ", ").join(values)


def _worded(value: Any) -> str:
    """Return a JSON value for people: `correct 1, format 0` and not as a program writes it."""
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "none"}[value]
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_worded(each)}" for name, each in value.items())
    return "; ".join(map(_worded, value)) if isinstance(value, list | tuple) else str(value)
