"""Trainers that cheat by what is not theirs: test rows, data, records, and what was sealed.

Those that cheat by what they leave are in `harness_forging`. Each goes on as an honest one where
nothing stops it.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

from harness_forging import honest, place

from harness import HarnessError, Options, Run, Trainer, hookimpl


class Known(Options):
    path: str = ""  # a file of somebody else, which it need not look for


def rows(run: Run) -> None:
    """Look for test rows in every way, and train on them."""
    import importlib

    from harness.plugin.host import Host

    found = []
    for way in (
        lambda: importlib.import_module("harness_unruly").rows("test"),
        lambda: Host().task("unruly_sums").split("test"),
        lambda: [path.read_text() for path in run.scratch.parents[2].rglob("*.jsonl")],
    ):
        try:
            found += way()
        except (OSError, HarnessError):
            continue
    run.note(found=[str(one) for one in found if "test" in str(one)])
    honest(run)


def poison(run: Run) -> None:
    """Change the data that others train on."""
    path = Path(run.options.path)
    path.write_text(path.read_text().replace('"answer": "1"', '"answer": "7"'))
    honest(run)


def reseal(run: Run) -> None:
    """Write into a rival's record that all its answers are wrong, and seal it again."""
    from harness.records import Record

    path = Path(run.options.path)
    content = json.loads(path.read_text())
    for score in content["scores"]:
        score["verdicts"] = "W" * len(score["verdicts"])
    path.write_text(Record.model_validate(content).sealed().to_json())
    honest(run)


def detach(run: Run) -> None:
    """Leave a process that let go of everything, and changes the weights once they are sealed."""
    honest(run)
    weights, manifest = place(run) / "model.safetensors", run.scratch.parent / "manifest.json"
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            while not manifest.exists():
                time.sleep(0.0005)
            while True:
                with weights.open("r+b") as file:
                    file.seek(-3, os.SEEK_END)
                    file.write(os.urandom(1))
                time.sleep(0.001)
        os._exit(0)
    os.wait()


def mute(run: Run) -> None:
    """Look for test rows, with nobody to tell, and with notes that leave no room for the host's."""
    from harness.tasks import guard

    guard.tellers.clear()
    try:
        import harness_unruly  # noqa: F401
    except OSError:
        run.note(refused=[], a="b" * 65_500)
    run.note = lambda **_: None
    honest(run)


@hookimpl
def harness_trainers():
    cheats = (rows, poison, reseal, detach, mute)
    return [Trainer(f"cheating-{each.__name__}", each, Known) for each in cheats]
