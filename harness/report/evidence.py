"""What a report shows beyond the leaderboard: learning curves, verdicts by question, answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from harness.errors import HarnessError, UsageError
from harness.files import read_jsonl
from harness.leaderboard.cells import Key, correct_answers
from harness.leaderboard.diff import read_answers, representative
from harness.records import START, Record, Score

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
    return {metric: found[metric] for metric in METRICS if metric in found}


def _cell_curves(record: Record, folder: Path) -> dict[str, Curve]:
    points: dict[str, list[tuple[float, float]]] = {}
    for place, stage in enumerate(record.stages):
        events = _events(folder / "stages" / stage.stage / "events.jsonl")
        for number, event in enumerate(events):
            share = event.get("progress", event.get("spent", (number + 1) / len(events)))
            for metric in METRICS:
                value = event.get(metric)
                if isinstance(value, int | float) and isinstance(share, int | float):
                    done = (place + min(1.0, max(0.0, share))) / len(record.stages)
                    points.setdefault(metric, []).append((done, float(value)))
    curves = {}
    for metric, pairs in points.items():
        ordered = np.array(sorted(pairs))
        if len(ordered) > 1:
            curves[metric] = (ordered[:, 0], ordered[:, 1])
    return curves


def _events(path: Path) -> list[dict[str, Any]]:
    events = []
    # There may be no file, and the last line of a stage that was killed may be cut.
    with suppress(UsageError):
        for _, event in read_jsonl(path):
            events.append(event)
    return events


def changes(records: Sequence[Record], key: Key) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Return the trainers, the start model's answers and how each trainer changed them.

    Returns:
        Names; 0 or 1 per question, shape (n,); share of seeds right minus that, shape (rows, n).
    """
    start: np.ndarray | None = None
    right: dict[str, list[np.ndarray]] = {}
    for record in records:
        for score in record.scores:
            if (score.task, score.protocol) == key:
                answers = correct_answers(score).mean(axis=1)
                if record.trainer == START:
                    start = answers
                else:
                    right.setdefault(record.trainer, []).append(answers)
    if start is None or not right:
        return [], np.zeros(0), np.zeros((0, 0))
    return list(right), start, np.stack([np.mean(rows, axis=0) for rows in right.values()]) - start


@dataclass
class Exhibit:
    """One question with the answers of several rows."""

    why: str
    id: str
    problem: str
    gold: str
    answers: list[tuple[str, dict[str, Any]]] = field(default_factory=list)


def exhibits(
    records: Sequence[Record], folder: Path, key: Key, *, each: int = 5, rows: int = 8
) -> list[Exhibit]:
    """Return questions worth reading: the most fixed, the most broken, some never right.

    Args:
        records: One a cell, in the order of the board; the first seed of a row is shown.
        folder: The board's runs folder. Without answers there, nothing is returned.
        key: Task and protocol.
        each: Questions of each sort.
        rows: Rows whose answers are shown, the start model besides.
    """
    names, start, change = changes(records, key)
    if not names:
        return []
    shown: dict[str, list[dict[str, Any]]] = {}
    for name in (START, *names[:rows]):
        record = next(record for record in records if record.trainer == name and record.scores)
        score = _score(record, key)
        try:
            lines = read_answers(folder, record, score) if score else []
            shown[name] = representative(lines, score) if score else []
        except HarnessError:
            continue
    shown = {name: lines for name, lines in shown.items() if lines}
    if not shown:
        return []
    mean = change.mean(axis=0)
    order = np.argsort(-mean, kind="stable")
    never = np.flatnonzero((start == 0) & (change.max(axis=0) == 0))
    chosen = [("fixed by most trainers", i) for i in order[:each] if mean[i] > 0]
    chosen += [("broken by most trainers", i) for i in order[::-1][:each] if mean[i] < 0]
    chosen += [("never right", i) for i in never[:each]]
    return [_exhibit(why, int(i), shown) for why, i in chosen]


def _score(record: Record, key: Key) -> Score | None:
    return next((one for one in record.scores if (one.task, one.protocol) == key), None)


def _exhibit(why: str, place: int, shown: Mapping[str, Sequence[dict[str, Any]]]) -> Exhibit:
    first = next(iter(shown.values()))[place]
    exhibit = Exhibit(why, str(first["id"]), str(first["problem"]), str(first["gold"]))
    exhibit.answers = [(name, lines[place]) for name, lines in shown.items()]
    return exhibit
