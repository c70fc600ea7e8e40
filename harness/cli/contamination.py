"""The command `harness contamination`."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.cli.options import data_option, json_option, runs_option

if TYPE_CHECKING:
    from harness.contamination.overlap import Overlap, Passage

file_type = click.Path(path_type=Path, exists=True, dir_okay=False)


def register(cli: click.Group) -> None:
    """Add the command to the command line."""
    cli.add_command(contamination)


@click.command()
@click.argument("board", required=False)
@click.option("--train", type=file_type, help="Instead of a board: a JSONL file of training rows.")
@click.option("--test", type=file_type, help="With --train: a JSONL file of test problems.")
@click.option(
    "--examples",
    type=click.IntRange(0, 50),
    default=3,
    show_default=True,
    help="Pairs of texts shown for each test set, the strictest first.",
)
@data_option
@runs_option
@json_option
def contamination(
    board: str | None,
    train: Path | None,
    test: Path | None,
    examples: int,
    data_dir: Path | None,
    runs: Path,
    as_json: bool,
) -> None:
    """Compare training data with test sets: 13 and 8 words in a row, and whole problems.

    BOARD is a board's name or TOML file. Its training rows and traces are compared with each of its
    test sets, and so are the texts that teachers wrote in its runs folder.
    """
    if (train is None) != (test is None) or (board is None) == (train is None):
        raise click.UsageError("name a board, or give both --train FILE and --test FILE")
    if train is not None and test is not None:
        found = {train.name: _of_files(train, test)}
    else:
        found = _of_board(str(board), data_dir, runs)
    shown = {
        name: [one.model_copy(update={"examples": one.examples[:examples]}) for one in overlaps]
        for name, overlaps in found.items()
    }
    if as_json:
        content = {
            name: [one.model_dump(mode="json") for one in overlaps]
            for name, overlaps in shown.items()
        }
        click.echo(json.dumps(content, indent=1))
        return
    import sys

    from rich.console import Console

    from harness.render.contamination import render

    console = Console(markup=False, highlight=False, width=None if sys.stdout.isatty() else 100)
    for name, overlaps in shown.items():
        console.print(render(name, overlaps))


def _of_board(name: str, data_dir: Path | None, runs: Path) -> dict[str, list[Overlap]]:
    """Return the overlaps with each body of training text of a board, by its name."""
    from harness.boards.board import load_board
    from harness.contamination.board import SYNTHETIC, BoardOverlaps
    from harness.plugin.host import Host

    board = load_board(name, Host(data_dir=data_dir))
    folder = runs / board.name
    overlaps = BoardOverlaps(board, folder if folder.is_dir() else None)
    found = {f"training rows of {', '.join(board.file.data.train)}": overlaps.of_data()}
    if board.file.data.traces:
        found[f"traces of {', '.join(board.file.data.traces)}"] = overlaps.of_traces()
    for path in sorted(folder.glob(f"stages/*/{SYNTHETIC}")):
        found[f"texts made by {path.parent.name}"] = overlaps.of_stage(path.parent)
    return {name: list(by_task.values()) for name, by_task in found.items()}


def _of_files(train: Path, test: Path) -> list[Overlap]:
    from harness.contamination.overlap import TestSets

    tests = [
        {"id": _named(row, place), "problem": _text(row, test, place, ("problem", "question"))}
        for place, row in enumerate(_rows(test))
    ]
    return list(TestSets({test.name: tests}).check(_passages(train)).values())


def _passages(path: Path) -> Iterator[Passage]:
    from harness.contamination.overlap import Passage

    for place, row in enumerate(_rows(path)):
        first = _text(row, path, place, ("problem", "question", "text"))
        yield Passage(_named(row, place), first, problem="problem" in row or "question" in row)
        for name in ("solution", "answer", "completion"):
            if isinstance(row.get(name), str):
                yield Passage(_named(row, place), row[name])


def _named(row: Mapping[str, Any], place: int) -> str:
    return str(row.get("id", f"line {place + 1}"))


def _text(row: Mapping[str, Any], path: Path, place: int, names: tuple[str, ...]) -> str:
    from harness.errors import UsageError

    for name in names:
        if isinstance(row.get(name), str):
            return row[name]
    raise UsageError(f"{path}: line {place + 1} has no text under {' or '.join(names)}")


def _rows(path: Path) -> Iterator[Mapping[str, Any]]:
    from harness.errors import UsageError

    opened = gzip.open if path.suffix == ".gz" else open
    empty = True
    try:
        with opened(path, "rt", encoding="utf-8") as lines:
            for number, line in enumerate(lines, start=1):
                row = json.loads(line) if line.strip() else None
                if row is not None and not isinstance(row, dict):
                    raise UsageError(f"{path}: line {number} is not a JSON object")
                if row is not None:
                    empty = False
                    yield row
    except (OSError, EOFError, zlib.error) as error:
        raise UsageError(f"cannot read {path}: {error}") from None
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path} is not JSONL: {error}") from None
    if empty:
        raise UsageError(f"{path} holds no row")
