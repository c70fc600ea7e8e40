"""Which way of training a small model really made it reason better, and at what cost?

Everything a plug-in author needs is imported from here: `from harness import Trainer, hookimpl`.
Names are looked up when they are first used, so that the command line starts at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

# The names are listed twice: for type checkers and editors, to whom `X as X` says that X is
# exported, and for the interpreter, which imports a module when one of its names is used.
if TYPE_CHECKING:
    from harness.bench.executors.conclude import Report as Report
    from harness.bench.executors.remote import RemoteExecutor as RemoteExecutor
    from harness.bench.executors.remote import StageTask as StageTask
    from harness.bench.executors.remote import run_stage as run_stage
    from harness.bench.facts import facts as facts
    from harness.errors import HarnessError as HarnessError
    from harness.errors import StageError as StageError
    from harness.errors import UsageError as UsageError
    from harness.plugin.executor import Ended as Ended
    from harness.plugin.executor import Executor as Executor
    from harness.plugin.executor import ExecutorOffer as ExecutorOffer
    from harness.plugin.executor import ExecutorSettings as ExecutorSettings
    from harness.plugin.executor import Facts as Facts
    from harness.plugin.hookspecs import hookimpl as hookimpl
    from harness.plugin.options import OptimiserOptions as OptimiserOptions
    from harness.plugin.options import Options as Options
    from harness.plugin.search import Search as Search
    from harness.plugin.trainer import Trainer as Trainer
    from harness.plugin.workload import Expected as Expected
    from harness.plugin.workload import Workload as Workload
    from harness.records import Caps as Caps
    from harness.records import Cost as Cost
    from harness.records import Record as Record
    from harness.stage.budget import Budget as Budget
    from harness.stage.reading.reader import hidden_states as hidden_states
    from harness.stage.run import Run as Run
    from harness.tasks.local import local_rows as local_rows
    from harness.tasks.source import Source as Source
    from harness.tasks.source import Split as Split
    from harness.tasks.task import Task as Task
    from harness.verify import Conventions as Conventions
else:
    import importlib

    _HOMES = {
        name: f"harness.{module}"
        for module, names in {
            "bench.executors.conclude": ("Report",),
            "bench.executors.remote": ("RemoteExecutor", "StageTask", "run_stage"),
            "bench.facts": ("facts",),
            "errors": ("HarnessError", "StageError", "UsageError"),
            "plugin.executor": ("Ended", "Executor", "ExecutorOffer", "ExecutorSettings", "Facts"),
            "plugin.hookspecs": ("hookimpl",),
            "plugin.options": ("OptimiserOptions", "Options"),
            "plugin.search": ("Search",),
            "plugin.trainer": ("Trainer",),
            "plugin.workload": ("Expected", "Workload"),
            "records": ("Caps", "Cost", "Record"),
            "stage.budget": ("Budget",),
            "stage.reading.reader": ("hidden_states",),
            "stage.run": ("Run",),
            "tasks.local": ("local_rows",),
            "tasks.source": ("Source", "Split"),
            "tasks.task": ("Task",),
            "verify": ("Conventions",),
        }.items()
        for name in names
    }
    __all__ = sorted(_HOMES)

    def __getattr__(name: str) -> Any:
        if name not in _HOMES:
            raise AttributeError(f"module 'harness' has no attribute {name!r}")
        value = getattr(importlib.import_module(_HOMES[name]), name)
        globals()[name] = value
        return value
