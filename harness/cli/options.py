"""What commands share: arguments and options, the board that is named, and how they print."""

from __future__ import annotations

import json
import re
import sys
import textwrap
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from harness.render.escape import terminal

if TYPE_CHECKING:
    from rich.console import RenderableType

    from harness.boards.board import Board
    from harness.boards.conditions import Conditions
    from harness.export.request import HubBenchmark
    from harness.plugin.host import Host
    from harness.records import Record
    from harness.verify import Conventions


Command = TypeVar("Command", bound=Callable[..., Any])
WIDTH = 100  # of what is printed to a pipe, and of wrapped text
LEADERBOARDS = Path("leaderboards")  # what is published, where no other folder is named
INPUT_FILE = click.Path(path_type=Path, exists=True, dir_okay=False)
FILE = click.Path(path_type=Path, dir_okay=False)
FOLDER = click.Path(path_type=Path, file_okay=False)


def _conventions(
    context: click.Context, option: click.Parameter, pairs: tuple[str, ...]
) -> Conventions:
    from harness.errors import UsageError
    from harness.verify import Conventions

    for pair in pairs:
        if "=" not in pair:
            raise UsageError(f"{pair!r} is not of the form option=value")
    return Conventions.model_validate(dict(pair.split("=", 1) for pair in pairs))


def _benchmarks(
    context: click.Context, option: click.Parameter, given: tuple[str, ...]
) -> dict[str, HubBenchmark]:
    from harness.export.request import HubBenchmark

    found = {}
    for text in given:
        parts = re.fullmatch("([^=]+)=([^:]+):([^:]+):([^:]+)", text, re.DOTALL)
        if parts is None:
            raise click.BadParameter(f"{text!r} is not TASK=DATASET:TASK_ID:SCALE")
        found[parts[1]] = HubBenchmark(parts[2], parts[3], scale=parts[4])
    return found


def repeated(
    *names: str, metavar: str, text: str, default: str = "", callback: Any = None
) -> Callable[[Command], Command]:
    """Return an option that may be given several times; its help ends with the default."""
    text += "; may be repeated." + (f"  [default: {default}]" if default else "")
    return click.option(*names, multiple=True, metavar=metavar, callback=callback, help=text)


forms = click.Choice(["boxed", "hash", "answer_is", "answer_tag", "bare"])
board_argument = click.argument("board", default="tiny")
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
runs_option = click.option(
    "--runs",
    type=FOLDER,
    default="runs",
    envvar="HARNESS_RUNS",
    help="Folder for everything a bench leaves.",
)
published_option = click.option(
    "--published",
    type=FOLDER,
    default=LEADERBOARDS,
    help="Folder of published leaderboards.",
)
data_option = click.option(
    "--data-dir",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    envvar="HARNESS_DATA_DIR",
    help="Folder of published benchmarks (docs/tasks.md).",
)
device_option = click.option(
    "--device",
    type=click.Choice(["auto", "cpu", "cuda"]),
    default="auto",
    help="Where stages run; auto takes a GPU if there is one.",
)
convention_option = repeated(
    "--convention", "-c", "conventions", metavar="OPTION=VALUE", callback=_conventions,
    text="How answers are judged, such as rounding=gold",
)  # fmt: skip
hub_option = repeated(
    "--hub", "benchmarks", metavar="TASK=DATASET:TASK_ID:SCALE", callback=_benchmarks,
    text="A task's benchmark on the Hub; SCALE is share or percent",
)  # fmt: skip


def open_board(
    reference: str, data_dir: Path | None, *, download: bool = True
) -> tuple[Host, Board]:
    """Return the board of a name or a TOML file, after printing its warnings."""
    from harness.boards.board import load_board
    from harness.plugin.host import Host

    host = Host(data_dir=data_dir, download=download)
    board = load_board(reference, host)
    for warning in board.warnings():
        click.echo(f"harness: {warning}", err=True)
    return host, board


def find_model(reference: str, host: Host) -> tuple[Path, str]:
    """Return the folder of a model and what to call it.

    It is named by a folder, by `BOARD:start` or `BOARD:teacher`, or by a Hub id with or without
    `@<commit>`; of one without, the newest commit is taken and printed.
    """
    from harness import checkpoints, hub
    from harness.boards.board import load_board
    from harness.errors import UsageError

    board, _, which = reference.rpartition(":")
    if Path(reference).is_dir():
        return Path(reference), Path(reference).resolve().name
    if board and which in ("start", "teacher"):
        return load_board(board, host).model("start" if which == "start" else "teacher"), reference
    if reference.endswith(".toml"):
        raise UsageError(f"{reference} is a board: harness score MODEL {reference}")
    if board and "/" not in which:
        load_board(board, host)
        raise UsageError(
            f"{reference}: the models of a board are {board}:start and {board}:teacher"
        )
    name, _, commit = reference.partition("@")
    if not re.fullmatch(r"\w[\w.-]*/[\w.-]+", name):
        raise UsageError(f"no model folder {reference}")
    try:
        commit = commit or hub.newest_commit(name)
    except hub.HubError as error:
        raise UsageError(f"no model folder {reference}, and {error}") from None
    click.echo(f"harness: {name}@{commit}", err=True)
    return checkpoints.resolve_model(f"{name}@{commit}", Path()), f"{name}@{commit}"


def open_records(
    reference: str, runs: Path, data_dir: Path | None
) -> tuple[list[Record], Conditions, Path]:
    """Return the records, the conditions and the folder of a board or of published records.

    Records of other conditions, which an older form of the board left, are not among them.
    """
    from harness.boards.board import load_board
    from harness.boards.conditions import read_conditions
    from harness.errors import UsageError
    from harness.plugin.host import Host
    from harness.records import CONDITIONS, read_records

    folder = place = Path(reference)
    if (folder / CONDITIONS).is_file():
        conditions = read_conditions(folder / CONDITIONS)
    else:
        loaded = load_board(reference, Host(data_dir=data_dir, download=False))
        conditions, folder = loaded.conditions(), runs / loaded.name
        place = folder / "records"
    found = read_records(place, board=conditions.digest, superseded=True)
    if not found:
        raise UsageError(f"{place} has no record of board {conditions.board!r}: run harness bench")
    return found, conditions, folder


def print_json(value: Any) -> None:
    # ASCII, since a terminal or a pipe may take no lone surrogate
    click.echo(json.dumps(value, indent=2, default=str))


def print_lines(lines: Iterable[str], limit: int | None = 10_000) -> None:
    """Print lines whose names and texts may come from anywhere, each cut at a limit."""
    for line in lines:
        click.echo(terminal(line, limit))


def print_found(
    found: Any, as_json: bool, lines: Callable[[Any], list[str]], limit: int | None = 10_000
) -> None:
    """Print what was found, as JSON or as the lines that a function makes of it."""
    if as_json:
        print_json(found)
    else:
        print_lines(lines(found), limit)


def wrapped(before: str, text: str) -> list[str]:
    """Return a text in lines of 100 columns, the later ones as far in as the first."""
    after = " " * max(4, len(before))
    return textwrap.wrap(
        text, WIDTH, initial_indent=before, subsequent_indent=after,
        break_long_words=False, break_on_hyphens=False,
    )  # fmt: skip


def print_rich(shown: RenderableType) -> None:
    """Print what rich renders, in the width of the terminal, or in 100 columns to a pipe."""
    from rich.console import Console

    width = None if sys.stdout.isatty() else WIDTH
    Console(markup=False, highlight=False, width=width).print(shown)
