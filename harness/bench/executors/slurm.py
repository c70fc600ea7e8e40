"""The executor `slurm`: each stage is a job, submitted by submitit, on nodes that share the disk.

Jobs are cancelled when a bench is interrupted and outlive one that is killed: they carry their
stage's name, by which the next bench finds them in the queue. SLURM itself requeues none: what a
lost node or a time limit ended is tried again by the bench, which counts.
"""

from __future__ import annotations

import contextlib
import getpass
import hashlib
import importlib
import os
import re
import subprocess
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pydantic

from harness.bench.executors.conclude import GRACE_SECONDS, Report
from harness.bench.executors.remote import RemoteExecutor, StageTask, run_stage
from harness.bench.facts import facts
from harness.bench.stage_sources import source_digest
from harness.errors import UsageError
from harness.files import json_sha256, read_bytes, write_atomically
from harness.plugin.executor import ExecutorSettings, Facts
from harness.stage.spec import Device

QUEUED = 32  # jobs in the queue, those that run included, where the command says nothing
POLL_SECONDS = 5.0  # between two questions to the scheduler
SPARE_MINUTES = 15  # of a job, beyond its stage's time limit
ASKED_MINUTES = 10  # of the job that says what a node has
ALIVE = {
    "PENDING", "RUNNING", "CONFIGURING", "COMPLETING", "SUSPENDED", "STOPPED", "SIGNALING",
    "STAGE_OUT", "RESIZING", "REQUEUED", "REQUEUE_HOLD", "REQUEUE_FED", "RESV_DEL_HOLD",
    "SPECIAL_EXIT",
}  # fmt: skip
ENDED = {"CANCELLED", "PREEMPTED", "TIMEOUT", "DEADLINE", "NODE_FAIL", "BOOT_FAIL"}  # by SLURM


class SlurmExecutor(RemoteExecutor):
    """Runs stages as jobs.

    Of `settings.options`, `time` is the limit of a job and `cluster=local` runs jobs as processes
    of this machine, to try the rest; all others are options of `sbatch`.
    """

    def __init__(self, settings: ExecutorSettings) -> None:
        super().__init__(settings)
        self.submitit = _library()
        self.options = dict(settings.options)
        self.cluster = self.options.pop("cluster", "slurm")
        self.minutes = _minutes(self.options.pop("time", None), settings.seconds)
        self.jobs = settings.jobs or QUEUED
        self.logs = self.place / "jobs"
        self._jobs: dict[str, Any] = {}  # by id
        self._gone: dict[str, float] = {}  # ids that the scheduler no longer has, and since when
        self._polled = 0.0
        name = f"{settings.folder.name} {settings.folder}"
        self.mark = hashlib.sha256(name.encode()).hexdigest()[:8]  # of this runs folder

    # -- what a node has ---------------------------------------------------------------------------

    def ask(self) -> Facts:
        """Return what a node has, as one said in this or an earlier bench with these options."""
        device = self._device()
        key = json_sha256([device, self.cluster, self.settings.gpus, self.options])[:16]
        path = self.place / f"node-{key}.json"
        with contextlib.suppress(UsageError, pydantic.ValidationError):
            known = Facts.model_validate_json(read_bytes(path))
            if known.harness == source_digest():
                return known
        self.settings.say(f"asking a node what it has, in a job; log: {self.logs}")
        minutes = min(ASKED_MINUTES, self.minutes)
        gpus = self.settings.gpus if device == "cuda" else 0
        job = self._submit("probe", 1, gpus, minutes, facts, device)
        try:
            while not (ended := self.poll([job], POLL_SECONDS)):
                pass
        except BaseException:
            self.cancel([job])
            raise
        ((_, found),) = ended
        if not isinstance(found, Facts):
            raise UsageError(f"no node could say what it has: {found}; look into {self.logs}")
        write_atomically(path, found.model_dump_json(indent=1) + "\n")
        return found

    def _device(self) -> Device:
        """Return what stages run on: for `auto` a GPU, where nodes of the partition have any."""
        if self.settings.device != "auto":
            return "cuda" if self.settings.device == "cuda" else "cpu"
        if any(name.startswith(("gpu", "gres")) for name in self.options):
            return "cuda"
        if self.cluster != "slurm":
            return "cpu"
        named = ["-p", self.options["partition"]] if "partition" in self.options else []
        return "cuda" if "gpu" in _run("sinfo", "-h", "-o", "%G", *named) else "cpu"

    # -- jobs --------------------------------------------------------------------------------------

    def submit(self, task: StageTask, values: Mapping[str, str]) -> str:
        # values of variables are left out, for a job's arguments lie in a file: sbatch hands this
        # process's environment on, and `task.names` says which of it the stage sees
        name = f"{task.folder.name}.{self.mark}"
        minutes = self.minutes
        return self._submit(
            name, task.cores, task.gpus, minutes, run_in_job, task, **self._others(task)
        )

    def _others(self, task: StageTask) -> dict[str, str]:
        """Return options that keep a job from the nodes that could not run it, if there are others.

        The command's own `exclude` holds besides.
        """
        if not task.avoid or self.cluster != "slurm":
            return {}
        named = ["-p", self.options["partition"]] if "partition" in self.options else []
        with contextlib.suppress(UsageError):
            if {*_run("sinfo", "-h", "-N", "-o", "%N", *named).split()} - {*task.avoid}:
                given = self.options.get("exclude")
                return {"slurm_exclude": ",".join([*([given] if given else []), *task.avoid])}
        return {}

    def _submit(
        self,
        name: str,
        cores: int,
        gpus: int,
        minutes: int,
        work: Callable[..., Any],
        *given: Any,
        **more: str,
    ) -> str:
        executor = self.submitit.AutoExecutor(folder=self.logs, cluster=self.cluster)
        known = set(self.submitit.SlurmExecutor._valid_parameters())
        others = {key: value for key, value in self.options.items() if key not in known}
        parameters: dict[str, Any] = {
            f"slurm_{key}": value for key, value in self.options.items() if key in known
        }
        parameters["slurm_additional_parameters"] = {"no_requeue": True, **others}
        if gpus and not any(key.startswith(("gpu", "gres")) for key in self.options):
            parameters["gpus_per_node"] = gpus
        executor.update_parameters(
            name=name, timeout_min=minutes, cpus_per_task=cores, **parameters | more
        )
        failures = self.submitit.core.utils.FailedJobError
        try:
            job = executor.submit(work, *given)
        except (OSError, failures, subprocess.SubprocessError) as error:
            raise UsageError(f"sbatch: {_line(error)}") from None
        self._jobs[job.job_id] = job
        return str(job.job_id)

    def poll(self, handles: Collection[Any], seconds: float) -> Sequence[tuple[Any, Any]]:
        until = time.monotonic() + seconds
        time.sleep(max(0.0, min(until, self._polled + POLL_SECONDS) - time.monotonic()))
        if not handles or time.monotonic() < self._polled + POLL_SECONDS:
            return []
        self._polled = time.monotonic()
        alive = self._alive(handles)
        outcomes = ((handle, self._outcome(handle)) for handle in handles if handle not in alive)
        return [(handle, outcome) for handle, outcome in outcomes if outcome is not None]

    def _alive(self, handles: Collection[str]) -> set[str]:
        """Return the jobs that wait or run, by one question for all of them."""
        if self.cluster != "slurm":
            return {handle for handle in handles if not self._jobs[handle].done()}
        try:
            lines = _run("squeue", "-h", "-u", getpass.getuser(), "-o", "%i|%T").splitlines()
        except UsageError:
            return set(handles)  # the scheduler does not answer now; jobs go on without it
        states = dict(line.split("|") for line in lines if "|" in line)
        return {handle for handle in handles if states.get(handle) in ALIVE}

    def _outcome(self, handle: str) -> Any:
        """Return what a job that is over left, why it left nothing, or None if that may come."""
        job = self._jobs[handle]
        if job.paths.result_pickle.exists():
            how, result = job._get_outcome_and_result()
            if how == "success":
                return self._unless_ended(handle, result)
            lines = [line for line in str(result).splitlines() if line.strip()]
            return f"SLURM job {handle}: {lines[-1][:300] if lines else 'it failed'}"
        state, node = _end_of(handle) if self.cluster == "slurm" else ("", "")
        since = self._gone.setdefault(handle, time.monotonic())
        if state in ("", "COMPLETED") and time.monotonic() - since < GRACE_SECONDS:
            return None  # its result may not be seen here yet
        where = f" on {node}" if node else ""
        if state == "OUT_OF_MEMORY":  # the stage's own doing
            why = f"SLURM job {handle}{where} took more memory than it was given (--slurm mem=...)"
            return Report(folder=job.submission().args[0].folder, code=-9, status="oom", error=why)
        return f"SLURM job {handle}: {state or 'it is gone and left no result'}{where}"

    def _unless_ended(self, handle: str, result: Any) -> Any:
        """Return what a job left; of one that the scheduler ended, a line that says so.

        The scheduler's signal reaches the stage first, and its job then reports a stage that was
        killed.
        """
        if self.cluster == "slurm" and isinstance(result, Report) and result.code < 0:
            state, node = _end_of(handle)
            if state in ENDED and not result.timed_out and not result.status:
                return f"SLURM job {handle}: {state} on {node or result.host}"
        return result

    def cancel(self, handles: Collection[Any]) -> None:
        if handles and self.cluster == "slurm":
            with contextlib.suppress(UsageError):
                _run("scancel", *map(str, handles))
        for handle in handles if self.cluster != "slurm" else ():
            self._jobs[handle].cancel(check=False)

    def recover(self, folders: Iterable[Path]) -> Mapping[Path, str]:
        """Take over the jobs of an earlier bench: each carries its stage's name."""
        if self.cluster != "slurm":
            return {}
        wanted = {f"{folder.name}.{self.mark}": folder for folder in folders}
        found: dict[Path, str] = {}
        lines = _run("squeue", "-h", "-u", getpass.getuser(), "-o", "%i|%T|%j").splitlines()
        for line in lines:
            number, state, name = line.split("|", 2)
            if name not in wanted or state not in ALIVE:
                continue
            job = self.submitit.SlurmJob(folder=self.logs, job_id=number)
            try:
                (task,) = job.submission().args
                if not isinstance(task, StageTask) or wanted[name] in found:
                    raise ValueError
            except (OSError, ValueError):  # killed in between: it would never start
                self.cancel([number])
                continue
            self._jobs[number] = job
            self._keep(wanted[name], number, task.light)
            found[wanted[name]] = task.given
        return found


def run_in_job(task: StageTask) -> Report:
    """Return what `run_stage` does, with SLURM's name of the node that this is."""
    node = os.environ.get("SLURMD_NODENAME", "")
    return run_stage(task).model_copy(update={"node": node})


def _library() -> Any:
    try:
        return importlib.import_module("submitit")
    except ImportError:
        line = '--executor slurm needs submitit: pip install "srlm-harness[slurm]"'
        raise UsageError(line) from None


def _minutes(text: str | None, seconds: float) -> int:
    """Return a job's limit: as `sbatch --time` reads it, or what its stage may take and a little.

    Raises:
        UsageError: If it is no time.
    """
    if text is None:
        return int(seconds // 60) + SPARE_MINUTES
    found = re.fullmatch(r"(?:(\d+)-)?(\d+)(?::(\d+))?(?::(\d+))?", text)
    if not found:
        raise UsageError(f"--slurm time={text}: write minutes, H:MM:SS or D-HH:MM:SS")
    days, *parts = found.groups()
    numbers = [int(part) for part in parts if part is not None]
    if days is not None:  # hours first
        hours, minutes = [*numbers, 0, 0][:2]
    elif len(numbers) == 3:
        hours, minutes = numbers[:2]
    else:  # MM or MM:SS
        hours, minutes = 0, numbers[0]
    return max(1, int(days or 0) * 1440 + hours * 60 + minutes)


def _run(*command: str) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    except (OSError, subprocess.SubprocessError) as error:
        said = getattr(error, "stderr", "") or str(error)
        raise UsageError(f"{command[0]}: {_line(said)}") from None
    return done.stdout


def _end_of(job: str) -> tuple[str, str]:
    """Return the last state of a job and its node: of the controller, or of the accounts.

    The controller forgets a job after some minutes; not every cluster keeps accounts.
    """
    with contextlib.suppress(UsageError):
        shown = dict(re.findall(r"(\w+)=(\S+)", _run("scontrol", "show", "job", "-o", job)))
        node = shown.get("NodeList", "")
        return shown.get("JobState", ""), "" if node == "(null)" else node
    with contextlib.suppress(UsageError):
        lines = _run("sacct", "-X", "-n", "-P", "-j", job, "-o", "State,NodeList").splitlines()
        if lines:
            state, _, node = lines[0].partition("|")
            return state.split()[0], node
    return "", ""


def _line(error: object) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[-1] if lines else type(error).__name__)[:300]
