"""What the stages of a plan are given: files of rows, and each one's `stage.json`."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.bench.executor import LocalExecutor
from harness.bench.folder import Folder
from harness.bench.plan import Plan, Stage
from harness.files import jsonl, write_atomically
from harness.records import Cost, total_cost
from harness.stage import spec
from harness.stage.spec import GenerateIdentity, JudgeIdentity, StageSpec, TrainIdentity

MOST_WORKERS = 8  # of the verifier: more are not faster, and each takes memory
Rows = Sequence[Mapping[str, Any]]


class StageInputs:
    """Writes what stages read. No stage that trains or generates is given a test set's golds.

    lm-eval's own tasks are the exception: their documents hold golds for their own metrics.
    """

    def __init__(self, plan: Plan, folder: Folder, executor: LocalExecutor) -> None:
        self.plan, self.folder, self.executor = plan, folder, executor
        self.seals: Mapping[str, str] = {}  # stage that is done -> `manifest.seal`
        self._files: dict[str, Path] = {}  # kind of rows -> file

    def write_rows(self, waiting: Iterable[str]) -> None:
        """Write the rows that training and generating stages read, once for all of them."""
        board, identities = self.plan.board, [self.plan.stages[name].identity for name in waiting]
        training = [each for each in identities if isinstance(each, TrainIdentity)]
        if training:
            self._write("train", board.train_rows())
            self._write("holdout", board.train_rows("holdout"))
        if any(each.traces for each in training):
            self._write("traces", board.trace_rows())
        if any(isinstance(each, GenerateIdentity) for each in identities):
            for score in board.scores:
                rows = board.test_rows(score.table)
                problems = [{key: row[key] for key in ("id", "problem")} for row in rows]
                self._write(f"problems-{score.name}", problems)
                if documents := score.documents():
                    self._write(f"documents-{score.name}", documents)

    def _write(self, kind: str, rows: Rows) -> None:
        text = jsonl(rows)
        digest = hashlib.sha256(text.encode()).hexdigest()[:16]
        path = self.folder.path / "data" / f"{kind}-{digest}.jsonl"
        if not path.exists():
            write_atomically(path, text)
        self._files[kind] = path

    def spec(self, stage: Stage, attempts: int) -> StageSpec:
        """Return what a stage's process is to do, now that the stages before it are done."""
        if isinstance(stage.identity, TrainIdentity):
            return self._train(stage, stage.identity, attempts)
        if isinstance(stage.identity, GenerateIdentity):
            return self._generate(stage, stage.identity, attempts)
        return self._judge(stage, stage.identity, attempts)

    def _train(self, stage: Stage, identity: TrainIdentity, attempts: int) -> StageSpec:
        board = self.plan.board
        compute = board.file.compute.model_dump(include=set(spec.TrainCompute.model_fields))
        caps = identity.budget.caps
        if identity.budget.rest:
            caps = caps.minus(total_cost(self._chain_costs(stage)))
        return spec.TrainSpec(
            attempts=attempts,
            identity=identity,
            paths=spec.TrainPaths(
                base_model=model_folder(self.plan, self.folder, stage),
                teacher=board.model("teacher") if identity.teacher else None,
                train=self._files["train"],
                holdout=self._files["holdout"],
                traces=self._files["traces"] if identity.traces else None,
                accelerate=board.accelerate_file(),
            ),
            compute=spec.TrainCompute(**compute, shared_gpu=self.executor.shared),
            caps=caps,
            sealed=self.seals.get(stage.parent or ""),
            conventions={
                name: board.tasks[name].conventions
                for name in (*board.file.data.train, *board.file.data.traces)
            },
            name=stage.label if stage.seed is None else f"{stage.label} seed {stage.seed}",
            report_to=self.plan.report_to,
        )

    def _chain_costs(self, stage: Stage) -> list[Cost]:
        costs = []
        while stage.parent:
            stage = self.plan.stages[stage.parent]
            result = spec.read(self.folder.stage(stage.id) / "result.json", spec.TrainResult)
            costs.append(result.cost)
        return costs

    def _generate(self, stage: Stage, identity: GenerateIdentity, attempts: int) -> StageSpec:
        names = [score.name for score in identity.scores]
        board, trained = self.plan.board, stage.parent is not None
        paths = spec.GeneratePaths(
            base_model=model_folder(self.plan, self.folder, stage),
            start=board.model("start") if trained else None,
            teacher=board.at_hand("teacher") if trained else None,
            problems=tuple(self._files[f"problems-{name}"] for name in names),
            documents=tuple(self._files.get(f"documents-{name}") for name in names),
        )
        sealed = self.seals.get(stage.parent or "")
        return spec.GenerateSpec(attempts=attempts, identity=identity, paths=paths, sealed=sealed)

    def _judge(self, stage: Stage, identity: JudgeIdentity, attempts: int) -> StageSpec:
        """Return what a judging stage is to do, after writing golds into its own folder."""
        for score in self.plan.board.scores:
            path = self.folder.stage(stage.id) / "questions" / f"{score.name}.jsonl"
            write_atomically(path, jsonl(self.plan.board.test_rows(score.table)))
        return spec.JudgeSpec(
            attempts=attempts,
            identity=identity,
            answers=self.folder.stage(identity.answers) / "answers",
            sealed=self.seals.get(identity.answers),
            workers=min(MOST_WORKERS, self.executor.spare_cores),
        )


def model_folder(plan: Plan, folder: Folder, stage: Stage) -> Path:
    if stage.parent:
        return folder.stage(stage.parent) / "checkpoint"
    return stage.model or plan.board.model("start")
