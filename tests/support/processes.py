"""Starts processes that do not depend on how the tests themselves were started."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

HARNESS = (sys.executable, "-m", "harness")


def start(command: Sequence[str | Path], **options: Any) -> subprocess.Popen[str]:
    """Start a command that SIGINT interrupts, also where the tests themselves ignore it.

    A shell starts its background jobs with SIGINT ignored, and an ignored signal is inherited.
    Ignored or not is decided here and not in `preexec_fn`, which may hang once torch has threads.

    Args:
        command: The program and its arguments.
        options: Of `subprocess.Popen`.

    Returns:
        The process, whose streams are text.
    """
    own = signal.signal(signal.SIGINT, signal.default_int_handler)  # becomes the default by exec
    try:
        return subprocess.Popen(command, text=True, **options)
    finally:
        signal.signal(signal.SIGINT, own)
