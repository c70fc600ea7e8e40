"""What is brought to a board: records with their answers, from runs, a submission or a copy."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from harness.errors import TamperedError, UsageError
from harness.files import json_sha256
from harness.leaderboard.evidence import is_there
from harness.publish import answers
from harness.publish.submission import MANIFEST, Manifest, read_manifest
from harness.records import Record, read_record_files

BY_HAND = "added by hand"  # what was copied into the folder of published records


@dataclass(frozen=True)
class Brought:
    """One record that somebody brings."""

    record: Record
    path: Path  # where it lies
    answers: answers.Held | None  # the lines of its answers, as they are published
    submission: str = ""  # or which other hand it is of; empty for the publisher's own runs
    damaged: str = ""  # why the answers that lie in its runs folder cannot be read


@dataclass(frozen=True)
class Source:
    """All that one folder brings."""

    folder: Path
    records: tuple[Brought, ...]
    runs: bool  # whether it is a board's runs folder
    manifest: Manifest | None = None  # of a submission
    left_out: str = ""  # what of it is of other boards or conditions, in one line


def gather(folder: Path, digest: str | None = None, *, foreign: bool = False) -> Source:
    """Return the records of a folder, those of one board where its digest is given.

    Runs are the publisher's own, unless they are `foreign`. The folder is a submission, a board's
    runs folder, or one of published records. Nothing in it is trusted: links, devices, large and
    deep files are refused.

    Raises:
        UsageError: If there is no such folder, or a file in it is not a record or cannot be read.
        TamperedError: If a record or a file of answers was changed after it was written.
    """
    if not folder.is_dir():
        raise UsageError(f"there is no folder {folder}")
    manifest, name, place = None, "", folder
    if is_there(folder / MANIFEST):
        manifest = read_manifest(folder)
        name = manifest.name
        place = folder / "records"
    elif (folder / "records").is_dir():
        place = folder / "records"
    files = read_record_files(place)
    runs = manifest is None and place != folder
    if manifest is None and (foreign or not runs):
        content = json_sha256(sorted(one.digest for one in files.values()))
        name = f"{'runs' if runs else 'copy'} {content[:12]}"
    found = []
    for file, record in files.items():
        if runs and digest not in (None, record.board.digest):
            continue  # an older form of the board left it
        path = place / f"{file}.json"
        held, damaged = None, ""
        if runs:
            try:
                collected = answers.collect(folder, record) if record.scores else None
                held = None if collected is None else answers.Held.of(answers.to_text(collected))
            except TamperedError as error:
                damaged = str(error)  # the other records are none the worse
        else:
            packed = folder / answers.FOLDER / f"{file}{answers.ENDING}"
            if packed.exists() or packed.is_symlink():
                held = answers.hold(packed, answers.most_bytes(record))
        found.append(Brought(record, path, held, name, damaged))
    if manifest is not None:
        _as_listed(manifest, found, folder)
    chosen = tuple(one for one in found if digest in (None, one.record.board.digest))
    return Source(folder, chosen, runs, manifest, _left_out(folder, files.values(), digest))


def _left_out(folder: Path, records: Iterable[Record], digest: str | None) -> str:
    """Return what of a folder is of another board, or of one with other conditions."""
    boards = [one.board for one in records]
    others = [board for board in boards if digest not in (None, board.digest)]
    if not boards:
        return f"{folder} holds no record"
    if not others or digest is None:
        return ""
    found = ", ".join(sorted({f"{one.name!r} (digest {one.digest[:12]})" for one in others}))
    return (
        f"{folder}: {len(others)} of {len(boards)} records are of {found}, and this board's digest"
        f" is {digest[:12]}"
    )


def in_order(brought: Iterable[Brought]) -> list[Brought]:
    """Return the records of one source in the order in which they are published: of their dates."""
    return sorted(brought, key=lambda one: (one.record.created, one.record.id))


def _as_listed(manifest: Manifest, found: list[Brought], folder: Path) -> None:
    """Refuse a submission that is not what its manifest, which may be signed, lists."""
    here = {one.path.stem: (one.record.digest, one.answers and one.answers.digest) for one in found}
    listed = {one.file: (one.digest, one.answers) for one in manifest.records}
    for file in sorted({*here, *listed}):
        if here.get(file) != listed.get(file):
            raise TamperedError(f"{folder / MANIFEST}: {file} is not the record that it lists")
    cells = {one.file: one.cell for one in manifest.records}
    for one in found:
        if one.record.cell != cells[one.path.stem]:
            raise TamperedError(f"{folder / MANIFEST}: {one.path.stem} is of {one.record.cell}")
        if one.record.judged_before:
            raise TamperedError(
                f"{one.path} is said to have been judged anew: a submission holds records as a"
                " bench wrote them"
            )
    wrote = {
        (stage.plugin, stage.distribution, stage.version, stage.source_sha256)
        for one in found
        for stage in one.record.stages
    }
    said = {(o.plugin, o.distribution, o.version, o.source_sha256) for o in manifest.plugins}
    for plugin, *_ in sorted(wrote ^ said):
        raise TamperedError(
            f"{folder / MANIFEST}: plug-in {plugin!r} is not as its records name it"
        )
