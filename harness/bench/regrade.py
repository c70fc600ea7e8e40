"""Judging again: the stored answers of a board become new scores under a newer verifier."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from harness.bench.folder import Folder
from harness.bench.stage_identity import judged_score
from harness.boards.board import Board
from harness.errors import UsageError
from harness.leaderboard.evidence import stored_answers
from harness.records import BoardRef, Record, Score, read_records, write_record
from harness.stage.judge import NOT_FROM_ANSWERS, judge, verifier_pool
from harness.verify import VERIFIER_VERSION, VerifierPool


def regrade(board: Board, folder: Folder) -> list[tuple[Record, int]]:
    """Judge the stored answers of a board again with this version of the verifier.

    A record that an earlier version judged gets a record that supersedes it; nothing is generated
    or trained. A checkpoint that was trained with an earlier version as its reward stays as it is:
    the versions are in the record of its stage.

    Returns:
        The new records, each with the number of verdicts that changed.

    Raises:
        UsageError: If there is nothing to judge again.
        TamperedError: If stored answers are not those that were scored.
    """
    if not folder.records.is_dir():
        raise UsageError(f"no records in {folder.path}: run harness bench first")
    old = [
        record
        for record in read_records(folder.records)
        if record.status == "ok"
        and record.verifier_version != VERIFIER_VERSION
        and record.board.digest in board.digests_under(record.verifier_version)
    ]
    written = []
    with verifier_pool() as pool:
        for record in old:
            identity = f"{record.id.split('.regraded')[0]}.regraded-{VERIFIER_VERSION}"
            source = folder.answers(record.id)
            for score in record.scores:
                stored_answers(folder.path, record, score)
            scores = _judged(board, record, source, folder.answers(identity), pool)
            verdicts = ("".join(one.verdicts for one in each) for each in (record.scores, scores))
            changed = sum(before != after for before, after in zip(*verdicts, strict=True))
            update = {
                "id": identity,
                "board": BoardRef(name=board.name, digest=board.digest),
                "scores": scores,
                "verifier_version": VERIFIER_VERSION,
                "created": datetime.now(UTC).isoformat(timespec="seconds"),
                "supersedes": record.id,
            }
            new = record.model_copy(update=update)
            write_record(new, folder.records)
            written.append((new, changed))
    return written


def _judged(
    board: Board, record: Record, source: Path, out: Path, pool: VerifierPool
) -> tuple[Score, ...]:
    """Return new scores; what was trained on and lm-eval's own metrics stay as they were."""
    scores = []
    for one, before in zip(board.scores, record.scores, strict=True):
        found = judge(judged_score(one), board.test_rows(one.table), source, out, pool)
        kept = {name: getattr(before, name) for name in NOT_FROM_ANSWERS}
        scores.append(found.model_copy(update=kept))
    return tuple(scores)
