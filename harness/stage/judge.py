"""Judging: the generated answers of a checkpoint become verdicts and a score."""

from __future__ import annotations

import hashlib
import os
import re
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

from harness.errors import TamperedError
from harness.files import jsonl, read_jsonl, write_atomically
from harness.records import LETTERS, Score
from harness.stage.spec import JudgedScore
from harness.verify import Conventions, Judgement, VerifierPool

# of a score: what comes from training and from lm-eval, and not from judging answers
NOT_FROM_ANSWERS = frozenset({"overlap_13", "overlap_8", "rephrased", "own"})
MOST_JUDGES = 8  # processes that judge at once outside a stage
PLAIN = re.compile(r"-?\d+(?:/\d+)?")  # numbers in lowest terms: read differently, they differ


def cores() -> int:
    """Return how many processes judge outside a stage: one on each core, up to a limit."""
    here = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    return min(MOST_JUDGES, here)


def verifier_pool() -> VerifierPool:
    """Return what judges stored answers, on all cores."""
    return VerifierPool(workers=cores())


def judge(
    score: JudgedScore,
    problems: Sequence[Mapping[str, Any]],
    answers: Path,
    out: Path,
    pool: VerifierPool,
) -> Score:
    """Judge the answers to one score's problems, and keep each judgement beside its answer.

    What is kept quotes neither the gold answer nor the problem.

    The problems have `id`, `problem`, `answer` (the gold) and perhaps `group`. The file
    `<score>.jsonl` in `answers` has `id`, `sample`, `text`, `tokens` and `finish`, the samples of a
    question together and the questions in the order of `problems`.

    Raises:
        TamperedError: If the answers are not to these problems, in this order.
    """
    given = [row for _, row in read_jsonl(answers / f"{score.name}.jsonl")]
    found, text = judge_rows(score, problems, given, pool)
    write_atomically(out / f"{score.name}.jsonl", text)
    return found


def judge_rows(
    score: JudgedScore,
    problems: Sequence[Mapping[str, Any]],
    given: Sequence[Mapping[str, Any]],
    pool: VerifierPool,
) -> tuple[Score, str]:
    """Judge answers as `judge` does; return the score, and the lines that are kept of them."""
    rows = [row for row in problems for _ in range(score.samples)]
    if [answer["id"] for answer in given] != [row["id"] for row in rows]:
        raise TamperedError(
            f"the answers of {score.name} are not to the board's questions, in order"
        )
    judged = pool.verify_many(
        [answer["text"] for answer in given],
        [row["answer"] for row in rows],
        score.conventions,
        form=score.form,
        truncated=[answer["finish"] == "length" for answer in given],
        problems=[row["problem"] for row in rows],
    )
    text = jsonl(
        {
            **{key: answer[key] for key in ("id", "text", "tokens", "finish")},
            "sample": answer.get("sample", 0),  # earlier versions wrote one for each question
            **{key: value for key, value in vars(judgement).items() if key != "gold_read"},
        }
        for answer, judgement in zip(given, judged, strict=True)
    )
    found = Score(
        task=score.task,
        task_version=score.version,
        task_digest=score.digest,
        protocol=score.protocol,
        ranking=score.ranking,
        max_new_tokens=score.max_new_tokens,
        n=len(problems),
        samples=score.samples,
        majority=majority(judged, score.samples, score.conventions, pool),
        verdicts="".join(LETTERS[str(judgement.verdict)] for judgement in judged),
        strict=sum(judgement.strict for judgement in judged),
        flexible=sum(judgement.flexible for judgement in judged),
        unreadable=sum(judgement.reason == "unreadable" for judgement in judged),
        copied=sum(judgement.reason == "copied" for judgement in judged),
        completion_tokens=sum(answer["tokens"] for answer in given),
        limit_reached=sum(answer["finish"] == "length" for answer in given),
        samples_sha256=hashlib.sha256(text.encode()).hexdigest(),
        groups=_groups(problems),
    )
    return found, text


def majority(
    judged: Sequence[Judgement], samples: int, conventions: Conventions, pool: VerifierPool
) -> str:
    """Return the letter of each question's most frequent answer (Wang et al. 2023, 2203.11171).

    Answers vote; what was cut off, empty or ungradable does not, and where nothing votes the letter
    is that of the first sample. Ties go to the answer that was given first. Right answers are one
    answer; wrong ones are the same where the verifier reads or judges them the same.

    In `judged` the `samples` of a question are next to each other.
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
            same[number].setdefault(other, same[number].get(first, first))
    letters = ""
    for question, ballot, known in zip(questions, ballots, same, strict=True):
        votes = Counter(known.get(text, text) for text in ballot if text is not None)
        if votes:  # the first of the most frequent ones: a counter keeps their order
            letters += "W" if max(votes, key=lambda vote: votes[vote]) else "C"
        else:
            letters += LETTERS[str(question[0].verdict)]
    return letters


def _ballot(judgement: Judgement) -> str | None:
    """Return what an answer votes for: nothing, the right answer (empty), or what was read."""
    if judgement.verdict == "correct":
        return ""
    return (judgement.read or judgement.extracted) if judgement.verdict == "wrong" else None


def _groups(rows: Sequence[Mapping[str, str]]) -> tuple[int, ...]:
    """Number the groups of the problems; a problem without one is alone in its group."""
    if not any(row.get("group") for row in rows):
        return ()
    numbers: dict[tuple[str, str], int] = {}
    named = [("group", row["group"]) if row.get("group") else ("id", row["id"]) for row in rows]
    return tuple(numbers.setdefault(name, len(numbers)) for name in named)
