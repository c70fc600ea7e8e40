"""What one check of `harness doctor` found, and a child process that it asked."""

from __future__ import annotations

import importlib.metadata
import os
import subprocess
from dataclasses import dataclass
from typing import Literal

# warning: something is slower or missing; problem: a bench would fail
Level = Literal["ok", "warning", "problem"]
SECONDS = 180  # after which a child process counts as hanging


@dataclass(frozen=True)
class Finding:
    """What one check found."""

    check: str
    level: Level
    found: str
    todo: str = ""  # empty where all is well


def start(command: list[str], **environment: str) -> subprocess.Popen[str]:
    """Start a process whose input is empty and whose output is kept."""
    pipe, environment = subprocess.PIPE, {**os.environ, **environment}
    return subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe, text=True, env=environment
    )


def output_of(child: subprocess.Popen[str]) -> tuple[str, str]:
    """Return what a process wrote to its output and its errors, once it has ended or hung."""
    try:
        return child.communicate(timeout=SECONDS)
    except subprocess.TimeoutExpired:
        child.kill()
        output, error = child.communicate()
        return output, f"{error}\nno end after {SECONDS} s"


def last_line(text: str) -> str:
    """Return the last line that is not blank, cut to 300 characters."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1][:300] if lines else "no message"


def version_of(distribution: str) -> str | None:
    """Return the version of a distribution, or None if it is not installed."""
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None
