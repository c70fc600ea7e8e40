"""Check published boards: compute them again from their records and compare every byte."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from harness.errors import TamperedError, UsageError, did_you_mean
from harness.files import read_json
from harness.leaderboard.data import Leaderboard
from harness.publish.write import (
    INDEX,
    SCHEMA_FILE,
    json_schema,
    published_boards,
    rebuild,
    render,
)
from harness.records import CONDITIONS
from harness.render import index


def check(folder: Path, names: Sequence[str] = ()) -> list[str]:
    """Check the boards named, or all of them and the index, and return their names.

    Raises:
        TamperedError: If a file differs, is missing, or belongs to nothing; or a record was
            changed by hand. The text names it.
        UsageError: If there is no such board.
    """
    boards = {path.name: path for path in published_boards(folder)}
    for name in names:
        if name not in boards:
            raise UsageError(f"{folder} has no board {name!r}; {did_you_mean(name, boards)}")
    if not boards and not any((folder / "records").glob("*/")):
        raise UsageError(f"{folder} has no published board: harness publish BOARD writes one")
    computed = [_check_board(boards[name], folder) for name in names or sorted(boards)]
    if not names:
        _check_stray(folder, boards)
        _same(folder / INDEX, index.render(computed))
        _same(folder / SCHEMA_FILE, json_schema(), "what this version of the harness writes")
    return [board.conditions.board for board in computed]


def _check_board(records: Path, folder: Path) -> Leaderboard:
    board = folder / f"{records.name}.json"
    missing = sorted(_listed(board) - {path.stem for path in records.glob("*.json")})
    if missing:
        raise TamperedError(f"{records / missing[0]}.json is missing; {board.name} lists it")
    computed = rebuild(records)
    for ending, text in render(computed).items():
        _same(folder / f"{records.name}{ending}", text)
    return computed


def _listed(path: Path) -> set[str]:
    try:
        content = read_json(path)
        refs = [ref for row in content["rows"] for ref in row["records"]]
        return {str(ref["id"]) for ref in [*refs, *content["superseded"]]}
    except (UsageError, KeyError, TypeError):
        return set()  # the comparison byte by byte names the file


def _same(path: Path, text: str, source: str = "what its records give") -> None:
    try:
        found = path.read_bytes()
    except OSError:
        raise TamperedError(f"{path} is missing; harness publish writes it") from None
    wanted = text.encode()
    if found != wanted:
        lines = zip(found.split(b"\n"), wanted.split(b"\n"), strict=False)
        first = next((n for n, (a, b) in enumerate(lines, start=1) if a != b), "the last")
        raise TamperedError(f"{path} is not {source}, from line {first} on")


def _check_stray(folder: Path, boards: Mapping[str, Path]) -> None:
    endings = (".md", ".svg", ".json", ".csv")
    expected = {INDEX, SCHEMA_FILE, *(f"{name}{each}" for name in boards for each in endings)}
    for path in sorted((folder / "records").iterdir()):
        if not path.name.startswith(".") and path.name not in boards:
            raise TamperedError(f"{path} has no {CONDITIONS}; publish that board or delete it")
    for path in sorted(folder.iterdir()):
        if path.suffix in endings and path.name not in expected:
            raise TamperedError(f"{path} belongs to no published board; delete it")
