"""`harness report`: a board's report as one HTML file."""

from __future__ import annotations

from pathlib import Path

import click

from harness.cli import options


@click.command("report")
@options.board_argument
@click.option("--out", type=options.FILE, help="File to write.  [default: BOARD.html]")
@options.data_option
@options.runs_option
def command(board: str, out: Path | None, data_dir: Path | None, runs: Path) -> None:
    """Write a board's report: one HTML file.

    It shows figures, curves and answers, and needs no script and no network. BOARD is a board's
    name or TOML file, or a folder of published records; tiny if none is given.
    """
    from harness.boards.questions import questions_of
    from harness.report.page import write_report

    records, conditions, folder = options.open_records(board, runs, data_dir)
    # not in the runs folder, where stages could read the test problems that it shows
    target = out or Path(f"{conditions.board}.html")
    questions = questions_of(board, data_dir)
    click.echo(str(write_report(records, conditions, target, folder, questions)))
