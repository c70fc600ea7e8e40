"""`harness export`: a board's results in a format that others read."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.cli import options
from harness.export import FORMATS, RELATIONSHIPS

if TYPE_CHECKING:
    from harness.export.request import HubBenchmark


@click.command("export")
@click.argument("format_name", metavar="FORMAT", type=click.Choice(FORMATS))
@options.board_argument
@click.option("--out", type=options.FOLDER, default="export", help="Folder to write.")
@options.repeated(
    "--cell", "cells", metavar="CELL", text="Only this cell, such as sft/0", default="all"
)
@click.option("--developer", default="unknown", metavar="NAME", help="Who trained the models.")
@click.option("--organization", default="unknown", metavar="NAME", help="Who evaluated them.")
@click.option(
    "--relationship",
    type=click.Choice(RELATIONSHIPS),
    default="other",
    help="Of the two.",
)
@options.hub_option
@options.data_option
@options.runs_option
def command(
    format_name: str,
    board: str,
    out: Path,
    cells: tuple[str, ...],
    developer: str,
    organization: str,
    relationship: str,
    benchmarks: dict[str, HubBenchmark],
    data_dir: Path | None,
    runs: Path,
) -> None:
    """Write a board's results in a format that others read.

    FORMAT is eee, lm-eval, parquet, evalstats or hub. BOARD is a board's name or TOML file, or a
    folder of published records; tiny if none is given.
    """
    from harness.boards.questions import questions_of
    from harness.export import export
    from harness.export.request import Request
    from harness.leaderboard.diff import find_record
    from harness.leaderboard.evidence import known_of
    from harness.leaderboard.rules import replaced_here

    records, conditions, folder = options.open_records(board, runs, data_dir)
    gone = replaced_here(records, known_of(folder, records))
    finished = [record for record in records if record.scores and record.digest not in gone]
    if cells:
        finished = [find_record(folder, name) for name in cells]
    request = Request(
        finished,
        conditions,
        folder,
        out,
        developer,
        organization,
        relationship,
        benchmarks,
        questions_of(board, data_dir),
    )
    for path in export(format_name, request):
        click.echo(str(path))
