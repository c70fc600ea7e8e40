"""`harness publish`: the pages of boards, written from their records or checked."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.cli import options

if TYPE_CHECKING:
    from harness.boards.conditions import Conditions
    from harness.plugin.host import Host
    from harness.tasks.task import Task


@click.command("publish")
@click.argument("boards", metavar="[BOARD]...", nargs=-1)
@options.repeated(
    "--from", "given", metavar="FOLDER", text="Submission, runs or records to take in",
    default="the board's runs",
)  # fmt: skip
@click.option("--check", is_flag=True, help="Fail if a published file is not its records'.")
@click.option("--replace", is_flag=True, help="Drop what was published under other conditions.")
@click.option(
    "--rejudge", is_flag=True, help="Judge published answers anew with this version's verifier."
)
@click.option(
    "--out",
    type=options.FOLDER,
    default=options.LEADERBOARDS,
    help="Folder of published leaderboards; for other commands --published.",
)
@options.data_option
@options.runs_option
def command(
    boards: tuple[str, ...],
    given: tuple[str, ...],
    check: bool,
    replace: bool,
    rejudge: bool,
    out: Path,
    data_dir: Path | None,
    runs: Path,
) -> None:
    """Write the pages of boards from their records, or check them.

    BOARD is a board's name or TOML file. The records of its runs, or of the folders given, are
    judged anew and join those that are published; then BOARD.md, .svg, .json and .csv are
    written. A record that the board's rules refuse is named, and the exit code is 3. With --check
    it is the name of a published board, or its TOML file; all of them if none is given.

    With --rejudge the published answers of boards are judged by this version of the verifier where
    another one judged them; costs, dates and commits stay as they are.
    """
    if rejudge and (given or check or replace):
        raise click.UsageError("--rejudge takes nothing in: use it alone")
    if check:
        from harness.boards.file import read_board_file
        from harness.publish.check import check as check_published

        names = [
            read_board_file(Path(one)).name if one.endswith(".toml") else one for one in boards
        ]
        for name in check_published(out, names):
            click.echo(f"{name}: every file is what its records give")
        return
    if not boards:
        raise click.UsageError("name a board to publish, or use --check")
    from harness.errors import UsageError
    from harness.plugin.host import Host
    from harness.publish.write import publish
    from harness.render.escape import terminal

    host, refused = Host(data_dir=data_dir, download=False), False
    if rejudge:
        return _rejudge(boards, host, out)
    for reference in boards:
        conditions, file, tasks = _board(reference, host, out)
        own = runs / conditions.board
        published = (out / "records" / conditions.board).is_dir()
        mine = [Path(folder) for folder in given if Path(folder).resolve() == own.resolve()]
        others = [Path(folder) for folder in given if Path(folder).resolve() != own.resolve()]
        if not given and (own / "records").is_dir():
            mine = [own]
        elif not given and not published:
            board = conditions.board
            raise UsageError(f"{own} has no record of board {board!r}: run harness bench")
        outcome = publish(mine, conditions, out, file, others=others, replace=replace, tasks=tasks)
        for path in outcome.written:
            click.echo(str(path))
        there = len(outcome.joined.records) - outcome.new
        before = f"joined the {there} published before" if there else "published"
        joined = f"{outcome.new} records {before}"
        again = f"; {outcome.confirming} of them confirm one" if outcome.confirming else ""
        click.echo(f"harness: {conditions.board}: {joined}{again}", err=True)
        for line in outcome.joined.claims:
            click.echo(f"harness: {terminal(line, 1000)}", err=True)
        for line in outcome.joined.refused:
            click.echo(f"harness: refused: {terminal(line, 1000)}", err=True)
        if out != options.LEADERBOARDS:  # where nobody looks who is not told
            way = shlex.join(("harness", "check", reference, "--published", str(out)))
            click.echo(f"harness: {terminal(way, 1000)} judges them anew", err=True)
        refused = refused or bool(outcome.joined.refused)
    if refused:
        sys.exit(3)


def _rejudge(boards: tuple[str, ...], host: Host, out: Path) -> None:
    from harness.boards.board import load_board
    from harness.publish.rejudge import rejudge
    from harness.verify import VERIFIER_VERSION

    for reference in boards:
        board = load_board(reference, host)
        found = rejudge(board, out, board.finder(host))
        for one in found:
            if one.changed:
                click.echo(f"{one.record.cell}: {one.changed} verdicts changed")
        if found:
            changed = sum(one.changed for one in found)
            click.echo(
                f"{board.name}: {len(found)} records judged anew by verifier {VERIFIER_VERSION},"
                f" {changed} verdicts changed"
            )
        else:
            click.echo(f"{board.name}: verifier {VERIFIER_VERSION} judged every record", err=True)


def _board(
    reference: str, host: Host, out: Path
) -> tuple[Conditions, Path | None, Callable[[str], Task]]:
    """Return what a board fixes, its file, and what finds its tasks.

    One that is not installed is read as it was published.
    """
    from harness.boards.board import load_board
    from harness.boards.conditions import read_conditions
    from harness.errors import UsageError
    from harness.records import CONDITIONS

    try:
        loaded = load_board(reference, host)
        return loaded.conditions(), loaded.path, loaded.finder(host)
    except UsageError:
        path = out / "records" / reference / CONDITIONS
        if not path.is_file():
            raise
        return read_conditions(path), None, host.task
