"""What the fault campaign shares: a board of real trainers, its processes, and what must hold."""

from __future__ import annotations

import contextlib
import json
import os
import signal
from dataclasses import dataclass
from pathlib import Path

import processes

from harness.leaderboard.data import Leaderboard
from harness.records import Record, read_records

TIMES = int(os.environ.get("FAULTS", "1"))  # how much more than the sample of the ordinary suite
TRAINERS = ("--plugins", "sft,sft-lora", "--jobs", "2")


@dataclass(frozen=True)
class Seen:
    """A process of a bench and what it is: `head`, `warm`, `stage` or `judge`."""

    pid: int
    kind: str


def _parents() -> dict[int, int]:
    """Return the parent of every process that can be read."""
    found = {}
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError, ValueError):
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
            if fields[0] != "Z":
                found[int(entry.name)] = int(fields[1])
    return found


def family(head: int) -> list[Seen]:
    """Return a bench's processes: the head, the warm process, and the stages forked from it.

    A stage is told by its log, which is its standard output; one without is starting.
    """
    parents = _parents()
    found = [Seen(head, "head")] if head in parents else []
    warm = [pid for pid, parent in parents.items() if parent == head]
    found += [Seen(pid, "warm") for pid in warm]
    for pid, parent in parents.items():
        if parent in warm:
            with contextlib.suppress(OSError):
                judging = "/judge-" in os.readlink(f"/proc/{pid}/fd/1")
                found.append(Seen(pid, "judge" if judging else "stage"))
    return found


def working_below(folder: Path) -> list[int]:
    """Return the processes that hold a file open below a folder's runs, but this one."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            links = [os.readlink(link) for link in (entry / "fd").iterdir()]
            kept = [link for link in links if not link.endswith(" (deleted)")]
            if any(link.startswith(f"{folder}/runs") for link in kept):
                found.append(int(entry.name))
    return [pid for pid in found if pid != os.getpid()]


def kill(pid: int, number: int = signal.SIGKILL) -> bool:
    """Send a signal; return whether the process was there."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return False
    return True


def leaderboard(folder: Path) -> Leaderboard:
    return Leaderboard.model_validate_json((folder / "runs/small/small.json").read_text())


def done(folder: Path) -> dict[str, tuple[str, ...]]:
    """Return what two runs of the same cells have in common: checkpoint and verdicts by cell."""
    found: list[Record] = read_records(folder / "runs/small/records")
    return {
        record.cell: (
            record.status,
            record.checkpoint.digest if record.checkpoint else "",
            *(score.verdicts for score in record.scores),
        )
        for record in found
    }


def torn(folder: Path) -> list[Path]:
    """Return the JSON files below a folder's runs that cannot be parsed."""
    bad = []
    for path in sorted((folder / "runs").rglob("*.json")):
        try:
            json.loads(path.read_text(encoding="utf-8"))
        except ValueError:
            bad.append(path)
    return bad


def command(*arguments: str) -> list[str]:
    return [*processes.HARNESS, "bench", "small.toml", *arguments]
