"""What the stages of a plan are given: files of rows, and each one's `stage.json`."""

from __future__ import annotations

import glob
import hashlib
import importlib.util
import sys
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from harness.bench.folder import Folder
from harness.bench.plan import Plan, Stage
from harness.files import file_sha256, jsonl, write_atomically
from harness.plugin.executor import Executor
from harness.plugin.host import Host, Offer
from harness.plugin.scored_rows import ScoredRows, described
from harness.records import Cost, total_cost
from harness.stage import spec
from harness.stage.spec import (
    GenerateIdentity,
    JudgeIdentity,
    ProbeIdentity,
    StageSpec,
    TrainIdentity,
    TrainPaths,
)
from harness.tasks.guard import Closed
from harness.tasks.loading import dataset_caches

MOST_WORKERS = 8  # of the verifier: more are not faster, and each takes memory
Rows = Sequence[Mapping[str, Any]]


class StageInputs:
    """Writes what stages read: training rows, and where models and test problems come from.

    No test problem and no gold answer of one is among it.
    """

    def __init__(self, plan: Plan, folder: Folder, executor: Executor) -> None:
        self.plan, self.folder, self.executor = plan, folder, executor
        self.seals: Mapping[str, str] = {}  # stage that is done -> `manifest.seal`
        self._files: dict[str, tuple[Path, str]] = {}  # kind of rows -> file and its sha256

    def write_rows(self, waiting: Iterable[str]) -> None:
        """Write the rows that training stages read, once for all of them."""
        board, identities = self.plan.board, [self.plan.stages[name].identity for name in waiting]
        training = [each for each in identities if isinstance(each, TrainIdentity)]
        if training:
            self._write("train", board.train_rows())
            self._write("holdout", board.train_rows("holdout"))
        if any(each.traces for each in training):
            self._write("traces", board.trace_rows())

    def _write(self, kind: str, rows: Rows) -> None:
        text = jsonl(rows)
        digest = hashlib.sha256(text.encode()).hexdigest()
        path = self.folder.path / "data" / f"{kind}-{digest[:16]}.jsonl"
        if not path.is_file() or file_sha256(path) != digest:
            write_atomically(path, text)
        self._files[kind] = path, digest

    def spec(self, stage: Stage, attempts: int) -> StageSpec:
        """Return what a stage's process is to do, now that the stages before it are done."""
        if isinstance(stage.identity, TrainIdentity):
            return self._train(stage, stage.identity, attempts)
        if isinstance(stage.identity, GenerateIdentity):
            return self._generate(stage, stage.identity, attempts)
        if isinstance(stage.identity, ProbeIdentity):
            return self._probe(stage, stage.identity, attempts)
        return self._judge(stage.identity, attempts)

    def _train(self, stage: Stage, identity: TrainIdentity, attempts: int) -> StageSpec:
        board = self.plan.board
        compute = board.file.compute.model_dump(include=set(spec.TrainCompute.model_fields))
        caps = identity.budget.caps
        if identity.budget.rest:
            caps = caps.minus(total_cost(self._chain_costs(stage)))
        kinds = ("train", "holdout", *(["traces"] if identity.traces else []))
        files = {kind: self._files[kind] for kind in kinds}
        paths = TrainPaths(
            base_model=model_folder(self.plan, self.folder, stage),
            teacher=board.model("teacher") if identity.teacher else None,
            train=files["train"][0],
            holdout=files["holdout"][0],
            traces=files["traces"][0] if identity.traces else None,
            accelerate=board.accelerate_file(),
        )
        return spec.TrainSpec(
            attempts=attempts,
            identity=identity,
            paths=paths,
            sha256={kind: digest for kind, (_, digest) in files.items()},
            closed=self._closed(stage, paths),
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
        board, trained = self.plan.board, stage.parent is not None
        paths = spec.GeneratePaths(
            base_model=model_folder(self.plan, self.folder, stage),
            start=board.model("start") if trained else None,
            teacher=board.at_hand("teacher") if trained else None,
        )
        return spec.GenerateSpec(
            attempts=attempts,
            identity=identity,
            paths=paths,
            rows=self._scored,
            sealed=self.seals.get(stage.parent or ""),
            processes=1 if identity.engine == "vllm" else board.file.compute.gpus,
        )

    def _probe(self, stage: Stage, identity: ProbeIdentity, attempts: int) -> StageSpec:
        tasks = self.plan.board.tasks
        return spec.ProbeSpec(
            attempts=attempts,
            identity=identity,
            paths=spec.GeneratePaths(base_model=model_folder(self.plan, self.folder, stage)),
            rows=tuple(described(tasks[one.task], one.limit) for one in identity.tasks),
        )

    def _judge(self, identity: JudgeIdentity, attempts: int) -> StageSpec:
        return spec.JudgeSpec(
            attempts=attempts,
            identity=identity,
            rows=self._scored,
            answers=self.folder.stage(identity.answers) / "answers",
            sealed=self.seals.get(identity.answers),
            workers=min(MOST_WORKERS, self.executor.spare_cores),
        )

    @cached_property
    def _scored(self) -> tuple[ScoredRows, ...]:
        board = self.plan.board
        return tuple(
            described(one.task, one.table.limit, board.draw, one.held_out) for one in board.scores
        )

    def within_reach(self, waiting: Iterable[str]) -> list[str]:
        """Return a line for each trainer whose own plug-in makes test problems of the board."""
        offers = [self.plan.stages[name].offer for name in waiting]
        return [
            f"{trainer}: nothing keeps it from the test problems of {', '.join(tasks)}, which its"
            " own plug-in makes; put trainers and tasks into two plug-ins"
            for trainer, offer in {each.trainer.name: each for each in offers if each}.items()
            if (tasks := self._within_reach(offer))
        ]

    def _within_reach(self, offer: Offer) -> list[str]:
        own = self._own(offer)
        return [name for name, modules in self._makers.items() if own & modules]

    def _own(self, offer: Offer) -> set[str]:
        """The modules of a trainer's plug-in, without the plug-ins of test problems it imports."""
        tasks = {task.plugin for task in self.plan.board.tested.values()} - {offer.plugin.name, ""}
        host = Host(download=False)
        return {*offer.plugin.modules} - {host.load(name).module.__name__ for name in tasks}

    @cached_property
    def _makers(self) -> dict[str, set[str]]:
        """The modules of the plug-ins that make test problems, by task."""
        host = Host(download=False)
        return {
            name: {*host.load(task.plugin).modules} if task.plugin else set()
            for name, task in self.plan.board.tested.items()
        }

    def _closed(self, stage: Stage, paths: TrainPaths) -> Closed:
        """Return what a training stage may not have: whatever its board's test rows come from.

        The trainer's own plug-in, and those that it is made from, stay open: what the same modules
        offer as tasks cannot be kept from it. A plug-in that offers them and is another one is
        closed, also where the trainer's imports it.
        """
        assert stage.offer is not None
        own = self._own(stage.offer)
        tasks = self.plan.board.tested
        modules = sorted(set().union(*self._makers.values()) - own)
        files = [path for task in tasks.values() for path in task.files("test")]
        folders = {task.place.data_dir for task in tasks.values() if task.place.data_dir}
        published = [path for folder in folders for path in _published(folder)]
        sources = [path for name in modules for path in _sources(name)]
        given = [None if stage.parent else paths.base_model, paths.teacher]
        # a model's files may be links into a cache
        models = [file.resolve() for path in given if path for file in path.rglob("*")]
        config = [paths.accelerate] if paths.accelerate else []
        closed = dict.fromkeys([*sources, *files, *published, *dataset_caches()])
        kept_open = [*filter(None, given), *models, *config, self.folder.path]
        return Closed(  # whole paths: a stage may work in another folder than the bench
            modules=tuple(modules),
            paths=tuple(path.resolve() for path in closed),
            open=tuple(path.resolve() for path in kept_open),
            within_reach=tuple(self._within_reach(stage.offer)),
        )


def _published(folder: Path) -> list[Path]:
    """Return the data sets in a folder of published data, in either layout."""
    patterns = ("*.jsonl", "*.jsonl.gz", "datasets--*", "hub/datasets--*")
    return [path for pattern in patterns for path in sorted(folder.glob(pattern))]


def _sources(module: str) -> list[Path]:
    """Return the folder of a package, or the file of a module and all its compiled forms.

    Other interpreters, and other levels of optimisation, leave some of their own.
    """
    path = Path(sys.modules[module].__file__ or "")
    if path.name == "__init__.py":
        return [path.parent]
    kept = Path(importlib.util.cache_from_source(str(path)))  # of this interpreter
    folders = {kept.parent, path.parent / "__pycache__"}
    stem = glob.escape(path.stem)
    compiled = [one for each in folders for one in sorted(each.glob(f"{stem}.*.pyc"))]
    return [path, path.with_suffix(".pyc"), *dict.fromkeys([kept, *compiled])]


def model_folder(plan: Plan, folder: Folder, stage: Stage) -> Path:
    if stage.parent:
        return folder.stage(stage.parent) / "checkpoint"
    return stage.model or plan.board.model("start")
