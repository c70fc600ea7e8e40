"""Which way of training a small model really made it reason better, and at what cost?

Everything a plug-in author needs is imported from here: `from harness import Trainer, hookimpl`.
Names are looked up when they are first used, so that the command line starts at once.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from harness.budget import Budget, Caps, Cost
    from harness.errors import HarnessError, StageError, UsageError
    from harness.hookspecs import hookimpl
    from harness.optimiser import OptimiserOptions
    from harness.records import Record
    from harness.sources import Source, Split
    from harness.tasks import Task, local_rows
    from harness.trainer import Options, Run, Trainer
    from harness.verify import Conventions
    from harness.workload import Expected, Workload

_HOMES = {
    "Budget": "harness.budget",
    "Caps": "harness.budget",
    "Conventions": "harness.verify",
    "Cost": "harness.budget",
    "Expected": "harness.workload",
    "HarnessError": "harness.errors",
    "OptimiserOptions": "harness.optimiser",
    "Options": "harness.trainer",
    "Record": "harness.records",
    "Run": "harness.trainer",
    "Source": "harness.sources",
    "Split": "harness.sources",
    "StageError": "harness.errors",
    "Task": "harness.tasks",
    "Trainer": "harness.trainer",
    "UsageError": "harness.errors",
    "Workload": "harness.workload",
    "hookimpl": "harness.hookspecs",
    "local_rows": "harness.tasks",
}

__all__ = [
    "Budget",
    "Caps",
    "Conventions",
    "Cost",
    "Expected",
    "HarnessError",
    "OptimiserOptions",
    "Options",
    "Record",
    "Run",
    "Source",
    "Split",
    "StageError",
    "Task",
    "Trainer",
    "UsageError",
    "Workload",
    "hookimpl",
    "local_rows",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'harness' has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value
