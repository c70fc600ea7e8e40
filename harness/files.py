"""Files and digests: what is written is written whole, what is read is read by one reader."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import re
import secrets
import shutil
import stat
import subprocess
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any

from harness.errors import TamperedError, UsageError

LARGEST_JSON = 64 * 2**20  # bytes; the largest tokenizers have half of it
LARGEST_LINE = 16 * 2**20  # bytes
DEEPEST = 64  # objects and lists within each other
_BOM = b"\xef\xbb\xbf"  # some editors put it before a text in UTF-8


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


def clear_for(path: Path) -> None:
    """Remove a folder that lies where a file is to be written, as a stage may have left one.

    What cannot be removed, for the rights that it was given, lies beside that place then.
    """
    if path.is_dir() and not path.is_symlink():
        aside = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
        path.rename(aside)
        remove_folder(aside)


def remove_folder(path: Path) -> None:
    """Remove a folder with all that lies in it, as far as that can be removed, however deep."""
    try:
        shutil.rmtree(path, ignore_errors=True)
    except RecursionError:  # the system's own tool has no such limit
        subprocess.run(["rm", "-rf", "--", str(path)], capture_output=True, check=False)


def remove_what_is_in(folder: Path) -> None:
    """Remove all that lies in a folder, as far as that can be removed."""
    for path in list(folder.iterdir()):
        if path.is_dir() and not path.is_symlink():
            remove_folder(path)
        else:
            path.unlink(missing_ok=True)


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


def is_text(value: Any) -> bool:
    """Return whether every text of a JSON value can be written: JSON may name half a character."""
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True


def file_sha256(path: Path) -> str:
    """Return the sha256 of a regular file; for its errors see `read_bytes`."""
    with open_regular(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]


def json_sha256(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=dict).encode()).hexdigest()


def slug(text: str) -> str:
    """Return a text as part of a file name: lower-case letters, digits, dots and dashes."""
    return re.sub(r"[^a-z0-9.]+", "-", text.lower().replace("+", "--"))[:60].strip("-.") or "x"


def jsonl(rows: Iterable[Mapping[str, Any]]) -> str:
    """Return rows as JSON lines, with sorted keys, so that equal rows are equal bytes."""
    return "".join(json.dumps(row, sort_keys=True) + "\n" for row in rows)


# -- reading what others wrote ------------------------------------------------------------------


def read_bytes(path: Path, limit: int = LARGEST_JSON) -> bytes:
    """Return the content of a regular file of at most `limit` bytes.

    Raises:
        UsageError: If it cannot be read, is larger, or is no regular file (a pipe, a device).
    """
    with open_regular(path) as file:
        content = file.read(limit + 1)
    if len(content) > limit:
        raise UsageError(f"{path} is larger than {limit:,} bytes, the most that is read")
    return content


def read_text(path: Path, limit: int = LARGEST_JSON) -> str:
    """Return the text of a UTF-8 file, without a byte order mark; see `read_bytes`."""
    content = read_bytes(path, limit)
    try:
        return content.removeprefix(_BOM).decode()
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise UsageError(f"line {line} of {path} is not UTF-8") from None


def read_json(path: Path, limit: int = LARGEST_JSON) -> Any:
    """Return the value in a JSON file; see `read_bytes` and `parse_json`."""
    return parse_json(read_bytes(path, limit), str(path))


def parse_json(text: bytes, where: str, *, numbers_as_text: bool = False) -> Any:
    """Return the value of a JSON text in UTF-8; `where` names it in an error.

    Raises:
        UsageError: If it is not JSON, or has lists and objects in each other more than `DEEPEST`
            deep.
    """
    number_type = str if numbers_as_text else None
    try:
        # without the line's end, where an error would be in column 1 of the next
        decoded = text.removeprefix(_BOM).decode().rstrip(" \t\r\n")
        value = json.loads(decoded, parse_float=number_type, parse_int=number_type)
    except UnicodeDecodeError:
        raise UsageError(f"{where} is not UTF-8") from None
    except json.JSONDecodeError as error:
        line = f"line {error.lineno}, " if "\n" in decoded else ""
        at = f"{line}column {error.colno}"
        raise UsageError(f"{where} is not JSON: {error.msg} ({at})") from None
    except ValueError as error:  # a number of thousands of digits
        raise UsageError(f"{where} is not JSON that can be read: {error}") from None
    except RecursionError:
        raise UsageError(f"{where} is nested more than {DEEPEST} deep") from None
    except MemoryError:
        raise UsageError(f"{where} does not fit into memory") from None
    if text.count(b"[") + text.count(b"{") > DEEPEST and is_deeper(value, DEEPEST):
        raise UsageError(f"{where} is nested more than {DEEPEST} deep")
    return value


def is_deeper(value: Any, depth: int) -> bool:
    """Return whether lists and objects lie in each other more than `depth` deep."""
    level = [value] if isinstance(value, dict | list) else []
    for _ in range(depth):
        level = [
            inner
            for outer in level
            for inner in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(inner, dict | list)
        ]
    return bool(level)


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
    for number, line in _raw_lines(path):
        if not line.strip():
            continue
        try:
            where = f"line {number} of {path}"
            row = parse_json(line, where, numbers_as_text=numbers_as_text)
        except UsageError:
            if torn is not None and not line.endswith(b"\n"):
                torn(number)
                return
            raise
        if not isinstance(row, dict):
            raise UsageError(f"{where} is not a JSON object")
        yield number, row


def _raw_lines(path: Path) -> Iterator[tuple[int, bytes]]:
    try:
        with open_regular(path) as file, gzip.open(file) if path.suffix == ".gz" else file as lines:
            number = 0
            while line := lines.readline(LARGEST_LINE + 1):
                number += 1
                if len(line) > LARGEST_LINE:
                    most = f"{LARGEST_LINE:,} bytes"
                    raise UsageError(f"line {number} of {path} is longer than {most}")
                yield number, line.removeprefix(_BOM) if number == 1 else line
    except (OSError, EOFError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or error
        raise UsageError(f"cannot read {path}: {reason}") from None


def open_regular(path: Path) -> IO[bytes]:
    """Open a regular file; a pipe is refused and not waited for, a device is not read from."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from None
    except ValueError as error:  # a null character in the name
        raise UsageError(f"cannot read {str(path)!r}: {error}") from None
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise UsageError(f"cannot read {path}: it is not a regular file")
    return os.fdopen(handle, "rb")
