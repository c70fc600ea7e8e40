"""Executors: what a plug-in that offers one hands over, and what a bench asks of it.

An executor is handed the folders of stages and says how each one ended. What is true is on disk, so
it keeps no result. `harness.RemoteExecutor` is most of one for nodes that share the disk.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

from harness.records import Frozen, Status

ON_GPUS = ("flash_attn", "vllm")  # packages on which attention and the engine depend there


class Facts(Frozen):
    """What a machine has that runs stages."""

    host: str
    device: Literal["cpu", "cuda"]
    packages: dict[str, str]  # distribution -> version, `missing` where it is not installed
    on_gpus: dict[str, str]  # those of `ON_GPUS` that are installed
    harness: str  # digest of the harness's code that runs in a stage
    processor: str

    def differences(self, other: Facts) -> list[str]:
        """Return in words what another machine has otherwise that can change a result."""
        found = []
        mine, theirs = ({**one.packages, **one.on_gpus} for one in (self, other))
        for name in sorted({*mine, *theirs}):
            one, two = mine.get(name, "missing"), theirs.get(name, "missing")
            if one != two and (self.device == "cuda" or name not in ON_GPUS):
                found.append(f"{name} {two} instead of {one}")
        if self.harness != other.harness:
            found.append("another version of the harness")
        return found


@dataclass(frozen=True)
class Ended:
    """How a stage's process ended."""

    folder: Path
    status: Status
    error: str | None  # one line, for anything but ok
    # whether that is the machine's or the scheduler's doing, so that the stage is worth another try
    retry: bool = False


class Executor(Protocol):
    """Where the stages of a bench run.

    A bench calls these from one thread. `start` returns at once; `wait` says what has ended since.
    """

    log: Path
    """Messages of the processes that start stages; secrets are taken out of it at the end."""

    @property
    def shared(self) -> bool:
        """Return whether stages share a GPU."""
        ...

    @property
    def spare_cores(self) -> int:
        """Return the cores of a light stage, one that runs no model; at least one."""
        ...

    def probe(self) -> Facts:
        """Return what a machine has that runs the stages; the plan is made for it.

        Raises:
            UsageError: If none can be had.
        """
        ...

    def warm_up(self) -> None:
        """Begin with what takes long, while the bench still plans."""
        ...

    def recover(self, folders: Iterable[Path]) -> Mapping[Path, str]:
        """Take over those stages that an earlier bench started and that may still run.

        Returns:
            For each, the sha256 of its `stage.json` as it was started; `wait` will tell its end.
        """
        ...

    def has_room(self, *, light: bool = False) -> bool:
        """Return whether a stage can be started now; a light one runs no model."""
        ...

    def start(
        self, folder: Path, seconds: float, *, light: bool = False, names: Sequence[str] = ()
    ) -> None:
        """Start the stage in a folder that holds its `stage.json`.

        Args:
            folder: The stage's; an absolute path.
            seconds: Its time limit.
            light: Whether it runs no model.
            names: Variables that it sees beside the usual ones.
        """
        ...

    def wait(self, seconds: float) -> list[Ended]:
        """Return the stages that ended, after waiting for at most so many seconds."""
        ...

    def stop(self) -> list[Path]:
        """End every running stage with all its processes; return their folders.

        A bench may go on with other stages afterwards.
        """
        ...


def _nobody(line: str) -> None:
    """Say nothing."""


@dataclass(frozen=True)
class ExecutorSettings:
    """What a bench asks of an executor.

    Attributes:
        folder: Of the board's runs, an absolute path; `executor/` in it is the executor's own.
        device: `auto`, `cpu` or `cuda`, as asked for.
        jobs: Stages at once; None where the executor decides.
        threads: Of a stage on a CPU.
        gpus: Processes of a training stage, each with a GPU where it runs on GPUs.
        seconds: The time limit of a stage.
        scratch: A folder of each node's own disk for what stages keep while they run; None where
            that is the shared disk. Variables in it are the node's.
        options: Of this executor alone, as given on the command line.
        say: Tells the person at the command line what is waited for.
    """

    folder: Path
    device: str = "auto"
    jobs: int | None = None
    threads: int = 1
    gpus: int = 1
    seconds: float = 86400.0
    scratch: str | None = None
    options: Mapping[str, str] = field(default_factory=dict)
    say: Callable[[str], None] = _nobody


@dataclass(frozen=True)
class ExecutorOffer:
    """An executor that `harness bench --executor NAME` can take.

    Attributes:
        name: As on the command line.
        make: Makes one for a bench. It starts nothing before `probe`.
        summary: What it does, in one line.
    """

    name: str
    make: Callable[[ExecutorSettings], Executor]
    summary: str
