"""Which way of training a small model really made it reason better, and at what cost?

Everything a plug-in author needs is imported from here: `from harness import Trainer, hookimpl`.
Names are looked up when they are first used, so that the command line starts at once.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from harness.errors import HarnessError, StageError, UsageError
    from harness.plugin.hookspecs import hookimpl
    from harness.plugin.options import OptimiserOptions, Options
    from harness.plugin.trainer import Trainer
    from harness.plugin.workload import Expected, Workload
    from harness.records import Caps, Cost, Record
    from harness.stage.budget import Budget
    from harness.stage.run import Run
    from harness.tasks.source import Source, Split
    from harness.tasks.task import Task, local_rows
    from harness.verify import Conventions

_HOMES = {
    "Budget": "harness.stage.budget",
    "Caps": "harness.records",
    "Conventions": "harness.verify",
    "Cost": "harness.records",
    "Expected": "harness.plugin.workload",
    "HarnessError": "harness.errors",
    "OptimiserOptions": "harness.plugin.options",
    "Options": "harness.plugin.options",
    "Record": "harness.records",
    "Run": "harness.stage.run",
    "Source": "harness.tasks.source",
    "Split": "harness.tasks.source",
    "StageError": "harness.errors",
    "Task": "harness.tasks.task",
    "Trainer": "harness.plugin.trainer",
    "UsageError": "harness.errors",
    "Workload": "harness.plugin.workload",
    "hookimpl": "harness.plugin.hookspecs",
    "local_rows": "harness.tasks.task",
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
