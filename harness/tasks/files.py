"""Reading the files that data sets are published in, row by row, as they stand."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from harness.errors import UsageError


def raw_rows(files: Sequence[Path], columns: Sequence[str] = ()) -> Iterator[dict[str, Any]]:
    """Yield the rows of parquet, JSONL, JSON and TSV files.

    Numbers in JSON stay as they are written. Each row gets `_file` (the file's name without
    endings) and `_line` (counted from 0).

    Args:
        files: Read in this order.
        columns: Names of the columns of TSV files, which have no header.

    Raises:
        UsageError: If a file cannot be read or is not what its ending says.
    """
    for path in files:
        kind = path.name.removesuffix(".gz").rpartition(".")[2]
        reader = {"parquet": _parquet, "jsonl": _jsonl, "json": _json, "tsv": _tsv}.get(kind)
        if reader is None:
            raise UsageError(f"cannot read {path}: only parquet, jsonl, json and tsv are known")
        for number, row in enumerate(reader(path, columns)):
            yield {**row, "_file": path.name.partition(".")[0], "_line": str(number)}


def _lines(path: Path) -> Iterator[str]:
    opened = gzip.open if path.suffix == ".gz" else open
    try:
        with opened(path, "rt", encoding="utf-8") as lines:
            yield from lines
    except (OSError, EOFError, UnicodeDecodeError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or error
        raise UsageError(f"cannot read {path}: {reason}") from None


def _parsed(text: str, path: Path, number: int = 1) -> Any:
    try:
        return json.loads(text, parse_float=str, parse_int=str)
    except (json.JSONDecodeError, RecursionError) as error:
        raise UsageError(f"line {number} of {path} is not JSON: {error}") from None


def _jsonl(path: Path, columns: Sequence[str]) -> Iterator[dict[str, Any]]:
    for number, line in enumerate(_lines(path), 1):
        if not line.strip():
            continue
        row = _parsed(line, path, number)
        if not isinstance(row, dict):
            raise UsageError(f"line {number} of {path} is not a JSON object")
        yield row


def _json(path: Path, columns: Sequence[str]) -> Iterator[dict[str, Any]]:
    text = "".join(_lines(path))
    if not text.lstrip().startswith("["):
        yield from _jsonl(path, columns)
        return
    for row in _parsed(text, path):
        if not isinstance(row, dict):
            raise UsageError(f"{path} is not a list of JSON objects")
        yield row


def _tsv(path: Path, columns: Sequence[str]) -> Iterator[dict[str, Any]]:
    for number, line in enumerate(_lines(path), 1):
        values = line.rstrip("\n").split("\t")
        if len(values) != len(columns):
            raise UsageError(
                f"line {number} of {path} has {len(values)} columns, not the known"
                f" {', '.join(columns)}"
            )
        yield dict(zip(columns, values, strict=True))


def _parquet(path: Path, columns: Sequence[str]) -> Iterator[dict[str, Any]]:
    import pyarrow
    from pyarrow import parquet

    try:
        yield from parquet.read_table(path).to_pylist()
    except (OSError, pyarrow.ArrowException) as error:
        reason = str(error).splitlines()[0]
        raise UsageError(f"cannot read {path}: {reason}") from None
