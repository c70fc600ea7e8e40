"""What the fault campaign shares: a board of real trainers, its processes, and what must hold."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import processes

from harness.leaderboard.data import Leaderboard
from harness.records import Record, read_records

TIMES = int(os.environ.get("FAULTS", "1"))  # how much more than the sample of the ordinary suite
WHOLE = TIMES > 1  # whether every kind of fault is tried, or a sample of them
BENCH = ("bench", "small.toml", "--plugins", "sft,sft-lora", "--jobs", "2")


@dataclass(frozen=True)
class Seen:
    """A process of a bench and what it is: `head`, `warm`, `guard`, `stage`, `judge`, `verifier`.

    A verifier is a process that a judging stage starts, one for each worker.
    """

    pid: int
    kind: str


def _children() -> dict[int, list[int]]:
    """Return the children of every process that can be read, but those that have ended."""
    found: dict[int, list[int]] = {}
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError, ValueError):
            state, parent = (entry / "stat").read_text().rpartition(")")[2].split()[:2]
            if state != "Z":
                found.setdefault(int(parent), []).append(int(entry.name))
    return found


def _is_warm(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return b"harness.bench.executors.warm" in Path(f"/proc/{pid}/cmdline").read_bytes()
    return False


def family(head: int) -> list[Seen]:
    """Return the processes of a bench: head, warm process, guards, stages, and verifiers.

    A stage's standard output is its log, which tells which stage it is; before that it is starting.
    """
    children, found = _children(), [Seen(head, "head")]
    for warm in filter(_is_warm, children.get(head, [])):
        found.append(Seen(warm, "warm"))
        for guard in children.get(warm, []):
            found.append(Seen(guard, "guard"))
            for stage in children.get(guard, []):
                with contextlib.suppress(OSError):
                    judging = "/judge-" in os.readlink(f"/proc/{stage}/fd/1")
                    found.append(Seen(stage, "judge" if judging else "stage"))
                    if judging:
                        found += (Seen(pid, "verifier") for pid in children.get(stage, []))
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


def gone(folder: Path, seconds: float = 60) -> bool:
    """Return whether nothing works below the runs folder any more, after waiting for it."""
    deadline = time.monotonic() + seconds
    while working_below(folder) and time.monotonic() < deadline:
        time.sleep(0.1)
    return working_below(folder) == []


@dataclass
class Assault:
    """A bench whose processes get signals at random moments, until all of them are sent.

    Args:
        folder: With `small.toml`; its runs are removed after each whole bench.
        plan: A kind of process and a signal, for each that is to be sent.
        wanted: What every whole bench must come to (`done`).
        rng: Draws the order and the moments.
    """

    folder: Path
    plan: Sequence[tuple[str, signal.Signals]]
    wanted: dict[str, tuple[str, ...]]
    rng: random.Random
    sent: Counter[str] = field(default_factory=Counter)
    benches: int = 0  # that ended whole
    starts: int = 0

    def run(self) -> None:
        """Give the same command again and again, and look after each end at what it left."""
        left = list(self.plan)
        self.rng.shuffle(left)
        most = 5 + 4 * len(left)
        while left or (self.folder / "runs").exists():
            assert self.starts < most, f"the bench does not come to an end; not sent: {left}"
            self.starts += 1
            command = [*processes.HARNESS, *BENCH]
            streams = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
            with processes.start(command, cwd=self.folder, **streams) as process:
                self._disturb(process, left)
                errors = process.communicate(timeout=300)[1]
            assert "Traceback" not in errors, errors
            allowed = {0, 1} | {-number for _, number in self.plan}
            allowed |= {128 + number for _, number in self.plan}
            assert process.returncode in allowed, errors
            assert gone(self.folder), "a process outlived its bench"
            assert torn(self.folder) == []
            if process.returncode == 0:
                assert done(self.folder) == self.wanted
                (self.folder / "runs").rename(self.folder / f"whole-{self.benches}")
                self.benches += 1

    def _disturb(self, process: subprocess.Popen[str], left: list[tuple[str, signal.Signals]]):
        spare = self.rng.randrange(3)  # processes of the kind that are let alone first
        pause, known = self.rng.uniform(0, 1), set()
        while process.poll() is None and left:
            kind, number = left[-1]
            there = [one.pid for one in family(process.pid) if one.kind == kind]
            fresh = [pid for pid in there if pid not in known]
            known.update(fresh)
            if kind == "head":
                time.sleep(self.rng.uniform(0, 8))
            elif kind != "warm" and len(known) <= spare:
                time.sleep(0.01)
                continue
            elif kind in ("warm", "guard", "stage"):
                time.sleep(pause)
            if there and kill(there[-1], number):
                self.sent[f"{kind} {number.name}"] += 1
                left.pop()
                spare, pause, known = self.rng.randrange(3), self.rng.uniform(0, 1), set()
                if kind == "head":
                    return
            time.sleep(0.01)
        if left and left[-1][0] != "head":  # none of that kind came any more: another one first
            self.rng.shuffle(left)


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
    newest = {record.supersedes for record in found}
    return {
        record.cell: (
            record.status,
            record.checkpoint.digest if record.checkpoint else "",
            *(score.verdicts for score in record.scores),
        )
        for record in found
        if record.id not in newest
    }


def torn(folder: Path) -> list[Path]:
    """Return the JSON files below a folder's runs that cannot be parsed.

    What lm-eval writes of its own is looked at in stages that are done; the next attempt at any
    other removes it.
    """
    bad = []
    for path in sorted((folder / "runs").rglob("*.json")):
        stage, inside, _ = str(path).partition("/lm_eval/")
        if inside and not Path(stage, "manifest.json").exists():
            continue
        try:
            json.loads(path.read_text(encoding="utf-8"))
        except ValueError:
            bad.append(path)
    return bad
