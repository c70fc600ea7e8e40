"""Where a stage runs and what it uses: hardware, versions, memory, energy."""

from __future__ import annotations

import os
import platform
from pathlib import Path

from harness.records import Environment
from harness.stage.models import attention
from harness.stage.spec import Common


def environment(identity: Common) -> Environment:
    """Return where a stage that runs a model runs, as its record says it."""
    gpu = None
    if identity.device != "cpu":
        import torch

        gpu = torch.cuda.get_device_name()
    return Environment(
        python=platform.python_version(),
        platform=f"{platform.system()} {platform.machine()}",
        processor=processor_name(),
        gpu=gpu,
        device=identity.device,
        dtype="float32" if identity.device == "cpu" else "bfloat16",
        attention=attention(identity.device),
        packages=identity.packages,
    )


def processor_name() -> str:
    """Return the processor's model name and the number of cores this process may use."""
    name = platform.processor() or platform.machine()
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                name = line.split(":", 1)[1].strip()
                break
    except OSError:
        pass
    return f"{name}, {len(os.sched_getaffinity(0))} cores"


def peak_memory(device: str) -> int:
    """Return the peak memory in bytes: of the GPU, or resident memory of this process."""
    if device != "cpu":
        import torch

        return int(torch.cuda.max_memory_allocated())
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def energy_joules() -> float | None:
    """Return the energy counters of the stage's GPUs in joules, summed, where NVML answers."""
    try:
        import pynvml
    except ImportError:
        return None
    try:
        pynvml.nvmlInit()
        joules = 0.0
        for gpu in (os.environ.get("CUDA_VISIBLE_DEVICES") or "0").split(","):
            by_number = gpu.strip().isdigit()
            handle = (
                pynvml.nvmlDeviceGetHandleByIndex(int(gpu))
                if by_number
                else pynvml.nvmlDeviceGetHandleByUUID(gpu.strip())
            )
            joules += pynvml.nvmlDeviceGetTotalEnergyConsumption(handle) / 1000
    except (pynvml.NVMLError, ValueError):
        return None
    return joules
