"""What a machine has that runs stages: found out where they run, which need not be the head.

A stage's name covers the versions of packages, so a plan is made for the facts of one machine, and
every other one that runs a stage of it must have the same (`Facts.differences`).
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import platform
from functools import cache

from harness.bench.stage_sources import source_digest
from harness.plugin.executor import ON_GPUS, Facts
from harness.stage.environment import processor_name
from harness.stage.spec import Device

# those that can change a result
PACKAGES = ("torch", "transformers", "trl", "peft", "accelerate", "datasets", "lm_eval", "numpy")


def facts(device: Device) -> Facts:
    """Return the facts of this machine, where stages run on `device`."""
    return Facts(
        host=platform.node(),
        device=device,
        packages=package_versions(),
        on_gpus=_installed(),
        harness=source_digest(),
        processor=processor_name(),
    )


def as_facts(where: Device | Facts) -> Facts:
    """Return what runs stages: facts as they are, or those of this machine with a device."""
    return where if isinstance(where, Facts) else facts(where)


@cache
def package_versions() -> dict[str, str]:
    found: dict[str, str] = dict.fromkeys(PACKAGES, "missing")
    for name in PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return found


def _installed() -> dict[str, str]:
    found = {}
    for name in ON_GPUS:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return found
