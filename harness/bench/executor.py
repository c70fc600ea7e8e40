"""Executors: run stages as processes of their own on this machine, and say how each one ended.

One failing stage never takes another with it, and none the bench: a stage has a guard that ends it
with all it has started, when it passes its time limit or when the bench ends. Whatever becomes of
the processes that start stages, they are replaced.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import select
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pydantic

from harness.bench import guard, measured, variables
from harness.bench.channel import Channel
from harness.bench.gpus import gpu_names
from harness.bench.limits import END_SECONDS
from harness.errors import StageError
from harness.records import Outside, Status
from harness.stage import spec
from harness.stage.manifest import is_done

START_SECONDS = 600.0  # in which a process that starts stages has to have imported what it needs
STARTS = 3  # processes that may die over a stage before the stage is given up
KILL_SECONDS = END_SECONDS + 10  # in which a guard that was told to end a stage has to do it
LOG_BYTES = 64 * 2**20  # of a stage's log


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
    job: guard.Job
    channel: Channel  # to the process that starts it
    earlier: measured.Measured | None  # attempts
    starts: int = 1  # processes that were asked to start it
    asked: float = field(default_factory=time.monotonic)  # when the last one was
    guard: int | None = None  # process ids, once they are known
    pid: int | None = None
    deadline: float | None = None
    timed_out: bool = False
    told: float | None = None  # when its guard was told to end it


@dataclass
class LocalExecutor:
    """Runs up to `jobs` stages at once, and beside them one light stage, which needs no GPU.

    On the device `cpu` stages are forked from a warm process; on `cuda` each is a fresh interpreter
    that sees the GPUs of its slot. With more slots than GPUs hold, stages share them in turn.
    """

    jobs: int
    device: str
    threads: int  # of a stage on a CPU
    log: Path  # of messages of the processes that start stages
    gpus: int = 1  # of a stage
    program: str = "harness.bench.warm"  # the module that runs as the warm process
    confined: bool = True  # whether stages get their own rights and variables alone
    log_bytes: int = LOG_BYTES
    _running: dict[str, _Running] = field(default_factory=dict)
    _channels: list[Channel] = field(default_factory=list)  # all that may still say something
    _warm: Channel | None = None

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

    def _variables(self, slot: int, names: Sequence[str] = ()) -> dict[str, str]:
        """Return all variables that a stage sees, those among them that a board names."""
        own = variables.usual(os.environ) if self.confined else dict(os.environ)
        return own | variables.named(os.environ, names) | self.environment(slot)

    def start(
        self,
        folder: Path,
        seconds: float,
        *,
        light: bool = False,
        names: Sequence[str] = (),
    ) -> None:
        """Start the stage in a folder that holds its `stage.json`.

        Args:
            folder: The stage's.
            seconds: Its time limit.
            light: Whether it runs no model.
            names: Variables that it sees beside the usual ones.
        """
        slot = self.free(light=light)[0]
        job = guard.Job(
            id=secrets.token_hex(8),
            folder=folder,
            environment=self._variables(slot, names),
            confined=self.confined,
            log_bytes=self.log_bytes,
        )
        self._running[str(folder)] = _Running(
            folder, slot, seconds, job, self._ask(job), measured.read(folder)
        )

    def _ask(self, job: guard.Job) -> Channel:
        """Ask a process to start a stage."""
        if self.device == "cpu":
            if self._warm is not None and not self._warm.alive:
                self._warm = None
            channel = self._warm_process()
        else:
            channel = self._open("harness.bench.guard")
        channel.send(job.model_dump_json().encode() + b"\n")
        return channel

    def _open(self, *module: str) -> Channel:
        channel = Channel(module, self._variables(0), self.log)
        self._channels.append(channel)
        return channel

    def warm_up(self) -> None:
        """Start the warm process early, so that it imports while the bench still plans."""
        if self.device == "cpu":
            self._warm_process()

    def _warm_process(self) -> Channel:
        if self._warm is None:
            # Linux tells a child when the thread ends that started it, not the process
            lasting = threading.current_thread() is threading.main_thread()
            self._warm = self._open(self.program, str(os.getpid() if lasting else 0))
        return self._warm

    def wait(self, seconds: float) -> list[Ended]:
        """Return the stages that ended, after waiting for at most so many seconds."""
        for channel in self._channels:
            channel.send()
        ready, _, _ = select.select(self._channels, [], [], seconds)
        ended = [one for channel in ready for one in self._received(channel)]
        ended += self._look_at_warm()
        now = time.monotonic()
        for running in self._running.values():
            if running.deadline and now > running.deadline:
                running.timed_out = True
                self._end(running)
        return ended

    def _received(self, channel: Channel) -> Iterator[Ended]:
        lines = channel.receive()
        if lines is None:  # it has ended, and so has all that it started
            self._forget(channel)
            for running in [one for one in self._running.values() if one.channel is channel]:
                yield from self._unguarded(running)
            return
        for line in lines:
            try:
                message = guard.MESSAGE.validate_json(line)
            except pydantic.ValidationError:
                self._note(f"no message, ignored: {line[:200]!r}")
                continue
            meant = [one for one in self._running.values() if one.job.id == message.job]
            if not meant or meant[0].channel is not channel:
                continue  # of an earlier attempt
            running = meant[0]
            if isinstance(message, guard.Started):
                if running.guard is None:
                    running.guard, running.pid = message.guard, message.pid
                    running.deadline = time.monotonic() + running.seconds
            elif running.guard in (None, message.guard):
                if isinstance(message, guard.Lost):
                    yield from self._unguarded(running)
                else:
                    yield self._ended(running, message)

    def _look_at_warm(self) -> Iterator[Ended]:
        """Replace a warm process that died, was stopped, or is silent; what it runs goes on."""
        warm = self._warm
        if warm is None:
            return
        waiting = [
            one for one in self._running.values() if one.channel is warm and one.guard is None
        ]
        late = any(time.monotonic() - one.asked > START_SECONDS for one in waiting)
        if waiting and warm.alive and (late or warm.stopped):
            self._note("it was stopped, or started nothing; another one takes its place")
            warm.process.kill()
            warm.process.wait()
        if not warm.alive:
            self._warm = None
            for running in waiting:
                yield from self._unguarded(running)

    def _unguarded(self, running: _Running) -> Iterator[Ended]:
        """Start a stage once more whose guard never started it; any other one is over."""
        if running.guard is None and running.starts < STARTS:
            running.starts += 1
            running.asked = time.monotonic()
            running.channel = self._ask(running.job)
            return
        if running.pid:
            _kill(running.pid)
        yield self._judged(running, -signal.SIGKILL, "the process that started it died")

    def _note(self, text: str) -> None:
        with contextlib.suppress(OSError), self.log.open("a", encoding="utf-8") as log:
            log.write(f"harness: from the process that starts stages: {text}\n")

    def _ended(self, running: _Running, message: guard.Ended) -> Ended:
        outside = Outside(
            seconds=message.seconds,
            cpu_seconds=message.cpu_seconds,
            gpu_seconds=0.0 if self._is_on_cpu(running) else message.seconds * self.gpus,
            peak_memory_bytes=message.peak_memory_bytes,
            processes=message.processes,
        )
        seen = measured.Measured(outside=outside, confinement=message.confinement)
        with contextlib.suppress(OSError):  # the folder may be gone
            seen.after(running.earlier).write(running.folder)
        if message.status and not running.timed_out:
            del self._running[str(running.folder)]
            return Ended(running.folder, message.status, message.error)
        return self._judged(running, message.exit, over=message.over)

    def _is_on_cpu(self, running: _Running) -> bool:
        return self.device == "cpu" or running.slot == self.jobs

    def _judged(
        self, running: _Running, code: int, why: str | None = None, *, over: bool = False
    ) -> Ended:
        """Return how a stage ended, by its exit code and by what it left."""
        del self._running[str(running.folder)]
        folder = running.folder
        if running.timed_out:
            return Ended(folder, "timeout", "the stage passed its time limit and was stopped")
        if code == 0 and over and is_done(folder):
            return Ended(folder, "ok", None)
        with contextlib.suppress(StageError):
            failure = spec.read(folder / "error.json", spec.Failure)
            return Ended(folder, failure.status, failure.error)
        if code < 0:
            sent = signal.Signals(-code).name
            hint = " (often the system's out-of-memory killer)" if sent == "SIGKILL" else ""
            return Ended(folder, "killed", why or f"the process was ended by {sent}{hint}")
        if code == 0 and (folder / "manifest.json").exists():
            why = "what it left was changed after it was sealed, as by a process that it started"
            return Ended(folder, "failed", why)
        return Ended(folder, "failed", f"the process ended with exit code {code} and no result")

    def _end(self, running: _Running) -> None:
        """Tell a guard to end its stage; one that has not after a while is ended with it."""
        if running.guard is None:
            return
        if running.told is None:
            running.told = time.monotonic()
            _signal(running.guard, signal.SIGTERM)
        elif time.monotonic() - running.told > KILL_SECONDS:
            _signal(running.guard, signal.SIGKILL)
            if running.pid:
                _kill(running.pid)

    def stop(self) -> list[Path]:
        """End every running stage with all its processes; return their folders."""
        stopped = [running.folder for running in self._running.values()]
        for running in list(self._running.values()):
            if running.guard is None:
                del self._running[str(running.folder)]  # ends with the process that starts it
        deadline = time.monotonic() + KILL_SECONDS + 10
        while self._running and time.monotonic() < deadline:
            for running in self._running.values():
                self._end(running)
            ready, _, _ = select.select(self._channels, [], [], 0.2)
            for channel in ready:
                for _ in self._received(channel):
                    pass  # how it ended is of no interest any more
        self._running.clear()
        for channel in list(self._channels):
            self._forget(channel, 10)
        self._warm = None
        return stopped

    def _forget(self, channel: Channel, seconds: float = 1) -> None:
        """Reap a process that has ended, or ends now that its input closes."""
        channel.end(seconds)
        self._channels.remove(channel)
        if self._warm is channel:
            self._warm = None


def _kill(group: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)


def _signal(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, number)
