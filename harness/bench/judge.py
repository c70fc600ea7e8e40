"""Judging: a checkpoint's answers become scores, and stored answers become new scores."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.errors import TamperedError, UsageError
from harness.files import jsonl, write_atomically
from harness.leaderboard.stats import maj_at_k
from harness.records import LETTERS, BoardRef, Record, Score, read_records, write_record
from harness.tasks.protocols import score_name
from harness.verify import VERIFIER_VERSION, VerifierPool

if TYPE_CHECKING:
    from harness.bench.folder import Folder
    from harness.boards.board import Board
    from harness.boards.score import BoardScore
    from harness.verify import Conventions, Judgement

PLAIN = re.compile(r"-?\d+(?:/\d+)?")  # numbers in lowest terms: read differently, they differ


def judge(
    board: Board,
    answers: Path,
    out: Path,
    pool: VerifierPool,
    own: Mapping[str, Mapping[str, float]] | None = None,
) -> list[Score]:
    """Judge the generated answers of one checkpoint, and keep each judgement beside its answer.

    Args:
        board: Names the scores and holds the gold answers.
        answers: Folder with `<score>.jsonl` of `id`, `sample`, `text`, `tokens` and `finish`: the
            samples of a question stand together, the questions in the task's order.
        out: Where `<score>.jsonl` with problems, golds, texts and judgements is written.
        pool: The verifier.
        own: Name of a score under `lm_eval:<task>` -> lm-eval's own metrics, kept as they are.

    Returns:
        The scores in the board's order.
    """
    scores = []
    for one in board.scores:
        path = answers / f"{one.name}.jsonl"
        given = [json.loads(line) for line in path.open(encoding="utf-8")]
        score = _judge_score(board, one, given, out / path.name, pool)
        scores.append(score.model_copy(update={"own": dict((own or {}).get(one.name, {}))}))
    return scores


def _judge_score(
    board: Board,
    score: BoardScore,
    given: Sequence[Mapping[str, Any]],
    out: Path,
    pool: VerifierPool,
) -> Score:
    table, protocol, task = score.table, score.protocol, score.task
    problems = board.test_rows(table)
    rows = [row for row in problems for _ in range(table.samples)]
    if [answer["id"] for answer in given] != [row["id"] for row in rows]:
        raise TamperedError(
            f"the answers of {score.name} are not to the board's questions, in order"
        )
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
                "sample": answer.get("sample", 0),  # earlier versions wrote one for each question
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
        n=len(problems),
        samples=table.samples,
        majority=majority(judged, table.samples, task.conventions, pool),
        verdicts="".join(LETTERS[str(judgement.verdict)] for judgement in judged),
        strict=sum(judgement.strict for judgement in judged),
        flexible=sum(judgement.flexible for judgement in judged),
        completion_tokens=sum(answer["tokens"] for answer in given),
        limit_reached=sum(answer["finish"] == "length" for answer in given),
        samples_sha256=hashlib.sha256(text.encode()).hexdigest(),
        groups=_groups(problems),
    )


def majority(
    judged: Sequence[Judgement], samples: int, conventions: Conventions, pool: VerifierPool
) -> str:
    """Return the letter of each question's most frequent answer (Wang et al. 2023, 2203.11171).

    Answers vote; what was cut off, empty or ungradable does not, and where nothing votes the letter
    is that of the first sample. Ties go to the answer that was given first. Right answers are one
    answer; wrong ones are the same where the verifier reads or judges them the same.

    Args:
        judged: The samples of a question stand together.
        samples: Samples of each question; with one there is no vote.
        conventions: How the task compares answers.
        pool: The verifier.
    """
    if samples == 1:
        return ""
    questions = [judged[i : i + samples] for i in range(0, len(judged), samples)]
    ballots = [[_ballot(one) for one in question] for question in questions]
    texts = [
        {vote: one.extracted or "" for vote, one in zip(*pair, strict=True)}
        for pair in zip(ballots, questions, strict=True)
    ]
    # wrong answers that read differently and may be equal all the same, as (x+1)^2 written out
    pairs = [
        (number, first, other)
        for number, ballot in enumerate(ballots)
        for first, other in combinations(dict.fromkeys(text for text in ballot if text), 2)
        if not (PLAIN.fullmatch(first) and PLAIN.fullmatch(other))
    ]
    found = pool.verify_many(
        [texts[number][other] for number, _, other in pairs],
        [texts[number][first] for number, first, _ in pairs],
        conventions,
        form="bare",
    )
    same: list[dict[str, str]] = [{} for _ in questions]
    for (number, first, other), judgement in zip(pairs, found, strict=True):
        if judgement.verdict == "correct":
            known = same[number]
            known.setdefault(other, known.get(first, first))
    letters = ""
    for question, ballot, known in zip(questions, ballots, same, strict=True):
        votes = [text if text is None else known.get(text, text) for text in ballot]
        right = [one.verdict == "correct" for one in question]
        if any(vote is not None for vote in votes):
            letters += "C" if maj_at_k(votes, right) else "W"
        else:
            letters += LETTERS[str(question[0].verdict)]
    return letters


def _ballot(judgement: Judgement) -> str | None:
    """Return what an answer votes for: nothing, the right answer (empty), or what was read."""
    if judgement.verdict == "correct":
        return ""
    if judgement.verdict != "wrong":
        return None
    return judgement.read or judgement.extracted


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
                # what was trained on and lm-eval's own metrics are not judged anew
                score.model_copy(
                    update={
                        "overlap_13": before.overlap_13,
                        "overlap_8": before.overlap_8,
                        "own": before.own,
                    }
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
