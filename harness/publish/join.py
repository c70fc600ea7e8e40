"""Joining: each record that is brought is judged anew and held against the rules of the board."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from harness.errors import TamperedError
from harness.leaderboard.evidence import Ledger, Published
from harness.leaderboard.rules import objections
from harness.publish import answers
from harness.publish.recompute import CannotJudgeError, Tasks, differences
from harness.publish.sources import Brought
from harness.records import Record, second_name
from harness.verify import VerifierPool

if TYPE_CHECKING:
    from harness.boards.conditions import Conditions


@dataclass
class Joined:
    """A board's records after joining, and one line for each that is a claim or was refused."""

    ledger: Ledger = field(default_factory=Ledger)
    records: dict[str, Record] = field(default_factory=dict)  # by the names of their files
    answers: dict[str, str] = field(default_factory=dict)  # new lines of answers, by these names
    claims: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)


def join(
    files: Mapping[str, Record],
    ledger: Ledger,
    brought: Sequence[Brought],
    conditions: Conditions,
    tasks: Tasks | None = None,
    signers: Mapping[str, str] | None = None,
) -> Joined:
    """Add records to those that are published, in the order of their dates.

    A record that is there already is not added again; its answers are, where only they are new. One
    of the same id with other content gets a name with its digest.
    """
    result, tasks = Joined(), cache(tasks) if tasks else None
    listed = {one.digest: one for one in ledger.records}
    result.records = {one.file: files[one.file] for one in ledger.records}
    before = set(listed)
    with contextlib.ExitStack() as stack:
        pool = stack.enter_context(verifier_pool()) if brought and tasks else None
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="harness-join-")))
        for one in sorted(brought, key=lambda each: (each.record.created, each.record.id)):
            record, entry = one.record, listed.get(one.record.digest)
            if entry and (entry.answers or one.answers is None):
                continue
            try:
                lines = _checked(one, tasks, pool, scratch, result)
            except _DiffersError as error:
                result.refused.append(str(error))
                continue
            if entry is None:
                name = record.id if record.id not in result.records else second_name(record)
                entry = Published(
                    file=name, digest=record.digest, answers=None, submission=one.submission
                )
                result.records[name] = record
            if lines is not None:
                result.answers[entry.file] = lines
                entry = entry.model_copy(update={"answers": answers.digest(lines)})
            listed[record.digest] = entry
    result.ledger = _ledger(ledger, listed, signers or {})
    _refuse(result, before, conditions)
    return result


def verifier_pool() -> VerifierPool:
    return VerifierPool(workers=min(8, os.cpu_count() or 1))


class _DiffersError(Exception):
    """A record whose answers give something else."""


def _checked(
    one: Brought, tasks: Tasks | None, pool: VerifierPool | None, scratch: Path, result: Joined
) -> str | None:
    """Return the lines of a record's answers if they give its scores, None for a claim."""
    record = one.record
    if record.status != "ok" or not record.scores:
        return None
    if one.answers is None:
        result.claims.append(f"{record.cell} ({record.id}) is a claim: there are no answers of it")
        return None
    if tasks is None or pool is None:
        return None
    try:
        found = answers.parse(one.answers, record, one.path)
        differ = differences(record, found, tasks, pool, scratch)
    except TamperedError as error:
        raise _DiffersError(f"{one.path}: {record.cell}: {error}") from None
    except CannotJudgeError as error:
        result.claims.append(f"{record.cell} ({record.id}) is a claim: {error}")
        return None
    if differ:
        raise _DiffersError(f"{one.path}: {record.cell}: {differ[0]}")
    return one.answers


def _ledger(old: Ledger, listed: Mapping[str, Published], signers: Mapping[str, str]) -> Ledger:
    used = {one.submission for one in listed.values()}
    named = {**old.signers, **{name: who for name, who in signers.items() if who}}
    return Ledger(
        records=tuple(listed.values()),
        signers={name: who for name, who in sorted(named.items()) if name in used},
        manifests={name: sha256 for name, sha256 in old.manifests.items() if name in used},
    )


def _refuse(result: Joined, before: set[str], conditions: Conditions) -> None:
    """Take out again what the rules of the board refuse."""
    known = result.ledger.knowledge()
    found = objections(result.records.values(), conditions, known, published=True)
    for name, record in list(result.records.items()):
        reason = found.get(record.digest)
        if reason is not None and record.digest not in before:
            result.refused.append(f"{name}: {record.cell}: {reason}")
            del result.records[name]
            result.answers.pop(name, None)
    kept = {record.digest for record in result.records.values()}
    records = tuple(one for one in result.ledger.records if one.digest in kept)
    result.ledger = result.ledger.model_copy(update={"records": records})
