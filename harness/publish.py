"""Published boards: records, and the files that are nothing but a rendering of them.

    leaderboards/README.md                  the index
    leaderboards/leaderboard.schema.json    of the .json files
    leaderboards/<board>.md .json .csv
    leaderboards/records/<board>/           *.json records, conditions.json, board.toml

`publish` writes them; `check` computes them again and names the file that differs.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path

from harness.conditions import Conditions, read_conditions
from harness.errors import TamperedError, UsageError, did_you_mean
from harness.leaderboard import build
from harness.records import Record, read_record, write_atomically
from harness.render import index, markdown, spreadsheet
from harness.standings import Leaderboard, json_schema

CONDITIONS = "conditions.json"
BOARD_FILE = "board.toml"
SCHEMA_FILE = "leaderboard.schema.json"
INDEX = "README.md"
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,199}")


def render(board: Leaderboard) -> dict[str, str]:
    """Return the text of each published file of a board, by its ending."""
    return {
        ".md": markdown.render(board),
        ".json": board.to_json(),
        ".csv": spreadsheet.render(board),
    }


def write(board: Leaderboard, folder: Path) -> list[Path]:
    """Write a board's `.md`, `.json` and `.csv` into a folder, without its records."""
    paths = []
    for ending, text in render(board).items():
        paths.append(folder / f"{board.conditions.board}{ending}")
        write_atomically(paths[-1], text)
    return paths


def read_record_files(folder: Path) -> dict[Path, Record]:
    """Read every record of a folder, checked against its digest and its own name.

    Raises:
        TamperedError: If one was changed after it was written, or bears another's name.
        UsageError: If a file is not a record.
    """
    found = {}
    for path in sorted(folder.glob("*.json")):
        if path.name == CONDITIONS:
            continue
        record = read_record(path)
        if not _ID.fullmatch(record.id) or path.stem != record.id:
            raise TamperedError(f"{path} holds the record {record.id!r}: the names must agree")
        found[path] = record
    return found


def publish(
    source: Path,
    conditions: Conditions,
    folder: Path,
    board_file: Path | None = None,
    *,
    replace: bool = False,
) -> list[Path]:
    """Publish a board: copy its records and write what they give.

    Records that are published already stay: those of several people are joined.

    Args:
        source: A folder of records, or one with a folder `records` in it.
        conditions: The board's.
        folder: Of published leaderboards.
        board_file: The board's TOML file, to be published beside the records.
        replace: Drop what is published under other conditions.

    Returns:
        The files written, records excepted.

    Raises:
        UsageError: If there is no record of this board, or other conditions are published.
        TamperedError: If a record was changed, or one of the same id has other content.
    """
    records = folder / "records" / conditions.board
    if (records / CONDITIONS).exists():
        old = read_conditions(records / CONDITIONS)
        if old.digest != conditions.digest and not replace:
            raise UsageError(
                f"{records} holds records made under other conditions (board digest"
                f" {old.digest[:12]}, now {conditions.digest[:12]}); they are never mixed:"
                " delete that folder, or give the board another name"
            )
        if old.digest != conditions.digest:
            shutil.rmtree(records)
    place = source / "records" if (source / "records").is_dir() else source
    found = {
        path: record
        for path, record in read_record_files(place).items()
        if record.board.digest == conditions.digest
    }
    if not found:
        raise UsageError(f"{place} has no record of board {conditions.board!r} as it is now")
    text = None if board_file is None else board_file.read_text(encoding="utf-8")
    if text is not None:
        sha256 = hashlib.sha256(text.encode()).hexdigest()
        conditions = conditions.model_copy(update={"board_sha256": sha256})
    # Everything is checked before anything is written, so a refusal leaves no half of a board.
    present = {record.id: record for record in read_record_files(records).values()}
    for path, record in found.items():
        if present.setdefault(record.id, record) != record:
            raise TamperedError(f"{path} and {records / path.name} differ; records never change")
    board = build(present.values(), conditions)
    for path in found:
        write_atomically(records / path.name, path.read_text(encoding="utf-8"))
    write_atomically(records / CONDITIONS, conditions.to_json())
    if text is not None:
        write_atomically(records / BOARD_FILE, text)
    written = write(board, folder)
    write_atomically(folder / SCHEMA_FILE, json_schema())
    others = [_rebuild(path) for path in _boards(folder) if path != records]
    write_atomically(folder / INDEX, index.render([board, *others]))
    return [*written, folder / SCHEMA_FILE, folder / INDEX]


def join(source: Path, folder: Path) -> list[Path]:
    """Join the records somebody else published, `<their leaderboards>/records/<board>`, to ours.

    Raises:
        UsageError: If theirs were made under other conditions.
        TamperedError: If one of theirs was changed, or one of the same id has other content.
    """
    conditions = read_conditions(source / CONDITIONS)
    ours = folder / "records" / conditions.board / CONDITIONS
    if ours.exists() and read_conditions(ours).digest == conditions.digest:
        conditions = read_conditions(ours)
    return publish(source, conditions, folder)


def check(folder: Path, names: Sequence[str] = ()) -> list[str]:
    """Compute published boards again from their records and compare every byte.

    Args:
        folder: Of published leaderboards.
        names: Boards to look at; all of them, and the index, if none is named.

    Returns:
        The names of the boards that are what their records give.

    Raises:
        TamperedError: If a file differs, is missing, or belongs to nothing; or a record was
            changed by hand. The text names it.
        UsageError: If there is no such board.
    """
    boards = {path.name: path for path in _boards(folder)}
    for name in names:
        if name not in boards:
            raise UsageError(f"{folder} has no board {name!r}; {did_you_mean(name, boards)}")
    if not boards:
        raise UsageError(f"{folder} has no published board: harness publish BOARD writes one")
    computed = [_check_board(boards[name], folder) for name in names or sorted(boards)]
    if not names:
        _same(folder / INDEX, index.render(computed))
        _check_stray(folder, boards)
        if not (folder / SCHEMA_FILE).is_file():
            raise TamperedError(f"{folder / SCHEMA_FILE} is missing; harness publish writes it")
    return [board.conditions.board for board in computed]


def _boards(folder: Path) -> list[Path]:
    return sorted(path.parent for path in (folder / "records").glob(f"*/{CONDITIONS}"))


def _rebuild(records: Path) -> Leaderboard:
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
    return build(read_record_files(records).values(), conditions)


def _check_board(records: Path, folder: Path) -> Leaderboard:
    board = folder / f"{records.name}.json"
    missing = sorted(_listed(board) - {path.stem for path in records.glob("*.json")})
    if missing:
        raise TamperedError(f"{records / missing[0]}.json is missing; {board.name} lists it")
    computed = _rebuild(records)
    for ending, text in render(computed).items():
        _same(folder / f"{records.name}{ending}", text)
    return computed


def _listed(path: Path) -> set[str]:
    """Return the ids of the records that a published leaderboard lists, if it can be read."""
    try:
        content = json.loads(path.read_bytes())
        refs = [ref for row in content["rows"] for ref in row["records"]]
        return {str(ref["id"]) for ref in [*refs, *content["superseded"]]}
    except (OSError, ValueError, KeyError, TypeError):
        return set()  # the comparison byte by byte names the file


def _same(path: Path, text: str) -> None:
    try:
        found = path.read_bytes()
    except OSError:
        raise TamperedError(f"{path} is missing; harness publish writes it") from None
    if found != text.encode():
        lines = zip(found.split(b"\n"), text.encode().split(b"\n"), strict=False)
        first = next((n for n, (a, b) in enumerate(lines, start=1) if a != b), "the last")
        raise TamperedError(f"{path} is not what its records give, from line {first} on")


def _check_stray(folder: Path, boards: Iterable[str]) -> None:
    expected = {INDEX, SCHEMA_FILE}
    expected |= {f"{name}{ending}" for name in boards for ending in (".md", ".json", ".csv")}
    for path in sorted(folder.iterdir()):
        if path.suffix in (".md", ".json", ".csv") and path.name not in expected:
            raise TamperedError(f"{path} belongs to no published board; delete it")
    for path in sorted((folder / "records").iterdir()):
        if not path.name.startswith(".") and path.name not in set(boards):
            raise TamperedError(f"{path} has no {CONDITIONS}; publish that board or delete it")
