"""Warnings about a leaderboard and its rows, as data; `harness.render.warnings` words them."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from math import log
from typing import TYPE_CHECKING, NamedTuple

from harness.leaderboard.cells import describe_environment, hardware, same_answers
from harness.leaderboard.data import LeaderboardWarning, WarningKind, WarningValue
from harness.leaderboard.origins import (
    COPIES,
    IDLE_SECONDS,
    LEANS,
    NEAR,
    Spent,
    beside,
    computed_times,
    from_teacher,
    toward_teacher,
    unaccounted,
)
from harness.leaderboard.stats import minimum_detectable
from harness.records import START

if TYPE_CHECKING:
    from harness.boards.conditions import Baseline, Benchmark, Conditions
    from harness.leaderboard.cells import Entry, Key
    from harness.leaderboard.data import TaskResult
    from harness.records import Record, Score, StageRef

# shares of answers beyond which a reader is warned
LIMIT_REACHED = 0.05
STRICT_FLEXIBLE = 0.02
UNGRADABLE = 0.01
FEW_QUESTIONS = 100
SLACK_SECONDS = 1.0  # by which two clocks may differ
# what a stage's notes say of test problems, which the host writes there
NOTED: dict[WarningKind, str] = {
    "within_reach": "test_problems_within_reach",
    "reached_for": "refused",
}
THRESHOLDS: dict[WarningKind, float] = {
    "token_limit": LIMIT_REACHED,
    "matching": STRICT_FLEXIBLE,
    "ungradable": UNGRADABLE,
    "shared_words": 0,  # problems
    "rephrased": 0,
}


def _warning(
    kind: WarningKind,
    score: Benchmark | TaskResult | None = None,
    task: str | None = None,
    **values: WarningValue,
) -> LeaderboardWarning:
    """Return a warning about one score, about a task under any protocol, or about neither."""
    task, protocol = (score.task, score.protocol) if score else (task, None)
    return LeaderboardWarning(kind=kind, task=task, protocol=protocol, values=values)


class Sorted(NamedTuple):
    """Warnings about rows, and those that hold for the rows alike."""

    rows: dict[str, list[LeaderboardWarning]]
    alike: list[LeaderboardWarning]  # about a score, its numbers those of the row in the middle


def sort_warnings(entries: Sequence[Entry], results: Mapping[str, Sequence[TaskResult]]) -> Sorted:
    """Return what a reader must know of each row that does not hold for its neighbours as well.

    What an answer's form or the data bring to a score, they bring to every row of it. So a row is
    marked where its number is further beyond the middle row's than a reader is warned of; and where
    the middle row's is itself beyond that, it is said once, of the score.
    """
    rows = {entry.trainer: list(row_warnings(entry)) for entry in entries}
    for trainer, seconds in _uncounted_seconds(entries).items():
        rows[trainer].append(_warning("costs_little", seconds=seconds))
    alike = _taken_from_all([rows[entry.trainer] for entry in entries if _trained(entry)])
    each: dict[WarningKind, dict[Key, dict[str, tuple[float, TaskResult]]]]
    each = defaultdict(lambda: defaultdict(dict))
    for entry in entries:
        for result in results[entry.trainer]:
            for kind, number in _numbers(result, entry.start):
                each[kind][result.task, result.protocol][entry.trainer] = number, result
    for kind, scores in each.items():
        for found in scores.values():
            usual, middle = sorted(found.values(), key=lambda one: one[0])[(len(found) - 1) // 2]
            if usual > THRESHOLDS[kind]:
                alike.append(_about_answers(kind, usual, middle))
            for trainer, (number, result) in found.items():
                if number - usual > THRESHOLDS[kind] and trainer != START:
                    rows[trainer].append(_about_answers(kind, number, result))
    return Sorted(rows, alike)


def _uncounted_seconds(entries: Sequence[Entry]) -> dict[str, float]:
    """Return the seconds of work of rows that their counted FLOPs do not account for.

    Rows are compared with those that were trained on the same hardware alone.
    """
    places: dict[frozenset[str], dict[str, Spent]] = defaultdict(dict)
    for entry in entries:
        where = frozenset(place for cell in entry.done for place in _trained_on(cell))
        if len(where) == 1:
            stages = [stage for cell in entry.done for stage in cell.stages]
            places[where][entry.trainer] = Spent.by(stages)
    return {name: found for rows in places.values() for name, found in unaccounted(rows).items()}


def _trained(entry: Entry) -> bool:
    return any(cell.stages for cell in entry.done)


def _taken_from_all(rows: Sequence[list[LeaderboardWarning]]) -> list[LeaderboardWarning]:
    """Take from rows what is said of the machine and holds for every one of them; return it."""
    machine: tuple[WarningKind, ...] = ("unconfined", "had_network")
    found = [_warning(kind) for kind in machine if all(_warning(kind) in row for row in rows)]
    if len(rows) < 2:
        return []
    for row in rows:
        row[:] = [one for one in row if one not in found]
    return found


def _numbers(result: TaskResult, start: bool) -> Iterator[tuple[WarningKind, float]]:
    """Yield what a reader may have to know of a row's answers to a score."""
    yield "token_limit", result.limit_reached
    yield "matching", abs(result.strict - result.flexible)
    yield "ungradable", result.verdicts["ungradable"]
    if not start:
        yield "shared_words", float(result.overlap_13)
        yield "rephrased", float(result.rephrased or 0)


def _about_answers(kind: WarningKind, number: float, result: TaskResult) -> LeaderboardWarning:
    if kind == "shared_words":
        whole = result.overlap_13 == result.accuracy.n
        return _warning("all_shared_words" if whole else kind, result, problems=round(number))
    if kind == "rephrased":
        return _warning(kind, result, problems=round(number))
    if kind == "matching":
        return _warning(kind, result, difference=number)
    return _warning(kind, result, share=number)


def row_warnings(entry: Entry) -> Iterator[LeaderboardWarning]:
    """Yield the warnings about a row's cells."""
    controlled = {one.control_of for cell in entry.cells for one in cell.stages if one.control_of}
    if controlled:
        yield _warning("control_arm", trainers=tuple(sorted(controlled)))
    if entry.claimed:
        yield _warning("claimed")
    failed = tuple(cell.seed for cell in entry.failed if cell.seed is not None)
    if failed and not entry.start:
        yield _warning("failed", seeds=failed)
    elif not entry.start and entry.total is None:
        yield _warning("unscored")
    missing = sorted({*entry.questions.conditions.seeds} - {*entry.seeds, *failed})
    if missing and not entry.start and entry.questions.claim == "trainers":
        yield _warning("missing_seeds", seeds=tuple(missing))
    if len({describe_environment(cell) for cell in entry.done}) > 1:
        yield _warning("seeds_scored_differently")
    if len({_recipe(cell) for cell in entry.done}) > 1:
        yield _warning("seeds_trained_differently")
    if len({frozenset(_trained_on(cell)) for cell in entry.done}) > 1:
        yield _warning("seeds_trained_elsewhere")
    yield from _process_warnings([stage for cell in entry.done for stage in cell.stages])
    yield from _origin_warnings(entry)


def _process_warnings(stages: Sequence[StageRef]) -> Iterator[LeaderboardWarning]:
    """Yield what a reader must know of the processes that trained; nothing where nobody looked."""
    how = [stage.environment.confinement for stage in stages if stage.environment]
    if any(text.startswith("none") for text in how):
        yield _warning("unconfined")
    if any(text and not text.endswith(("no network", "no TCP")) for text in how):
        yield _warning("had_network")
    for kind, name in NOTED.items():
        found = [_texts(stage.notes.get(name)) for stage in stages]
        if what := sorted({text for texts in found for text in texts}):
            yield _warning(kind, what="; ".join(what[:3]))
    computed = [times for stage in stages if (times := computed_times(stage.cost))]
    if computed:
        yield _warning("computes_otherwise", times=max(computed, key=lambda one: abs(log(one))))
    if share := beside(stages):
        yield _warning("computes_beside", share=share)
    contradictions = sorted({text for stage in stages for text in _contradictions(stage)})
    if contradictions:
        yield _warning("costs_contradict", what="; ".join(contradictions))


def _texts(noted: object) -> list[str]:
    """Return the texts of a note; what else may lie there says nothing."""
    return [one for one in noted if isinstance(one, str)] if isinstance(noted, list) else []


def _contradictions(stage: StageRef) -> Iterator[str]:
    """Yield where the cost that was counted inside a stage cannot be what it took."""
    outside, cost = stage.outside, stage.cost
    if outside is None or outside.attempts < stage.attempts:
        return  # of an attempt that a killed bench did not live to measure
    if cost.seconds > outside.seconds + SLACK_SECONDS:
        yield "more seconds than its process ran"
    if outside.seconds > 2 * cost.seconds + IDLE_SECONDS:
        yield "minutes more of its process than seconds that were counted"
    if not cost.flops and max(outside.cpu_seconds, outside.gpu_seconds) > IDLE_SECONDS:
        yield "no FLOPs in minutes of work"


def _origin_warnings(entry: Entry) -> Iterator[LeaderboardWarning]:
    """Yield what is to be said of where the weights of a row's cells come from."""
    origins = entry.questions.origins
    kinds: dict[WarningKind, Callable[[Record], bool]] = {
        "same_as_start": origins.unchanged,
        "same_as_teacher": lambda cell: from_teacher(cell) == 1,
        "uncounted": origins.uncounted,
    }
    for kind, holds in kinds.items():
        if found := [cell for cell in entry.done if holds(cell)]:
            yield _warning(kind, seeds=tuple(cell.seed for cell in found if cell.seed is not None))
    near = [share for cell in entry.done if NEAR <= (share := from_teacher(cell)) < 1]
    if near:
        yield _warning("near_teacher", share=max(near))
    leaning = [cosine for cell in entry.done if (cosine := toward_teacher(cell)) >= LEANS]
    if leaning and not any(from_teacher(cell) == 1 for cell in entry.done):
        copied = max(leaning) >= COPIES
        yield _warning("almost_teacher" if copied else "toward_teacher", cosine=max(leaning))
    if others := {other.cell for cell in entry.done for other in origins.others(cell)}:
        yield _warning("same_as_other", others=tuple(sorted(others)))


def _recipe(cell: Record) -> str:
    """Return what must be the same in all seeds of a row."""
    stages = [[one.trainer, one.source_sha256, one.options] for one in cell.stages]
    tuning = cell.tuning.model_dump(mode="json") if cell.tuning else {}
    for trial in tuning.get("trials", ()):
        del trial["cost"]  # seconds differ
    return json.dumps([*stages, tuning], sort_keys=True)


def _trained_on(cell: Record) -> set[str]:
    """Return the hardware that a cell's stages were trained on, as far as the record has it."""
    found = (stage.environment for stage in cell.stages)
    return {f"{where.gpus} x {hardware(where)}" for where in found if where is not None}


def board_warnings(
    conditions: Conditions,
    entries: Mapping[str, Entry],
    start: Entry | None,
    conflicts: Sequence[tuple[Record, Record]],
    asked: Collection[str] | None = None,
) -> Iterator[LeaderboardWarning]:
    """Yield the warnings about a whole board.

    Args:
        conditions: The board's.
        entries: Every row, by trainer.
        start: The start model, if it has every ranking score.
        conflicts: Finished records with other answers than the one that counts, each with that one.
        asked: The trainers that were asked for; None for all that the board plans.
    """
    if start is None:
        yield _warning("no_start_model")
    planned = set(conditions.trainers) if asked is None else {*asked}
    absent = tuple(sorted(planned - set(entries)))
    if absent:
        yield _warning("no_record", trainers=absent)
    yield from _mixed([cell for entry in entries.values() for cell in entry.done])
    for benchmark in conditions.benchmarks:
        key = (benchmark.task, benchmark.protocol)
        if benchmark.baseline is not None and start is not None and key in start.scores:
            yield from _off_baseline(benchmark, benchmark.baseline, start.scores[key])
    for record, counted in conflicts:
        what = "other weights" if same_answers(record, counted) else "other answers"
        yield _warning(
            "conflict", what=what, record=record.id, counted=counted.id, cell=counted.cell
        )


def benchmark_properties(
    conditions: Conditions, entries: Mapping[str, Entry]
) -> Iterator[LeaderboardWarning]:
    """Yield what holds for a benchmark or the board, whatever row is read."""
    for text in conditions.warnings:
        yield _warning("declared", text=text)
    seen = set()
    for benchmark in conditions.benchmarks:
        key = (benchmark.task, benchmark.protocol)
        scores = next((e.scores[key] for e in entries.values() if key in e.scores), None)
        if scores and benchmark.task not in seen:
            seen.add(benchmark.task)
            yield from _weak(benchmark, scores[0].n)


def _mixed(cells: Sequence[Record]) -> Iterator[LeaderboardWarning]:
    """Yield a warning for whatever should be the same in every cell and is not."""
    found: dict[str, set[str]] = defaultdict(set)
    for cell in cells:
        where = cell.environment
        found["hardware"].add(hardware(where))
        found["devices"].add(where.device)
        found["engines"].add(where.engine)
        engines = (stage.notes.get("rollout_engine") for stage in cell.stages)
        found["engines of rollouts"] |= {str(engine) for engine in engines if engine}
        found["dtypes"].add(where.dtype)
        found["batch sizes"].add(str(where.batch_size))
        found["implementations of attention"].add(where.attention)
        found["verifier versions"].add(cell.verifier_version)
        for package in ("torch", "transformers", "lm_eval"):
            found[f"versions of {package}"].add(where.packages.get(package, "unknown"))
    for what, values in found.items():
        if len(values) > 1:
            yield _warning("measured_differently", what=what, found=tuple(sorted(values)))
    trained = tuple(sorted({place for cell in cells for place in _trained_on(cell)}))
    if len(trained) > 1:
        yield _warning("trained_elsewhere", hardware=trained)


def _weak(benchmark: Benchmark, questions: int) -> Iterator[LeaderboardWarning]:
    """Yield why a task shows little, under whatever protocol, if it does."""
    if questions <= FEW_QUESTIONS:
        found = minimum_detectable(questions)
        yield _warning("few_questions", task=benchmark.task, questions=questions, detectable=found)
    if benchmark.note:
        yield _warning("unfit_to_rank", task=benchmark.task, reason=benchmark.note)


def _off_baseline(
    benchmark: Benchmark, expected: Baseline, scores: Sequence[Score]
) -> Iterator[LeaderboardWarning]:
    """Yield a warning if the start model is further off a published figure than it allows."""
    verified = expected.metric == "verified"
    measured = [score.accuracy if verified else score.own.get(expected.metric) for score in scores]
    found = [value for value in measured if value is not None]
    if not found:
        about = {"metric": expected.metric, "source": expected.source}
        yield _warning("no_figure_to_compare", benchmark, **about)
        return
    mean = sum(found) / len(found)
    if abs(mean - expected.accuracy) > expected.tolerance:
        figure = expected.model_dump()
        figure["expected"] = figure.pop("accuracy")
        yield _warning("off_baseline", benchmark, accuracy=mean, **figure)
