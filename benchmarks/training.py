"""Time of training: what the harness costs beside TRL alone, what its engine saves in rollouts.

Stages of the board `tiny` run in this process, each as a bench runs it, for a number of optimiser
steps: the same model, rows, options and seed in three ways, in turns, A B C A B C:

- `alone`: TRL's trainer with the same arguments, data and rewards; nothing is counted, logged or
  stopped, and rollouts are written by TRL's own generation;
- `before`: with the harness around it, rollouts and losses by TRL's own code;
- `harness`: with the harness around it, rollouts by its engine, and losses of what is scored alone.

Where nothing is sampled the first and the last must end at the same weights. One thread works and
processor time is read. Run with `python benchmarks/training.py`.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, contextmanager, nullcontext
from multiprocessing import get_context
from pathlib import Path
from typing import Any
from unittest import mock

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TQDM_DISABLE", "1")

WRITERS = ("rl", "hybrid-joint", "kd-on-policy")  # trainers whose student writes
Outcome = tuple[float, str, list[float], int]
LAST = 4  # steps whose rewards say what was learnt


def spec_of(trainer: str, seed: int, steps: int | None, folder: Path) -> tuple[Path, Any]:
    """Return a training stage's folder and what it is to do, planned as a bench plans it.

    Without `steps` it is the board's own stage, which ends where its budget does.
    """
    from harness.bench.executors.local import LocalExecutor
    from harness.bench.folder import Folder
    from harness.bench.plan import plan
    from harness.bench.stage_inputs import StageInputs
    from harness.boards.board import Board, load_board
    from harness.plugin.host import Host

    host = Host()
    tiny = load_board("tiny", host)
    content = tiny.file.model_dump(mode="python", by_alias=True, exclude_unset=True)
    content["trainers"] = (trainer,)
    if steps is not None:
        options = {name: {**given} for name, given in content["options"].items()}
        options[trainer] = {**options.get(trainer, {}), "max_steps": steps}
        content |= {"budget": {"steps": steps}, "options": options}
    board = Board(type(tiny.file).model_validate(content), tiny.path, host)
    planned = plan(board, host, [trainer], [seed])
    (cell,) = (cell for cell in planned.cells if cell.trainer == trainer)
    inputs = StageInputs(planned, Folder(folder), LocalExecutor(1, "cpu", 1, folder / "warm.log"))
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

    class Rewards(TrainerCallback):
        """Writes rewards down, as the harness does, so that they can be compared."""

        def __init__(self, run: Any) -> None:
            self.run = run

        def on_log(self, args: Any, state: Any, control: Any, logs: Any, **_: Any) -> None:
            if "reward" in logs:
                self.run.log(reward=float(logs["reward"]))

    with ExitStack() as stack:
        patch = stack.enter_context
        if name == "alone":
            patch(mock.patch("harness.stage.meter.metered", return_value=nullcontext()))
            patch(mock.patch.object(Run, "callback", lambda run: Rewards(run)))
        if name != "harness":
            patch(mock.patch.object(Group, "sharded", True))  # TRL then generates by itself
            patch(mock.patch.object(harness_rl, "only_scored"))  # and learns with its own heads
            patch(mock.patch.object(on_policy, "only_scored", return_value=False))
            patch(mock.patch("harness.stage.models.keep_freed"))
        yield


def trained(trainer: str, seed: int, steps: int | None, how: str) -> Outcome:
    """Train in this process, which must not have made test problems: no stage may have seen them.

    Returns:
        Processor seconds, the checkpoint's digest, the reward of each step, and the steps.
    """
    from harness import checkpoints
    from harness.stage import main as stage_main

    with tempfile.TemporaryDirectory() as place:
        with ProcessPoolExecutor(1, get_context("spawn")) as other:
            folder, spec = other.submit(spec_of, trainer, seed, steps, Path(place)).result()
        stage_main._seed(spec)
        with way(how):
            started = time.process_time()
            result = stage_main._train(folder, spec, {})
            seconds = time.process_time() - started
        log = folder / "events.jsonl"
        lines = log.read_text(encoding="utf-8").splitlines() if log.exists() else []
        events = [json.loads(line) for line in lines]
        rewards = [event["reward"] for event in events if "reward" in event]
        return seconds, checkpoints.digest(folder / "checkpoint"), rewards, result.cost.steps


def forked(*given: Any) -> Outcome:
    """Return what `trained` does, in a process forked from this one as a bench forks its stages."""
    with ProcessPoolExecutor(1, get_context("fork")) as one:
        return one.submit(trained, *given).result()


def main() -> None:
    """Print seconds, overhead and gain of each trainer, with the machine and the versions."""
    import torch

    from harness.bench.executors import warm
    from harness.stage.environment import processor_name

    parser = argparse.ArgumentParser()
    parser.add_argument("--trainers", nargs="+", default=["sft", "kd", "rl", "kd-on-policy"])
    parser.add_argument("--steps", type=int, default=8, help="0: the board's budget")
    parser.add_argument("--seeds", type=int, default=3)
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    warm.preload()
    for trainer in chosen.trainers:
        ways = ("alone", "before", "harness") if trainer in WRITERS else ("alone", "harness")
        if not chosen.steps:  # alone, nothing ends it
            ways = ways[1:]
        runs: dict[str, list[Outcome]] = {how: [] for how in ways}
        for seed in range(chosen.seeds):
            for how in ways:
                runs[how].append(forked(trainer, seed, chosen.steps or None, how))
        row: dict[str, Any] = {"trainer": trainer}
        for how, found in runs.items():
            row[f"{how}, s"] = round(statistics.median(seconds for seconds, *_ in found), 2)
            if not chosen.steps:
                row[f"{how}, steps"] = [steps for *_, steps in found]
            if found[0][2]:
                late = [statistics.mean(rewards[-LAST:]) for _, _, rewards, _ in found]
                row[f"{how}, last rewards"] = [round(reward, 3) for reward in late]
        if "alone" in runs:
            pairs = list(zip(runs["alone"], runs["harness"], strict=True))
            if trainer not in WRITERS and any(one[1] != other[1] for one, other in pairs):
                raise SystemExit(f"{trainer}: the harness changes what TRL trains")
            base = "before" if trainer in WRITERS else "harness"
            over = [b[0] / a[0] - 1 for a, b in zip(runs["alone"], runs[base], strict=True)]
            row["overhead, %"] = [round(100 * one, 1) for one in sorted(over)]
        if trainer in WRITERS:
            gains = [a[0] / b[0] for a, b in zip(runs["before"], runs["harness"], strict=True)]
            row["times as fast"] = [round(one, 2) for one in sorted(gains)]
        print(json.dumps(row), flush=True)
    names = ("torch", "transformers", "trl")
    versions = {name: importlib.metadata.version(name) for name in names}
    print(f"{processor_name()}; Python {platform.python_version()}; {versions}; {vars(chosen)}")


if __name__ == "__main__":
    main()
