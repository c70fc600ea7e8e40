"""Supervised fine-tuning on the training solutions: all weights (`sft`) or an adapter (`sft-lora`).

The loss is the cross entropy of the completion alone; prompts carry none. `fine_tune` and
`expected` also serve the trainers of `kd` that learn from fixed completions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from harness import Expected, OptimiserOptions, Run, Trainer, Workload, hookimpl

if TYPE_CHECKING:
    import datasets


class SupervisedOptions(OptimiserOptions, frozen=True):
    """Options of every trainer that learns from fixed completions."""

    epochs: float = Field(3.0, gt=0, description="passes over the training data")
    batch_size: int = Field(32, gt=0, description="rows in an optimiser step")
    max_length: int = Field(1024, gt=0, description="tokens; longer rows are left out, never cut")


class SftOptions(SupervisedOptions, frozen=True):
    """Options of `sft`. The defaults are TRL's where it has one."""

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
    fine_tune(run, **form(run.options))


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
    fine_tune(run, adapter=adapter, **form(options))


def form(options: SftOptions) -> dict[str, Any]:
    """Return the SFTConfig arguments that `sft` has options for."""
    return {
        "max_length": options.max_length if options.packing else None,
        "packing": options.packing,
        "loss_type": options.loss,
    }


def fine_tune(
    run: Run, data: datasets.Dataset | None = None, adapter: Any = None, **arguments: Any
) -> None:
    """Train with TRL's SFTTrainer.

    Args:
        run: Its options are `SupervisedOptions`.
        data: Rows with `prompt` and `completion`; by default the board's training data.
        adapter: A configuration of peft; None to train all weights.
        **arguments: More of SFTConfig's.
    """
    from trl import SFTConfig, SFTTrainer

    options: SupervisedOptions = run.options
    tokenizer = run.tokenizer()
    rows = run.tokenized(tokenizer, options.max_length, data)
    steps = run.steps(len(rows), options.batch_size, options.epochs, options.max_steps)
    shared = run.arguments(**options.arguments(steps, options.batch_size))
    trainer = SFTTrainer(
        model=run.student(),
        args=SFTConfig(**{**shared, "max_length": None, **arguments}),
        train_dataset=rows,
        processing_class=tokenizer,
        peft_config=adapter,
        callbacks=[run.callback()],
    )
    trainer.train(resume_from_checkpoint=run.resume)
    run.save(trainer.model)


def expects(options: SftOptions, work: Workload) -> Expected:
    """Return what a run would do: it reads its rows and nothing else."""
    adapter = 0.02 if isinstance(options, LoraOptions) else 1.0
    return expected(options, work, work.prompt + work.solution, adapter=adapter)


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
    """Offer `sft` and `sft-lora`."""
    return [
        Trainer(
            name="sft",
            train=train,
            options=SftOptions,
            summary="supervised fine-tuning of all weights on the training solutions",
            needs_solutions=True,
            expects=expects,
        ),
        Trainer(
            name="sft-lora",
            train=train_lora,
            options=LoraOptions,
            summary="supervised fine-tuning of a low-rank adapter, merged at the end",
            needs_solutions=True,
            expects=expects,
        ),
    ]
