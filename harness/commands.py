"""The commands `harness diff`, `harness report` and `harness export`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.options import json_option, runs_option

if TYPE_CHECKING:
    from harness.conditions import Conditions
    from harness.records import Record


def register(cli: click.Group) -> None:
    """Add the commands to the command line."""
    for command in (diff, report, export):
        cli.add_command(command)


@click.command()
@click.argument("first")
@click.argument("second")
@click.option("--board", default="tiny", show_default=True, help="Name of the board.")
@click.option("--task", "tasks", multiple=True, help="Only this task; may be repeated.")
@click.option(
    "--only",
    "kinds",
    multiple=True,
    metavar="KIND",
    help="fixed, broken, both_wrong or both_right; may be repeated. [default: fixed and broken]",
)
@click.option("--verdict", "verdicts", multiple=True, help="Only where an answer has this verdict.")
@click.option("--grep", "search", default="", help="Only where this text stands.")
@click.option("--limit", type=click.IntRange(0), default=10, show_default=True)
@runs_option
@json_option
def diff(
    first: str,
    second: str,
    board: str,
    tasks: tuple[str, ...],
    kinds: tuple[str, ...],
    verdicts: tuple[str, ...],
    search: str,
    limit: int,
    runs: Path,
    as_json: bool,
) -> None:
    """Compare two cells question by question: `harness diff start sft/0`.

    A cell is a trainer, a trainer and a seed (`sft/0`), or the id of a record.
    """
    from harness.diff import diff as compare
    from harness.diff import render

    if not kinds and not verdicts and not search:
        kinds = ("fixed", "broken")
    found = compare(
        runs / board,
        first,
        second,
        tasks=tasks,
        kinds=kinds,
        verdicts=verdicts,
        search=search,
        limit=limit,
    )
    if as_json:
        import json

        # ASCII, so that no terminal and no pipe is asked to take a lone surrogate or a mark.
        click.echo(json.dumps(found.model_dump(mode="json"), indent=1))
        return
    from rich.console import Console

    Console().print(render(found))


@click.command()
@click.argument("board", default="tiny")
@click.option(
    "--to",
    "out",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The file to write. [default: RUNS/BOARD/report.html]",
)
@runs_option
def report(board: str, out: Path | None, runs: Path) -> None:
    """Write a board's report: one HTML file that needs no script and no network.

    BOARD is a board's name or TOML file, or a folder of published records.
    """
    from harness.report import write_report

    records, conditions, folder = _records(board, runs)
    target = out or folder / "report.html"
    if out is None and not (folder / "records").is_dir():
        target = Path(f"{conditions.board}.html")  # published records stay as they are
    click.echo(str(write_report(records, conditions, target, folder)))


@click.command()
@click.argument("format_name", metavar="FORMAT")
@click.argument("board", default="tiny")
@click.option("--to", "out", type=click.Path(path_type=Path, file_okay=False), default="export")
@click.option(
    "--cell", "cells", multiple=True, help="Only this cell, such as sft/0. [default: all]"
)
@click.option("--developer", default="unknown", show_default=True, help="Who trained the models.")
@click.option("--organization", default="unknown", show_default=True, help="Who evaluated them.")
@click.option(
    "--relationship",
    default="other",
    show_default=True,
    help="first_party, third_party, collaborative or other.",
)
@click.option(
    "--hub",
    "scales",
    multiple=True,
    metavar="TASK=DATASET:TASK_ID:SCALE",
    help="For hub: the benchmark's dataset, its task and its scale, share or percent.",
)
@runs_option
def export(
    format_name: str,
    board: str,
    out: Path,
    cells: tuple[str, ...],
    developer: str,
    organization: str,
    relationship: str,
    scales: tuple[str, ...],
    runs: Path,
) -> None:
    """Write a board's results in a format others read: eee, lm-eval, parquet, evalstats or hub."""
    from harness.diff import find_record
    from harness.export import Request
    from harness.export import export as write

    records, conditions, folder = _records(board, runs)
    replaced = {record.supersedes for record in records}
    finished = [record for record in records if record.scores and record.id not in replaced]
    if cells:
        finished = [find_record(folder, name) for name in cells]
    request = Request(
        records=finished,
        conditions=conditions,
        folder=folder,
        out=out,
        developer=developer,
        organization=organization,
        relationship=relationship,
        scales=tuple(_scale(text) for text in scales),
    )
    for path in write(format_name, request):
        click.echo(str(path))


def _scale(text: str) -> tuple[str, str, str, str]:
    task, equals, rest = text.partition("=")
    parts = rest.split(":")
    if not equals or len(parts) != 3:
        raise click.BadParameter(f"{text!r} is not TASK=DATASET:TASK_ID:SCALE", param_hint="--hub")
    return task, parts[0], parts[1], parts[2]


def _records(board: str, runs: Path) -> tuple[list[Record], Conditions, Path]:
    """Return a board's records, its conditions and its folder."""
    from harness.conditions import read_conditions
    from harness.errors import UsageError
    from harness.publish import CONDITIONS, read_record_files

    published = Path(board)
    if (published / CONDITIONS).is_file():
        conditions, folder, place = read_conditions(published / CONDITIONS), published, published
    else:
        from harness.boards import load_board
        from harness.plugins import Host

        loaded = load_board(board, Host())
        conditions, folder = loaded.conditions(), runs / loaded.name
        place = folder / "records"
    found = [
        record
        for record in read_record_files(place).values()
        if record.board.digest == conditions.digest
    ]
    if not found:
        raise UsageError(f"{place} has no record of board {conditions.board!r}: run harness bench")
    return found, conditions, folder
