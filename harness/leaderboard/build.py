"""A leaderboard from its records: the one place where published numbers come from."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from harness.errors import UsageError
from harness.leaderboard.cells import BoardQuestions, Entry, describe_environment, select_cells
from harness.leaderboard.comparison import TRAINER_SEEDS
from harness.leaderboard.compute import (
    MATCHED,
    all_reach,
    curve_of,
    flops_to_reach,
    leads_of,
    points_of,
)
from harness.leaderboard.data import (
    Detectable,
    Failure,
    Leaderboard,
    RecordRef,
    Refused,
    Row,
    tidy,
)
from harness.leaderboard.multiple_testing import holm
from harness.leaderboard.overall import overall
from harness.leaderboard.planning import noise_of, smallest_difference
from harness.leaderboard.ranking import rank, tally
from harness.leaderboard.results import compare_entries, task_results
from harness.leaderboard.row import build_row
from harness.leaderboard.rules import NOTHING, Knowledge, Known, objections
from harness.leaderboard.stats import minimum_detectable
from harness.leaderboard.warnings import benchmark_properties, board_warnings, sort_warnings
from harness.records import START

if TYPE_CHECKING:
    from harness.boards.conditions import Conditions
    from harness.leaderboard.comparison import PairedDifference
    from harness.leaderboard.ranking import Ranking
    from harness.records import Record


def build(
    records: Iterable[Record],
    conditions: Conditions,
    known: Knowledge = NOTHING,
    *,
    published: bool = False,
    asked: Collection[str] | None = None,
) -> Leaderboard:
    """Compute a board's leaderboard from its records, superseded and failed ones included.

    Args:
        records: All records of the board.
        conditions: What the board fixes.
        known: What is known of the records, such as which of them are mere claims.
        published: Whether the rules of published boards hold (`leaderboard.rules`).
        asked: The trainers that were asked for; a planned one that was not is not missing.

    Raises:
        UsageError: If there is no record, or one belongs to another board, names a task that the
            board does not have, or was scored on other questions.
    """
    records = sorted(records, key=lambda record: (record.id, record.digest))
    if not records:
        raise UsageError(f"board {conditions.board!r} has no records yet: run harness bench first")
    for record in records:
        if record.board.digest != conditions.digest:
            raise UsageError(
                f"record {record.id} was made under other conditions (board digest"
                f" {record.board.digest[:12]}, not {conditions.digest[:12]}); it cannot be joined"
            )
    refused = objections(records, conditions, known, published=published)
    if len(refused) == len(records):
        first = records[0]
        raise UsageError(
            f"board {conditions.board!r}: no record can be counted; {first.cell}:"
            f" {refused[first.digest]}"
        )
    chosen = select_cells([one for one in records if one.digest not in refused], known)
    questions = BoardQuestions(conditions, [cell for row in chosen.kept.values() for cell in row])

    def about(record: Record) -> Known:
        return known.get(record.digest) or Known(record.id)

    def ref(record: Record) -> RecordRef:
        return RecordRef(
            **{name: getattr(record, name) for name in ("id", "digest", "seed", "status")},
            **{key: value for key, value in vars(about(record)).items() if key != "place"},
        )

    entries = {
        name: Entry(
            name,
            cells,
            questions,
            claimed=any(cell.status == "ok" and about(cell).claimed for cell in cells),
        )
        for name, cells in chosen.kept.items()
    }
    shares = {one.trainer: one.share for row in chosen.kept.values() for one in row}
    points = {name: entries.pop(name) for name in list(entries) if shares[name] < 1}
    # One claim on a page: on trainers from three seeds on, else on the checkpoints of its cells.
    whole = any(entry.ranked for entry in entries.values())
    questions.claim = (
        "trainers" if whole and len(conditions.seeds) >= TRAINER_SEEDS else "checkpoints"
    )
    rows = sorted(entries.values(), key=_order)
    start = entries.get(START)
    start = start if start and start.total else None
    # What is checked is not measured from a claim: a start model said to be worse makes gains.
    if start and start.claimed and not all(entry.claimed for entry in rows):
        start = None
    ranking = rank(rows, conditions.margin / 100)
    family = [entry.trainer for entry in rows if start and entry.compared]
    gains = {
        name: compare_entries(start, entries[name], questions.ranking) for name in family if start
    }
    adjusted = dict(zip(family, holm([gains[name].p for name in family]), strict=True))
    results, tallies, score_family = tally({row.trainer: task_results(row, start) for row in rows})
    together = overall(rows, start)
    done = [cell for entry in (*entries.values(), *points.values()) for cell in entry.done]
    marks = sort_warnings(rows, results)
    curves = {entry.trainer: curve_of(entry, points) for entry in rows}
    curves = {name: curve for name, curve in curves.items() if curve}
    shown = {
        name: found for name, curve in curves.items() if (found := points_of(curve, conditions))
    }
    reached = all_reach(list(shown.values()))
    made = [
        build_row(
            entry,
            start,
            entries,
            ranking,
            results[entry.trainer],
            tallies[entry.trainer],
            gains.get(entry.trainer),
            adjusted.get(entry.trainer),
            ref,
            [again for cell in entry.cells for again in chosen.again[cell.digest]],
        ).model_copy(
            update={
                "overall": together.get(entry.trainer),
                "curve": shown.get(entry.trainer, ()),
                "flops_to_reach": flops_to_reach(shown.get(entry.trainer, ()), reached or 0.0),
                "warnings": tuple(marks.rows[entry.trainer]),
            }
        )
        for entry in rows
    ]
    result = Leaderboard(
        conditions=conditions,
        published=published,
        claim=questions.claim,
        date=max(record.created for record in records)[:10],
        verifier=tuple(sorted({cell.verifier_version for cell in done})),
        judged_before=tuple(
            sorted({one.judged_before.verifier_version for one in done if one.judged_before})
        ),
        hardware=tuple(sorted({describe_environment(cell) for cell in done})),
        packages=_packages(done),
        gain_family=len(family),
        pair_family=len(ranking.pairs),
        score_family=score_family,
        leads=leads_of(curves),
        reached=reached,
        matched_share=MATCHED,
        detectable=_detectable(questions, rows, start, ranking, gains),
        equal=ranking.equal,
        not_worse=ranking.not_worse,
        rows=_chains_adjusted(made),
        failures=tuple(
            _failure(cell, about(cell).file)
            for cell in [
                *(one for row in (*rows, *points.values()) for one in row.failed),
                *chosen.failed,
            ]
        ),
        superseded=tuple(map(ref, chosen.dropped)),
        refused=tuple(
            Refused(record=ref(one), trainer=one.trainer, reason=refused[one.digest])
            for one in records
            if one.digest in refused
        ),
        warnings=tuple(board_warnings(conditions, entries, start, chosen.conflicts, asked)),
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


def _order(entry: Entry) -> tuple[bool, bool, bool, float, str]:
    """Order rows by accuracy; then come those not compared, mere claims, and those without."""
    aside = not entry.compared and not entry.start
    accuracy = entry.total.mean if entry.total else 0.0
    return entry.claimed, entry.total is None, aside, -accuracy, entry.trainer


def _failure(cell: Record, file: str) -> Failure:
    return Failure(
        trainer=cell.trainer,
        seed=cell.seed,
        status=cell.status,
        error=cell.error or ("no scores" if cell.status == "ok" else ""),
        log=cell.log or "",
        record=file,
    )


def _packages(cells: Sequence[Record]) -> dict[str, tuple[str, ...]]:
    found: dict[str, set[str]] = defaultdict(set)
    for cell in cells:
        for name, version in cell.environment.packages.items():
            found[name].add(version)
    return {name: tuple(sorted(versions)) for name, versions in sorted(found.items())}
