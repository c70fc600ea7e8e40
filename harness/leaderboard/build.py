"""A leaderboard from its records: the one place where published numbers come from."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from statistics import median
from typing import TYPE_CHECKING

from harness.errors import UsageError
from harness.leaderboard.cells import BoardQuestions, Entry, describe_environment, select_cells
from harness.leaderboard.data import Detectable, Failure, Leaderboard, RecordRef, Refused, tidy
from harness.leaderboard.multiple_testing import holm
from harness.leaderboard.ranking import rank
from harness.leaderboard.results import compare_entries
from harness.leaderboard.row import build_row
from harness.leaderboard.rules import NOTHING, Knowledge, Known, objections
from harness.leaderboard.stats import minimum_detectable, t_quantile
from harness.leaderboard.warnings import board_warnings
from harness.records import START

if TYPE_CHECKING:
    from harness.boards.conditions import Conditions
    from harness.leaderboard.bootstrap import PairedDifference
    from harness.records import Record


def _detectable(comparisons: Iterable[PairedDifference]) -> float | None:
    found = [
        one.standard_error * (t_quantile(0.975, one.df) + t_quantile(0.8, one.df))
        for one in comparisons
    ]
    return median(found) if found else None


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
    rows = sorted(entries.values(), key=_order)
    start = entries.get(START)
    start = start if start and start.total else None
    # What is checked is not measured from a claim: a start model said to be worse makes gains.
    if start and start.claimed and not all(entry.claimed for entry in rows):
        start = None
    ranking = rank(rows)
    gains = {
        entry.trainer: compare_entries(start, entry, questions.ranking)
        for entry in rows
        if start and entry.total and not entry.start
    }
    # A gain of a row that is not ranked is shown, but claims nothing: Holm's family is without it.
    family = [name for name in ranking.order if name in gains]
    adjusted = dict(zip(family, holm([gains[name].p for name in family]), strict=True))
    reference = start or (entries[ranking.order[0]] if ranking.order else None)
    done = [cell for entry in entries.values() for cell in entry.done]
    n = min(
        (questions.of(key).group.size for key in questions.ranking if key in questions.first),
        default=0,
    )
    claims = {gains[name].claim for name in family} | {one.claim for one in ranking.pairs}
    result = Leaderboard(
        conditions=conditions,
        published=published,
        claim="mixed" if len(claims) > 1 else next(iter(claims), "checkpoints"),
        date=max(record.created for record in records)[:10],
        verifier=tuple(sorted({cell.verifier_version for cell in done})),
        hardware=tuple(sorted({describe_environment(cell) for cell in done})),
        packages=_packages(done),
        gain_family=len(family),
        pair_family=len(ranking.pairs),
        detectable=Detectable(
            checkpoints=minimum_detectable(n, reference.total.accuracy),
            gain=_detectable(gains[name] for name in family),
            pair=_detectable(ranking.pairs),
        )
        if n and reference and reference.total
        else None,
        rows=tuple(
            build_row(
                entry,
                start,
                entries.get(entry.trainer.rpartition("+")[0]),
                ranking,
                gains.get(entry.trainer),
                adjusted.get(entry.trainer),
                ref,
                [again for cell in entry.cells for again in chosen.again[cell.digest]],
            )
            for entry in rows
        ),
        failures=tuple(
            _failure(cell, about(cell).file)
            for cell in [*(one for row in rows for one in row.failed), *chosen.failed]
        ),
        superseded=tuple(map(ref, chosen.dropped)),
        refused=tuple(
            Refused(record=ref(one), trainer=one.trainer, reason=refused[one.digest])
            for one in records
            if one.digest in refused
        ),
        warnings=tuple(board_warnings(conditions, entries, start, chosen.conflicts, asked)),
    )
    return Leaderboard.model_validate(tidy(result.model_dump()))


def _order(entry: Entry) -> tuple[bool, bool, float, str]:
    """Order rows by accuracy, mere claims below what can be checked, those without one last."""
    accuracy = entry.total.accuracy if entry.total else 0.0
    return entry.claimed, entry.total is None, -accuracy, entry.trainer


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
