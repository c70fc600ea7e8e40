"""Processes: a training stage that runs as several, each on a GPU of its own, kept in step.

`accelerate launch` starts them, so a file of its configuration (FSDP, DeepSpeed) is all that a
stage needs beside their number. On a CPU the same code runs with gloo in place of NCCL.
"""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from harness.files import remove_what_is_in

if TYPE_CHECKING:
    from harness.stage.spec import TrainSpec

PR_SET_PDEATHSIG = 1
COUNT = "HARNESS_PROCESSES"  # set for each process of a stage that runs as several
private: Path | None = None  # where this stage's temporary files and its home are, if its own


@dataclass(frozen=True)
class Group:
    """The processes of one training stage; alone unless `join` says otherwise.

    Every method but the attributes is a collective: all processes must call it, in one order.

    Attributes:
        rank: Number of this process, from 0.
        size: Number of processes.
        device: `cpu` or `cuda`.
    """

    rank: int = 0
    size: int = 1
    device: str = "cpu"

    @property
    def sharded(self) -> bool:
        """Return whether each process holds a part of the weights only: FSDP or DeepSpeed."""
        kinds = (f"ACCELERATE_USE_{name}" for name in ("FSDP", "DEEPSPEED"))
        return any(os.environ.get(kind, "").lower() in ("1", "true") for kind in kinds)

    def total(self, values: Sequence[float]) -> list[float]:
        """Return the sums of numbers over the processes, the same everywhere."""
        return self._reduce(values, "SUM")

    def largest(self, value: float) -> float:
        """Return the largest of a number over the processes, the same everywhere."""
        return self._reduce([value], "MAX")[0]

    def gather(self, value: Any) -> list[Any]:
        """Return what each process has, in order of rank; anything that can be pickled."""
        if self.size == 1:
            return [value]
        import torch.distributed

        values: list[Any] = [None] * self.size
        torch.distributed.all_gather_object(values, value)
        return values

    def wait(self) -> None:
        """Wait until every process has come to this call."""
        if self.size > 1:
            import torch.distributed

            torch.distributed.barrier()

    def _reduce(self, values: Sequence[float], operation: str) -> list[float]:
        if self.size == 1:
            return list(values)
        import torch

        numbers = torch.tensor(values, dtype=torch.float64, device=self.device)
        torch.distributed.all_reduce(numbers, op=getattr(torch.distributed.ReduceOp, operation))
        return [float(number) for number in numbers.tolist()]


def rank() -> int:
    return int(os.environ["RANK"]) if COUNT in os.environ else 0


def join(device: str, seconds: float) -> Group:
    """Join the other processes of this stage; one that waits so many seconds for them gives up."""
    size = int(os.environ.get(COUNT, "1"))
    if size == 1:
        return Group(device=device)
    from accelerate import PartialState

    # transformers makes its own state afterwards, on the process group that is started here
    state = PartialState(cpu=device == "cpu", timeout=timedelta(seconds=seconds))
    return Group(state.process_index, state.num_processes, device)


def launch(folder: Path, spec: TrainSpec) -> int:
    """Run a training stage as several processes and return the exit code.

    They share this process's group and end with it. Without a file for accelerate they are data
    parallel.
    """
    count, config = spec.identity.gpus, spec.paths.accelerate
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    how = ["--config_file", str(config)] if config else ["--multi_gpu", "--num_machines", "1"]
    precision = "bf16" if spec.identity.dtype == "bfloat16" else "no"
    how += ["--mixed_precision", precision, "--dynamo_backend", "no"]
    how += ["--num_processes", str(count), "--main_process_port", str(port)]
    how += ["-m", "harness.stage.main", str(folder)]
    return subprocess.run(
        [sys.executable, "-m", "harness.stage.processes", str(os.getpid()), *how],
        env={**os.environ, COUNT: str(count)},
        stdin=subprocess.DEVNULL,
        check=False,
    ).returncode


def again(folder: Path, environment: Mapping[str, str], token: bytes = b"") -> NoReturn:
    """Replace this process by a fresh one that does the stage once more, and knows the token.

    Neither what it has opened nor its private folder's files are left to that, and no variable
    but those of `environment`, with which it began: TRL sets `LOCAL_RANK` for vLLM, by which the
    fresh process would take itself for one of several.
    """
    sys.stderr.flush()
    if private is not None:
        os.chdir(private)
        remove_what_is_in(private)
    os.closerange(3, 2**20)
    read, write = os.pipe()
    os.write(write, token)
    for descriptor in (os.dup2(read, 0), read, write)[1:]:
        os.close(descriptor)
    command = ["-P", "-m", "harness.stage.main", str(folder), str(os.getppid())]
    command += [str(private)] if private is not None else []
    os.execve(sys.executable, [sys.executable, *command], environment)


def given_token() -> bytes:
    """Return what `again` left on standard input, where that started this process."""
    if not stat.S_ISFIFO(os.fstat(0).st_mode):
        return b""
    token = os.read(0, 64)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    return token


def die_with_parent(parent: int) -> None:
    """Ask Linux to kill this process when the process `parent`, which started it, ends."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it ended before the request took hold
            os._exit(1)


if __name__ == "__main__":
    die_with_parent(int(sys.argv.pop(1)))
    from accelerate.commands.launch import main

    main()
