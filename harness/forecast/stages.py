"""The cost of a plan's stages: each one's options, data and caps put into the formulas."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from statistics import fmean, median

from harness.bench.plan import Plan, Stage
from harness.boards.board import Board
from harness.boards.file import ScoreTable
from harness.errors import UsageError
from harness.forecast import disk, formulas
from harness.forecast.formulas import EARLIER, Estimate, Setting
from harness.forecast.gpus import Gpu, find_gpu
from harness.forecast.model_sizes import model_shape
from harness.plugin.trainer import Trainer
from harness.plugin.workload import Workload
from harness.records import Caps, Environment, Record
from harness.stage.environment import computes_bfloat16, has_compiler, processor_name
from harness.stage.probe import PROBLEMS, TOKENS
from harness.stage.spec import MOST_STEPS, ProbeIdentity, Share, TrainIdentity
from harness.tasks.protocols import LmEvalProtocol, Protocol

CHARACTERS = 3.5
"""Assumed characters of mathematical English to a token."""
TEMPLATE = 25
"""Assumed tokens of a chat template around a message; Qwen's has a system prompt."""
# characters of a problem, of a solution and of a five-shot prompt where no row is at hand: about
# the means of GSM8K and MATH
PROBLEM, SOLUTION, SHOTS = 240, 400, 2800
ADAPTER = 0.02  # share of the parameters in an adapter: that of rank 16 in a model of 0.5B
TRACE = 3850  # characters: others measured a median of 918 tokens and a ninth decile of 1,888
SCORING = ""  # what generating answers is called among the trainers


class Forecast:
    """The estimates of a plan's stages; a later stage of a chain gets what earlier ones left."""

    def __init__(self, plan: Plan, gpu: Gpu | None, earlier: list[Record]) -> None:
        board = plan.board
        self.plan, self.gpu = plan, gpu
        student, self.teacher = model_shape(board, "start"), model_shape(board, "teacher")
        self.setting: Setting | None = None
        if student:
            work, compute = workload(board), board.file.compute
            self.setting = Setting(student, self.teacher, work, compute, gpu)
        self.beside = disk.beside(board.at_hand("start"))
        self.seen: dict[str, list[float]] = {}  # seconds in records: of each recipe, of SCORING
        self.elsewhere: set[str] = set()  # what records were made on whose times do not count
        starts = [0.0]  # seconds of a stage in which it did not work yet: imports, loading
        for record in earlier:
            if record.status != "ok":
                continue
            if not self._like(record.environment):
                self.elsewhere.add(_machine(record.environment))
            else:
                for place, part in enumerate(record.stages):
                    start = (
                        max(0.0, part.outside.seconds - part.cost.seconds) if part.outside else 0
                    )
                    starts += [start] if part.outside else []
                    names, length = [one.trainer for one in record.stages], len(record.stages)
                    caps, rest = board.file.budget.stage_caps(place, length, record.share)
                    recipe = _recipe(names[: place + 1], caps, rest)
                    self.seen.setdefault(recipe, []).append(part.cost.seconds + start)
                self.seen.setdefault(SCORING, []).append(record.scoring_seconds)
        if SCORING in self.seen:  # what a guard measured is kept of stages that train
            self.seen[SCORING] = [one + median(starts[1:] or starts) for one in self.seen[SCORING]]
        self.made: dict[str, Estimate] = {}

    def _like(self, environment: Environment) -> bool:
        """Return whether a record was made on a machine like the one that is planned for.

        On a CPU it takes the same model of processor, where the record names one. The number of
        cores does not matter: the board says how many threads a stage has.
        """
        if self.gpu is None:
            found = _model(environment.processor)
            return environment.device == "cpu" and found in ("", _model(processor_name()))
        try:
            return environment.gpu is not None and find_gpu(environment.gpu) == self.gpu
        except UsageError:
            return False

    def notes(self) -> list[str]:
        """Return what a reader of the figures must know."""
        lines = []
        if self.gpu and not self.gpu.bf16:
            lines.append(f"{self.gpu.name} has no bfloat16, in which stages train on a GPU")
        wanted = self.plan.board.file.compute.dtype
        if self.gpu is None and wanted == "bfloat16" and not computes_bfloat16():
            lines.append("this processor has no bfloat16 instructions: the board will be slow here")
        wants = self.plan.board.file.compute.compile
        if self.gpu is None and wants and not has_compiler():
            lines.append(
                "[compute] compile = true needs g++, and this machine has none: install it"
            )
        unknown = "the size of the {} is not known until it is downloaded"
        if self.setting is None:
            lines.append(unknown.format("start model"))
        if self.teacher is None and self.plan.board.file.teacher:
            lines.append(unknown.format("teacher"))
        if self.elsewhere:
            made = ", ".join(sorted(self.elsewhere))
            lines.append(
                f"the times of earlier records made on another machine ({made}) are not used"
            )
        return lines

    def of(self, stage: Stage) -> Estimate:
        """Return the estimate of one stage; its parents' must have been asked for before."""
        identity, work = stage.identity, SCORING
        if stage.offer and isinstance(identity, TrainIdentity):
            found, budget = self._training(stage, identity, stage.offer.trainer), identity.budget
            work = _recipe(self._chain(stage), budget.caps, budget.rest)
        elif isinstance(identity, ProbeIdentity):
            self.made[stage.id] = self._probing(identity)
            return self.made[stage.id]
        else:
            found = self._scoring()
        if work in self.seen:
            seconds = median(self.seen[work])
            found = found.model_copy(update={"seconds": seconds, "source": EARLIER})
        if stage.offer and isinstance(identity, TrainIdentity):
            found = self._on_disk(found, identity, stage.offer.trainer)
        self.made[stage.id] = found
        return found

    def _chain(self, stage: Stage) -> list[str]:
        """Return the trainers of a stage's chain, its own last."""
        assert isinstance(stage.identity, TrainIdentity)
        before = self._chain(self.plan.stages[stage.parent]) if stage.parent else []
        return [*before, stage.identity.trainer]

    def _training(self, stage: Stage, identity: TrainIdentity, trainer: Trainer) -> Estimate:
        caps = self._caps(stage, identity.budget)
        if self.setting and trainer.expects:
            options = trainer.options.model_validate(identity.options)
            expected = trainer.expects(options, self.setting.work)
            if identity.budget.fill:  # the caps alone say how long
                expected = replace(expected, steps=MOST_STEPS)
            if getattr(options, "lora_rank", 0):  # whoever trains it: `Run.student` puts it on
                expected = replace(expected, adapter=ADAPTER)
            if self.teacher or not (expected.taught or expected.written):
                return formulas.training(expected, caps, self.setting)
        # the caps are all that is known
        flops, seconds, trained = caps.get("flops"), caps.get("seconds"), caps.get("trained_tokens")
        flops = flops if flops is not None else caps.get("computed_flops")
        if seconds is None and "gpu_seconds" in caps:
            seconds = caps["gpu_seconds"] / self.plan.board.file.compute.gpus
        if self.setting and flops is None and trained is not None:
            flops = 6 * self.setting.student.parameters * trained
        if self.setting and seconds is None and flops is not None:
            seconds = self.setting.train(flops)
        return Estimate(trained_tokens=trained or 0, flops=flops, seconds=seconds, source="caps")

    def _on_disk(self, found: Estimate, identity: TrainIdentity, trainer: Trainer) -> Estimate:
        if self.setting is None:
            return found
        options = trainer.options.model_validate(identity.options)
        trained = ADAPTER if getattr(options, "lora_rank", 0) else 1.0
        size, compute = self.setting.student.parameters, self.setting.compute
        return disk.with_training(found, size, self.beside, trained, compute)

    def _caps(self, stage: Stage, budget: Share) -> dict[str, float]:
        """Return a stage's caps, less what earlier stages of its chain are estimated to use."""
        caps = budget.caps.set_caps()
        while budget.rest and stage.parent:
            used = self.made[stage.parent]
            caps = {name: max(cap - (getattr(used, name) or 0), 0) for name, cap in caps.items()}
            stage = self.plan.stages[stage.parent]
        return caps

    def _probing(self, identity: ProbeIdentity) -> Estimate:
        if self.setting is None:
            return Estimate(source="not known yet")
        board = self.plan.board
        tables = [ScoreTable(task=one.task, max_new_tokens=TOKENS) for one in identity.tasks]
        problems = [min(board.problems(each), PROBLEMS) for each in tables]
        lengths = [
            _characters(board, each.task, "test", "problem", PROBLEM) / CHARACTERS / 2
            for each in tables
        ]
        return formulas.scoring(zip(tables, problems, lengths, strict=True), self.setting)

    def _scoring(self) -> Estimate:
        if self.setting is None:
            return Estimate(source="not known yet")
        board = self.plan.board
        lengths = [
            _prompt(board, one.task.name, "train" if one.held_out else "test", one.protocol)
            for one in board.scores
        ]
        tables = [one.table for one in board.scores]
        problems = [board.problems(table) for table in tables]
        found = formulas.scoring(zip(tables, problems, lengths, strict=True), self.setting)
        answers = sum(map(operator.mul, problems, (table.samples for table in tables)))
        return disk.with_answers(found, answers)


def _recipe(chain: Sequence[str], caps: Caps, rest: bool) -> str:
    """Return what records tell a training stage by: the chain up to it, and what it may spend.

    So `sft@0.5` is given no time of `sft`, and the last stage of `sft+rl` none of `rl`.
    """
    return f"{'+'.join(chain)} {caps.set_caps()} {rest}"


def _model(processor: str) -> str:
    """Return a processor's name in a record without the number of its cores."""
    return re.sub(r", \d+ cores$", "", processor)


def _machine(environment: Environment) -> str:
    """Return what a record was made on, in words."""
    return environment.gpu or _model(environment.processor) or environment.device


def workload(board: Board) -> Workload:
    """Return a board's training data in figures; lengths are assumed where no row is at hand."""
    data, limit = board.file.data, board.ranking.max_new_tokens
    counts = {name: board.count(name, "train") for name in (*data.train, *data.traces)}
    rows = sum(counts[name] for name in data.train)
    traces = sum(counts[name] for name in data.traces)

    def mean(names: Sequence[str], length: Callable[[str], float]) -> float:
        return fmean(map(length, names), [max(1, counts[name]) for name in names])

    return Workload(
        rows=rows,
        prompt=mean(data.train, lambda name: _prompt(board, name, "train", board.protocol)),
        solution=mean(data.train, lambda name: _solution(board, name, SOLUTION)),
        answer=formulas.ANSWER_SHARE * limit,
        limit=limit,
        # a data set of unknown size is taken to have a trace for each problem
        traces=traces or (rows if data.traces else 0),
        trace=mean(data.traces, lambda name: _solution(board, name, TRACE)) if data.traces else 0.0,
    )


def _prompt(board: Board, task: str, split: str, protocol: Protocol | LmEvalProtocol) -> float:
    """Return the mean tokens of a prompt."""
    around = SHOTS if isinstance(protocol, LmEvalProtocol) else len(protocol.prompt(""))
    problem = _characters(board, task, split, "problem", PROBLEM)
    return (problem + around) / CHARACTERS + TEMPLATE * protocol.chat


def _solution(board: Board, task: str, assumed: int) -> float:
    """Return the mean tokens of a training solution with its boxed answer."""
    return _characters(board, task, "train", "solution", assumed) / CHARACTERS + 8


def _characters(board: Board, task: str, split: str, column: str, assumed: int) -> float:
    """Return the mean length of a column's texts where rows are at hand, else what is assumed."""
    rows = board.rows_at_hand(task, split) or ()
    return fmean([len(row[column]) for row in rows if row.get(column)] or [assumed])
