"""`harness publish`: the pages of boards, written from their records or checked."""

from __future__ import annotations

from pathlib import Path

import click

from harness.cli import options


@click.command("publish")
@click.argument("boards", metavar="[BOARD]...", nargs=-1)
@click.option("--check", is_flag=True, help="Fail if a published file is not its records'.")
@click.option("--replace", is_flag=True, help="Drop what was published under other conditions.")
@click.option(
    "--out", type=options.FOLDER, default="leaderboards", help="Folder of published leaderboards."
)
@options.data_option
@options.runs_option
def command(
    boards: tuple[str, ...],
    check: bool,
    replace: bool,
    out: Path,
    data_dir: Path | None,
    runs: Path,
) -> None:
    """Write the pages of boards from their records, or check them.

    BOARD is a board's name or TOML file: its records are copied, and BOARD.md, .json and .csv
    written. With --check it is the name of a published board; all of them if none is given.
    """
    if check:
        from harness.publish.check import check as check_published

        for name in check_published(out, boards):
            click.echo(f"{name}: every file is what its records give")
        return
    if not boards:
        raise click.UsageError("name a board to publish, or use --check")
    from harness.boards.board import load_board
    from harness.plugin.host import Host
    from harness.publish.write import publish

    for name in boards:
        loaded = load_board(name, Host(data_dir=data_dir, download=False))
        source = runs / loaded.name / "records"
        for path in publish(source, loaded.conditions(), out, loaded.path, replace=replace):
            click.echo(str(path))
