"""The transformers callback that keeps a trainer inside its budget.

It subclasses a class of transformers, so only what runs in a stage may import it.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

if TYPE_CHECKING:
    from harness.stage.budget import Budget

LOGGED = {
    "loss": "loss",
    "reward": "reward",
    "grad_norm": "grad_norm",
    "learning_rate": "learning_rate",
    "kl": "kl",
    "entropy": "entropy",
    "completions/mean_length": "completion_tokens",
    "completions/clipped_ratio": "clipped",
    "frac_reward_zero_std": "groups_without_signal",
    "eval_loss": "holdout_loss",
}
"""TRL's name of a number -> its name in the events."""


class BudgetCallback(TrainerCallback):
    """Logs each step to the stage's events and ends training before the budget is passed."""

    def __init__(self, budget: Budget, log: Callable[..., None], note: Callable[..., None]) -> None:
        self.budget, self.log, self.note = budget, log, note

    def on_train_begin(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        lr_scheduler: Any = None,
        **kwargs: Any,
    ) -> None:
        """Start counting steps, and let the rate follow whichever ends first: steps or budget.

        A schedule is laid over the planned steps. Where a cap on tokens, FLOPs or seconds ends
        training earlier, the rate would still be high at the end, which is another recipe. So the
        schedule is read at the share of the budget that is spent, if that is further on.
        """
        self.budget.begin_steps()
        if self.budget.caps.set_caps().keys() - {"steps"} and state.max_steps > 0:
            for number, rate in enumerate(getattr(lr_scheduler, "lr_lambdas", [])):
                lr_scheduler.lr_lambdas[number] = self._hastened(rate, state.max_steps)

    def _hastened(self, rate: Callable[[int], float], steps: int) -> Callable[[int], float]:
        return lambda step: rate(max(step, int(self.budget.fraction * steps)))

    def on_step_end(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        **kwargs: Any,
    ) -> None:
        """Stop when one more step would pass a cap."""
        if self.budget.exhausted():
            control.should_training_stop = True
            self.note(stopped_by_budget=state.global_step < state.max_steps)

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """Copy the numbers that learning curves are drawn from."""
        found = logs or {}
        numbers = {name: float(found[key]) for key, name in LOGGED.items() if key in found}
        if numbers:
            numbers["spent"] = round(self.budget.fraction, 4)
            if state.max_steps > 0:
                numbers["progress"] = round(state.global_step / state.max_steps, 4)
            self.log(**numbers)

    def on_save(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        **kwargs: Any,
    ) -> None:
        """Keep the cost so far beside the training checkpoint, for an interrupted run."""
        if not state.is_world_process_zero:
            return
        folder = Path(args.output_dir or "") / f"checkpoint-{state.global_step}"
        file = folder / "harness_cost.json"
        self.budget.tick()
        part = file.with_suffix(".part")
        part.write_text(self.budget.cost.model_dump_json())
        os.replace(part, file)  # a checkpoint without this file is not resumed from
