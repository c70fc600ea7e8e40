"""Supervised fine-tuning on the training solutions: all weights (`sft`) or an adapter (`sft-lora`).

The loss is the cross entropy of the completion alone; prompts carry none. `sft-shuffled` is the
control arm. `fine_tune` and `expected` also serve the other trainers that learn from fixed
completions.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from harness import Expected, OptimiserOptions, Run, Search, Trainer, Workload, hookimpl

if TYPE_CHECKING:
    import datasets


class SupervisedOptions(OptimiserOptions, frozen=True):
    """Options of every trainer that learns from fixed completions."""

    epochs: float = Field(3.0, gt=0, description="passes over the training data")
    batch_size: int = Field(32, gt=0, description="rows in an optimiser step")
    max_length: int = Field(1024, gt=0, description="tokens; longer rows are left out, never cut")


class PackedOptions(SupervisedOptions, frozen=True):
    """Options of trainers whose student only reads, and so may read several rows as one."""

    packing: bool = Field(False, description="put several rows into one sequence of max_length")


class SftOptions(PackedOptions, frozen=True):
    """Options of `sft`. The defaults are TRL's where it has one."""

    loss: Literal["nll", "dft"] = Field(
        "nll", description="dft: each token's loss weighted with its probability (arXiv 2508.05629)"
    )


class LoraOptions(SftOptions, frozen=True):
    """Options of `sft-lora`: those of `sft`, with other defaults."""

    learning_rate: float = Field(2e-4, gt=0, description="ten times that of full fine-tuning")
    lora_rank: Annotated[int, Search(choices=(4, 8, 16, 32))] = Field(
        16, gt=0, description="rank of the low-rank adapter"
    )


def train(run: Run) -> None:
    """Fine-tune on the training solutions."""
    fine_tune(run, loss_type=run.options.loss)


def train_shuffled(run: Run) -> None:
    """Fine-tune as `sft` does, each problem with another problem's solution."""
    fine_tune(run, shuffled(run), loss_type=run.options.loss)


def shuffled(run: Run) -> datasets.Dataset:
    """Return the training data with the completions of each task exchanged among its problems.

    They are drawn by the seed, none for its own problem (unless a task has but one): form, length
    and answers stay those of the data, and no problem says anything of its completion any more.
    """
    data = run.train_data()
    drawn, tasks = random.Random(run.seed("shuffled")), defaultdict(list)
    for place, task in enumerate(data["task"]):
        tasks[task].append(place)
    completions: list[Any] = list(data["completion"])
    for places in tasks.values():
        drawn.shuffle(places)
        for place, other in zip(places, [*places[1:], places[0]], strict=True):
            completions[place] = data[other]["completion"]
    run.note(solutions_exchanged=sum(len(one) for one in tasks.values() if len(one) > 1))
    return data.remove_columns("completion").add_column("completion", completions)


def completion(run: Run, solution: str) -> Any:
    """Return a solution that a model wrote as the completion of a training row."""
    text = solution.strip()
    return [{"role": "assistant", "content": text}] if run.protocol.chat else f" {text}\n\n"


def form(options: SupervisedOptions) -> dict[str, Any]:
    """Return the SFTConfig arguments that say how rows are put together.

    Rows that do not fit are gone before (`Run.tokenized`), so none is cut at `max_length`.
    """
    packing = isinstance(options, PackedOptions) and options.packing
    return {"max_length": options.max_length if packing else None, "packing": packing}


def fine_tune(run: Run, data: datasets.Dataset | None = None, **arguments: Any) -> None:
    """Train the start model with TRL's SFTTrainer, and save it.

    Args:
        run: Its options are `SupervisedOptions`.
        data: Rows with `prompt` and `completion`; by default the board's training data.
        **arguments: More of SFTConfig's.
    """
    run.save(fit(run, run.student(), data, resume=run.resume, **arguments))


def fit(
    run: Run,
    model: Any,
    data: datasets.Dataset | None = None,
    *,
    resume: str | None = None,
    steps: int | None = None,
    callbacks: tuple[Sequence[Any], Sequence[Any]] = ((), ()),
    **arguments: Any,
) -> Any:
    """Train a model with TRL's SFTTrainer and return it; for the rest see `fine_tune`.

    Args:
        run: Its options are `SupervisedOptions`.
        model: What to train.
        data: Rows with `prompt` and `completion`; by default the board's training data.
        resume: A training checkpoint to go on from.
        steps: Optimiser steps; by default those of the options.
        callbacks: Of transformers, called before the run's own, and after it.
        **arguments: More of SFTConfig's.
    """
    from trl import SFTConfig, SFTTrainer

    options: SupervisedOptions = run.options
    tokenizer = run.tokenizer()
    rows = run.tokenized(tokenizer, options.max_length, data)
    steps = steps or run.steps(len(rows), options.batch_size, options.epochs, options.max_steps)
    shared = run.arguments(**options.arguments(steps, options.batch_size))
    trainer = SFTTrainer(
        model=model,
        args=SFTConfig(**{**shared, **form(options), **arguments}),
        train_dataset=rows,
        processing_class=tokenizer,
        callbacks=[*callbacks[0], run.callback(), *callbacks[1]],
    )
    trainer.train(resume_from_checkpoint=resume)
    return trainer.model


def expects(options: SftOptions, work: Workload) -> Expected:
    """Return what a run would do: it reads its rows and nothing else."""
    return expected(options, work, work.prompt + work.solution)


def expected(
    options: SupervisedOptions, work: Workload, length: float, rows: int | None = None, **more: Any
) -> Expected:
    """Return what passes over `rows` of `length` tokens are; `more` is of `Expected`."""
    return Expected(
        steps=work.steps(options.batch_size, options.epochs, options.max_steps, rows),
        sequences=options.batch_size,
        length=length,
        micro_batch=options.micro_batch_size or options.batch_size,
        **more,
    )


@hookimpl
def harness_trainers() -> list[Trainer]:
    """Offer `sft`, `sft-lora`, and the control `sft-shuffled`."""
    return [
        Trainer(
            name="sft",
            train=train,
            options=SftOptions,
            summary="supervised fine-tuning on the training solutions",
            needs_solutions=True,
            expects=expects,
        ),
        Trainer(
            name="sft-lora",
            train=train,
            options=LoraOptions,
            summary="supervised fine-tuning of a low-rank adapter, merged at the end",
            needs_solutions=True,
            expects=expects,
        ),
        Trainer(
            name="sft-shuffled",
            train=train_shuffled,
            options=SftOptions,
            summary="control: sft on solutions that are exchanged among the problems",
            needs_solutions=True,
            control_of="sft",
            expects=expects,
        ),
    ]
