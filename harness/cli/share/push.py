"""`harness push`: a cell's model card and scores for a model repository of the Hub."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.cli import options

if TYPE_CHECKING:
    from harness.export.request import HubBenchmark


@click.command("push")
@click.argument("cell")
@click.argument("repository", metavar="ORG/NAME")
@options.board_argument
@click.option("--send", is_flag=True, help="Send it, as a pull request.  [default: only show it]")
@click.option("--direct", is_flag=True, help="As a commit, without a pull request.")
@options.hub_option
@options.data_option
@options.runs_option
def command(
    cell: str,
    repository: str,
    board: str,
    send: bool,
    direct: bool,
    benchmarks: dict[str, HubBenchmark],
    data_dir: Path | None,
    runs: Path,
) -> None:
    """Show or send a cell's scores for a model repository.

    The repository ORG/NAME of the Hub gets a model card and .eval_results. CELL is a trainer and
    a seed, such as sft/0, or the id of a record. BOARD is a board's name or TOML file, or a folder
    of published records; tiny if none is given.
    """
    from harness.export import hub
    from harness.export.request import Request
    from harness.leaderboard.diff import find_record
    from harness.render.escape import visible

    _, conditions, folder = options.open_records(board, runs, data_dir)
    record = find_record(folder, cell)
    request = Request([record], conditions, folder, Path(), benchmarks=benchmarks)
    commit = hub.prepare(request, record, repository)
    way = "commit to" if direct else "pull request on"
    click.echo(f"{way} the model repository {commit.repository}: {visible(commit.title)}")
    for name, text in commit.files.items():
        click.echo(f"\n{name} ({len(text.encode()):,} bytes; valid)")
        click.echo("    " + visible(text, None, lines=True).rstrip("\n").replace("\n", "\n    "))
    for line in commit.left_out:
        click.echo(f"not in .eval_results: {line}", err=True)
    if send:
        click.echo(f"\n{hub.send(commit, pull_request=not direct)}")
    else:
        click.echo("Nothing was sent: --send sends it and replaces files of these names.", err=True)
