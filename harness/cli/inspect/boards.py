"""`harness boards`: the list of boards, or one board in full."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from harness.boards.board import Board, known_boards
from harness.boards.file import ScoreTable, read_board_file
from harness.cli import options
from harness.errors import HarnessError
from harness.plugin.host import Host


@click.command("boards")
@click.argument("board", required=False)
@options.data_option
@options.json_option
def command(board: str | None, data_dir: Path | None, as_json: bool) -> None:
    """List the boards, or show one in full.

    BOARD is a board's name or TOML file. Nothing is downloaded.
    """
    if board is None:
        options.print_found(_rows(), as_json, _rows_lines)
        return
    _, loaded = options.open_board(board, data_dir, download=False)
    if as_json:
        options.print_json(_board(loaded))
    else:
        options.print_lines(_board_lines(loaded), 400)


def _rows() -> list[dict[str, Any]]:
    """Return every board with its conditions in short, or the reason why it cannot be used."""
    rows: list[dict[str, Any]] = []
    shown = {"title", "start_model", "teacher", "trainers", "seeds"}
    for name, path in sorted(known_boards(Host()).items()):
        try:
            file = read_board_file(path)
        except HarnessError as error:
            rows.append({"name": name, "error": str(error)})
            continue
        rows.append(
            {
                "name": name,
                **file.model_dump(mode="json", include=shown),
                "budget": file.budget.set_caps(),
                "scores": [f"{s.task} ({s.protocol})" for s in file.scores],
            }
        )
    return rows


def _rows_lines(rows: list[dict[str, Any]]) -> list[str]:
    lines = []
    for row in rows:
        if "error" in row:
            lines.append(f"{row['name']}: {row['error']}")
            continue
        lines += [
            f"{row['name']}: {row['title']}",
            f"  trainers {', '.join(row['trainers'])}; seeds {', '.join(map(str, row['seeds']))}",
            f"  scores {', '.join(row['scores'])}",
        ]
    return [*lines, "harness boards BOARD shows one in full"]


def _board(loaded: Board) -> dict[str, Any]:
    return {
        **loaded.conditions().model_dump(mode="json"),
        "file": str(loaded.path),
        "compute": loaded.file.compute.model_dump(mode="json"),
        "options": loaded.file.options,
    }


def _board_lines(loaded: Board) -> list[str]:
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
        lines += options.wrapped(f"{name:<12} ", value)
    lines += ["", "scores"]
    for score in file.scores:
        lines += options.wrapped("  ", _score(loaded, score))
    if file.options:
        lines += ["", "options that differ from the trainers' own"]
        for trainer, values in file.options.items():
            lines += options.wrapped(f"  {trainer:<13} ", _settings(values))
    quoted = [
        f"{one.name}: {one.task} {100 * one.accuracy:.1f} % ({one.source}; {one.note})"
        for one in file.quoted
    ]
    for title, rows in (
        ("notes", conditions.notes),
        ("warnings", conditions.warnings),
        ("results from elsewhere, never ranked", quoted),
    ):
        if rows:
            lines += ["", title, *(line for row in rows for line in options.wrapped("  ", row))]
    return lines


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
