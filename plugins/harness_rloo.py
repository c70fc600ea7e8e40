"""REINFORCE with a leave-one-out baseline (`rloo`), on the verifier that also scores.

Ahmadian et al. 2024, "Back to Basics: Revisiting REINFORCE-Style Optimization for Learning from
Human Feedback in LLMs", arXiv 2402.14740; the baseline is that of Kool et al. 2019.
"""

from __future__ import annotations

import dataclasses
from typing import Annotated, Any

import harness_rl
from pydantic import Field

from harness import Expected, Run, Search, Trainer, Workload, hookimpl


class RlooOptions(harness_rl.PolicyOptions, frozen=True):
    """Options of `rloo`: those that it shares with `rl`, and its own.

    The defaults are TRL's, but for the group, which is that of `rl` (TRL: 2).
    """

    beta: Annotated[float, Search(0.005, 0.2, log=True)] = Field(
        0.05, ge=0, description="weight of the KL to the start model, taken off the reward"
    )
    format_weight: float = Field(
        0.0, ge=0, description="weight of a second reward for the protocol's answer form"
    )
    normalize_advantages: bool = Field(
        False, description="bring a batch's advantages to mean 0 and standard deviation 1"
    )


def train(run: Run) -> None:
    """Train with TRL's RLOOTrainer, its rollouts written by `run.generate`."""
    from trl import RLOOConfig, RLOOTrainer

    write = harness_rl.rollouts(run, run.tokenizer())

    class LeaveOneOutTrainer(RLOOTrainer):
        def _generate_single_turn(self, prompt_ids: Any, *given: Any) -> Any:
            if write is None:
                return super()._generate_single_turn(prompt_ids, *given)
            return write(prompt_ids, self)["completion_ids"]

    own = {"normalize_advantages": run.options.normalize_advantages}
    harness_rl.learn(run, LeaveOneOutTrainer, RLOOConfig, own)


def expects(options: RlooOptions, work: Workload) -> Expected:
    """Return what a run would do: that of `rl`, and each rollout read once more for its ratio."""
    expected = harness_rl.expects(options, work)
    return dataclasses.replace(expected, reference=expected.rollouts * (1 + (options.beta > 0)))


@hookimpl
def harness_trainers() -> list[Trainer]:
    """Offer `rloo`."""
    return [
        Trainer(
            name="rloo",
            train=train,
            options=RlooOptions,
            summary="REINFORCE with a leave-one-out baseline, the verifier as the reward",
            expects=expects,
        )
    ]
