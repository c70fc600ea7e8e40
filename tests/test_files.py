"""What others wrote is read by one bounded reader; every mistake is one line that names it."""

from __future__ import annotations

import errno
import gzip
import json
import os

import pytest

from harness import files
from harness.errors import UsageError, is_disk_full
from harness.files import read_json, read_jsonl, read_lines, read_text


@pytest.mark.promise(
    "What others wrote is read within bounds of kind, size and depth; a mistake is one line"
)
@pytest.mark.parametrize("read", [read_json, read_text, lambda path: list(read_jsonl(path))])
def test_only_regular_files_are_read(tmp_path, read):
    """A pipe nobody writes to would be waited for, and /dev/zero never ends."""
    os.mkfifo(tmp_path / "pipe.json")
    (tmp_path / "zeros.json").symlink_to("/dev/zero")
    (tmp_path / "folder.json").mkdir()
    for name in ("pipe", "zeros", "folder"):
        with pytest.raises(UsageError, match=rf"cannot read .*{name}\.json: "):
            read(tmp_path / f"{name}.json")
    with pytest.raises(UsageError, match=r"cannot read .*gone\.json: No such file"):
        read(tmp_path / "gone.json")


@pytest.mark.promise(
    "What others wrote is read within bounds of kind, size and depth; a mistake is one line"
)
@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b'{"a": 1,\n "b": 2,\n "c" 3}\n', r"is not JSON: Expecting ':' delimiter \(line 3, col"),
        (b'{"a": nope}\n', r"is not JSON: Expecting value \(column 7\)"),
        (b'{"a": 1\n', r"is not JSON: Expecting ',' delimiter \(column 8\)"),
        (b"[" * 100_000, "is nested more than 64 deep"),
        (b"[" * 65 + b"]" * 65, "is nested more than 64 deep"),
        (b'{"a": ' * 65 + b"1" + b"}" * 65, "is nested more than 64 deep"),
        (b"9" * 5000, "is not JSON that can be read: "),
        (b'{"a": "\xff"}', "is not UTF-8"),
        ('{"a": 1}'.encode("utf-16"), "is not UTF-8"),
        (b"", "is not JSON: Expecting value"),
    ],
)
def test_what_is_not_json_is_one_line(tmp_path, content, says):
    path = tmp_path / "x.json"
    path.write_bytes(content)
    with pytest.raises(UsageError, match=rf"x\.json {says}") as caught:
        read_json(path)
    assert "\n" not in str(caught.value)


def test_lists_as_deep_as_allowed_are_read(tmp_path):
    path = tmp_path / "x.json"
    path.write_bytes(b"[" * 64 + b"]" * 64)
    assert json.dumps(read_json(path)) == "[" * 64 + "]" * 64
    path.write_text(json.dumps([{"text": "[" * 500}] * 200))  # brackets of texts are no depth
    assert len(read_json(path)) == 200


@pytest.mark.promise(
    "What others wrote is read within bounds of kind, size and depth; a mistake is one line"
)
def test_sizes_are_bounded(tmp_path, monkeypatch):
    path = tmp_path / "x.json"
    path.write_text("[1, 2, 3]")
    with pytest.raises(UsageError, match=r"x\.json is larger than 8 bytes"):
        read_json(path, limit=8)
    assert read_json(path, limit=9) == [1, 2, 3]
    monkeypatch.setattr(files, "LARGEST_LINE", 2**10)
    bomb = tmp_path / "bomb.jsonl.gz"
    with gzip.open(bomb, "wb") as file:
        file.write(b'{"a": 1}\n' + b" " * 2**22)
    with pytest.raises(UsageError, match=r"line 2 of .*bomb\.jsonl\.gz is longer than"):
        list(read_jsonl(bomb))


def test_a_byte_order_mark_and_windows_line_ends_are_accepted(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b'\xef\xbb\xbf{"a": 1}\r\n\r\n{"a": 2}\r\n')
    assert list(read_jsonl(path)) == [(1, {"a": 1}), (3, {"a": 2})]
    assert next(read_lines(path)) == (1, '{"a": 1}\r\n')
    path.write_bytes(b'\xef\xbb\xbf{"a": 1}')
    assert read_json(path) == {"a": 1}
    assert read_text(path) == '{"a": 1}'


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (b'{"a" 1}', r"line 3 of .*rows\.jsonl is not JSON: Expecting ':' delimiter \(column 6\)$"),
        (b'{"a": "\xff"}', r"line 3 of .*rows\.jsonl is not UTF-8"),
        (b"[1]", r"line 3 of .*rows\.jsonl is not a JSON object"),
    ],
)
def test_a_mistake_in_the_third_line_is_in_line_3(tmp_path, line, says):
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b'{"a": 1}\n\n' + line + b"\n")
    with pytest.raises(UsageError, match=says):
        list(read_jsonl(path))


def test_a_text_that_is_not_utf_8_is_named_with_its_line(tmp_path):
    path = tmp_path / "board.toml"
    path.write_bytes(b"a = 1\nb = '\xe9'\n")
    with pytest.raises(UsageError, match=r"line 2 of .*board\.toml is not UTF-8"):
        read_text(path)


@pytest.mark.parametrize(
    ("error", "full"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "x"), True),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), True),
        # as safetensors and tokenizers word it, whose errors are none of the system's
        (
            RuntimeError("serializing: IoError(Os { code: 28, kind: StorageFull })"),
            True,
        ),
        (Exception("No space left on device (os error 28)"), True),
        (OSError(errno.ENOENT, "No such file"), False),
        (ValueError("the exit code: 281"), False),
    ],
)
def test_a_full_disk_is_recognised(error, full):
    assert is_disk_full(error) is full
