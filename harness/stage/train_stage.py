"""A training stage as the harness sees it: what its run is made of, and what the run leaves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.errors import StageError
from harness.stage.budget import Budget
from harness.stage.processes import Group
from harness.stage.spec import TrainSpec
from harness.tasks.protocols import Protocol
from harness.verify import VerifierPool

Rows = Sequence[Mapping[str, str]]


@dataclass
class TrainStage:
    """What a trainer sees of it is a `Run`."""

    spec: TrainSpec
    folder: Path  # with `checkpoint`, `scratch` and `events.jsonl`, the learning curves
    options: Any  # the trainer's, validated
    protocol: Protocol  # of the ranking score
    budget: Budget
    verifier: VerifierPool
    rows: Rows  # with `id`, `task`, `problem`, `solution` and `answer`
    holdout: Rows  # the same, held out of training
    traces: Rows  # the same, with solutions that a stronger model wrote
    group: Group
    micro_batch_size: int | None  # rows of a forward pass, where board or memory fix them
    notes: dict[str, Any] = field(default_factory=dict)  # for the cell's record
    # rows of one process in a forward pass and in an optimiser step; None where the trainer did
    # not let the host divide its batch
    forward_rows: tuple[int, int] | None = None

    def arguments(self) -> dict[str, Any]:
        """Return the TrainingArguments that every trainer shares, but for the seeds."""
        on_gpu = self.spec.identity.device != "cpu"
        save_every = self.spec.compute.save_every
        return {
            "output_dir": str(self.folder / "scratch" / "trainer"),
            "bf16": on_gpu,
            "use_cpu": not on_gpu,
            "gradient_checkpointing": self.spec.compute.gradient_checkpointing,
            "report_to": list(self.spec.report_to) or "none",
            "run_name": self.spec.name or None,
            "disable_tqdm": True,
            "logging_steps": 1,
            "logging_nan_inf_filter": False,
            "save_strategy": "steps" if save_every else "no",
            "save_steps": save_every or 500,
            "save_total_limit": 2,
            "dataloader_pin_memory": on_gpu,
        }

    def rollouts(self, memory: float) -> dict[str, Any]:
        """Return TRL's arguments for rollouts; vLLM gets the share `memory` of a GPU's."""
        if self.spec.identity.engine != "vllm":
            return {}
        stop = list(self.protocol.stop)
        return {
            "use_vllm": True,
            "vllm_mode": "colocate",
            "vllm_gpu_memory_utilization": memory,
            "generation_kwargs": {"stop": stop} if stop else None,
        }

    def divide(self, batch: int, micro: int) -> tuple[int, int]:
        """Return the rows of a forward pass and of an optimiser step, both of one process.

        The trainer asks for `batch` rows of a step, over all processes, and `micro` of a forward
        pass.
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
        self.forward_rows = micro, rows
        return self.forward_rows
