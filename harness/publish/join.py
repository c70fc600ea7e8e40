"""Joining: each record that is brought is judged anew and held against the rules of the board."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from harness.leaderboard.evidence import Ledger, Published
from harness.leaderboard.rules import asked_of, objections
from harness.publish import answers
from harness.publish.anew import judged_anew
from harness.publish.recompute import Tasks
from harness.publish.sources import Brought
from harness.records import Record, second_name

if TYPE_CHECKING:
    from harness.boards.conditions import Conditions


@dataclass
class Joined:
    """A board's records after joining, and one line for each that is a claim or was refused."""

    ledger: Ledger = field(default_factory=Ledger)
    records: dict[str, Record] = field(default_factory=dict)  # by the names of their files
    answers: dict[str, answers.Held] = field(default_factory=dict)  # new ones, by these names
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
    """Add records to those that are published, in the order in which they are brought.

    A record that is there already is not added again; its answers are, where only they are new. One
    of the same id with other content gets a name with its digest.
    """
    result = Joined()
    listed = {one.digest: one for one in ledger.records}
    result.records = {one.file: files[one.file] for one in ledger.records}
    before = set(listed)
    new = [one for one in brought if _adds(one, listed)]
    with_answers = [one for one in new if one.answers is not None and scored(one.record)]
    asked = asked_of(conditions, result.records.values(), ledger.knowledge())
    judged = judged_anew(with_answers, tasks, asked) if tasks else iter(())
    found = {id(one): anew for one, anew in zip(with_answers, judged, strict=bool(tasks))}
    for one in new:
        record, entry, anew = one.record, listed.get(one.record.digest), found.get(id(one))
        if not _adds(one, listed):
            continue  # it was brought twice
        if differs := one.damaged or (anew.differs if anew else ""):
            result.refused.append(f"{one.path}: {record.cell}: {differs}")
            continue
        claim = anew.claim if anew else ""
        if one.answers is None and scored(record):
            claim = "there are no answers of it"
        if claim:
            result.claims.append(f"{record.cell} ({record.id}) is a claim: {claim}")
        if entry is None:
            name = _free_name(record, result.records, files)
            if name is None:
                result.refused.append(
                    f"{one.path}: {record.cell}: {record.id}.json and {second_name(record)}.json"
                    " are other records; give it another id, or delete what was copied there"
                )
                continue
            entry = Published(
                file=name, digest=record.digest, answers=None, submission=one.submission
            )
            result.records[name] = record
        if anew and not claim and one.answers is not None:
            result.answers[entry.file] = one.answers
            entry = entry.model_copy(update={"answers": one.answers.digest})
        listed[record.digest] = entry
    result.ledger = _ledger(ledger, listed, signers or {})
    _refuse(result, before, conditions)
    return result


def _free_name(
    record: Record, joined: Mapping[str, Record], files: Mapping[str, Record]
) -> str | None:
    """Return the name of the file of a record that is new, or where it was copied to by hand."""
    names = [record.id, second_name(record)]
    here = [name for name in names if name in files and files[name].digest == record.digest]
    free = [name for name in names if name not in joined and name not in files]
    return next(iter([*here, *free]), None)


def scored(record: Record) -> bool:
    return record.status == "ok" and bool(record.scores)


def _adds(one: Brought, listed: Mapping[str, Published]) -> bool:
    """Return whether a record, or its answers, are not published yet."""
    entry = listed.get(one.record.digest)
    return entry is None or (entry.answers is None and one.answers is not None)


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
