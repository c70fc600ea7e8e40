"""The hooks that a plug-in may implement. None is `firstresult`: every implementation is called."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    import click

    from harness.cells import Cell
    from harness.plugin.executor import ExecutorOffer
    from harness.plugin.trainer import Trainer
    from harness.records import Record
    from harness.tasks.task import Task

hookspec = pluggy.HookspecMarker("harness")
hookimpl = pluggy.HookimplMarker("harness")


@hookspec
def harness_trainers() -> Iterable[Trainer]:
    """Return the trainers that this plug-in offers."""
    raise NotImplementedError  # a specification: pluggy reads its name and arguments alone


@hookspec
def harness_tasks() -> Iterable[Task]:
    """Return the benchmarks that this plug-in offers."""
    raise NotImplementedError


@hookspec
def harness_boards() -> Iterable[Path]:
    """Return the TOML files of the boards that this plug-in ships."""
    raise NotImplementedError


@hookspec
def harness_executors() -> Iterable[ExecutorOffer]:
    """Return the executors that this plug-in offers: where stages can run."""
    raise NotImplementedError


@hookspec
def harness_commands(cli: click.Group) -> None:
    """Add sub-commands to the command line."""


@hookspec
def harness_cell_started(cell: Cell) -> None:
    """Observe that the first stage of a cell has started."""


@hookspec
def harness_cell_finished(record: Record) -> None:
    """Observe a cell's record, after it is on disk; nothing done here can change it."""
