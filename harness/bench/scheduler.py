"""A bench: carry out a plan and leave a record for each cell.

Files are the truth. What is finished is found on disk and never done again, so the same command
continues an interrupted bench and does nothing when all of it is done.
"""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from harness.bench.folder import Folder, finished_record
from harness.bench.plan import Plan, get_models
from harness.bench.recorder import Recorder, previous_attempts
from harness.bench.stage_inputs import StageInputs
from harness.cells import Cell
from harness.errors import HarnessError, UsageError
from harness.files import clear_for, file_sha256
from harness.plugin.executor import Ended, Executor
from harness.plugin.host import Host
from harness.records import Record
from harness.redact import redact, redact_file
from harness.stage import manifest
from harness.verify import self_test

RETRIES = 3  # of a stage that the machine or the scheduler ended

# called with the name of an event and its facts, to show progress
Watcher = Callable[[str, dict[str, Any]], None]


@dataclass
class Outcome:
    """What a bench came to."""

    records: list[Record] = field(default_factory=list)
    computed: int = 0  # stages that ran in this bench
    interrupted: int = 0  # the signal that ended it early

    @property
    def failed(self) -> list[Record]:
        return [record for record in self.records if record.status != "ok"]


def run(plan: Plan, host: Host, folder: Folder, executor: Executor, watch: Watcher) -> Outcome:
    """Carry out a plan; the host's plug-ins observe which cells start and finish.

    Returns:
        One record for each cell, in the plan's order; a cell that was interrupted has none.

    Raises:
        UsageError: If the board caps GPU-seconds, and stages run on no GPU.
        HarnessError: If somebody removed the folder while the bench ran.
    """
    if plan.device == "cpu" and plan.board.file.budget.gpu_seconds is not None:
        raise UsageError(
            f"board {plan.board.name!r} caps gpu_seconds, and nothing here is trained on a GPU;"
            " cap seconds or flops"
        )
    with folder.locked():
        try:
            bench = _Bench(plan, host, folder, executor, watch)
            with bench.recorder.overlaps:
                return bench.run()
        except FileNotFoundError as error:
            if error.filename and folder.path not in Path(str(error.filename)).parents:
                raise
            raise HarnessError(
                f"{error.filename or folder.path} was removed while the bench ran;"
                " the same command does again what is missing"
            ) from error


class _Bench:
    def __init__(
        self, plan: Plan, host: Host, folder: Folder, executor: Executor, watch: Watcher
    ) -> None:
        self.plan, self.host, self.folder = plan, host, folder
        self.executor, self.watch = executor, watch
        self.recorder = Recorder(plan, folder)
        self.inputs = StageInputs(plan, folder, executor)
        self.records: dict[str, Record] = {}  # cell digest -> record
        self.failures: dict[str, Ended] = {}  # stage id -> how it ended
        self.retries: dict[str, int] = {}  # stage -> how often it was tried again
        self.again: set[str] = set()  # stages that were done and are done again
        self.seals: dict[str, str] = {}  # stage that is done -> what it was sealed with
        self.inputs.seals = self.recorder.seals = self.seals
        self.given: dict[str, str] = {}  # stage -> sha256 of its `stage.json`
        self.started_cells: set[str] = set()
        self.cells_of: dict[str, list[Cell]] = {name: [] for name in plan.stages}
        for cell in plan.cells:
            for name in dict.fromkeys(cell.stages):
                self.cells_of[name].append(cell)
        self.outcome = Outcome()

    def run(self) -> Outcome:
        self.host.check_whole()
        for cell in self.plan.cells:
            if record := finished_record(cell, self.plan.board, self.folder):
                self.records[cell.digest] = record
        open_cells = [cell for cell in self.plan.cells if cell.digest not in self.records]
        if open_cells:
            get_models(self.plan)
            self_test()
            self.executor.warm_up()
            try:
                self._execute(open_cells)
            except KeyboardInterrupt as error:
                self.outcome.interrupted = getattr(error, "number", signal.SIGINT)
                for path in self.executor.stop():
                    _clean(path / "log.txt")
                    self.watch("interrupted", {"stage": path.name})
            finally:
                self.executor.stop()
                _clean(self.executor.log)
        found = [self.records.get(cell.digest) for cell in self.plan.cells]
        self.outcome.records = [record for record in found if record]
        return self.outcome

    def _execute(self, open_cells: list[Cell]) -> None:
        waiting = self._needed(open_cells)
        self.watch("planned", {"stages": tuple(waiting)})
        self.inputs.write_rows(waiting)
        self.recorder.begin(waiting)
        for line in () if self.plan.trials else self.inputs.within_reach(waiting):
            self.watch("warning", {"text": line})
        for name in [name for name in waiting if manifest.is_done(self.folder.stage(name))]:
            waiting.remove(name)
            self._reuse(name)
        running = self._recovered(waiting)
        while True:
            self.folder.check()
            self._settle(open_cells, waiting)
            for name in self._ready(waiting):
                if self.executor.has_room(light=self.plan.stages[name].light):
                    waiting.remove(name)
                    if manifest.is_done(self.folder.stage(name)):
                        self._reuse(name)  # somebody put it there meanwhile
                    else:
                        self._start(name)
                        running.add(name)
            if not running:
                if waiting or not self.recorder.overlaps.idle:
                    time.sleep(0.02)  # what was compared, or is lost, is settled in the next round
                    continue
                self._settle(open_cells, waiting)
                return
            for found in self.executor.wait(0.2):
                self.host.check_whole()
                ended, name = _without_secrets(self._as_given(found)), found.folder.name
                running.remove(name)
                if not self._again(ended, name, waiting):
                    self._ended(ended, name)
            self.watch("tick", {})

    def _reuse(self, name: str) -> None:
        self._done(name)
        self.watch("reused", {"stage": name})

    def _recovered(self, waiting: list[str]) -> set[str]:
        """Take over the stages that an earlier bench started and that go on without it."""
        found = self.executor.recover([self.folder.stage(name) for name in waiting])
        names = {folder.name for folder in found}
        waiting[:] = [name for name in waiting if name not in names]
        for folder, given in found.items():
            name = folder.name
            self.given[name] = given
            stage = self.plan.stages[name]
            self.watch("started", {"stage": name, "label": stage.label, "kind": stage.kind})
        return names

    def _again(self, ended: Ended, name: str, waiting: list[str]) -> bool:
        """Try a stage once more that the machine or the scheduler ended; a bounded number of times.

        Its next attempt goes on from its newest training checkpoint.
        """
        if not ended.retry or self.retries.get(name, 0) >= RETRIES:
            return False
        self.retries[name] = self.retries.get(name, 0) + 1
        waiting.insert(0, name)
        again = f"tried again ({self.retries[name]} of {RETRIES})"
        self.watch("retried", {"stage": name, "error": ended.error, "again": again})
        return True

    def _ended(self, ended: Ended, name: str) -> None:
        self.outcome.computed += 1
        if ended.status == "ok":
            self._done(name)
        else:
            self.failures[name] = ended
        self.watch("ended", {"stage": name, "status": ended.status, "error": ended.error})

    def _as_given(self, ended: Ended) -> Ended:
        """Return how a stage ended: failed where its `stage.json` is not what it was given.

        A stage that did not end well keeps no manifest, by which it would be done for the next
        bench: where its guard was lost with it, its process alone said so.
        """
        path = ended.folder / "stage.json"
        with contextlib.suppress(HarnessError):
            if ended.status == "ok" and file_sha256(path) == self.given[ended.folder.name]:
                return ended
        (ended.folder / "manifest.json").unlink(missing_ok=True)
        if ended.status != "ok":
            return ended
        return replace(
            ended,
            status="failed",
            error="its process changed stage.json, by which the bench knows what was asked of it",
        )

    def _done(self, name: str) -> None:
        self.seals[name] = manifest.seal(self.folder.stage(name))
        self.recorder.trained(name)

    def _needed(self, open_cells: Sequence[Cell]) -> list[str]:
        """Return the stages of cells that are not done, longest chains first, seeds of a cell last.

        Starting the longest chains first keeps all slots busy to the end.
        """
        depth: dict[str, int] = {}
        for cell in open_cells:
            for position, name in enumerate(cell.stages):
                depth[name] = max(depth.get(name, 0), len(cell.stages) - position)
        order = {name: number for number, name in enumerate(self.plan.stages)}
        return sorted(depth, key=lambda name: (-depth[name], order[name]))

    def _ready(self, waiting: Sequence[str]) -> list[str]:
        parents = [(name, self.plan.stages[name].parent) for name in waiting]
        return [name for name, parent in parents if parent is None or parent in self.seals]

    def _settle(self, open_cells: list[Cell], waiting: list[str]) -> None:
        """Write the records of cells that are complete, or cannot be completed any more.

        Those are open no longer, and what they alone waited for is not done.
        """
        settled = False
        for cell in open_cells:
            failed = next((name for name in cell.stages if name in self.failures), None)
            record: Record | None = None
            if failed is not None:
                record = self.recorder.failed(cell, failed, self.failures)
            elif all(name in self.seals for name in cell.stages) and self.recorder.ready(cell):
                record = self._finished(cell, waiting)
            if record is None:
                continue
            self.records[cell.digest] = record
            self.watch("record", {"cell": cell.name, "record": record})
            self._observe("harness_cell_finished", record=record)
            settled = True
        if settled:
            open_cells[:] = [cell for cell in open_cells if cell.digest not in self.records]
            wanted = {name for cell in open_cells for name in cell.stages}
            waiting[:] = [name for name in waiting if name in wanted]

    def _observe(self, hook: str, **facts: Any) -> None:
        """Tell the plug-ins of a cell; a trial of tuning is none."""
        for error in () if self.plan.trials else self.host.observe(hook, **facts):
            self.watch("warning", {"text": error})

    def _finished(self, cell: Cell, waiting: list[str]) -> Record | None:
        """Return the record of a cell whose stages are done.

        A stage of which a file is gone meanwhile is done again, once.
        """
        self.folder.check()
        gone = {each for each in cell.stages if manifest.lost_files(self.folder.stage(each))}
        if not gone or gone & self.again:
            return self.recorder.finished(cell)
        self.again |= gone
        for name in gone:
            del self.seals[name]
        waiting += sorted(gone)
        self.inputs.write_rows(gone)
        for name in sorted(gone):
            self.watch("warning", {"text": f"{name}: a file of it is gone; it is done again"})
        return None

    def _start(self, name: str) -> None:
        stage = self.plan.stages[name]
        path = self.folder.stage(name)
        path.mkdir(parents=True, exist_ok=True)
        given = path / "stage.json"
        clear_for(given)
        self.inputs.spec(stage, 1 + previous_attempts(path)).write(given)
        self.given[name] = file_sha256(given)
        for cell in self.cells_of[name]:
            if cell.digest not in self.started_cells:
                self.started_cells.add(cell.digest)
                self._observe("harness_cell_started", cell=cell)
        self.watch("started", {"stage": name, "label": stage.label, "kind": stage.kind})
        compute = self.plan.board.file.compute
        names = compute.environment if stage.kind == "train" else ()
        self.executor.start(path, compute.stage_seconds, light=stage.light, names=names)


def _without_secrets(ended: Ended) -> Ended:
    """Return how a stage ended, after taking secrets out of its log and of its error."""
    _clean(ended.folder / "log.txt")
    return replace(ended, error=redact(ended.error) if ended.error else None)


def _clean(log: Path) -> None:
    with contextlib.suppress(OSError):  # a full disk: the bench goes on
        redact_file(log)
