"""Files and digests: what is written is written whole, what is read is read by one reader."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import re
import secrets
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from harness.errors import TamperedError, UsageError


def write_atomically(path: Path, text: str) -> None:
    """Write a file so that a reader sees the old one or the whole new one, never a part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}")
    # unlike those of `tempfile`, a file that is opened so gets its mode from the user's umask
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def read_verified(path: Path, sha256: str) -> bytes:
    """Return the bytes of a file, if they are the very ones that a digest was made of.

    Raises:
        TamperedError: If they are not, or the file cannot be read.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise TamperedError(f"cannot read {path}: {error.strerror}") from None
    if hashlib.sha256(content).hexdigest() != sha256:
        raise TamperedError(f"{path} was changed after it was written")
    return content


def file_sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def json_sha256(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=dict).encode()).hexdigest()


def slug(text: str) -> str:
    """Return a text as part of a file name: lower-case letters, digits, dots and dashes."""
    return re.sub(r"[^a-z0-9.]+", "-", text.lower().replace("+", "--"))[:60].strip("-.") or "x"


def jsonl(rows: Iterable[Mapping[str, Any]]) -> str:
    """Return rows as JSON lines, with sorted keys, so that equal rows are equal bytes."""
    return "".join(json.dumps(row, sort_keys=True) + "\n" for row in rows)


def read_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield each line of a text file with its number, counted from 1.

    A line ends at a newline alone, since a text may hold any other separator. A file whose name
    ends in `.gz` is decompressed.

    Raises:
        UsageError: If the file cannot be read or is not UTF-8; the text names it and the line.
    """
    for number, line in _raw_lines(path):
        try:
            yield number, line.decode()
        except UnicodeDecodeError:
            raise UsageError(f"line {number} of {path} is not UTF-8") from None


def read_jsonl(
    path: Path, *, numbers_as_text: bool = False, torn: Callable[[int], None] | None = None
) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield each row of a JSONL file with the number of its line; blank lines are skipped.

    `numbers_as_text` keeps numbers as they are written. `torn` is called with the number of a last
    line that was not written to its end; without it such a line is an error.

    Raises:
        UsageError: If the file cannot be read, or a line is not a JSON object; the text names the
            file and the line.
    """
    number_type = str if numbers_as_text else None
    for number, line in _raw_lines(path):
        if not line.strip():
            continue
        try:
            row = json.loads(line.decode(), parse_float=number_type, parse_int=number_type)
        except (ValueError, RecursionError) as error:
            if torn is not None and not line.endswith(b"\n"):
                torn(number)
                return
            wrong = "UTF-8" if isinstance(error, UnicodeDecodeError) else f"JSON: {error}"
            raise UsageError(f"line {number} of {path} is not {wrong}") from None
        if not isinstance(row, dict):
            raise UsageError(f"line {number} of {path} is not a JSON object")
        yield number, row


def _raw_lines(path: Path) -> Iterator[tuple[int, bytes]]:
    opened = gzip.open if path.suffix == ".gz" else open
    try:
        with opened(path, "rb") as lines:
            yield from enumerate(lines, start=1)
    except (OSError, EOFError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or error
        raise UsageError(f"cannot read {path}: {reason}") from None
