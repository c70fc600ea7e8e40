"""The commands `harness diff`, `harness report`, `harness export` and `harness publish`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.cli.options import board_option, data_option, json_option, runs_option

if TYPE_CHECKING:
    from harness.boards.conditions import Conditions
    from harness.export.benchmarks import Benchmark
    from harness.records import Record


def register(cli: click.Group) -> None:
    """Add the commands to the command line."""
    for command in (diff, report, export, publish):
        cli.add_command(command)


hub_option = click.option(
    "--hub",
    "benchmarks",
    multiple=True,
    metavar="TASK=DATASET:TASK_ID:SCALE",
    help="A task's benchmark on the Hub: its dataset, its task and its scale, share or percent.",
)


@click.command()
@click.argument("first")
@click.argument("second")
@board_option
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
    from harness.leaderboard.diff import diff as compare
    from harness.render.diff import render

    if not kinds and not verdicts and not search:
        kinds = ("fixed", "broken")
    found = compare(
        _runs_of(board, runs),
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


def _runs_of(board: str, runs: Path) -> Path:
    """Return a board's runs folder, by its name or TOML file; its tasks need not be at hand."""
    if not board.endswith(".toml"):
        return runs / board
    from harness.boards.file import read_board_file

    return runs / read_board_file(Path(board)).name


@click.command()
@click.argument("board", default="tiny")
@click.option(
    "--to",
    "out",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The file to write. [default: RUNS/BOARD/report.html]",
)
@data_option
@runs_option
def report(board: str, out: Path | None, data_dir: Path | None, runs: Path) -> None:
    """Write a board's report: one HTML file that needs no script and no network.

    BOARD is a board's name or TOML file, or a folder of published records.
    """
    from harness.report.page import write_report

    records, conditions, folder = _records(board, runs, data_dir)
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
@hub_option
@data_option
@runs_option
def export(
    format_name: str,
    board: str,
    out: Path,
    cells: tuple[str, ...],
    developer: str,
    organization: str,
    relationship: str,
    benchmarks: tuple[str, ...],
    data_dir: Path | None,
    runs: Path,
) -> None:
    """Write a board's results in a format others read: eee, lm-eval, parquet, evalstats or hub."""
    from harness.export.formats import export as write
    from harness.export.request import Request
    from harness.leaderboard.diff import find_record

    records, conditions, folder = _records(board, runs, data_dir)
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
        benchmarks=_benchmarks(benchmarks),
    )
    for path in write(format_name, request):
        click.echo(str(path))


def _benchmarks(given: tuple[str, ...]) -> dict[str, Benchmark]:
    from harness.export.benchmarks import Benchmark

    found = {}
    for text in given:
        task, equals, rest = text.partition("=")
        parts = rest.split(":")
        if not task or not equals or len(parts) != 3 or not all(parts):
            raise click.BadParameter(
                f"{text!r} is not TASK=DATASET:TASK_ID:SCALE", param_hint="--hub"
            )
        found[task] = Benchmark(*parts)
    return found


@click.command()
@click.argument("names", metavar="[BOARD]...", nargs=-1)
@click.option("--check", is_flag=True, help="Fail where a published file is not its records'.")
@click.option("--replace", is_flag=True, help="Drop what was published under other conditions.")
@click.option(
    "--to",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    default="leaderboards",
    show_default=True,
    help="Folder of published leaderboards.",
)
@click.option("--repo", metavar="ORG/NAME", help="A model repository of the Hub, for one cell.")
@click.option("--cell", help="With --repo: the cell, such as sft/0.")
@hub_option
@click.option("--push", is_flag=True, help="With --repo: send it. [default: only show it]")
@click.option("--direct", is_flag=True, help="With --push: commit, and open no pull request.")
@data_option
@runs_option
def publish(
    names: tuple[str, ...],
    check: bool,
    replace: bool,
    folder: Path,
    repo: str | None,
    cell: str | None,
    benchmarks: tuple[str, ...],
    push: bool,
    direct: bool,
    data_dir: Path | None,
    runs: Path,
) -> None:
    """Write leaderboards/BOARD.md, .json and .csv from the records of a board.

    With --repo ORG/NAME --cell CELL: show what a model repository of the Hub would get, a model
    card and .eval_results; --push sends it as a pull request.
    """
    from harness.publish.check import check as check_published
    from harness.publish.write import publish as publish_board

    if repo is not None:
        if len(names) != 1 or cell is None:
            raise click.UsageError("--repo needs one board and --cell, such as tiny --cell sft/0")
        board = _records(names[0], runs, data_dir)
        _publish_on_hub(board, cell, repo, _benchmarks(benchmarks), push, direct)
        return
    if cell or push or direct or benchmarks:
        raise click.UsageError("--cell, --hub, --push and --direct go with --repo ORG/NAME")
    if check:
        for name in check_published(folder, names):
            click.echo(f"{name}: every file is what its records give")
        return
    if not names:
        raise click.UsageError("name a board to publish, or use --check")
    from harness.boards.board import load_board
    from harness.plugin.host import Host

    for name in names:
        loaded = load_board(name, Host(data_dir=data_dir, download=False))
        source = runs / loaded.name / "records"
        for path in publish_board(
            source, loaded.conditions(), folder, loaded.path, replace=replace
        ):
            click.echo(str(path))


def _publish_on_hub(
    board: tuple[list[Record], Conditions, Path],
    cell: str,
    repo: str,
    benchmarks: dict[str, Benchmark],
    push: bool,
    direct: bool,
) -> None:
    """Show what a model repository would get, and send it where that was asked for."""
    from harness.export import push as hub
    from harness.export.request import Request
    from harness.leaderboard.diff import find_record
    from harness.render.escape import visible

    _, conditions, folder = board
    record = find_record(folder, cell)
    request = Request([record], conditions, folder, Path(), benchmarks=benchmarks)
    offer = hub.prepare(request, record, repo)
    way = "commit to" if direct else "pull request on"
    click.echo(f"{way} the model repository {offer.repository}: {visible(offer.title)}")
    for name, text in offer.files.items():
        click.echo(f"\n{name} ({len(text.encode()):,} bytes; valid)")
        click.echo("    " + visible(text, None, lines=True).rstrip("\n").replace("\n", "\n    "))
    for line in offer.left_out:
        click.echo(f"not in .eval_results: {line}", err=True)
    if push:
        click.echo(f"\n{hub.push(offer, pull_request=not direct)}")
    else:
        click.echo("Nothing was sent: --push sends it and replaces files of these names.", err=True)


def _records(
    board: str, runs: Path, data_dir: Path | None
) -> tuple[list[Record], Conditions, Path]:
    """Return a board's records, its conditions and its folder."""
    from harness.boards.conditions import read_conditions
    from harness.errors import UsageError
    from harness.records import CONDITIONS, read_records

    published = Path(board)
    if (published / CONDITIONS).is_file():
        conditions, folder, place = read_conditions(published / CONDITIONS), published, published
    else:
        from harness.boards.board import load_board
        from harness.plugin.host import Host

        loaded = load_board(board, Host(data_dir=data_dir, download=False))
        conditions, folder = loaded.conditions(), runs / loaded.name
        place = folder / "records"
    found = [
        record
        for record in read_records(place, superseded=True)
        if record.board.digest == conditions.digest
    ]
    if not found:
        raise UsageError(f"{place} has no record of board {conditions.board!r}: run harness bench")
    return found, conditions, folder
