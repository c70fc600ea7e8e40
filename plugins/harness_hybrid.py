"""Hybrids: chains of trainers under names a leaderboard can show, and a joint objective.

`hybrid-joint` follows CHORD (Zhang et al. 2025, "On-Policy RL Meets Off-Policy Experts: Harmonizing
SFT and RL via Dynamic Weighting", arXiv 2508.11408): one loss, `(1 - mu) GRPO + mu NLL`, the second
term on expert solutions, whose weight mu falls while training goes on.
"""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING, Annotated, Any

import harness_rl
from pydantic import Field

from harness import Expected, Run, Search, Trainer, Workload, hookimpl

if TYPE_CHECKING:
    import torch

CHAINS = ("sft+rl", "kd+rl", "sft+kd", "sft+kd+rl")


class JointOptions(harness_rl.RlOptions, frozen=True):
    """Options of `hybrid-joint`: those of `rl` and the supervised term's."""

    expert_batch_size: int = Field(32, gt=0, description="expert solutions in an optimiser step")
    max_length: int = Field(1024, gt=0, description="tokens of an expert row; longer ones left out")
    mu_peak: Annotated[float, Search(0.3, 0.95)] = Field(
        0.9, ge=0, le=1, description="largest weight of the supervised term"
    )
    mu_valley: float = Field(0.05, ge=0, le=1, description="its weight once it has fallen")
    mu_warmup: float = Field(0.0, ge=0, lt=1, description="share of the steps in which it rises")
    mu_decay: float = Field(0.5, gt=0, le=1, description="share of the steps in which it falls")
    phi: bool = Field(
        False, description="weight each expert token by p (1 - p), as in CHORD-phi; use a small mu"
    )


def supervised_weight(options: JointOptions, step: int, steps: int) -> float:
    """Return mu at a step: a linear rise from 0 to the peak, then a cosine down to the valley."""
    rise, fall = options.mu_warmup * steps, options.mu_decay * steps
    if step < rise:
        return options.mu_peak * step / rise
    done = min(1.0, (step - rise) / fall)
    wave = 0.5 * (1 + math.cos(math.pi * done))
    return options.mu_valley + (options.mu_peak - options.mu_valley) * wave


def expert_loss(
    model: Any, batch: dict[str, torch.Tensor], *, phi: bool, tokens: int
) -> torch.Tensor:
    """Return the NLL of the expert tokens of a batch, at temperature 1, divided by `tokens`.

    `batch` holds `input_ids`, `attention_mask` and `labels` of shape (rows, length); `tokens` are
    the expert tokens of the whole optimiser step, of which a batch may be a part. With `phi` each
    token counts by p (1 - p), p its probability under the model, without a gradient.
    """
    from torch.nn.functional import cross_entropy

    targets = batch["labels"][:, 1:]
    kept = targets != -100
    logits = model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits
    nll = cross_entropy(logits[:, :-1][kept].float(), targets[kept], reduction="none")
    if phi:
        probability = (-nll.detach()).exp()
        nll = nll * probability * (1 - probability)
    return nll.sum() / max(1, tokens)


def train_joint(run: Run) -> None:
    """Train with GRPO and, in the same optimiser steps, on expert solutions."""
    import torch
    from trl import GRPOTrainer

    options: JointOptions = run.options
    tokenizer = run.tokenizer()
    experts = run.tokenized(tokenizer, options.max_length)
    padding: Any = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else 0

    class JointTrainer(GRPOTrainer):
        def compute_loss(
            self,
            model: Any,
            inputs: dict[str, Any],
            return_outputs: bool = False,
            num_items_in_batch: Any = None,
        ) -> torch.Tensor:
            policy: torch.Tensor = super().compute_loss(
                model, inputs, return_outputs, num_items_in_batch
            )
            steps = self.state.max_steps
            mu = supervised_weight(options, round(run.budget.progress * steps), steps)
            if mu == 0:
                return policy
            processes = self.accelerator.num_processes
            parts = self.current_gradient_accumulation_steps * processes
            part = self._step % (parts // processes) * processes + self.accelerator.process_index
            step = expert_rows(self.state.global_step)
            mine = [row for place, row in enumerate(step) if place * parts // len(step) == part]
            if not mine:
                return (1 - mu) * policy
            batch = {name: value.to(policy.device) for name, value in padded_batch(mine).items()}
            tokens = sum(label != -100 for row in step for label in row["labels"][1:])
            with self.accelerator.autocast():
                imitation = expert_loss(model, batch, phi=options.phi, tokens=tokens)
            return (1 - mu) * policy + mu * processes * imitation  # gradients are averaged

    def expert_rows(step: int) -> list[dict[str, list[int]]]:
        """Return a step's expert rows; they depend on the seed and the step alone."""
        first = step * options.expert_batch_size
        chosen = []
        for number in range(first, first + options.expert_batch_size):
            epoch, place = divmod(number, len(experts))
            order = torch.Generator().manual_seed(run.seed(f"expert epoch {epoch}"))
            chosen.append(experts[int(torch.randperm(len(experts), generator=order)[place])])
        return chosen

    def padded_batch(chosen: list[dict[str, list[int]]]) -> dict[str, torch.Tensor]:
        width = max(len(row["input_ids"]) for row in chosen)

        def padded(name: str, fill: int) -> torch.Tensor:
            return torch.tensor([row[name] + [fill] * (width - len(row[name])) for row in chosen])

        lengths = torch.tensor([len(row["input_ids"]) for row in chosen])
        return {
            "input_ids": padded("input_ids", padding),
            "attention_mask": (torch.arange(width) < lengths[:, None]).long(),
            "labels": padded("labels", -100),
        }

    harness_rl.optimise(run, JointTrainer)


def expects(options: JointOptions, work: Workload) -> Expected:
    """Return what a run would do: the steps of `rl`, each with its expert rows."""
    policy = harness_rl.expects(options, work)
    experts = options.expert_batch_size
    total = policy.sequences * policy.length + experts * (work.prompt + work.solution)
    return dataclasses.replace(
        policy,
        sequences=policy.sequences + experts,
        length=total / (policy.sequences + experts),
        logits=round(experts * (work.prompt + work.solution)),
    )


@hookimpl
def harness_trainers() -> list[Trainer]:
    """Offer the chains and `hybrid-joint`."""
    chains = [
        Trainer(
            name=name,
            chain=tuple(name.split("+")),
            summary=f"{', then '.join(name.split('+'))}, each on the checkpoint of the one before",
        )
        for name in CHAINS
    ]
    joint = Trainer(
        name="hybrid-joint",
        train=train_joint,
        options=JointOptions,
        summary="GRPO and supervised learning in one loss, the second fading (CHORD)",
        needs_solutions=True,
        expects=expects,
    )
    return [*chains, joint]
