"""Stages on other machines that share the disk: what a node is asked, what it does, and the head.

`run_stage` is what happens on the node: the same processes, limits and confinement as on one
machine (`node.py`). `RemoteExecutor` is what the head does for any engine that carries a function
to a node; Ray and SLURM say only how (`submit`, `poll`, `cancel`, `ask`).
"""

from __future__ import annotations

import abc
import contextlib
import os
import platform
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Literal

from harness.bench.executors import variables
from harness.bench.executors.conclude import GRACE_SECONDS, Report, conclude, is_visible
from harness.bench.executors.gpus import gpu_names
from harness.bench.executors.node import Node
from harness.bench.facts import facts
from harness.bench.stage_sources import source_digest
from harness.errors import HarnessError, UsageError
from harness.files import file_sha256
from harness.plugin.executor import Ended, ExecutorSettings, Facts
from harness.records import Frozen
from harness.scratch import find
from harness.stage import spec

LOOK_SECONDS = 0.5  # between two looks of a node at its stage


class StageTask(Frozen):
    """A stage, as a node is asked to run it. It holds no secret: it may be kept in a file.

    Attributes:
        folder: The stage's, on a disk that the head and the node share, by the same path.
        given: The sha256 of its `stage.json`.
        seconds: Its time limit.
        gpus: How many GPUs it has; none where it runs on a CPU.
        threads: Of a stage on a CPU.
        cores: That it is to have of its node.
        light: Whether it runs no model.
        fresh: Whether its process imports what it needs alone: no other stage follows it.
        names: Variables of the node's environment that it sees beside the usual ones.
        variables: Of the head, for the stage and what starts it.
        facts: What the plan was made for.
        scratch: A folder of the node's own disk; see `harness.scratch.find`.
        avoid: Nodes on which it could not be run, by the scheduler's names (`Report.node`).
    """

    folder: Path
    given: str
    seconds: float
    gpus: int
    threads: int
    cores: int
    light: bool
    fresh: bool
    names: tuple[str, ...]
    variables: dict[str, str]
    facts: Facts
    scratch: str | None = None
    avoid: tuple[str, ...] = ()


# -- on the node ----------------------------------------------------------------------------------


def run_stage(task: StageTask, values: Mapping[str, str] | None = None) -> Report:
    """Run a stage on this machine, and return what was seen of it once all of it has ended.

    It ends with the process that calls this, however that ends. A process that runs several stages,
    one after the other, imports what they need once.

    Args:
        task: The stage.
        values: Variables for this stage, which may be secret.
    """
    differences = task.facts.differences(facts(task.facts.device))
    if differences:
        return _refused(task, f"{', '.join(differences)} (it was planned for {task.facts.host})")
    if not _is_there(task):
        why = f"node {platform.node()} does not see {task.folder / 'stage.json'} as it was written"
        return Report(folder=task.folder, code=1, lost=f"{why}: the runs folder has to be shared")
    try:
        scratch = find(task.scratch) if task.scratch else None
    except UsageError as error:
        return Report(folder=task.folder, code=1, lost=f"node {platform.node()}: {error}")
    given = {name: os.environ[name] for name in task.names if name in os.environ}
    given |= {**(values or {}), **_gpus(task)}
    if task.gpus and not given["CUDA_VISIBLE_DEVICES"]:
        return _refused(task, f"{task.gpus} GPUs were asked for, and it gives none")
    device: Literal["cpu", "cuda"] = "cpu" if task.facts.device == "cpu" else "cuda"
    log = task.folder.parent.parent / "warm.log"
    node = _node(device, task.threads, log, tuple(sorted(task.variables.items())), scratch)
    node.start(task.folder, task.seconds, given, fresh=task.fresh)
    try:
        while True:
            for report in node.wait(LOOK_SECONDS):
                return report
    except BaseException:  # such as the scheduler's signal that the time is over
        node.stop()
        raise


@cache
def _node(
    device: str, threads: int, log: Path, own: tuple[tuple[str, str], ...], scratch: Path | None
) -> Node:
    return Node(device, threads, log, own=dict(own), scratch=scratch)


def _refused(task: StageTask, why: str) -> Report:
    return Report(folder=task.folder, code=1, refused=f"node {platform.node()}: {why}")


def _gpus(task: StageTask) -> dict[str, str]:
    """Return which GPUs a stage sees: those that the scheduler gave this process."""
    if not task.gpus:
        return {"CUDA_VISIBLE_DEVICES": ""}
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is None:  # a scheduler that keeps other devices away by other means
        visible = ",".join(gpu_names()[: task.gpus])
    return {"CUDA_VISIBLE_DEVICES": visible, "CUDA_DEVICE_ORDER": "PCI_BUS_ID"}


def _is_there(task: StageTask) -> bool:
    """Wait until this machine sees the stage as the head wrote it, and what it starts from."""
    until = time.monotonic() + GRACE_SECONDS
    while True:
        with contextlib.suppress(OSError, HarnessError):
            os.listdir(task.folder)  # asks the file server again
            if file_sha256(task.folder / "stage.json") == task.given and _has_parent(task.folder):
                return True
        if time.monotonic() > until:
            return False
        time.sleep(LOOK_SECONDS)


def _has_parent(folder: Path) -> bool:
    found = spec.read_spec(folder)
    if not found.sealed:
        return True
    left = found.answers if isinstance(found, spec.JudgeSpec) else found.paths.base_model
    return "manifest.json" in os.listdir(left.parent)


# -- on the head ----------------------------------------------------------------------------------


class RemoteExecutor(abc.ABC):
    """An executor that has `run_stage` carried to nodes which share the disk.

    Subclasses say how, in four methods. What they call a handle is whatever they know a task by.

    Args:
        settings: What the bench asks for.
    """

    lasting = False  # whether a process on a node runs one stage after another

    def __init__(self, settings: ExecutorSettings) -> None:
        self.settings = settings
        self.log = settings.folder / "warm.log"
        self.place = settings.folder / "executor"  # no stage may read or write there
        self.jobs = settings.jobs or 1
        self.facts: Facts | None = None
        self._running: dict[Path, Any] = {}  # folder -> handle
        self._light: set[Path] = set()  # those that run no model
        self._seen: dict[Path, tuple[Report, float]] = {}  # and until when to look for its files
        self._avoid: dict[Path, set[str]] = {}  # nodes that could not run a stage

    @abc.abstractmethod
    def ask(self) -> Facts:
        """Run `facts` on a node as a stage would run there, and return what it says."""

    @abc.abstractmethod
    def submit(self, task: StageTask, values: Mapping[str, str]) -> Any:
        """Have `run_stage(task, values)` called on a node; return a handle, without waiting.

        Where there are others, it should be none of `task.avoid`: a node whose disk is full ends
        stages so fast that it would always be free for the next one.
        """

    @abc.abstractmethod
    def poll(self, handles: Collection[Any], seconds: float) -> Sequence[tuple[Any, Report | str]]:
        """Return what has ended, after waiting for at most so many seconds.

        For a task that did not return it is a line that says why: the node was lost, the scheduler
        ended it. Such a stage is tried again.
        """

    @abc.abstractmethod
    def cancel(self, handles: Collection[Any]) -> None:
        """End tasks, those that wait included."""

    @property
    def shared(self) -> bool:
        return False

    @property
    def spare_cores(self) -> int:
        return 1

    def probe(self) -> Facts:
        if self.facts is None:
            self.facts = self.ask()
            if self.facts.harness != source_digest():
                raise UsageError(
                    f"node {self.facts.host} has another version of the harness than this machine;"
                    " use one environment on a disk that they share"
                )
        return self.facts

    def warm_up(self) -> None:  # noqa: B027 - it may well be empty
        """Do nothing: a node imports what stages need when it has its first one."""

    def recover(self, folders: Iterable[Path]) -> Mapping[Path, str]:
        """Return nothing: what a subclass starts ends with the bench, unless it says otherwise."""
        return {}

    def has_room(self, *, light: bool = False) -> bool:
        busy = self._light if light else self._running.keys() - self._light
        return len(busy) < self.jobs

    def start(
        self, folder: Path, seconds: float, *, light: bool = False, names: Sequence[str] = ()
    ) -> None:
        found = self.probe()
        gpus = self.settings.gpus
        task = StageTask(
            folder=folder,
            given=file_sha256(folder / "stage.json"),
            seconds=seconds,
            gpus=gpus if found.device == "cuda" and not light else 0,
            threads=self.settings.threads,
            cores=self.spare_cores if light else gpus * self.settings.threads,
            light=light,
            fresh=light or not self.lasting,
            names=tuple(names),
            variables=variables.carried(os.environ),
            facts=found,
            scratch=self.settings.scratch,
            avoid=tuple(sorted(self._avoid.get(folder, ()))),
        )
        self._keep(folder, self.submit(task, variables.named(os.environ, names)), light)

    def _keep(self, folder: Path, handle: Any, light: bool) -> None:
        self._running[folder] = handle
        if light:
            self._light.add(folder)

    def wait(self, seconds: float) -> list[Ended]:
        waiting = {
            handle: folder for folder, handle in self._running.items() if folder not in self._seen
        }
        ended = []
        for handle, outcome in self.poll(waiting, seconds):
            folder = waiting[handle]
            if isinstance(outcome, str):
                # also where it left a manifest: its guard did not say that it may be believed
                ended.append(self._lost(folder, outcome))
            else:
                self._seen[folder] = outcome, time.monotonic() + GRACE_SECONDS
        for folder, (report, until) in list(self._seen.items()):
            if report.refused:
                raise UsageError(f"{report.refused}; what is done is kept, and the same command"
                                 " goes on without that node")  # fmt: skip
            if report.lost or is_visible(report) or time.monotonic() > until:
                ended.append(conclude(report))
                self._forget(folder)
                if ended[-1].retry and report.node:
                    self._avoid.setdefault(folder, set()).add(report.node)
        return ended

    def _lost(self, folder: Path, why: str) -> Ended:
        self._forget(folder)
        return Ended(folder, "killed", why, retry=True)

    def _forget(self, folder: Path) -> None:
        self._running.pop(folder, None)
        self._seen.pop(folder, None)
        self._light.discard(folder)

    def stop(self) -> list[Path]:
        stopped = list(self._running)
        self.cancel(list(self._running.values()))
        for folder in stopped:
            self._forget(folder)
        return stopped
