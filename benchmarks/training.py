"""Time of training: what the harness costs beside TRL alone, what its engine saves in rollouts.

Stages of the board `tiny` run in this process, each as a bench runs it, for a number of optimiser
steps: the same model, rows, options and seed in three ways, in turns, A B C A B C:

- `alone`: TRL's trainer with the same arguments, data and rewards; nothing is counted, logged or
  stopped, and rollouts are written by TRL's own generation;
- `before`: with the harness around it, rollouts by TRL's own generation;
- `harness`: with the harness around it, rollouts by its engine.

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
from contextlib import ExitStack, contextmanager, nullcontext
from pathlib import Path
from typing import Any
from unittest import mock

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TQDM_DISABLE", "1")

WRITERS = ("rl", "hybrid-joint", "kd-on-policy")  # trainers whose student writes
LAST = 4  # steps whose rewards say what was learnt


def spec_of(trainer: str, seed: int, steps: int, folder: Path) -> tuple[Path, Any]:
    """Return a training stage's folder and what it is to do, planned as a bench plans it."""
    from harness.bench.executors.local import LocalExecutor
    from harness.bench.folder import Folder
    from harness.bench.plan import plan
    from harness.bench.stage_inputs import StageInputs
    from harness.boards.board import Board, load_board
    from harness.plugin.host import Host

    host = Host()
    tiny = load_board("tiny", host)
    content = tiny.file.model_dump(mode="python", by_alias=True)
    options = {name: {**given} for name, given in content["options"].items()}
    options[trainer] = {**options.get(trainer, {}), "max_steps": steps}
    content |= {"budget": {"steps": steps}, "trainers": (trainer,), "options": options}
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
            patch(mock.patch.object(harness_rl, "rollouts", return_value=None))
            patch(mock.patch.object(Group, "sharded", True))  # TRL then generates by itself
        yield


def trained(trainer: str, seed: int, steps: int, how: str) -> tuple[float, str, list[float]]:
    """Return the seconds of a stage, its checkpoint's digest, and the reward of each step."""
    from harness import checkpoints
    from harness.stage import main as stage_main

    with tempfile.TemporaryDirectory() as place:
        folder, spec = spec_of(trainer, seed, steps, Path(place))
        stage_main._seed(spec)
        with way(how):
            started = time.process_time()
            stage_main._train(folder, spec)
            seconds = time.process_time() - started
        log = folder / "events.jsonl"
        lines = log.read_text(encoding="utf-8").splitlines() if log.exists() else []
        events = [json.loads(line) for line in lines]
        rewards = [event["reward"] for event in events if "reward" in event]
        return seconds, checkpoints.digest(folder / "checkpoint"), rewards


def main() -> None:
    """Print seconds, overhead and gain of each trainer, with the machine and the versions."""
    import torch

    from harness.stage.environment import processor_name

    parser = argparse.ArgumentParser()
    parser.add_argument("--trainers", nargs="+", default=["sft", "kd", "rl", "kd-on-policy"])
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--seeds", type=int, default=3)
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    for trainer in chosen.trainers:
        trained(trainer, 0, 1, "harness")  # imports, and caches of the libraries
        ways = ("alone", "before", "harness") if trainer in WRITERS else ("alone", "harness")
        runs: dict[str, list[Any]] = {how: [] for how in ways}
        for seed in range(chosen.seeds):
            for how in ways:
                runs[how].append(trained(trainer, seed, chosen.steps, how))
        pairs = list(zip(runs["alone"], runs["harness"], strict=True))
        if trainer not in WRITERS and any(one[1] != other[1] for one, other in pairs):
            raise SystemExit(f"{trainer}: the harness changes what TRL trains")
        row: dict[str, Any] = {"trainer": trainer}
        for how, found in runs.items():
            row[f"{how}, s"] = round(statistics.median(seconds for seconds, *_ in found), 2)
            if found[0][2]:
                late = [statistics.mean(rewards[-LAST:]) for *_, rewards in found]
                row[f"{how}, last rewards"] = [round(reward, 3) for reward in late]
        base = "before" if trainer in WRITERS else "harness"
        over = [b[0] / a[0] - 1 for a, b in zip(runs["alone"], runs[base], strict=True)]
        row["overhead, %"] = [round(100 * one, 1) for one in sorted(over)]
        if trainer in WRITERS:
            gains = [a[0] / b[0] for a, b in zip(runs["before"], runs["harness"], strict=True)]
            row["times as fast by the engine"] = [round(one, 2) for one in sorted(gains)]
        print(json.dumps(row), flush=True)
    names = ("torch", "transformers", "trl")
    versions = {name: importlib.metadata.version(name) for name in names}
    print(f"{processor_name()}; Python {platform.python_version()}; {versions}; {vars(chosen)}")


if __name__ == "__main__":
    main()
