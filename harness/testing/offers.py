"""Checks of a trainer before anything is trained, and the small board that it is run on."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

from harness.bench.plan import plan
from harness.boards.board import Board, load_board
from harness.errors import HarnessError, UsageError
from harness.plugin.host import Host
from harness.plugin.options import LENGTH
from harness.plugin.search import space_of
from harness.plugin.trainer import Trainer

HEAVY = ("torch", "transformers", "trl", "datasets", "lm_eval", "peft", "sympy")
NO_OPTION = "no_such_option"


def offer_faults(name: str, options: Mapping[str, Any]) -> list[str]:
    host = Host()
    if "+" in name:
        return ["plug-in: a chain has no code of its own; check its parts"]
    try:
        offer = host.trainer(name)
    except HarnessError as error:
        return [f"plug-in: {error}"]
    trainer, faults = offer.trainer, []
    if heavy := _imported(offer.plugin.name):
        faults.append(f"plug-in: importing it imports {', '.join(heavy)}; import inside functions")
    if not trainer.summary.strip():
        faults.append("plug-in: the trainer has no summary for `harness plugins`")
    try:
        defaults = trainer.options()
        stored = json.loads(json.dumps(defaults.model_dump(mode="json")))
        if trainer.options.model_validate(stored) != defaults:  # records and specs hold JSON
            faults.append("options: they do not survive a round trip through JSON")
        faults += _space_faults(trainer)
    except Exception as error:  # pydantic, json, and whatever a validator raises
        line = " ".join(str(error).split())
        faults.append(f"options: the defaults alone are not valid: {line[:200]}")
    try:
        board = small_board(name, options, {"steps": 1}, 0, host)
        plan(board, host, [name], [0])
    except HarnessError as error:
        return [*faults, f"options: {error}"]
    try:
        plan(board, host, [name], [0], [f"{name}.{NO_OPTION}=1"])
        faults.append("options: an unknown name is accepted; derive them from harness.Options")
    except UsageError as error:
        if NO_OPTION not in str(error) or "\n" in str(error):
            faults.append(f"options: an unknown name is not refused in one line: {error}")
    return faults


def _space_faults(trainer: Trainer) -> list[str]:
    """Return what is wrong with a trainer's search space: every value of it must be an option's."""
    faults, defaults = [], trainer.options().model_dump(mode="json")
    for option, search in space_of(trainer.options).items():
        if option in LENGTH:
            faults.append(f"search space: {option} says how long to train, and cannot be tuned")
            continue
        for place in (0.0, 0.5, 1 - 2**-53):
            try:
                value = search.at(place, defaults[option])
                found = trainer.options.model_validate({option: value}).model_dump(mode="json")
            except Exception as error:  # pydantic, arithmetic, and whatever a validator raises
                line = " ".join(str(error).split())
                faults.append(f"search space: {option} is not valid in it: {line[:200]}")
                break
            if found[option] != value:
                faults.append(f"search space: {option} = {value!r} becomes {found[option]!r}")
                break
    return faults


def _imported(plugin: str) -> list[str]:
    """Return the heavy modules that importing a plug-in imports, in a fresh process."""
    code = (
        "import sys; from harness.plugin.host import Host; host = Host(); host.load(sys.argv[1]);"
        f" host.trainers(); print(*(name for name in {HEAVY!r} if name in sys.modules))"
    )
    return subprocess.check_output([sys.executable, "-c", code, plugin], text=True).split()


def small_board(
    name: str, options: Mapping[str, Any], caps: Mapping[str, float], save_every: int, host: Host
) -> Board:
    """Return the tiny board with one trainer, one seed, 32 training rows and 4 problems to score.

    A trainer's training checkpoint is saved every `save_every` steps, none for 0.
    """
    tiny = load_board("tiny", host)
    trainer = host.trainer(name).trainer
    content = tiny.file.model_dump(mode="python", by_alias=True)
    task = tiny.ranking.task
    content |= {
        "name": "kit",
        "trainers": (name,),
        "seeds": (0,),
        "data": {"train": (task,), "limit": 32, "traces": (task,) * trainer.needs_traces},
        "budget": dict(caps),
        "compute": {"batch_size": 4, "save_every": save_every, "stage_seconds": 600},
        "scores": ({"task": task, "max_new_tokens": 96, "limit": 4, "ranking": True},),
        "options": {name: dict(options)},
    }
    return Board(type(tiny.file).model_validate(content), tiny.path, host)
