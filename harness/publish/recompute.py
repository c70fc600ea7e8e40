"""Records recomputed: their published answers are judged anew, with gold answers from the tasks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from harness.errors import DataMissing, PluginError, TamperedError, UsageError
from harness.publish.answers import Answers, write_apart
from harness.records import Record, Score
from harness.stage.judge import judge
from harness.stage.spec import JudgedScore
from harness.tasks.protocols import protocol_of
from harness.tasks.task import Task
from harness.verify import VERIFIER_VERSION, VerifierPool

Tasks = Callable[[str], Task]
# what comes from training and from lm-eval, and not from the answers alone
NOT_FROM_ANSWERS = {"overlap_13", "overlap_8", "own"}


class CannotJudgeError(UsageError):
    """Answers cannot be judged here; the text says why."""


def differences(
    record: Record, answers: Answers, tasks: Tasks, pool: VerifierPool, scratch: Path
) -> list[str]:
    """Judge a record's answers anew and return, a line each, where its scores are others.

    Args:
        record: The record.
        answers: Its answers.
        tasks: Finds a task by its name.
        pool: Judges.
        scratch: A folder for files in between, which the next record may use too.

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
    given, out = scratch / "given", scratch / "judged"
    write_apart(answers, given)
    for score in record.scores:
        try:
            found += _differences(score, judged_anew(score, given, out, tasks, pool))
        except TamperedError as error:
            found.append(f"{score.task}: {error}")
    return found


def judged_anew(score: Score, given: Path, out: Path, tasks: Tasks, pool: VerifierPool) -> Score:
    """Return a score as this version of the verifier judges its answers.

    Args:
        score: The score.
        given: The folder with its answers, a file for each score.
        out: Where the judged answers are written.
        tasks: Finds a task by its name.
        pool: Judges.

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
    if digest != score.task_digest or len(rows) != score.n:
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
    return judge(wanted, rows, given, out, pool)


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
