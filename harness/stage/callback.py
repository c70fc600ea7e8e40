"""The transformers callback that keeps a trainer inside its budget.

It subclasses a class of transformers, so only what runs in a stage may import it.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from harness import scratch
from harness.files import write_atomically
from harness.stage.train_stage import BEFORE_FILE, COST_FILE, TrainStage

if TYPE_CHECKING:
    from harness.stage.budget import Budget

# TRL's name of a number -> its name in the events
LOGGED = {name: name for name in ("loss", "reward", "grad_norm", "learning_rate", "kl", "entropy")}
LOGGED |= {
    "completions/mean_length": "completion_tokens",
    "completions/clipped_ratio": "clipped",
    "frac_reward_zero_std": "groups_without_signal",
    "eval_loss": "holdout_loss",
}


class Saving:
    """Says when a training checkpoint is due by the time since the last one; never for 0 seconds.

    One that is saved on the node's own disk is copied to the stage's folder (`harness.scratch`).

    Until one is saved that is the time since the trainer began, or since the checkpoint that it
    resumed from.
    """

    def __init__(self, stage: TrainStage) -> None:
        self.seconds = 60 * stage.spec.compute.save_minutes
        self.group, self.folder = stage.group, stage.folder
        self.last = 0.0  # seconds inside the trainer, as they are counted

    def due(self, now: float) -> bool:
        """Return whether one is due; every process must ask, and all are told the same."""
        return self.seconds > 0 and self.group.largest(now - self.last) >= self.seconds

    def saved(self, checkpoint: Path) -> None:
        """Keep what was saved; every process must call this, once it has written its part."""
        if scratch.on_node():
            self.group.wait()
            if self.group.rank == 0:
                scratch.keep(self.folder, checkpoint)


class BudgetCallback(TrainerCallback):
    """Logs and saves steps, and ends training before the budget is passed."""

    def __init__(
        self,
        budget: Budget,
        log: Callable[..., None],
        note: Callable[..., None],
        scratch: Path,
        saving: Saving,  # beside the saving after so many steps
    ) -> None:
        self.budget, self.log, self.note, self.scratch = budget, log, note, scratch
        self.saving = saving

    def on_train_begin(
        self, args: Any, state: TrainerState, control: Any, lr_scheduler: Any = None, **_: Any
    ) -> None:
        """Start counting steps, and let the rate follow whichever ends first: steps or budget.

        A schedule is laid over the planned steps. Where a cap on tokens, FLOPs or seconds ends
        training earlier, the rate would still be high at the end, which is another recipe. So the
        schedule is read at the share of the budget that is spent, if that is further on.
        """
        self.budget.begin_steps()
        if state.global_step:
            self.saving.last = self.budget.cost.seconds
        if state.is_world_process_zero and state.global_step == 0:
            write_atomically(self.scratch / BEFORE_FILE, self.budget.cost.model_dump_json())
        if self.budget.caps.set_caps().keys() - {"steps"} and state.max_steps > 0:
            for number, rate in enumerate(getattr(lr_scheduler, "lr_lambdas", [])):
                lr_scheduler.lr_lambdas[number] = self._hastened(rate, state.max_steps)

    def _hastened(self, rate: Callable[[float], float], steps: int) -> Callable[[float], float]:
        # not inside the loop above, where the lambda would see only the last rate
        return lambda step: rate(max(step, self.budget.progress * steps))

    def on_step_end(
        self, args: Any, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        if self.budget.exhausted():
            control.should_training_stop = True
            if not self.budget.fill:  # where it is to be spent, that it ended training says nothing
                self.note(stopped_by_budget=state.global_step < state.max_steps)
        elif self.saving.due(self.budget.cost.seconds):
            control.should_save = True

    def on_log(
        self, args: Any, state: TrainerState, control: Any, logs: dict[str, Any], **_: Any
    ) -> None:
        numbers = {name: float(logs[key]) for key, name in LOGGED.items() if key in logs}
        if numbers:
            numbers["spent"] = round(self.budget.fraction, 4)
            progress = self.budget.progress
            if state.max_steps > 0 and progress > 0:  # the steps by what they cost so far
                numbers["progress"] = round(progress, 4)
                numbers["steps"] = min(state.max_steps, round(state.global_step / progress))
            self.log(**numbers)

    def on_save(self, args: TrainingArguments, state: TrainerState, control: Any, **_: Any) -> None:
        """Keep the cost so far beside the training checkpoint, for an interrupted run."""
        self.saving.last = self.budget.cost.seconds
        folder = Path(args.output_dir or "") / f"checkpoint-{state.global_step}"
        if state.is_world_process_zero:
            write_atomically(folder / COST_FILE, self.budget.cost.model_dump_json())
        self.saving.saved(folder)
