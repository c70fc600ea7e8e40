"""Two checkpoints, question by question: what the second one fixed and what it broke."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from harness.errors import UsageError, did_you_mean
from harness.files import read_jsonl
from harness.leaderboard.evidence import stored_answers
from harness.records import LETTERS, Frozen, Record, Score, read_records

if TYPE_CHECKING:
    from harness.boards.questions import Questions
    from harness.leaderboard.comparison import PairedDifference

Kind = Literal["fixed", "broken", "both_right", "both_wrong"]
KINDS: tuple[Kind, ...] = ("fixed", "broken", "both_wrong", "both_right")
NAMES = {letter: name for name, letter in LETTERS.items()}


class JudgedAnswer(Frozen):
    """One answer with what the verifier made of it."""

    verdict: str
    text: str
    extracted: str | None  # what was taken for the final answer
    read: str | None  # what was read in it
    why: str
    tokens: int


class Question(Frozen):
    """One question with both answers."""

    task: str
    protocol: str
    id: str
    kind: Kind
    problem: str | None  # None, as the gold is, where the task is not at hand
    gold: str | None
    first: JudgedAnswer
    second: JudgedAnswer


class TaskDifference(Frozen):
    """Two checkpoints on one task."""

    task: str
    protocol: str
    n: int
    samples: int = 1  # answers to each question, of which the most frequent one counts
    kinds: dict[Kind, int]
    verdicts: dict[str, dict[str, int]]  # verdict of the first -> of the second -> questions
    difference: float  # of the accuracies, second minus first
    low: float
    high: float
    p: float  # not adjusted for the number of tasks
    test: str  # exact McNemar, or t over questions where answers are not independent


class Difference(Frozen):
    """Two cells compared: counts by task, and questions with both answers."""

    first: str
    second: str
    tasks: tuple[TaskDifference, ...]
    questions: tuple[Question, ...]  # those that the filters let through
    filtered: int  # how many they let through, before the limit
    missing: tuple[str, ...] = ()  # a line for each task whose problems are not at hand


def find_record(folder: Path, name: str) -> Record:
    """Return a finished cell by its record's id, or by trainer and seed: `start`, `sft/0`.

    The folder is a board's runs folder, or one of published records. Of a cell without a seed the
    lowest one is taken.

    Raises:
        UsageError: If there is no such cell, or it has no scores.
    """
    place = folder / "records" if (folder / "records").is_dir() else folder
    if not place.is_dir():
        raise UsageError(f"no records in {folder}: run harness bench first")
    records = [record for record in read_records(place) if record.scores]
    found = [record for record in records if record.id == name] or [
        record for record in records if name in (record.cell, record.trainer)
    ]
    if not found:
        known = [record.cell for record in records]
        raise UsageError(f"no finished cell {name!r} in {place}; {did_you_mean(name, known)}")
    return min(found, key=lambda record: (record.seed or 0, record.created))


def _pairs(first: Record, second: Record) -> list[tuple[Score, Score]]:
    pairs = [
        (one, other)
        for one, other in product(first.scores, second.scores)
        if (one.task, one.protocol) == (other.task, other.protocol)
    ]
    if not pairs:
        raise UsageError(f"{first.cell} and {second.cell} share no task and protocol")
    for one, other in pairs:
        if (one.task_digest, one.n, one.samples) != (other.task_digest, other.n, other.samples):
            raise UsageError(
                f"{first.cell} and {second.cell} were scored on different questions of"
                f" {one.task!r}, or with another number of answers; they cannot be compared"
            )
    return pairs


def _task(one: Score, other: Score) -> TaskDifference:
    counts = Counter(zip(_letters(one), _letters(other), strict=True))
    kinds: dict[Kind, int] = dict.fromkeys(KINDS, 0)
    verdicts: dict[str, dict[str, int]] = defaultdict(dict)
    for (a, b), number in sorted(counts.items()):
        kinds[_kind(a == "C", b == "C")] += number
        verdicts[NAMES[a]][NAMES[b]] = number
    found = _compare(one, other)._asdict()
    return TaskDifference(
        **{name: getattr(one, name) for name in ("task", "protocol", "n", "samples")},
        **{name: found[name] for name in ("difference", "low", "high", "p", "test")},
        kinds=kinds,
        verdicts=verdicts,
    )


def _compare(one: Score, other: Score) -> PairedDifference:
    from harness.leaderboard.cells import correct_answers
    from harness.leaderboard.comparison import Questions, compare, compare_checkpoints, sample

    right = correct_answers(one), correct_answers(other)
    if one.samples == 1 and not one.groups:
        return compare_checkpoints(right[0][:, 0], right[1][:, 0])
    questions = Questions.of(one.n, one.groups)
    return compare(*(sample(each[None], questions) for each in right))


def _letters(score: Score) -> str:
    """Return one verdict for each question: of several answers, the most frequent answer's."""
    if score.samples == 1 or score.majority:
        return score.majority or score.verdicts
    raise UsageError(f"the record has no majority for the {score.samples} answers of {score.task}")


def _kind(first: bool, second: bool) -> Kind:
    if first == second:
        return "both_right" if first else "both_wrong"
    return "fixed" if second else "broken"


def read_answers(folder: Path, record: Record, score: Score) -> list[dict[str, Any]]:
    """Return the judged answers of one score, question by question, checked against the record.

    They have no problem and no gold answer: `harness.boards.questions` looks those up.

    Raises:
        UsageError: If they are not in the runs folder.
        TamperedError: If they are not those the record was made from.
    """
    return [row for _, row in read_jsonl(stored_answers(folder, record, score))]


def representative(lines: Sequence[dict[str, Any]], score: Score) -> list[dict[str, Any]]:
    """Return one answer to each question: the first with the verdict that counts for it."""
    k = score.samples
    chosen = []
    for place, letter in enumerate(_letters(score)):
        answers = lines[k * place : k * place + k]
        named = (line for line in answers if line["verdict"] == NAMES[letter])
        chosen.append(next(named, answers[0]))
    return chosen


def diff(
    folder: Path,
    first: str,
    second: str,
    questions: Questions | None = None,
    *,
    tasks: Sequence[str] = (),
    kinds: Sequence[str] = (),
    verdicts: Sequence[str] = (),
    search: str = "",
    limit: int | None = 20,
) -> Difference:
    """Compare two cells of a board's runs folder, named as for `find_record`.

    Args:
        folder: The board's runs folder, with `records` and `answers`.
        first: A cell.
        second: The other one.
        questions: Where problems and gold answers are looked up; None to show none.
        tasks: Only questions of these tasks.
        kinds: Only these kinds: fixed, broken, both_wrong, both_right.
        verdicts: Only questions where either answer has one of these verdicts.
        search: Only questions whose problem or answers contain this text, in any case.
        limit: At most so many questions; None for all.
    """
    _check("kind", kinds, KINDS)
    _check("verdict", verdicts, tuple(LETTERS))
    one, other = find_record(folder, first), find_record(folder, second)
    pairs = _pairs(one, other)
    _check("task", tasks, [score.task for score, _ in pairs])
    chosen = [pair for pair in pairs if not tasks or pair[0].task in tasks]
    found = [
        question
        for mine, theirs in chosen
        for question in _questions(folder, (one, mine), (other, theirs), questions)
        if (not kinds or question.kind in kinds)
        and (not verdicts or {question.first.verdict, question.second.verdict} & {*verdicts})
        and any(
            search.casefold() in text.casefold()
            for text in (question.problem or "", question.first.text, question.second.text)
        )
    ]
    return Difference(
        first=one.cell,
        second=other.cell,
        tasks=tuple(_task(mine, theirs) for mine, theirs in chosen),
        questions=tuple(found[:limit]),
        filtered=len(found),
        missing=tuple(questions.missing.values()) if questions else (),
    )


def _check(what: str, names: Sequence[str], known: Sequence[str]) -> None:
    for name in names:
        if name not in known:
            raise UsageError(f"no {what} {name!r}; {did_you_mean(name, known)}")


def _questions(
    folder: Path,
    one: tuple[Record, Score],
    other: tuple[Record, Score],
    questions: Questions | None,
) -> Iterator[Question]:
    score = one[1]
    rows = (questions.of(score) if questions else None) or {}
    mine, theirs = (representative(read_answers(folder, *each), each[1]) for each in (one, other))
    for first, second in zip(mine, theirs, strict=True):
        if first["id"] != second["id"]:
            raise UsageError(f"the answers to {score.task!r} are in different orders")
        row = rows.get(first["id"])
        yield Question(
            task=score.task,
            protocol=score.protocol,
            id=str(first["id"]),
            kind=_kind(first["verdict"] == "correct", second["verdict"] == "correct"),
            problem=row["problem"] if row else None,
            gold=row["answer"] if row else None,
            first=_judged(first),
            second=_judged(second),
        )


def _judged(line: Mapping[str, Any]) -> JudgedAnswer:
    return JudgedAnswer.model_validate({name: line[name] for name in JudgedAnswer.model_fields})
