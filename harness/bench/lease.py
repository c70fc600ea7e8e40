"""A lease on a runs folder: one bench at a time, also where machines share the disk.

Two things hold it. The system's lock on the file ends with its process, so the next bench starts at
once; some shared disks do not carry it to other machines, or have none. So the holder also writes
who it is, and every few seconds that it is alive: the file's time, by the clock of the disk.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import platform
import secrets
import tempfile
import threading
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import IO

from harness.errors import HarnessError, UsageError
from harness.records import Frozen

BEAT_SECONDS = 15.0  # between two signs of life
STALE_SECONDS = 90.0  # without one, the holder is gone


class Holder(Frozen):
    """Who holds a folder."""

    host: str
    process: int
    since: str
    mark: str  # tells it from every other holder

    def __str__(self) -> str:
        return f"process {self.process} on {self.host}, since {self.since}"


class Lease:
    """The lease of one bench.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.inode: int | None = None  # of the file that is held
        self._lost = ""
        self.own = Holder(
            host=platform.node(),
            process=os.getpid(),
            since=datetime.now().astimezone().isoformat(timespec="seconds"),
            mark=secrets.token_hex(8),
        )

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Hold it.

        Raises:
            UsageError: If another bench does.
        """
        with self.path.open("a+") as file:
            self._take(file)
            ended = threading.Event()
            beats = threading.Thread(target=self._beat, args=(file, ended), daemon=True)
            beats.start()
            try:
                yield
            finally:
                ended.set()
                beats.join()
                if not self._lost:
                    file.truncate(0)

    def check(self) -> None:
        """Check that it is still held.

        Raises:
            HarnessError: If somebody has removed the file, or another bench has taken it.
        """
        if self._lost:
            raise HarnessError(self._lost)
        try:
            there = self.path.stat().st_ino == self.inode
        except OSError:
            there = False
        if not there:
            raise HarnessError(
                f"{self.path.parent} was removed while the bench ran; the same command starts it"
                " anew"
            )

    def _take(self, file: IO[str]) -> None:
        folder = self.path.parent
        locks = True
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            who = _read(self.path) or "unknown"
            raise UsageError(f"{folder} is in use by another bench ({who})") from None
        except OSError:  # this disk has no locks
            locks = False
        holder = _read(self.path)
        if holder and not (locks and holder.host == self.own.host):
            silent = _now(folder) - file_time(self.path)
            # a time that is yet to come, which anybody may set, is no sign of life
            if abs(silent) < STALE_SECONDS:
                raise UsageError(
                    f"{folder} is in use by another bench ({holder}), which was alive"
                    f" {max(0, silent):.0f} seconds ago; if it has ended, this command starts"
                    f" {STALE_SECONDS:.0f} seconds after that"
                )
        file.truncate(0)
        file.write(json.dumps(self.own.model_dump()))
        file.flush()
        os.fsync(file.fileno())
        self.inode = os.fstat(file.fileno()).st_ino

    def _beat(self, file: IO[str], ended: threading.Event) -> None:
        while not ended.wait(BEAT_SECONDS):
            with contextlib.suppress(OSError):
                found = _read(self.path)
                if found is not None and found.mark != self.own.mark:
                    self._lost = (
                        f"another bench took {self.path.parent} ({found}); what is done is kept"
                    )
                    return
                os.utime(file.fileno())


def _read(path: Path) -> Holder | None:
    try:
        return Holder.model_validate_json(path.read_bytes())
    except (OSError, ValueError):  # nobody, or somebody who is just writing
        return None


def file_time(path: Path) -> float:
    """Return when a file was last written, by the clock of its disk."""
    with path.open("rb") as file:  # asks the file server, where there is one
        return os.fstat(file.fileno()).st_mtime


def _now(folder: Path) -> float:
    """Return what the clock of a disk says."""
    with tempfile.NamedTemporaryFile(dir=folder, prefix=".clock-") as file:
        return os.fstat(file.fileno()).st_mtime
