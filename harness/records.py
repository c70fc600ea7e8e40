"""Records: one JSON file for each cell, written once; a leaderboard is nothing but records."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from typing import Annotated, Any, Literal

import pydantic

from harness.errors import TamperedError, UsageError
from harness.files import json_sha256, slug, write_atomically

SCHEMA = 1
START = "start"  # the row of the untouched start model
CONDITIONS = "conditions.json"  # beside published records: what their board fixes
_WHOLE = ("steps", "trained_tokens")  # caps that are whole numbers
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,199}")
Status = Literal["ok", "failed", "oom", "killed", "timeout", "interrupted"]
LETTERS = {"correct": "C", "wrong": "W", "no_answer": "N", "truncated": "T", "ungradable": "U"}


class Frozen(pydantic.BaseModel):
    """The base of what is read from files: an unknown key is an error, and no value changes."""

    model_config = pydantic.ConfigDict(frozen=True, extra="forbid")


class Caps(Frozen, allow_inf_nan=False):
    """What one cell may spend on training; at least one cap is set, all that are set hold."""

    steps: int | None = pydantic.Field(default=None, gt=0)  # optimiser steps
    trained_tokens: int | None = pydantic.Field(default=None, gt=0)  # tokens a gradient is taken on
    flops: float | None = pydantic.Field(default=None, gt=0)
    seconds: float | None = pydantic.Field(default=None, gt=0)  # wall clock inside the trainer

    @pydantic.model_validator(mode="after")
    def _one_at_least(self) -> Caps:
        if not self.set_caps():
            raise ValueError("set at least one of steps, trained_tokens, flops, seconds")
        return self

    def set_caps(self) -> dict[str, float]:
        """Return the caps that are set, by name."""
        return {name: value for name, value in self if value is not None}

    def minus(self, spent: Cost) -> Caps:
        """Return what is left after `spent`; a cap that is used up leaves the smallest amount."""
        left = {}
        for name, cap in self.set_caps().items():
            left[name] = max(cap - getattr(spent, name), 1 if name in _WHOLE else 1e-9)
        return Caps(**left)

    def share(self, parts: int) -> Caps:
        shares = {}
        for name, cap in self.set_caps().items():
            shares[name] = max(1, int(cap // parts)) if name in _WHOLE else cap / parts
        return Caps(**shares)


Whole = Annotated[int, pydantic.Field(ge=0)]
Amount = Annotated[float, pydantic.Field(ge=0, allow_inf_nan=False)]


class Cost(pydantic.BaseModel, extra="forbid"):
    """What was spent. Sums of stages are sums of fields, but for the peak, which is a maximum."""

    steps: Whole = 0  # optimiser steps
    trained_tokens: Whole = 0  # non-padding tokens in forward passes with a gradient
    generated_tokens: Whole = 0  # tokens sampled from the model in training, up to the end of turn
    reference_tokens: Whole = 0  # forward passes of the student or a reference without a gradient
    teacher_tokens: Whole = 0  # tokens the teacher read or wrote
    flops: Amount = 0.0
    seconds: Amount = 0.0  # wall clock inside the trainer
    gpu_seconds: Amount = 0.0
    peak_memory_bytes: Whole = 0  # of the GPU where one is used, else of the process
    energy_joules: Amount | None = None  # where NVML answers

    def plus(self, other: Cost) -> Cost:
        total = dict(self)
        for name, theirs in other:
            mine = total[name]
            if mine is None or theirs is None:
                total[name] = theirs if mine is None else mine
            else:
                total[name] = max(mine, theirs) if name == "peak_memory_bytes" else mine + theirs
        return Cost(**total)


class BoardRef(Frozen):
    """The board a record belongs to."""

    name: str
    digest: str  # sha256 over everything that can change a result


class Environment(Frozen):
    """Where a cell ran: enough to judge whether two rows may differ by it."""

    python: str
    platform: str
    processor: str
    gpu: str | None = None
    device: str = "cpu"
    dtype: str = "float32"
    engine: str = "hf"  # what generated the scored answers
    batch_size: int = 0  # of the scored generation
    attention: str = "sdpa"  # implementation of attention
    gpus: int = 1  # of one training stage
    packages: dict[str, str] = {}
    commit: str | None = None  # of the harness, where it is a git checkout
    confinement: str = ""  # what kept its process from files and network; empty: not known


class Outside(Frozen):
    """What a stage used as measured outside its process, summed over its attempts."""

    seconds: float  # wall clock, from the start of the process to the end of its last child
    cpu_seconds: float  # of all its processes
    gpu_seconds: float = 0.0  # wall clock times the GPUs it had
    peak_memory_bytes: int = 0  # resident, of its largest process
    processes: int = 1  # the most that were seen at once
    attempts: int = 1  # that were measured

    def plus(self, other: Outside) -> Outside:
        return Outside(
            seconds=self.seconds + other.seconds,
            cpu_seconds=self.cpu_seconds + other.cpu_seconds,
            gpu_seconds=self.gpu_seconds + other.gpu_seconds,
            peak_memory_bytes=max(self.peak_memory_bytes, other.peak_memory_bytes),
            processes=max(self.processes, other.processes),
            attempts=self.attempts + other.attempts,
        )


class StageRef(Frozen):
    """One training stage of a cell's chain."""

    trainer: str
    plugin: str  # entry-point name
    distribution: str
    version: str
    source_sha256: str  # of the plug-in's module or package
    options: dict[str, Any]
    stage: str  # folder name: a digest of all that can change the stage's result
    status: Status
    cost: Cost
    attempts: int = 1
    notes: dict[str, Any] = {}  # what a reader must know, from the trainer
    environment: Environment | None = None  # where it was trained
    outside: Outside | None = None  # None where nobody measured


class Checkpoint(Frozen):
    """The model that was scored."""

    digest: str  # sha256 over configuration, weights and tokenizer
    parameters: int
    bytes: int
    weights: str = ""  # sha256 over the tensors' values alone, however they are stored
    # share of the tensors, alike in shape, that are the teacher's to the bit and not the start's
    from_teacher: float = pydantic.Field(default=0.0, ge=0, le=1)


class Score(Frozen):
    """One task under one protocol."""

    task: str
    task_version: int
    task_digest: str
    protocol: str  # name and version
    ranking: bool  # whether the board ranks by this score
    max_new_tokens: int
    n: int
    samples: int = 1  # answers to each problem
    verdicts: str  # one letter an answer, C W N T U, problem by problem in the task's order
    majority: str = ""  # with several samples: the letter of each problem's most frequent answer
    strict: int  # answers right under strict string matching
    flexible: int  # answers right under flexible string matching
    completion_tokens: int
    limit_reached: int  # answers that ended at the token limit, whatever their verdict
    unreadable: int = 0  # answers that the verifier could not read; their verdict is wrong
    copied: int = 0  # answers that repeat an expression of the problem; their verdict is wrong
    samples_sha256: str  # of the samples file in the run folder
    groups: tuple[int, ...] = ()  # group of each problem (instances of one template); () if alone
    overlap_13: tuple[int, ...] = ()  # problems that share 13 words in a row with training data
    overlap_8: tuple[int, ...] = ()  # the same for 8 words
    own: dict[str, float] = {}  # under lm_eval:<task>: lm-eval's own metrics, filter by filter

    @pydantic.model_validator(mode="after")
    def _one_verdict_each(self) -> Score:
        answers = self.n * self.samples
        if len(self.verdicts) != answers or set(self.verdicts) - set(LETTERS.values()):
            raise ValueError(f"{self.task}: {answers} answers need {answers} letters of CWNTU")
        if self.majority and len(self.majority) != self.n:
            raise ValueError(f"{self.task}: {self.n} problems need {self.n} majority letters")
        if self.groups and len(self.groups) != self.n:
            raise ValueError(f"{self.task}: {self.n} problems need {self.n} groups, or none")
        return self

    @property
    def counts(self) -> dict[str, int]:
        return {name: self.verdicts.count(letter) for name, letter in LETTERS.items()}

    @property
    def accuracy(self) -> float:
        return self.verdicts.count("C") / len(self.verdicts) if self.n else float("nan")


class Record(Frozen):
    """One cell: a trainer with a seed on a board, and what came of it."""

    schema_version: int = SCHEMA
    id: str
    board: BoardRef
    trainer: str  # `start`, `sft`, `sft+rl`, ...
    seed: int | None  # None for the untouched start model
    status: Status
    error: str | None = None  # one line, for anything but ok
    log: str | None = None  # the failed stage's log, relative to the runs folder
    created: str  # UTC, ISO 8601
    command: str  # reproduces this row
    stages: tuple[StageRef, ...] = ()
    cost: Cost = Cost()  # of the whole chain
    scoring_seconds: float = 0.0
    checkpoint: Checkpoint | None = None
    verifier_version: str
    scores: tuple[Score, ...] = ()
    environment: Environment
    supersedes: str | None = None
    digest: str = ""  # sha256 of the record without this field

    @property
    def name(self) -> str:
        return cell_name(self.trainer, self.seed)

    @property
    def cell(self) -> str:
        """Return the name of the record's cell as commands take it: `sft/0`."""
        return cell_name(self.trainer, self.seed, "/")

    def sealed(self) -> Record:
        return self.model_copy(update={"digest": self.compute_digest()})

    def compute_digest(self) -> str:
        """Return the sha256 over every other field.

        A field at its default counts as one that is not there, so a field that a later version
        adds leaves the digests of earlier records as they were.
        """
        content = self.model_dump(mode="json", exclude={"digest"}, exclude_defaults=True)
        return json_sha256(content)

    def to_json(self) -> str:
        """Return the file's text: sorted keys, two spaces, a newline at the end."""
        return json.dumps(self.model_dump(mode="json"), indent=2, sort_keys=True) + "\n"


def write_record(record: Record, folder: Path) -> Path:
    """Seal a record and write it; a file that is there already is never changed.

    Raises:
        TamperedError: If a record of the same id with other content is there.
    """
    record = record.sealed()
    path = folder / f"{record.id}.json"
    if path.exists():
        if read_record(path) != record:
            raise TamperedError(f"{path} is there already with other content; records never change")
        return path
    write_atomically(path, record.to_json())
    return path


def read_record(path: Path) -> Record:
    """Read and check one record.

    Raises:
        UsageError: If the file is not a record of a schema this version reads.
        TamperedError: If the content does not match the digest it was sealed with.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        version = content.get("schema_version")
        if isinstance(version, int) and version > SCHEMA:
            raise UsageError(f"{path} has record schema {version}; this harness reads {SCHEMA}")
        record = Record.model_validate(content)
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from None
    except (ValueError, AttributeError) as error:
        raise UsageError(f"{path} is not a record: {str(error).splitlines()[0]}") from None
    if record.digest != record.compute_digest():
        raise TamperedError(f"{path} was changed after it was written: its digest does not match")
    return record


def read_records(folder: Path, *, superseded: bool = False) -> list[Record]:
    """Read every record of a folder, in order of their names; none if there is no such folder.

    Records that a later one replaces are returned only if `superseded` is true.

    Raises:
        TamperedError: If one was changed after it was written, or is named as another record.
        UsageError: If a file is not a record.
    """
    records = []
    for path in sorted(folder.glob("*.json")):
        if path.name == CONDITIONS:
            continue
        record = read_record(path)
        if not _ID.fullmatch(record.id) or path.stem != record.id:
            raise TamperedError(f"{path} holds the record {record.id!r}: the names must agree")
        records.append(record)
    replaced = {record.supersedes for record in records}
    return [record for record in records if superseded or record.id not in replaced]


def total_cost(costs: Iterable[Cost]) -> Cost:
    return reduce(Cost.plus, costs, Cost())


@dataclass(frozen=True)
class Cell:
    """A trainer (or chain, or the start model) with a seed: its stages up to the score."""

    board: str  # digest of the board
    trainer: str  # as shown on the leaderboard
    seed: int | None
    train: tuple[str, ...]  # stage ids, in order
    generate: str  # stage id
    judge: str  # stage id
    command: str  # reproduces the row

    @property
    def name(self) -> str:
        return cell_name(self.trainer, self.seed)

    @property
    def stages(self) -> tuple[str, ...]:
        return (*self.train, self.generate, self.judge)

    @property
    def digest(self) -> str:
        return json_sha256([self.board, self.trainer, *self.train, self.generate])

    @property
    def record_id(self) -> str:
        """Return the id of the cell's record: readable, unique, and safe as a file name."""
        return f"{cell_name(slug(self.trainer), self.seed, '-s')}-{self.digest[:12]}"


def cell_name(label: str, seed: int | None, mark: str = " seed ") -> str:
    """Return the name of a cell or of one of its stages; what has no seed is named without one.

    Before the seed is ` seed ` for people, `/` in commands, and `-s` in the names of files.
    """
    return label if seed is None else f"{label}{mark}{seed}"
