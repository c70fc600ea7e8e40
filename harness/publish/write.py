"""Publish a board: copy its records, and write the files that they give."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

from harness.boards.conditions import Conditions, read_conditions
from harness.errors import TamperedError, UsageError
from harness.files import write_atomically
from harness.leaderboard.build import build
from harness.leaderboard.data import Leaderboard, json_schema
from harness.records import CONDITIONS, read_records
from harness.render import index, markdown, spreadsheet

BOARD_FILE = "board.toml"
SCHEMA_FILE = "leaderboard.schema.json"
INDEX = "README.md"


def render(board: Leaderboard) -> dict[str, str]:
    """Return the text of each published file of a board, by its ending."""
    text, table = markdown.render(board), spreadsheet.render(board)
    return {".md": text, ".json": board.to_json(), ".csv": table}


def write(board: Leaderboard, folder: Path) -> list[Path]:
    """Write a board's `.md`, `.json` and `.csv` into a folder, without its records."""
    files = {folder / f"{board.conditions.board}{end}": text for end, text in render(board).items()}
    for path, text in files.items():
        write_atomically(path, text)
    return list(files)


def publish(
    source: Path,
    conditions: Conditions,
    folder: Path,
    board_file: Path | None = None,
    *,
    replace: bool = False,
) -> list[Path]:
    """Publish a board in `folder`: copy its records and its file, and write what they give.

    `source` holds records, or a folder `records`. Those that are published already stay: the
    records of several people are joined. With `replace`, those of other conditions are deleted.

    Returns:
        The files written, records excepted.

    Raises:
        UsageError: If there is no record of this board, or other conditions are published.
        TamperedError: If a record was changed, or one of the same id has other content.
    """
    records = folder / "records" / conditions.board
    old = read_conditions(records / CONDITIONS) if (records / CONDITIONS).exists() else conditions
    changed = old.digest != conditions.digest
    if changed and not replace:
        raise UsageError(
            f"{records} holds records made under other conditions (board digest"
            f" {old.digest[:12]}, now {conditions.digest[:12]}); they are never mixed:"
            " add --replace to drop them, or give the board another name"
        )
    place = source / "records" if (source / "records").is_dir() else source
    found = [
        record
        for record in read_records(place, superseded=True)
        if record.board.digest == conditions.digest
    ]
    if not found:
        raise UsageError(f"{place} has no record of board {conditions.board!r} as it is now")
    text = None if board_file is None else board_file.read_text(encoding="utf-8")
    if text is not None:
        sha256 = hashlib.sha256(text.encode()).hexdigest()
        conditions = conditions.model_copy(update={"board_sha256": sha256})
    # Everything is checked before anything is written, so a refusal leaves no half of a board.
    kept = [] if changed else read_records(records, superseded=True)
    present = {record.id: record for record in kept}
    names = {f"{record.id}.json": record for record in found}
    for name, record in names.items():
        if present.setdefault(record.id, record) != record:
            raise TamperedError(f"{place / name} and {records / name} differ; records never change")
    board = build(present.values(), conditions)
    if changed:
        shutil.rmtree(records)
    for name in names:
        write_atomically(records / name, (place / name).read_text(encoding="utf-8"))
    write_atomically(records / CONDITIONS, conditions.to_json())
    if text is not None:
        write_atomically(records / BOARD_FILE, text)
    written = write(board, folder)
    write_atomically(folder / SCHEMA_FILE, json_schema())
    others = [rebuild(path) for path in published_boards(folder) if path != records]
    write_atomically(folder / INDEX, index.render([board, *others]))
    return [*written, folder / SCHEMA_FILE, folder / INDEX]


def published_boards(folder: Path) -> list[Path]:
    return sorted(path.parent for path in (folder / "records").glob(f"*/{CONDITIONS}"))


def rebuild(records: Path) -> Leaderboard:
    """Return the leaderboard of a folder of published records, checked."""
    conditions = read_conditions(records / CONDITIONS)
    if conditions.board != records.name:
        raise TamperedError(
            f"{records / CONDITIONS} is of the board {conditions.board!r}: the names must agree"
        )
    stray = [
        path
        for path in sorted(records.iterdir())
        if path.suffix != ".json" and path.name != BOARD_FILE and not path.name.startswith(".")
    ]
    if stray:
        raise TamperedError(f"{stray[0]} belongs to no record; delete it")
    file = records / BOARD_FILE
    if conditions.board_sha256 is not None:
        if not file.is_file():
            raise TamperedError(f"{file} is missing; harness publish writes it")
        if hashlib.sha256(file.read_bytes()).hexdigest() != conditions.board_sha256:
            raise TamperedError(f"{file} was changed after it was published")
    return build(read_records(records, superseded=True), conditions)
