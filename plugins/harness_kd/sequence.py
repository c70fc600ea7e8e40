"""`kd-sequence`: solutions that the teacher generates and the verifier confirms."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import pydantic
from harness_sft import PackedOptions, completion, expected, fine_tune
from pydantic import Field

from harness import Expected, Run, StageError, Trainer, Workload
from harness_kd import teacher

if TYPE_CHECKING:
    import datasets


class SequenceOptions(PackedOptions, frozen=True):
    """Options of `kd-sequence`: how the teacher generates, then how the student learns from it."""

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
    vllm_memory: float = Field(
        0.6, gt=0, lt=1, description="share of a GPU's memory for vLLM, where it is the engine"
    )

    @pydantic.model_validator(mode="after")
    def _samples_differ(self) -> SequenceOptions:
        if self.samples > 1 and self.temperature == 0:
            raise ValueError("samples > 1 are all the same at temperature 0; set a temperature")
        return self


def train(run: Run) -> None:
    """Fine-tune on the teacher's own solutions (Kim and Rush 2016, arXiv 1606.07947).

    Only those are kept whose final answer the verifier confirms, as in rejection sampling
    (Yuan et al. 2023, arXiv 2308.01825); the share kept is recorded.
    """
    fine_tune(run, teacher_solutions(run))


def teacher_solutions(run: Run) -> datasets.Dataset:
    """Return prompts with completions that the teacher generated and the verifier confirmed.

    They are kept in `run.scratch`, because a resumed run must learn from the same ones.

    Raises:
        StageError: If no solution is confirmed.
    """
    import datasets

    file = run.scratch / "teacher_solutions.jsonl"
    if not (run.resume and file.exists()):
        data, solutions = generated(run)
        if run.group.rank == 0:
            part = file.with_suffix(".part")
            part.write_text("\n".join(confirmed(run, data, solutions)), encoding="utf-8")
            os.replace(part, file)
        run.group.wait()
    head, *lines = file.read_text(encoding="utf-8").splitlines()
    run.note(**json.loads(head))
    if not lines:
        raise StageError("the verifier confirmed none of the teacher's solutions; nothing to learn")
    pairs = [json.loads(line) for line in lines]
    run.synthetic([one if isinstance(one, str) else one[0]["content"] for _, one in pairs])
    return datasets.Dataset.from_list([{"prompt": p, "completion": c} for p, c in pairs])


def generated(run: Run) -> tuple[datasets.Dataset, teacher.Solutions]:
    """Return training problems and the teacher's solutions, as far as its share goes."""
    options: SequenceOptions = run.options
    data = run.train_data().shuffle(seed=run.seed("teacher problems"))
    useful = run.steps(len(data), options.batch_size, options.epochs, options.max_steps)
    wanted = options.problems or -(-useful * options.batch_size // options.samples)
    data = data.select(range(min(wanted, len(data))))
    return data, teacher.generate_solutions(run, data["prompt"])


def confirmed(run: Run, data: Any, solutions: teacher.Solutions) -> list[str]:
    """Return lines of JSON: the facts for the record, then prompt and completion of each row."""
    pairs = [
        (row, text)
        for row, texts in zip(data, solutions, strict=False)  # the teacher's share may end early
        for text in texts
    ]
    right = run.correct(
        [text or "" for _, text in pairs],
        [row["answer"] for row, _ in pairs],
        [row["task"] for row, _ in pairs],
        [row["problem"] for row, _ in pairs],
    )
    lines, seen = [], set()
    for (row, text), verdict in zip(pairs, right, strict=True):
        if text is not None and verdict and (row["id"], text) not in seen:
            seen.add((row["id"], text))
            lines.append(json.dumps([row["prompt"], completion(run, text)]))
    facts = {
        "teacher_problems": len(solutions),
        "teacher_solutions": len(pairs),
        "teacher_confirmed": right.count(True),
        "teacher_truncated": sum(text is None for _, text in pairs),
        "teacher_kept": len(lines),
    }
    return [json.dumps(facts), *lines]


def expects(options: SequenceOptions, work: Workload) -> Expected:
    """Return what a run would do: the teacher generates, the student learns from that."""
    useful = work.steps(options.batch_size, options.epochs, options.max_steps)
    wanted = options.problems or -(-useful * options.batch_size // options.samples)
    problems = min(wanted, work.rows)
    return expected(
        options,
        work,
        work.prompt + work.answer,
        written=problems * options.samples,
        limit=options.max_new_tokens or work.limit,
        together=options.teacher_batch_size * options.samples,
    )


TRAINER = Trainer(
    name="kd-sequence",
    train=train,
    options=SequenceOptions,
    summary="solutions that the teacher writes and the verifier confirms",
    expects=expects,
    needs_teacher=True,
)
