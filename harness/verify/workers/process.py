"""A worker as its pool sees it: the process, its pipes, and the thread that starts it."""

from __future__ import annotations

import json
import os
import queue
import select
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

from harness.errors import HarnessError
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


class Worker:
    """One worker process and its pipes."""

    def __init__(self, memory_mb: int, home: str) -> None:
        path = str(Path(__file__).resolve().parents[3])
        boot = BOOT.format(path=path, parent=os.getpid(), memory=memory_mb)
        self.process = subprocess.Popen(
            [sys.executable, "-I", "-X", "utf8", "-c", boot],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=home,
            env={},
            bufsize=0,
            close_fds=True,
        )
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

    def cpu_seconds(self) -> float:
        """Return the CPU seconds of the process so far; 0 where the system does not say."""
        if sys.platform != "linux" or self.process.returncode is not None:
            return 0.0
        try:  # what clock_getcpuclockid(3) makes of a process
            return time.clock_gettime((~self.process.pid << 3) | _CPU_CLOCK)
        except OSError:
            return 0.0

    def kill(self) -> None:
        """End the process and close its pipes."""
        for stream in (self.process.stdin, self.process.stdout):
            if stream is not None:
                stream.close()
        self.process.kill()
        self.process.wait()


_Answer = queue.SimpleQueue[Worker | Exception]
_Order = tuple[int, str, _Answer]


class Keeper:
    """Starts workers from one thread that lives as long as the pool.

    Linux delivers the parent-death signal when the starting *thread* ends, so a worker started by
    a short-lived thread would be killed with it.
    """

    def __init__(self) -> None:
        self._asked: queue.SimpleQueue[_Order | None] = queue.SimpleQueue()
        threading.Thread(target=self._serve, name="verifier-keeper", daemon=True).start()

    def _serve(self) -> None:
        while True:
            order = self._asked.get()
            if order is None:
                return
            memory_mb, home, answer = order
            try:
                answer.put(Worker(memory_mb, home))
            except Exception as error:  # raised again by `start`
                answer.put(error)
            del order, answer  # this thread must not keep a worker that the pool drops

    def start(self, memory_mb: int, home: str) -> Worker:
        """Return a new worker."""
        answer: _Answer = queue.SimpleQueue()
        self._asked.put((memory_mb, home, answer))
        worker = answer.get()
        if isinstance(worker, Exception):
            raise HarnessError(f"no verifier worker could be started: {worker}") from worker
        return worker

    def stop(self) -> None:
        """Let the thread end."""
        self._asked.put(None)
