"""What is known of records besides what they say: where they were published, and their answers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import pydantic

from harness.costs import Frozen
from harness.errors import HarnessError, TamperedError, UsageError
from harness.files import file_sha256, read_json, read_jsonl
from harness.leaderboard.rules import Knowledge, Known
from harness.records import CONDITIONS, LETTERS, PUBLISHED, Record, Score, read_record_files
from harness.tasks.protocols import score_name


class Published(Frozen):
    """One published record."""

    file: str  # its name without `.json`
    digest: str  # of the record
    answers: str | None  # sha256 of its answers' lines; None for a mere claim
    submission: str = ""  # that brought it; empty for the publisher's own


class Ledger(Frozen):
    """The records of a published board in the order in which they were published."""

    schema_version: int = 1
    records: tuple[Published, ...] = ()
    signers: dict[str, str] = pydantic.Field(default={})  # submission -> who signed it
    manifests: dict[str, str] = pydantic.Field(default={})  # submission -> sha256 of its manifest

    def knowledge(self) -> dict[str, Known]:
        return {
            one.digest: Known(
                one.file,
                claimed=one.answers is None,
                place=place,
                submission=one.submission,
                signer=self.signers.get(one.submission, ""),
            )
            for place, one in enumerate(self.records)
        }


def read_ledger(folder: Path, records: Mapping[str, Record], *, whole: bool = True) -> Ledger:
    """Return the ledger of a folder of published records, given by the names of their files.

    A folder that an earlier version published has none: its records came in the order of their
    dates, without answers. Unless `whole`, records that are not listed yet are no error.

    Raises:
        TamperedError: If a record is not listed, is listed and not there, or is another one now.
    """
    path = folder / PUBLISHED
    if not is_there(path):
        ordered = sorted(records.items(), key=lambda item: (item[1].created, item[0]))
        listed = (Published(file=name, digest=one.digest, answers=None) for name, one in ordered)
        return Ledger(records=tuple(listed))
    try:
        ledger = Ledger.model_validate(read_json(path))
    except UsageError as error:
        raise UsageError(f"{error}; restore it") from None
    except pydantic.ValidationError as error:
        where = ".".join(map(str, error.errors()[0]["loc"])) or "what it holds"
        raise UsageError(f"{path} does not list records: {where} is wrong; restore it") from None
    listed_here = {one.file: one.digest for one in ledger.records}
    if len(listed_here) < len(ledger.records):
        raise TamperedError(f"{path} lists a record twice")
    for name, record in records.items():
        digest = listed_here.pop(name, None)
        if digest is None and whole:
            raise TamperedError(
                f"{folder / name}.json is not listed in {path.name}: harness publish adds it"
            )
        if digest not in (None, record.digest):
            raise TamperedError(
                f"{folder / name}.json was changed after it was published; restore it"
            )
    for name in listed_here:
        raise TamperedError(
            f"{folder / name}.json is missing, and {path.name} lists it; restore it"
        )
    return ledger


def known_of(folder: Path, records: Iterable[Record]) -> Knowledge:
    """Return what is known of records in a board's runs folder or in one of published records.

    In a runs folder a record is a claim where its judged answers are not there or are others.
    """
    if (folder / CONDITIONS).is_file():
        return read_ledger(folder, read_record_files(folder)).knowledge()
    return {one.digest: Known(one.id, claimed=not _judged(folder, one)) for one in records}


def stored_answers(folder: Path, record: Record, score: Score) -> Path:
    """Return the file of a score's judged answers in a runs folder, checked against the record.

    Raises:
        UsageError: If they are not in the runs folder (those of published records lie elsewhere).
        TamperedError: If they are not those that the record was made from, or cannot be read.
    """
    path = folder / "answers" / record.id / f"{score_name(score.task, score.protocol)}.jsonl"
    if not is_there(path):
        raise UsageError(f"no answers of {record.cell}: there is no {path}")
    try:
        found = file_sha256(path)
    except UsageError as error:
        raise not_its_answers(path, record, error) from None
    if found != score.samples_sha256:
        raise not_its_answers(path, record)
    return path


def is_there(path: Path) -> bool:
    """Return whether something lies at a place, were it a link that leads nowhere."""
    return path.exists() or path.is_symlink()


def not_its_answers(path: Path, record: Record, error: HarnessError | None = None) -> TamperedError:
    """Return the error that a file is not the answers that a record was made from, and why."""
    what = f"{path} is not what record {record.id} was made from"
    if error is not None:
        what += f" ({str(error).replace(f' of {path}', '').replace(str(path), 'it')})"
    return TamperedError(f"{what}; restore it, or delete that record and bench the cell again")


def _judged(folder: Path, record: Record) -> bool:
    """Return whether the judged answers in a runs folder give the verdicts of a record."""
    try:
        for score in record.scores:
            rows = read_jsonl(stored_answers(folder, record, score))
            letters = (LETTERS[str(row["verdict"])] for _, row in rows)
            if "".join(letters) != score.verdicts:
                return False
    except (HarnessError, OSError, KeyError):
        return False
    return True
