"""A leaderboard from its records: the one place where published numbers come from."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

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
)
from harness.leaderboard.multiple_testing import SIGNIFICANCE, holm, level_at
from harness.leaderboard.overall import overall
from harness.leaderboard.planning import noise_of, smallest_difference
from harness.leaderboard.ranking import rank, tally
from harness.leaderboard.results import compare_entries, probed, task_results
from harness.leaderboard.row import build_row
from harness.leaderboard.rules import NOTHING, Knowledge, about, objections
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
    conditions, later = _at_look([one for one in records if one.digest not in refused], conditions)
    aside = {one.digest for one in later}
    counted = [one for one in records if one.digest not in refused and one.digest not in aside]
    chosen = select_cells(counted, known)
    chosen.dropped += later
    level = level_at(looks, len(conditions.seeds)) if (looks := conditions.looks) else SIGNIFICANCE
    questions = BoardQuestions(conditions, [cell for row in chosen.kept.values() for cell in row])

    def ref(record: Record) -> RecordRef:
        return RecordRef(
            **{name: getattr(record, name) for name in ("id", "digest", "seed", "status")},
            **{key: value for key, value in vars(about(known, record)).items() if key != "place"},
        )

    entries = {
        name: Entry(
            name,
            cells,
            questions,
            claimed=any(cell.status == "ok" and about(known, cell).claimed for cell in cells),
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
    ranking = rank(rows, conditions.margin / 100, level)
    family = [entry.trainer for entry in rows if start and entry.compared]
    gains = {
        name: compare_entries(start, entries[name], questions.ranking) for name in family if start
    }
    adjusted = dict(zip(family, holm([gains[name].p for name in family], level), strict=True))
    results, tallies, score_family = tally(
        {row.trainer: task_results(row, start) for row in rows}, level
    )
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
        leads=leads_of(curves, level),
        reached=reached,
        matched_share=MATCHED,
        detectable=_detectable(questions, rows, start, ranking, gains, SIGNIFICANCE / level),
        probes=probed(start) if start else (),
        equal=ranking.equal,
        not_worse=ranking.not_worse,
        rows=_chains_adjusted(made, level),
        failures=tuple(
            _failure(cell, about(known, cell).file)
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
    return Leaderboard.model_validate(_tidy(result.model_dump()))


def _tidy(value: Any) -> Any:
    """Return data with every number rounded to nine digits, so that no machine's noise shows."""
    if isinstance(value, float):
        return float(f"{round(value, 12):.9g}") + 0.0
    if isinstance(value, dict):
        return {key: _tidy(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_tidy(item) for item in value]
    return value


def _at_look(records: Sequence[Record], conditions: Conditions) -> tuple[Conditions, list[Record]]:
    """Return the conditions of the last look that a row has all seeds of, and later records.

    A board that is not looked at several times is as it is. `records` are those that may count.
    """
    if not conditions.looks:
        return conditions, []
    done: dict[str, set[int | None]] = defaultdict(set)
    for one in records:
        if one.status == "ok" and one.share == 1 and one.scores:
            done[one.trainer].add(one.seed)
    seeds, looks = conditions.seeds, conditions.looks
    whole = [look for look in looks for found in done.values() if found >= {*seeds[:look]}]
    now = seeds[: max(whole, default=looks[0])]
    later = [one for one in records if one.seed is not None and one.seed not in now]
    return conditions.model_copy(update={"seeds": now}), later


def _chains_adjusted(rows: Sequence[Row], level: float) -> tuple[Row, ...]:
    """Correct what is said of chains for how many there are."""
    gains = [row.stage_gain for row in rows if row.stage_gain]
    adjusted = iter(holm([gain.p for gain in gains], level))
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
    stricter: float,
) -> Detectable | None:
    """Return what the verdicts of this page find, from what was measured.

    They are stricter by a factor than 5 % where a page is one look of several.
    """
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
        gain=smallest_difference(over_start, n, seeds, stricter * len(gains), 1)
        if over_start
        else None,
        pair=smallest_difference(over_rows, n, seeds, stricter * len(ranking.pairs))
        if over_rows
        else None,
        noise=over_rows,
    )


def _order(entry: Entry) -> tuple[bool, bool, bool, float, str]:
    """Order rows by accuracy; then come those not compared, mere claims, and those without.

    Of equal ones the name decides, so accuracies are rounded: their last digits are the machine's.
    """
    aside = not entry.compared and not entry.start
    accuracy = round(entry.total.mean, 12) if entry.total else 0.0
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
