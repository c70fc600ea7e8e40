"""`harness regrade`: judge a board's stored answers again."""

from __future__ import annotations

from pathlib import Path

import click

from harness.cli import options


@click.command("regrade")
@options.board_argument
@options.data_option
@options.runs_option
def command(board: str, data_dir: Path | None, runs: Path) -> None:
    """Judge a board's stored answers again, without generating.

    Records that another version of the verifier judged get new ones that replace them. BOARD is a
    board's name or TOML file; tiny if none is given.
    """
    from harness.bench.folder import Folder
    from harness.bench.regrade import regrade

    _, loaded = options.open_board(board, data_dir)
    folder = Folder(runs.resolve() / loaded.name)
    with folder.locked():
        written = regrade(loaded, folder)
    for record, changed in written:
        click.echo(f"{record.id}: {changed} verdicts changed")
    if not written:
        click.echo("Nothing to do: this version of the verifier judged every record.", err=True)
