"""Training stages in this process, each as a bench runs it, beside TRL without the harness.

The same model, rows, options and seed in three ways:

- `alone`: TRL's trainer with the same arguments, data and rewards; nothing is counted, logged or
  stopped, and rollouts are written by TRL's own generation;
- `before`: with the harness around it, rollouts and losses by TRL's own code;
- `harness`: with the harness around it, rollouts by its engine, and losses of what is scored alone.
"""

from __future__ import annotations

import itertools
import json
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from unittest import mock

from measuring import apart, clock, one_line


@dataclass(frozen=True)
class Work:
    """What is trained."""

    board: str  # its name, or its file
    trainer: str
    seed: int = 0
    steps: int | None = None  # without them the board's own stage, which ends where its budget does
    device: str = "cpu"
    micro: int | None = None  # rows of a forward pass; by default the board's


@dataclass(frozen=True)
class Outcome:
    """What came of it."""

    seconds: float  # of the whole stage
    gaps: list[float]  # seconds from the end of one step to the end of the next
    digest: str  # of the checkpoint
    rewards: list[float]  # of each step, if the trainer has any
    losses: list[float]  # of each step
    cost: Any
    micro: int | None  # rows of a forward pass


class Full(Exception):
    """Memory does not hold so many rows of a forward pass; the argument says how many to try."""


def spec_of(work: Work, folder: Path) -> tuple[Path, Any]:
    """Return a training stage's folder and what it is to do, planned as a bench plans it."""
    from harness.bench.executors.local import LocalExecutor
    from harness.bench.folder import Folder
    from harness.bench.plan import plan
    from harness.bench.stage_inputs import StageInputs
    from harness.boards.board import Board, load_board
    from harness.plugin.host import Host

    host, trainer = Host(), work.trainer
    known = load_board(work.board, host)
    content = known.file.model_dump(mode="python", by_alias=True, exclude_unset=True)
    content["trainers"] = (trainer,)
    if work.steps is not None:
        options = {name: {**given} for name, given in content["options"].items()}
        options[trainer] = {**options.get(trainer, {}), "max_steps": work.steps}
        content |= {"budget": {"steps": work.steps}, "options": options}
    if work.micro is not None:
        content["compute"] = {**content.get("compute", {}), "micro_batch_size": work.micro}
    board = Board(type(known.file).model_validate(content), known.path, host)
    planned = plan(board, host, [trainer], [work.seed], where=work.device)
    (cell,) = (cell for cell in planned.cells if cell.trainer == trainer)
    executor = LocalExecutor(1, work.device, 1, folder / "warm.log")
    inputs = StageInputs(planned, Folder(folder), executor)
    inputs.write_rows(cell.train)
    stage = Folder(folder).stage(cell.train[0])
    stage.mkdir(parents=True)
    return stage, inputs.spec(planned.stages[cell.train[0]], 1)


@contextmanager
def way(name: str) -> Iterator[None]:
    """Let stages train in one of the three ways."""
    import harness_rl
    from harness_kd import on_policy
    from transformers import TrainerCallback

    from harness.stage.processes import Group
    from harness.stage.run import Run

    class Learning(TrainerCallback):
        """Writes rewards and losses down, as the harness does, so that they can be compared."""

        def __init__(self, run: Any) -> None:
            self.run = run

        def on_log(self, args: Any, state: Any, control: Any, logs: Any, **_: Any) -> None:
            self.run.log(**{name: float(logs[name]) for name in ("loss", "reward") if name in logs})

    with ExitStack() as stack:
        patch = stack.enter_context
        if name == "alone":
            patch(mock.patch("harness.stage.metering.meter.metered", return_value=nullcontext()))
            patch(mock.patch.object(Run, "callback", lambda run: Learning(run)))
        if name != "harness":
            patch(mock.patch.object(Group, "sharded", True))  # TRL then generates by itself
            patch(mock.patch.object(harness_rl, "only_scored"))  # and learns with its own heads
            patch(mock.patch.object(on_policy, "only_scored", return_value=False))
            patch(mock.patch("harness.stage.models.keep_freed"))
        yield


@contextmanager
def step_ends(device: str) -> Iterator[list[float]]:
    """Yield the times at which optimiser steps end, by what transformers' every trainer calls."""
    from transformers.trainer_callback import DefaultFlowCallback

    times: list[float] = []
    ended = DefaultFlowCallback.on_step_end

    def on_step_end(self: Any, *given: Any, **named: Any) -> Any:
        times.append(clock(device))
        return ended(self, *given, **named)

    with mock.patch.object(DefaultFlowCallback, "on_step_end", on_step_end):
        yield times


def trained(work: Work, how: str) -> Outcome:
    """Train in this process, which must not have made test problems: no stage may have seen them.

    Raises:
        Full: If memory does not hold the rows of a forward pass.
    """
    from harness import checkpoints
    from harness.stage import main as stage_main
    from harness.stage import memory

    with tempfile.TemporaryDirectory() as place:
        folder, spec = apart(spec_of, work, Path(place))
        stage_main._seed(spec)
        with way(how), step_ends(work.device) as ends:
            started = clock(work.device)
            try:
                result = stage_main._train(folder, spec, {})
            except memory.TryAgain as error:
                raise Full(memory.next_size(memory.failures(folder))) from error
            seconds = clock(work.device) - started
        log = folder / "events.jsonl"
        lines = log.read_text(encoding="utf-8").splitlines() if log.exists() else []
        events = [json.loads(line) for line in lines]
        return Outcome(
            seconds=seconds,
            gaps=[late - early for early, late in itertools.pairwise(ends)],
            digest=checkpoints.digest(folder / "checkpoint"),
            rewards=_each("reward", events),
            losses=_each("loss", events),
            cost=result.cost,
            micro=result.notes.get("micro_batch_size"),
        )


def _each(name: str, events: list[dict[str, Any]]) -> list[float]:
    return [event[name] for event in events if name in event]


def in_turns(
    work: Work, ways: tuple[str, ...], rounds: int
) -> tuple[dict[str, list[Outcome]], dict[str, str]]:
    """Train in every way, in turns, each in a fresh process and with as many rows of a pass.

    Where memory does not hold them in one way, all begin anew with as many as it holds there. A way
    that fails is left out, and the others begin anew with as many rows as the board says.

    Returns:
        What came of each way, and why a way failed.
    """
    runs: dict[str, list[Outcome]] = {how: [] for how in ways}
    failed: dict[str, str] = {}
    asked = work
    turn = 0
    while turn < rounds:
        for how in runs:
            try:
                runs[how].append(apart(trained, asked, how))
                said = f"turn {turn + 1} of {rounds}: {work.trainer}, {how}, is done"
                print(said, file=sys.stderr, flush=True)
            except Full as full:
                asked = replace(asked, micro=full.args[0])
            except Exception as error:
                failed[how] = one_line(error)
                asked = work
            else:
                continue
            runs = {name: [] for name in runs if name not in failed}
            turn = -1
            break
        turn += 1
    return runs, failed
