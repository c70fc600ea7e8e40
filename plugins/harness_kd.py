"""Knowledge distillation from the board's teacher, in its three usual kinds.

`kd` learns the teacher's next-token distribution over the training solutions, `kd-sequence` learns
from solutions that the teacher writes, `kd-on-policy` lets the teacher correct what the student
writes. `docs/trainers.md` names their sources.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import pydantic
from pydantic import Field

from harness import (
    Expected,
    OptimiserOptions,
    Run,
    StageError,
    Trainer,
    Workload,
    hookimpl,
)

if TYPE_CHECKING:
    import datasets
    import torch

CHUNK = 2048  # tokens whose logits are held at once by `kd`


class KdOptions(OptimiserOptions, frozen=True):
    """Options of `kd`."""

    epochs: float = Field(3.0, gt=0, description="passes over the training data")
    batch_size: int = Field(32, gt=0, description="rows in an optimiser step")
    max_length: int = Field(1024, gt=0, description="tokens; longer rows are left out, never cut")
    temperature: float = Field(1.0, gt=0, description="both distributions are softened by it")
    alpha: float = Field(0.5, ge=0, le=1, description="weight of the KL term; the rest is NLL")


class SequenceOptions(OptimiserOptions, frozen=True):
    """Options of `kd-sequence`: how the teacher writes, then how the student learns from it."""

    problems: int | None = Field(
        None, gt=0, description="problems put to the teacher; by default as many as steps can use"
    )
    samples: int = Field(1, gt=0, description="solutions to each problem")
    temperature: float = Field(0.0, ge=0, description="of the teacher's sampling; 0 is greedy")
    top_p: float = Field(1.0, gt=0, le=1, description="of the teacher's sampling")
    max_new_tokens: int | None = Field(
        None, gt=0, description="tokens of a solution; by default the limit of the board's scores"
    )
    teacher_batch_size: int = Field(64, gt=0, description="problems generated at once")
    teacher_share: float = Field(0.5, gt=0, lt=1, description="share of the budget for the teacher")
    epochs: float = Field(3.0, gt=0, description="passes over the confirmed solutions")
    batch_size: int = Field(32, gt=0, description="rows in an optimiser step")
    max_length: int = Field(1024, gt=0, description="tokens; longer rows are left out, never cut")

    @pydantic.model_validator(mode="after")
    def _samples_differ(self) -> SequenceOptions:
        if self.samples > 1 and self.temperature == 0:
            raise ValueError("samples > 1 are all the same at temperature 0; set a temperature")
        return self


class OnPolicyOptions(OptimiserOptions, frozen=True):
    """Options of `kd-on-policy`."""

    learning_rate: float = Field(1e-6, gt=0, description="peak learning rate of AdamW")
    batch_size: int = Field(32, gt=0, description="problems, with a completion each, in a step")
    beta: float = Field(1.0, ge=0, le=1, description="0 forward KL, 0.5 Jensen-Shannon, 1 reverse")
    temperature: float = Field(1.0, gt=0, description="of sampling and of both distributions")
    top_p: float = Field(1.0, gt=0, le=1, description="of the student's sampling")
    max_completion_length: int | None = Field(
        None, gt=0, description="tokens of a completion; by default the limit of the board's scores"
    )


def train_logits(run: Run) -> None:
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
    teacher = run.teacher_model()

    class LogitTrainer(SFTTrainer):
        def compute_loss(
            self,
            model: Any,
            inputs: dict[str, torch.Tensor],
            return_outputs: bool = False,
            num_items_in_batch: torch.Tensor | None = None,
        ) -> torch.Tensor:
            with self.accelerator.autocast():
                total = distillation_loss(model, teacher, inputs, options)
            tokens = (inputs["labels"][:, 1:] != -100).sum()
            return total / (
                tokens.clamp(min=1) if num_items_in_batch is None else num_items_in_batch
            )

    arguments = run.arguments(**options.arguments(steps, options.batch_size), max_length=None)
    trainer = LogitTrainer(
        model=run.student(),
        args=SFTConfig(**arguments),
        train_dataset=rows,
        processing_class=tokenizer,
        callbacks=[run.callback()],
    )
    run.note(common_vocabulary=common_vocabulary(trainer.model, teacher))
    trainer.train(resume_from_checkpoint=run.resume)
    run.save(trainer.model)


def common_vocabulary(student: Any, teacher: Any) -> int:
    """Return how many token ids both models have."""
    return min(student.config.vocab_size, teacher.config.vocab_size)


def distillation_loss(
    student: Any, teacher: Any, inputs: dict[str, torch.Tensor], options: KdOptions
) -> torch.Tensor:
    """Return the loss of `kd`, summed over the completion tokens of a batch.

    `inputs` holds `input_ids`, `attention_mask` and `labels` of shape (rows, length). Logits are
    made for completion tokens only, `CHUNK` at a time, and made again in the backward pass.
    """
    import torch
    from torch.utils.checkpoint import checkpoint

    targets = inputs["labels"][:, 1:]
    kept = targets != -100
    body = {name: inputs[name] for name in ("input_ids", "attention_mask")}
    hidden = student.base_model(**body, use_cache=False).last_hidden_state[:, :-1][kept]
    with torch.no_grad():
        guide = teacher.base_model(**body, use_cache=False).last_hidden_state[:, :-1][kept]
    total = hidden.new_zeros((), dtype=torch.float32)
    pieces = zip(hidden.split(CHUNK), guide.split(CHUNK), targets[kept].split(CHUNK), strict=True)
    for piece in pieces:
        if len(hidden) <= CHUNK:
            total = total + _chunk_loss(student, teacher, options, *piece)
        else:
            total = total + checkpoint(
                _chunk_loss, student, teacher, options, *piece, use_reentrant=False
            )
    return total


def _chunk_loss(
    student: Any,
    teacher: Any,
    options: KdOptions,
    hidden: torch.Tensor,
    guide: torch.Tensor,
    targets: torch.Tensor,
) -> torch.Tensor:
    """Return the summed loss of `hidden` and `guide`, of shapes (tokens, width of the model)."""
    import torch
    from torch.nn.functional import cross_entropy, kl_div, log_softmax

    logits = _logits(student, hidden)
    nll = cross_entropy(logits, targets, reduction="sum")
    common = common_vocabulary(student, teacher)
    softened = log_softmax(logits[:, :common] / options.temperature, dim=-1)
    with torch.no_grad():
        aim = log_softmax(_logits(teacher, guide)[:, :common] / options.temperature, dim=-1)
    kl = kl_div(softened, aim, reduction="sum", log_target=True)
    return options.alpha * options.temperature**2 * kl + (1 - options.alpha) * nll


def _logits(model: Any, hidden: torch.Tensor) -> torch.Tensor:
    logits = model.get_output_embeddings()(hidden).float()
    cap = getattr(model.config, "final_logit_softcapping", None)
    return logits if cap is None else cap * (logits / cap).tanh()


def train_sequence(run: Run) -> None:
    """Fine-tune on the teacher's own solutions (Kim and Rush 2016, arXiv 1606.07947).

    Only those are kept whose final answer the verifier confirms, as in rejection sampling
    (Yuan et al. 2023, arXiv 2308.01825); the share kept is recorded.
    """
    from trl import SFTConfig, SFTTrainer

    options: SequenceOptions = run.options
    tokenizer = run.tokenizer()
    solutions = teacher_solutions(run)
    rows = run.tokenized(tokenizer, options.max_length, solutions)
    steps = run.steps(len(rows), options.batch_size, options.epochs, options.max_steps)
    arguments = run.arguments(**options.arguments(steps, options.batch_size), max_length=None)
    trainer = SFTTrainer(
        model=run.student(),
        args=SFTConfig(**arguments),
        train_dataset=rows,
        processing_class=tokenizer,
        callbacks=[run.callback()],
    )
    trainer.train(resume_from_checkpoint=run.resume)
    run.save(trainer.model)


def teacher_solutions(run: Run) -> datasets.Dataset:
    """Return prompts with completions that the teacher wrote and the verifier confirmed.

    They are kept in `run.scratch`, because a resumed run must learn from the same ones.

    Raises:
        StageError: If no solution is confirmed.
    """
    import datasets

    options: SequenceOptions = run.options
    file = run.scratch / "teacher_solutions.jsonl"
    if not (run.resume and file.exists()):
        data = run.train_data().shuffle(seed=run.seed("teacher problems"))
        useful = run.steps(len(data), options.batch_size, options.epochs, options.max_steps)
        wanted = options.problems or -(-useful * options.batch_size // options.samples)
        data = data.select(range(min(wanted, len(data))))
        texts = list(write_solutions(run, data))
        lines = []
        written = [(row, text) for row, group in zip(data, texts, strict=False) for text in group]
        right = run.correct(
            [text or "" for _, text in written],
            [row["answer"] for row, _ in written],
            [row["task"] for row, _ in written],
        )
        seen = set()
        for (row, text), confirmed in zip(written, right, strict=True):
            if text is not None and confirmed and (row["id"], text) not in seen:
                seen.add((row["id"], text))
                lines.append(json.dumps([row["prompt"], _completion(run, text)]))
        facts = {
            "teacher_problems": len(texts),
            "teacher_solutions": len(written),
            "teacher_confirmed": right.count(True),
            "teacher_truncated": sum(text is None for _, text in written),
            "teacher_kept": len(lines),
        }
        part = file.with_suffix(".part")
        part.write_text("\n".join([json.dumps(facts), *lines]), encoding="utf-8")
        os.replace(part, file)
    head, *lines = file.read_text(encoding="utf-8").splitlines()
    run.note(**json.loads(head))
    if not lines:
        raise StageError("the verifier confirmed none of the teacher's solutions; nothing to learn")
    pairs = [json.loads(line) for line in lines]
    return datasets.Dataset.from_list([{"prompt": p, "completion": c} for p, c in pairs])


def _completion(run: Run, text: str) -> Any:
    if run.protocol.chat:
        return [{"role": "assistant", "content": text.strip()}]
    return f"{text.rstrip()}\n\n"


def write_solutions(run: Run, data: datasets.Dataset) -> Any:
    """Yield for each row a list of `samples` texts of the teacher; one cut at the limit is None.

    Ends early when the teacher's share of the budget is spent.
    """
    import torch
    from transformers import AutoTokenizer

    options: SequenceOptions = run.options
    tokenizer = AutoTokenizer.from_pretrained(
        run.teacher, padding_side="left", trust_remote_code=False
    )
    tokenizer.pad_token = tokenizer.pad_token or tokenizer.eos_token
    teacher = run.teacher_model()
    ends = teacher.generation_config.eos_token_id
    ends = {tokenizer.eos_token_id, *(ends if isinstance(ends, list) else [ends])} - {None}
    sampling = {"do_sample": False, "temperature": None, "top_p": None, "top_k": None}
    if options.temperature:
        sampling = {"do_sample": True, "top_k": 0}
        sampling |= {"temperature": options.temperature, "top_p": options.top_p}
    if run.protocol.stop:
        sampling |= {"stop_strings": list(run.protocol.stop), "tokenizer": tokenizer}
    torch.manual_seed(run.seed("teacher"))
    for batch in data.iter(options.teacher_batch_size):
        if run.budget.fraction >= options.teacher_share:
            return
        prompts = batch["prompt"]
        if run.protocol.chat:
            prompts = tokenizer.apply_chat_template(
                prompts, add_generation_prompt=True, tokenize=False
            )
        inputs = tokenizer(prompts, return_tensors="pt", padding=True, add_special_tokens=False).to(
            run.device
        )
        written = teacher.generate(
            input_ids=inputs["input_ids"],
            attention_mask=inputs["attention_mask"],
            max_new_tokens=options.max_new_tokens or run.max_new_tokens,
            num_return_sequences=options.samples,
            eos_token_id=sorted(ends),
            pad_token_id=tokenizer.pad_token_id,
            **sampling,
        )[:, inputs["input_ids"].shape[1] :]
        texts = tokenizer.batch_decode(written, skip_special_tokens=True)
        whole = [
            run.cut(text) if ends & set(ids) or run.cut(text) != text else None
            for text, ids in zip(texts, written.tolist(), strict=True)
        ]
        for start in range(0, len(whole), options.samples):
            yield whole[start : start + options.samples]


def train_on_policy(run: Run) -> None:
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
    student, teacher = run.student(), run.teacher_model()
    common, size = common_vocabulary(student, teacher), student.config.vocab_size
    if max(tokenizer.get_vocab().values()) >= common:
        raise StageError(f"the tokenizer has ids beyond the {common} that both models have")
    heads = [student.get_input_embeddings(), student.get_output_embeddings()]
    rest = [head.weight[common:].detach().clone() for head in heads]
    for model in (student, teacher):
        if model.config.vocab_size != common:
            model.resize_token_embeddings(common)
    teacher.requires_grad_(False)
    run.note(common_vocabulary=common)
    arguments = run.arguments(
        **options.arguments(steps, options.batch_size),
        beta=options.beta,
        temperature=options.temperature,
        top_p=options.top_p,
        max_completion_length=options.max_completion_length or run.max_new_tokens,
        disable_dropout=True,
    )
    trainer = DistillationTrainer(
        model=student,
        teacher_model=teacher,
        args=DistillationConfig(**arguments),
        train_dataset=data,
        processing_class=tokenizer,
        callbacks=[run.callback()],
    )
    trainer.train(resume_from_checkpoint=run.resume)
    if size != common:
        student.resize_token_embeddings(size, mean_resizing=False)
        with torch.no_grad():
            for head, rows in zip(
                [student.get_input_embeddings(), student.get_output_embeddings()], rest, strict=True
            ):
                head.weight[common:] = rows.to(head.weight)
    run.save(student)


def expects_logits(options: KdOptions, work: Workload) -> Expected:
    """Return what a run of `kd` would do: student and teacher read the same rows."""
    return Expected(
        steps=work.steps(options.batch_size, options.epochs, options.max_steps),
        sequences=options.batch_size,
        length=work.prompt + work.solution,
        micro_batch=options.micro_batch_size or options.batch_size,
        taught=options.batch_size,
        logits=2 * CHUNK,
    )


def expects_sequence(options: SequenceOptions, work: Workload) -> Expected:
    """Return what a run of `kd-sequence` would do: the teacher writes, the student reads."""
    useful = work.steps(options.batch_size, options.epochs, options.max_steps)
    wanted = options.problems or -(-useful * options.batch_size // options.samples)
    problems = min(wanted, work.rows)
    return Expected(
        steps=useful,
        sequences=options.batch_size,
        length=work.prompt + work.answer,
        micro_batch=options.micro_batch_size or options.batch_size,
        written=problems * options.samples,
        limit=options.max_new_tokens or work.limit,
        together=options.teacher_batch_size * options.samples,
    )


def expects_on_policy(options: OnPolicyOptions, work: Workload) -> Expected:
    """Return what a run of `kd-on-policy` would do: the student writes, the teacher reads it."""
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


@hookimpl
def harness_trainers() -> list[Trainer]:
    """Offer `kd`, `kd-sequence` and `kd-on-policy`."""
    return [
        Trainer(
            name="kd",
            train=train_logits,
            options=KdOptions,
            summary="the teacher's token distribution over the training solutions (forward KL)",
            expects=expects_logits,
            needs_teacher=True,
            same_tokenizer=True,
        ),
        Trainer(
            name="kd-sequence",
            train=train_sequence,
            options=SequenceOptions,
            summary="solutions that the teacher writes and the verifier confirms",
            expects=expects_sequence,
            needs_teacher=True,
        ),
        Trainer(
            name="kd-on-policy",
            train=train_on_policy,
            options=OnPolicyOptions,
            summary="the teacher's distribution over the student's own completions (reverse KL)",
            expects=expects_on_policy,
            needs_teacher=True,
            same_tokenizer=True,
        ),
    ]
