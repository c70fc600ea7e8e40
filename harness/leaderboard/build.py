"""A leaderboard from its records: the one place where published numbers come from."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from harness.errors import UsageError
from harness.leaderboard.cells import BoardQuestions, Entry, describe_environment, select_cells
from harness.leaderboard.comparison import TRAINER_SEEDS
from harness.leaderboard.data import Detectable, Failure, Leaderboard, Row, tidy
from harness.leaderboard.multiple_testing import holm
from harness.leaderboard.overall import overall
from harness.leaderboard.planning import noise_of, smallest_difference
from harness.leaderboard.ranking import rank, tally
from harness.leaderboard.results import compare_entries, task_results
from harness.leaderboard.row import build_row, record_ref
from harness.leaderboard.stats import minimum_detectable
from harness.leaderboard.warnings import benchmark_properties, board_warnings, sort_warnings
from harness.records import START

if TYPE_CHECKING:
    from harness.boards.conditions import Conditions
    from harness.leaderboard.comparison import PairedDifference
    from harness.leaderboard.ranking import Ranking
    from harness.records import Record


def build(records: Iterable[Record], conditions: Conditions) -> Leaderboard:
    """Compute a board's leaderboard from its records, superseded and failed ones included.

    Raises:
        UsageError: If there is no record, or one belongs to another board, has a seed or names a
            task that the board does not have, or was scored on other questions.
    """
    records = sorted(records, key=lambda record: record.id)
    if not records:
        raise UsageError(f"board {conditions.board!r} has no records yet: run harness bench first")
    for record in records:
        _check(record, conditions)
    kept, dropped, doubled = select_cells(records)
    questions = BoardQuestions(conditions, [cell for cells in kept.values() for cell in cells])
    entries = {name: Entry(name, cells, questions) for name, cells in kept.items()}
    # One claim on a page: on trainers from three seeds on, else on the checkpoints of its cells.
    whole = any(entry.ranked for entry in entries.values())
    questions.claim = (
        "trainers" if whole and len(conditions.seeds) >= TRAINER_SEEDS else "checkpoints"
    )
    rows = sorted(entries.values(), key=_order)
    start = entries.get(START)
    start = start if start and start.total else None
    ranking = rank(rows, conditions.margin / 100)
    family = [entry.trainer for entry in rows if start and entry.compared]
    gains = {
        name: compare_entries(start, entries[name], questions.ranking) for name in family if start
    }
    adjusted = dict(zip(family, holm([gains[name].p for name in family]), strict=True))
    results, tallies, score_family = tally({row.trainer: task_results(row, start) for row in rows})
    together = overall(rows, start)
    done = [cell for entry in entries.values() for cell in entry.done]
    marks = sort_warnings(rows, results)
    made = [
        build_row(
            entry,
            start,
            entries.get(entry.trainer.rpartition("+")[0]),
            ranking,
            results[entry.trainer],
            tallies[entry.trainer],
            gains.get(entry.trainer),
            adjusted.get(entry.trainer),
        ).model_copy(
            update={
                "overall": together.get(entry.trainer),
                "warnings": tuple(marks.rows[entry.trainer]),
            }
        )
        for entry in rows
    ]
    result = Leaderboard(
        conditions=conditions,
        claim=questions.claim,
        date=max(record.created for record in records)[:10],
        verifier=tuple(sorted({cell.verifier_version for cell in done})),
        hardware=tuple(sorted({describe_environment(cell) for cell in done})),
        packages=_packages(done),
        gain_family=len(family),
        pair_family=len(ranking.pairs),
        score_family=score_family,
        detectable=_detectable(questions, rows, start, ranking, gains),
        equal=ranking.equal,
        not_worse=ranking.not_worse,
        rows=_chains_adjusted(made),
        failures=tuple(_failure(cell) for entry in entries.values() for cell in entry.failed),
        superseded=tuple(record_ref(record) for record in dropped),
        warnings=tuple(board_warnings(conditions, entries, start, doubled)),
        properties=(*benchmark_properties(conditions, entries), *marks.alike),
    )
    return Leaderboard.model_validate(tidy(result.model_dump()))


def _chains_adjusted(rows: Sequence[Row]) -> tuple[Row, ...]:
    """Correct what is said of chains for how many there are."""
    gains = [row.stage_gain for row in rows if row.stage_gain]
    adjusted = iter(holm([gain.p for gain in gains]))
    return tuple(
        row.model_copy(
            update={"stage_gain": row.stage_gain.model_copy(update={"p_adjusted": next(adjusted)})}
        )
        if row.stage_gain
        else row
        for row in rows
    )


def _check(record: Record, conditions: Conditions) -> None:
    """Refuse a record that does not belong to the board."""
    if record.board.digest != conditions.digest:
        raise UsageError(
            f"record {record.id} was made under other conditions (board digest"
            f" {record.board.digest[:12]}, not {conditions.digest[:12]}); it cannot be joined"
        )
    if record.seed is not None and record.seed not in conditions.seeds:
        seeds = ", ".join(map(str, conditions.seeds))
        raise UsageError(
            f"record {record.id} has the seed {record.seed}, and board {conditions.board!r} fixes"
            f" the seeds {seeds}: take its file away, for seeds chosen afterwards prove nothing"
        )


def _detectable(
    questions: BoardQuestions,
    rows: Sequence[Entry],
    start: Entry | None,
    ranking: Ranking,
    gains: Mapping[str, PairedDifference],
) -> Detectable | None:
    """Return what the verdicts of this page find, from what was measured."""
    scored = [key for key in questions.ranking if key in questions.first]
    n = min((questions.of(key).sizes.size for key in scored), default=0)
    if not n or (not gains and not ranking.pairs):
        return None
    if questions.claim == "checkpoints":
        known = start or next(row for row in rows if row.total is not None)
        accuracy = known.total.mean if known.total else 0.5

        def found(comparisons: int) -> float | None:
            return minimum_detectable(n, accuracy, 0.5, comparisons) if comparisons else None

        return Detectable(gain=found(len(gains)), pair=found(len(ranking.pairs)), noise=None)
    seeds = len(questions.conditions.seeds)
    ranked = [row for row in rows if row.ranked]
    over_start, over_rows = (
        noise_of(ranked, pairs, n) for pairs in (gains.values(), ranking.pairs)
    )
    return Detectable(
        gain=smallest_difference(over_start, n, seeds, len(gains), 1) if over_start else None,
        pair=smallest_difference(over_rows, n, seeds, len(ranking.pairs)) if over_rows else None,
        noise=over_rows,
    )


def _order(entry: Entry) -> tuple[bool, bool, float, str]:
    """Order rows by accuracy; after them come those that are not compared, then those without."""
    aside = not entry.compared and not entry.start
    return entry.total is None, aside, -(entry.total.mean if entry.total else 0.0), entry.trainer


def _failure(cell: Record) -> Failure:
    return Failure(
        trainer=cell.trainer,
        seed=cell.seed,
        status=cell.status,
        error=cell.error or ("no scores" if cell.status == "ok" else ""),
        log=cell.log or "",
        record=cell.id,
    )


def _packages(cells: Sequence[Record]) -> dict[str, tuple[str, ...]]:
    found: dict[str, set[str]] = defaultdict(set)
    for cell in cells:
        for name, version in cell.environment.packages.items():
            found[name].add(version)
    return {name: tuple(sorted(versions)) for name, versions in sorted(found.items())}
