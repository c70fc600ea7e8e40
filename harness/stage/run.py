"""The run: what a trainer's `train` function is handed, one training stage of one cell."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.errors import StageError
from harness.files import write_atomically
from harness.redact import redacted
from harness.stage import models, tokens
from harness.stage.budget import Budget
from harness.stage.decoding import stopping
from harness.stage.decoding.writing import Written
from harness.stage.processes import Group
from harness.stage.train_stage import TrainStage
from harness.tasks.protocols import Protocol
from harness.verify import VERIFIER_VERSION

if TYPE_CHECKING:
    import datasets
    import transformers

Messages = Sequence[Mapping[str, str]]
"""TRL's conversational format: each message has a `role` and a `content`."""


class Run:
    """One training stage of one cell: what a trainer's `train` function is handed.

    Under a chat protocol (`run.protocol.chat`), `prompt` and `completion` of every row, and what
    TRL hands to a reward function, are lists of messages (TRL's conversational format:
    `[{"role": "user", "content": "..."}]`). Under any other protocol they are strings.

    Attributes:
        base_model: Folder of the checkpoint to start from.
        teacher: Folder of the board's teacher; None where the trainer did not ask for one.
        options: The trainer's options, an instance of the class that it offers.
        budget: What may be spent and what has been, counted by the host.
        protocol: The board's ranking protocol, which makes the prompts.
        engine: What generates: `hf` or `vllm`.
        group: The processes that this stage runs as; `train` runs in each of them.
        device: `cpu` or `cuda`.
        dtype: What matrix products are computed in: `float32` or `bfloat16`.
        max_new_tokens: Most tokens of an answer that the ranking score reads.
        scratch: A folder for anything but the checkpoint, which a resumed run finds again.
    """

    base_model: Path
    teacher: Path | None
    options: Any
    budget: Budget
    protocol: Protocol
    engine: str
    group: Group
    device: str
    dtype: str
    max_new_tokens: int
    scratch: Path

    def __init__(self, stage: TrainStage) -> None:
        identity, paths = stage.spec.identity, stage.spec.paths
        self.base_model, self.teacher = paths.base_model, paths.teacher
        self.options, self.budget = stage.options, stage.budget
        self.protocol, self.engine, self.group = stage.protocol, identity.engine, stage.group
        self.device, self.dtype = identity.device, identity.dtype
        self.max_new_tokens = identity.max_new_tokens
        self.scratch = stage.scratch
        self._stage = stage

    # -- data -----------------------------------------------------------------------------------

    def train_data(self) -> datasets.Dataset:
        """Return the training rows; never a test row.

        Columns: `id`, `task`, `problem`, `solution`, `answer`, `prompt`, `completion`. The last
        two are in the board's protocol: lists of messages under a chat protocol, strings otherwise.
        """
        return tokens.training_rows(self._stage.rows, self.protocol)

    def holdout_data(self) -> datasets.Dataset:
        """Return rows that are held out of training, to choose a checkpoint by.

        They have the columns of `train_data`.
        """
        return tokens.training_rows(self._stage.holdout, self.protocol)

    def traces_data(self) -> datasets.Dataset:
        """Return the board's traces, each with the whole `solution` as a stronger model wrote it.

        They have the columns of `train_data`.

        Raises:
            StageError: If the board names no traces.
        """
        if not self._stage.traces:
            raise StageError("this trainer needs traces and the board names none ([data] traces)")
        return tokens.training_rows(self._stage.traces, self.protocol)

    def tokenized(
        self,
        tokenizer: transformers.PreTrainedTokenizerBase,
        max_length: int,
        data: datasets.Dataset | None = None,
    ) -> datasets.Dataset:
        """Return rows of token ids, with the loss on completions only.

        Args:
            tokenizer: As `tokenizer` returns it.
            max_length: Most tokens of a prompt with its completion. A longer row is left out,
                never cut, because what a cut loses is the final answer; the record counts them.
            data: Rows with `prompt` and `completion`, of texts or messages; default `train_data`.

        Returns:
            Columns `input_ids` and `labels`, lists of one length, not padded. Labels are -100 where
            there is no loss.

        Raises:
            StageError: If no row fits, or one has no solution.
        """
        data = self.train_data() if data is None else data
        rows, dropped = tokens.supervised(data, tokenizer, max_length)
        self.note(training_rows=len(rows), rows_too_long=dropped)
        if not len(rows):
            raise StageError(
                f"none of the {len(data)} training rows fits max_length={max_length}; raise it"
            )
        self._stage.row_tokens = sum(map(len, rows["input_ids"])) / len(rows)
        return rows

    def synthetic(self, texts: Sequence[str]) -> None:
        """Hand in texts that are trained on and are not the board's: they are kept and checked.

        They go to `synthetic.jsonl` in the stage's folder, where the check for test problems in
        the training data reads them.
        """
        if self.group.rank == 0:
            lines = "".join(json.dumps({"text": text}, ensure_ascii=False) + "\n" for text in texts)
            write_atomically(self._stage.folder / "synthetic.jsonl", lines)

    # -- models ---------------------------------------------------------------------------------

    def tokenizer(self, model: Path | None = None) -> transformers.PreTrainedTokenizerBase:
        """Return the tokenizer of a model's folder, by default the start model's.

        It pads on the left, as generation needs.
        """
        return models.load_tokenizer(model or self.base_model)

    def student(
        self, tokenizer: transformers.PreTrainedTokenizerBase | None = None
    ) -> transformers.PreTrainedModel:
        """Return the start model, on the CPU, with float32 weights.

        Where the options' `lora_rank` is above 0, it is a `PeftModel` with a fresh adapter. With
        its tokenizer given, what its own `generate` writes ends at the protocol's stops.
        """
        packed = getattr(self.options, "packing", False)
        model = self._stage.load(self.base_model, "float32", packed=packed)
        if tokenizer is not None:
            stopping.stop_at(model, tokenizer, self.protocol.stop)
        return models.adapted(model, self.options, self.seed("adapter"), self.group.sharded)

    def teacher_model(self, *, packed: bool = False) -> transformers.PreTrainedModel:
        """Return the board's teacher on `device`, without gradients, with weights of `dtype`.

        `packed` says that it reads what a student with `packing` does, and writes nothing.

        Raises:
            StageError: If the board names no teacher.
        """
        if self.teacher is None:
            raise StageError("this trainer needs a teacher and the board names none")
        model: Any = self._stage.load(self.teacher, self.dtype, packed=packed)
        teacher: transformers.PreTrainedModel = model.eval().requires_grad_(False).to(self.device)
        return teacher

    def generate(
        self,
        model: Any,
        tokenizer: transformers.PreTrainedTokenizerBase,
        prompts: Sequence[str | Messages | Sequence[int]],
        *,
        samples: int = 1,
        temperature: float = 0.0,
        top_p: float = 1.0,
        limit: int | None = None,
        rows: int = 256,
    ) -> list[list[Written]]:
        """Return a model's answers to each prompt, by what generates scored answers too.

        They end where those end, at the protocol's stop strings too, and are counted as generated
        tokens. Where the board computes in bfloat16, float32 weights are used in that.

        Args:
            model: A causal model of transformers; it may have a PEFT adapter.
            tokenizer: Its tokenizer.
            prompts: As in a `prompt` column, or token ids.
            samples: Answers to each prompt.
            temperature: Of sampling, with torch's random numbers; 0 is greedy.
            top_p: Share of the probability that is sampled from.
            limit: Most tokens of an answer, by default `max_new_tokens`.
            rows: Answers written at once; fewer if memory is full, which the record then says.

        Raises:
            StageError: If its weights are spread over processes (see `group.sharded`).
        """
        how, limit = (rows, self.protocol.stop, temperature, top_p), limit or self.max_new_tokens
        return self._stage.generate(model, tokenizer, how, prompts, samples, limit)

    # -- the verifier ---------------------------------------------------------------------------

    def cut(self, completion: str | Messages) -> str:
        """Return the text of a completion that a score would read: up to the first stop string.

        Args:
            completion: A string, or messages, of which the last one's content is taken.
        """
        text = completion if isinstance(completion, str) else completion[-1]["content"]
        return stopping.cut(text, self.protocol.stop)

    def correct(
        self,
        completions: Sequence[str | Messages],
        answers: Sequence[str],
        tasks: Sequence[str] | None = None,
        problems: Sequence[str] | None = None,
    ) -> list[bool | None]:
        """Return whether each completion's final answer is right, by the verifier that also scores.

        Where a score takes two expressions for equal because they agree at random points, this
        does not: what is learnt from must be proved.

        Args:
            completions: In the form that TRL generates; they are read as by `cut`.
            answers: The right answer to each.
            tasks: The task of each, where tasks read answers differently; by default the first.
            problems: The problem of each. With it an answer that only repeats an expression of
                its problem is wrong, as it is in a score.

        Returns:
            True or False for each; None where an answer cannot be graded.
        """
        self.note(verifier=str(VERIFIER_VERSION))
        texts = [self.cut(one) for one in completions]
        return self._stage.correct(texts, answers, tasks, problems)

    def reward(
        self,
        completions: Sequence[str | Messages],
        answers: Sequence[str],
        tasks: Sequence[str] | None = None,
        problems: Sequence[str] | None = None,
    ) -> list[float]:
        """Return 1.0 where `correct` finds a completion right and 0.0 otherwise."""
        return [float(bool(right)) for right in self.correct(completions, answers, tasks, problems)]

    # -- training -------------------------------------------------------------------------------

    def seed(self, purpose: str) -> int:
        """Return the seed of one purpose, in [0, 2**31), from the cell's seed and nothing else."""
        seed = self._stage.spec.identity.seed
        digest = hashlib.sha256(f"{seed}/{purpose}".encode()).digest()
        return int.from_bytes(digest[:4], "big") >> 1

    def steps(self, rows: int, batch_size: int, epochs: float, max_steps: int | None = None) -> int:
        """Return the most optimiser steps there will be; schedules go by `budget.progress`.

        These are `max_steps` where given, else `epochs` passes over `rows` in batches of
        `batch_size`; at least 1, and never more than a cap on steps allows. Where the board has
        its budget used up (`budget.fill`), they are at least as many as fit into it instead.
        """
        planned = max_steps if max_steps is not None else math.ceil(epochs * rows / batch_size)
        return self._stage.plan_steps(planned, batch_size)

    def arguments(self, *, rollout_memory: float | None = None, **given: Any) -> dict[str, Any]:
        """Return the TrainingArguments that every trainer shares, with `given` on top.

        They fix folders, seeds, precision (autocast where `dtype` is bfloat16), logging and saving,
        so that a trainer states only what its method is about.

        Args:
            rollout_memory: The share of a GPU's memory for vLLM, from a trainer whose TRL trainer
                generates rollouts: they then come from the board's engine.
            **given: Arguments of TRL's configuration. `per_device_train_batch_size` times
                `gradient_accumulation_steps` is the batch of an optimiser step, over all processes;
                it is divided anew over processes and forward passes, and stays the same.

        Raises:
            StageError: If the batch cannot be divided so.
        """
        arguments = self._stage.arguments()
        arguments |= {"seed": self.seed("train"), "data_seed": self.seed("data")}
        if rollout_memory is not None:
            self.note(rollout_engine=self.engine)
            arguments |= self._stage.rollouts(rollout_memory)
        if micro := given.get("per_device_train_batch_size"):
            batch = micro * given.get("gradient_accumulation_steps", 1)
            micro, rows = self._stage.divide(batch, micro)
            self.note(micro_batch_size=micro)
            given["per_device_train_batch_size"] = micro
            given["gradient_accumulation_steps"] = rows // micro
        return {**arguments, **given}

    def callback(self) -> transformers.TrainerCallback:
        """Return a callback that logs each step, saves the cost, and stops inside the budget."""
        from harness.stage.callback import BudgetCallback, Saving

        saving = Saving(self._stage)
        return BudgetCallback(self.budget, self.log, self.note, self.scratch, saving)

    @cached_property
    def resume(self) -> str | None:
        """The last complete training checkpoint of an interrupted attempt, for TRL; or None."""
        found = self._stage.last_saved()
        return None if found is None else str(found)

    # -- results --------------------------------------------------------------------------------

    def log(self, **numbers: float) -> None:
        """Append numbers (loss, reward, ...) to the stage's events, with the step and the time."""
        self._stage.log(numbers)

    def note(self, **facts: Any) -> None:
        """Put facts into the cell's record: what a reader must know of how this was trained.

        Each must be JSON; secrets are taken out of it (`harness.redact`). Where a stage runs as
        several processes, the first one's are kept; see `group.gather`.
        """
        json.dumps(facts)  # a fact that is not JSON fails here, where its author sees it
        self._stage.notes.update(redacted(facts))

    def save(self, model: Any) -> None:
        """Write the checkpoint: safetensors, configuration, and the start model's own tokenizer.

        Weights that are sharded are gathered; every process must call this.

        Args:
            model: A model of transformers; a PEFT adapter is merged, so that a checkpoint is always
                a whole model.
        """
        weights = models.whole_weights(model)
        if self.group.rank == 0:
            models.save_model(model, weights, self.base_model, self._stage.folder / "checkpoint")
        self.group.wait()
