"""The run: what a trainer's `train` function is handed, one training stage of one cell."""

from __future__ import annotations

import hashlib
import json
import math
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.checkpoints import TOKENIZER_FILES
from harness.errors import StageError
from harness.files import write_atomically
from harness.records import Cost
from harness.stage.budget import Budget
from harness.stage.models import attention, forget_defaults
from harness.stage.processes import Group
from harness.stage.sharding import whole_weights
from harness.stage.stopping import stop_at
from harness.tasks.protocols import Protocol
from harness.verify import Conventions, VerifierPool

if TYPE_CHECKING:
    import datasets
    import transformers


@dataclass
class Run:
    """What a trainer is handed: one training stage of one cell.

    Attributes:
        base_model: Folder of the checkpoint to start from.
        teacher: Folder of the board's teacher, or None.
        options: The trainer's options, validated.
        rows: Training rows with `id`, `task`, `problem`, `solution` and `answer`. Never a test row.
        holdout: Rows of the same kind that are held out of training, for choosing a checkpoint.
        conventions: Task name to how that task reads answers, for the reward.
        protocol: The board's ranking protocol, which makes the prompts.
        budget: Counts what is spent; see `callback`.
        seed_base: The cell's seed, from which `seed` derives one for each purpose.
        out: Where the checkpoint goes; use `save`.
        scratch: A folder for everything else; it survives an interruption.
        events: JSONL file that `log` appends to.
        device: `cpu` or `cuda`.
        max_new_tokens: The token limit under which the board scores answers.
        save_every: Steps between training checkpoints to resume from; 0 for none.
        traces: Training rows whose `solution` a stronger model wrote, where the board names any.
        group: The processes that this stage runs as; `train` runs in each of them.
        micro_batch_size: Rows of a forward pass, where the board or a lack of memory says so.
        gradient_checkpointing: Whether activations are made again in the backward pass.
        engine: What generates: `hf` or `vllm`.
        name: The cell, for experiment trackers.
        report_to: Experiment trackers that transformers reports to.
    """

    base_model: Path
    teacher: Path | None
    options: Any
    rows: Sequence[Mapping[str, str]]
    holdout: Sequence[Mapping[str, str]]
    conventions: Mapping[str, Conventions]
    protocol: Protocol
    budget: Budget
    seed_base: int
    out: Path
    scratch: Path
    events: Path
    device: str = "cpu"
    max_new_tokens: int = 512
    save_every: int = 0
    traces: Sequence[Mapping[str, str]] = ()
    group: Group = field(default_factory=Group)
    micro_batch_size: int | None = None
    gradient_checkpointing: bool = False
    engine: str = "hf"
    name: str = ""
    report_to: Sequence[str] = ()
    notes: dict[str, Any] = field(default_factory=dict)
    forward_rows: tuple[int, int] | None = None  # in a forward pass and in a step, of a process
    _pool: VerifierPool | None = None
    _resumed: str | None = None
    _looked_for_resume: bool = False

    def seed(self, purpose: str) -> int:
        """Return the seed of one purpose; it depends on the cell's seed and on nothing else."""
        digest = hashlib.sha256(f"{self.seed_base}/{purpose}".encode()).digest()
        return int.from_bytes(digest[:4], "big") >> 1

    def train_data(self) -> datasets.Dataset:
        """Return the training data, with `prompt` and `completion` of the board's protocol.

        Columns: `id`, `task`, `problem`, `solution`, `answer`, `prompt`, `completion`. The last
        two are lists of messages under a chat protocol, strings otherwise.
        """
        return self._dataset(self.rows)

    def holdout_data(self) -> datasets.Dataset:
        """Return the held-out rows, in the form of `train_data`."""
        return self._dataset(self.holdout)

    def traces_data(self) -> datasets.Dataset:
        """Return the traces in the form of `train_data`, each a whole `solution` as it was written.

        Raises:
            StageError: If the board names no traces.
        """
        if not self.traces:
            raise StageError("this trainer needs traces and the board names none ([data] traces)")
        return self._dataset(self.traces)

    def _dataset(self, rows: Sequence[Mapping[str, str]]) -> datasets.Dataset:
        import datasets

        return datasets.Dataset.from_list(
            [
                {
                    **{key: row[key] for key in ("id", "task", "problem", "answer")},
                    "solution": row.get("solution") or "",
                    **self.protocol.training_row(row),
                }
                for row in rows
            ]
        )

    def tokenized(
        self,
        tokenizer: transformers.PreTrainedTokenizerBase,
        max_length: int,
        data: datasets.Dataset | None = None,
    ) -> datasets.Dataset:
        """Return training data as `input_ids` and `labels`, with the loss on completions only.

        A row longer than `max_length` tokens is dropped, never cut, because what a cut loses is
        the final answer; how many were dropped goes into the record.

        Raises:
            StageError: If no row fits.
        """
        from harness.stage.tokens import supervised

        data = self.train_data() if data is None else data
        tokens, dropped = supervised(data, tokenizer, max_length)
        self.note(training_rows=len(tokens), rows_too_long=dropped)
        if not len(tokens):
            raise StageError(
                f"none of the {len(data)} training rows fits max_length={max_length}; raise it"
            )
        return tokens

    def steps(self, rows: int, batch_size: int, epochs: float, max_steps: int | None = None) -> int:
        """Return the optimiser steps to plan for, over which a schedule of the rate is laid.

        These are `max_steps` where given, else `epochs` passes over `rows`; never more than the
        budget allows. Other caps than steps are not known ahead; `callback` shortens the schedule
        as they are used up.
        """
        planned = max_steps if max_steps is not None else math.ceil(epochs * rows / batch_size)
        cap = self.budget.caps.steps
        return max(1, planned if cap is None else min(planned, cap))

    def tokenizer(self) -> transformers.PreTrainedTokenizerBase:
        """Return the start model's tokenizer, padding on the left, as generation needs."""
        from transformers import AutoTokenizer

        return AutoTokenizer.from_pretrained(
            self.base_model, padding_side="left", trust_remote_code=False
        )

    def student(self) -> transformers.PreTrainedModel:
        """Return the start model, with float32 weights; a GPU computes in bfloat16 (autocast)."""
        return self._model(self.base_model, "float32")

    def writer(self, tokenizer: transformers.PreTrainedTokenizerBase) -> Any:
        """Return the start model for a trainer that lets it write.

        What it generates ends at the protocol's stop strings, as an answer does that is scored.
        """
        return stop_at(self.student(), tokenizer, self.protocol.stop)

    def teacher_model(self) -> transformers.PreTrainedModel:
        """Return the board's teacher, without gradients: bfloat16 on a GPU, else float32.

        Raises:
            StageError: If the board names no teacher.
        """
        if self.teacher is None:
            raise StageError("this trainer needs a teacher and the board names none")
        model = self._model(self.teacher, "float32" if self.device == "cpu" else "bfloat16")
        return model.eval().requires_grad_(False).to(self.device)

    @property
    def teacher_ends(self) -> list[int]:
        """Return the tokens that end the teacher's turn, for an engine that asks for them."""
        from harness.stage.engines import end_tokens

        return end_tokens(self.teacher) if self.teacher else []

    def _model(self, folder: Path, dtype: str) -> transformers.PreTrainedModel:
        import torch
        from transformers import AutoModelForCausalLM

        # Under deterministic algorithms torch fills every new tensor, and TRL's loss asks for one
        # of half a gigabyte in each step, of which it reads only what it wrote.
        torch.utils.deterministic.fill_uninitialized_memory = False
        model = AutoModelForCausalLM.from_pretrained(
            folder,
            dtype=getattr(torch, dtype),
            attn_implementation=attention(self.device),
            use_safetensors=True,
            trust_remote_code=False,
        )
        return forget_defaults(model)

    def correct(
        self,
        completions: Sequence[str],
        answers: Sequence[str],
        tasks: Sequence[str] | None = None,
    ) -> list[bool | None]:
        """Return for each completion whether its final answer is right, by the verifier.

        `tasks` names the task of each row where tasks read answers differently. An answer that
        cannot be graded is None.
        """
        from harness.verify import Verdict

        if self._pool is None:
            self._pool = VerifierPool(workers=1)
        names = list(tasks) if tasks is not None else [next(iter(self.conventions))] * len(answers)
        results: list[bool | None] = [None] * len(answers)
        for task in sorted(set(names)):
            chosen = [i for i, name in enumerate(names) if name == task]
            judged = self._pool.verify_many(
                [completions[i] for i in chosen],
                [answers[i] for i in chosen],
                self.conventions.get(task, Conventions()),
                form=self.protocol.form,
            )
            for i, judgement in zip(chosen, judged, strict=True):
                ungradable = judgement.verdict == Verdict.ungradable
                results[i] = None if ungradable else judgement.verdict == Verdict.correct
        return results

    def reward(
        self,
        completions: Sequence[str],
        answers: Sequence[str],
        tasks: Sequence[str] | None = None,
    ) -> list[float]:
        """Return 1.0 for a right final answer and 0.0 otherwise: the same verifier as the score."""
        return [float(bool(right)) for right in self.correct(completions, answers, tasks)]

    @property
    def verifier(self) -> str:
        """Return the version of the verifier behind `correct` and `reward`."""
        from harness.verify import VERIFIER_VERSION

        return str(VERIFIER_VERSION)

    def cut(self, text: str) -> str:
        """Return an answer up to the protocol's first stop string: what the score would read."""
        ends = [text.find(stop) for stop in self.protocol.stop]
        return text[: min([end for end in ends if end >= 0], default=len(text))]

    def callback(self) -> transformers.TrainerCallback:
        """Return a TrainerCallback that logs, saves and stops when the budget is spent."""
        from harness.stage.callback import BudgetCallback

        return BudgetCallback(self.budget, self.log, self.note)

    def arguments(self, **given: Any) -> dict[str, Any]:
        """Return the TrainingArguments that every trainer shares, with `given` on top.

        They fix folders, seeds, precision (bfloat16 autocast on a GPU, float32 on a CPU), logging
        and saving, so that a trainer states only what its method is about. A given
        `per_device_train_batch_size` times `gradient_accumulation_steps` is the batch of an
        optimiser step; it is divided anew over processes and forward passes, and stays the same.

        Raises:
            StageError: If the batch cannot be divided so.
        """
        on_gpu = self.device != "cpu"
        arguments: dict[str, Any] = {
            "output_dir": str(self.scratch / "trainer"),
            "seed": self.seed("train"),
            "data_seed": self.seed("data"),
            "bf16": on_gpu,
            "use_cpu": not on_gpu,
            "gradient_checkpointing": self.gradient_checkpointing,
            "report_to": list(self.report_to) or "none",
            "run_name": self.name or None,
            "disable_tqdm": True,
            "logging_steps": 1,
            "logging_nan_inf_filter": False,
            "save_strategy": "steps" if self.save_every else "no",
            "save_steps": self.save_every or 500,
            "save_total_limit": 2,
            "dataloader_pin_memory": on_gpu,
        }
        if "per_device_train_batch_size" in given:
            micro = given["per_device_train_batch_size"]
            given |= self._divided(micro * given.get("gradient_accumulation_steps", 1), micro)
        return {**arguments, **given}

    def _divided(self, batch: int, micro: int) -> dict[str, int]:
        """Return how a batch of an optimiser step is divided over processes and forward passes."""
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
        self.forward_rows = (micro, rows)
        self.note(micro_batch_size=micro)
        return {"per_device_train_batch_size": micro, "gradient_accumulation_steps": rows // micro}

    def rollouts(self, memory: float) -> dict[str, Any]:
        """Return TRL's arguments for the engine that writes rollouts beside the training.

        Args:
            memory: Share of a GPU's memory for vLLM, where the engine is vLLM.
        """
        self.note(rollout_engine=self.engine)
        if self.engine != "vllm":
            return {}
        return {
            "use_vllm": True,
            "vllm_mode": "colocate",
            "vllm_gpu_memory_utilization": memory,
            "generation_kwargs": {"stop": list(self.protocol.stop)} if self.protocol.stop else None,
        }

    @property
    def resume(self) -> str | None:
        """Return the last complete training checkpoint of an interrupted attempt, or None."""
        if not self._looked_for_resume:
            self._looked_for_resume = True
            self._resumed = self._last_checkpoint() if self.save_every else None
        return self._resumed

    def _last_checkpoint(self) -> str | None:
        folders = (self.scratch / "trainer").glob("checkpoint-*/trainer_state.json")
        steps = {int(path.parent.name.rsplit("-", 1)[1]): path.parent for path in folders}
        for step in sorted(steps, reverse=True):
            cost = steps[step] / "harness_cost.json"
            if cost.exists():
                self.budget.resume(Cost.model_validate_json(cost.read_text()))
                return str(steps[step])
        return None

    def log(self, **numbers: float) -> None:
        """Append numbers (loss, reward, ...) to the stage's events, with the step and the time."""
        if self.group.rank:
            return
        event = {"time": round(time.time(), 3), "step": self.budget.cost.steps}
        event |= {k: v for k, v in numbers.items() if not isinstance(v, float) or math.isfinite(v)}
        not_finite = [k for k in numbers if k not in event]
        if not_finite:
            event["not_finite"] = not_finite
        with self.events.open("a", encoding="utf-8") as file:
            file.write(json.dumps(event) + "\n")

    def note(self, **facts: Any) -> None:
        """Put facts into the cell's record: what a reader must know of how this was trained.

        Where a stage runs as several processes, the first one's are kept; see `gather`.
        """
        json.dumps(facts)  # an unserialisable fact fails here, where its author sees it
        self.notes.update(facts)

    def gather(self, value: Any) -> list[Any]:
        """Return what each process of the stage has; alone, a list of one. All must call it."""
        return self.group.gather(value)

    def synthetic(self, texts: Sequence[str]) -> None:
        """Hand in texts that are trained on and are not the board's: they are kept and checked.

        They go to `synthetic.jsonl` in the stage's folder, where the check for test problems in
        the training data reads them.
        """
        if self.group.rank == 0:
            lines = "".join(json.dumps({"text": text}, ensure_ascii=False) + "\n" for text in texts)
            write_atomically(self.events.with_name("synthetic.jsonl"), lines)

    def save(self, model: Any) -> None:
        """Write the checkpoint: safetensors, configuration, and the start model's own tokenizer.

        A PEFT adapter is merged first, so that a checkpoint is always a whole model. Weights that
        are sharded over processes are gathered; all processes must call this, one writes.
        """
        weights = whole_weights(model)
        if self.group.rank == 0:
            self._write(model, weights)
        self.group.wait()

    def _write(self, model: Any, weights: dict[str, Any] | None) -> None:
        if hasattr(model, "merge_and_unload"):
            model = model.merge_and_unload()
        model.save_pretrained(self.out, state_dict=weights)
        decoding = self.base_model / "generation_config.json"
        if decoding.exists():  # training must not change how a checkpoint is decoded
            shutil.copyfile(decoding, self.out / decoding.name)
        self.copy_tokenizer()

    def copy_tokenizer(self) -> None:
        """Copy the start model's tokenizer files, byte for byte, beside the checkpoint."""
        copied = 0
        for name in TOKENIZER_FILES:
            source = self.base_model / name
            if source.exists():
                shutil.copyfile(source, self.out / name)
                copied += 1
        if not copied:
            raise StageError(f"the model in {self.base_model} has no tokenizer files")

    def close(self) -> None:
        """Stop the verifier's workers."""
        if self._pool is not None:
            self._pool.close()
            self._pool = None
