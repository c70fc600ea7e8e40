"""Records: one JSON file for each cell, written once; a leaderboard is nothing but records."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, ClassVar, Literal

import pydantic

from harness.costs import Amount as Amount
from harness.costs import Caps as Caps
from harness.costs import Cost as Cost
from harness.costs import Count as Count
from harness.costs import Frozen as Frozen
from harness.costs import Outside as Outside
from harness.costs import Time
from harness.costs import total_cost as total_cost
from harness.errors import NewerError, TamperedError, UsageError
from harness.files import is_text, json_sha256, read_json, write_atomically
from harness.imported import Imported as Imported
from harness.probes import Probe
from harness.rejudged import JudgedBefore
from harness.tuning import Tuning

SCHEMA = 1
START = "start"  # the row of the untouched start model
CONDITIONS = "conditions.json"  # beside published records: what their board fixes
PUBLISHED = "published.json"  # beside them too: in which order they were published
_TAKEN = tuple(name.removesuffix(".json") for name in (CONDITIONS, PUBLISHED))
LARGEST_RECORD = 16 * 2**20  # bytes
RESTORE = "restore it, or delete it and bench the cell again"  # what to do with a damaged record
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,199}")
Status = Literal["ok", "failed", "oom", "killed", "timeout", "interrupted"]
LETTERS = {"correct": "C", "wrong": "W", "no_answer": "N", "truncated": "T", "ungradable": "U"}


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
    gpus: int = 1  # of one stage
    packages: dict[str, str] = pydantic.Field(default={})
    commit: str | None = None  # of the harness, where it is a git checkout
    confinement: str = ""  # what kept its process from files and network; empty: not known


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
    attempts: Count = 1
    notes: dict[str, Any] = pydantic.Field(default={})  # what a reader must know, from the trainer
    environment: Environment | None = None  # where it was trained
    outside: Outside | None = None  # None where nobody measured
    control_of: str = ""  # the trainer that this one is a control arm of


class Checkpoint(Frozen):
    """The model that was scored."""

    digest: str  # sha256 over configuration, weights and tokenizer
    parameters: Count
    bytes: Count
    weights: str = ""  # sha256 over the tensors' values alone, however they are stored
    # share of the tensors, alike in shape, that are the teacher's to the bit and not the start's
    from_teacher: float = pydantic.Field(default=0.0, ge=0, le=1)
    # cosine between what training changed and the way from the start model to the teacher
    toward_teacher: float = pydantic.Field(default=0.0, ge=0, le=1)


class Score(Frozen, allow_inf_nan=False):
    """One task under one protocol."""

    task: str
    task_version: int
    task_digest: str
    protocol: str  # name and version
    ranking: bool  # whether the board ranks by this score
    max_new_tokens: Count
    n: Count
    samples: int = pydantic.Field(default=1, gt=0)  # answers to each problem
    verdicts: str  # one letter an answer, C W N T U, problem by problem in the task's order
    majority: str = ""  # with several samples: the letter of each problem's most frequent answer
    strict: Count  # answers right under strict string matching
    flexible: Count  # answers right under flexible string matching
    completion_tokens: Count
    limit_reached: Count  # answers that ended at the token limit, whatever their verdict
    unreadable: Count = 0  # answers that the verifier could not read; their verdict is wrong
    copied: Count = 0  # answers that repeat an expression of the problem; their verdict is wrong
    samples_sha256: str  # of the samples file in the run folder
    groups: tuple[int, ...] = ()  # group of each problem (instances of one template); () if alone
    overlap_13: tuple[int, ...] = ()  # problems that share 13 words in a row with training data
    overlap_8: tuple[int, ...] = ()  # the same for 8 words
    # problems that are a training problem in other words; None where nobody looked for them
    rephrased: tuple[int, ...] | None = None
    # under lm_eval:<task>: lm-eval's own metrics, filter by filter
    own: dict[str, float] = pydantic.Field(default={})

    @pydantic.model_validator(mode="after")
    def _consistent(self) -> Score:
        """Refuse figures that no answers can have given."""
        answers, letters = self.n * self.samples, set(LETTERS.values())
        if len(self.verdicts) != answers or set(self.verdicts) - letters:
            raise ValueError(f"{self.task}: {answers} answers need {answers} letters of CWNTU")
        if self.majority and (len(self.majority) != self.n or set(self.majority) - letters):
            raise ValueError(f"{self.task}: {self.n} problems need {self.n} majority letters")
        if self.groups and len(self.groups) != self.n:
            raise ValueError(f"{self.task}: {self.n} problems need {self.n} groups, or none")
        for name in ("strict", "flexible", "limit_reached"):
            if getattr(self, name) > answers:
                raise ValueError(f"{self.task}: {name} counts more than the {answers} answers")
        if self.unreadable + self.copied > self.verdicts.count("W"):
            raise ValueError(f"{self.task}: more unreadable and copied answers than wrong ones")
        judged = self.verdicts.count("C") + self.verdicts.count("W")
        if not judged <= self.completion_tokens <= answers * (self.max_new_tokens + 1):
            raise ValueError(
                f"{self.task}: {answers} answers of at most {self.max_new_tokens} tokens cannot"
                f" have {self.completion_tokens} tokens"
            )
        for places in (self.overlap_13, self.overlap_8, self.rephrased or ()):
            if any(not 0 <= place < self.n for place in places):
                raise ValueError(f"{self.task}: an overlap is with a problem that is not there")
        return self

    @property
    def counts(self) -> dict[str, int]:
        return {name: self.verdicts.count(letter) for name, letter in LETTERS.items()}

    @property
    def accuracy(self) -> float:
        return self.verdicts.count("C") / len(self.verdicts) if self.n else float("nan")


class Record(Frozen):
    """One cell: a trainer with a seed on a board, and what came of it."""

    INDENT: ClassVar[int] = 2

    schema_version: int = SCHEMA
    id: str
    board: BoardRef
    trainer: str  # `start`, `sft`, `sft+rl`, ...
    seed: Count | None  # None for the untouched start model
    # of the board's budget that it was trained with; below 1 it is a point of a curve (`at_share`)
    share: float = pydantic.Field(default=1.0, gt=0, le=1)
    status: Status
    error: str | None = None  # one line, for anything but ok
    log: str | None = None  # the failed stage's log, relative to the runs folder
    created: Time
    command: str  # reproduces this row
    stages: tuple[StageRef, ...] = ()
    cost: Cost = Cost()  # of the whole chain
    scoring_seconds: Amount = 0.0
    # of the verifier's workers, when the answers were judged; None where nobody measured
    judging_cpu_seconds: Amount | None = pydantic.Field(
        default=None, exclude_if=lambda value: value is None
    )
    checkpoint: Checkpoint | None = None
    imported: Imported | None = None  # what the start model was made of, by `harness import`
    verifier_version: str
    scores: tuple[Score, ...] = ()
    probes: tuple[Probe, ...] = ()  # of the start model, where the board asks for them
    environment: Environment
    supersedes: str | None = None
    # how its options were chosen, where the board has that done
    tuning: Tuning | None = pydantic.Field(default=None, exclude_if=lambda tuning: tuning is None)
    judged_before: JudgedBefore | None = None  # by an earlier version of the verifier
    digest: str = ""  # sha256 of the record without this field

    @pydantic.model_validator(mode="after")
    def _of_one_piece(self) -> Record:
        names = [(score.task, score.protocol) for score in self.scores]
        if len({*names}) < len(names):
            raise ValueError("two scores are of one task under one protocol")
        if self.judged_before and len(self.judged_before.scores) != len(names):
            raise ValueError("judged_before: it has other scores")
        return self

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
        return _read_record(path)
    except (UsageError, TamperedError) as error:
        todo = "install a newer one" if isinstance(error, NewerError) else RESTORE
        raise type(error)(f"{error}; {todo}") from None


def _read_record(path: Path) -> Record:
    if path.is_symlink():
        raise UsageError(f"{path} is a link and no file of its own")
    content = read_json(path, LARGEST_RECORD)
    if not isinstance(content, dict):
        raise UsageError(f"{path} is not a record: it holds no JSON object")
    if not is_text(content):
        raise UsageError(f"{path} is not a record: a text in it is no UTF-8")
    version = content.get("schema_version")
    if isinstance(version, int) and version > SCHEMA:
        raise NewerError(f"{path} has record schema {version}, newer than {SCHEMA} of this harness")
    try:
        record = Record.model_validate(content)
        first = record.judged_before.restored(record) if record.judged_before else record
    except pydantic.ValidationError as error:
        wrong = error.errors()[0]
        where, what = ".".join(map(str, wrong["loc"])), wrong["msg"].removeprefix("Value error, ")
        raise UsageError(f"{path} is not a record: {where + ': ' if where else ''}{what}") from None
    if record.digest != record.compute_digest():
        raise TamperedError(f"{path} was changed after it was written: its digest does not match")
    if first is not record and first.digest != first.compute_digest():
        raise TamperedError(f"{path} is not the record that was judged anew to make it")
    return record


def read_records(
    folder: Path, *, board: str | None = None, superseded: bool = False
) -> list[Record]:
    """Read every record of a folder, in order of their names; none if there is no such folder.

    Args:
        folder: The folder.
        board: The digest of a board: only its records are returned.
        superseded: Return also those that a later one replaces.

    Raises:
        TamperedError: If one was changed after it was written, or is named as another record.
        UsageError: If a file is not a record.
    """
    records = list(read_record_files(folder).values())
    gone = set() if superseded else replaced(records)
    return [
        record
        for record in records
        if record.digest not in gone and board in (None, record.board.digest)
    ]


def read_record_files(folder: Path) -> dict[str, Record]:
    """Return what `read_records` reads, by the file's name: the id, or that of `second_name`."""
    records = {}
    for path in sorted(folder.glob("*.json")):
        if path.name in (CONDITIONS, PUBLISHED):
            continue
        record = records[path.stem] = read_record(path)
        if not _ID.fullmatch(record.id) or record.id.casefold() in _TAKEN:
            raise TamperedError(
                f"{path}: {record.id[:80]!r} is no id of a record, which has letters, digits and"
                f" ._+- and is none of {', '.join(_TAKEN)}; bench the cell again"
            )
        if path.stem not in (record.id, second_name(record)):
            raise TamperedError(f"{path} holds the record {record.id!r}: the names must agree")
    return records


def second_name(record: Record) -> str:
    """Return the name of a record's file where another record has its id."""
    return f"{record.id}.{record.digest[:12]}"


def replaced(records: Iterable[Record]) -> set[str]:
    """Return the digests of the records that another one replaces.

    Only a record of the same trainer, seed and board can: nobody replaces the result of another.
    """
    records = list(records)
    wanted = {(one.supersedes, one.trainer, one.seed, one.board.name) for one in records}
    return {
        one.digest for one in records if (one.id, one.trainer, one.seed, one.board.name) in wanted
    }


def at_share(trainer: str, share: float) -> str:
    """Return the name of a trainer that is given a share of the budget: `sft@0.25`."""
    return trainer if share == 1 else f"{trainer}@{share:g}"


def cell_name(label: str, seed: int | None, mark: str = " seed ") -> str:
    """Return the name of a cell or of one of its stages; what has no seed is named without one.

    Before the seed is ` seed ` for people, `/` in commands, and `-s` in the names of files.
    """
    return label if seed is None else f"{label}{mark}{seed}"
