"""Judging: a checkpoint's answers become scores, and stored answers become new scores."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.errors import TamperedError, UsageError
from harness.evaluate import score_name
from harness.protocols import get_protocol
from harness.records import (
    LETTERS,
    BoardRef,
    Record,
    Score,
    read_records,
    write_atomically,
    write_record,
)
from harness.verify import VERIFIER_VERSION, VerifierPool

if TYPE_CHECKING:
    from harness.boardfile import ScoreTable
    from harness.boards import Board
    from harness.runs import Folder


def judge(board: Board, answers: Path, out: Path, pool: VerifierPool) -> list[Score]:
    """Judge the generated answers of one checkpoint, and keep each judgement beside its answer.

    Args:
        board: Names the scores and holds the gold answers.
        answers: Folder with `<score>.jsonl` of `id`, `text`, `tokens` and `finish`.
        out: Where `<score>.jsonl` with problems, golds, texts and judgements is written.
        pool: The verifier.

    Returns:
        The scores in the board's order.
    """
    scores = []
    for table in board.file.scores:
        name = score_name(table.task, get_protocol(table.protocol).id)
        given = [json.loads(line) for line in (answers / f"{name}.jsonl").open(encoding="utf-8")]
        scores.append(_judge_score(board, table, given, out / f"{name}.jsonl", pool))
    return scores


def _judge_score(
    board: Board,
    table: ScoreTable,
    given: Sequence[Mapping[str, Any]],
    out: Path,
    pool: VerifierPool,
) -> Score:
    protocol, task = get_protocol(table.protocol), board.tasks[table.task]
    rows = board.test_rows(table)
    judged = pool.verify_many(
        [answer["text"] for answer in given],
        [row["answer"] for row in rows],
        task.conventions,
        form=protocol.form,
        truncated=[answer["finish"] == "length" for answer in given],
    )
    text = jsonl(
        [
            {
                **{key: answer[key] for key in ("id", "text", "tokens", "finish")},
                "problem": row["problem"],
                "gold": row["answer"],
                "verdict": str(judgement.verdict),
                "extracted": judgement.extracted,
                "read": judgement.read,
                "gold_read": judgement.gold_read,
                "why": judgement.why,
                "strict": judgement.strict,
                "flexible": judgement.flexible,
            }
            for answer, row, judgement in zip(given, rows, judged, strict=True)
        ]
    )
    write_atomically(out, text)
    return Score(
        task=table.task,
        task_version=task.version,
        task_digest=task.digest,
        protocol=protocol.id,
        ranking=table.ranking,
        max_new_tokens=table.max_new_tokens,
        n=len(rows),
        verdicts="".join(LETTERS[str(judgement.verdict)] for judgement in judged),
        strict=sum(judgement.strict for judgement in judged),
        flexible=sum(judgement.flexible for judgement in judged),
        completion_tokens=sum(answer["tokens"] for answer in given),
        limit_reached=sum(answer["finish"] == "length" for answer in given),
        samples_sha256=hashlib.sha256(text.encode()).hexdigest(),
        groups=_groups(rows),
    )


def _groups(rows: Sequence[Mapping[str, str]]) -> tuple[int, ...]:
    """Return the group of each problem by number; a problem without one is its own group."""
    if not any(row.get("group") for row in rows):
        return ()
    numbers: dict[tuple[str, str], int] = {}
    named = [("group", row["group"]) if row.get("group") else ("id", row["id"]) for row in rows]
    return tuple(numbers.setdefault(name, len(numbers)) for name in named)


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
        and record.board.digest == board.digest_under(record.verifier_version)
    ]
    written = []
    with VerifierPool(workers=1) as pool:
        for record in old:
            identity = f"{record.id.split('.regraded')[0]}.regraded-{VERIFIER_VERSION}"
            source, out = folder.answers(record.id), folder.answers(identity)
            for score in record.scores:
                path = source / f"{score_name(score.task, score.protocol)}.jsonl"
                if not path.is_file():
                    raise UsageError(f"the answers of record {record.id} are gone: {path}")
                if hashlib.sha256(path.read_bytes()).hexdigest() != score.samples_sha256:
                    raise TamperedError(f"{path} is not what record {record.id} was made from")
            scores = [
                # what was trained on is not judged anew
                score.model_copy(
                    update={"overlap_13": before.overlap_13, "overlap_8": before.overlap_8}
                )
                for score, before in zip(
                    judge(board, source, out, pool), record.scores, strict=True
                )
            ]
            changed = sum(
                before != after
                for one, other in zip(record.scores, scores, strict=True)
                for before, after in zip(one.verdicts, other.verdicts, strict=True)
            )
            new = record.model_copy(
                update={
                    "id": identity,
                    "board": BoardRef(name=board.name, digest=board.digest),
                    "scores": tuple(scores),
                    "verifier_version": VERIFIER_VERSION,
                    "created": datetime.now(UTC).isoformat(timespec="seconds"),
                    "supersedes": record.id,
                }
            )
            write_record(new, folder.records)
            written.append((new, changed))
    return written


def jsonl(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return rows as JSON lines, with sorted keys, so that equal rows are equal bytes."""
    return "".join(json.dumps(row, sort_keys=True) + "\n" for row in rows)
