"""The guard of a stage: a small process that starts it confined, measures it and ends all of it.

Whatever a stage starts, and however it lets go of it, becomes a child of its guard in the end
(PR_SET_CHILD_SUBREAPER). So nothing of a stage is left when its guard says that it has ended: no
process can change a checkpoint that is sealed. A stage is done only if the harness's own code in
its process says so at the end, by a token that the guard gave it: a trainer may write all files of
its stage and end the process. A guard also ends its stage when the bench is gone, which it sees by
its standard input, and when it is told to by SIGTERM.

A guard is forked by the warm process, or run as a module: then it reads its `Job` in one line, and
the stage is a fresh interpreter. Either way it answers on standard output with a `Started` and an
`Ended`, one line each.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import platform
import resource
import secrets
import select
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import pydantic

from harness import scratch
from harness.bench.executors.confinement import Rights, confine, rights
from harness.bench.executors.cpu_time import CpuTime
from harness.bench.executors.energy import Energy
from harness.bench.executors.limits import Watch, end_children, open_log
from harness.errors import HarnessError
from harness.files import remove_folder
from harness.records import Frozen, Status
from harness.stage import processes
from harness.stage import spec as specs
from harness.stage.main import AGAIN
from harness.stage.manifest import is_over, say_over
from harness.stage.processes import again, die_with_parent

PR_SET_CHILD_SUBREAPER = 36
LOOK_SECONDS = 0.5  # between two looks at a stage
Work = Callable[[Path], object]
OOM_SCORE = 500  # the system's own killer takes a stage before it takes the bench


class Job(Frozen):
    """What a guard is told of its stage."""

    id: str  # in all that is said of it
    folder: Path
    environment: dict[str, str]  # all that the stage sees
    confined: bool = True
    log_bytes: int  # beyond which the middle of the log is left out
    scratch: Path | None = None  # where its temporary files and its trainer's scratch folder lie


class Started(Frozen):
    """That a stage has started."""

    job: str
    guard: int
    pid: int


class Ended(Frozen):
    """That a stage has ended, with all its processes, and what it took."""

    job: str
    guard: int
    exit: int  # negative: the signal
    confinement: str
    seconds: float
    cpu_seconds: float
    # of all processes but the stage's own; None where it trains in several, which are counted each
    child_cpu_seconds: float | None = None
    peak_memory_bytes: int
    processes: int
    cpu_joules: float | None = None  # where the machine says them
    over: bool  # whether the harness's own work in it was over, and not its process alone
    status: Status | None = None  # where the guard ended it, why
    error: str | None = None
    lost: str | None = None  # why it could not be run here


class Lost(Frozen):
    """That a guard is no more; news only where it said nothing of its stage's end."""

    job: str
    guard: int
    lost: bool = True


Message = Started | Ended | Lost
MESSAGE: pydantic.TypeAdapter[Message] = pydantic.TypeAdapter(Message)


def say(message: Message) -> None:
    with contextlib.suppress(BrokenPipeError):  # the bench is gone
        os.write(1, message.model_dump_json().encode() + b"\n")


def guard(job: Job, work: Work | None, close: Collection[int] = ()) -> NoReturn:
    """Guard one stage from its start to its end, and never return.

    Standard input must be a pipe that closes when the bench ends, standard output one to it.

    Args:
        job: The stage.
        work: Does the stage's work in its process; an integer that it returns is the exit code,
            and `AGAIN` asks for a fresh interpreter, which does the work where this is None.
        close: Descriptors that the stage must not have.
    """
    code = 1
    try:
        if os.getsid(0) != os.getpid():  # forked; a program is started in a session of its own
            os.setsid()
        subreaper()
        code = _Guard(job, work, close).run()
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


def subreaper() -> None:
    """Make orphans among the descendants of this process its children."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1)


@dataclass
class _Guard:
    job: Job
    work: Work | None
    close: Collection[int]

    def run(self) -> int:
        own = os.getpid()
        log = open_log(self.job.folder)
        wake, woken = os.pipe()
        os.set_blocking(woken, False)
        signal.set_wakeup_fd(woken)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        told: list[int] = []
        signal.signal(signal.SIGTERM, lambda number, _: told.append(number))
        try:
            taken = scratch.take(self.job.scratch) if self.job.scratch else None
        except OSError as refused:
            return self._not_here(f"--scratch {self.job.scratch}: {refused.strerror}")
        temporary = self.job.environment.get("TMPDIR")
        private = taken.path if taken else Path(tempfile.mkdtemp(prefix="harness-", dir=temporary))
        spec = self._spec()
        given = self._rights(spec, private)
        several = isinstance(spec, specs.TrainSpec) and spec.identity.gpus > 1
        how, heard = os.pipe()
        token = secrets.token_bytes(32)
        started, energy = time.monotonic(), Energy()
        pid = os.fork()
        if pid == 0:
            close = (wake, woken, how, *((taken.lock,) if taken else ()), *self.close)
            _stage(own, self.job, self.work, given, private, log, close, heard, token)
        os.close(heard)
        cpu_time = CpuTime(pid)
        watch = Watch(log, self.job.log_bytes, cpu_time)
        say(Started(job=self.job.id, guard=own, pid=pid))
        # the stage says how it is confined before it imports anything of a plug-in
        with os.fdopen(how, "rb") as answer:
            confinement = answer.read(300).decode(errors="replace")
        life = select.poll()
        life.register(0, 0)  # says only that the other end is closed
        life.register(wake, select.POLLIN)
        code, why = None, None
        while code is None and not told and not why:
            for descriptor, _ in life.poll(LOOK_SECONDS * 1000):
                if descriptor == 0:
                    told.append(signal.SIGHUP)
                else:
                    os.read(wake, 4096)
            why = watch.look()
            energy.look()
            code = cpu_time.reap()
        if code is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            code = cpu_time.wait()
        if not end_children():
            why = "failed", "processes of the stage could not be ended"
        over = is_over(self.job.folder, token)
        if not over:  # whoever wrote it
            with contextlib.suppress(OSError):
                (self.job.folder / "manifest.json").unlink()
        watch.cut_log()
        os.close(log)
        if taken:
            taken.remove()
        else:
            remove_folder(private)
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu_seconds = cpu_time.own + cpu_time.others
        joules = energy.of(cpu_seconds)
        status, error = why or (None, None)
        say(
            Ended(
                job=self.job.id,
                guard=own,
                exit=code,
                confinement=confinement,
                seconds=round(time.monotonic() - started, 3),
                cpu_seconds=round(cpu_seconds, 3),
                child_cpu_seconds=None if several else round(cpu_time.others, 3),
                peak_memory_bytes=used.ru_maxrss * 1024,
                processes=watch.processes,
                cpu_joules=None if joules is None else round(joules, 3),
                over=over,
                status=status,
                error=error,
            )
        )
        return 0

    def _not_here(self, why: str) -> int:
        """Say that the stage cannot be run on this machine."""
        say(
            Ended(
                job=self.job.id,
                guard=os.getpid(),
                exit=1,
                confinement="",
                seconds=0,
                cpu_seconds=0,
                peak_memory_bytes=0,
                processes=0,
                over=False,
                lost=f"node {platform.node()}: {why}",
            )
        )
        return 0

    def _spec(self) -> specs.StageSpec | None:
        """Return what the stage is to do; None where the stage will fail by it, and say so."""
        try:
            return specs.read_spec(self.job.folder)
        except HarnessError:
            return None

    def _rights(self, spec: specs.StageSpec | None, private: Path) -> Rights | None:
        if not self.job.confined:
            return None
        if spec is not None:
            with contextlib.suppress(HarnessError):
                return rights(self.job.folder, spec, private)
        writes = (self.job.folder, private)
        return Rights((Path("/"),), (), writes, network=False, alone=True)


def _stage(
    parent: int,
    job: Job,
    work: Work | None,
    given: Rights | None,
    private: Path,
    log: int,
    close: Collection[int],
    heard: int,
    token: bytes,
) -> NoReturn:
    """Be the stage: give up what is not its own, say how it is confined, and do the work."""
    code = 1
    try:
        signal.set_wakeup_fd(-1)
        os.setsid()
        die_with_parent(parent)
        for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
        null = os.open(os.devnull, os.O_RDONLY)
        for source, target in ((null, 0), (log, 1), (log, 2)):
            os.dup2(source, target)
        for descriptor in (null, log, *close):
            os.close(descriptor)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        with contextlib.suppress(OSError):
            Path("/proc/self/oom_score_adj").write_text(str(OOM_SCORE))
        os.environ.clear()
        os.environ.update(job.environment)
        if job.scratch:
            os.environ[scratch.VARIABLE] = str(private / scratch.SHARED)
        if given is not None:
            _settle_in(private)
        how = confine(given) if given is not None else "none (it was not asked for)"
        die_with_parent(parent)  # asked again, for a change of rights may take it back
        os.write(heard, how.encode())
        os.close(heard)
        environment = dict(os.environ)
        result = work(job.folder) if work else AGAIN
        if result == AGAIN:
            again(job.folder, environment, token)
        if not isinstance(result, int) or result == 0:
            say_over(job.folder, token)
            result = 0
        code = result
        sys.stdout.flush()
    except BaseException:
        traceback.print_exc()
    finally:
        with contextlib.suppress(OSError):
            sys.stderr.flush()
        os._exit(code)


def _settle_in(private: Path) -> None:
    """Work in a private folder, with temporary files and a home of its own."""
    os.chdir(private)
    processes.private = private
    # triton, whose kernels TRL's losses are on a GPU, keeps the HOME that it was imported in; where
    # it writes what it compiles, TRITON_HOME goes before that
    os.environ |= {"HOME": str(private), "TMPDIR": str(private), "TRITON_HOME": str(private)}
    os.environ["VLLM_HOST_IP"] = "127.0.0.1"
    tempfile.tempdir = None  # asks for TMPDIR again


def read_line() -> bytes:
    """Return the first line of standard input, and read nothing that follows it."""
    line = bytearray()
    while not line.endswith(b"\n"):
        if not (byte := os.read(0, 1)):
            break
        line += byte
    return bytes(line)


if __name__ == "__main__":
    guard(Job.model_validate_json(read_line()), None)
