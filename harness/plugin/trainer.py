"""Trainers: what a plug-in offers. Its `train` function is handed a `harness.Run`."""

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
        train: Called in a process of its own with a `Run`; it writes a checkpoint by `run.save`.
            Imports of torch, transformers and the like belong inside it.
        options: A pydantic model with the defaults; `--set <name>.<option>=<value>` changes one.
        summary: One line for `harness plugins`.
        needs_teacher: Whether the board must name a teacher.
        same_tokenizer: Whether the teacher must have the start model's tokenizer (sizes of the
            embedding may differ); checked before anything is trained.
        needs_solutions: Whether every training row must have a worked solution.
        needs_traces: Whether the board must name traces, solutions that a stronger model wrote.
        chain: Names of trainers, each run on the checkpoint of the one before, instead of `train`.
        expects: Called with validated options and a `Workload`; returns what a run would do, for
            the estimates of `--dry-run`. Without it only the budget's caps are known.
    """

    name: str
    train: Callable[[Run], None] | None = None
    options: type[pydantic.BaseModel] = Options
    summary: str = ""
    needs_teacher: bool = False
    same_tokenizer: bool = False
    needs_traces: bool = False
    needs_solutions: bool = False
    chain: tuple[str, ...] = ()
    expects: Callable[[Any, Workload], Expected] | None = None
