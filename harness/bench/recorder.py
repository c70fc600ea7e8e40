"""Recording: what a cell came to, on disk and in a bench's memory, becomes its record."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import subprocess
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import cache, cached_property
from pathlib import Path
from typing import Any, TypeVar

from harness import checkpoints, records
from harness.bench.executors import measured
from harness.bench.folder import Folder
from harness.bench.plan import Plan
from harness.bench.stage_inputs import model_folder
from harness.cells import Cell
from harness.contamination.board import SYNTHETIC, BoardOverlaps
from harness.errors import HarnessError, StageError, TamperedError, UsageError
from harness.files import is_deeper, write_atomically
from harness.imported import Imported, imported
from harness.leaderboard.rules import NOTES
from harness.plugin.executor import Ended
from harness.records import Record, Score, StageRef
from harness.redact import publishable, redacted
from harness.stage import manifest, remarks, spec
from harness.stage.manifest import check_sealed
from harness.stage.metering.counter import impossible
from harness.tasks.protocols import score_name
from harness.verify import VERIFIER_VERSION

DEEPEST_NOTE = 16  # lists and objects within each other in a note
Result = TypeVar(
    "Result", spec.TrainResult, spec.GenerateResult, spec.JudgeResult, spec.ProbeResult
)


class Recorder:
    """Writes the records of a plan's cells into the folder of its runs."""

    def __init__(self, plan: Plan, folder: Folder) -> None:
        self.plan, self.folder = plan, folder
        self.overlaps = BoardOverlaps(plan.board)
        self.seals: Mapping[str, str] = {}  # stage that is done -> `manifest.seal`

    def begin(self, waiting: Sequence[str]) -> None:
        """Start comparing the board's training rows with its test problems, beside the stages."""
        training = [self.plan.stages[name].offer for name in waiting]
        if any(training) and not self.plan.trials:
            needs = any(offer.trainer.needs_traces for offer in training if offer)
            self.overlaps.begin(traces=needs)

    def trained(self, name: str) -> None:
        """Start comparing the texts of a training stage that is done."""
        if self.plan.stages[name].kind == "train" and not self.plan.trials:
            path = self.folder.stage(name)
            self.overlaps.begin_stage(path, manifest.sha256_of(path, SYNTHETIC))

    def ready(self, cell: Cell) -> bool:
        """Return whether a cell whose stages are done can be recorded without waiting."""
        return not cell.train or self.overlaps.idle

    def finished(self, cell: Cell) -> Record:
        """Write the record of a cell whose stages are all done, and keep its judged answers.

        Where what they left was changed since, or cannot be, it is a failed one that says so.
        """
        refs: list[StageRef] = []
        try:
            return self._finished(cell, refs)
        except HarnessError as error:
            line = str(error).replace(f"{self.folder.path}/", "")
            return self._write(cell, refs, status="failed", error=line, environment=self._here())

    def _finished(self, cell: Cell, refs: list[StageRef]) -> Record:
        generated = self._result(cell.generate, spec.GenerateResult)
        stage = self.plan.stages[cell.generate]
        assert isinstance(stage.identity, spec.GenerateIdentity)
        scored = model_folder(self.plan, self.folder, stage)
        digest = checkpoints.digest(scored, self._sealed_files(cell.train))
        planned = stage.identity.base.model or ""
        if not cell.train and "@" not in planned and digest != planned:
            raise TamperedError(f"the model in {scored.name} was changed since it was scored")
        parameters = checkpoints.parameter_count(scored)
        for name in cell.train:
            refs.append(self._stage_ref(name, None))
            self._check_cost(refs, parameters)
        ran, harness = generated.environment, "srlm-harness"
        environment = {
            "packages": {**ran.packages, harness: importlib.metadata.version(harness)},
            "engine": stage.identity.engine,
            "batch_size": stage.identity.batch_size,
            "gpus": self.plan.board.file.compute.gpus if cell.train else ran.gpus,
            "commit": _commit(),
        }
        return self._write(
            cell,
            refs,
            status="ok",
            scoring_seconds=round(generated.seconds, 2),
            judging_cpu_seconds=self._result(cell.judge, spec.JudgeResult).cpu_seconds,
            checkpoint=records.Checkpoint(
                digest=digest,
                parameters=parameters,
                bytes=checkpoints.size_bytes(scored),
                weights=generated.weights,
                from_teacher=generated.from_teacher,
                toward_teacher=round(generated.toward_teacher, 4),
            ),
            scores=tuple(self._scores(cell, generated)),
            probes=tuple(
                one for name in cell.probe for one in self._result(name, spec.ProbeResult).probes
            ),
            environment=_seen(ran, measured.read(self.folder.stage(cell.generate))).model_copy(
                update=environment
            ),
        )

    def _result(self, stage: str, model: type[Result]) -> Result:
        """Return what came of a stage, checked to be what it left."""
        check_sealed(self.folder.stage(stage), "result.json", self.seals.get(stage))
        return spec.read(self.folder.stage(stage) / "result.json", model)

    def _sealed_files(self, train: Sequence[str]) -> dict[str, str]:
        """Return the sha256 of a trained checkpoint's files, checked; none where none is."""
        if not train:
            return {}
        return check_sealed(self.folder.stage(train[-1]), "checkpoint", self.seals.get(train[-1]))

    def _check_cost(self, refs: Sequence[StageRef], parameters: int) -> None:
        """Refuse a cost that cannot be, of the last of these stages of a chain."""
        *before, last = refs
        identity = self.plan.stages[last.stage].identity
        assert isinstance(identity, spec.TrainIdentity)
        caps = identity.budget.caps
        if identity.budget.rest:
            caps = caps.minus(records.total_cost(ref.cost for ref in before))
        seen = last.outside  # without an attempt that a killed bench did not live to measure
        seconds = seen.seconds if seen and seen.attempts >= last.attempts else None
        if why := impossible(last.cost, caps, parameters, seconds):
            raise TamperedError(f"the cost of trainer {last.trainer!r} cannot be: {why}")

    def _scores(self, cell: Cell, generated: spec.GenerateResult) -> list[Score]:
        """Return the scores of a judged cell, after keeping its answers under the record's name."""
        judged, out = self.folder.stage(cell.judge), self.folder.answers(cell.record_id)
        scores = []
        for score in self._result(cell.judge, spec.JudgeResult).scores:
            name = score_name(score.task, score.protocol)
            path = judged / "answers" / f"{name}.jsonl"
            content = path.read_bytes() if path.is_file() else b""
            if hashlib.sha256(content).hexdigest() != score.samples_sha256:
                raise TamperedError(
                    f"answers/{path.name} of stage {judged.name} was changed after the stage had"
                    " ended; run the same command again to make it anew"
                )
            write_atomically(out / path.name, content.decode("utf-8"))
            scores.append(score.model_copy(update={"own": generated.own.get(name, {})}))
        if not cell.train or self.plan.trials:
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
        refs = []
        for name in reached:
            try:
                refs.append(self._stage_ref(name, failures.get(name)))
            except HarnessError:  # what it left was changed since, and says nothing any more
                refs.append(self._stage_ref(name, ended))
        return self._write(
            cell,
            refs,
            status=ended.status,
            error=publishable(ended.error),
            log=str((ended.folder / "log.txt").relative_to(self.folder.path)),
            environment=self._here(),
        )

    def _here(self) -> records.Environment:
        device, processor = self.plan.device, self.plan.machine.processor
        return records.Environment(
            python="", platform="", processor=processor, device=device, commit=_commit()
        )

    def _stage_ref(self, name: str, ended: Ended | None) -> StageRef:
        stage, path = self.plan.stages[name], self.folder.stage(name)
        identity = stage.identity
        assert isinstance(identity, spec.TrainIdentity)
        seen = measured.read(path)
        result = None if ended else self._result(name, spec.TrainResult)
        return StageRef(
            trainer=identity.trainer,
            plugin=identity.plugin.name,
            **identity.plugin.model_dump(exclude={"name"}),
            options=redacted(identity.options),
            stage=name,
            status=ended.status if ended else "ok",
            cost=_with_energy(result, seen) if result else records.Cost(),
            attempts=previous_attempts(path),
            notes=_notes(result) if result else {},
            environment=_seen(result.environment, seen) if result else None,
            outside=seen.outside if seen else None,
            control_of=stage.offer.trainer.control_of if stage.offer else "",
        )

    def _write(
        self, cell: Cell, stages: list[StageRef], *, status: records.Status, **fields: Any
    ) -> Record:
        """Write a record; it supersedes an earlier one of the same row and seed on this board."""
        board = self.plan.board
        row = (cell.trainer, cell.seed, board.digest)
        name = cell.record_id
        if status != "ok":
            failures = len(list(self.folder.records.glob(f"{name}.failed*.json")))
            name += f".failed{failures + 1}"
        record = Record(
            id=name,
            board=records.BoardRef(name=board.name, digest=board.digest),
            trainer=cell.trainer,
            seed=cell.seed,
            share=cell.share,
            status=status,
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            command=cell.command,
            stages=tuple(stages),
            cost=records.total_cost(ref.cost for ref in stages),
            imported=self._imported(cell),
            verifier_version=VERIFIER_VERSION,
            supersedes=self._newest.get(row),
            tuning=cell.tuning,
            **fields,
        )
        self._newest[row] = record.id
        return records.read_record(records.write_record(record, self.folder.records))

    @cached_property
    def _newest(self) -> dict[tuple[str, int | None, str], str]:
        """The newest record of each row, seed and board: nobody else writes any meanwhile."""
        found = records.read_records(self.folder.records)
        return {(each.trainer, each.seed, each.board.digest): each.id for each in found}

    def _imported(self, cell: Cell) -> Imported | None:
        """Return what the model that a cell starts from was made of, if `harness import` did."""
        folder = self.plan.stages[cell.stages[0]].model or self.plan.board.at_hand("start")
        try:
            return imported(folder) if folder else None
        except UsageError:  # spoilt since the plan was made; the stage that used it says so
            return None


def _seen(ran: records.Environment, seen: measured.Measured | None) -> records.Environment:
    """Return an environment with how its process was confined, which only its guard knows."""
    return ran.model_copy(update={"confinement": seen.confinement if seen else ""})


def _with_energy(ran: spec.TrainResult, seen: measured.Measured | None) -> records.Cost:
    """Return the cost of a stage; its energy on a CPU is what its guard measured."""
    if ran.environment.device != "cpu":
        return ran.cost
    joules = seen.outside.cpu_joules if seen else None
    return ran.cost.model_copy(update={"energy_joules": joules})


def _notes(result: spec.TrainResult) -> dict[str, Any]:
    """Return what a trainer noted and what the host remarks of it, which the trainer cannot."""
    own = {name: note for name, note in result.notes.items() if name not in remarks.NAMES}
    said = {name: one for name, one in result.remarks.items() if name in remarks.NAMES}
    return {**_short(publishable(own)), **publishable(said)}


def _short(notes: Mapping[str, Any]) -> dict[str, Any]:
    """Return a trainer's notes, but for those that are too long or too deep for a record."""
    kept: dict[str, Any] = {}
    left, too_long = NOTES, 0
    for name, value in notes.items():
        size = len(name) + len(json.dumps(value))
        if size > left or is_deeper(value, DEEPEST_NOTE):
            too_long += 1
            continue
        kept[name] = value
        left -= size
    if too_long:
        kept["left_out"] = (
            f"{too_long} notes: together the notes passed {NOTES:,} characters, or one is nested"
            f" more than {DEEPEST_NOTE} deep"
        )
    return kept


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
