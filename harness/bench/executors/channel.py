"""A process that is sent lines and answers in lines, whatever becomes of it.

Nothing here waits for it: what it does not read is kept, what it has not said is not there yet.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import psutil

LONGEST_LINE = 2**16  # bytes; what is longer is no message


class Channel:
    """A module of this project that runs as a process of its own, in its own session.

    Args:
        module: The module, and its arguments.
        environment: All variables that it sees.
        errors: The file that its messages for people are appended to.
    """

    def __init__(self, module: Sequence[str], environment: Mapping[str, str], errors: Path) -> None:
        errors.parent.mkdir(parents=True, exist_ok=True)
        with errors.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-m", *module],  # the working folder holds no modules
                env=environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                bufsize=0,
                start_new_session=True,
            )
        pipes: Any = self.process
        self._in, self._out = pipes.stdin, pipes.stdout
        os.set_blocking(self._in.fileno(), False)
        self._unsent, self._heard = b"", b""

    def fileno(self) -> int:
        """Return what `select` looks at for something to receive."""
        return int(self._out.fileno())

    @property
    def idle(self) -> bool:
        """Return whether it lives, and nothing is on its way to it or from it."""
        return self.alive and not self._unsent and not self._heard

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    @property
    def stopped(self) -> bool:
        """Return whether somebody has stopped it (SIGSTOP), so that it does nothing more."""
        try:
            return bool(psutil.Process(self.process.pid).status() == psutil.STATUS_STOPPED)
        except psutil.Error:
            return False

    def send(self, line: bytes = b"") -> None:
        """Send a line, and whatever it has not read before."""
        self._unsent += line
        try:
            while self._unsent:
                self._unsent = self._unsent[os.write(self._in.fileno(), self._unsent) :]
        except BlockingIOError:
            return
        except BrokenPipeError:  # `receive` will tell
            self._unsent = b""

    def receive(self) -> list[bytes] | None:
        """Return the lines that are there; None when no process can say anything any more."""
        received = os.read(self._out.fileno(), LONGEST_LINE)
        if not received:
            return None
        *lines, self._heard = (self._heard + received).split(b"\n")
        if len(self._heard) > LONGEST_LINE:
            lines.append(self._heard)  # no message, but said
            self._heard = b""
        return lines

    def end(self, seconds: float) -> None:
        """Close its input, by which it ends; kill it if it has not ended after some seconds."""
        self._in.close()
        try:
            self.process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
        self.process.wait()
        self._out.close()
