"""Makes the models of the `small` board from nothing, and the board's file beside them.

One network learns from fresh draws of all three families; that is the teacher. The start model is a
copy of it from before it was finished, taught the tiny board's mixture of behaviours. No problem of
a hold-out or test split is ever drawn. All sizes and rates were set by calculation and by cut-down
runs on a CPU; the full-size models have not been made yet.
"""

from __future__ import annotations

import copy
import dataclasses
import json
import os
import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness_tiny.lessons import grouped
from harness_tiny.make_tokenizer import make_tokenizer
from harness_tiny.train_models import accuracy, as_llama, new_model, train

from harness import UsageError
from harness_small.board import board_text
from harness_small.problems import SMALL, fresh

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedTokenizerFast

VOCABULARY = 1024
LONGEST = 1024  # tokens of a prompt with its solution, at most
RATES = 2e-3, 2e-3  # of Muon and AdamW; a quarter of the tiny model's, which is 4 times narrower
BRANCH = 0.4  # share of the teacher's steps after which the start model branches off
HABIT_SHARE = 0.06  # its further steps, as a share of the teacher's
HABIT_RATE = 0.5
ANSWER_LIMIT = 160


@dataclasses.dataclass(frozen=True)
class Settings:
    """What `--scale` changes.

    Attributes:
        scale: 1 for the full board.
        layers: Of both models.
        width: Of the residual stream; the feed-forward network is three times as wide.
        batch: Rows in a step.
        steps: Of the teacher.
        questions: Of each family, for the figures in `figures.json`.
    """

    scale: float
    layers: int
    width: int
    batch: int
    steps: int
    questions: int

    @classmethod
    def of(cls, scale: float) -> Settings:
        """Return the settings of a scale, from 0 to 1."""
        root = scale**0.5
        return cls(
            scale=scale,
            layers=max(2, round(12 * root)),
            width=64 * max(1, round(8 * root)),
            batch=max(16, round(256 * root)),
            steps=max(8, round(6000 * scale)),
            questions=max(20, round(500 * root)),
        )

    @property
    def shape(self) -> dict[str, Any]:
        """Return the model's shape as its configuration names it."""
        heads = max(2, self.width // 64)
        return {
            "hidden_size": self.width,
            "intermediate_size": 3 * self.width,
            "num_hidden_layers": self.layers,
            "num_attention_heads": heads,
            "num_key_value_heads": heads // 2,
            "max_position_embeddings": LONGEST,
        }


def make(out: Path, scale: float, device: str, log: Callable[[str], None]) -> Path:
    """Train both models, write the board folder, and return the path of the board file.

    Args:
        out: Gets `small.toml`, `models/start`, `models/teacher` and `models/figures.json`.
        scale: 1 for the full board, less for a trial.
        device: `auto`, `cpu` or `cuda`.
        log: Called with lines for people.

    Raises:
        UsageError: If a GPU is asked for and there is none.
    """
    import torch

    there = torch.cuda.is_available()
    if device == "cuda" and not there:
        raise UsageError("--device cuda: no GPU is visible to torch")
    place = "cuda" if there and device != "cpu" else "cpu"
    settings = Settings.of(scale)
    workers = max(1, min(8, len(os.sched_getaffinity(0)) - 1))
    torch.manual_seed(SMALL.seed)
    root = settings.scale**0.5
    tokenizer = make_tokenizer(SMALL, VOCABULARY, LONGEST, rows=max(400, round(4000 * root)))
    model: Any = new_model(tokenizer, settings.shape)
    model.to(place)
    size = sum(parameter.numel() for parameter in model.parameters())
    log(f"{size:,} parameters, {settings.steps} steps of {settings.batch} rows on {place}")
    branch: list[Any] = []

    def at_step(step: int) -> None:
        if step == max(1, round(BRANCH * settings.steps)):
            branch.append(copy.deepcopy(model))

    began = time.perf_counter()
    steps = settings.steps
    train(
        model,
        _batches(tokenizer, "teacher", steps, settings.batch, workers),
        steps,
        lambda step: min(1.0, step / 100, (steps + 1 - step) / (0.75 * steps)),
        log,
        at_step,
        RATES,
    )
    habit_steps = max(4, round(HABIT_SHARE * steps))
    train(
        branch[0],
        _batches(tokenizer, "start", habit_steps, settings.batch, workers),
        habit_steps,
        lambda step: HABIT_RATE * (1 - (step - 1) / habit_steps),
        log,
        rates=RATES,
    )
    figures: dict[str, object] = {
        "parameters": size,
        "seconds": round(time.perf_counter() - began),
        "device": torch.cuda.get_device_name() if place == "cuda" else "cpu",
        **dataclasses.asdict(settings),
    }
    for name, trained in (("teacher", model), ("start", branch[0])):
        made: Any = as_llama(trained.float().cpu())
        made.save_pretrained(out / "models" / name)
        tokenizer.save_pretrained(out / "models" / name)
        made.to(place).eval()
        right = {
            family: accuracy(
                made, tokenizer, SMALL.rows(family, "test")[: settings.questions], 0.0, ANSWER_LIMIT
            )
            for family in SMALL.families
        }
        figures[name] = {family: round(100 * sum(r) / len(r), 1) for family, r in right.items()}
        log(f"{name}: % right of {settings.questions} each: {figures[name]}")
    (out / "models" / "figures.json").write_text(json.dumps(figures, indent=2) + "\n")
    board = out / "small.toml"
    board.write_text(board_text(size, settings.scale), encoding="utf-8")
    return board


def _batches(
    tokenizer: PreTrainedTokenizerFast, purpose: str, steps: int, size: int, workers: int
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Yield `steps` batches or a few more, rows of like length together."""
    rng = random.Random(f"small order:{purpose}:{SMALL.seed}")
    for pairs in fresh(purpose, steps * size, workers):
        yield from grouped(tokenizer, pairs, rng, size)
