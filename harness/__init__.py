"""Which way of training a small model really made it reason better, and at what cost?

Everything a plug-in author needs is imported from here; nothing heavy is imported with it.
"""

from harness.budget import Budget, Caps, Cost
from harness.errors import HarnessError, StageError, UsageError
from harness.hookspecs import hookimpl
from harness.records import Record
from harness.tasks import Task, local_rows
from harness.trainer import Options, Run, Trainer
from harness.verify import Conventions

__all__ = [
    "Budget",
    "Caps",
    "Conventions",
    "Cost",
    "HarnessError",
    "Options",
    "Record",
    "Run",
    "StageError",
    "Task",
    "Trainer",
    "UsageError",
    "hookimpl",
    "local_rows",
]
