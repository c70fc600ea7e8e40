"""Reinforcement learning with verifiable rewards: GRPO on the verifier that also scores.

Group relative policy optimisation (Shao et al. 2024, arXiv 2402.03300) with the choices of later
work as options: DAPO (Yu et al. 2025, arXiv 2503.14476) and Dr. GRPO (Liu et al. 2025, arXiv
2503.20783).

`rl-random` and `rl-format` are control arms: the same but for a reward that says nothing of right
answers (Shao et al. 2025, "Spurious Rewards", arXiv 2506.10947).
"""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import partial
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import Field

from harness import Expected, OptimiserOptions, Run, Search, StageError, Trainer, Workload, hookimpl
from harness_rl.heads import only_scored

Loss = Literal["dapo", "grpo", "dr_grpo", "bnpo", "cispo", "sapo"]
Reward = Callable[..., list[float]]


class PolicyOptions(OptimiserOptions, frozen=True):
    """Options of every trainer that learns from rollouts and their rewards."""

    learning_rate: float = Field(1e-6, gt=0, description="peak learning rate of AdamW")
    prompts_per_step: int = Field(8, gt=0, description="problems in an optimiser step")
    num_generations: int = Field(8, ge=2, description="group size: rollouts of one problem")
    num_iterations: int = Field(1, ge=1, description="updates on one batch of rollouts")
    max_completion_length: int | None = Field(
        None, gt=0, description="tokens of a rollout; by default the limit of the board's scores"
    )
    temperature: float = Field(1.0, gt=0, description="sampling temperature of rollouts")
    top_p: float = Field(1.0, gt=0, le=1, description="nucleus of sampling")
    beta: Annotated[float, Search(choices=(0.0, 0.001, 0.01, 0.04))] = Field(
        0.0, ge=0, description="weight of the KL term to the start model"
    )
    epsilon: float = Field(0.2, gt=0, description="clipping range of the probability ratio")
    epsilon_high: float | None = Field(None, gt=0, description="its upper range; DAPO uses 0.28")
    mask_truncated_completions: bool = Field(
        False, description="take no gradient of rollouts cut at the token limit; DAPO: true"
    )
    vllm_memory: float = Field(
        0.3, gt=0, lt=1, description="share of a GPU's memory for vLLM, where it is the engine"
    )


class GrpoOptions(PolicyOptions, frozen=True):
    """Options of GRPO, whatever is rewarded. The defaults are TRL's where it has one."""

    loss_type: Loss = Field("dapo", description="how token losses are put together")
    scale_rewards: Literal["group", "batch", "none"] = Field(
        "group", description="what advantages are divided by; Dr. GRPO: none"
    )


class RlOptions(GrpoOptions, frozen=True):
    """Options of `rl`."""

    format_weight: float = Field(
        0.0, ge=0, description="weight of a second reward for the protocol's answer form"
    )


class RandomOptions(GrpoOptions, frozen=True):
    """Options of `rl-random`."""

    probability: float = Field(0.5, gt=0, lt=1, description="that a rollout is rewarded")


class Rewards(NamedTuple):
    """Reward functions of TRL, each with its name and weight, and counts for the record."""

    functions: list[Reward]
    weights: dict[str, float]
    counts: dict[str, int]


def verified(run: Run) -> Rewards:
    """Return the rewards of `rl`: the verifier's, and one for the form if that has a weight.

    A rollout whose answer cannot be graded earns nothing, like a wrong one: a reward of its own,
    or a neutral one, could be sought after.
    """
    counts = {"rollouts": 0, "rollouts_ungradable": 0}

    def correctness(completions: list[Any], answer: list[str], **columns: Any) -> list[float]:
        right = run.correct(completions, answer, columns["task"], columns["problem"])
        counts["rollouts"] += len(right)
        counts["rollouts_ungradable"] += right.count(None)
        return [float(bool(verdict)) for verdict in right]

    def answer_form(completions: list[Any], **columns: Any) -> list[float]:
        return [float(has_form(run, run.cut(one))) for one in completions]

    weight = run.options.format_weight
    functions: list[Reward] = [correctness, answer_form] if weight else [correctness]
    return Rewards(functions, {"correct": 1.0} | ({"format": weight} if weight else {}), counts)


def chance(run: Run) -> Rewards:
    """Return the reward of `rl-random`: 1 or 0 for each rollout, drawn by the seed and the step."""
    counts = {"rollouts": 0}

    def luck(completions: list[Any], trainer_state: Any, **columns: Any) -> list[float]:
        counts["rollouts"] += len(completions)
        step = f"reward {trainer_state.global_step} {run.group.rank}"
        drawn = random.Random(run.seed(step))
        return [float(drawn.random() < run.options.probability) for _ in completions]

    return Rewards([luck], {"chance": 1.0}, counts)


def form(run: Run) -> Rewards:
    """Return the reward of `rl-format`: 1 where a rollout ends in the protocol's answer form."""
    counts = {"rollouts": 0}

    def answer_form(completions: list[Any], **columns: Any) -> list[float]:
        counts["rollouts"] += len(completions)
        return [float(has_form(run, run.cut(one))) for one in completions]

    return Rewards([answer_form], {"format": 1.0}, counts)


def has_form(run: Run, text: str) -> bool:
    """Return whether an answer ends in the form that the protocol asks for: a closed box."""
    if run.protocol.form != "boxed":
        raise StageError(
            f"there is no reward for the form {run.protocol.form!r}, only for boxed: set"
            " format_weight=0, and leave rl-format out"
        )
    start = text.rfind("\\boxed{")
    depth = 0
    for place in range(start, len(text)) if start >= 0 else ():
        depth += {"{": 1, "}": -1}.get(text[place], 0)
        if text[place] == "}" and depth == 0:
            return True
    return False


def arguments(run: Run, rows: int) -> dict[str, Any]:
    """Return the arguments of GRPOConfig and RLOOConfig alike.

    There are `num_iterations` steps for each batch of rollouts.
    """
    options: PolicyOptions = run.options
    batch = options.prompts_per_step * options.num_generations
    epochs = options.epochs * options.num_iterations  # each batch of problems takes so many steps
    steps = run.steps(rows, options.prompts_per_step, epochs, options.max_steps)
    return run.arguments(
        **options.arguments(steps, batch),
        rollout_memory=options.vllm_memory,
        num_generations=options.num_generations,
        num_iterations=options.num_iterations,
        max_completion_length=options.max_completion_length or run.max_new_tokens,
        temperature=options.temperature,
        top_p=options.top_p,
        beta=options.beta,
        epsilon=options.epsilon,
        epsilon_high=options.epsilon_high,
        mask_truncated_completions=options.mask_truncated_completions,
        disable_dropout=True,
    )


def rollouts(run: Run, tokenizer: Any) -> Callable[..., dict[str, Any]] | None:
    """Return what writes a step's rollouts, or None where TRL does that.

    TRL writes them where vLLM is the engine, and where the weights are spread over processes.
    """
    options: PolicyOptions = run.options
    if run.engine == "vllm" or run.group.sharded:
        return None

    def write(prompts: list[Any], trainer: Any) -> dict[str, Any]:
        written = run.generate(
            trainer.model,
            tokenizer,
            prompts,
            temperature=options.temperature,
            top_p=options.top_p,
            limit=options.max_completion_length,
        )
        answers = [one for (one,) in written]
        return {
            "prompt_ids": [one.prompt for one in answers],
            "completion_ids": [one.tokens for one in answers],
            "logprobs": None,  # TRL computes what the loss needs of them
        }

    return write


def train(run: Run, rewards: Callable[[Run], Rewards] = verified) -> None:
    """Train with TRL's GRPOTrainer."""
    from trl import GRPOTrainer

    optimise(run, GRPOTrainer, rewards)


def optimise(run: Run, trainer_class: Any, rewards: Callable[[Run], Rewards] = verified) -> None:
    """Train with a GRPOTrainer class; its options are `GrpoOptions`."""
    from trl import GRPOConfig

    options: GrpoOptions = run.options
    loss = {"loss_type": options.loss_type, "scale_rewards": options.scale_rewards}
    more = {"rollout_func": rollouts(run, run.tokenizer())}
    learn(run, trainer_class, GRPOConfig, loss, rewards, **more)


def learn(
    run: Run,
    trainer_class: Any,
    config: Any,
    loss: dict[str, Any],
    rewards: Callable[[Run], Rewards] = verified,
    **more: Any,
) -> None:
    """Train with a class of TRL that learns from rollouts.

    Args:
        run: Its options are `PolicyOptions`.
        trainer_class: TRL's GRPOTrainer or RLOOTrainer, or made from one.
        config: The class of its configuration.
        loss: What the configuration has beside `arguments`.
        rewards: Makes the reward functions.
        **more: Goes to the trainer.
    """
    problems = run.train_data().select_columns(["prompt", "answer", "task", "problem"])
    made = rewards(run)
    loss = {**loss, "reward_weights": list(made.weights.values())}
    tokenizer = run.tokenizer()
    trainer = trainer_class(
        model=run.student(tokenizer),
        reward_funcs=made.functions,
        args=config(**arguments(run, len(problems)), **loss),
        train_dataset=problems,
        processing_class=tokenizer,
        callbacks=[run.callback()],
        **more,
    )
    if "ref" in getattr(trainer.model, "peft_config", {}):
        # TRL's copy of a fresh adapter changes nothing: the start model is the reference without it
        trainer.model.delete_adapter("ref")
    for model in (trainer.model, trainer.ref_model):
        if model is not None:
            only_scored(model, run.options.temperature)
    trainer.train(resume_from_checkpoint=run.resume)
    everywhere = run.group.gather(made.counts)
    totals = {name: sum(each[name] for each in everywhere) for name in made.counts}
    run.note(reward=made.weights, **totals)
    run.save(trainer.model)


def expects(options: PolicyOptions, work: Workload) -> Expected:
    """Return what a run would do: each step writes its rollouts, then learns from them."""
    batch = options.prompts_per_step * options.num_generations
    epochs = options.epochs * options.num_iterations
    return Expected(
        steps=work.steps(options.prompts_per_step, epochs, options.max_steps),
        sequences=batch,
        length=work.prompt + work.answer,
        micro_batch=options.micro_batch_size or batch,
        rollouts=batch // options.num_iterations,
        reference=batch * ((options.beta > 0) + (options.num_iterations > 1)),
        limit=options.max_completion_length or work.limit,
        together=batch,
    )


@hookimpl
def harness_trainers() -> list[Trainer]:
    """Offer `rl`, and the controls `rl-random` and `rl-format`."""
    return [
        Trainer(
            name="rl",
            train=train,
            options=RlOptions,
            summary="GRPO with the verifier as the reward",
            expects=expects,
        ),
        Trainer(
            name="rl-random",
            train=partial(train, rewards=chance),
            options=RandomOptions,
            summary="control: GRPO with a reward that is drawn by chance",
            control_of="rl",
            expects=expects,
        ),
        Trainer(
            name="rl-format",
            train=partial(train, rewards=form),
            options=GrpoOptions,
            summary="control: GRPO with a reward for the form of the answer alone",
            control_of="rl",
            expects=expects,
        ),
    ]
