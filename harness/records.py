"""Records: one JSON file for each cell, written once; a leaderboard is nothing but records."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

import pydantic

from harness.budget import Cost
from harness.errors import TamperedError, UsageError

SCHEMA = 1
Status = Literal["ok", "failed", "oom", "killed", "timeout", "interrupted"]
LETTERS = {"correct": "C", "wrong": "W", "no_answer": "N", "truncated": "T", "ungradable": "U"}


class _Part(pydantic.BaseModel, frozen=True, extra="forbid"):
    pass


class BoardRef(_Part):
    """The board a record belongs to."""

    name: str
    digest: str  # sha256 over everything that can change a result


class Environment(_Part):
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


class StageRef(_Part):
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
    notes: dict[str, Any] = {}  # what the trainer says a reader must know
    environment: Environment | None = None  # where it was trained


class Checkpoint(_Part):
    """The model that was scored."""

    digest: str  # sha256 over configuration, weights and tokenizer
    parameters: int
    bytes: int


class Score(_Part):
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
        """Return the number of answers for each verdict."""
        return {name: self.verdicts.count(letter) for name, letter in LETTERS.items()}

    @property
    def accuracy(self) -> float:
        """Return the share of verified answers, 0 to 1."""
        return self.verdicts.count("C") / len(self.verdicts) if self.n else float("nan")


class Record(_Part):
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

    def sealed(self) -> Record:
        """Return this record with its digest filled in."""
        return self.model_copy(update={"digest": self.compute_digest()})

    def compute_digest(self) -> str:
        """Return the sha256 over every other field.

        A field at its default counts as one that is not there, so a field that a later version
        adds leaves the digests of earlier records as they were.
        """
        content = self.model_dump(mode="json", exclude={"digest"}, exclude_defaults=True)
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()

    def to_json(self) -> str:
        """Return the file's text: sorted keys, two spaces, a newline at the end."""
        return json.dumps(self.model_dump(mode="json"), indent=2, sort_keys=True) + "\n"


def write_atomically(path: Path, text: str) -> None:
    """Write a file so that a reader sees the old one or the whole new one, never a part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


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


def read_records(folder: Path) -> list[Record]:
    """Read every record of a folder, in order of their names; superseded ones are left out."""
    records = [read_record(path) for path in sorted(folder.glob("*.json"))]
    superseded = {record.supersedes for record in records}
    return [record for record in records if record.id not in superseded]


def total_cost(costs: Iterable[Cost]) -> Cost:
    """Return the cost of several stages done one after the other."""
    total = Cost()
    for cost in costs:
        total = total.plus(cost)
    return total
