"""A bench: carry out a plan, judge the answers, leave a record for each cell.

Files are the truth. What is finished is found on disk and never done again, so the same command
continues an interrupted bench and does nothing when all of it is done.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from harness.bench.executor import Ended, LocalExecutor
from harness.bench.folder import Folder, finished_record
from harness.bench.plan import Plan, Stage, get_models
from harness.bench.recorder import Recorder, previous_attempts
from harness.files import jsonl, write_atomically
from harness.plugin.host import Host
from harness.records import Caps, Cell, Cost, Record, total_cost
from harness.stage import manifest
from harness.verify import VerifierPool, self_test

Watcher = Callable[[str, dict[str, Any]], None]


@dataclass
class Outcome:
    """What a bench came to."""

    records: list[Record] = field(default_factory=list)
    computed: int = 0  # stages that ran in this bench
    interrupted: bool = False

    @property
    def failed(self) -> list[Record]:
        """Return the records of cells that did not finish."""
        return [record for record in self.records if record.status != "ok"]


def run(plan: Plan, host: Host, folder: Folder, executor: LocalExecutor, watch: Watcher) -> Outcome:
    """Carry out a plan.

    Args:
        plan: Cells and stages.
        host: Told of cells that start and finish.
        folder: Where everything is kept.
        executor: Runs the stages.
        watch: Called with the name of an event and its facts, for showing progress.

    Returns:
        One record for each cell, in the plan's order; a cell that was interrupted has none.
    """
    bench = _Bench(plan, host, folder, executor, watch)
    with folder.locked():
        return bench.run()


class _Bench:
    def __init__(
        self, plan: Plan, host: Host, folder: Folder, executor: LocalExecutor, watch: Watcher
    ) -> None:
        self.plan, self.host, self.folder = plan, host, folder
        self.executor, self.watch = executor, watch
        self.recorder = Recorder(plan, folder)
        self.records: dict[str, Record] = {}  # cell digest -> record
        self.failures: dict[str, Ended] = {}  # stage id -> how it ended
        self.done: set[str] = set()
        self.started_cells: set[str] = set()
        self.computed = 0
        self.data: dict[
            str, Any
        ] = {}  # files that stages read: kind -> path, or one for each score

    def run(self) -> Outcome:
        for cell in self.plan.cells:
            record = finished_record(cell, self.plan.board, self.folder)
            if record is not None:
                self.records[cell.digest] = record
        open_cells = [cell for cell in self.plan.cells if cell.digest not in self.records]
        outcome = Outcome()
        if open_cells:
            get_models(self.plan)
            self_test()
            self.executor.warm_up()
            with VerifierPool(workers=1) as pool:
                try:
                    self._execute(open_cells, pool)
                except KeyboardInterrupt:
                    outcome.interrupted = True
                    for path in self.executor.stop():
                        self.watch("interrupted", {"stage": path.name})
                finally:
                    self.executor.stop()
        outcome.computed = self.computed
        outcome.records = [
            self.records[cell.digest] for cell in self.plan.cells if cell.digest in self.records
        ]
        return outcome

    def _execute(self, open_cells: Sequence[Cell], pool: VerifierPool) -> None:
        waiting = self._needed(open_cells)
        self._write_data(waiting)
        running: set[str] = set()
        while True:
            for name in [name for name in waiting if self._is_finished(name)]:
                waiting.remove(name)
                self.done.add(name)
                self.watch("reused", {"stage": name})
            self._settle(open_cells, pool, waiting)
            for name in self._ready(waiting)[: self.executor.free]:
                waiting.remove(name)
                self._start(name)
                running.add(name)
            if not running:
                if waiting:
                    continue  # their parents failed: settled in the next round
                return
            for ended in self.executor.wait(0.2):
                name = ended.folder.name
                running.remove(name)
                self.computed += 1
                if ended.status == "ok":
                    self.done.add(name)
                else:
                    self.failures[name] = ended
                self.watch("ended", {"stage": name, "status": ended.status, "error": ended.error})
            self.watch("tick", {})

    def _needed(self, open_cells: Sequence[Cell]) -> list[str]:
        """Return the stages of cells that are not done, longest chains first, seeds of a cell last.

        Starting the longest chains first keeps all slots busy to the end.
        """
        depth: dict[str, int] = {}
        for cell in open_cells:
            chain = (*cell.train, cell.generate)
            for position, name in enumerate(chain):
                depth[name] = max(depth.get(name, 0), len(chain) - position)
        order = {name: number for number, name in enumerate(self.plan.stages)}
        return sorted(depth, key=lambda name: (-depth[name], order[name]))

    def _is_finished(self, name: str) -> bool:
        return manifest.is_done(self.folder.stage(name))

    def _ready(self, waiting: Sequence[str]) -> list[str]:
        return [
            name
            for name in waiting
            if (parent := self.plan.stages[name].parent) is None or parent in self.done
        ]

    def _settle(self, open_cells: Sequence[Cell], pool: VerifierPool, waiting: list[str]) -> None:
        """Write the records of cells that are complete, or cannot be completed any more."""
        for cell in open_cells:
            if cell.digest in self.records:
                continue
            chain = (*cell.train, cell.generate)
            failed = next((name for name in chain if name in self.failures), None)
            if failed is not None:
                record = self.recorder.failed(cell, failed, self.failures)
            elif all(name in self.done for name in chain):
                record = self.recorder.finished(cell, pool)
            else:
                continue
            self.records[cell.digest] = record
            self.watch("record", {"cell": cell.name, "record": record})
            for error in self.host.observe("harness_cell_finished", record=record):
                self.watch("warning", {"text": error})
        wanted = {
            name
            for cell in open_cells
            if cell.digest not in self.records
            for name in (*cell.train, cell.generate)
        }
        waiting[:] = [name for name in waiting if name in wanted]

    def _start(self, name: str) -> None:
        stage = self.plan.stages[name]
        path = self.folder.stage(name)
        path.mkdir(parents=True, exist_ok=True)
        spec = self._spec(stage)
        spec["attempts"] = 1 + previous_attempts(path)
        write_atomically(path / "stage.json", json.dumps(spec, indent=1, sort_keys=True))
        for cell in self.plan.cells:
            if name in (*cell.train, cell.generate) and cell.digest not in self.started_cells:
                self.started_cells.add(cell.digest)
                for error in self.host.observe("harness_cell_started", cell=cell):
                    self.watch("warning", {"text": error})
        self.watch("started", {"stage": name, "label": stage.label, "kind": stage.kind})
        self.executor.start(path, self.plan.board.file.compute.stage_seconds)

    def _spec(self, stage: Stage) -> dict[str, Any]:
        """Return what the stage's process reads: its identity, and where things are."""
        board = self.plan.board
        base = self.recorder.model(stage)
        paths: dict[str, Any] = {"base_model": str(base)}
        spec: dict[str, Any] = {
            "id": stage.id,
            "kind": stage.kind,
            "identity": dict(stage.identity),
            "save_every": board.file.compute.save_every,
            "paths": paths,
        }
        if stage.kind == "generate":
            paths["tests"], paths["documents"] = self.data["tests"], self.data["documents"]
            return spec
        paths["train"], paths["holdout"] = self.data["train"], self.data["holdout"]
        paths["teacher"] = str(board.model("teacher")) if stage.identity["teacher"] else None
        if stage.identity["traces"]:
            paths["traces"] = self.data["traces"]
        config, compute = board.accelerate_file(), board.file.compute
        paths["accelerate"] = str(config) if config else None
        spec |= {
            "processes": compute.gpus,
            "micro_batch_size": compute.micro_batch_size,
            "gradient_checkpointing": compute.gradient_checkpointing,
            "stage_seconds": compute.stage_seconds,
            "shared_gpu": self.executor.shared,
            "report_to": list(self.plan.report_to),
            "name": stage.label if stage.seed is None else f"{stage.label} seed {stage.seed}",
        }
        spec["conventions"] = {
            name: board.tasks[name].conventions.model_dump(mode="json")
            for name in (*board.file.data.train, *board.file.data.traces)
        }
        caps = Caps(**stage.identity["budget"]["caps"])
        if stage.identity["budget"]["rest"]:
            caps = caps.minus(total_cost(self._chain_costs(stage)))
        spec["caps"] = caps.set_caps()
        return spec

    def _chain_costs(self, stage: Stage) -> list[Cost]:
        """Return the costs of the stages before this one in its chain."""
        costs = []
        while stage.parent:
            stage = self.plan.stages[stage.parent]
            costs.append(Cost.model_validate(manifest.result(self.folder.stage(stage.id))["cost"]))
        return costs

    def _write_data(self, waiting: Sequence[str]) -> None:
        """Write the rows that the stages read, once for all of them."""
        if not waiting:
            return
        board = self.plan.board
        self.data["train"] = self._written("train", board.train_rows())
        self.data["holdout"] = self._written("holdout", board.train_rows("holdout"))
        if any(self.plan.stages[name].identity.get("traces") for name in waiting):
            self.data["traces"] = self._written("traces", board.trace_rows())
        self.data["tests"], self.data["documents"] = [], []
        for score in board.scores:
            name, documents = score.task.name, score.documents()
            tests = self._written(f"test-{name}", board.test_rows(score.table))
            self.data["tests"].append(tests)
            self.data["documents"].append(
                self._written(f"documents-{name}", documents) if documents else None
            )

    def _written(self, name: str, rows: Sequence[dict[str, Any]]) -> str:
        """Write rows to a file that is named by their content, and return its path."""
        text = jsonl(rows)
        digest = hashlib.sha256(text.encode()).hexdigest()[:16]
        path = self.folder.path / "data" / f"{name}-{digest}.jsonl"
        if not path.exists():
            write_atomically(path, text)
        return str(path)
