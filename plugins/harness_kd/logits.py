"""`kd`: the teacher's distribution over the training solutions, token by token."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from harness_rl.heads import whole_model
from harness_sft import PackedOptions, expected, form
from pydantic import Field

from harness import Expected, Run, Search, Trainer, Workload
from harness_kd import losses

if TYPE_CHECKING:
    import torch


class KdOptions(PackedOptions, frozen=True):
    """Options of `kd`."""

    temperature: Annotated[float, Search(1, 4)] = Field(
        1.0, gt=0, description="both distributions are softened by it"
    )
    alpha: Annotated[float, Search(0.1, 1)] = Field(
        0.5, ge=0, le=1, description="weight of the KL term; the rest is NLL"
    )


def train(run: Run) -> None:
    """Distil the teacher's distribution over the training solutions, token by token.

    `alpha T^2 KL(teacher || student) + (1 - alpha) NLL`, both distributions at temperature T
    (Hinton et al. 2015, arXiv 1503.02531). Where the embeddings differ in size, both are cut to
    the ids they share and renormalised.
    """
    from trl import SFTConfig, SFTTrainer

    options: KdOptions = run.options
    tokenizer = run.tokenizer()
    rows = run.tokenized(tokenizer, options.max_length)
    steps = run.steps(len(rows), options.batch_size, options.epochs, options.max_steps)
    teacher = run.teacher_model(packed=options.packing)

    class LogitTrainer(SFTTrainer):
        def compute_loss(
            self,
            model: Any,
            inputs: dict[str, torch.Tensor],
            return_outputs: bool = False,
            num_items_in_batch: torch.Tensor | int | None = None,
        ) -> torch.Tensor:
            student = self.accelerator.unwrap_model(model)
            whole = whole_model(student)
            work = losses.distillation_loss
            with self.accelerator.autocast():
                total: torch.Tensor = losses.through_wrapper(
                    model, student, work, whole, teacher, inputs, options
                )
            if num_items_in_batch is None:
                return total / (inputs["labels"][:, 1:] != -100).sum().clamp(min=1)
            # counted over all processes, whose gradients are averaged
            return total * self.accelerator.num_processes / num_items_in_batch

    arguments = run.arguments(**options.arguments(steps, options.batch_size), **form(options))
    trainer = LogitTrainer(
        model=run.student(),
        args=SFTConfig(**arguments),
        train_dataset=rows,
        processing_class=tokenizer,
        callbacks=[run.callback()],
    )
    run.note(common_vocabulary=losses.common_vocabulary(trainer.model, teacher))
    trainer.train(resume_from_checkpoint=run.resume)
    run.save(trainer.model)


def expects(options: KdOptions, work: Workload) -> Expected:
    """Return what a run would do: student and teacher read the same rows."""
    length = work.prompt + work.solution
    return expected(options, work, length, taught=options.batch_size, logits=2 * losses.CHUNK)


TRAINER = Trainer(
    name="kd",
    train=train,
    options=KdOptions,
    summary="the teacher's token distribution over the training solutions (forward KL)",
    expects=expects,
    needs_teacher=True,
    same_tokenizer=True,
    needs_solutions=True,
)
