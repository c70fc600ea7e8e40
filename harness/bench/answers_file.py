"""Answers made elsewhere: their columns found, each judged, labels compared with the verdicts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain, islice
from pathlib import Path
from typing import Any

from harness.errors import UsageError
from harness.files import read_jsonl
from harness.tasks.canonical import problem_digest
from harness.verify.conventions import DEFAULT, Conventions
from harness.verify.extraction.extract import Form
from harness.verify.judgement import VERIFIER_VERSION, Judgement, Verdict
from harness.verify.workers.pool import VerifierPool
from harness.verify.workers.wire import judgement_fields

RESPONSES = ("output", "response", "completion", "answer_text", "generation", "text", "prediction")
GOLDS = ("gold", "gold_answer", "target", "reference", "ground_truth", "expected_answer")
LABELS = ("correct", "is_correct")
PROBLEMS = ("problem", "question", "prompt")
IDS = ("problem_id", "question_id", "id")


@dataclass(frozen=True)
class Columns:
    """Which column of a row is what."""

    answer: str
    gold: str | None  # None where gold answers come from a task
    label: str | None = None


@dataclass(frozen=True)
class Disagreement:
    """An answer whose label and verdict differ."""

    line: int  # of its file, counted from 1
    id: str
    model: str
    label: bool
    verdict: str
    gold: str
    extracted: str | None
    why: str


@dataclass
class Tally:
    """Counts of judged answers, in all and for each model that the rows name."""

    rows: int = 0
    verdicts: Counter[str] = field(default_factory=Counter)
    strict: int = 0  # match the gold in the protocol's own form, as strings or numbers
    flexible: int = 0  # the same anywhere at the end of the answer
    models: dict[str, Counter[str]] = field(default_factory=dict)  # the verdicts of each
    table: Counter[tuple[bool, str]] = field(default_factory=Counter)  # label and verdict
    disagreements: list[Disagreement] = field(default_factory=list)
    torn: bool = False  # whether the last line was torn and left out

    def add(
        self, judgement: Judgement, line: int, row: Mapping[str, Any], gold: str, columns: Columns
    ) -> None:
        """Count one row, of so many-th line of its file."""
        self.rows += 1
        verdict = judgement.verdict.value
        self.verdicts[verdict] += 1
        self.strict += judgement.strict
        self.flexible += judgement.flexible
        if model := str(row.get("model") or ""):
            self.models.setdefault(model, Counter())[verdict] += 1
        label = row.get(columns.label) if columns.label else None
        if label is None:
            return
        if not isinstance(label, bool) and label not in (0, 1):
            raise UsageError(f"line {line}: {columns.label!r} is {label!r}, not true or false")
        label = bool(label)
        self.table[label, verdict] += 1
        if label != (judgement.verdict is Verdict.correct):
            name, read, why = str(row.get("id", "")), judgement.extracted, judgement.why
            self.disagreements.append(
                Disagreement(line, name, model, label, verdict, gold, read, why)
            )

    @property
    def correct(self) -> int:
        return self.verdicts[Verdict.correct.value]

    @property
    def labelled(self) -> int:
        return sum(self.table.values())


def find_columns(
    row: Mapping[str, Any],
    *,
    answer: str | None = None,
    gold: str | None = None,
    golds_elsewhere: bool = False,
) -> Columns:
    """Return which column of a row is the response, which the gold answer, and which a label.

    A column that is not given is found by its name. With `golds_elsewhere` there may be none of
    gold answers, which a task then gives.

    Raises:
        UsageError: If they cannot be found; the text lists the columns.
    """
    there = ", ".join(sorted(row))
    for option, name in (("--answer", answer), ("--gold", gold)):
        if name is not None and name not in row:
            raise UsageError(f"{option}: the rows have no column {name!r}; they have {there}")
    gold = gold or next((name for name in GOLDS if name in row and name != answer), None)
    if answer is None:
        answer = next((name for name in RESPONSES if name in row and name != gold), None)
        if answer is None and "answer" in row and (gold not in (None, "answer") or golds_elsewhere):
            answer = "answer"
    if gold is None and "answer" in row and answer != "answer":
        gold = "answer"
    if answer is None:
        raise UsageError(f"cannot find the column of the responses among {there}; give --answer")
    if gold is None and not golds_elsewhere:
        raise UsageError(
            f"cannot find the column of the gold answers among {there};"
            " give --gold, or --task to take gold answers from a task"
        )
    label = next((name for name in LABELS if isinstance(row.get(name), bool | int)), None)
    return Columns(answer, gold, label)


def golds_of(rows: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """Return a task's gold answers by the digest and by the ids of their problems."""
    golds: dict[str, str] = {}
    for row in rows:
        names = (problem_digest(row["problem"]), row.get("source_id"), row.get("id"))
        golds |= {name: row["answer"] for name in names if name}
    return golds


def find_gold(row: Mapping[str, Any], golds: Mapping[str, str], number: int) -> str:
    """Return the gold answer of the problem that a row names by its text or its id."""
    texts = [problem_digest(row[name]) for name in PROBLEMS if isinstance(row.get(name), str)]
    for key in (*texts, *(str(row.get(name, "")) for name in IDS)):
        if key in golds:
            return golds[key]
    raise UsageError(
        f"line {number} names no problem of the task; a row needs its gold answer, or one of"
        f" {', '.join(PROBLEMS)} or {', '.join(IDS)} as the task has it"
    )


def rows_of(path: Path, tally: Tally) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the lines of a JSONL or JSONL.gz file that have rows, with their numbers, from 1.

    A torn last line is left out and noted.
    """

    def note_torn(number: int) -> None:
        tally.torn = True

    return read_jsonl(path, torn=note_torn)


def survey(
    path: Path, *, answer: str | None, gold: str | None, golds_elsewhere: bool
) -> tuple[int, Columns]:
    """Return the number of answers in a file and their columns, after reading all of it.

    The options are those of `find_columns`.

    Raises:
        UsageError: If a line or a column is not as it should be, or there is no answer.
    """
    rows = rows_of(path, Tally())
    first = next(rows, None)
    if first is None:
        raise UsageError(f"{path} holds no answer")
    columns = find_columns(first[1], answer=answer, gold=gold, golds_elsewhere=golds_elsewhere)
    seen: dict[tuple[str, ...], int] = {}
    count = 0
    for number, row in chain([first], rows):
        count += 1
        if "id" in row and "sample" in row:  # without it several answers to a question may follow
            name = tuple(str(row.get(key)) for key in ("model", "task", "id", "sample"))
            if seen.setdefault(name, number) != number:
                same = f"the id and the sample of line {seen[name]}"
                raise UsageError(f"line {number} of {path} has {same}: it would count twice")
    return count, columns


def judge_rows(
    rows: Iterable[tuple[int, Mapping[str, Any]]],
    pool: VerifierPool,
    columns: Columns,
    *,
    golds: Mapping[str, str] | None = None,
    conventions: Conventions = DEFAULT,
    form: Form = "boxed",
    tally: Tally,
    progress: Callable[[int], None] | None = None,
) -> Iterator[dict[str, Any]]:
    """Yield each row with a `judgement` and the `verifier` version added, in order.

    Rows come with the numbers of their lines, for messages. Only one batch is held in memory. A
    column `truncated` that is true means that an answer was cut off. `golds` are a task's
    (`golds_of`), for rows without a gold answer. Counts are added to `tally`, and `progress` is
    called with the size of each batch.

    Raises:
        UsageError: If a row lacks its answer or its gold answer.
    """
    source = iter(rows)
    while numbered := list(islice(source, 512)):
        batch = [row for _, row in numbered]
        expected = [
            _text(row, columns.gold, n) if columns.gold else find_gold(row, golds or {}, n)
            for n, row in numbered
        ]
        answers = [_text(row, columns.answer, n) for n, row in numbered]
        truncated = [bool(row.get("truncated", False)) for row in batch]
        problems = [
            next((row[name] for name in PROBLEMS if isinstance(row.get(name), str)), None)
            for row in batch
        ]
        judged = pool.verify_many(answers, expected, conventions, form, truncated, problems)
        for (line, row), gold, judgement in zip(numbered, expected, judged, strict=True):
            tally.add(judgement, line, row, gold, columns)
            fields = judgement_fields(judgement)
            yield {**row, "judgement": fields, "verifier": VERIFIER_VERSION}
        if progress is not None:
            progress(len(batch))


def agreement(tally: Tally) -> dict[str, int]:
    """Return how labels and verdicts agree: labelled, agree, and both kinds of difference."""
    differ = Counter(one.label for one in tally.disagreements)
    return {
        "labelled": tally.labelled,
        "agree": tally.labelled - differ.total(),
        "label_right_only": differ[True],
        "verdict_correct_only": differ[False],
    }


def _text(row: Mapping[str, Any], column: str, number: int) -> str:
    if column not in row:
        raise UsageError(f"line {number} has no {column!r}; it has {', '.join(sorted(row))}")
    value = row[column]
    if isinstance(value, list | dict):
        kind = "a list" if isinstance(value, list) else "an object"
        raise UsageError(f"line {number}: {column!r} is {kind}, not one text; give each a line")
    return value if isinstance(value, str) else "" if value is None else str(value)
