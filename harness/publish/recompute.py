"""Records recomputed: their published answers are judged anew, with gold answers from the tasks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from harness.errors import DataMissing, PluginError, TamperedError, UsageError
from harness.publish.answers import Answers
from harness.records import Record, Score
from harness.stage.judge import NOT_FROM_ANSWERS, judge_rows
from harness.stage.spec import JudgedScore
from harness.tasks.protocols import protocol_of, score_name
from harness.tasks.task import Task
from harness.verify import VERIFIER_VERSION, VerifierPool

Tasks = Callable[[str], Task]
Asked = Mapping[tuple[str, str], int]  # task and protocol -> how many questions, the first ones
NO_LIMIT: Asked = {}


class CannotJudgeError(UsageError):
    """Answers cannot be judged here; the text says why."""


def differences(
    record: Record,
    answers: Answers,
    tasks: Tasks,
    pool: VerifierPool,
    asked: Asked = NO_LIMIT,
) -> list[str]:
    """Judge a record's answers anew and return, a line each, where its scores are others.

    Args:
        record: The record.
        answers: Its answers.
        tasks: Finds a task by its name.
        pool: Judges.
        asked: How many questions the board asks of tasks that it does not ask all of.

    Raises:
        CannotJudgeError: If a task is not at hand, has other questions, or another version of the
            verifier judged the record.
    """
    if record.verifier_version != VERIFIER_VERSION:
        raise CannotJudgeError(
            f"version {record.verifier_version} of the verifier judged it, and this is version"
            f" {VERIFIER_VERSION}"
        )
    found = []
    for score in record.scores:
        given = answers[score_name(score.task, score.protocol)]
        try:
            found += _differences(score, judged_anew(score, given, tasks, pool)[0])
            found += _unasked(score, tasks(score.task), asked)
        except TamperedError as error:
            found.append(f"{score.task}: {error}")
    return found


def judged_anew(
    score: Score,
    given: Sequence[Mapping[str, Any]],
    tasks: Tasks,
    pool: VerifierPool,
    *,
    earlier: bool = False,
) -> tuple[Score, str]:
    """Return a score as this version of the verifier judges its answers, and the judged lines.

    Args:
        score: The score.
        given: Its answers.
        tasks: Finds a task by its name.
        pool: Judges.
        earlier: Whether it may have been judged by earlier conventions of the task.

    Raises:
        CannotJudgeError: If the task is not at hand or has other questions.
    """
    try:
        task, protocol = tasks(score.task), protocol_of(score.protocol)
        rows = [row for row in task.split("test") if row["answer"].strip()][: score.n]
        digest = task.digest
    except DataMissing as error:
        raise CannotJudgeError(f"the data of {score.task} is not here: {error}") from None
    except (UsageError, PluginError) as error:
        raise CannotJudgeError(str(error)) from None
    known = task.digests if earlier else (digest,)
    if score.task_digest not in known or len(rows) != score.n:
        raise CannotJudgeError(f"task {score.task!r} has other questions here")
    wanted = JudgedScore(
        task=score.task,
        digest=digest,
        protocol=score.protocol,
        max_new_tokens=score.max_new_tokens,
        limit=score.n,
        samples=score.samples,
        version=task.version,
        ranking=score.ranking,
        form=protocol.form,
        conventions=task.conventions,
    )
    return judge_rows(wanted, rows, given, pool)


def _unasked(score: Score, task: Task, asked: Asked) -> list[str]:
    """Return that a score is of other questions than the board asks: of some that suit it."""
    there = len(task.graded("test"))
    wanted = min(there, asked.get((score.task, score.protocol), there))
    if score.n == wanted:
        return []
    return [
        f"{score.task}: it has {score.n:,} questions, and the board asks {wanted:,}; bench it again"
        " with all of them"
    ]


def _differences(claimed: Score, found: Score) -> list[str]:
    differ = []
    for name in Score.model_fields:
        mine, theirs = getattr(found, name), getattr(claimed, name)
        if name in NOT_FROM_ANSWERS or mine == theirs:
            continue
        if name == "samples_sha256":
            differ.append(
                f"{claimed.task}: its answers are not those that were judged, or another version of"
                " the harness kept them"
            )
        elif name == "verdicts":
            n = sum(a != b for a, b in zip(mine, theirs, strict=True))
            right = f"{theirs.count('C')} right, and its answers give {mine.count('C')}"
            differ.append(f"{claimed.task}: {n} verdicts are others; it says {right}")
        elif isinstance(mine, int | bool):
            differ.append(f"{claimed.task}: it says {name} {theirs}, and its answers give {mine}")
        else:
            differ.append(f"{claimed.task}: {name} is not what its answers give")
    return differ
