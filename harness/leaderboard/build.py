"""A leaderboard from its records: the one place where published numbers come from."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from harness.errors import UsageError
from harness.leaderboard.cells import (
    BoardQuestions,
    Entry,
    Selected,
    describe_environment,
    select_cells,
)
from harness.leaderboard.comparison import TRAINER_SEEDS
from harness.leaderboard.compute import (
    MATCHED,
    all_reach,
    curve_of,
    leads_of,
    points_of,
)
from harness.leaderboard.data import (
    Detectable,
    Failure,
    Leaderboard,
    Refused,
    Row,
)
from harness.leaderboard.multiple_testing import SIGNIFICANCE, holm, level_at
from harness.leaderboard.overall import overall
from harness.leaderboard.planning import noise_of, smallest_difference
from harness.leaderboard.ranking import rank, tally
from harness.leaderboard.results import compare_entries, probed, task_results
from harness.leaderboard.row import Page, build_row, ref
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
    records = _of_board(records, conditions)
    refused = objections(records, conditions, known, published=published)
    conditions, chosen = _chosen(records, refused, conditions, known)
    looks = conditions.looks
    level = level_at(looks, len(conditions.seeds)) if looks else SIGNIFICANCE
    questions = BoardQuestions(conditions, [cell for row in chosen.kept.values() for cell in row])
    entries, points = _entries(chosen, questions, known)
    rows = sorted(entries.values(), key=_order)
    start = _start(rows)
    gains, adjusted = _gains(rows, start, level)
    results, tallies, score_family = tally(
        {row.trainer: task_results(row, start) for row in rows}, level
    )
    marks = sort_warnings(rows, results)
    curves = {row.trainer: curve for row in rows if (curve := curve_of(row, points))}
    shown = {
        name: found for name, curve in curves.items() if (found := points_of(curve, conditions))
    }
    page = Page(
        entries=entries,
        start=start,
        ranking=rank(rows, conditions.margin / 100, level),
        results=results,
        tallies=tallies,
        gains=gains,
        adjusted=adjusted,
        overall=overall(rows, start),
        curves=shown,
        reached=all_reach(list(shown.values())),
        warnings=marks.rows,
        known=known,
        again=chosen.again,
    )
    done = [cell for entry in (*rows, *points.values()) for cell in entry.done]
    failed = [cell for entry in (*rows, *points.values()) for cell in entry.failed]
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
        gain_family=len(gains),
        pair_family=len(page.ranking.pairs),
        score_family=score_family,
        leads=leads_of(curves, level),
        reached=page.reached,
        matched_share=MATCHED,
        detectable=_detectable(questions, rows, start, page.ranking, gains, SIGNIFICANCE / level),
        probes=probed(start) if start else (),
        equal=page.ranking.equal,
        not_worse=page.ranking.not_worse,
        rows=_chains_adjusted([build_row(row, page) for row in rows], level),
        failures=tuple(
            _failure(cell, about(known, cell).file) for cell in (*failed, *chosen.failed)
        ),
        superseded=tuple(ref(one, known) for one in chosen.dropped),
        refused=tuple(
            Refused(record=ref(one, known), trainer=one.trainer, reason=refused[one.digest])
            for one in records
            if one.digest in refused
        ),
        warnings=tuple(board_warnings(conditions, entries, start, chosen.conflicts, asked)),
        properties=(*benchmark_properties(conditions, entries), *marks.alike),
    )
    return Leaderboard.model_validate(_tidy(result.model_dump()))


def _of_board(records: Iterable[Record], conditions: Conditions) -> list[Record]:
    """Return records in one order, after checking that there are some and all are of the board."""
    found = sorted(records, key=lambda record: (record.id, record.digest))
    if not found:
        raise UsageError(f"board {conditions.board!r} has no records yet: run harness bench first")
    for record in found:
        if record.board.digest != conditions.digest:
            raise UsageError(
                f"record {record.id} was made under other conditions (board digest"
                f" {record.board.digest[:12]}, not {conditions.digest[:12]}); it cannot be joined"
            )
    return found


def _chosen(
    records: Sequence[Record],
    refused: Mapping[str, str],
    conditions: Conditions,
    known: Knowledge,
) -> tuple[Conditions, Selected]:
    """Return the conditions of the page's look at the board, and which records count there."""
    if len(refused) == len(records):
        first = records[0]
        raise UsageError(
            f"board {conditions.board!r}: no record can be counted; {first.cell}:"
            f" {refused[first.digest]}"
        )
    joined = [one for one in records if one.digest not in refused]
    conditions, later = _at_look(joined, conditions)
    aside = {one.digest for one in later}
    chosen = select_cells([one for one in joined if one.digest not in aside], known)
    chosen.dropped += later
    return conditions, chosen


def _entries(
    chosen: Selected, questions: BoardQuestions, known: Knowledge
) -> tuple[dict[str, Entry], dict[str, Entry]]:
    """Return the cells of rows and those of points of curves, and decide what the page claims."""
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
    enough = len(questions.conditions.seeds) >= TRAINER_SEEDS
    questions.claim = "trainers" if whole and enough else "checkpoints"
    return entries, points


def _start(rows: Sequence[Entry]) -> Entry | None:
    """Return the start model's cells if gains can be measured from them."""
    start = next((row for row in rows if row.trainer == START), None)
    if start is None or not start.total:
        return None
    # What is checked is not measured from a claim: a start model said to be worse makes gains.
    if start.claimed and not all(row.claimed for row in rows):
        return None
    return start


def _gains(
    rows: Sequence[Entry], start: Entry | None, level: float
) -> tuple[dict[str, PairedDifference], dict[str, float]]:
    """Return how rows compare with the start model, and their p-values after Holm's correction."""
    gains = {
        row.trainer: compare_entries(start, row, row.questions.ranking)
        for row in rows
        if start and row.compared
    }
    adjusted = holm([one.p for one in gains.values()], level)
    return gains, dict(zip(gains, adjusted, strict=True))


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
