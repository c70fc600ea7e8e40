"""One board in full, as `harness boards NAME` shows it."""

from __future__ import annotations

import textwrap
from typing import Any

from harness.boards.board import Board
from harness.boards.file import ScoreTable
from harness.render.escape import terminal

WIDTH = 100


def board(loaded: Board) -> dict[str, Any]:
    """Return what a board fixes, with its options; nothing is downloaded."""
    return {
        **loaded.conditions().model_dump(mode="json"),
        "file": str(loaded.path),
        "compute": loaded.file.compute.model_dump(mode="json"),
        "options": loaded.file.options,
    }


def board_text(loaded: Board) -> str:
    """Return one board for people."""
    file, conditions = loaded.file, loaded.conditions()
    lines = [f"{loaded.name}: {file.title}", f"  {loaded.path}", f"  digest {loaded.digest}", ""]
    traces = f"; traces {', '.join(file.data.traces)}" if file.data.traces else ""
    compute = file.compute.model_dump(mode="json", exclude_defaults=True)
    for name, value in (
        ("start model", conditions.start_model),
        ("teacher", conditions.teacher or "none"),
        ("trained on", conditions.data + traces),
        ("budget", conditions.budget),
        ("seeds", ", ".join(map(str, file.seeds))),
        ("trainers", ", ".join(file.trainers)),
        ("compute", _settings(compute) or "defaults"),
    ):
        lines += _wrapped(f"{name:<12} ", value)
    lines += ["", "scores"]
    for score in file.scores:
        lines += _wrapped("  ", _score(loaded, score))
    if file.options:
        lines += ["", "options that differ from the trainers' own"]
        for trainer, options in file.options.items():
            lines += _wrapped(f"  {trainer:<13} ", _settings(options))
    for title, rows in (
        ("notes", conditions.notes),
        ("warnings", conditions.warnings),
        (
            "quoted from others, never ranked",
            [
                f"{one.name}: {one.task} {100 * one.accuracy:.1f} % ({one.source}; {one.note})"
                for one in file.quoted
            ],
        ),
    ):
        if rows:
            lines += ["", title, *(line for row in rows for line in _wrapped("  ", row))]
    return "".join(f"{terminal(line, 400)}\n" for line in lines)


def _score(loaded: Board, score: ScoreTable) -> str:
    text = f"{score.task} under {score.protocol}: {loaded.problems(score):,} problems"
    text += f", up to {score.max_new_tokens:,} tokens"
    if score.temperature:
        text += f", {score.samples} at temperature {score.temperature:g}, top-p {score.top_p:g}"
    text += ", ranks" if score.ranking else ""
    if score.baseline:
        one = score.baseline
        metric = "" if one.metric == "verified" else f" of {one.metric}"
        text += f"; baseline {100 * one.accuracy:.1f} ± {100 * one.tolerance:.1f} %{metric}"
        text += f" by {one.source}" + (f" ({one.note})" if one.note else "")
    return text


def _settings(values: dict[str, Any]) -> str:
    return ", ".join(f"{name}={value}" for name, value in values.items())


def _wrapped(before: str, text: str) -> list[str]:
    after = " " * max(4, len(before) if len(before) > 2 else 4)
    return textwrap.wrap(
        text,
        WIDTH,
        initial_indent=before,
        subsequent_indent=after,
        break_long_words=False,
        break_on_hyphens=False,
    )
