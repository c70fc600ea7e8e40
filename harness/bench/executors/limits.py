"""The bounds of a stage's processes: their number, their memory, their log; and the end of them."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import psutil

from harness.bench.executors.cpu_time import CpuTime
from harness.records import Status

SAMPLE_SECONDS = 3.0  # between two looks at the processes
END_SECONDS = 30.0  # in which what was killed has to be gone
MOST_PROCESSES = 1000
# of the machine's memory, for all processes of a stage. They are looked at, and not bound by
# setrlimit: RLIMIT_AS and RLIMIT_DATA hold for one process, and CUDA reserves far more than it uses
MEMORY_SHARE = 0.95


@dataclass
class Watch:
    """What is looked at now and then while a stage runs.

    Attributes:
        log: The descriptor of its log, open to read and append.
        log_bytes: Beyond which the middle of the log is left out.
        cpu_time: Is shown the processes.
        processes: The most that were seen at once.
    """

    log: int
    log_bytes: int
    cpu_time: CpuTime
    processes: int = 1
    _dropped: int = 0  # bytes of the log
    _looked: float = 0.0  # when the processes were last counted

    def look(self) -> tuple[Status, str] | None:
        """Return why the stage has to end, or None."""
        self.cut_log()
        if time.monotonic() - self._looked < SAMPLE_SECONDS:
            return None
        self._looked = time.monotonic()
        found = children(deep=True)
        self.cpu_time.look(found)
        self.processes = max(self.processes, len(found))
        if len(found) > MOST_PROCESSES:
            return "failed", f"the stage had more than {MOST_PROCESSES} processes at once"
        limit = MEMORY_SHARE * machine_memory()
        if _total(found, "rss") > limit and _total(found, "pss") > limit:
            return "oom", f"the stage took more than {limit / 2**30:.0f} GiB, all that there is"
        return None

    def cut_log(self) -> None:
        """Leave out the middle of a log that has grown too long, and say so there in one line.

        The stage appends to the file, so what it writes next stands behind that line.
        """
        size, most = os.fstat(self.log).st_size, self.log_bytes
        if size <= most:
            return
        head, kept = most // 2, most // 4
        for _ in range(10):  # what comes between this and the cut would be lost
            tail = os.pread(self.log, kept, size - kept)
            if (grown := os.fstat(self.log).st_size) == size:
                break
            size = grown
        self._dropped += size - head - len(tail)
        os.ftruncate(self.log, head)
        line = f"\nharness: {self._dropped:,} bytes of this log were left out here\n"
        os.write(self.log, line.encode() + tail)


def open_log(folder: Path) -> int:
    """Open the log to append to it; a link, which an earlier attempt may have left, is removed."""
    path = folder / "log.txt"
    if path.is_symlink():
        path.unlink()
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o666)


def end_children(keep: Collection[int] = ()) -> bool:
    """Kill and reap this process's descendants, but for some children; return whether all went."""
    deadline = time.monotonic() + END_SECONDS
    while True:
        left = [child for child in children() if child.pid not in keep]
        for process in [*left, *(each for child in left for each in children(child, deep=True))]:
            with contextlib.suppress(psutil.Error, OSError):
                process.suspend()  # first, so that none can start others meanwhile
                process.kill()
        for child in left:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(child.pid, os.WNOHANG)
        if not left or time.monotonic() > deadline:
            return not left
        time.sleep(0.01)


def children(parent: psutil.Process | None = None, deep: bool = False) -> list[psutil.Process]:
    try:
        found: list[psutil.Process] = (parent or psutil.Process()).children(recursive=deep)
        return found
    except psutil.Error:
        return []


def _total(processes: Collection[psutil.Process], kind: str) -> int:
    """Return the memory of some processes; `pss` counts once what they share, and costs more."""
    total = 0
    for process in processes:
        with contextlib.suppress(psutil.Error):
            info = process.memory_info() if kind == "rss" else process.memory_full_info()
            total += getattr(info, kind)
    return total


def machine_memory() -> int:
    """Return the bytes of memory that this machine, or its container, has."""
    found = int(psutil.virtual_memory().total)
    for name in ("memory.max", "memory/memory.limit_in_bytes"):
        with contextlib.suppress(OSError, ValueError):
            found = min(found, int(Path("/sys/fs/cgroup", name).read_text()))
    return found
