"""Published answers: one compressed file beside each record, without a gold answer or a problem."""

from __future__ import annotations

import gzip
import hashlib
import io
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.errors import HarnessError, TamperedError, UsageError
from harness.files import LARGEST_LINE, is_text, jsonl, parse_json, read_bytes, read_jsonl
from harness.leaderboard.evidence import is_there, not_its_answers
from harness.records import LETTERS, Record
from harness.tasks.protocols import score_name

FOLDER = "answers"
ENDING = ".jsonl.gz"
LARGEST = 512 * 2**20  # bytes of one record's answers before they are compressed
BYTES_OF_TOKEN, BYTES_OF_ANSWER = 256, 4096  # in a line, far more than models write on average
_KEYS = ("id", "sample", "text", "tokens", "finish", "verdict")
Answers = Mapping[str, Sequence[Mapping[str, Any]]]
"""The answers of one record: name of a score -> its answers, in the order of the verdicts."""


@dataclass(frozen=True)
class Held:
    """The lines of a record's answers, compressed in memory: a source may have very many."""

    packed: bytes
    digest: str  # of the lines

    @classmethod
    def of(cls, text: str) -> Held:
        return cls(gzip.compress(text.encode(), compresslevel=1), digest(text))

    @property
    def text(self) -> str:
        """Return the lines, which whoever asks holds no longer than needed."""
        return gzip.decompress(self.packed).decode()


def collect(folder: Path, record: Record) -> Answers | None:
    """Return the answers of a record from a runs folder; None if some are not there.

    Raises:
        TamperedError: If a file of them cannot be read, or holds something else.
    """
    found = {}
    for name, score in zip(names(record), record.scores, strict=True):
        path = folder / FOLDER / record.id / f"{name}.jsonl"
        if not is_there(path):
            return None
        try:
            found[name] = [_kept(row, f"line {n} of {path}") for n, row in read_jsonl(path)]
        except HarnessError as error:
            raise not_its_answers(path, record, error) from None
        if _letters(found[name]) != score.verdicts:
            raise not_its_answers(path, record, TamperedError("it has other verdicts"))
    return found


def names(record: Record) -> list[str]:
    """Return the names of a record's scores, as files of answers have them."""
    return [score_name(score.task, score.protocol) for score in record.scores]


def _kept(row: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Return what is published of an answer: nothing that holds or quotes a gold answer."""
    kept = {key: row.get(key, 0) if key == "sample" else row.get(key) for key in _KEYS}
    numbers = (kept["sample"], kept["tokens"])
    texts = (kept["id"], kept["text"], kept["finish"], kept["verdict"])
    whole = all(type(one) is int and 0 <= one < 10**9 for one in numbers)
    if not whole or not all(isinstance(one, str) for one in texts):
        raise TamperedError(f"{where} is not an answer: it needs {', '.join(_KEYS)}")
    if not is_text(texts):
        raise TamperedError(f"{where}: a text in it is no UTF-8")
    if kept["text"] and not kept["tokens"]:
        raise TamperedError(f"{where}: a text of no token")
    return kept


def judged(lines: str, name: str) -> list[dict[str, Any]]:
    """Return what is published of the lines that judging a score gives."""
    rows = enumerate(lines.splitlines(), 1)
    return [_kept(parse_json(row.encode(), name), f"line {n} of {name}") for n, row in rows]


def to_text(answers: Answers) -> str:
    """Return the lines of a record's answers, the same for the same answers."""
    return jsonl({"score": name, **row} for name, rows in answers.items() for row in rows)


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def pack(text: str) -> bytes:
    """Return compressed lines; they hold no date and no system, so that they can be made again."""
    packed = bytearray(gzip.compress(text.encode(), compresslevel=9, mtime=0))
    packed[9] = 255  # the system that compressed it: unknown
    return bytes(packed)


def most_bytes(record: Record) -> int:
    """Return what the lines of a record's answers can have at most, before they are compressed."""
    tokens = sum(score.completion_tokens for score in record.scores)
    answers = sum(len(score.verdicts) for score in record.scores)
    return min(LARGEST, BYTES_OF_TOKEN * tokens + BYTES_OF_ANSWER * answers)


def read(path: Path, most: int = LARGEST) -> str:
    """Return the lines of a published file of answers, of at most so many bytes.

    Raises:
        TamperedError: If it cannot be read or is too large.
    """
    return _sound(path, most)[1]


def hold(path: Path, most: int = LARGEST) -> Held:
    """Return what `read` would, as compressed as it lies there."""
    packed, text = _sound(path, most)
    return Held(packed, digest(text))


def _sound(path: Path, most: int) -> tuple[bytes, str]:
    """Return a published file of answers, and its lines."""
    try:
        if path.is_symlink():
            raise UsageError(f"{path} is a link and no file of its own")
        packed = read_bytes(path)
        return packed, _unpacked(packed, path, most)
    except UsageError as error:
        raise TamperedError(f"{error}; restore it") from None


def _unpacked(packed: bytes, path: Path, most: int) -> str:
    try:
        with gzip.open(io.BytesIO(packed)) as lines:
            content = lines.read(most + 1)
        if len(content) > most:
            raise UsageError(
                f"{path} holds more than {most:,} bytes, which is more than the answers of its"
                " record can have"
            )
        return content.decode()
    except (OSError, EOFError, zlib.error) as error:
        raise UsageError(f"cannot read {path}: {error}") from None
    except UnicodeDecodeError:
        raise UsageError(f"{path} is not UTF-8") from None


def parse(text: str, record: Record, path: Path) -> Answers:
    """Return the answers in the lines of a file.

    Raises:
        TamperedError: If they are not to the scores of the record, or not as `to_text` writes them.
    """
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in names(record)}
    most = sum(len(score.verdicts) for score in record.scores)
    for number, line in _lines(text, path):
        if number > most:
            raise TamperedError(f"{path} has more lines than {record.id} has answers, {most:,}")
        where = f"line {number} of {path}"
        row = parse_json(line, where)
        score = row.get("score") if isinstance(row, dict) else None
        if score not in found:
            raise TamperedError(f"{where} is no answer to a score of {record.id}")
        found[score].append(_kept(row, where))
    if to_text(found) != text:
        raise TamperedError(f"{path} is not written as harness publish writes answers")
    for name, score in zip(found, record.scores, strict=True):
        if _letters(found[name]) != score.verdicts:
            raise TamperedError(f"{score.task}: its answers have other verdicts")
    return found


def _letters(rows: Iterable[Mapping[str, Any]]) -> str:
    return "".join(LETTERS.get(row["verdict"], "?") for row in rows)


def _lines(text: str, path: Path) -> Iterator[tuple[int, bytes]]:
    """Yield each line with its number, one at a time: there may be very many, all but empty."""
    start = number = 0
    while start < len(text):
        end = text.find("\n", start)
        end = len(text) if end < 0 else end
        number += 1
        if end - start > LARGEST_LINE:
            raise TamperedError(f"line {number} of {path} is longer than {LARGEST_LINE:,} bytes")
        yield number, text[start:end].encode()
        start = end + 1
