"""A node: runs stages as processes of their own on this machine, and reports how each one ended.

One failing stage never takes another with it, and none the bench: a stage has a guard that ends it
with all it has started, when it passes its time limit or when whoever runs the node ends. Whatever
becomes of the processes that start stages, they are replaced. What a stage took is written into its
folder here, where it was measured (`measured.py`).
"""

from __future__ import annotations

import contextlib
import os
import platform
import secrets
import select
import signal
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pydantic

from harness.bench.executors import guard, measured, variables
from harness.bench.executors.channel import Channel
from harness.bench.executors.conclude import Report
from harness.bench.executors.gpus import gpu_names
from harness.bench.executors.limits import END_SECONDS
from harness.records import Outside, Status

START_SECONDS = 600.0  # in which a process that starts stages has to have imported what it needs
STARTS = 3  # processes that may die over a stage before the stage is given up
KILL_SECONDS = END_SECONDS + 10  # in which a guard that was told to end a stage has to do it
LOG_BYTES = 64 * 2**20  # of a stage's log


@dataclass
class _Running:
    folder: Path
    seconds: float  # its time limit
    gpus: int
    fresh: bool  # an interpreter, and no fork of the warm process
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
class Node:
    """Runs any number of stages at once; whoever calls it keeps count.

    Stages are forked from a warm process, and see the GPUs that they are given. Where an import of
    that process has initialised CUDA, those with a GPU are fresh interpreters (`warm.py`).
    """

    device: str
    threads: int  # of a stage on a CPU
    log: Path  # of messages of the processes that start stages
    program: str = "harness.bench.executors.warm"  # the module that runs as the warm process
    confined: bool = True  # whether stages get their own rights and variables alone
    log_bytes: int = LOG_BYTES
    own: Mapping[str, str] = field(default_factory=dict)  # variables beside this process's
    scratch: Path | None = None  # a folder of this machine's own disk (`harness.scratch`)
    running: dict[str, _Running] = field(default_factory=dict)
    channels: list[Channel] = field(default_factory=list)  # all that may still say something
    warm: Channel | None = None

    def environment(self, given: Mapping[str, str]) -> dict[str, str]:
        """Return all variables that a stage sees, those that it is given among them."""
        usual = variables.usual(os.environ) if self.confined else dict(os.environ)
        return {
            **usual,
            **self.own,
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
            **given,
        }

    def start(
        self, folder: Path, seconds: float, given: Mapping[str, str], *, fresh: bool = False
    ) -> None:
        """Start the stage in a folder that holds its `stage.json`.

        Args:
            folder: The stage's.
            seconds: Its time limit.
            given: Variables beside the usual ones; GPUs by `CUDA_VISIBLE_DEVICES`.
            fresh: Whether it is a fresh interpreter in any case, which imports what it needs alone.
        """
        job = guard.Job(
            id=secrets.token_hex(8),
            folder=folder,
            environment=self.environment(given),
            confined=self.confined,
            log_bytes=self.log_bytes,
            scratch=self.scratch,
        )
        gpus = len([name for name in given.get("CUDA_VISIBLE_DEVICES", "").split(",") if name])
        channel, earlier = self._ask(job, fresh), measured.read(folder)
        self.running[str(folder)] = _Running(folder, seconds, gpus, fresh, job, channel, earlier)

    def _ask(self, job: guard.Job, fresh: bool) -> Channel:
        """Ask a process to start a stage."""
        if fresh:
            channel = self._open("harness.bench.executors.guard")
        else:
            if self.warm is not None and not self.warm.alive:
                self.warm = None
            channel = self._warm_process()
        channel.send(job.model_dump_json().encode() + b"\n")
        return channel

    def _open(self, *module: str, given: Mapping[str, str] | None = None) -> Channel:
        channel = Channel(module, self.environment(given or {}), self.log)
        self.channels.append(channel)
        return channel

    def warm_up(self) -> None:
        """Start the warm process early, so that it imports while the bench still plans."""
        self._warm_process()

    def _warm_process(self) -> Channel:
        if self.warm is None:
            # Linux tells a child when the thread ends that started it, not the process
            lasting = threading.current_thread() is threading.main_thread()
            parent = str(os.getpid() if lasting else 0)
            self.warm = self._open(self.program, parent, given=self._shown())
        return self.warm

    def _shown(self) -> dict[str, str]:
        """Return the variables by which the warm process sees all GPUs, and asks NVML for them.

        What libraries find out while they are imported then holds for stages with a GPU too, and
        torch's own question whether there is one does not initialise CUDA.
        """
        if self.device == "cpu":
            return {}
        return {
            "CUDA_VISIBLE_DEVICES": ",".join(gpu_names()),
            "PYTORCH_NVML_BASED_CUDA_CHECK": "1",
        }

    def wait(self, seconds: float) -> list[Report]:
        """Return the stages that ended, after waiting for at most so many seconds."""
        for channel in self.channels:
            channel.send()
        ready, _, _ = select.select(self.channels, [], [], seconds)
        reports = [one for channel in ready for one in self._received(channel)]
        reports += self._look_at_warm()
        now = time.monotonic()
        for running in self.running.values():
            if running.deadline and now > running.deadline:
                running.timed_out = True
                self._end(running)
        return reports

    def _received(self, channel: Channel) -> Iterator[Report]:
        lines = channel.receive()
        if lines is None:  # it has ended, and so has all that it started
            self._forget(channel)
            for running in [one for one in self.running.values() if one.channel is channel]:
                yield from self._unguarded(running)
            return
        for line in lines:
            try:
                message = guard.MESSAGE.validate_json(line)
            except pydantic.ValidationError:
                self._note(f"no message, ignored: {line[:200]!r}")
                continue
            meant = [one for one in self.running.values() if one.job.id == message.job]
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

    def _look_at_warm(self) -> Iterator[Report]:
        """Replace a warm process that died, was stopped, or is silent; what it runs goes on."""
        warm = self.warm
        if warm is None:
            return
        waiting = [
            one for one in self.running.values() if one.channel is warm and one.guard is None
        ]
        late = any(time.monotonic() - one.asked > START_SECONDS for one in waiting)
        if waiting and warm.alive and (late or warm.stopped):
            self._note("it was stopped, or started nothing; another one takes its place")
            warm.process.kill()
            warm.process.wait()
        if not warm.alive:
            self.warm = None
            for running in waiting:
                yield from self._unguarded(running)

    def _unguarded(self, running: _Running) -> Iterator[Report]:
        """Start a stage once more whose guard never started it; any other one is over."""
        if running.guard is None and running.starts < STARTS:
            running.starts += 1
            running.asked = time.monotonic()
            running.channel = self._ask(running.job, running.fresh)
            return
        if running.pid:
            _kill(running.pid)
        yield self._reported(running, -signal.SIGKILL, "the process that started it died")

    def _note(self, text: str) -> None:
        with contextlib.suppress(OSError), self.log.open("a", encoding="utf-8") as log:
            log.write(f"harness: from the process that starts stages: {text}\n")

    def _ended(self, running: _Running, message: guard.Ended) -> Report:
        if message.lost:
            report = self._reported(running, message.exit, None)
            return report.model_copy(update={"lost": message.lost})
        outside = Outside(
            seconds=message.seconds,
            cpu_seconds=message.cpu_seconds,
            child_cpu_seconds=message.child_cpu_seconds,
            gpu_seconds=message.seconds * running.gpus,
            peak_memory_bytes=message.peak_memory_bytes,
            processes=message.processes,
            cpu_joules=message.cpu_joules,
        )
        seen = measured.Measured(outside=outside, confinement=message.confinement)
        with contextlib.suppress(OSError):  # the folder may be gone
            seen.after(running.earlier).write(running.folder)
        return self._reported(
            running, message.exit, None, message.status, message.error, over=message.over
        )

    def _reported(
        self,
        running: _Running,
        code: int,
        why: str | None,
        status: Status | None = None,
        error: str | None = None,
        *,
        over: bool = False,
    ) -> Report:
        del self.running[str(running.folder)]
        return Report(
            folder=running.folder,
            code=code,
            over=over,
            timed_out=running.timed_out,
            why=why,
            status=status,
            error=error,
            host=platform.node(),
        )

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
        stopped = [running.folder for running in self.running.values()]
        for running in list(self.running.values()):
            if running.guard is None:
                del self.running[str(running.folder)]  # ends with the process that starts it
        deadline = time.monotonic() + KILL_SECONDS + 10
        while self.running and time.monotonic() < deadline:
            for running in self.running.values():
                self._end(running)
            ready, _, _ = select.select(self.channels, [], [], 0.2)
            for channel in ready:
                for _ in self._received(channel):
                    pass  # how it ended is of no interest any more
        self.running.clear()
        for channel in list(self.channels):
            self._forget(channel, 10)
        self.warm = None
        return stopped

    def _forget(self, channel: Channel, seconds: float = 1) -> None:
        """Reap a process that has ended, or ends now that its input closes."""
        channel.end(seconds)
        self.channels.remove(channel)
        if self.warm is channel:
            self.warm = None


def _kill(group: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)


def _signal(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, number)
