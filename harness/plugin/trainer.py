"""Trainers: what a plug-in offers; `Run` is what its `train` function is handed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pydantic

from harness.plugin.options import Options
from harness.plugin.workload import Expected, Workload

if TYPE_CHECKING:
    from harness.stage.run import Run


@dataclass(frozen=True)
class Trainer:
    """A plug-in's offer: a way to turn a start model into a checkpoint.

    Attributes:
        name: `<plugin>` or `<plugin>-<variant>`; a chain is named by its parts, `sft+rl`.
        train: Called in a process of its own with a `Run`; leaves a checkpoint by `run.save`.
            Heavy imports belong inside it.
        options: A pydantic model with the defaults; `--set <name>.<option>=<value>` changes one.
        summary: One line for `harness plugins`.
        needs_teacher: Whether the board must name a teacher.
        same_tokenizer: Whether the teacher must have the start model's tokenizer (sizes of the
            embedding may differ); checked before anything is trained.
        needs_traces: Whether the board must name traces, solutions that a stronger model wrote.
        chain: Names of trainers, each run on the checkpoint of the one before, instead of `train`.
        expects: What a run with these options would do, for the estimates of `--dry-run`; without
            it the budget's caps are all that is known.
    """

    name: str
    train: Callable[[Run], None] | None = None
    options: type[pydantic.BaseModel] = Options
    summary: str = ""
    needs_teacher: bool = False
    same_tokenizer: bool = False
    needs_traces: bool = False
    chain: tuple[str, ...] = ()
    expects: Callable[[Any, Workload], Expected] | None = None
