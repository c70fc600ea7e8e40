"""Boards: the conditions, fixed in a TOML file before anyone trains."""

from __future__ import annotations

import hashlib
import json
import re
import tomllib
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

import pydantic

from harness import checkpoints
from harness.budget import Caps
from harness.conditions import Baseline, Benchmark, Conditions, Quoted
from harness.errors import UsageError, did_you_mean
from harness.plugins import Host
from harness.protocols import get_protocol
from harness.tasks import Task
from harness.verify import VERIFIER_VERSION

BUILT_IN = Path(__file__).parent / "boards"
NAME = re.compile(r"^[a-z0-9][a-z0-9._-]{0,63}$")
Name = Annotated[str, pydantic.StringConstraints(pattern=NAME.pattern)]
# keys that say how to run or show a board and cannot change a result
NOT_CONDITIONS = {
    "": {"title", "trainers", "notes", "quoted"},
    "compute": {"save_every", "stage_seconds", "micro_batch_size"},
    "scores": {"baseline"},
}


class _Table(pydantic.BaseModel, frozen=True, extra="forbid"):
    pass


class Data(_Table):
    """What is trained on: the training splits of these tasks, and nothing else."""

    train: tuple[str, ...] = pydantic.Field(min_length=1)
    traces: tuple[str, ...] = ()  # tasks whose training solutions a stronger model wrote
    limit: int | None = pydantic.Field(default=None, gt=0)  # rows of each task, the first ones


class BudgetTable(Caps):
    """The caps of one cell, and how the stages of a chain share them."""

    chain: Literal["rest", "even"] = "rest"

    def caps(self) -> Caps:
        """Return the caps alone."""
        return Caps(**self.set_caps())

    def set_caps(self) -> dict[str, float]:
        """Return the caps that are set, by name."""
        return {name: value for name, value in super().set_caps().items() if name != "chain"}


class ScoreTable(_Table):
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


class Compute(_Table):
    """How a stage runs. `threads` changes results on a CPU, so it is a condition."""

    threads: int = pydantic.Field(default=1, gt=0)
    batch_size: int = pydantic.Field(default=64, gt=0)  # of the scored generation
    engine: Literal["auto", "hf", "vllm"] = "hf"  # generates; auto: vLLM on a GPU that has it
    gpus: int = pydantic.Field(default=1, gt=0)  # of one training stage, through accelerate
    accelerate: str | None = None  # a file for `accelerate launch --config_file`
    micro_batch_size: int | None = pydantic.Field(default=None, gt=0)  # rows of one forward pass
    gradient_checkpointing: bool = False
    save_every: int = pydantic.Field(default=0, ge=0)  # steps between training checkpoints
    stage_seconds: float = pydantic.Field(default=86_400, gt=0)  # time limit of one stage


class BoardFile(_Table):
    """The TOML file, as written."""

    schema_version: Literal[1] = pydantic.Field(alias="schema")
    name: Name
    title: str
    start_model: str  # a folder relative to the file, or `<Hub id>@<revision>`
    teacher: str | None = None
    plugins: tuple[str, ...] = ()  # that bring the tasks
    trainers: tuple[str, ...] = pydantic.Field(min_length=1)  # what `harness bench` runs
    seeds: tuple[int, ...] = pydantic.Field(min_length=1)
    data: Data
    budget: BudgetTable
    compute: Compute = Compute()
    scores: tuple[ScoreTable, ...] = pydantic.Field(min_length=1)
    options: dict[str, dict[str, Any]] = {}  # trainer -> option -> value
    notes: tuple[str, ...] = ()  # what a reader of the leaderboard must know
    quoted: tuple[Quoted, ...] = ()  # results of others: shown, marked, never ranked

    @pydantic.model_validator(mode="after")
    def _checked(self) -> BoardFile:
        if sum(score.ranking for score in self.scores) != 1:
            raise ValueError("exactly one of the scores must say ranking = true")
        pairs = [(score.task, score.protocol) for score in self.scores]
        if len(set(pairs)) < len(pairs):
            raise ValueError("a task stands twice under the same protocol")
        if len(set(self.seeds)) < len(self.seeds):
            raise ValueError("a seed stands twice")
        return self


class Board:
    """A board with everything its file refers to found and checked.

    Attributes:
        file: The validated content of the TOML file.
        path: The TOML file.
        folder: Where the file lies; model folders are relative to it.
        tasks: The tasks of its data and scores by name.
    """

    def __init__(self, file: BoardFile, path: Path, host: Host) -> None:
        self.file, self.path, self.folder = file, path, path.parent.resolve()
        for plugin in file.plugins:
            host.load(plugin)
        known = host.tasks()
        self.tasks: dict[str, Task] = {}
        for name in (*file.data.train, *(score.task for score in file.scores)):
            if name not in known:
                raise UsageError(
                    f"board {file.name!r}: no task {name!r}; {did_you_mean(name, known)}"
                )
            self.tasks[name] = known[name]
        for score in file.scores:
            get_protocol(score.protocol)

    @property
    def name(self) -> str:
        """Return the board's name."""
        return self.file.name

    @property
    def ranking(self) -> ScoreTable:
        """Return the score that the board ranks by."""
        return next(score for score in self.file.scores if score.ranking)

    def rows(self, task: str, split: str) -> list[dict[str, str]]:
        """Return the rows of a split as the board uses them, with the task's name in each."""
        rows = self.tasks[task].split(split)
        if split != "test" and self.file.data.limit:
            rows = rows[: self.file.data.limit]
        return [{**row, "task": task} for row in rows]

    def train_rows(self, split: str = "train") -> list[dict[str, str]]:
        """Return the training (or held-out) rows of all training tasks.

        Raises:
            UsageError: If a task has no training rows. A row without a gold answer is left out.
        """
        rows = []
        for task in self.file.data.train:
            found = [row for row in self.rows(task, split) if row["answer"].strip()]
            if split == "train" and not found:
                raise UsageError(f"board {self.name!r}: task {task!r} has no training rows")
            rows += found
        return rows

    def test_rows(self, score: ScoreTable) -> list[dict[str, str]]:
        """Return the problems of one score."""
        rows = self.rows(score.task, "test")[: score.limit]
        if not rows:
            raise UsageError(f"board {self.name!r}: task {score.task!r} has no test rows")
        return rows

    def model(self, which: Literal["start", "teacher"]) -> Path:
        """Return the folder of the start model or the teacher, checked, downloaded if need be."""
        reference = self.file.start_model if which == "start" else self.file.teacher
        what = "start model" if which == "start" else "teacher"
        if reference is None:
            raise UsageError(f"board {self.name!r} names no teacher")
        try:
            path = checkpoints.resolve_model(reference, self.folder)
            checkpoints.check_model_folder(path, what)
        except UsageError as error:
            raise UsageError(f"board {self.name!r}: {error}") from None
        return path

    def identity(self, which: Literal["start", "teacher"]) -> str | None:
        """Return what tells a model from another: the digest of a folder, or Hub id and commit."""
        reference = self.file.start_model if which == "start" else self.file.teacher
        if reference is None:
            return None
        if "@" in reference and not (self.folder / reference).exists():
            return reference
        return checkpoints.digest(self.model(which))

    def conditions(self) -> Conditions:
        """Return what this board fixes in the words that its leaderboard prints."""
        file, ranking = self.file, self.ranking
        data = ", ".join(
            f"{name} ({len(self.rows(name, 'train'))} rows)" for name in file.data.train
        )
        caps = " and ".join(f"{value:,g} {name}" for name, value in file.budget.set_caps().items())
        split = "what is left" if file.budget.chain == "rest" else "an equal share"
        return Conditions(
            board=self.name,
            digest=self.digest,
            title=file.title,
            start_model=self._described("start") or "",
            teacher=self._described("teacher"),
            data=data,
            budget=f"at most {caps}; each stage of a chain gets {split}",
            seeds=file.seeds,
            benchmarks=tuple(
                Benchmark(
                    task=score.task,
                    protocol=get_protocol(score.protocol).id,
                    max_new_tokens=score.max_new_tokens,
                    samples=score.samples,
                    temperature=score.temperature,
                    top_p=score.top_p,
                    ranking=score == ranking,
                    summary=self.tasks[score.task].summary,
                    baseline=score.baseline,
                )
                for score in file.scores
            ),
            trainers=("start", *file.trainers),
            notes=file.notes,
            quoted=file.quoted,
            protocols={
                get_protocol(s.protocol).id: get_protocol(s.protocol).summary for s in file.scores
            },
        )

    def _described(self, which: Literal["start", "teacher"]) -> str | None:
        """Return a model as a leaderboard names it: its Hub id and commit, or path and digest."""
        reference = self.file.start_model if which == "start" else self.file.teacher
        identity = self.identity(which)
        if reference is None or identity is None or identity == reference:
            return reference
        return f"{reference} (sha256 {identity[:12]})"

    @cached_property
    def digest(self) -> str:
        """Return the sha256 over everything that can change a result.

        That is the file but for what only says how to run or show it (title, list of trainers,
        notes, time limits), the start model and teacher, every row of every task, the protocols
        and the verifier. A key at its default counts as one that is not there, so a key that a
        later version adds changes no digest.
        """
        return self.digest_under(VERIFIER_VERSION)

    def digest_under(self, verifier_version: str) -> str:
        """Return the digest this board has under a version of the verifier."""
        content = self.file.model_dump(mode="json", exclude_defaults=True)
        tables = [("", content), ("compute", content.get("compute", {}))]
        tables += [("scores", score) for score in content["scores"]]
        for name, table in tables:
            for key in NOT_CONDITIONS[name] & table.keys():
                del table[key]
        content["start_model"] = self.identity("start")
        content["teacher"] = self.identity("teacher")
        content["tasks"] = {name: task.digest for name, task in sorted(self.tasks.items())}
        content["protocols"] = sorted({get_protocol(s.protocol).id for s in self.file.scores})
        content["verifier"] = verifier_version
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def known_boards(host: Host) -> dict[str, Path]:
    """Return the files of all boards: those of this project and those that plug-ins ship."""
    host.load_all()
    return {**{path.stem: path for path in sorted(BUILT_IN.glob("*.toml"))}, **host.boards()}


def load_board(reference: str, host: Host) -> Board:
    """Load a board by its name or the path of its TOML file.

    Raises:
        UsageError: If there is no such board, or the file is not a valid one; the text names the
            key and the nearest valid one.
    """
    path = _find(reference, host)
    return Board(read_board_file(path), path, host)


def _find(reference: str, host: Host) -> Path:
    if reference.endswith(".toml") or "/" in reference:
        if not Path(reference).is_file():
            raise UsageError(f"no board file {reference}")
        return Path(reference)
    if (BUILT_IN / f"{reference}.toml").is_file():
        return BUILT_IN / f"{reference}.toml"
    owner = host.owner(reference)
    if owner is not None:
        host.load(owner)
        if reference in host.boards():
            return host.boards()[reference]
    boards = known_boards(host)
    if reference not in boards:
        raise UsageError(f"no board {reference!r}; {did_you_mean(reference, boards)}")
    return boards[reference]


def read_board_file(path: Path) -> BoardFile:
    """Read and validate a board file."""
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"cannot read board {path}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"board {path} is not TOML: {error}") from None
    try:
        return BoardFile.model_validate(content)
    except pydantic.ValidationError as error:
        raise UsageError(f"board {path}: {explain(error, BoardFile)}") from None


def explain(error: pydantic.ValidationError, model: type[pydantic.BaseModel]) -> str:
    """Return the first problem of a validation in one line, with the nearest valid key."""
    # an unknown key explains a missing one, so it is told first
    problems = sorted(error.errors(), key=lambda each: each["type"] != "extra_forbidden")
    problem = problems[0]
    where = ".".join(str(part) for part in problem["loc"])
    if problem["type"] == "extra_forbidden":
        *parents, key = problem["loc"]
        fields = _fields(model, parents)
        return f"unknown key {where!r}; {did_you_mean(str(key), fields)}"
    message = problem["msg"].removeprefix("Value error, ")
    return f"{where}: {message}" if where else message


def _fields(model: type[pydantic.BaseModel], parents: list[Any]) -> list[str]:
    """Return the keys that are valid at a place in a model."""
    for parent in parents:
        if isinstance(parent, int):
            continue
        annotation = model.model_fields[parent].annotation
        candidates = [annotation, *getattr(annotation, "__args__", ())]
        found = [c for c in candidates if isinstance(c, type) and issubclass(c, pydantic.BaseModel)]
        if not found:
            return []
        model = found[0]
    return [field.alias or name for name, field in model.model_fields.items()]
