"""Recording: what a cell came to, on disk and in a bench's memory, becomes its record."""

from __future__ import annotations

import importlib.metadata
import json
import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness import checkpoints
from harness.bench.judge import judge
from harness.contamination.board import BoardOverlaps
from harness.records import (
    BoardRef,
    Checkpoint,
    Cost,
    Environment,
    Record,
    StageRef,
    read_record,
    read_records,
    total_cost,
    write_record,
)
from harness.stage import manifest
from harness.stage.environment import processor_name
from harness.verify import VERIFIER_VERSION

if TYPE_CHECKING:
    from harness.bench.executor import Ended
    from harness.bench.folder import Folder
    from harness.bench.plan import Plan, Stage
    from harness.records import Cell
    from harness.verify import VerifierPool


class Recorder:
    """Writes the records of a plan's cells into the folder of its runs."""

    def __init__(self, plan: Plan, folder: Folder) -> None:
        self.plan, self.folder = plan, folder
        self.overlaps = BoardOverlaps(plan.board, folder.path)

    def model(self, stage: Stage) -> Path:
        """Return the folder of the model that a stage starts from."""
        if stage.parent:
            return self.folder.stage(stage.parent) / "checkpoint"
        return stage.model or self.plan.board.model("start")

    def finished(self, cell: Cell, pool: VerifierPool) -> Record:
        """Judge the answers of a cell whose stages are all done, and write its record."""
        board, generated = self.plan.board, self.folder.stage(cell.generate)
        result = manifest.result(generated)
        judged = self.folder.answers(cell.record_id)
        scores = judge(board, generated / "answers", judged, pool, result.get("own"))
        if cell.train:
            chain = [self.plan.stages[name] for name in cell.train]
            scores = self.overlaps.filled(
                scores,
                [self.folder.stage(stage.id) for stage in chain],
                traces=any(stage.offer and stage.offer.trainer.needs_traces for stage in chain),
            )
        refs = [self._stage_ref(name, None) for name in cell.train]
        scored = self.model(self.plan.stages[cell.generate])
        checkpoint = Checkpoint(
            digest=checkpoints.digest(scored),
            parameters=checkpoints.parameter_count(scored),
            bytes=checkpoints.size_bytes(scored),
        )
        ran = result["environment"]
        own = {"srlm-harness": importlib.metadata.version("srlm-harness")}
        environment = {
            **ran,
            "packages": {**ran["packages"], **own},
            "engine": self.plan.stages[cell.generate].identity["engine"],
            "batch_size": self.plan.stages[cell.generate].identity["batch_size"],
            "gpus": board.file.compute.gpus if cell.train else 1,
            "commit": _commit(),
        }
        return self._write(
            cell,
            status="ok",
            stages=tuple(refs),
            cost=total_cost(ref.cost for ref in refs),
            scoring_seconds=round(result["seconds"], 2),
            checkpoint=checkpoint,
            scores=tuple(scores),
            environment=Environment.model_validate(environment),
        )

    def failed(self, cell: Cell, failed: str, failures: Mapping[str, Ended]) -> Record:
        """Write the record of a cell that cannot be completed.

        Args:
            cell: The cell.
            failed: The stage that failed.
            failures: How each failed stage ended.
        """
        ended = failures[failed]
        reached = cell.train[: cell.train.index(failed) + 1] if failed in cell.train else cell.train
        refs = [self._stage_ref(name, failures.get(name)) for name in reached]
        return self._write(
            cell,
            status=ended.status,
            error=ended.error,
            log=str((ended.folder / "log.txt").relative_to(self.folder.path)),
            stages=tuple(refs),
            cost=total_cost(ref.cost for ref in refs),
            environment=Environment(
                python="",
                platform="",
                processor=processor_name(),
                device=self.plan.device,
                commit=_commit(),
            ),
        )

    def _stage_ref(self, name: str, ended: Ended | None) -> StageRef:
        stage, path = self.plan.stages[name], self.folder.stage(name)
        offer = stage.offer
        assert offer is not None
        result = {} if ended else manifest.result(path)
        ran = result.get("environment")
        return StageRef(
            trainer=offer.trainer.name,
            plugin=offer.plugin.name,
            distribution=offer.plugin.distribution,
            version=offer.plugin.version,
            source_sha256=offer.plugin.source_sha256,
            options=dict(stage.identity["options"]),
            stage=name,
            status=ended.status if ended else "ok",
            cost=Cost.model_validate(result.get("cost", {})),
            attempts=previous_attempts(path),
            notes=result.get("notes", {}),
            environment=Environment.model_validate(ran) if ran else None,
        )

    def _write(self, cell: Cell, *, status: str, **fields: Any) -> Record:
        """Write a record; it supersedes an earlier one of the same row and seed on this board."""
        board = self.plan.board
        earlier = [
            record.id
            for record in read_records(self.folder.records)
            if (record.trainer, record.seed) == (cell.trainer, cell.seed)
            and record.board.digest == board.digest
        ]
        failures = len(list(self.folder.records.glob(f"{cell.record_id}.failed*.json")))
        identity = cell.record_id if status == "ok" else f"{cell.record_id}.failed{failures + 1}"
        record = Record(
            id=identity,
            board=BoardRef(name=board.name, digest=board.digest),
            trainer=cell.trainer,
            seed=cell.seed,
            status=status,
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            command=cell.command,
            verifier_version=VERIFIER_VERSION,
            supersedes=earlier[-1] if earlier else None,
            **fields,
        )
        return read_record(write_record(record, self.folder.records))


def previous_attempts(path: Path) -> int:
    """Return how often the stage of a folder was started."""
    try:
        return json.loads((path / "stage.json").read_text(encoding="utf-8"))["attempts"]
    except (OSError, ValueError, KeyError):
        return 0


@cache
def _commit() -> str | None:
    """Return the commit of the harness's source, where it is a git checkout."""
    root = Path(__file__).parents[2]
    if not (root / ".git").exists():
        return None
    try:
        found = subprocess.run(
            ["git", "rev-parse", "HEAD"],
            cwd=root,
            capture_output=True,
            text=True,
            check=True,
            timeout=5,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return found.stdout.strip() or None
