"""Board files: the keys a board may have, and the one line about a file that is wrong."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

import pydantic

from harness.boards.conditions import Baseline, Quoted
from harness.boards.plain import EXAMPLES, explain
from harness.errors import UsageError
from harness.files import read_text
from harness.records import Caps, Frozen
from harness.tasks.local import Columns, LocalRows
from harness.tasks.task import Task
from harness.tuning import TuningRules
from harness.verify import Conventions

LARGEST_BOARD = 2**20  # bytes
FEWEST_SEEDS = 3  # that support a claim on trainers
LARGEST_SEED = 2**32 - 1  # NumPy's generator takes no other
Seed = Annotated[int, pydantic.Field(ge=0, le=LARGEST_SEED)]
TaskName = Annotated[str, pydantic.Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")]
Which = Literal["start", "teacher"]
"""A board's models."""


class Data(Frozen):
    """What is trained on: the training splits of these tasks, and nothing else."""

    train: tuple[str, ...] = pydantic.Field(min_length=1)
    traces: tuple[str, ...] = ()  # tasks whose training solutions a stronger model wrote
    # characters of a problem with its solution: longer training rows are left out
    longest: int | None = pydantic.Field(default=None, gt=0)
    limit: int | None = pydantic.Field(default=None, gt=0)  # rows of each task, the first ones


class BudgetTable(Caps):
    """The caps of one cell, whether trainers use them up, and how the stages of a chain share."""

    fill: bool = False  # a trainer trains until its cap, unless its options say how long
    chain: Literal["rest", "even"] = "rest"  # without effect under `fill`: equal parts

    @pydantic.model_validator(mode="after")
    def _stages_are_left_something(self) -> BudgetTable:
        if self.fill and "chain" in self.model_fields_set and self.chain == "rest":
            raise ValueError(
                'under fill = true, chain = "rest" leaves a second stage nothing; leave chain out'
            )
        return self

    def caps(self) -> Caps:
        return Caps.model_validate(self.set_caps())

    def set_caps(self) -> dict[str, float]:
        """Return the caps that are set, by name."""
        caps = super().set_caps()
        return {name: value for name, value in caps.items() if name not in ("chain", "fill")}

    @property
    def described(self) -> str:
        """Return how the caps are used, for people."""
        if self.fill:
            return (
                "every trainer trains until that is spent, unless its options say how long; the"
                " stages of a chain get equal parts of it"
            )
        share = "what is left" if self.chain == "rest" else "an equal share"
        return f"each stage of a chain gets {share}"

    def stage_caps(self, position: int, length: int, part: float = 1.0) -> tuple[Caps, bool]:
        """Return the caps at a position, from 0, of a chain that has a part of the budget.

        Also whether they are less what the earlier stages of the chain spent.
        """
        if self.fill:  # what an earlier stage could not use of its part goes to the next
            return self.caps().share(length, (position + 1) * part), position > 0
        if self.chain == "even":
            return self.caps().share(length), False
        return self.caps(), position > 0


class Curve(Frozen, allow_inf_nan=False):
    """Smaller budgets that every trainer is also trained with: how its gain grows with compute."""

    shares: tuple[float, ...] = pydantic.Field(min_length=1)  # of the budget, as [0.125, 0.25, 0.5]

    @pydantic.field_validator("shares")
    @classmethod
    def _rising(cls, shares: tuple[float, ...]) -> tuple[float, ...]:
        if list(shares) != sorted(set(shares)) or not all(0 < share < 1 for share in shares):
            raise ValueError("write rising shares of the budget between 0 and 1")
        return shares


class UntilDecided(Frozen):
    """After how many of the board's seeds it is looked at, until every two rows are decided."""

    looks: tuple[int, ...] = pydantic.Field(min_length=2)  # as [3, 5, 10]; the last is all seeds

    @pydantic.field_validator("looks")
    @classmethod
    def _rising(cls, looks: tuple[int, ...]) -> tuple[int, ...]:
        if list(looks) != sorted(set(looks)) or looks[0] < FEWEST_SEEDS:
            raise ValueError(f"write rising numbers of seeds, {FEWEST_SEEDS} or more")
        return looks


class Contamination(Frozen):
    """What is looked for beside what trainers train on; it changes no result."""

    probe: bool = False  # whether the start model can write the second half of test problems


class ScoreTable(Frozen, allow_inf_nan=False):
    """One task under one protocol."""

    task: str
    protocol: str = "chat_zeroshot"
    max_new_tokens: int = pydantic.Field(gt=0)
    ranking: bool = False
    limit: int | None = pydantic.Field(default=None, gt=0)  # the first so many problems
    samples: int = pydantic.Field(default=1, gt=0)  # answers to each problem
    temperature: float = pydantic.Field(default=0.0, ge=0)  # 0 is greedy
    top_p: float = pydantic.Field(default=1.0, gt=0, le=1)
    baseline: Baseline | None = None  # what others measured for the start model

    @pydantic.model_validator(mode="after")
    def _sampled(self) -> ScoreTable:
        if self.samples > 1 and not self.temperature:
            raise ValueError(
                "several samples need a temperature above 0: greedy ones are all equal"
            )
        return self


class Compute(Frozen, allow_inf_nan=False):
    """How a stage runs. `threads` changes results on a CPU, so it is a condition."""

    threads: int = pydantic.Field(default=1, gt=0)
    batch_size: int = pydantic.Field(default=64, gt=0)  # of the scored generation
    # of matrix products; auto: bfloat16 on a GPU, float32 on a CPU
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    engine: Literal["auto", "hf", "vllm"] = "hf"  # generates; auto: vLLM on a GPU that has it
    gpus: int = pydantic.Field(default=1, gt=0)  # of one stage, which is as many processes
    accelerate: str | None = None  # a file for `accelerate launch --config_file`
    micro_batch_size: int | None = pydantic.Field(default=None, gt=0)  # rows of one forward pass
    gradient_checkpointing: bool = False
    compile: bool = False  # layers that read, in training
    save_every: int = pydantic.Field(default=0, ge=0)  # steps between training checkpoints
    save_minutes: float = pydantic.Field(default=0, ge=0)  # minutes between them
    stage_seconds: float = pydantic.Field(default=86_400, gt=0)  # time limit of one stage
    network: bool = False  # whether training may use it
    environment: tuple[str, ...] = ()  # variables that training sees beside the usual ones


class OwnTask(Columns):
    """A task whose rows are in files beside the board: one for each split, and their columns."""

    train: str | None = None
    holdout: str | None = None
    test: str | None = None
    summary: str = ""
    licence: str = ""
    conventions: Conventions = Conventions()

    @pydantic.model_validator(mode="after")
    def _one_at_least(self) -> OwnTask:
        if not self.files():
            raise ValueError("name a file for at least one of train, holdout and test")
        return self

    def files(self) -> dict[str, str]:
        named = {"train": self.train, "holdout": self.holdout, "test": self.test}
        return {split: name for split, name in named.items() if name is not None}

    def task(self, name: str, folder: Path) -> Task:
        """Return the task; its files are relative to a folder."""
        files = {split: folder / file for split, file in self.files().items()}
        columns = Columns(**self.model_dump(include=set(Columns.model_fields)))
        return Task(
            name=name,
            rows=LocalRows(files, columns),
            summary=self.summary or f"rows of {' and '.join(self.files().values())}",
            licence=self.licence,
            conventions=self.conventions,
        )


class BoardFile(Frozen):
    """The TOML file, as written."""

    schema_version: Literal[1] = pydantic.Field(alias="schema")
    name: str = pydantic.Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")
    title: str
    start_model: str  # a folder relative to the file, or `<Hub id>@<revision>`
    teacher: str | None = None
    plugins: tuple[str, ...] = ()  # that bring the tasks
    trainers: tuple[str, ...] = pydantic.Field(min_length=1)  # what `harness bench` runs
    seeds: tuple[Seed, ...] = pydantic.Field(min_length=1)
    tasks: dict[TaskName, OwnTask] = pydantic.Field(default={})  # made of files of one's own
    data: Data
    budget: BudgetTable
    curve: Curve | None = None
    tuning: TuningRules | None = None
    until_decided: UntilDecided | None = None
    contamination: Contamination = Contamination()
    margin: float = pydantic.Field(default=2.0, gt=0, lt=100)  # points: closer rows count as equal
    compute: Compute = Compute()
    scores: tuple[ScoreTable, ...] = pydantic.Field(min_length=1)
    options: dict[str, dict[str, Any]] = pydantic.Field(default={})  # trainer -> option -> value
    notes: tuple[str, ...] = ()  # what a reader of the leaderboard must know
    quoted: tuple[Quoted, ...] = ()  # results from elsewhere: shown, marked, never ranked

    @pydantic.model_validator(mode="after")
    def _checked(self) -> BoardFile:
        if sum(score.ranking for score in self.scores) != 1:
            raise ValueError("exactly one of the scores must have ranking = true")
        pairs = [(score.task, score.protocol) for score in self.scores]
        if len(set(pairs)) < len(pairs):
            raise ValueError("two scores have the same task and protocol")
        if self.curve and not self.budget.fill:
            raise ValueError("[curve] needs [budget] fill = true: its points are budgets used up")
        if self.tuning and not self.budget.fill:
            raise ValueError("[tuning] needs [budget] fill = true: its trials are budgets used up")
        if len(set(self.seeds)) < len(self.seeds):
            raise ValueError("seeds: the same seed is given twice")
        if self.until_decided and self.until_decided.looks[-1] != len(self.seeds):
            raise ValueError("until_decided.looks: the last one must be the number of seeds")
        return self

    def model(self, which: Which) -> str | None:
        """Return the start model or the teacher as it is written in the file."""
        return self.start_model if which == "start" else self.teacher


def read_board_file(path: Path) -> BoardFile:
    """Read and check a board's TOML file; what is wrong with it is one line."""
    try:
        return BoardFile.model_validate(tomllib.loads(read_text(path, LARGEST_BOARD)))
    except pydantic.ValidationError as error:
        raise UsageError(f"board {path}: {explain(error, BoardFile, EXAMPLES)}") from None
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"board {path} is not TOML: {error}") from None
    except (RecursionError, ValueError):  # lists in lists, a number of thousands of digits
        raise UsageError(f"board {path} is not TOML that can be read") from None
