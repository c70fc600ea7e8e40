"""The hooks a plug-in may implement. None is firstresult: no plug-in can hide another's answer."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    import click

    from harness.plugin.trainer import Trainer
    from harness.records import Cell, Record
    from harness.tasks.task import Task

hookspec = pluggy.HookspecMarker("harness")
hookimpl = pluggy.HookimplMarker("harness")


@hookspec
def harness_trainers() -> Iterable[Trainer]:  # type: ignore[empty-body]
    """Return the trainers that this plug-in offers."""


@hookspec
def harness_tasks() -> Iterable[Task]:  # type: ignore[empty-body]
    """Return the benchmarks that this plug-in offers."""


@hookspec
def harness_boards() -> Iterable[Path]:  # type: ignore[empty-body]
    """Return the TOML files of the boards that this plug-in ships."""


@hookspec
def harness_commands(cli: click.Group) -> None:
    """Add sub-commands to the command line."""


@hookspec
def harness_cell_started(cell: Cell) -> None:
    """Be told that the first stage of a cell has started."""


@hookspec
def harness_cell_finished(record: Record) -> None:
    """Be told of a cell's record, after it is on disk; nothing done here can change it."""
