"""Publish a board: take in records and their answers, and write the files that they give."""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from harness.boards.conditions import Conditions, read_conditions
from harness.errors import TamperedError, UsageError
from harness.files import file_sha256, read_bytes, write_atomically
from harness.leaderboard.build import build
from harness.leaderboard.data import Leaderboard
from harness.leaderboard.evidence import Ledger, is_there, read_ledger
from harness.publish import answers, submission
from harness.publish.join import Joined, join
from harness.publish.recompute import Tasks
from harness.publish.sources import BY_HAND, Brought, Source, gather, in_order
from harness.records import CONDITIONS, PUBLISHED, Record, read_record_files
from harness.render import index, markdown, spreadsheet
from harness.report import forest

BOARD_FILE = "board.toml"
SCHEMA_FILE = "leaderboard.schema.json"
INDEX = "README.md"
SUBMISSIONS = "submissions"
PARTS = (BOARD_FILE, answers.FOLDER, SUBMISSIONS)


@dataclass
class Outcome:
    """What publishing a board came to."""

    written: list[Path] = field(default_factory=list)  # the files, records and answers excepted
    joined: Joined = field(default_factory=Joined)
    new: int = 0  # records that were not published before
    confirming: int = 0  # of those: made again, with the weights and answers of one that counts


def render(board: Leaderboard) -> dict[str, str]:
    """Return the text of each published file of a board, by its ending."""
    text, table = markdown.render(board), spreadsheet.render(board)
    plot = forest.published(board)
    return {".md": text, ".svg": plot, ".json": board.to_json(), ".csv": table}


def write(board: Leaderboard, folder: Path) -> list[Path]:
    """Write a board's `.md`, `.svg`, `.json` and `.csv` into a folder, without its records."""
    files = {folder / f"{board.conditions.board}{end}": text for end, text in render(board).items()}
    for path, text in files.items():
        write_atomically(path, text)
    return list(files)


def publish(
    sources: Path | Sequence[Path],
    conditions: Conditions,
    folder: Path,
    board_file: Path | None = None,
    *,
    others: Sequence[Path] = (),
    replace: bool = False,
    tasks: Tasks | None = None,
) -> Outcome:
    """Publish a board in `folder`: take in records and answers, and write what they give.

    What is published already stays: the records of several people are joined. With `replace`, what
    was published under other conditions is deleted, once all is checked.

    Args:
        sources: Runs folders, submissions and folders of records; none to write the pages anew.
            Runs among them are the publisher's own.
        conditions: What the board fixes.
        folder: Of published leaderboards.
        board_file: The board's TOML file, which is published too.
        others: More of them, taken in after those in this order; runs among these are somebody
            else's.
        replace: Drop what was published under other conditions.
        tasks: Finds a task by its name, to judge answers anew; without it all records are claims.

    Raises:
        UsageError: If there is no record of this board, or other conditions are published.
        TamperedError: If a record was changed.
    """
    records = folder / "records" / conditions.board
    old = read_conditions(records / CONDITIONS) if (records / CONDITIONS).exists() else None
    changed = old is not None and old.digest != conditions.digest
    if old and changed and not replace:
        raise UsageError(
            f"{records} holds records made under other conditions (board digest"
            f" {old.digest[:12]}, now {conditions.digest[:12]}); they are never mixed:"
            " add --replace to drop them, or give the board another name"
        )
    files = {} if changed else read_record_files(records)
    ledger = Ledger() if changed else read_ledger(records, files, whole=False)
    before = {one.digest for one in ledger.records}
    given = [sources] if isinstance(sources, Path) else list(sources)
    found = [gather(one, conditions.digest) for one in given]
    foreign = [gather(one, conditions.digest, foreign=True) for one in others]
    found += foreign
    signers = {one.manifest.name: _signer(one, folder) for one in found if one.manifest}
    _check_names(found, records, ledger)
    # Dates are said by whoever made a record, so they order nothing but the records of one source.
    brought = [one for source in found for one in in_order(source.records)]
    brought += in_order(_unlisted(records, files, ledger))
    if not brought and not ledger.records:
        places = ", ".join(map(str, [*given, *others])) or str(records)
        raise UsageError(f"{places} has no record of board {conditions.board!r} as it is now")
    text = None if board_file is None else board_file.read_text(encoding="utf-8")
    if text is not None:
        sha256 = hashlib.sha256(text.encode()).hexdigest()
        conditions = conditions.model_copy(update={"board_sha256": sha256})
    elif old and not changed:
        conditions = conditions.model_copy(update={"board_sha256": old.board_sha256})
    # Everything is checked before anything is written, so a refusal leaves no half of a board.
    joined = join(files, ledger, brought, conditions, tasks, signers)
    joined.refused += [one.left_out for one in foreign if one.left_out]
    if not joined.records:
        raise UsageError(f"board {conditions.board!r}: nothing to publish; {joined.refused[0]}")
    known = joined.ledger.knowledge()
    board = build(joined.records.values(), conditions, known, published=True)
    with aside(records) if changed else contextlib.nullcontext():
        for name, held in joined.answers.items():
            write_answers(records / answers.FOLDER / f"{name}{answers.ENDING}", held.text)
        for name, record in joined.records.items():
            if name not in files:
                write_atomically(records / f"{name}.json", record.to_json())
        manifests = dict(joined.ledger.manifests)
        for source in found:
            manifests |= _keep_manifest(source, records / SUBMISSIONS, joined.ledger)
        ledger = joined.ledger.model_copy(update={"manifests": manifests})
        write_atomically(records / PUBLISHED, ledger.to_json())
        write_atomically(records / CONDITIONS, conditions.to_json())
        if text is not None:
            write_atomically(records / BOARD_FILE, text)
    written = write(board, folder)
    write_atomically(folder / SCHEMA_FILE, json_schema())
    beside = [rebuild(path) for path in published_boards(folder) if path != records]
    write_atomically(folder / INDEX, index.render([board, *beside]))
    new = {one.digest for one in joined.records.values()} - before
    again = {one.digest for row in board.rows for one in row.confirmations} & new
    paths = [*written, folder / SCHEMA_FILE, folder / INDEX]
    return Outcome(paths, joined, len(new), len(again))


def _unlisted(records: Path, files: dict[str, Record], ledger: Ledger) -> list[Brought]:
    """Return the records that were copied by hand among the published ones."""
    listed = {one.file for one in ledger.records}
    found = []
    for name, record in files.items():
        if name not in listed:
            packed = records / answers.FOLDER / f"{name}{answers.ENDING}"
            held = answers.hold(packed) if packed.exists() else None
            found.append(Brought(record, records / f"{name}.json", held, BY_HAND))
    return found


def _check_names(found: Sequence[Source], records: Path, ledger: Ledger) -> None:
    """Refuse a submission that has the name of another: by that name a hand is known."""
    taken = {one.submission: "" for one in ledger.records}
    for path in (records / SUBMISSIONS).glob("*.json"):
        taken[path.stem] = submission.read_manifest_file(path).to_json()
    for source in found:
        manifest = source.manifest
        if manifest is None:
            continue
        if taken.setdefault(manifest.name, manifest.to_json()) != manifest.to_json():
            raise UsageError(
                f"{source.folder}: another submission is named {manifest.name!r}; harness submit"
                " gives each a name of its own"
            )


def _signer(source: Source, folder: Path) -> str:
    signature = source.folder / submission.SIGNATURE
    if not signature.exists():
        return ""
    manifest, allowed = source.folder / submission.MANIFEST, folder / submission.SIGNERS
    return submission.signer(manifest, signature, allowed)


def _keep_manifest(source: Source, place: Path, ledger: Ledger) -> dict[str, str]:
    """Publish the manifest of a submission of which a record was taken, with its signature.

    Returns:
        The sha256 of the manifest that was published, by the name of its submission.
    """
    if source.manifest is None:
        return {}
    name = source.manifest.name
    if name not in {one.submission for one in ledger.records}:
        return {}
    for ending, file in ((".json", submission.MANIFEST), (".json.sig", submission.SIGNATURE)):
        path = source.folder / file
        if path.exists():
            write_atomically(place / f"{name}{ending}", path.read_text(encoding="utf-8"))
    return {name: file_sha256(place / f"{name}.json")}


def write_answers(path: Path, lines: str) -> None:
    """Write compressed answers whole; what is there already with the same lines stays."""
    if path.exists() and answers.read(path) == lines:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    partial.write_bytes(answers.pack(lines))
    partial.replace(path)


@contextlib.contextmanager
def aside(records: Path) -> Iterator[Path]:
    """Put what was published aside; it is deleted when the new files are written, or put back."""
    place = records.with_name(f".{records.name}.replaced")
    shutil.rmtree(place, ignore_errors=True)
    records.rename(place)
    try:
        yield place
    except BaseException:
        shutil.rmtree(records, ignore_errors=True)
        place.rename(records)
        raise
    shutil.rmtree(place)


def published_boards(folder: Path) -> list[Path]:
    found = (folder / "records").glob("*/")
    return sorted(
        path for path in found if is_there(path / CONDITIONS) and not path.name.startswith(".")
    )


def rebuild(records: Path) -> Leaderboard:
    """Return the leaderboard of a folder of published records, checked without any plug-in."""
    conditions = read_conditions(records / CONDITIONS)
    if conditions.board != records.name:
        raise TamperedError(
            f"{records / CONDITIONS} is of the board {conditions.board!r}: the names must agree"
        )
    for path in sorted(records.iterdir()):
        if path.suffix != ".json" and path.name not in PARTS and not path.name.startswith("."):
            raise TamperedError(f"{path} belongs to no record; delete it")
    file = records / BOARD_FILE
    if conditions.board_sha256 is not None:
        if not file.is_file():
            raise TamperedError(f"{file} is missing; harness publish writes it")
        if hashlib.sha256(read_bytes(file)).hexdigest() != conditions.board_sha256:
            raise TamperedError(f"{file} was changed after it was published; restore it")
    found = read_record_files(records)
    ledger = read_ledger(records, found)
    _check_answers(records, ledger)
    _check_submissions(records, ledger, found)
    return build(found.values(), conditions, ledger.knowledge(), published=True)


def _check_answers(records: Path, ledger: Ledger) -> None:
    """Refuse files of answers that are not those that the ledger lists."""
    place = records / answers.FOLDER
    if place.is_dir() and not (records / PUBLISHED).exists():  # as in boards without answers
        raise TamperedError(
            f"{records / PUBLISHED} is missing, which lists the answers; restore it"
        )
    expected = set()
    for one in ledger.records:
        path = place / f"{one.file}{answers.ENDING}"
        if one.answers is None:
            continue
        expected.add(path.name)
        if not path.exists():
            raise TamperedError(f"{path} is missing, and {PUBLISHED} lists it; restore it")
        if answers.digest(answers.read(path)) != one.answers:
            raise TamperedError(f"{path} was changed after it was published; restore it")
    for path in sorted(place.iterdir()) if place.is_dir() else ():
        if path.name not in expected and not path.name.startswith("."):
            raise TamperedError(f"{path} belongs to no record; delete it")


def _check_submissions(records: Path, ledger: Ledger, found: Mapping[str, Record]) -> None:
    """Refuse manifests that are not those that were published, and signatures that are none."""
    place = records / SUBMISSIONS
    named = {one.submission for one in ledger.records}
    for path in sorted(place.iterdir()) if place.is_dir() else ():
        if path.name.removesuffix(".sig").removesuffix(".json") not in named:
            raise TamperedError(f"{path} belongs to no record; delete it")
    for name, who in sorted(ledger.signers.items()):
        manifest, signature = place / f"{name}.json", place / f"{name}.json.sig"
        for path in (manifest, signature):
            if not path.is_file():
                raise TamperedError(f"{path} is missing; {PUBLISHED} says that {who} signed it")
        if submission.can_verify():
            allowed = records.parents[1] / submission.SIGNERS
            signer = submission.signer(manifest, signature, allowed)
            if signer != who:
                raise TamperedError(f"{signature} is by {signer}, and {PUBLISHED} says {who}")
            _as_signed(name, manifest, ledger, found)
    for name, sha256 in sorted(ledger.manifests.items()):
        if not (path := place / f"{name}.json").is_file():
            raise TamperedError(f"{path} is missing, and {PUBLISHED} lists it; restore it")
        if file_sha256(path) != sha256:
            raise TamperedError(f"{path} was changed after it was published; restore it")


def _as_signed(name: str, path: Path, ledger: Ledger, found: Mapping[str, Record]) -> None:
    """Refuse a record said to be of a signed submission that does not list it as it first was."""
    listed = {one.digest for one in submission.read_manifest_file(path).records}
    for one in ledger.records:
        before = found[one.file].judged_before
        first = one.digest if before is None else before.digest
        if one.submission == name and first not in listed:
            raise TamperedError(f"{path} does not list the record {one.file}")


def json_schema() -> str:
    """Return the JSON Schema of a published leaderboard, as the file's text."""
    schema = Leaderboard.model_json_schema(mode="serialization")
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    return json.dumps(schema, indent=1, sort_keys=True) + "\n"
