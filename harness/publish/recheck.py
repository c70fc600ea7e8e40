"""Checking: every record of a folder is recomputed, and said to be a claim, the same, or other."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from harness.boards.conditions import Conditions, read_conditions
from harness.leaderboard.evidence import known_of, read_ledger
from harness.leaderboard.rules import Known, asked_of, objections
from harness.publish import answers
from harness.publish.anew import Anew, judged_anew
from harness.publish.join import scored
from harness.publish.recompute import Tasks
from harness.publish.sources import Brought, Source, in_order
from harness.records import CONDITIONS, Record, read_record_files

State = Literal["claimed", "recomputed", "spot-checked", "differs", "failed"]
# answers some questions again: a line for each difference, or None where there is no checkpoint
Regenerate = Callable[[Record, answers.Answers], list[str] | None]


@dataclass(frozen=True)
class Checked:
    """What the check of one record came to."""

    board: str
    cell: str
    record: str  # the name of its file
    state: State
    why: str  # one line; empty for what is in order


def recheck(
    source: Source,
    conditions: Conditions,
    tasks: Tasks,
    regenerate: Regenerate | None = None,
    published: Path | None = None,
) -> Iterator[Checked]:
    """Yield what each record of a source comes to when its answers are judged anew.

    Args:
        source: The records with their answers.
        conditions: What their board fixes; what its rules refuse differs.
        tasks: Finds a task by its name.
        regenerate: Answers some questions again by the checkpoint.
        published: The folder of the board's published records, which a submission would join.
    """
    there, joined = _published(conditions, published)
    if source.manifest or source.runs:
        asked = asked_of(conditions, there.values(), joined)
    if source.manifest:
        refused = refusals(source, conditions, published)
    else:
        records = [one.record for one in source.records]
        known = known_of(source.folder, records)
        refused = objections(records, conditions, known, published=not source.runs)
        if not source.runs:
            asked = asked_of(conditions, records, known)
    with_answers = [one for one in source.records if one.answers is not None and scored(one.record)]
    anew = judged_anew(with_answers, tasks, asked)
    for one in source.records:
        record = one.record
        state, why = _state(one, next(anew) if one.answers is not None and scored(record) else None)
        if record.digest in refused:
            state, why = "differs", refused[record.digest]
        if state == "recomputed" and regenerate is not None and one.answers is not None:
            found = regenerate(record, answers.parse(one.answers.text, record, one.path))
            if found is not None:
                state = "differs" if found else "spot-checked"
                why = found[0] if found else ""
        yield Checked(record.board.name, record.cell, one.path.stem, state, why)


def refusals(
    source: Source, conditions: Conditions, published: Path | None = None
) -> dict[str, str]:
    """Return what a board's page would refuse of a source, by the digests of its records.

    Records with answers are taken for judged: what these answers do not give is refused anyway.

    Args:
        source: The records that are to join the board.
        conditions: What their board fixes.
        published: The folder of the board's published records, where there are some.
    """
    there, known = _published(conditions, published)
    for place, one in enumerate(in_order(source.records), start=len(known)):
        before = known.get(one.record.digest) or Known(one.path.stem, claimed=True, place=place)
        claimed = before.claimed and one.answers is None
        known[one.record.digest] = replace(before, claimed=claimed)
    records = {each.digest: each for each in (*there.values(), *(o.record for o in source.records))}
    return objections(records.values(), conditions, known, published=True)


def _published(
    conditions: Conditions, published: Path | None
) -> tuple[dict[str, Record], dict[str, Known]]:
    """Return the records that are published of a board as it is, and what is known of them."""
    file = published / CONDITIONS if published else None
    if published and file and file.is_file() and read_conditions(file).digest == conditions.digest:
        there = read_record_files(published)
        return there, read_ledger(published, there).knowledge()
    return {}, {}


def _state(one: Brought, anew: Anew | None) -> tuple[State, str]:
    if not scored(one.record):
        return "failed", one.record.error or "no scores"
    if one.damaged:
        return "differs", one.damaged
    if anew is None:
        return "claimed", "there are no answers of it"
    if anew.differs:
        return "differs", anew.differs
    return ("claimed", anew.claim) if anew.claim else ("recomputed", "")


def summary(found: Sequence[Checked]) -> str:
    """Return one line with the number of records of each state."""
    states = [one.state for one in found]
    counted = [f"{states.count(state)} {state}" for state in dict.fromkeys(sorted(states))]
    return ", ".join(counted) if counted else "no record"


def not_recomputed(found: Sequence[Checked]) -> str:
    """Return in one line how many records are mere claims; no text where none is."""
    states = [one.state for one in found]
    claims = states.count("claimed")
    if not claims:
        return ""
    if claims == len([one for one in states if one != "failed"]):
        which = "the one record is a claim" if claims == 1 else f"all {claims} records are claims"
        return f"nothing was recomputed: {which}, for the reason above"
    return (
        f"{claims} of {len(found)} records are claims and were not recomputed, for the reason above"
    )
