"""A warm process that imports nothing heavy, and stages that do what the name of their folder says.

For tests of guards and executors: `python -m light <pid>` serves as the warm process does. The
variable `HARNESS_LIGHT_CUDA` is what the driver answers in it (0 says that CUDA is initialised).
"""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

from harness.bench.executors import warm
from harness.bench.executors.limits import SAMPLE_SECONDS
from harness.stage.manifest import write_manifest


def plain(folder: Path) -> None:
    """Do nothing."""


def hang(folder: Path) -> None:
    time.sleep(600)


def slow(folder: Path) -> None:
    time.sleep(1)


def detach(folder: Path) -> None:
    """Leave a process that has let go of everything and goes on writing to what is finished."""
    ready, told = os.pipe()
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            (folder / "left.pid").write_text(str(os.getpid()))
            os.write(told, b"x")
            while True:
                with (folder / "result.json").open("a") as file:
                    file.write("more")
                time.sleep(0.001)
        os._exit(0)
    os.wait()
    os.read(ready, 1)


def log(folder: Path) -> None:
    """Write a gigabyte of log, between a first and a last line."""
    os.write(1, b"the first line\n")
    chunk = b"x" * 999 + b"\n"
    for _ in range(1000):
        os.write(1, chunk * 1000)
    os.write(1, b"the last line\n")


def link(folder: Path) -> None:
    """Replace the log by a link to a file that is not ours, and write much."""
    (folder / "log.txt").unlink()
    (folder / "log.txt").symlink_to(folder.parent / "precious")
    log(folder)


def talk(folder: Path) -> None:
    """Look for a pipe to the bench, and talk on it."""
    talked = []
    for pid in ("self", str(os.getppid())):
        for entry in Path(f"/proc/{pid}/fd").iterdir() if os.access(f"/proc/{pid}/fd", 4) else ():
            try:
                if os.readlink(entry).startswith("pipe:"):
                    os.write(os.open(entry, os.O_WRONLY | os.O_NONBLOCK), b'{"exit": 0}\nnoise\n')
                    talked.append(str(entry))
            except OSError:
                continue
    (folder / "talked").write_text("\n".join(talked))


def stop(folder: Path) -> None:
    """Try to stop and to kill what started it, and what started that."""
    parent = os.getppid()
    grandparent = int(Path(f"/proc/{parent}/stat").read_text().rpartition(")")[2].split()[1])
    refused = 0
    for pid in (parent, grandparent):
        for number in (signal.SIGSTOP, signal.SIGKILL):
            try:
                os.kill(pid, number)
            except PermissionError:
                refused += 1
    (folder / "refused").write_text(str(refused))


def show(folder: Path) -> None:
    """Say what is in the environment."""
    (folder / "shown").write_text("\n".join(f"{k}={v}" for k, v in os.environ.items()))


def pose(folder: Path) -> None:
    """Write what a finished stage leaves, and end."""
    (folder / "result.json").write_text('{"mine": 1}')
    write_manifest(folder)
    os._exit(0)


def core(folder: Path) -> None:
    os.abort()


def many(folder: Path) -> None:
    """Start processes, and burn time in one of them."""
    if os.fork() == 0:
        while time.process_time() < 1:
            pass
        os._exit(0)
    os.wait()


def aside(folder: Path) -> None:
    """Burn time in a process that has let go of everything, and wait for it by a pipe."""
    read, write = os.pipe()
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            while time.process_time() < 1:
                pass
        os._exit(0)
    os.close(write)
    os.read(read, 1)


def forget(folder: Path) -> None:
    """Burn time in a process that the system is told to forget, for longer than between looks."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    read, write = os.pipe()
    if os.fork() == 0:
        while time.process_time() < 1:
            pass
        time.sleep(1.5 * SAMPLE_SECONDS)
        os._exit(0)
    os.close(write)
    os.read(read, 1)


def alone(folder: Path) -> None:
    """Burn time in the stage's own process."""
    while time.process_time() < 1:
        pass


def work(folder: Path) -> int:
    globals()[folder.name.partition("-")[0]](folder)
    (folder / "result.json").write_text("{}")
    write_manifest(folder)
    return 0


class Driver:
    """Answers as CUDA's driver would."""

    def cuDeviceGetCount(self, count: object) -> int:
        return int(os.environ["HARNESS_LIGHT_CUDA"])


if __name__ == "__main__":
    if "HARNESS_LIGHT_CUDA" in os.environ:
        warm.driver = Driver
    warm.PRELOADED = ()
    warm.work = work
    warm.serve(int(sys.argv[1]))
