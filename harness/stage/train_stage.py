"""A training stage as the harness sees it: what its run is made of, and what the run leaves."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

from harness import checkpoints, scratch
from harness.errors import StageError
from harness.records import Cost
from harness.stage.budget import Budget
from harness.stage.computed.compiled import compile_layers, prepare
from harness.stage.decoding.decoder import Decoder
from harness.stage.decoding.passes import Kept
from harness.stage.decoding.writing import Half, Written, write
from harness.stage.models import load_model, sharded
from harness.stage.processes import Group
from harness.stage.spec import MOST_STEPS, TrainSpec
from harness.tasks.protocols import Protocol
from harness.verify import Conventions, Verdict, VerifierPool

COST_FILE = "harness_cost.json"  # of a training checkpoint; without it none is resumed from
BEFORE_FILE = "cost_before_steps.json"  # in `scratch`: what was spent before the first step
Rows = Sequence[Mapping[str, str]]


@dataclass
class TrainStage:
    """What a trainer sees of it is a `Run`."""

    spec: TrainSpec
    folder: Path  # with `checkpoint` and `events.jsonl`, the learning curves
    options: Any  # the trainer's, validated
    protocol: Protocol  # of the ranking score
    budget: Budget
    verifier: VerifierPool
    rows: Rows  # with `id`, `task`, `problem`, `solution` and `answer`
    holdout: Rows  # the same, held out of training
    traces: Rows  # the same, with solutions that a stronger model wrote
    group: Group
    micro_batch_size: int | None  # rows of a forward pass, where board or memory fix them
    notes: dict[str, Any] = field(default_factory=dict)  # for the cell's record
    row_tokens: float = 0.0  # mean of the rows that are learnt from, once they are tokenized
    # rows of one process in a forward pass and in an optimiser step; None where the trainer did
    # not let the host divide its batch
    forward_rows: tuple[int, int] | None = None
    # of a model whose answers have once filled the memory, how many are written at once since
    room: WeakKeyDictionary[Any, int] = field(default_factory=WeakKeyDictionary)
    kept: WeakKeyDictionary[Any, Kept] = field(default_factory=WeakKeyDictionary)  # and of models
    halves: WeakKeyDictionary[Any, Half] = field(default_factory=WeakKeyDictionary)  # of models

    def __post_init__(self) -> None:
        if self.spec.compute.compile:
            prepare(self.spec.identity.device, self.scratch / "compiled")

    @property
    def scratch(self) -> Path:
        return scratch.place(self.folder)

    def arguments(self) -> dict[str, Any]:
        """Return the TrainingArguments that every trainer shares, but for the seeds."""
        on_gpu = self.spec.identity.device != "cpu"
        save_every = self.spec.compute.save_every
        return {
            "output_dir": str(self.scratch / scratch.CHECKPOINTS),
            "bf16": self.spec.identity.dtype == "bfloat16",
            "use_cpu": not on_gpu,
            "gradient_checkpointing": self.spec.compute.gradient_checkpointing,
            "report_to": list(self.spec.report_to) or "none",
            "run_name": self.spec.name or None,
            "disable_tqdm": True,
            "logging_steps": 1,
            "logging_nan_inf_filter": False,
            "save_strategy": "steps" if save_every else "no",
            "save_steps": save_every or 500,
            "save_total_limit": 2,
            "dataloader_pin_memory": on_gpu,
        }

    def load(self, folder: Path, dtype: str, *, packed: bool) -> Any:
        """Return a model as `models.load_model` does, compiled where the board wants that."""
        model = load_model(folder, dtype, self.spec.identity.device, packed=packed)
        if self.spec.compute.compile:
            compile_layers(model, self.notes)
        return model

    def rollouts(self, memory: float) -> dict[str, Any]:
        """Return TRL's arguments for rollouts; vLLM gets the share `memory` of a GPU's."""
        if self.spec.identity.engine != "vllm":
            return {}
        stop = list(self.protocol.stop)
        return {
            "use_vllm": True,
            "vllm_mode": "colocate",
            "vllm_gpu_memory_utilization": memory,
            "generation_kwargs": {"stop": stop} if stop else None,
        }

    def generate(
        self,
        model: Any,
        tokenizer: Any,
        how: tuple[int, Sequence[str], float, float],
        prompts: Sequence[Any],
        samples: int,
        limit: int,
    ) -> list[list[Written]]:
        """Return answers to prompts; `how` is the rest of what makes a `Decoder`, rows first."""
        if sharded(model):
            raise StageError(
                "weights that are spread over processes (FSDP, DeepSpeed) cannot generate here;"
                " where run.group.sharded is true, leave it to the trainer's library"
            )
        base = model.get_base_model() if hasattr(model, "get_base_model") else model
        rows, stop, temperature, top_p = how
        rows = min(rows, self.room.get(base, rows))
        kept = self.kept.setdefault(base, Kept())
        decoder = Decoder(base, tokenizer, rows, stop, temperature, top_p, kept=kept)
        given = list(prompts)
        if given and not isinstance(given[0][0], int):
            if self.protocol.chat:
                given = tokenizer.apply_chat_template(
                    given, add_generation_prompt=True, tokenize=False
                )
            given = tokenizer(given, add_special_tokens=False)["input_ids"]
        half = None
        if self.spec.identity.dtype == "bfloat16":
            half = self.halves.setdefault(base, Half())
        answers = write(decoder, given, samples, limit, half=half)
        if (smallest := decoder.smallest) is not None:
            self.notes["smallest_batch"] = min(smallest, self.notes.get("smallest_batch", smallest))
        if decoder.room is not None:
            self.room[base] = decoder.room
        self.notes |= decoder.way.note
        return answers

    def correct(
        self,
        texts: Sequence[str],
        answers: Sequence[str],
        tasks: Sequence[str] | None,
        problems: Sequence[str] | None,
    ) -> list[bool | None]:
        """Return whether each text's final answer is right; None where it cannot be graded."""
        conventions = self.spec.conventions
        names = list(tasks) if tasks is not None else [next(iter(conventions))] * len(answers)
        results: list[bool | None] = [None] * len(answers)
        for task in sorted(set(names)):
            chosen = [i for i, name in enumerate(names) if name == task]
            judged = self.verifier.verify_many(
                [texts[i] for i in chosen],
                [answers[i] for i in chosen],
                conventions.get(task, Conventions()).model_copy(update={"sampling": "refuse"}),
                form=self.protocol.form,
                problems=[problems[i] for i in chosen] if problems is not None else None,
            )
            for i, judgement in zip(chosen, judged, strict=True):
                ungradable = judgement.verdict == Verdict.ungradable
                results[i] = None if ungradable else judgement.verdict == Verdict.correct
        return results

    def log(self, numbers: Mapping[str, float]) -> None:
        """Append numbers to the stage's events; those that are not finite are only named."""
        if self.group.rank:
            return
        finite: dict[str, Any] = {
            name: n for name, n in numbers.items() if not isinstance(n, float) or math.isfinite(n)
        }
        cost = self.budget.cost
        event: dict[str, Any] = {"time": round(time.time(), 3), "step": cost.steps}
        tokens = cost.trained_tokens + cost.generated_tokens
        event |= {"seconds": round(cost.seconds, 2), "tokens": tokens, **finite}
        if len(finite) < len(numbers):
            event["not_finite"] = [name for name in numbers if name not in finite]
        with (self.folder / "events.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(event) + "\n")

    def plan_steps(self, wanted: int, batch_size: int) -> int:
        """Return the optimiser steps to plan for, and tell the budget; see `Run.steps`.

        To use a budget up, the plan must not end before it does, and what a step costs is not
        known ahead. So it is taken to cost the least that it can: 4 FLOPs for each parameter and
        token of `batch_size` rows, and a quarter of that where only products that are made count,
        as an embedding takes none. What is planned too much the schedule never sees, as it goes by
        the share of the budget that is spent.
        """
        if self.budget.fill:
            tokens = max(1.0, 0.9 * batch_size * self.row_tokens)
            size = checkpoints.parameter_count(self.spec.paths.base_model)
            least = {"steps": 1, "trained_tokens": tokens, "flops": 4 * size * tokens}
            least["computed_flops"] = size * tokens
            caps = self.budget.caps.set_caps()
            fit = [math.ceil(cap / least[name]) for name, cap in caps.items() if name in least]
            wanted = min([*fit, MOST_STEPS])
        cap = self.budget.caps.steps
        planned = max(1, wanted if cap is None else min(wanted, cap))
        self.budget.plan(planned)
        return planned

    def last_saved(self) -> Path | None:
        """Return the folder of the last complete training checkpoint, where there are any.

        The budget goes on from what had been spent then.
        """
        trainer = self.scratch / scratch.CHECKPOINTS
        folders = trainer.glob("checkpoint-*/trainer_state.json")
        steps = {int(path.parent.name.rsplit("-", 1)[1]): path.parent for path in folders}
        compute = self.spec.compute
        saves = compute.save_every or compute.save_minutes
        for step in sorted(steps, reverse=True) if saves else ():
            costs = [steps[step] / COST_FILE, self.scratch / BEFORE_FILE]
            if all(path.exists() for path in costs):
                read = (Cost.model_validate_json(path.read_text()) for path in costs)
                self.budget.resume(*read)
                return steps[step]
        return None

    def divide(self, batch: int, micro: int) -> tuple[int, int]:
        """Return the rows of a forward pass and of an optimiser step, both of one process.

        The trainer asks for `batch` rows of a step, over all processes, and `micro` of a forward
        pass.
        """
        rows, rest = divmod(batch, self.group.size)
        if rest:
            raise StageError(
                f"a batch of {batch} rows cannot be shared by {self.group.size} processes;"
                " make it a multiple of [compute] gpus"
            )
        micro = min(self.micro_batch_size or micro, rows)
        if rows % micro:
            raise StageError(
                f"micro_batch_size={micro} does not divide the {rows} rows that a process has in"
                " an optimiser step"
            )
        self.forward_rows = micro, rows
        return self.forward_rows
