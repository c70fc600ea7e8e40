"""The transformers callback that keeps a trainer inside its budget. Imports transformers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

if TYPE_CHECKING:
    from harness.trainer import Run

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


class BudgetCallback(TrainerCallback):
    """Logs each step to the stage's events and ends training before the budget is passed."""

    def __init__(self, run: Run) -> None:
        self.run = run

    def on_step_end(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        **kwargs: Any,
    ) -> None:
        """Stop when one more step would pass a cap."""
        if self.run.budget.exhausted():
            control.should_training_stop = True

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """Copy the numbers that learning curves are drawn from."""
        numbers = {name: float(logs[key]) for key, name in LOGGED.items() if key in (logs or {})}
        if numbers:
            numbers["spent"] = round(self.run.budget.fraction, 4)
            if state.max_steps > 0:
                numbers["progress"] = round(state.global_step / state.max_steps, 4)
            self.run.log(**numbers)

    def on_save(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        **kwargs: Any,
    ) -> None:
        """Keep the cost so far beside the training checkpoint, for an interrupted run."""
        folder = Path(args.output_dir) / f"checkpoint-{state.global_step}"
        self.run.budget.tick()
        (folder / "harness_cost.json").write_text(self.run.budget.cost.model_dump_json())
