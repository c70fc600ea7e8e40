"""`kd-on-policy`: the teacher's distribution over what the student writes."""

from __future__ import annotations

from typing import Annotated, Any

from harness_rl import rollouts
from harness_rl.heads import has_plain_head, whole_model
from pydantic import Field

from harness import Expected, OptimiserOptions, Run, Search, StageError, Trainer, Workload
from harness_kd import losses


class OnPolicyOptions(OptimiserOptions, frozen=True):
    """Options of `kd-on-policy`."""

    learning_rate: float = Field(1e-6, gt=0, description="peak learning rate of AdamW")
    batch_size: int = Field(32, gt=0, description="problems, with a completion each, in a step")
    beta: Annotated[float, Search(choices=(0.0, 0.5, 1.0))] = Field(
        1.0, ge=0, le=1, description="0 forward KL, 0.5 Jensen-Shannon, 1 reverse"
    )
    temperature: float = Field(1.0, gt=0, description="of sampling and of both distributions")
    top_p: float = Field(1.0, gt=0, le=1, description="of the student's sampling")
    max_completion_length: int | None = Field(
        None, gt=0, description="tokens of a completion; by default the limit of the board's scores"
    )
    vllm_memory: float = Field(
        0.3, gt=0, lt=1, description="share of a GPU's memory for vLLM, where it is the engine"
    )


def train(run: Run) -> None:
    """Distil on the student's own completions with TRL's DistillationTrainer.

    Generalised Jensen-Shannon divergence (Agarwal et al. 2024, arXiv 2306.13649), by default the
    reverse KL (Gu et al. 2024, arXiv 2306.08543). TRL wants embeddings of one size, so both models
    are cut to the ids they share; the rows cut off the student are put back at the end.
    """
    import torch
    from trl import DistillationConfig, DistillationTrainer

    options: OnPolicyOptions = run.options
    tokenizer = run.tokenizer()
    data = run.train_data().select_columns(["prompt"])
    steps = run.steps(len(data), options.batch_size, options.epochs, options.max_steps)
    student: Any = run.student(tokenizer)
    teacher: Any = run.teacher_model()
    whole = whole_model(student)  # an adapter knows no embeddings
    common, size = losses.common_vocabulary(student, teacher), student.config.vocab_size
    if max(tokenizer.get_vocab().values()) >= common:
        raise StageError(f"the tokenizer has ids beyond the {common} that both models have")
    if size != common and run.engine == "vllm":
        raise StageError(
            f"vLLM cannot load a student that is cut to the teacher's {common} token ids;"
            ' set engine = "hf"'
        )
    heads = [whole.get_input_embeddings(), whole.get_output_embeddings()]
    rest = [head.weight[common:].detach().clone() for head in heads]
    for model in (whole, teacher):
        if model.config.vocab_size != common:
            model.resize_token_embeddings(common)
    teacher.requires_grad_(False)
    run.note(common_vocabulary=common)
    arguments = run.arguments(
        **options.arguments(steps, options.batch_size),
        rollout_memory=options.vllm_memory,
        beta=options.beta,
        temperature=options.temperature,
        top_p=options.top_p,
        max_completion_length=options.max_completion_length or run.max_new_tokens,
        disable_dropout=True,
    )

    write = rollouts(run, tokenizer)
    lean = only_scored(run, whole, teacher)
    entropies: list[float] = []

    class OnPolicyTrainer(DistillationTrainer):
        def compute_loss(self, model: Any, inputs: Any, *given: Any, **more: Any) -> Any:
            with self.accelerator.autocast():  # which TRL's own does not enter
                if not lean:
                    return super().compute_loss(model, inputs, *given, **more)
                total, entropy = losses.divergence(whole, teacher, inputs, options)
            entropies.append(float(entropy / inputs["completion_mask"].sum()))
            return total / inputs["num_items_in_batch"]

        def log(self, logs: dict[str, float], *given: Any, **more: Any) -> None:
            if entropies:
                logs["entropy"] = sum(entropies) / len(entropies)
                entropies.clear()
            super().log(logs, *given, **more)

        def _generate_single_turn(self, prompt_ids: Any, *given: Any, **more: Any) -> Any:
            if write is None:
                return super()._generate_single_turn(prompt_ids, *given, **more)
            return write(prompt_ids, self)["completion_ids"]

    trainer = OnPolicyTrainer(
        model=student,
        teacher_model=teacher,
        args=DistillationConfig(**arguments),
        train_dataset=data,
        processing_class=tokenizer,
        callbacks=[run.callback()],
    )
    trainer.train(resume_from_checkpoint=run.resume)
    if size != common:
        whole.resize_token_embeddings(size, mean_resizing=False)
        with torch.no_grad():
            for head, rows in zip(
                [whole.get_input_embeddings(), whole.get_output_embeddings()], rest, strict=True
            ):
                head.weight[common:] = rows.to(head.weight)
    run.save(student)


def only_scored(run: Run, student: Any, teacher: Any) -> bool:
    """Return whether the loss is computed here, of scored tokens alone, and not by TRL.

    On a GPU TRL's kernels do that; several processes need its wrappers.
    """
    plain = has_plain_head(student) and has_plain_head(teacher)
    return run.device == "cpu" and run.group.size == 1 and plain


def expects(options: OnPolicyOptions, work: Workload) -> Expected:
    """Return what a run would do: the student generates, the teacher reads that."""
    return Expected(
        steps=work.steps(options.batch_size, options.epochs, options.max_steps),
        sequences=options.batch_size,
        length=work.prompt + work.answer,
        micro_batch=options.micro_batch_size or options.batch_size,
        rollouts=options.batch_size,
        taught=options.batch_size,
        limit=options.max_completion_length or work.limit,
        together=options.batch_size,
    )


TRAINER = Trainer(
    name="kd-on-policy",
    train=train,
    options=OnPolicyOptions,
    summary="the teacher's distribution over the student's own completions (reverse KL)",
    expects=expects,
    needs_teacher=True,
    same_tokenizer=True,
)
