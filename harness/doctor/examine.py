"""All checks, one after the other: what usually breaks on a machine, one line for each.

What is heavy, such as torch, is imported in other processes; whatever they do, each check ends with
a finding.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from harness.doctor import machine, software
from harness.doctor.finding import Finding, start


def examine(runs: Path) -> list[Finding]:
    # both processes import torch, so they start before anything is checked
    torch = start([sys.executable, "-c", software.ASK_TORCH])
    warm = start(
        [sys.executable, "-m", "harness.bench.executors.warm", str(os.getpid())],
        CUDA_VISIBLE_DEVICES="",
    )
    gpus = machine.gpus()
    checks: dict[str, Callable[[], Iterator[Finding]]] = {
        "python": software.platform,
        "packages": software.packages,
        "torch": lambda: software.torch(torch, gpus),
        "gpu": lambda: machine.drivers(gpus),
        "optional": software.extras,
        "compiler": lambda: software.compiler(gpus),
        "antlr": software.antlr,
        "verifier": software.verifier,
        "stages": lambda: software.warm(warm),
        "plug-ins": software.plugins,
        "runs": lambda: machine.folder(runs),
        "memory": machine.memory,
        "cores": machine.cores,
        "rapl": machine.energy,
        "hub": machine.hub,
    }
    findings: list[Finding] = []
    for name, check in checks.items():
        try:
            findings += check()
        except Exception as error:  # a check that breaks is a finding too
            line = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
            findings.append(Finding(name, "problem", f"cannot be checked: {line}", "report this"))
    for child in (torch, warm):
        if child.poll() is None:
            child.kill()
            child.communicate()
    return findings
