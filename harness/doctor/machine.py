"""Checks of the machine: GPUs, disk, memory, cores, the Hub's cache."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from harness.bench.executors.energy import readable
from harness.bench.executors.limits import machine_memory
from harness.doctor.finding import Finding, Level, last_line, output_of, start

GIB = 2**30
DISK = (1 * GIB, 10 * GIB)  # free bytes: below the first a problem, below the second a warning
MEMORY = (1.6 * GIB, 4 * GIB)  # the tiny board takes 1.6 GiB


def gpus() -> list[str]:
    query = ["--query-gpu=name,memory.total,driver_version", "--format=csv,noheader"]
    try:
        listed = subprocess.check_output(
            ["nvidia-smi", *query], stderr=subprocess.DEVNULL, text=True, timeout=20
        )
    except (OSError, subprocess.SubprocessError):
        return []
    return [line.strip() for line in listed.splitlines() if line.strip()]


def drivers(gpus: list[str]) -> Iterator[Finding]:
    """List the GPUs, and whether NVML reports their energy."""
    if not gpus:
        where = "nvidia-smi lists none" if shutil.which("nvidia-smi") else "no nvidia-smi"
        yield Finding("gpu", "ok", f"none ({where}): stages run on the CPU")
        return
    yield Finding("gpu", "ok", "; ".join(gpus))
    if importlib.util.find_spec("pynvml") is None:
        todo = 'pip install "srlm-harness[nvml]" to record energy'
        yield Finding("nvml", "warning", "pynvml is not installed", todo)
        return
    # in a process, since a broken driver may end the one that asks it
    ask = "import pynvml; pynvml.nvmlInit(); print(pynvml.nvmlDeviceGetCount())"
    child = start([sys.executable, "-c", ask])
    output, error = output_of(child)
    if child.returncode:
        yield Finding("nvml", "warning", last_line(error), "energy will not be in the records")
    else:
        yield Finding("nvml", "ok", f"answers for {output.strip()} GPU(s)")


def energy() -> Iterator[Finding]:
    """Say whether the energy of stages on the CPU can be measured; nothing where RAPL is not."""
    found = readable()
    if found:
        yield Finding("rapl", "ok", "the processors' energy can be read")
    elif found is not None:
        todo = "chmod o+r the energy_uj files of /sys/class/powercap to record energy"
        yield Finding("rapl", "ok", f"the processors' energy is root's alone; {todo}")


def folder(runs: Path) -> Iterator[Finding]:
    place = _existing(runs.resolve())
    try:
        with tempfile.NamedTemporaryFile(dir=place, prefix=".doctor-"):
            pass
    except OSError as error:
        todo = "choose another folder with --runs or HARNESS_RUNS"
        yield Finding("runs", "problem", f"cannot write to {place}: {error.strerror}", todo)
        return
    free = shutil.disk_usage(place).free
    found = f"{place} can be written, {free / GIB:.0f} GiB free"
    todo = "free some space, or choose another disk with --runs"
    yield _by_amount("runs", found, free, DISK, todo)


def memory() -> Iterator[Finding]:
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        available = int(next(x for x in lines if x.startswith("MemAvailable")).split()[1]) * 1024
    except (OSError, StopIteration, ValueError):
        yield Finding("memory", "warning", "cannot be read on this system", "watch it yourself")
        return
    available = min(available, machine_memory())
    found = f"{available / GIB:.1f} GiB to be had"
    yield _by_amount("memory", found, available, MEMORY, "end other programs, or give --jobs 1")


def cores() -> Iterator[Finding]:
    cores = len(os.sched_getaffinity(0))
    quota = Path("/sys/fs/cgroup/cpu.max")
    parts = quota.read_text(encoding="ascii").split() if quota.is_file() else []
    if len(parts) == 2 and parts[0].isdigit() and int(parts[0]) < cores * int(parts[1]):
        share = int(parts[0]) / int(parts[1])
        found = f"{cores} are seen and {share:g} may be used (cgroup)"
        yield Finding("cores", "warning", found, f"give --jobs {max(1, int(share))}")
        return
    threads = os.environ.get("OMP_NUM_THREADS", "")
    if threads.isdigit() and int(threads) > cores:
        todo = f"set it to {cores} or less; a stage's own threads are the board's"
        yield Finding("cores", "warning", f"OMP_NUM_THREADS={threads} on {cores} cores", todo)
    else:
        yield Finding("cores", "ok", f"{cores}, OMP_NUM_THREADS {threads or 'not set'}")


def hub() -> Iterator[Finding]:
    from huggingface_hub import constants, get_token

    cache = Path(constants.HF_HUB_CACHE)
    if not os.access(_existing(cache), os.W_OK):
        todo = "set HF_HOME to a folder that can be written"
        yield Finding("hub", "problem", f"its cache {cache} cannot be written", todo)
        return
    variables = ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE", "TRANSFORMERS_OFFLINE")
    true = ("1", "ON", "YES", "TRUE")
    offline = [name for name in variables if os.environ.get(name, "").upper() in true]
    # the token itself is never shown
    found = f"cache {cache}, {'a token is there' if get_token() else 'no token'}"
    if offline:
        todo = "models and data that are not in the cache cannot be downloaded: unset it for that"
        yield Finding("hub", "warning", f"{found}; {', '.join(offline)} set", todo)
    else:
        yield Finding("hub", "ok", found)


def _existing(place: Path) -> Path:
    return next(each for each in (place, *place.parents) if each.exists())


def _by_amount(
    check: str, found: str, amount: float, bounds: tuple[float, float], todo: str
) -> Finding:
    level: Level = "problem" if amount < bounds[0] else "warning" if amount < bounds[1] else "ok"
    return Finding(check, level, found, "" if level == "ok" else todo)
