"""Reading the files that data sets are published in, row by row, with their own columns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from harness.errors import UsageError, first_line
from harness.files import parse_json, read_jsonl, read_lines

_Rows = Iterator[tuple[str, dict[str, Any]]]  # where a row is, for messages, and the row


def raw_rows(files: Sequence[Path], columns: Sequence[str] = ()) -> Iterator[dict[str, Any]]:
    """Yield the rows of parquet, JSONL, JSON and TSV files.

    Numbers in JSON stay as they are written. Each row gets `_file` (the file's name without
    endings), `_line` (its place among the file's rows, counted from 0, which ids are made of) and
    `_at` (where it is, for messages: `line 3 of <path>`). TSV files have the columns that are
    named, and no header.
    """
    for path in files:
        kind = path.name.removesuffix(".gz").rpartition(".")[2]
        reader = {"parquet": _parquet, "jsonl": _jsonl, "json": _json, "tsv": _tsv}.get(kind)
        if reader is None:
            raise UsageError(f"cannot read {path}: only parquet, jsonl, json and tsv are known")
        for place, (at, row) in enumerate(reader(path, columns)):
            yield {**row, "_file": path.name.partition(".")[0], "_line": str(place), "_at": at}


def _jsonl(path: Path, columns: Sequence[str]) -> _Rows:
    for number, row in read_jsonl(path, numbers_as_text=True):
        yield f"line {number} of {path}", row


def _json(path: Path, columns: Sequence[str]) -> _Rows:
    text = "".join(line for _, line in read_lines(path))
    if not text.lstrip().startswith("["):
        yield from _jsonl(path, columns)
        return
    rows = parse_json(text.encode(), str(path), numbers_as_text=True)
    for number, row in enumerate(rows, start=1):
        if not isinstance(row, dict):
            raise UsageError(f"row {number} of {path} is not a JSON object")
        yield f"row {number} of {path}", row


def _tsv(path: Path, columns: Sequence[str]) -> _Rows:
    for number, line in read_lines(path):
        at, values = f"line {number} of {path}", line.rstrip("\r\n").split("\t")
        if len(values) != len(columns):
            known = ", ".join(columns)
            raise UsageError(f"{at} has {len(values)} columns, not the known {known}")
        yield at, dict(zip(columns, values, strict=True))


def _parquet(path: Path, columns: Sequence[str]) -> _Rows:
    import pyarrow
    from pyarrow import parquet

    try:
        for number, row in enumerate(parquet.read_table(path).to_pylist(), start=1):
            yield f"row {number} of {path}", row
    except (OSError, pyarrow.ArrowException) as error:
        raise UsageError(f"cannot read {path}: {first_line(error)}") from None
