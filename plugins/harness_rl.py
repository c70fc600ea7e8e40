"""Reinforcement learning with verifiable rewards: GRPO on the verifier that also scores.

Group relative policy optimisation (Shao et al. 2024, arXiv 2402.03300) with the choices of later
work as options: DAPO (Yu et al. 2025, arXiv 2503.14476) and Dr. GRPO (Liu et al. 2025, arXiv
2503.20783).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from pydantic import Field

from harness import Expected, OptimiserOptions, Run, StageError, Trainer, Workload, hookimpl

Loss = Literal["dapo", "grpo", "dr_grpo", "bnpo", "cispo", "sapo"]


class RlOptions(OptimiserOptions, frozen=True):
    """Options of `rl`. The defaults are TRL's where it has one."""

    learning_rate: float = Field(1e-6, gt=0, description="peak learning rate of AdamW")
    prompts_per_step: int = Field(8, gt=0, description="problems in an optimiser step")
    num_generations: int = Field(8, ge=2, description="group size: rollouts of one problem")
    num_iterations: int = Field(1, ge=1, description="updates on one batch of rollouts")
    max_completion_length: int | None = Field(
        None, gt=0, description="tokens of a rollout; by default the limit of the board's scores"
    )
    temperature: float = Field(1.0, gt=0, description="sampling temperature of rollouts")
    top_p: float = Field(1.0, gt=0, le=1)
    beta: float = Field(0.0, ge=0, description="weight of the KL term to the start model")
    epsilon: float = Field(0.2, gt=0, description="clipping range of the probability ratio")
    epsilon_high: float | None = Field(None, gt=0, description="its upper range; DAPO uses 0.28")
    loss_type: Loss = Field("dapo", description="how token losses are put together")
    scale_rewards: Literal["group", "batch", "none"] = Field(
        "group", description="what advantages are divided by; Dr. GRPO: none"
    )
    mask_truncated_completions: bool = Field(
        False, description="take no gradient of rollouts cut at the token limit; DAPO: true"
    )
    vllm_memory: float = Field(
        0.3, gt=0, lt=1, description="share of a GPU's memory for vLLM, where it is the engine"
    )
    format_weight: float = Field(
        0.0, ge=0, description="weight of a second reward for the protocol's answer form"
    )


def rewards(run: Run) -> tuple[list[Callable[..., list[float]]], dict[str, int]]:
    """Return the reward functions and the facts about them for the record.

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

    functions: list[Callable[..., list[float]]] = [correctness]
    return [*functions, answer_form] if run.options.format_weight else functions, counts


def has_form(run: Run, text: str) -> bool:
    """Return whether an answer ends in the form that the protocol asks for: a closed box."""
    if run.protocol.form != "boxed":
        raise StageError(
            f"no format reward for the form {run.protocol.form!r}; set format_weight=0"
        )
    start = text.rfind("\\boxed{")
    depth = 0
    for place in range(start, len(text)) if start >= 0 else ():
        depth += {"{": 1, "}": -1}.get(text[place], 0)
        if text[place] == "}" and depth == 0:
            return True
    return False


def arguments(run: Run, rows: int) -> dict[str, Any]:
    """Return the GRPOConfig arguments: `num_iterations` steps for each batch of rollouts."""
    options: RlOptions = run.options
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
        loss_type=options.loss_type,
        scale_rewards=options.scale_rewards,
        mask_truncated_completions=options.mask_truncated_completions,
        reward_weights=[1.0, options.format_weight] if options.format_weight else [1.0],
        disable_dropout=True,
    )


def rollouts(run: Run, tokenizer: Any) -> Callable[..., dict[str, Any]] | None:
    """Return what writes a step's rollouts, or None where TRL does that.

    TRL writes them where vLLM is the engine, and where the weights are spread over processes.
    """
    options: RlOptions = run.options
    if run.engine == "vllm" or run.group.sharded:
        return None

    def write(prompts: list[Any], trainer: Any) -> dict[str, Any]:
        policy = trainer.accelerator.unwrap_model(trainer.model_wrapped)
        written = run.generate(
            policy,
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


def train(run: Run) -> None:
    """Train with TRL's GRPOTrainer."""
    from trl import GRPOTrainer

    optimise(run, GRPOTrainer)


def optimise(run: Run, trainer_class: Any, **more: Any) -> None:
    """Train with a GRPOTrainer class; `more` goes to its constructor."""
    from trl import GRPOConfig

    problems = run.train_data().select_columns(["prompt", "answer", "task", "problem"])
    functions, counts = rewards(run)
    tokenizer = run.tokenizer()
    trainer = trainer_class(
        model=run.student(tokenizer),
        reward_funcs=functions,
        args=GRPOConfig(**arguments(run, len(problems))),
        train_dataset=problems,
        processing_class=tokenizer,
        callbacks=[run.callback()],
        rollout_func=rollouts(run, tokenizer),
        **more,
    )
    trainer.train(resume_from_checkpoint=run.resume)
    reward = {"correct": 1.0, "format": run.options.format_weight}
    everywhere = run.group.gather(counts)
    run.note(reward=reward, **{name: sum(each[name] for each in everywhere) for name in counts})
    run.save(trainer.model)


def expects(options: RlOptions, work: Workload) -> Expected:
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
    """Offer `rl`."""
    return [
        Trainer(
            name="rl",
            train=train,
            options=RlOptions,
            summary="GRPO with the verifier as the reward",
            expects=expects,
        )
    ]
