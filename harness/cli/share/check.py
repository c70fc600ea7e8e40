"""`harness check`: published answers are judged anew, and every score recomputed."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.cli import options

if TYPE_CHECKING:
    from harness.boards.conditions import Conditions
    from harness.plugin.host import Host
    from harness.publish.recheck import Checked
    from harness.publish.spot_check import SpotCheck


@click.command("check")
@click.argument("boards", metavar="[BOARD]...", nargs=-1)
@click.option(
    "--out", type=options.FOLDER, default="leaderboards", help="Folder of published leaderboards."
)
@click.option(
    "--regenerate",
    type=click.IntRange(1),
    metavar="N",
    help="Answer the first N questions of each score again, where the checkpoint is at hand.",
)
@options.repeated(
    "--checkpoint", "checkpoints", metavar="FOLDER", text="Checkpoint to answer them with",
    default="those in the runs folder",
)  # fmt: skip
@options.device_option
@options.data_option
@options.runs_option
@options.json_option
def command(
    boards: tuple[str, ...],
    out: Path,
    regenerate: int | None,
    checkpoints: tuple[str, ...],
    device: str,
    data_dir: Path | None,
    runs: Path,
    as_json: bool,
) -> None:
    """Judge published answers anew, and recompute every score.

    First every page is compared with its records, as `harness publish --check` does. Then each
    record is said to be claimed (nothing can be judged), recomputed, or spot-checked; what differs
    is named and ends with exit code 3. BOARD is the name of a published board, or the folder of a
    submission or of a board's runs; all published boards if none is given.
    """
    from harness.plugin.host import Host
    from harness.publish.recheck import summary

    host = Host(data_dir=data_dir, download=False)
    found: list[Checked] = []
    for folder, conditions in _folders(boards, out):
        again = None
        if regenerate is not None:
            places = tuple(map(Path, checkpoints))
            again = _spot_check(conditions, folder, host, regenerate, runs, places, device)
        found += _checked(folder, conditions, host, again)
    if as_json:
        options.print_json([vars(one) for one in found])
    else:
        for one in found:
            if one.state in ("claimed", "differs"):
                options.print_lines([f"{one.board}: {one.cell} {one.state}: {one.why}"])
        click.echo(summary(found))
    if any(one.state == "differs" for one in found):
        sys.exit(3)


def _folders(boards: tuple[str, ...], out: Path) -> Iterator[tuple[Path, Conditions]]:
    """Yield the folders of records that are asked for, with what their boards fix."""
    from harness.boards.conditions import read_conditions
    from harness.publish.check import check
    from harness.publish.submission import MANIFEST
    from harness.records import CONDITIONS

    given = [Path(name) for name in boards if "/" in name or (Path(name) / MANIFEST).exists()]
    names = [name for name in boards if Path(name) not in given]
    if names or not given:
        for name in check(out, names):
            folder = out / "records" / name
            yield folder, read_conditions(folder / CONDITIONS)
    for folder in given:
        yield folder, _conditions_of(folder, out)


def _conditions_of(folder: Path, out: Path) -> Conditions:
    """Return what the board of a submission or a runs folder fixes."""
    from harness.boards.board import load_board
    from harness.boards.conditions import read_conditions
    from harness.plugin.host import Host
    from harness.publish.submission import MANIFEST, read_manifest
    from harness.records import CONDITIONS

    if (folder / CONDITIONS).is_file():
        return read_conditions(folder / CONDITIONS)
    name = read_manifest(folder).board if (folder / MANIFEST).exists() else folder.resolve().name
    published = out / "records" / name / CONDITIONS
    if published.is_file():
        return read_conditions(published)
    return load_board(name, Host(download=False)).conditions()


def _checked(
    folder: Path, conditions: Conditions, host: Host, again: SpotCheck | None
) -> Iterator[Checked]:
    from harness.publish.recheck import recheck
    from harness.publish.sources import gather

    return recheck(gather(folder, conditions.digest), conditions, host.task, again)


def _spot_check(
    conditions: Conditions,
    folder: Path,
    host: Host,
    questions: int,
    runs: Path,
    places: tuple[Path, ...],
    device: str,
) -> SpotCheck:
    from harness.bench.gpus import choose_device
    from harness.boards.board import load_board
    from harness.publish.spot_check import SpotCheck

    board = load_board(conditions.board, host)
    stages = folder if (folder / "stages").is_dir() else runs / board.name
    return SpotCheck(board, host, questions, stages.resolve(), places, choose_device(device))
