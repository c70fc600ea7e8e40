"""The text of the `small` board's file."""

from __future__ import annotations

TOKENS = 1.6e6
"""Trained tokens that the budget of a cell would pay for, were nothing else paid for.

With 38M parameters that is 3.6e14 FLOPs. Sixty GRPO steps of 128 rollouts of 120 to 170 tokens,
eight FLOPs a parameter and token, are about 3.5e14, and so are 260 supervised steps of 64 rows. By
the formulas of `--dry-run` the former take one to two minutes of an H200, nearly all of it in the
128 decoding steps of about 10 ms that each batch of rollouts needs.
"""

TEMPLATE = """\
# Made by `harness small`{remark}. The models beside this file were trained from
# nothing; whoever trains them again gets other weights, and so another board (docs/small.md).
schema = 1
name = "small"
title = "Small: a {millions}M-parameter start model on generated problems{cut}"
start_model = "models/start"
teacher = "models/teacher"
plugins = ["small"]
trainers = [
  "sft", "sft-lora",
  "kd", "kd-sequence", "kd-on-policy",
  "rl",
  "sft+rl", "kd+rl", "sft+kd", "sft+kd+rl",
  "hybrid-joint",
]
seeds = [0, 1, 2]

[data]
train = ["small_word", "small_symbolic"]

[budget]
flops = {flops:.2g}
fill = true

[compute]
batch_size = 256
micro_batch_size = 128
stage_seconds = 7200

[[scores]]
task = "small_word"
max_new_tokens = 128
ranking = true{limit}

[[scores]]
task = "small_long"
max_new_tokens = 160{limit}

[[scores]]
task = "small_symbolic"
max_new_tokens = 96{limit}

# Between the rates of the tiny board and those of 0.5B parameters; not tuned. Every trainer spends
# the whole budget.
[options.sft]
learning_rate = 5e-5
batch_size = 64

[options.sft-lora]
learning_rate = 5e-4
batch_size = 64

[options.kd]
learning_rate = 5e-5
batch_size = 64

[options.kd-sequence]
learning_rate = 5e-5
batch_size = 64

[options.kd-on-policy]
learning_rate = 5e-5
batch_size = 64

[options.rl]
learning_rate = 2e-5
prompts_per_step = 16
num_generations = 8

[options.hybrid-joint]
learning_rate = 2e-5
prompts_per_step = 16
num_generations = 8
"""


def board_text(parameters: int, scale: float = 1.0) -> str:
    """Return the board for models of so many parameters; a cut-down one has a smaller budget.

    Args:
        parameters: Of the start model.
        scale: That of `harness small --scale`.
    """
    share = scale**0.5
    return TEMPLATE.format(
        remark="" if scale == 1 else f" --scale {scale:g}",
        millions=f"{parameters / 1e6:.2g}",
        cut="" if scale == 1 else " (a trial, cut down)",
        flops=6 * parameters * TOKENS * share,
        limit="" if scale == 1 else f"\nlimit = {max(20, round(500 * share))}",
    )
