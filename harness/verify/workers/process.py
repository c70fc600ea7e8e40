"""A worker as its pool sees it: the process and its pipes."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NoReturn

from harness.verify.workers.wire import HEADER

BOOT = (
    "import sys; sys.path.insert(0, {path!r}); "
    "from harness.verify.workers.worker import main; main({parent}, {memory})"
)
_CPU_CLOCK = 2  # Linux's clocks of processes: user and system time, by the scheduler


class Lost(Exception):
    """The worker died or went silent."""


class Ended(Lost):
    """The worker ended by itself or was killed from outside."""


def spawned(memory_mb: int, home: str) -> subprocess.Popen[bytes]:
    """Start a fresh interpreter that judges."""
    path = str(Path(__file__).resolve().parents[3])
    boot = BOOT.format(path=path, parent=os.getpid(), memory=memory_mb)
    return subprocess.Popen(
        [sys.executable, "-I", "-X", "utf8", "-c", boot],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd=home,
        env={},
        bufsize=0,
        close_fds=True,
    )


class Forked:
    """A fork of this process that judges, with what a pool uses of `subprocess.Popen`.

    It has imported the verifier already, which is most of what a worker costs that judges the few
    hundred answers of one checkpoint.
    """

    def __init__(self, memory_mb: int, home: str) -> None:
        parent = os.getpid()
        asked, ask = os.pipe()
        told, tell = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            _judge_here(asked, tell, parent, memory_mb, home)
        os.close(asked)
        os.close(tell)
        self.stdin, self.stdout = os.fdopen(ask, "wb", 0), os.fdopen(told, "rb", 0)
        self.returncode: int | None = None  # until it has been waited for

    def kill(self) -> None:
        """End it, if it has not been waited for."""
        if self.returncode is None:
            os.kill(self.pid, signal.SIGKILL)

    def wait(self) -> None:
        """Wait until it has ended."""
        if self.returncode is None:
            self.returncode = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


def _judge_here(asked: int, tell: int, parent: int, memory_mb: int, home: str) -> NoReturn:
    """Be a worker in a process that was just forked, with nothing open that it does not need."""
    code = 1
    try:
        signal.set_wakeup_fd(-1)
        for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
            if callable(signal.getsignal(number)):
                signal.signal(number, signal.SIG_DFL)
        os.dup2(asked, 0)
        os.dup2(tell, 1)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        os.closerange(3, max(map(int, os.listdir("/proc/self/fd"))) + 1)
        os.chdir(home)
        os.environ.clear()
        from harness.verify.workers.worker import main

        main(parent, memory_mb)
        code = 0
    finally:
        os._exit(code)  # nothing of the process that it was is to be finished here


class Worker:
    """One worker process and its pipes."""

    def __init__(self, memory_mb: int, home: str, *, fork: bool) -> None:
        self.process = Forked(memory_mb, home) if fork else spawned(memory_mb, home)
        self.served = 0
        self._buffer = bytearray()

    def send(self, message: bytes, deadline: float) -> None:
        """Write a message; a worker that does not read in time is lost."""
        assert self.process.stdin is not None
        fd = self.process.stdin.fileno()
        os.set_blocking(fd, False)
        view = memoryview(message)
        while view:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([], [fd], [], left)[1]:
                raise Lost("it does not read")
            try:
                view = view[os.write(fd, view) :]
            except BlockingIOError:
                continue
            except OSError as error:
                raise Ended("it is gone") from error

    def receive(self, seconds: float) -> dict[str, Any]:
        """Return the next message, waiting at most this long."""
        assert self.process.stdout is not None
        fd = self.process.stdout.fileno()
        deadline = time.monotonic() + seconds
        while True:
            if len(self._buffer) >= HEADER:
                length = int.from_bytes(self._buffer[:HEADER], "big")
                if len(self._buffer) >= HEADER + length:
                    body = bytes(self._buffer[HEADER : HEADER + length])
                    del self._buffer[: HEADER + length]
                    message: dict[str, Any] = json.loads(body)
                    return message
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([fd], [], [], left)[0]:
                raise Lost(f"no verdict within {seconds:g} s")
            data = os.read(fd, 1 << 16)
            if not data:
                raise Ended("it ended")
            self._buffer += data

    def cpu_ns(self) -> int:
        """Return the CPU nanoseconds of the process so far; 0 where the system does not say."""
        if sys.platform != "linux" or self.process.returncode is not None:
            return 0
        try:  # what clock_getcpuclockid(3) makes of a process
            return time.clock_gettime_ns((~self.process.pid << 3) | _CPU_CLOCK)
        except OSError:
            return 0

    def kill(self) -> None:
        """End the process and close its pipes."""
        for stream in (self.process.stdin, self.process.stdout):
            if stream is not None:
                stream.close()
        self.process.kill()
        self.process.wait()
