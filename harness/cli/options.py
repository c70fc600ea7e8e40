"""What commands share: arguments and options, the board that is named, and how they print."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from rich.console import RenderableType

    from harness.boards.board import Board
    from harness.boards.conditions import Conditions
    from harness.export.request import HubBenchmark
    from harness.plugin.host import Host
    from harness.records import Record
    from harness.verify import Conventions


def _conventions(
    context: click.Context, option: click.Parameter, pairs: tuple[str, ...]
) -> Conventions:
    """Return the conventions that `option=value` pairs set.

    Raises:
        UsageError: If an option is unknown or does not take that value.
    """
    from harness.errors import UsageError
    from harness.verify import Conventions

    values = {}
    for pair in pairs:
        name, mark, value = pair.partition("=")
        if not mark:
            raise UsageError(f"{pair!r} is not of the form option=value")
        values[name] = value
    return Conventions.model_validate(values)


def _benchmarks(
    context: click.Context, option: click.Parameter, given: tuple[str, ...]
) -> dict[str, HubBenchmark]:
    from harness.export.request import HubBenchmark

    found = {}
    for text in given:
        task, equals, rest = text.partition("=")
        parts = rest.split(":")
        if not task or not equals or len(parts) != 3 or not all(parts):
            raise click.BadParameter(f"{text!r} is not TASK=DATASET:TASK_ID:SCALE")
        dataset, task_id, scale = parts
        found[task] = HubBenchmark(dataset, task_id, scale)
    return found


forms = click.Choice(["boxed", "hash", "answer_is", "answer_tag", "bare"])
board_argument = click.argument("board", default="tiny")
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
runs_option = click.option(
    "--runs",
    type=click.Path(path_type=Path, file_okay=False),
    default="runs",
    envvar="HARNESS_RUNS",
    help="Folder for everything a bench leaves.",
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
convention_option = click.option(
    "--convention",
    "-c",
    "conventions",
    multiple=True,
    callback=_conventions,
    metavar="OPTION=VALUE",
    help="How answers are judged, such as rounding=gold; may be repeated.",
)
hub_option = click.option(
    "--hub",
    "benchmarks",
    multiple=True,
    callback=_benchmarks,
    metavar="TASK=DATASET:TASK_ID:SCALE",
    help="A task's benchmark on the Hub; SCALE is share or percent; may be repeated.",
)


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


def open_records(
    reference: str, runs: Path, data_dir: Path | None
) -> tuple[list[Record], Conditions, Path]:
    """Return a board's records, its conditions and its folder.

    Args:
        reference: A board's name or TOML file, or a folder of published records.
        runs: The folder for everything a bench leaves.
        data_dir: The folder with the data of published benchmarks.

    Raises:
        UsageError: If there is no such board, or no record of it.
    """
    from harness.boards.board import load_board
    from harness.boards.conditions import read_conditions
    from harness.errors import UsageError
    from harness.plugin.host import Host
    from harness.records import CONDITIONS, read_records

    published = Path(reference)
    if (published / CONDITIONS).is_file():
        conditions, folder, place = read_conditions(published / CONDITIONS), published, published
    else:
        loaded = load_board(reference, Host(data_dir=data_dir, download=False))
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


def print_json(value: Any) -> None:
    """Print JSON in ASCII, so that no terminal or pipe has to take a lone surrogate or a mark."""
    click.echo(json.dumps(value, indent=2))


def print_found(found: Any, as_json: bool, text: Callable[[Any], str]) -> None:
    """Print what was found, as JSON or as the text that a function makes of it."""
    if as_json:
        print_json(found)
    else:
        click.echo(text(found), nl=False)


def print_rich(shown: RenderableType) -> None:
    """Print what rich renders, in the width of the terminal, or in 100 columns to a pipe."""
    from rich.console import Console

    width = None if sys.stdout.isatty() else 100
    Console(markup=False, highlight=False, width=width).print(shown)
