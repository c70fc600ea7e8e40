"""The lease of a runs folder: who holds it, until when, and what its holder sees."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from harness.bench import lease
from harness.bench.folder import Folder
from harness.errors import HarnessError, UsageError


def held_by(path: Path, host: str, silent: float = 0.0) -> None:
    """Leave what a bench on a host left that was alive so many seconds ago."""
    path.mkdir(exist_ok=True)
    holder = {"host": host, "process": 7, "since": "2026-01-02T03:04:05+00:00", "mark": "other"}
    (path / "lock").write_text(json.dumps(holder))
    then = time.time() - silent
    os.utime(path / "lock", (then, then))


@pytest.mark.promise("Two benches do not write to one folder at a time")
def test_the_second_bench_on_a_machine_is_told_who_and_since_when(tmp_path):
    words = rf"in use by another bench \(process {os.getpid()} on \S+, since 20"
    with (
        Folder(tmp_path).locked(),
        pytest.raises(UsageError, match=words),
        Folder(tmp_path).locked(),
    ):
        pytest.fail("two hold it")
    with Folder(tmp_path).locked():
        pass  # at once, for the first one let go


@pytest.mark.promise("Two benches do not write to one folder at a time")
def test_a_bench_on_another_machine_is_believed_while_it_is_alive(tmp_path):
    held_by(tmp_path, "elsewhere", silent=lease.STALE_SECONDS / 2)
    words = r"\(process 7 on elsewhere, since 2026-01-02T03:04:05\+00:00\), which was alive"
    with pytest.raises(UsageError, match=words), Folder(tmp_path).locked():
        pytest.fail("two hold it")
    held_by(tmp_path, "elsewhere", silent=lease.STALE_SECONDS * 2)
    with Folder(tmp_path).locked():
        assert json.loads((tmp_path / "lock").read_text())["process"] == os.getpid()


def test_a_time_that_is_yet_to_come_locks_nobody_out(tmp_path):
    """A trainer may set the time of any file of its user."""
    held_by(tmp_path, "elsewhere", silent=-10 * 365 * 86_400)
    with Folder(tmp_path).locked():
        assert json.loads((tmp_path / "lock").read_text())["process"] == os.getpid()


def check_until(folder: Folder, until: float) -> None:
    while time.monotonic() < until:
        folder.check()
        time.sleep(0.02)


def test_a_bench_that_was_killed_on_this_machine_leaves_the_folder_free(tmp_path):
    held_by(tmp_path, lease.platform.node())
    with Folder(tmp_path).locked():
        pass


def test_a_disk_without_locks_has_leases(tmp_path, monkeypatch):
    def refuse(*_: object) -> None:
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr(lease.fcntl, "flock", refuse)
    with (
        Folder(tmp_path).locked(),
        pytest.raises(UsageError, match="in use by another bench"),
        Folder(tmp_path).locked(),
    ):
        pytest.fail("two hold it")


@pytest.mark.promise("Two benches do not write to one folder at a time")
def test_a_bench_whose_folder_another_one_took_ends(tmp_path, monkeypatch):
    """As where a machine slept for long: its lease ran out."""
    monkeypatch.setattr(lease, "BEAT_SECONDS", 0.05)
    folder = Folder(tmp_path)
    with folder.locked():
        folder.check()
        first = lease.file_time(tmp_path / "lock")
        until = time.monotonic() + 60
        while lease.file_time(tmp_path / "lock") == first and time.monotonic() < until:
            time.sleep(0.02)
        assert lease.file_time(tmp_path / "lock") > first  # it says that it is alive
        held_by(tmp_path, "elsewhere")
        words = r"another bench took .* \(process 7 on elsewhere"
        with pytest.raises(HarnessError, match=words):
            check_until(folder, until)
    assert "elsewhere" in (tmp_path / "lock").read_text()  # the other's lease is not touched
