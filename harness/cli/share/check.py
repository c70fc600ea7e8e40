"""`harness check`: published answers are judged anew, and every score recomputed."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.cli import options

if TYPE_CHECKING:
    from harness.boards.conditions import Conditions
    from harness.plugin.host import Host
    from harness.publish.recheck import Checked
    from harness.publish.spot_check import SpotCheck
    from harness.tasks.task import Task


NOTHING_RECOMPUTED = 4  # exit code


@click.command("check")
@click.argument("boards", metavar="[BOARD]...", nargs=-1)
@click.option(
    "--regenerate",
    type=click.IntRange(1),
    metavar="N",
    help="Answer N questions of each score again, where the checkpoint is at hand.",
)
@click.option(
    "--draw",
    default="",
    metavar="TEXT",
    help="Text that decides, with a record's digest, which questions these are.",
)
@options.repeated(
    "--checkpoint", "checkpoints", metavar="FOLDER", text="Checkpoint to answer them with",
    default="those in the runs folder",
)  # fmt: skip
@options.device_option
@options.published_option
@options.data_option
@options.runs_option
@options.json_option
def command(
    boards: tuple[str, ...],
    regenerate: int | None,
    draw: str,
    checkpoints: tuple[str, ...],
    device: str,
    published: Path,
    data_dir: Path | None,
    runs: Path,
    as_json: bool,
) -> None:
    """Judge published answers anew, and recompute every score.

    First every page is compared with its records, as `harness publish --check` does. Then each
    record is said to be claimed (nothing can be judged), recomputed, or spot-checked; what differs
    is named and ends with exit code 3. BOARD is the name or TOML file of a published board, or a
    folder such as submissions/NAME or runs/NAME (with the TOML file of a board that is neither
    published nor installed beside it); all published boards if none is given. What was asked from
    a board's own files can be judged if its TOML file is named too. Where not a single record
    could be recomputed, the exit code is 4.
    """
    from harness.errors import UsageError
    from harness.plugin.host import Host
    from harness.publish.recheck import not_recomputed, recheck, summary
    from harness.publish.sources import gather

    host = Host(data_dir=data_dir, download=False)
    found: list[Checked] = []
    for one in _places(boards, published, host):
        again = None
        if regenerate is not None:
            folders = tuple(map(Path, checkpoints))
            again = _spot_check(one, host, (regenerate, draw), runs, folders, device)
        source = gather(one.folder, one.conditions.digest)
        if not source.records:
            raise UsageError(source.left_out)
        joined = published / "records" / one.conditions.board
        found += recheck(source, one.conditions, one.tasks(host), again, joined)
    if as_json:
        options.print_json([vars(one) for one in found])
    else:
        said: dict[tuple[str, str, str], list[str]] = {}  # all cells of one reason in one line
        for each in found:
            if each.state in ("claimed", "differs", "failed"):
                why = "a failed cell has nothing to judge" if each.state == "failed" else each.why
                said.setdefault((each.board, each.state, why), []).append(each.cell)
        options.print_lines(
            f"{board}: {', '.join(dict.fromkeys(cells))} {state}: {why}"
            for (board, state, why), cells in said.items()
        )
        click.echo(summary(found))
    if claims := not_recomputed(found):
        click.echo(f"harness: {claims}", err=True)
    if any(one.state == "differs" for one in found):
        sys.exit(3)
    if claims and not any(one.state in ("recomputed", "spot-checked") for one in found):
        sys.exit(NOTHING_RECOMPUTED)


@dataclass(frozen=True)
class _Place:
    """A folder of records that is to be checked."""

    folder: Path
    conditions: Conditions
    board: str  # as `load_board` takes it

    def tasks(self, host: Host) -> Callable[[str], Task]:
        """Return what finds the tasks; those of a board's own files only where it is named."""
        from harness.boards.board import load_board
        from harness.errors import UsageError

        if self.board.endswith(".toml"):
            return load_board(self.board, host).finder(host)

        def find(name: str) -> Task:
            try:
                return host.task(name)
            except UsageError as error:
                raise UsageError(
                    f"{error}; if it is from the file of your own board {self.conditions.board!r},"
                    " name that file too"
                ) from None

        return find


def _places(boards: tuple[str, ...], published: Path, host: Host) -> Iterator[_Place]:
    """Yield the folders that are asked for, after comparing published pages with their records."""
    from harness.boards.board import load_board
    from harness.boards.conditions import read_conditions
    from harness.publish.check import check
    from harness.records import CONDITIONS

    files = {load_board(name, host).name: name for name in boards if name.endswith(".toml")}
    others = [name for name in boards if not name.endswith(".toml")]
    folders = [Path(name) for name in others if "/" in name]
    for folder in folders:
        yield _folder(folder, published, host, files)
    names = [name for name in others if "/" not in name]
    # beside a folder, the file of a board says what was asked there
    names += [name for name in files if not folders]
    if names or not boards:
        for name in check(published, names):
            place = published / "records" / name
            conditions = read_conditions(place / CONDITIONS)
            yield _Place(place, conditions, files.get(name, name))


def _folder(folder: Path, published: Path, host: Host, files: Mapping[str, str]) -> _Place:
    """Return a submission or a runs folder with what its board fixes.

    Of a board that is neither published nor installed, the TOML file has to be among the arguments.
    """
    from harness.boards.board import load_board
    from harness.boards.conditions import read_conditions
    from harness.errors import UsageError
    from harness.leaderboard.evidence import is_there
    from harness.publish.submission import MANIFEST, read_manifest
    from harness.records import CONDITIONS

    if not folder.is_dir():
        raise UsageError(f"there is no folder {folder}")
    name, places = folder.resolve().name, [folder]
    if is_there(folder / MANIFEST):  # who hands something in does not say what the board fixes
        name, places = read_manifest(folder).board, []
    board = files.get(name, name)
    for place in (*places, published / "records" / name):
        if (place / CONDITIONS).is_file():
            return _Place(folder, read_conditions(place / CONDITIONS), board)
    try:
        return _Place(folder, load_board(board, host).conditions(), board)
    except UsageError as error:
        hint = "" if name in files else "; give the board's TOML file beside the folder"
        raise UsageError(f"{folder}: {error}{hint}") from None


def _spot_check(
    one: _Place,
    host: Host,
    asked: tuple[int, str],
    runs: Path,
    folders: tuple[Path, ...],
    device: str,
) -> SpotCheck:
    from harness.bench.executors.gpus import choose_device
    from harness.boards.board import load_board
    from harness.publish.spot_check import SpotCheck

    board = load_board(one.board, host)
    place = one.folder if (one.folder / "stages").is_dir() else runs / board.name
    questions, draw = asked
    device = choose_device(device)
    return SpotCheck(board, host, questions, place.resolve(), folders, device, draw)
