"""Experiment trackers: which of those that transformers reports to can be used here."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence

from harness.errors import UsageError, did_you_mean

# name in transformers' `report_to` -> packages, one of which it needs
TRACKERS = {
    "clearml": ("clearml",),
    "codecarbon": ("codecarbon",),
    "comet_ml": ("comet_ml",),
    "dvclive": ("dvclive",),
    "mlflow": ("mlflow",),
    "neptune": ("neptune",),
    "swanlab": ("swanlab",),
    "tensorboard": ("tensorboard", "tensorboardX"),
    "trackio": ("trackio",),
    "wandb": ("wandb",),
}


def check_trackers(names: Sequence[str]) -> tuple[str, ...]:
    """Return the trackers named, each once.

    Raises:
        UsageError: If one is unknown or its package is not installed.
    """
    for name in names:
        if name not in TRACKERS:
            raise UsageError(f"--report-to {name}: no such tracker; {did_you_mean(name, TRACKERS)}")
        if not any(importlib.util.find_spec(package) for package in TRACKERS[name]):
            raise UsageError(f"--report-to {name}: install the package {TRACKERS[name][0]!r} first")
    return tuple(dict.fromkeys(names))
