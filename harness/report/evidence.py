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

METRICS = {
    "loss": "training loss",
    "holdout_loss": "loss on the hold-out",
    "reward": "reward",
    "holdout_accuracy": "accuracy on the hold-out",
    "completion_tokens": "completion length, tokens",
    "kl": "divergence from the reference policy",
}
Curve = tuple[np.ndarray, np.ndarray]  # share of the training done, value


def learning_curves(
    records: Sequence[Record], folder: Path, limit: int = 16
) -> dict[str, dict[str, list[Curve]]]:
    """Return the curves of each metric, by trainer, one for each seed.

    The stages of a chain follow each other, each with an equal share of the axis. A stage that was
    not run in this folder has no curve.
    """
    found: dict[str, dict[str, list[Curve]]] = {}
    for record in records:
        for metric, points in _cell_curves(record, folder).items():
            by_trainer = found.setdefault(metric, {})
            if record.trainer in by_trainer or len(by_trainer) < limit:
                by_trainer.setdefault(record.trainer, []).append(points)
    return found


def _cell_curves(record: Record, folder: Path) -> dict[str, Curve]:
    points: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for place, stage in enumerate(record.stages):
        events: list[dict[str, Any]] = []
        # There may be no file, and the last line of a stage that was killed may be cut.
        with suppress(UsageError):
            for _, event in read_jsonl(folder / "stages" / stage.stage / "events.jsonl"):
                events.append(event)
        for number, event in enumerate(events):
            share = event.get("progress", event.get("spent", (number + 1) / len(events)))
            for metric in METRICS:
                value = event.get(metric)
                if isinstance(value, int | float) and isinstance(share, int | float):
                    done = (place + min(1.0, max(0.0, share))) / len(record.stages)
                    points[metric].append((done, float(value)))
    ordered = {metric: np.array(sorted(pairs)) for metric, pairs in points.items()}
    return {metric: (each[:, 0], each[:, 1]) for metric, each in ordered.items() if len(each) > 1}


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
