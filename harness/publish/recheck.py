"""Checking: every record of a folder is recomputed, and said to be a claim, the same, or other."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from harness.boards.conditions import Conditions
from harness.leaderboard.evidence import known_of
from harness.leaderboard.rules import objections
from harness.publish import answers
from harness.publish.anew import Anew, judged_anew
from harness.publish.join import scored
from harness.publish.recompute import Tasks
from harness.publish.sources import Brought, Source
from harness.records import Record

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
) -> Iterator[Checked]:
    """Yield what each record of a source comes to when its answers are judged anew.

    Args:
        source: The records with their answers.
        conditions: What their board fixes; what its rules refuse differs.
        tasks: Finds a task by its name.
        regenerate: Answers some questions again by the checkpoint.
    """
    records = [one.record for one in source.records]
    known = {} if source.manifest else known_of(source.folder, records)
    refused = objections(records, conditions, known, published=not source.runs)
    with_answers = [one for one in source.records if one.answers is not None and scored(one.record)]
    anew = judged_anew(with_answers, tasks)
    for one in source.records:
        record = one.record
        state, why = _state(one, next(anew) if one.answers is not None and scored(record) else None)
        if record.digest in refused:
            state, why = "differs", refused[record.digest]
        if state == "recomputed" and regenerate is not None and one.answers is not None:
            found = regenerate(record, answers.parse(one.answers, record, one.path))
            if found is not None:
                state = "differs" if found else "spot-checked"
                why = found[0] if found else ""
        yield Checked(record.board.name, record.cell, one.path.stem, state, why)


def _state(one: Brought, anew: Anew | None) -> tuple[State, str]:
    if not scored(one.record):
        return "failed", one.record.error or "no scores"
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
