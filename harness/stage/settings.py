"""What goes into a run and what comes out of it, beside the checkpoint; only the stage sees it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.errors import StageError
from harness.stage.budget import Budget
from harness.stage.processes import Group
from harness.tasks.protocols import Protocol
from harness.verify import Conventions, VerifierPool

Rows = Sequence[Mapping[str, str]]


@dataclass(frozen=True)
class Settings:
    """What a stage makes a run of: the attributes of `Run`, and what a trainer does not see.

    Attributes:
        conventions: Task name to how that task reads answers.
        verifier: Judges completions; whoever made it closes it.
        seed: The cell's seed.
        rows: Training rows with `id`, `task`, `problem`, `solution` and `answer`.
        holdout: Rows of the same kind that are held out of training.
        traces: Rows whose `solution` a stronger model wrote.
        out: Folder of the checkpoint.
        events: JSONL file of the learning curves.
        save_every: Optimiser steps between training checkpoints; 0 for none.
        micro_batch_size: Rows of a forward pass, where the board or a lack of memory fixes them.
        gradient_checkpointing: Whether activations are made again in the backward pass.
        name: The cell, for experiment trackers.
        report_to: Experiment trackers that transformers reports to.
    """

    base_model: Path
    teacher: Path | None
    options: Any
    budget: Budget
    protocol: Protocol
    conventions: Mapping[str, Conventions]
    verifier: VerifierPool
    seed: int
    rows: Rows
    holdout: Rows
    out: Path
    scratch: Path
    events: Path
    traces: Rows = ()
    device: str = "cpu"
    engine: str = "hf"
    group: Group = field(default_factory=Group)
    max_new_tokens: int = 512
    save_every: int = 0
    micro_batch_size: int | None = None
    gradient_checkpointing: bool = False
    name: str = ""
    report_to: Sequence[str] = ()

    def arguments(self) -> dict[str, Any]:
        """Return the TrainingArguments that every trainer shares, but for the seeds."""
        on_gpu = self.device != "cpu"
        return {
            "output_dir": str(self.scratch / "trainer"),
            "bf16": on_gpu,
            "use_cpu": not on_gpu,
            "gradient_checkpointing": self.gradient_checkpointing,
            "report_to": list(self.report_to) or "none",
            "run_name": self.name or None,
            "disable_tqdm": True,
            "logging_steps": 1,
            "logging_nan_inf_filter": False,
            "save_strategy": "steps" if self.save_every else "no",
            "save_steps": self.save_every or 500,
            "save_total_limit": 2,
            "dataloader_pin_memory": on_gpu,
        }

    def rollouts(self, memory: float) -> dict[str, Any]:
        """Return TRL's arguments for the engine that generates rollouts beside the training.

        Args:
            memory: Share of a GPU's memory for vLLM, where that is the engine.
        """
        if self.engine != "vllm":
            return {}
        stop = list(self.protocol.stop)
        return {
            "use_vllm": True,
            "vllm_mode": "colocate",
            "vllm_gpu_memory_utilization": memory,
            "generation_kwargs": {"stop": stop} if stop else None,
        }

    def divided(self, batch: int, micro: int) -> tuple[int, int]:
        """Return the rows of a forward pass and of an optimiser step, both of one process.

        Args:
            batch: Rows of an optimiser step, over all processes.
            micro: Rows of a forward pass that the trainer asks for.

        Raises:
            StageError: If the batch cannot be shared, or the forward passes do not fill a step.
        """
        rows, rest = divmod(batch, self.group.size)
        if rest:
            raise StageError(
                f"a batch of {batch} rows cannot be shared by {self.group.size} processes;"
                " make it a multiple of [compute] gpus"
            )
        micro = min(self.micro_batch_size or micro, rows)
        if rows % micro:
            raise StageError(
                f"micro_batch_size={micro} does not divide the {rows} rows that a process has in"
                " an optimiser step"
            )
        return micro, rows


@dataclass
class Outcome:
    """What a run leaves for its stage, beside the checkpoint and the events.

    Attributes:
        notes: Facts for the cell's record.
        forward_rows: Rows of one process in a forward pass and in an optimiser step; None where
            the trainer did not let the host divide its batch.
    """

    notes: dict[str, Any] = field(default_factory=dict)
    forward_rows: tuple[int, int] | None = None
