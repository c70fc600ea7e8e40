"""Signals: SIGTERM and SIGHUP end a command as Ctrl-C does, in one line and without loss."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from types import FrameType

NUMBERS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Stopped(KeyboardInterrupt):
    """A signal asks the command to end; `number` is which."""

    def __init__(self, number: int) -> None:
        self.number = number


@contextlib.contextmanager
def stopping() -> Iterator[list[int]]:
    """Raise `Stopped` on the first signal, and end at once on a second one.

    A signal that is ignored already, as under nohup or in a shell's background, stays ignored.
    Yields the numbers of the signals that came.
    """
    came: list[int] = []

    def stop(number: int, frame: FrameType | None) -> None:
        came.append(number)
        if len(came) > 1:
            os._exit(128 + number)  # stages end by themselves when this process is gone
        raise Stopped(number)

    before = {}
    if threading.current_thread() is threading.main_thread():
        for number in NUMBERS:
            if signal.getsignal(number) is not signal.SIG_IGN:
                before[number] = signal.signal(number, stop)
    try:
        yield came
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
