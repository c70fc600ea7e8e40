"""Executors: run stages as processes of their own on this machine, and say how each one ended.

One failing stage never takes another with it: a stage is a process group with its own log, killed
as a group when it passes its time limit or when the bench ends.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from harness.errors import StageError, UsageError
from harness.records import Status
from harness.stage import spec
from harness.stage.manifest import is_done


@dataclass(frozen=True)
class Ended:
    """How a stage's process ended."""

    folder: Path
    status: Status
    error: str | None  # one line, for anything but ok


@dataclass
class _Running:
    folder: Path
    slot: int
    seconds: float  # its time limit
    deadline: float | None = None  # once its process has started
    process: subprocess.Popen[bytes] | None = None  # a fresh interpreter
    pid: int | None = None  # of the process group, once it is known
    timed_out: bool = False


@dataclass
class LocalExecutor:
    """Runs up to `jobs` stages at once, and beside them one light stage, which needs no GPU.

    On the device `cpu` stages are forked from a warm process; on `cuda` each is a fresh interpreter
    that sees the GPUs of its slot. With more slots than GPUs hold, stages share them in turn.
    """

    jobs: int
    device: str
    threads: int  # of a stage on a CPU
    log: Path  # of the warm process's own messages
    gpus: int = 1  # of a stage
    program: str = "harness.bench.warm"  # the module that runs as the warm process
    _running: dict[str, _Running] = field(default_factory=dict)
    _warm: subprocess.Popen[bytes] | None = None
    _buffer: bytes = b""

    def free(self, *, light: bool = False) -> list[int]:
        """Return the slots in which a stage can start now; the slot past all others is light."""
        slots = [self.jobs] if light else range(self.jobs)
        used = {running.slot for running in self._running.values()}
        return [slot for slot in slots if slot not in used]

    @property
    def spare_cores(self) -> int:
        """Return how many cores are left to a light stage when all others run; at least one."""
        return max(1, len(os.sched_getaffinity(0)) - self.jobs * self.gpus * self.threads)

    @property
    def shared(self) -> bool:
        return self.device == "cuda" and self.jobs * self.gpus > len(gpu_names())

    def environment(self, slot: int) -> dict[str, str]:
        variables = {
            "OMP_NUM_THREADS": str(self.threads),
            "MKL_NUM_THREADS": str(self.threads),
            "TOKENIZERS_PARALLELISM": "false",
            "PYTHONHASHSEED": "0",
            "HF_HUB_OFFLINE": "1",
            "HF_DATASETS_OFFLINE": "1",
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "DO_NOT_TRACK": "1",
            "TRL_EXPERIMENTAL_SILENCE": "1",
            "CUDA_VISIBLE_DEVICES": "",
        }
        if self.device == "cuda" and slot < self.jobs:
            names = gpu_names()
            mine = [names[(slot * self.gpus + i) % len(names)] for i in range(self.gpus)]
            variables["CUDA_VISIBLE_DEVICES"] = ",".join(mine)
            if not os.environ.get("CUDA_VISIBLE_DEVICES"):
                # the numbers are nvidia-smi's and NVML's; CUDA by itself counts the fastest first
                variables["CUDA_DEVICE_ORDER"] = "PCI_BUS_ID"
        return variables

    def start(self, folder: Path, seconds: float, *, light: bool = False) -> None:
        """Start the stage in a folder that holds its `stage.json`, with a time limit in seconds."""
        slot = self.free(light=light)[0]
        running = _Running(folder, slot, seconds)
        environment = self.environment(slot)
        if self.device == "cpu":
            request = {"folder": str(folder), "environment": environment}
            if not self._running and self._warm is not None and self._warm.poll() is not None:
                self._forget_warm()  # it died while it had nothing to do
            with contextlib.suppress(BrokenPipeError):  # it dies just now: `wait` will find it dead
                requests: Any = self._warm_process().stdin
                requests.write(json.dumps(request).encode() + b"\n")
        else:
            with (folder / "log.txt").open("ab") as log:
                running.process = subprocess.Popen(
                    [sys.executable, "-m", "harness.stage.main", str(folder), str(os.getpid())],
                    env={**os.environ, **environment},
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )
            running.pid = running.process.pid
            running.deadline = time.monotonic() + seconds
        self._running[str(folder)] = running

    def warm_up(self) -> None:
        """Start the warm process early, so that it imports while the bench still plans."""
        if self.device == "cpu":
            self._warm_process()

    def _warm_process(self) -> subprocess.Popen[bytes]:
        if self._warm is None:
            self.log.parent.mkdir(parents=True, exist_ok=True)
            with self.log.open("ab") as log:
                self._warm = subprocess.Popen(
                    [sys.executable, "-m", self.program, str(os.getpid())],
                    env={**os.environ, **self.environment(0)},
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=log,
                    bufsize=0,
                    start_new_session=True,
                )
        return self._warm

    def wait(self, seconds: float) -> list[Ended]:
        """Return the stages that ended, after waiting for at most so many seconds."""
        ended = self._read_warm(seconds) if self.device == "cpu" else self._poll(seconds)
        now = time.monotonic()
        for running in self._running.values():
            if running.pid and running.deadline and now > running.deadline:
                running.timed_out = True
                _kill(running.pid)
        return ended

    def _read_warm(self, seconds: float) -> list[Ended]:
        answers: Any = self._warm_process().stdout
        ready, _, _ = select.select([answers], [], [], seconds)
        if not ready:
            return []
        received = os.read(answers.fileno(), 65536)
        if not received:  # the warm process itself died: every stage died with it
            self._forget_warm()
            return [
                self._ended(name, -signal.SIGKILL, "the process that started it died")
                for name in list(self._running)
            ]
        self._buffer += received
        *lines, self._buffer = self._buffer.split(b"\n")
        ended = []
        for line in lines:
            message = json.loads(line)
            if "exit" in message:
                ended.append(self._ended(message["folder"], message["exit"]))
            else:
                running = self._running[message["folder"]]
                running.pid = message["pid"]
                running.deadline = time.monotonic() + running.seconds
        return ended

    def _poll(self, seconds: float) -> list[Ended]:
        deadline = time.monotonic() + seconds
        while True:
            done = [
                (name, code)
                for name, running in self._running.items()
                if running.process and (code := running.process.poll()) is not None
            ]
            if done or time.monotonic() > deadline:
                return [self._ended(name, code) for name, code in done]
            time.sleep(0.05)

    def _ended(self, name: str, code: int, why: str | None = None) -> Ended:
        running = self._running.pop(name)
        folder = running.folder
        if running.pid:
            _kill(running.pid)  # children that the stage left behind
        if running.timed_out:
            return Ended(folder, "timeout", "the stage passed its time limit and was stopped")
        if code == 0 and is_done(folder):
            return Ended(folder, "ok", None)
        with contextlib.suppress(StageError):
            failure = spec.read(folder / "error.json", spec.Failure)
            return Ended(folder, failure.status, failure.error)
        if code < 0:
            sent = signal.Signals(-code).name
            hint = " (often the system's out-of-memory killer)" if sent == "SIGKILL" else ""
            return Ended(folder, "killed", why or f"the process was ended by {sent}{hint}")
        return Ended(folder, "failed", f"the process ended with exit code {code} and no result")

    def stop(self) -> list[Path]:
        """Kill every running stage; return their folders."""
        stopped = list(self._running.values())
        for running in stopped:
            if running.pid:
                _kill(running.pid)
        self._running.clear()
        if self._warm is not None:
            pipe: Any = self._warm.stdin
            pipe.close()  # it ends when its input does
            try:
                self._warm.wait(timeout=10)
            except subprocess.TimeoutExpired:
                self._warm.kill()
            self._forget_warm()
        return [running.folder for running in stopped]

    def _forget_warm(self) -> None:
        """Reap a warm process that has ended, so that the next stage starts another."""
        assert self._warm is not None
        with self._warm:  # closes its pipes and waits for it
            self._warm, self._buffer = None, b""


def _kill(group: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)


def choose_device(wanted: str) -> spec.Device:
    """Return `cpu` or `cuda` for `auto`, `cpu` or `cuda`, without importing torch."""
    if wanted == "cuda" and not gpu_names():
        raise UsageError("--device cuda: no GPU is visible (nvidia-smi lists none)")
    return "cpu" if wanted == "cpu" or not gpu_names() else "cuda"


@cache
def gpu_names() -> tuple[str, ...]:
    """Return the GPUs that a stage could use, as CUDA_VISIBLE_DEVICES names them."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None and not visible.strip():
        return ()
    try:
        listed = subprocess.check_output(
            ["nvidia-smi", "-L"], stderr=subprocess.DEVNULL, text=True, timeout=20
        )
    except (OSError, subprocess.SubprocessError):
        return ()
    present = sum(line.startswith("GPU ") for line in listed.splitlines())
    if visible:
        return tuple(name.strip() for name in visible.split(","))[:present]
    return tuple(map(str, range(present)))


def default_jobs(device: str, threads: int, gpus: int = 1) -> int:
    """Return how many stages to run at once: as many as the GPUs or the cores hold.

    On a CPU a stage has `gpus` processes, each with `threads` threads.
    """
    if device == "cuda":
        visible = len(gpu_names())
        if gpus > visible:
            raise UsageError(
                f"the board asks for {gpus} GPUs for a stage and {visible} are visible"
            )
        return visible // gpus
    return max(1, len(os.sched_getaffinity(0)) // (threads * gpus))
