"""Where a stage runs and what it uses: hardware, versions, memory, energy."""

from __future__ import annotations

import contextlib
import os
import platform
import re
import shutil
import sys
import sysconfig
from pathlib import Path

from harness.records import Environment
from harness.stage.models import attention
from harness.stage.spec import Common


def keep_data_sets_at_home() -> None:
    """Let `datasets` keep what it makes of files and generators in this process's own home.

    The machine's cache is not a training stage's to read or write. The library may have been
    imported with that, before a stage had a home.
    """
    place = Path.home() / ".cache" / "huggingface" / "datasets"
    os.environ["HF_DATASETS_CACHE"] = str(place)
    if config := sys.modules.get("datasets.config"):
        vars(config)["HF_DATASETS_CACHE"] = place
        vars(config)["DOWNLOADED_DATASETS_PATH"] = place / "downloads"
        vars(config)["EXTRACTED_DATASETS_PATH"] = place / "downloads" / "extracted"


def environment(identity: Common, *, packed: bool = False) -> Environment:
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
        dtype=identity.dtype,
        attention=attention(identity.device, packed=packed),
        packages=identity.packages,
    )


def processor_name() -> str:
    """Return the processor's model name and the number of cores this process may use."""
    name = platform.processor() or platform.machine()
    with contextlib.suppress(OSError):  # there is none outside Linux
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        models = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
        name = next(models, name)
    return f"{name}, {len(os.sched_getaffinity(0))} cores"


def computes_bfloat16() -> bool:
    """Return whether the processor multiplies matrices of bfloat16; True where nobody can say."""
    with contextlib.suppress(OSError):  # there is none outside Linux
        found = re.findall(r"^(?:flags|Features)\s*:(.*)$", Path("/proc/cpuinfo").read_text(), re.M)
        return not found or not {"avx512_bf16", "amx_bf16", "bf16"}.isdisjoint(found[0].split())
    return True


def has_compiler() -> bool:
    """Return whether there is what torch compiles with; on a GPU triton needs it too."""
    return shutil.which("g++") is not None


def lacks_for_triton() -> str | None:
    """Return what triton compiles kernels with and this machine lacks, or None.

    TRL's losses are such kernels on a GPU, compiled when they are first used.
    """
    if not os.environ.get("CC") and not any(map(shutil.which, ("gcc", "clang"))):
        return "C compiler"
    if not (Path(sysconfig.get_path("include")) / "Python.h").exists():
        return "header files of Python (Python.h)"
    return None


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
        for name in (os.environ.get("CUDA_VISIBLE_DEVICES") or "0").split(","):
            if name.strip().isdigit():
                gpu = pynvml.nvmlDeviceGetHandleByIndex(int(name))
            else:
                gpu = pynvml.nvmlDeviceGetHandleByUUID(name.strip())
            joules += pynvml.nvmlDeviceGetTotalEnergyConsumption(gpu) / 1000
    except (pynvml.NVMLError, ValueError):
        return None
    return joules
