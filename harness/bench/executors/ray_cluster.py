"""The executor `ray`: each stage is a task of a Ray cluster, with the CPUs and GPUs that it needs.

The cluster is one that runs already (`--ray-address`) or one that is started for the bench on this
machine. A task is on one node by its nature, so several GPUs of a stage are GPUs of one machine.
Ray keeps a process for the next task: what stages import on a CPU is imported once a process.
"""

from __future__ import annotations

import contextlib
import importlib
import math
import os
import signal
import threading
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from harness.bench.executors.conclude import Report
from harness.bench.executors.remote import RemoteExecutor, StageTask, run_stage
from harness.bench.facts import facts
from harness.errors import UsageError, first_line
from harness.plugin.executor import ExecutorSettings, Facts
from harness.stage.spec import Device

STORE = 2**27  # bytes for what tasks return, which is little
ASK_SECONDS = 300.0  # in which a node has to say what it has
LIGHT_CORES = 4  # of a stage that runs no model, at most; an eighth of a node


class RayExecutor(RemoteExecutor):
    """Runs stages as Ray tasks; Ray itself tries none again, the bench does."""

    lasting = True

    def __init__(self, settings: ExecutorSettings) -> None:
        super().__init__(settings)
        self.ray = _library()
        self._cores, self._share = 1, 1.0  # of a light stage, and of a GPU for each stage
        self._connected = False

    @property
    def shared(self) -> bool:
        return self._share < 1

    @property
    def spare_cores(self) -> int:
        return self._cores

    def ask(self) -> Facts:
        self._connect()
        has = self.ray.cluster_resources()
        cpus, gpus = int(has.get("CPU", 0)), int(has.get("GPU", 0))
        wanted, each = self.settings.device, self.settings.gpus
        if wanted == "cuda" and not gpus:
            raise UsageError("--device cuda: the Ray cluster has no GPU")
        device: Device = "cuda" if gpus and wanted != "cpu" else "cpu"
        largest = [node["Resources"] for node in self.ray.nodes() if node["Alive"]]
        kind, most, needed = "CPU", max(int(one.get("CPU", 0)) for one in largest), each
        if device == "cuda":
            kind, most = "GPU", max(int(one.get("GPU", 0)) for one in largest)
        else:
            needed = each * self.settings.threads
        if needed > most:
            raise UsageError(f"a stage needs {needed} {kind}s; no node of Ray has more than {most}")
        hold = gpus // each if device == "cuda" else cpus // needed
        self.jobs = self.settings.jobs or max(1, hold)
        cores = max(int(one.get("CPU", 0)) for one in largest)
        self._cores = max(1, min(LIGHT_CORES, cores // 8))
        if device == "cuda" and each == 1 and self.jobs > hold:
            self._share = 1 / math.ceil(self.jobs / hold)
        remote = self.ray.remote(facts).options(max_retries=0, **self._needs(device, light=False))
        try:
            found: Facts = self.ray.get(remote.remote(device), timeout=ASK_SECONDS)
        except self.ray.exceptions.GetTimeoutError:
            raise UsageError(
                f"no node of the Ray cluster had room within {ASK_SECONDS:.0f} seconds:"
                " look at `ray status`"
            ) from None
        except self.ray.exceptions.RayError as error:
            raise UsageError(f"a node of Ray cannot run the harness: {_line(error)}") from None
        return found

    def _connect(self) -> None:
        if self._connected:
            return
        address = self.settings.options.get("address") or "local"  # one of its own
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # as Ray will have it
        try:
            with _own_signals():
                self.ray.init(
                    address=address,
                    **(
                        {"include_dashboard": False, "object_store_memory": STORE}
                        if address == "local"
                        else {}
                    ),
                    log_to_driver=False,
                    logging_level="ERROR",
                )
        except Exception as error:  # of several kinds; a node that is slow to start is a plain one
            where = "starting Ray" if address == "local" else f"--ray-address {address}"
            raise UsageError(f"{where}: {_line(error)}") from None
        self._connected = True

    def _needs(self, device: str, *, light: bool) -> dict[str, Any]:
        each, threads = self.settings.gpus, self.settings.threads
        if light:
            return {"num_cpus": self._cores, "scheduling_strategy": "SPREAD"}
        if device == "cpu":
            return {"num_cpus": each * threads, "scheduling_strategy": "SPREAD"}
        gpus = self._share if self.shared else each
        return {"num_cpus": each * self._share, "num_gpus": gpus, "scheduling_strategy": "SPREAD"}

    def submit(self, task: StageTask, values: Mapping[str, str]) -> Any:
        self._connect()
        # a stage is tried again by the bench, which counts; a worker stays for the next one
        remote = self.ray.remote(run_on_node).options(
            name=task.folder.name,
            max_retries=0,
            **self._needs(task.facts.device, light=task.light),
            **self._others(task),
        )
        return remote.remote(task, dict(values))

    def _others(self, task: StageTask) -> dict[str, Any]:
        """Return options that keep a task from the nodes that could not run it, if others can."""
        kind = "GPU" if task.gpus else "CPU"
        able = {
            node["NodeID"]
            for node in (self.ray.nodes() if task.avoid else ())
            if node["Alive"] and node["Resources"].get(kind, 0) >= (task.gpus or task.cores)
        }
        if not able - {*task.avoid}:
            return {}
        return {"label_selector": {"ray.io/node-id": f"!in({','.join(task.avoid)})"}}

    def poll(self, handles: Collection[Any], seconds: float) -> Sequence[tuple[Any, Report | str]]:
        if not handles:
            time.sleep(min(seconds, 0.2))
            return []
        done, _ = self.ray.wait(list(handles), num_returns=1, timeout=seconds)
        if done:  # and whatever else has ended by now
            done, _ = self.ray.wait(list(handles), num_returns=len(handles), timeout=0)
        return [(handle, self._outcome(handle)) for handle in done]

    def _outcome(self, handle: Any) -> Report | str:
        try:
            report: Report = self.ray.get(handle)
        except self.ray.exceptions.RayTaskError as error:
            cause = getattr(error, "cause", error)
            return f"Ray: the node failed: {_line(cause)}"
        except self.ray.exceptions.RayError as error:
            return f"Ray: {type(error).__name__}: {_line(error)}"
        return report

    def cancel(self, handles: Collection[Any]) -> None:
        if not self._connected:
            return
        for handle in handles:
            with contextlib.suppress(self.ray.exceptions.RayError, ValueError):
                self.ray.cancel(handle, force=True)  # its stage ends with the process that ran it
        self._connected = False
        self.ray.shutdown()


def run_on_node(task: StageTask, values: Mapping[str, str]) -> Report:
    """Return what `run_stage` does, with Ray's name of the node that this is."""
    node = _library().get_runtime_context().get_node_id()
    return run_stage(task, values).model_copy(update={"node": node})


def _library() -> Any:
    try:
        return importlib.import_module("ray")
    except ImportError:
        raise UsageError('--executor ray needs Ray: pip install "srlm-harness[ray]"') from None


def _line(error: BaseException) -> str:
    return (first_line(error) or type(error).__name__)[:300]


@contextlib.contextmanager
def _own_signals() -> Iterator[None]:
    """Keep what this process does on a signal: Ray puts a function of its own in the place."""
    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
    before = {number: signal.getsignal(number) for number in numbers}
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread():
            for number, handler in before.items():
                signal.signal(number, handler)
