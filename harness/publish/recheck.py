"""Checking: every record of a folder is recomputed, and said to be a claim, the same, or other."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

from harness.boards.conditions import Conditions
from harness.errors import HarnessError
from harness.leaderboard.evidence import known_of
from harness.leaderboard.rules import objections
from harness.publish import answers
from harness.publish.join import verifier_pool
from harness.publish.recompute import CannotJudgeError, Tasks, differences
from harness.publish.sources import Brought, Source
from harness.records import Record
from harness.verify import VerifierPool

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
    tasks = cache(tasks)
    with verifier_pool() as pool, tempfile.TemporaryDirectory(prefix="harness-check-") as scratch:
        for one in source.records:
            record = one.record
            state, why = _state(one, tasks, pool, Path(scratch))
            if record.digest in refused:
                state, why = "differs", refused[record.digest]
            if state == "recomputed" and regenerate is not None and one.answers is not None:
                found = regenerate(record, answers.parse(one.answers, record, one.path))
                if found is not None:
                    state = "differs" if found else "spot-checked"
                    why = found[0] if found else ""
            yield Checked(record.board.name, record.cell, one.path.stem, state, why)


def _state(one: Brought, tasks: Tasks, pool: VerifierPool, scratch: Path) -> tuple[State, str]:
    record = one.record
    if record.status != "ok" or not record.scores:
        return "failed", record.error or "no scores"
    if one.answers is None:
        return "claimed", "there are no answers of it"
    try:
        found = differences(
            record, answers.parse(one.answers, record, one.path), tasks, pool, scratch
        )
    except CannotJudgeError as error:
        return "claimed", str(error)
    except HarnessError as error:
        return "differs", str(error)
    return ("differs", found[0]) if found else ("recomputed", "")


def summary(found: Sequence[Checked]) -> str:
    """Return one line with the number of records of each state."""
    states = [one.state for one in found]
    counted = [f"{states.count(state)} {state}" for state in dict.fromkeys(sorted(states))]
    return ", ".join(counted) if counted else "no record"
