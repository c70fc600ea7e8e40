"""What a stage would cost: tokens, FLOPs, seconds and memory, from sizes alone.

Every formula and assumed share is stated in `docs/boards.md`, section "The plan". None of it has
been fitted to measurements; an estimate that is off by a factor of two is no surprise.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass

import pydantic

from harness.boards.file import Compute, ScoreTable
from harness.forecast import gpus
from harness.forecast.gpus import Gpu
from harness.forecast.model_sizes import Shape
from harness.plugin.workload import Expected, Workload

CHARACTERS = 3.5
"""Assumed characters of mathematical English to a token."""
TEMPLATE = 25
"""Assumed tokens of a chat template around a message; Qwen's has a system prompt."""
ANSWER_SHARE = 0.55
"""Assumed length of an answer as a share of its limit.

verl's public log of Qwen2.5-0.5B-Instruct on GSM8K has 273 to 314 tokens of 512
(github.com/eric-haibin-lin/verl-data, branch experiments).
"""
START_SECONDS = {"cpu": 1.0, "cuda": 30.0}
"""Assumed seconds of a stage before it works: imports, loading, saving."""
FILLED = 0.9
"""Share of a GPU's memory that a stage may fill; the rest is fragments and other libraries."""
VLLM_SEQUENCES = 256
"""Sequences that vLLM decodes at once by default."""


class Estimate(pydantic.BaseModel, frozen=True):
    """What a stage would cost."""

    steps: int = 0
    trained_tokens: float = 0
    generated_tokens: float = 0  # written by the student; in scoring by the checkpoint
    teacher_tokens: float = 0  # read or written by the teacher
    flops: float | None = None
    seconds: float | None = None
    gpus: int = 1
    memory_bytes: float | None = None  # of one GPU
    fits: bool = True  # in the memory of the GPU that is planned for
    micro_batch: int | None = None  # rows of one forward pass, after halving until it fits
    source: str = ""  # where the seconds are from


@dataclass(frozen=True)
class Machine:
    """What a stage would run on: a GPU, or CPU threads."""

    gpu: Gpu | None
    threads: int = 1

    @property
    def device(self) -> str:
        """Return `cuda` or `cpu`."""
        return "cuda" if self.gpu else "cpu"

    def compute(self, flops: float, share: float) -> float:
        """Return the seconds of matrix products at a share of the peak."""
        return flops / (self.gpu.flops * share if self.gpu else gpus.CPU_FLOPS * self.threads)

    def decode(
        self, shape: Shape, sequences: int, together: int, context: float, tokens: int, engine: str
    ) -> float:
        """Return the seconds in which `sequences` are written, `together` at a time.

        Every batch runs for `tokens` steps: the longest of many answers is about that long. A step
        takes as long as reading the weights and the cache of `context` tokens a sequence, but with
        transformers' own loop no less than its launches; vLLM refills, so it pays for the mean.
        """
        if self.gpu is None:
            return self.compute(2 * shape.parameters * sequences * tokens * ANSWER_SHARE, 1)
        if engine == "vllm":
            together, tokens = VLLM_SEQUENCES, math.ceil(tokens * ANSWER_SHARE)
        rows = min(together, sequences)
        if not rows:
            return 0.0
        moved = 2 * shape.parameters + rows * context * shape.cache_bytes
        step = moved / (self.gpu.bandwidth * gpus.BANDWIDTH_SHARE)
        step = max(step, 2 * shape.parameters * rows / (self.gpu.flops * gpus.READING_SHARE))
        if engine != "vllm":
            step = max(step, shape.layers * gpus.LAUNCH_SECONDS)
        return math.ceil(sequences / rows) * tokens * step


def training(
    expected: Expected,
    work: Workload,
    caps: dict[str, float],
    student: Shape,
    teacher: Shape | None,
    machine: Machine,
    compute: Compute,
) -> Estimate:
    """Return the cost of a training stage: what its options ask for, within its caps."""
    size = student.parameters
    guide = teacher.parameters if teacher else 0
    written = work.prompt + work.answer
    gradient = (4 + 2 * expected.adapter) * size * expected.sequences * expected.length
    reading = 2 * size * expected.reference * expected.length
    reading += 2 * guide * expected.taught * expected.length
    rollouts = 2 * size * expected.rollouts * written
    before = 2 * guide * expected.written * written
    if caps.get("flops"):
        before = min(before, caps["flops"] / 2)
    teacher_first = before / (2 * guide) if guide else 0.0

    recompute = 4 / 3 if compute.gradient_checkpointing else 1
    step_seconds = (
        machine.compute(gradient * recompute, gpus.TRAINING_SHARE)
        + machine.compute(reading, gpus.READING_SHARE)
        + machine.decode(
            student, expected.rollouts, expected.together, written, expected.limit, compute.engine
        )
    ) / compute.gpus
    first_seconds = 0.0
    if teacher and before:
        problems = round(teacher_first / written)
        first_seconds = machine.decode(
            teacher, problems, expected.together, written, expected.limit, compute.engine
        )

    step_flops = gradient + reading + rollouts
    trained = expected.sequences * expected.length
    wanted: list[float] = [expected.steps]
    for name, (spent, each) in {
        "steps": (0, 1.0),
        "trained_tokens": (0, trained),
        "flops": (before, step_flops),
        "seconds": (first_seconds, step_seconds),
    }.items():
        if name in caps:
            wanted.append(max(0, math.floor((caps[name] - spent) / each)))
    steps = max(1, int(min(wanted)))
    micro, memory, fits = _micro_batch(expected, work, student, teacher, machine, compute)
    return Estimate(
        steps=steps,
        trained_tokens=steps * trained,
        generated_tokens=steps * expected.rollouts * work.answer,
        teacher_tokens=teacher_first + steps * expected.taught * expected.length,
        flops=before + steps * step_flops,
        seconds=START_SECONDS[machine.device] + first_seconds + steps * step_seconds,
        gpus=compute.gpus,
        memory_bytes=memory,
        fits=fits,
        micro_batch=micro,
        source="sizes",
    )


def _micro_batch(
    expected: Expected,
    work: Workload,
    student: Shape,
    teacher: Shape | None,
    machine: Machine,
    compute: Compute,
) -> tuple[int, float | None, bool]:
    """Return the rows of a forward pass, halved until it fits, its memory, and whether it fits."""
    batch = expected.sequences
    if expected.rollouts:  # written by all processes together, each its part
        batch = expected.together
        expected = dataclasses.replace(expected, together=max(1, batch // compute.gpus))
    rows = min(compute.micro_batch_size or expected.micro_batch, expected.micro_batch)
    rows = max(1, min(rows, batch // compute.gpus))
    if machine.gpu is None:
        return rows, None, True
    room = FILLED * machine.gpu.memory
    checkpointing = compute.gradient_checkpointing
    while True:
        needed = memory(expected, work, student, teacher, rows, checkpointing=checkpointing)
        if needed <= room or rows == 1:
            return rows, needed, needed <= room
        rows //= 2


def memory(
    expected: Expected,
    work: Workload,
    student: Shape,
    teacher: Shape | None,
    rows: int,
    *,
    checkpointing: bool = False,
) -> float:
    """Return the bytes of GPU memory at the peak of a training stage.

    Weights, gradients and AdamW's two moments in float32 are 16 bytes a parameter, the bfloat16
    copies of autocast 2 more. Activations are counted from what each layer keeps for its backward
    pass: two norms and the residual stream, queries, keys, values, the attention's output, and
    four tensors of the feed-forward network's width (18 h + 8 kv + 8 f bytes a token); with
    gradient checkpointing only the residual stream, and one layer at a time. Logits are float32,
    three copies. Generation holds the cache of all sequences that are written at once.
    """
    states = (6 + 12 * expected.adapter) * student.parameters
    longest = max(2 * expected.length, work.prompt + expected.limit if expected.limit else 0)
    tokens = rows * longest
    layer = 18 * student.hidden + 8 * student.kv + 8 * student.inner
    if checkpointing:
        activations = tokens * (4 * student.hidden * student.layers + layer)
    else:
        activations = tokens * layer * student.layers
    logits = min(tokens, expected.logits) * student.vocabulary * 12
    writer = student if expected.rollouts else teacher
    cache = 0.0
    if writer and expected.limit:
        cache = expected.together * (work.prompt + expected.limit) * writer.cache_bytes
    guide = 2 * teacher.parameters if teacher and (expected.taught or expected.written) else 0
    return states + guide + max(activations + logits, cache)


def scoring(
    tables: list[tuple[ScoreTable, int, float]], shape: Shape, machine: Machine, compute: Compute
) -> Estimate:
    """Return the cost of generating the answers of one checkpoint.

    Args:
        tables: Each score with its problems and the mean length of a prompt in tokens.
        shape: The model's size.
        machine: Where it runs.
        compute: The board's table: batch size and engine.
    """
    tokens = flops = seconds = cache = 0.0
    for table, problems, prompt in tables:
        answers = problems * table.samples
        written = answers * ANSWER_SHARE * table.max_new_tokens
        tokens += written
        flops += 2 * shape.parameters * (answers * prompt + written)
        seconds += machine.compute(2 * shape.parameters * answers * prompt, gpus.READING_SHARE)
        seconds += machine.decode(
            shape,
            answers,
            compute.batch_size,
            prompt + ANSWER_SHARE * table.max_new_tokens,
            table.max_new_tokens,
            compute.engine,
        )
        together = VLLM_SEQUENCES if compute.engine == "vllm" else compute.batch_size
        longest = 1.5 * prompt + table.max_new_tokens
        cache = max(cache, min(together, answers) * longest * shape.cache_bytes)
    logits = compute.batch_size * shape.vocabulary * 8
    needed = 2 * shape.parameters + cache + logits if machine.gpu else None
    return Estimate(
        generated_tokens=tokens,
        flops=flops,
        seconds=START_SECONDS[machine.device] + seconds,
        memory_bytes=needed,
        fits=machine.gpu is None or (needed or 0) <= FILLED * machine.gpu.memory,
        source="sizes",
    )
