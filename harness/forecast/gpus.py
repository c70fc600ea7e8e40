"""GPUs by name, for estimates: their makers' figures, and the shares of them that we assume.

Of this only a CPU's speed was measured by this project. The speeds of GPUs are those of NVIDIA's
data sheets for dense bfloat16 matrix products (half of the figure "with sparsity") with float32
accumulation; the memory is the one on the box.
"""

from __future__ import annotations

import re
import subprocess
from typing import NamedTuple

from harness.errors import UsageError, did_you_mean

TRAINING_SHARE = 0.25
"""Assumed share of a GPU's peak in training; padded batches of a 0.5B model rarely pass a third."""
READING_SHARE = 0.4
"""Assumed share of the peak when a model only reads: a teacher's forward pass, a prompt."""
BANDWIDTH_SHARE = 0.5
"""Assumed share of the memory bandwidth in decoding, where weights and cache are read each step."""
LAUNCH_SECONDS = 0.8e-3
"""Assumed least time of one layer in one decoding step that is not recorded as a CUDA graph.

A step of a small model waits for the launches of its kernels, not for memory: about 50 tokens a
second were published for one sequence of a 24-layer 0.5B model on an A100
(qwen.readthedocs.io/en/v2.0/benchmark/speed_benchmark.html), which is 20 ms a step. Recorded steps
have no such floor, but nobody has measured them yet.
"""
CPU_BANDWIDTH = 6e9
"""Bytes of weights and cache that one CPU thread reads in a second of decoding.

Measured on one thread of a Xeon with AMX, in float32, with the models of `benchmarks/generation.py`
whose answers all end by themselves: a step takes about as long as its bytes at this speed and its
products at that of `cpu_speed(..., reading=True)` together. Tokens a second, measured and by that
(`Setting.decode`): 0.9M at 128 rows 5,900 and 8,000; 3.6M at 64 rows 4,600 and 5,400, at 8 rows
2,000 and 2,100; 135M at 8 rows 54 and 60, at 32 rows 133 and 137.
"""


class Gpu(NamedTuple):
    """One model of GPU."""

    name: str  # as `--gpu` takes it
    words: str  # of the name that nvidia-smi gives; all must be in it
    tflops: float  # peak of dense bfloat16 matrix products, 1e12 FLOP/s
    gigabytes: float  # of memory
    terabytes: float  # of memory read in a second
    bf16: bool = True  # whether it computes in bfloat16; if not, `tflops` is that of float16


GPUS = {
    gpu.name: gpu
    for gpu in (
        Gpu("B200", "b200", 2250, 180, 8.0),
        Gpu("H200", "h200", 989, 141, 4.8),
        Gpu("H100", "h100", 989, 80, 3.35),
        Gpu("H100-NVL", "h100 nvl", 835, 94, 3.9),
        Gpu("H100-PCIe", "h100 pcie", 756, 80, 2.0),
        Gpu("A100-80", "a100 80", 312, 80, 2.0),
        Gpu("A100-40", "a100", 312, 40, 1.55),
        Gpu("L40S", "l40s", 362, 48, 0.864),
        Gpu("L4", "l4", 121, 24, 0.3),
        Gpu("A40", "a40", 149.7, 48, 0.696),
        Gpu("A10", "a10", 125, 24, 0.6),
        Gpu("RTX-A6000", "a6000", 154.8, 48, 0.768),
        Gpu("RTX-5090", "5090", 209.5, 32, 1.79),
        Gpu("RTX-4090", "4090", 165.2, 24, 1.008),
        Gpu("RTX-3090", "3090", 71, 24, 0.936),
        Gpu("V100", "v100", 125, 32, 0.9, bf16=False),
        Gpu("T4", "t4", 65, 16, 0.32, bf16=False),
    )
}


def cpu_speed(parameters: int, dtype: str, *, reading: bool = False) -> float:
    """Return the assumed speed of one CPU thread on a model, in FLOP/s.

    The larger its matrices, the less of the time goes into anything else. Measured on two cores of
    a Xeon with AMX: 1e10 at 0.9 million parameters, 8e10 in float32 and 1.1e11 in bfloat16 at 135
    million. Without gradients, where a model only reads (`reading`), 6.5e10 at 0.9 million, 8e10
    at 3.6 and 1.4e11 at 135, by reading the prompts of `benchmarks/generation.py`.
    """
    size = max(parameters / 1e6, 1)
    speed: float = min(6e10 * size**0.17, 1.4e11) if reading else min(1e10 * size**0.42, 8e10)
    return speed * 1.4 if parameters > 3e7 and dtype == "bfloat16" else speed


def find_gpu(name: str) -> Gpu:
    """Return the GPU of a name as people write it or as nvidia-smi prints it.

    Raises:
        UsageError: If the table has no such GPU; the text names the nearest one.

    Examples:
        >>> find_gpu("NVIDIA A100-SXM4-80GB").name
        'A100-80'
    """
    parts = re.findall(r"[a-z0-9]+", name.lower())
    for gpu in GPUS.values():
        if "".join(parts) == gpu.name.lower().replace("-", ""):
            return gpu
    words = {part.removesuffix("gb") for part in parts}
    fitting = [gpu for gpu in GPUS.values() if words.issuperset(gpu.words.split())]
    if fitting:  # "H100 NVL" fits both H100 and H100-NVL: the longer name is meant
        return max(fitting, key=lambda gpu: len(gpu.words.split()))
    shortened = re.sub(r"(?i)^nvidia ", "", name)
    raise UsageError(f"no figures for a GPU {name!r}; {did_you_mean(shortened, GPUS)}")


def visible_gpu() -> str | None:
    """Return the name of the first visible GPU, by nvidia-smi, or None."""
    command = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
    try:
        found = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return next(iter(found.stdout.splitlines()), "").strip() or None
