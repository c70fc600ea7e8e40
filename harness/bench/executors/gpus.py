"""The GPUs of this machine, as nvidia-smi lists them, and how many stages it holds."""

from __future__ import annotations

import os
import subprocess
from functools import cache
from itertools import takewhile

from harness.errors import UsageError
from harness.stage.spec import Device


def choose_device(wanted: str) -> Device:
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
        names = (name.strip() for name in visible.split(","))
        # CUDA sees none from the first one on that there cannot be: -1 is written to hide them all
        return tuple(takewhile(lambda name: not name.startswith("-"), names))[:present]
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
