"""Trainers that cheat by what is not theirs: test rows, data, records, and what was sealed.

Those that cheat by what they leave are in `harness_forging`. Each goes on as an honest one where
nothing stops it.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

from harness_forging import honest, loop, place

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


def beside(run: Run) -> None:
    """Train in a process that this one starts, where nobody counts, and take its weights."""
    import torch

    model = run.student()
    for each in model.parameters():
        each.data.share_memory_()
    child = os.fork()
    if child == 0:
        ids, until = torch.arange(8).reshape(1, 8) + 1, time.process_time() + 6
        while time.process_time() < until:
            model(input_ids=ids, labels=ids).loss.backward()
            with torch.no_grad():
                for each in model.parameters():
                    each -= 1e-3 * each.grad
            model.zero_grad()
        os._exit(0)
    os.waitpid(child, 0)
    _one_step(run, model)


def numerical(run: Run) -> None:
    """Train a part of the model in numpy, where nothing is seen."""
    import numpy
    import torch

    model = run.student()
    head = model.get_output_embeddings().weight
    read = model.get_input_embeddings().weight.detach().numpy().copy()
    wanted = numpy.roll(numpy.eye(len(read), dtype=read.dtype), 1, axis=1)
    weights, until = head.detach().numpy().copy(), time.process_time() + 12
    while time.process_time() < until:
        logits = read @ weights.T
        odds = numpy.exp(logits - logits.max(axis=1, keepdims=True))
        error = odds / odds.sum(axis=1, keepdims=True) - wanted
        weights -= 1e-4 * error.T @ read
    with torch.no_grad():
        head.copy_(torch.from_numpy(weights))
    _one_step(run, model)


def _one_step(run: Run, model: Any) -> None:
    """Take a step that is counted, so as to be ranked."""
    run.student, steps = lambda: model, iter([1])
    loop(run, lambda: next(steps, None) is not None)


@hookimpl
def harness_trainers():
    cheats = (rows, poison, reseal, detach, mute, beside, numerical)
    return [Trainer(f"cheating-{each.__name__}", each, Known) for each in cheats]
