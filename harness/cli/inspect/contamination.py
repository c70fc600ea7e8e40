"""`harness contamination`: compare training data with test sets."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.cli import options
from harness.errors import UsageError
from harness.files import read_jsonl

if TYPE_CHECKING:
    from harness.contamination.overlap import Overlap, Passage


@click.command("contamination")
@click.argument("board", required=False)
@click.option(
    "--train", type=options.INPUT_FILE, help="Instead of BOARD: a JSONL file of training rows."
)
@click.option(
    "--test", type=options.INPUT_FILE, help="With --train: a JSONL file of test problems."
)
@click.option(
    "--examples",
    type=click.IntRange(0, 50),
    default=3,
    metavar="N",
    help="Pairs of texts shown for each test set, the strictest first.",
)
@options.data_option
@options.runs_option
@options.json_option
def command(
    board: str | None,
    train: Path | None,
    test: Path | None,
    examples: int,
    data_dir: Path | None,
    runs: Path,
    as_json: bool,
) -> None:
    """Compare training data with test sets.

    Compared are 13 and 8 words in a row, whole problems, and rephrased ones: of a board's training
    rows and traces, and of the texts that teachers wrote in its runs folder, with each of its test
    sets.
    BOARD is a board's name or TOML file; tiny if neither it nor --train is given.
    """
    from harness.render.contamination import render

    if (train is None) != (test is None) or (board is not None and train is not None):
        raise click.UsageError("name a board, or give both --train FILE and --test FILE")
    if train is not None and test is not None:
        found = {train.name: _of_files(train, test)}
    else:
        found = _of_board(board or "tiny", data_dir, runs)
    shown = {
        name: [one.model_copy(update={"examples": one.examples[:examples]}) for one in overlaps]
        for name, overlaps in found.items()
    }
    if as_json:
        options.print_json(
            {k: [one.model_dump(mode="json") for one in v] for k, v in shown.items()}
        )
        return
    for name, overlaps in shown.items():
        options.print_rich(render(name, overlaps))


def _of_board(name: str, data_dir: Path | None, runs: Path) -> dict[str, list[Overlap]]:
    from harness.boards.board import load_board
    from harness.contamination.board import SYNTHETIC, BoardOverlaps
    from harness.plugin.host import Host
    from harness.stage.manifest import sha256_of

    board = load_board(name, Host(data_dir=data_dir))
    folder = runs / board.name
    with BoardOverlaps(board) as overlaps:
        found = {f"training rows of {', '.join(board.file.data.train)}": overlaps.of_data()}
        if board.file.data.traces:
            found[f"traces of {', '.join(board.file.data.traces)}"] = overlaps.of_traces()
        for path in sorted(folder.glob(f"stages/*/{SYNTHETIC}")):
            sha256 = sha256_of(path.parent, SYNTHETIC)
            found[f"texts made by {path.parent.name}"] = overlaps.of_stage(path.parent, sha256)
    return {name: list(by_task.values()) for name, by_task in found.items()}


def _of_files(train: Path, test: Path) -> list[Overlap]:
    from harness.contamination.overlap import TestSets

    tests = [{"id": n, "problem": text} for n, text, _ in _rows(test, "problem", "question")]
    return list(TestSets({test.name: tests}).check(_passages(train)).values())


def _passages(path: Path) -> Iterator[Passage]:
    from harness.contamination.overlap import Passage

    for name, first, row in _rows(path, "problem", "question", "text"):
        yield Passage(name, first, problem="problem" in row or "question" in row)
        for column in ("solution", "answer", "completion"):
            if isinstance(row.get(column), str):
                yield Passage(name, row[column], solution="text" not in row)


def _rows(path: Path, *columns: str) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield the id and the text of each row, from the first column that has one, and the row."""
    number = 0
    for number, row in read_jsonl(path):
        texts = [row[column] for column in columns if isinstance(row.get(column), str)]
        if not texts:
            raise UsageError(f"{path}: line {number} has no text under {' or '.join(columns)}")
        yield str(row.get("id", f"line {number}")), texts[0], row
    if not number:
        raise UsageError(f"{path} holds no row")
