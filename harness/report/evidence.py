"""What a report shows beyond the leaderboard: learning curves, verdicts by question, answers."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.errors import HarnessError, UsageError
from harness.files import read_jsonl
from harness.leaderboard.cells import Key, correct_answers
from harness.leaderboard.diff import read_answers, representative
from harness.records import START, Record, Score

if TYPE_CHECKING:
    from harness.boards.questions import Questions

LOSSES = {"loss": "training loss", "holdout_loss": "loss on the hold-out"}
"""Each trainer's is a quantity of its own: they are compared within one trainer only."""
METRICS = {
    "reward": "reward",
    "completion_tokens": "completion length, tokens",
    "kl": "divergence from the reference policy",
}
Point = tuple[float, float]  # share of the training done, value
Curve = tuple[np.ndarray, np.ndarray]  # the same of all points


def learning_curves(
    records: Sequence[Record], folder: Path, limit: int = 16
) -> dict[str, dict[str, list[Curve]]]:
    """Return curves by what they show and by row, one for each seed.

    What the losses of two trainers measure differs, so the loss of a stage is shown under its
    trainer's name, and a stage that several rows share once, for the row with the fewest stages.
    For all else the stages of a chain follow each other, each with an equal share of the axis. A
    stage that was not run in this folder has no curve.
    """
    found: dict[str, dict[str, list[Curve]]] = {}
    shown: set[str] = set()

    def keep(title: str, row: str, points: list[Point]) -> None:
        rows = found.setdefault(title, {})
        if len(points) > 1 and (row in rows or len(rows) < limit):
            share, value = np.array(sorted(points)).T
            rows.setdefault(row, []).append((share, value))

    for record in sorted(records, key=lambda one: len(one.stages)):  # stable
        names = record.trainer.split("+")
        whole: dict[str, list[Point]] = defaultdict(list)
        for place, stage in enumerate(record.stages):
            name = names[place] if len(names) == len(record.stages) else stage.trainer
            measured = _measured(folder / "stages" / stage.stage / "events.jsonl")
            for metric, points in measured.items():
                if metric in METRICS:
                    whole[metric] += [((place + x) / len(record.stages), y) for x, y in points]
                elif stage.stage not in shown:
                    keep(f"{LOSSES[metric]} of {name}", record.trainer, points)
            shown.add(stage.stage)
        for metric, points in whole.items():
            keep(METRICS[metric], record.trainer, points)
    return {title: rows for title, rows in found.items() if rows}


def _measured(path: Path) -> dict[str, list[Point]]:
    """Return what a stage logged, by metric."""
    events: list[dict[str, Any]] = []
    # There may be no file, and the last line of a stage that was killed may be cut.
    with suppress(UsageError):
        for _, event in read_jsonl(path):
            events.append(event)
    points: dict[str, list[Point]] = defaultdict(list)
    for number, event in enumerate(events):
        share = event.get("progress", event.get("spent", (number + 1) / len(events)))
        for metric in (*LOSSES, *METRICS):
            value = event.get(metric)
            if isinstance(value, int | float) and isinstance(share, int | float):
                points[metric].append((min(1.0, max(0.0, share)), float(value)))
    return points


def changes(records: Sequence[Record], key: Key) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Return the trainers, the start model's answers and how each trainer changed them.

    Returns:
        Names; 0 or 1 per question, shape (n,); share of seeds right minus that, shape (rows, n).
    """
    right: dict[str, list[np.ndarray]] = defaultdict(list)
    for record in records:
        if score := _score(record, key):
            right[record.trainer].append(correct_answers(score).mean(axis=1))
    starts = right.pop(START, [])
    if not starts or not right:
        return [], np.zeros(0), np.zeros((0, 0))
    start = starts[-1]
    return list(right), start, np.stack([np.mean(rows, axis=0) for rows in right.values()]) - start


@dataclass
class Exhibit:
    """One question with the answers of several rows."""

    why: str
    id: str
    problem: str  # empty, as the gold is, where the task is not at hand
    gold: str
    answers: list[tuple[str, dict[str, Any]]]  # by row


def exhibits(
    records: Sequence[Record],
    folder: Path,
    key: Key,
    questions: Questions | None = None,
    *,
    each: int = 5,
    rows: int = 8,
) -> list[Exhibit]:
    """Return questions worth reading: the most fixed, the most broken, some never right.

    Of each sort at most `each`, with the answers of the start model and of the first seed of so
    many rows, in the order of the records; nothing where the runs folder has no answers.
    """
    names, start, change = changes(records, key)
    if not names:
        return []
    shown: dict[str, list[dict[str, Any]]] = {}
    for name in (START, *names[:rows]):
        record = next(record for record in records if record.trainer == name and record.scores)
        if score := _score(record, key):
            with suppress(HarnessError):  # published records come without answers
                shown[name] = representative(read_answers(folder, record, score), score)
    if not shown:
        return []
    scored = (score for record in records if (score := _score(record, key)))
    asked = (questions.of(next(scored)) if questions else None) or {}
    mean = change.mean(axis=0)
    order = np.argsort(-mean, kind="stable")
    never = np.flatnonzero((start == 0) & (change.max(axis=0) == 0))
    chosen = [("fixed by most trainers", i) for i in order[:each] if mean[i] > 0]
    chosen += [("broken by most trainers", i) for i in order[::-1][:each] if mean[i] < 0]
    chosen += [("never right", i) for i in never[:each]]
    found = []
    for why, place in chosen:
        answers = [(name, lines[place]) for name, lines in shown.items()]
        id_ = str(answers[0][1]["id"])
        row = asked.get(id_, {})
        found.append(
            Exhibit(
                why=why,
                id=id_,
                problem=row.get("problem", ""),
                gold=row.get("answer", ""),
                answers=answers,
            )
        )
    return found


def _score(record: Record, key: Key) -> Score | None:
    return next((one for one in record.scores if (one.task, one.protocol) == key), None)
