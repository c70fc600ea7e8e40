"""Recording: what a cell came to, on disk and in a bench's memory, becomes its record."""

from __future__ import annotations

import importlib.metadata
import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from harness import checkpoints, records
from harness.bench.executor import Ended
from harness.bench.folder import Folder
from harness.bench.plan import Plan
from harness.bench.stage_inputs import model_folder
from harness.contamination.board import BoardOverlaps
from harness.errors import StageError
from harness.files import write_atomically
from harness.records import Cell, Record, Score, StageRef
from harness.redact import publishable, redacted
from harness.stage import spec
from harness.stage.environment import processor_name
from harness.tasks.protocols import score_name
from harness.verify import VERIFIER_VERSION


class Recorder:
    """Writes the records of a plan's cells into the folder of its runs."""

    def __init__(self, plan: Plan, folder: Folder) -> None:
        self.plan, self.folder = plan, folder
        self.overlaps = BoardOverlaps(plan.board, folder.path)

    def finished(self, cell: Cell) -> Record:
        """Write the record of a cell whose stages are all done, and keep its judged answers."""
        result = self.folder.stage(cell.generate) / "result.json"
        generated = spec.read(result, spec.GenerateResult)
        refs = [self._stage_ref(name, None) for name in cell.train]
        stage = self.plan.stages[cell.generate]
        assert isinstance(stage.identity, spec.GenerateIdentity)
        scored = model_folder(self.plan, self.folder, stage)
        ran, name = generated.environment, "srlm-harness"
        environment = {
            "packages": {**ran.packages, name: importlib.metadata.version(name)},
            "engine": stage.identity.engine,
            "batch_size": stage.identity.batch_size,
            "gpus": self.plan.board.file.compute.gpus if cell.train else 1,
            "commit": _commit(),
        }
        return self._write(
            cell,
            refs,
            status="ok",
            scoring_seconds=round(generated.seconds, 2),
            checkpoint=records.Checkpoint(
                digest=checkpoints.digest(scored),
                parameters=checkpoints.parameter_count(scored),
                bytes=checkpoints.size_bytes(scored),
            ),
            scores=tuple(self._scores(cell, generated)),
            environment=ran.model_copy(update=environment),
        )

    def _scores(self, cell: Cell, generated: spec.GenerateResult) -> list[Score]:
        """Return the scores of a judged cell, after keeping its answers under the record's name."""
        judged, out = self.folder.stage(cell.judge), self.folder.answers(cell.record_id)
        scores = []
        for score in spec.read(judged / "result.json", spec.JudgeResult).scores:
            name = score_name(score.task, score.protocol)
            path = judged / "answers" / f"{name}.jsonl"
            write_atomically(out / path.name, path.read_text(encoding="utf-8"))
            scores.append(score.model_copy(update={"own": generated.own.get(name, {})}))
        if not cell.train:
            return scores
        chain = [self.plan.stages[name] for name in cell.train]
        return self.overlaps.filled(
            scores,
            [self.folder.stage(stage.id) for stage in chain],
            traces=any(stage.offer and stage.offer.trainer.needs_traces for stage in chain),
        )

    def failed(self, cell: Cell, failed: str, failures: Mapping[str, Ended]) -> Record:
        """Write the record of a cell that cannot be completed because the stage `failed` did."""
        ended = failures[failed]
        reached = cell.train[: cell.train.index(failed) + 1] if failed in cell.train else cell.train
        refs = [self._stage_ref(name, failures.get(name)) for name in reached]
        device = self.plan.device
        here = records.Environment(
            python="", platform="", processor=processor_name(), device=device, commit=_commit()
        )
        return self._write(
            cell,
            refs,
            status=ended.status,
            error=publishable(ended.error),
            log=str((ended.folder / "log.txt").relative_to(self.folder.path)),
            environment=here,
        )

    def _stage_ref(self, name: str, ended: Ended | None) -> StageRef:
        identity, path = self.plan.stages[name].identity, self.folder.stage(name)
        assert isinstance(identity, spec.TrainIdentity)
        result = None if ended else spec.read(path / "result.json", spec.TrainResult)
        return StageRef(
            trainer=identity.trainer,
            plugin=identity.plugin.name,
            **identity.plugin.model_dump(exclude={"name"}),
            options=redacted(identity.options),
            stage=name,
            status=ended.status if ended else "ok",
            cost=result.cost if result else records.Cost(),
            attempts=previous_attempts(path),
            notes=publishable(result.notes) if result else {},
            environment=result.environment if result else None,
        )

    def _write(
        self, cell: Cell, stages: list[StageRef], *, status: records.Status, **fields: Any
    ) -> Record:
        """Write a record; it supersedes an earlier one of the same row and seed on this board."""
        board = self.plan.board
        row = (cell.trainer, cell.seed, board.digest)
        earlier = [
            record.id
            for record in records.read_records(self.folder.records)
            if (record.trainer, record.seed, record.board.digest) == row
        ]
        failures = len(list(self.folder.records.glob(f"{cell.record_id}.failed*.json")))
        record = Record(
            id=cell.record_id if status == "ok" else f"{cell.record_id}.failed{failures + 1}",
            board=records.BoardRef(name=board.name, digest=board.digest),
            trainer=cell.trainer,
            seed=cell.seed,
            status=status,
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            command=cell.command,
            stages=tuple(stages),
            cost=records.total_cost(ref.cost for ref in stages),
            verifier_version=VERIFIER_VERSION,
            supersedes=earlier[-1] if earlier else None,
            **fields,
        )
        return records.read_record(records.write_record(record, self.folder.records))


def previous_attempts(path: Path) -> int:
    try:
        return spec.read_spec(path).attempts
    except StageError:  # never, or by a harness that wrote it otherwise
        return 0


@cache
def _commit() -> str | None:
    root = Path(__file__).parents[2]
    if not (root / ".git").exists():
        return None
    command = ["git", "-C", str(root), "rev-parse", "HEAD"]
    try:
        found = subprocess.check_output(command, stderr=subprocess.DEVNULL, text=True, timeout=5)
    except (OSError, subprocess.SubprocessError):
        return None
    return found.strip() or None
