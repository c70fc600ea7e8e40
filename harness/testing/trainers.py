"""Checks of trainers: real benches of one cell each, on a small part of the tiny board."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness import checkpoint_checks, checkpoints
from harness.bench.executors.local import LocalExecutor
from harness.bench.folder import Folder
from harness.bench.plan import plan
from harness.bench.scheduler import run
from harness.checkpoints import TOKENIZER_FILES
from harness.errors import UsageError
from harness.leaderboard.origins import LEANS, NEAR
from harness.plugin.host import Host
from harness.plugin.trainer import Trainer
from harness.records import START, Checkpoint, Record
from harness.stage.spec import TrainResult, read
from harness.testing.offers import offer_faults, small_board
from harness.testing.tasks import raise_all
from harness.testing.watched import write_test_problems

STEPS = 3
# what a prompt is made of, and how an answer to it ends
PROMPT = (*TOKENIZER_FILES, "generation_config.json")


def check_trainer(
    trainer: str | Trainer,
    folder: Path,
    options: Mapping[str, Any] | None = None,
    steps: int = STEPS,
) -> None:
    """Check that a trainer of an installed plug-in keeps the contract; see `Kit.check_trainer`.

    Raises:
        AssertionError: If it does not; the text lists every way in which.
    """
    with Kit(folder) as kit:
        kit.check_trainer(trainer, options, steps)


class Kit:
    """Checks several trainers in one warm process; for a single one, `check_trainer` is enough.

    Use it as a context manager.

    Args:
        folder: Where the benches run; what they leave is kept.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()
        self._executor = _Executor(
            1,
            "cpu",
            1,
            self.folder / "warm.log",
            program="harness.testing.watched",
            confined=False,  # what would be refused is to be told
        )

    def __enter__(self) -> Kit:
        return self

    def __exit__(self, *error: object) -> None:
        self._executor.close()

    def check_trainer(
        self, trainer: str | Trainer, options: Mapping[str, Any] | None = None, steps: int = STEPS
    ) -> None:
        """Check that a trainer of an installed plug-in keeps the contract.

        - its plug-in imports nothing heavy, its options have defaults and refuse unknown names;
          where it declares a search space, every value of it is one that its options take;
        - it trains for a few steps and leaves a whole model in safetensors with the start model's
          configuration and tokenizer, which can be scored, and weights that moved, by the checks
          that a bench makes of every checkpoint, and are not the teacher's;
        - it logs its steps, and its notes and costs are in the record;
        - it stops within a budget of steps and within one of FLOPs;
        - the same seed gives the same checkpoint, also when training checkpoints are saved, and
          after an interruption;
        - it writes to nothing but its own folders, looks for no host on a network, asks for no test
          rows, and gives no test problem to a tokenizer.

        Args:
            trainer: Its name, or the trainer itself.
            options: Options under which it is small; its defaults otherwise.
            steps: Optimiser steps, at least 2.

        Raises:
            AssertionError: If it does not conform; the text lists every way in which.
        """
        name = trainer if isinstance(trainer, str) else trainer.name
        place = self.folder / name
        faults = offer_faults(name, options or {})
        if not faults:
            faults = _Check(name, dict(options or {}), max(2, steps), place, self._executor).run()
        raise_all(f"trainer {name!r}", faults)


class _Executor(LocalExecutor):
    """An executor whose warm process outlives a bench."""

    def stop(self) -> list[Path]:
        return super().stop() if self.node.running else []

    def close(self) -> None:
        super().stop()


class _Check:
    """The runs of one trainer, each a bench of one cell in the same folder."""

    def __init__(
        self, name: str, options: dict[str, Any], steps: int, place: Path, executor: _Executor
    ) -> None:
        self.name, self.options, self.steps = name, options, steps
        self.folder, self.executor = Folder(place), executor
        self.stage = place  # the folder of the last training stage, once one was planned
        self.start = ""  # digest of the start model's weights
        self.faults: list[str] = []

    def run(self) -> list[str]:
        first = self._bench({"steps": self.steps})
        stage = self.stage
        ended = first is not None or any((stage / "checkpoint").glob("*"))
        self._look_at_events(stage / "events.jsonl", ended)
        self._look_at_offences(stage)
        if first is None:
            self._look_at_leftovers(stage / "checkpoint")
            return self.faults
        assert first.checkpoint is not None  # of a trainer that ended well
        self._look_at_checkpoint(first.checkpoint, first.stages[0].notes)
        self._look_at_cost(first, stage)
        shutil.rmtree(stage)
        again = self._again(save_every=0)
        if again and again != first.checkpoint.digest:
            self.faults.append("seed: the same seed gave another checkpoint the second time")
        elif again:
            self._look_at_resume(stage, again)
        return self.faults

    def _bench(self, caps: Mapping[str, float], save_every: int = 0) -> Record | None:
        """Train and score under a budget; a failure is a fault."""
        # the start model's record under another budget would belong to another board
        for kept in (self.folder.records, self.folder.path / "answers"):
            shutil.rmtree(kept, ignore_errors=True)
        host = Host()
        board = small_board(self.name, self.options, caps, save_every, host)
        planned = plan(board, host, [self.name], [0])
        write_test_problems(board, self.folder.path)
        cell = next(cell for cell in planned.cells if cell.trainer == self.name)
        self.stage = self.folder.stage(cell.train[0])
        outcome = run(planned, host, self.folder, self.executor, lambda event, facts: None)
        record = next(record for record in outcome.records if record.trainer == self.name)
        untrained = next(one.checkpoint for one in outcome.records if one.trainer == START)
        self.start = untrained.weights if untrained else ""
        if record.status == "ok":
            return record
        what = " and ".join(f"{value:g} {name}" for name, value in caps.items())
        log = self.folder.path / (record.log or "")
        self.faults.append(
            f"run: with a budget of {what} it ended as {record.status}: {record.error} (log: {log})"
        )
        return None

    def _again(self, save_every: int) -> str | None:
        """Train once more and return the checkpoint's digest, or None if that failed."""
        record = self._bench({"steps": self.steps}, save_every)
        return record.checkpoint.digest if record and record.checkpoint else None

    def _look_at_leftovers(self, checkpoint: Path) -> None:
        """Name everything that is wrong with a checkpoint, of which a bench names the first."""
        if not any(checkpoint.glob("*")):
            return
        start = small_board(self.name, self.options, {"steps": 1}, 0, Host()).model("start")
        found, _ = checkpoint_checks.examine(checkpoint, start)
        try:
            names = checkpoints.undressed(checkpoint, start)
        except UsageError:  # among those that were found
            names = []
        found += [f"{name} is not the start model's" for name in names if name in PROMPT]
        self.faults += [f"checkpoint: {fault}" for fault in found]

    def _look_at_checkpoint(self, found: Checkpoint, notes: Mapping[str, Any]) -> None:
        names = notes.get("replaced_by_the_start_models", [])
        self.faults += [
            f"checkpoint: {name} is not the start model's, which was put in its place"
            for name in names
            if name in PROMPT
        ]
        if found.weights == self.start:
            self.faults.append("checkpoint: the weights are those of the start model")
        if (share := found.from_teacher) >= NEAR:
            self.faults.append(f"checkpoint: {share:.0%} of its tensors are the teacher's")
        elif found.toward_teacher >= LEANS:
            self.faults.append("checkpoint: its weights moved straight to the teacher's")

    def _look_at_cost(self, first: Record, stage: Path) -> None:
        """Check the first run's cost, then that a run with a smaller budget ends within it."""
        spent = first.stages[0].cost
        if not spent.steps or not spent.trained_tokens or not spent.flops:
            self.faults.append(
                "cost: the host counted no steps, trained tokens or FLOPs; train transformers"
                " models with torch optimisers, or no budget can hold"
            )
            return
        if spent.steps > self.steps:
            self.faults.append(f"budget: {spent.steps} steps under a cap of {self.steps}")
        counted = read(stage / "result.json", TrainResult).step_flops
        # half of the last step less, whatever came before the first one
        cap = counted[-1] - (counted[-1] - counted[0]) / 2
        record = self._bench({"flops": cap, "steps": self.steps}) if len(counted) > 1 else None
        if record is not None and record.stages[0].cost.flops > cap:
            took = record.stages[0].cost.flops
            self.faults.append(f"budget: {took:.3g} FLOPs under a cap of {cap:.3g}")

    def _look_at_events(self, path: Path, ended: bool) -> None:
        """Look at what was logged; one that did not get to its end may have come to none."""
        try:
            events = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        except OSError:
            events = []
        learnt = (event.get(name) for event in events for name in ("loss", "reward"))
        if ended and not any(isinstance(number, float) for number in learnt):
            self.faults.append(
                "events: no loss or reward was logged; use run.callback() or run.log"
            )
        steps = [event["step"] for event in events]
        if steps != sorted(steps):
            self.faults.append("events: their steps do not rise")
        if any("not_finite" in event for event in events):
            self.faults.append("events: a number that was logged is not finite")

    def _look_at_offences(self, stage: Path) -> None:
        report = stage / "offences.txt"
        lines = report.read_text(encoding="utf-8").splitlines() if report.exists() else []
        left = sorted((self.folder.path / "elsewhere" / "cwd").glob("*"))
        lines += [f"left {path.name} in its working folder" for path in left]
        self.faults += [f"isolation: it {line}" for line in lines]

    def _look_at_resume(self, stage: Path, digest: str) -> None:
        """Save at every step, remove the last one as a crash would, and check the resumed run."""
        shutil.rmtree(stage)
        saved = self._again(save_every=1)
        if saved != digest:
            if saved:
                self.faults.append("resume: saving training checkpoints changes the result")
            return
        kept = sorted(
            (stage / "scratch" / "trainer").glob("checkpoint-*"),
            key=lambda path: int(path.name.rsplit("-", 1)[1]),
        )
        if not kept:
            return  # it does not resume: an interrupted attempt starts again
        shutil.rmtree(kept[-1])
        for name in ("manifest.json", "result.json"):
            (stage / name).unlink()
        resumed = self._again(save_every=1)
        if resumed and resumed != digest:
            self.faults.append("resume: an interrupted run ends in another checkpoint")
