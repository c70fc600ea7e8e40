"""Trainers that want to end the bench of others, or to spoil what it writes, by what they leave."""

from __future__ import annotations

import os
from collections.abc import Callable

from harness_forging import honest

from harness import HarnessError, Options, Run, Trainer, hookimpl

HALF = "\ud800"  # half a character, which is in no UTF-8


def deep(run: Run) -> None:
    """Leave folders within folders, more than Python calls functions, where the bench writes."""
    honest(run)
    above = os.getcwd()
    os.chdir(run.scratch.parent)
    for name in ("outside.json", *["d"] * 1500):
        os.mkdir(name)
        os.chdir(name)
    os.chdir(above)


def listed(run: Run) -> None:
    """Have the host's own code seal a file of a name that no system has."""
    import json

    honest(run)
    dumps = json.dumps

    def add(value: object, **given: object) -> str:
        if isinstance(value, dict) and set(value) == {"files"}:
            value["files"]["result.json\0"] = {"bytes": 1, "sha256": "0"}
        return dumps(value, **given)

    json.dumps = add


def nested(run: Run) -> None:
    """Note what may be read in a result, and lies two levels too deep in a record."""
    honest(run)
    note: object = 1
    for _ in range(61):
        note = [note]
    run.note(nested=note)


def halved(run: Run) -> None:
    """Note what a page would show, with half a character."""
    honest(run)
    run.note(seen=[f"{HALF} something"], **{HALF: HALF})


def said(run: Run) -> None:
    raise HarnessError(f"half a character: {HALF}")


ALL: tuple[Callable[[Run], None], ...] = (deep, listed, nested, halved, said)


@hookimpl
def harness_trainers():
    return [Trainer(f"wrecking-{each.__name__}", each, Options) for each in ALL]
