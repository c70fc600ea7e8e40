"""Checks of trainers: real benches of one cell each, on a small part of the tiny board."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness import checkpoints
from harness.bench.executor import LocalExecutor
from harness.bench.folder import Folder
from harness.bench.plan import plan
from harness.bench.scheduler import run
from harness.checkpoints import TOKENIZER_FILES
from harness.files import file_sha256
from harness.plugin.host import Host
from harness.plugin.trainer import Trainer
from harness.records import Record
from harness.testing.offers import offer_faults, small_board
from harness.testing.tasks import raise_all

STEPS = 3


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
        - it trains for a few steps and leaves a whole model in safetensors with the start model's
          tokenizer, which can be scored, and weights that moved;
        - it logs its steps, and its notes and costs are in the record;
        - it stops within a budget of steps and within one of FLOPs;
        - the same seed gives the same checkpoint, also when training checkpoints are saved, and
          after an interruption;
        - it writes to nothing but its own folders, connects to nothing, asks for no test rows.

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
        return super().stop() if self._running else []

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
        self.faults: list[str] = []

    def run(self) -> list[str]:
        first = self._bench({"steps": self.steps})
        stage = self.stage
        self._look_at_events(stage / "events.jsonl")
        self._look_at_offences(stage)
        if (stage / "checkpoint" / "config.json").is_file():
            self._look_at_checkpoint(stage / "checkpoint")
        if first is None or first.checkpoint is None:
            return self.faults
        self._look_at_cost(first)
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
        cell = next(cell for cell in planned.cells if cell.trainer == self.name)
        self.stage = self.folder.stage(cell.train[0])
        outcome = run(planned, host, self.folder, self.executor, lambda event, facts: None)
        record = next(record for record in outcome.records if record.trainer == self.name)
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

    def _look_at_checkpoint(self, checkpoint: Path) -> None:
        board = small_board(self.name, self.options, {"steps": 1}, 0, Host())
        start = board.model("start")
        self.faults += [
            f"checkpoint: {path.name} could run code; leave safetensors only"
            for path in sorted(checkpoint.rglob("*"))
            if path.suffix in (".bin", ".pt", ".pth", ".pkl", ".py")
        ]
        shapes, trained = _shapes(start), _shapes(checkpoint)
        if shapes != trained:
            changed = sorted(shapes.items() ^ trained.items())
            self.faults.append(f"checkpoint: not the start model's architecture: {changed[0][0]}")
        elif _weights(start) == _weights(checkpoint):
            self.faults.append("checkpoint: the weights are those of the start model")
        for name in TOKENIZER_FILES:
            mine, theirs = checkpoint / name, start / name
            if theirs.exists() and (not mine.exists() or mine.read_bytes() != theirs.read_bytes()):
                self.faults.append(f"checkpoint: {name} is not the start model's")
        config = json.loads((checkpoint / "config.json").read_text(encoding="utf-8"))
        if checkpoints.digest(checkpoint) == checkpoints.digest(start) or "auto_map" in config:
            self.faults.append("checkpoint: it is the start model, or asks for code of its own")

    def _look_at_cost(self, first: Record) -> None:
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
        cap = spent.flops * (1 - 0.5 / spent.steps)
        record = self._bench({"flops": cap, "steps": self.steps}) if spent.steps > 1 else None
        if record is not None and record.stages[0].cost.flops > cap:
            took = record.stages[0].cost.flops
            self.faults.append(f"budget: {took:.3g} FLOPs under a cap of {cap:.3g}")

    def _look_at_events(self, path: Path) -> None:
        try:
            events = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        except OSError:
            events = []
        if not any(isinstance(e.get(k), float) for e in events for k in ("loss", "reward")):
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


def _shapes(model: Path) -> dict[str, tuple[int, ...]]:
    return {
        name: tuple(entry["shape"])
        for file in checkpoints.weight_files(model)
        for name, entry in checkpoints.safetensors_header(file).items()
    }


def _weights(model: Path) -> list[str]:
    return [file_sha256(file) for file in checkpoints.weight_files(model)]
