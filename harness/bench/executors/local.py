"""The executor `local`: stages run on this machine, as many as its cores or its GPUs hold."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from harness import scratch
from harness.bench.executors import variables
from harness.bench.executors.conclude import conclude
from harness.bench.executors.gpus import choose_device, default_jobs, gpu_names
from harness.bench.executors.node import LOG_BYTES, Node
from harness.bench.facts import facts
from harness.plugin.executor import Ended, ExecutorSettings, Facts


@dataclass
class LocalExecutor:
    """Runs up to `jobs` stages at once, and beside them one light stage, which needs no GPU.

    With more slots than GPUs hold, stages share them in turn.
    """

    jobs: int
    device: str
    threads: int  # of a stage on a CPU
    log: Path  # of messages of the processes that start stages
    gpus: int = 1  # of a stage
    program: str = "harness.bench.executors.warm"  # the module that runs as the warm process
    confined: bool = True  # whether stages get their own rights and variables alone
    log_bytes: int = LOG_BYTES
    scratch: Path | None = None  # of this machine's own disk, for what stages keep while they run
    node: Node = field(init=False)
    _slots: dict[Path, int] = field(default_factory=dict)  # of the stages that run

    def __post_init__(self) -> None:
        self.node = Node(
            self.device,
            self.threads,
            self.log,
            self.program,
            self.confined,
            self.log_bytes,
            scratch=self.scratch,
        )

    def _free(self, light: bool) -> list[int]:
        """Return the slots in which a stage can start now; the slot past all others is light."""
        slots = [self.jobs] if light else range(self.jobs)
        return [slot for slot in slots if slot not in self._slots.values()]

    def has_room(self, *, light: bool = False) -> bool:
        return bool(self._free(light))

    @property
    def spare_cores(self) -> int:
        """Return how many cores are left to a light stage when all others run; at least one."""
        return max(1, len(os.sched_getaffinity(0)) - self.jobs * self.gpus * self.threads)

    @property
    def shared(self) -> bool:
        return self.device == "cuda" and self.jobs * self.gpus > len(gpu_names())

    def gpus_of(self, slot: int) -> dict[str, str]:
        """Return the variables that say which GPUs the stage in a slot sees."""
        if self.device != "cuda" or slot >= self.jobs:
            return {"CUDA_VISIBLE_DEVICES": ""}
        names = gpu_names()
        mine = [names[(slot * self.gpus + i) % len(names)] for i in range(self.gpus)]
        seen = {"CUDA_VISIBLE_DEVICES": ",".join(mine)}
        if not os.environ.get("CUDA_VISIBLE_DEVICES"):
            # the numbers are nvidia-smi's and NVML's; CUDA by itself counts the fastest first
            seen["CUDA_DEVICE_ORDER"] = "PCI_BUS_ID"
        return seen

    def probe(self) -> Facts:
        return facts("cuda" if self.device == "cuda" else "cpu")

    def warm_up(self) -> None:
        """Start the warm process early, so that it imports while the bench still plans."""
        self.node.warm_up()

    def recover(self, folders: Iterable[Path]) -> Mapping[Path, str]:
        """Return nothing: no stage outlives a bench on its own machine."""
        return {}

    def start(
        self, folder: Path, seconds: float, *, light: bool = False, names: Sequence[str] = ()
    ) -> None:
        slot = self._free(light)[0]
        given = variables.named(os.environ, names) | self.gpus_of(slot)
        self.node.start(folder, seconds, given)
        self._slots[folder] = slot

    def wait(self, seconds: float) -> list[Ended]:
        reports = self.node.wait(seconds)
        for report in reports:
            del self._slots[report.folder]
        # there is no other machine on which to try again
        return [replace(conclude(report), retry=False) for report in reports]

    def stop(self) -> list[Path]:
        self._slots.clear()
        return self.node.stop()


def make(settings: ExecutorSettings) -> LocalExecutor:
    """Return the executor for a bench.

    Raises:
        UsageError: If the scratch folder cannot be used.
    """
    device = choose_device(settings.device)
    jobs = settings.jobs or default_jobs(device, settings.threads, settings.gpus)
    log = settings.folder / "warm.log"
    place = scratch.find(settings.scratch) if settings.scratch else None
    return LocalExecutor(jobs, device, settings.threads, log, settings.gpus, scratch=place)
