"""Supervised fine-tuning on the training solutions: all weights (`sft`) or an adapter (`sft-lora`).

The loss is the cross entropy of the completion alone; prompts carry none.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from harness import Expected, OptimiserOptions, Run, Trainer, Workload, hookimpl


class SftOptions(OptimiserOptions, frozen=True):
    """Options of `sft`. The defaults are TRL's where it has one."""

    epochs: float = Field(3.0, gt=0, description="passes over the training data")
    batch_size: int = Field(32, gt=0, description="rows in an optimiser step")
    max_length: int = Field(1024, gt=0, description="tokens; longer rows are left out, never cut")
    packing: bool = Field(False, description="put several rows into one sequence of max_length")
    loss: Literal["nll", "dft"] = Field(
        "nll", description="dft: each token's loss weighted with its probability (arXiv 2508.05629)"
    )


class LoraOptions(SftOptions, frozen=True):
    """Options of `sft-lora`: those of `sft` and the adapter's."""

    learning_rate: float = Field(2e-4, gt=0, description="ten times that of full fine-tuning")
    r: int = Field(16, gt=0, description="rank of the adapter")
    alpha: int = Field(32, gt=0, description="the adapter is scaled by alpha / r")
    dropout: float = Field(0.05, ge=0, lt=1, description="dropout before the adapter")
    target_modules: str = Field("all-linear", description="peft's name or pattern of the layers")


def train(run: Run) -> None:
    """Fine-tune all weights."""
    fine_tune(run, None)


def train_lora(run: Run) -> None:
    """Fine-tune a low-rank adapter (Hu et al. 2022, arXiv 2106.09685); it is merged at the end."""
    from peft import LoraConfig

    options: LoraOptions = run.options
    adapter = LoraConfig(
        r=options.r,
        lora_alpha=options.alpha,
        lora_dropout=options.dropout,
        target_modules=options.target_modules,
        task_type="CAUSAL_LM",
    )
    fine_tune(run, adapter)


def fine_tune(run: Run, adapter: Any) -> None:
    """Train on the board's training data with TRL's SFTTrainer."""
    from trl import SFTConfig, SFTTrainer

    options: SftOptions = run.options
    tokenizer = run.tokenizer()
    rows = run.tokenized(tokenizer, options.max_length)
    steps = run.steps(len(rows), options.batch_size, options.epochs, options.max_steps)
    arguments = run.arguments(
        **options.arguments(steps, options.batch_size),
        max_length=options.max_length if options.packing else None,
        packing=options.packing,
        loss_type=options.loss,
    )
    trainer = SFTTrainer(
        model=run.student(),
        args=SFTConfig(**arguments),
        train_dataset=rows,
        processing_class=tokenizer,
        peft_config=adapter,
        callbacks=[run.callback()],
    )
    trainer.train(resume_from_checkpoint=run.resume)
    run.save(trainer.model)


def expects(options: SftOptions, work: Workload) -> Expected:
    """Return what a run would do: it reads its rows and nothing else."""
    return Expected(
        steps=work.steps(options.batch_size, options.epochs, options.max_steps),
        sequences=options.batch_size,
        length=work.prompt + work.solution,
        micro_batch=options.micro_batch_size or options.batch_size,
        adapter=0.02 if isinstance(options, LoraOptions) else 1.0,
    )


@hookimpl
def harness_trainers() -> list[Trainer]:
    """Offer `sft` and `sft-lora`."""
    return [
        Trainer(
            name="sft",
            train=train,
            options=SftOptions,
            summary="supervised fine-tuning of all weights on the training solutions",
            expects=expects,
        ),
        Trainer(
            name="sft-lora",
            train=train_lora,
            options=LoraOptions,
            summary="supervised fine-tuning of a low-rank adapter, merged at the end",
            expects=expects,
        ),
    ]
