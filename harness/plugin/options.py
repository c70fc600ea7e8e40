"""Options: the base class of every trainer's, and those that trainers with AdamW share."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import pydantic
from pydantic import Field

from harness.errors import StageError
from harness.plugin.search import Search


class Options(pydantic.BaseModel, frozen=True, extra="forbid", allow_inf_nan=False):
    """Base class of a trainer's options; unknown names, infinity and NaN are refused."""


LENGTH = frozenset({"epochs", "max_steps"})
"""Options that say how long to train. A trainer that is given one ends by it under any budget."""
Scheduler = Literal["linear", "cosine", "constant", "constant_with_warmup"]


class OptimiserOptions(Options, frozen=True):
    """Learning rate, schedule, length of training, adapter. Trainers set their own defaults.

    A board's tuning searches the learning rate, from an eighth to eight times what it would be.

    `Run.student` puts the adapter on, so these options hold for whoever trains what it returns.
    """

    learning_rate: Annotated[float, Search(1 / 8, 8, log=True, relative=True)] = Field(
        2e-5, gt=0, description="peak learning rate of AdamW"
    )
    lr_scheduler: Scheduler = Field("linear", description="course of the rate after the warm-up")
    warmup_ratio: float = Field(0.0, ge=0, lt=1, description="share of steps with a rising rate")
    weight_decay: float = Field(0.0, ge=0, description="decoupled weight decay")
    max_grad_norm: float = Field(1.0, gt=0, description="gradients are clipped to this norm")
    epochs: float = Field(1.0, gt=0, description="passes over the training data")
    max_steps: int | None = Field(None, gt=0, description="optimiser steps, instead of epochs")
    micro_batch_size: int | None = Field(
        None, gt=0, description="rows in a forward pass; by default as many as memory holds"
    )
    lora_rank: int = Field(0, ge=0, description="rank of a low-rank adapter; 0: all weights")
    lora_alpha: float = Field(32.0, gt=0, description="an adapter is scaled by alpha / rank")
    lora_dropout: float = Field(0.05, ge=0, lt=1, description="dropout before an adapter")
    lora_targets: str = Field("all-linear", description="peft's name or pattern of its layers")

    @pydantic.model_validator(mode="after")
    def _warm_up_is_kept(self) -> OptimiserOptions:
        if self.lr_scheduler == "constant" and self.warmup_ratio:
            raise ValueError("lr_scheduler 'constant' has no warm-up; use 'constant_with_warmup'")
        return self

    def arguments(self, steps: int, batch_size: int) -> dict[str, Any]:
        """Return the TrainingArguments for these options.

        Args:
            steps: Optimiser steps.
            batch_size: Rows of an optimiser step, over all processes.

        Raises:
            StageError: If the micro batch does not divide the batch.
        """
        micro = min(self.micro_batch_size or batch_size, batch_size)
        if batch_size % micro:
            raise StageError(f"micro_batch_size={micro} does not divide a batch of {batch_size}")
        return {
            "max_steps": steps,
            "per_device_train_batch_size": micro,
            "gradient_accumulation_steps": batch_size // micro,
            "learning_rate": self.learning_rate,
            "lr_scheduler_type": self.lr_scheduler,
            "warmup_steps": round(self.warmup_ratio * steps),
            "weight_decay": self.weight_decay,
            "max_grad_norm": self.max_grad_norm,
        }
