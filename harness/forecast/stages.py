"""The cost of a plan's stages: each one's options, data and caps put into the formulas."""

from __future__ import annotations

from statistics import fmean, median
from typing import Any

from harness.bench.plan import Plan, Stage
from harness.boards.board import Board
from harness.errors import UsageError
from harness.forecast import formulas, model_sizes
from harness.forecast.formulas import CHARACTERS, TEMPLATE, Estimate, Machine
from harness.forecast.gpus import TRAINING_SHARE, find_gpu
from harness.forecast.model_sizes import Shape
from harness.plugin.workload import Workload
from harness.records import Record
from harness.stage.spec import Share, TrainIdentity
from harness.tasks.protocols import LM_EVAL, training_protocol

# characters of a problem, of a solution and of a five-shot prompt where no row is at hand: about
# the means of GSM8K and MATH
PROBLEM, SOLUTION, SHOTS = 240, 400, 2800
TRACE = 3850  # characters: others measured a median of 918 tokens and a ninth decile of 1,888


class Forecast:
    """The estimates of a plan's stages; a later stage of a chain gets what earlier ones left."""

    def __init__(self, plan: Plan, machine: Machine, earlier: list[Record]) -> None:
        self.plan, self.machine = plan, machine
        self.compute = plan.board.file.compute
        self.student = model_shape(plan.board, "start")
        self.teacher = model_shape(plan.board, "teacher")
        self.work = workload(plan.board)
        self.finished = [one for one in earlier if one.status == "ok" and self._like(one)]
        self.made: dict[str, Estimate] = {}

    def _like(self, record: Record) -> bool:
        """Return whether a record was made on a machine like the one that is planned for."""
        if self.machine.gpu is None or record.environment.gpu is None:
            return record.environment.device == self.machine.device == "cpu"
        try:
            return find_gpu(record.environment.gpu) == self.machine.gpu
        except UsageError:
            return False

    def notes(self) -> list[str]:
        """Return what a reader of the figures must know."""
        lines = []
        gpu = self.machine.gpu
        if gpu and not gpu.bf16:
            lines.append(f"a {gpu.name} has no bfloat16, in which this harness trains on a GPU")
        for which, shape in (("start model", self.student), ("teacher", self.teacher)):
            if shape is None and (which == "start model" or self.plan.board.file.teacher):
                lines.append(f"the size of the {which} is not known until it is downloaded")
        return lines

    def of(self, each: Stage) -> Estimate:
        """Return the estimate of one stage; its parents' must have been asked for before."""
        if isinstance(each.identity, TrainIdentity):
            found = self._training(each, each.identity)
        else:
            found = self._scoring()
        seen = self._seen(each)
        if seen is not None:
            found = found.model_copy(update={"seconds": seen, "source": "earlier records"})
        self.made[each.id] = found
        return found

    def _seen(self, each: Stage) -> float | None:
        """Return the median seconds of the same kind of stage in earlier records."""
        if not isinstance(each.identity, TrainIdentity):
            seen = [record.scoring_seconds for record in self.finished]
        else:
            trainer = each.identity.trainer
            parts = [ref for record in self.finished for ref in record.stages]
            seen = [ref.cost.seconds for ref in parts if ref.trainer == trainer]
        return median(seen) if seen else None

    def _training(self, each: Stage, identity: TrainIdentity) -> Estimate:
        caps = self._caps(each, identity.budget)
        expects = each.offer.trainer.expects if each.offer else None
        if self.student is None or each.offer is None:
            return Estimate(seconds=caps.get("seconds"), flops=caps.get("flops"), source="caps")
        if expects is None:
            return self._capped(caps)
        options = each.offer.trainer.options.model_validate(identity.options)
        expected = expects(options, self.work)
        asks_teacher = bool(expected.taught or expected.written)
        if asks_teacher and self.teacher is None:
            return self._capped(caps)
        return formulas.training(
            expected, self.work, caps, self.student, self.teacher, self.machine, self.compute
        )

    def _capped(self, caps: dict[str, float]) -> Estimate:
        """Return what the caps alone say, of a trainer that says nothing of itself."""
        flops = caps.get("flops")
        if flops is None and "trained_tokens" in caps and self.student:
            flops = 6 * self.student.parameters * caps["trained_tokens"]
        seconds = caps.get("seconds")
        if seconds is None and flops is not None:
            seconds = self.machine.compute(flops, TRAINING_SHARE)
        return Estimate(
            trained_tokens=caps.get("trained_tokens", 0),
            flops=flops,
            seconds=seconds,
            source="caps",
        )

    def _caps(self, each: Stage, budget: Share) -> dict[str, float]:
        caps = budget.caps.set_caps()
        spent = self._before(each) if budget.rest else []
        for one in spent:
            for name, value in (
                ("flops", one.flops or 0),
                ("seconds", one.seconds or 0),
                ("steps", one.steps),
                ("trained_tokens", one.trained_tokens),
            ):
                if name in caps:
                    caps[name] = max(caps[name] - value, 0)
        return caps

    def _before(self, each: Stage) -> list[Estimate]:
        found = []
        while each.parent:
            found.append(self.made[each.parent])
            each = self.plan.stages[each.parent]
        return found

    def _scoring(self) -> Estimate:
        board = self.plan.board
        if self.student is None:
            return Estimate(source="not known yet")
        tables = []
        for table in board.file.scores:
            prompt = _prompt(board, table.task, "test", table.protocol)
            tables.append((table, board.problems(table), prompt))
        return formulas.scoring(tables, self.student, self.machine, self.compute)


def model_shape(board: Board, which: Any) -> Shape | None:
    """Return the size of the start model or the teacher, or None while it is not known."""
    folder = board.at_hand(which)
    if folder is not None:
        return model_sizes.folder_shape(folder)
    reference = board.file.start_model if which == "start" else board.file.teacher
    return model_sizes.known_shape(reference or "")


def workload(board: Board) -> Workload:
    """Return a board's training data in figures; lengths are assumed where no row is at hand."""
    protocol, limit = board.ranking.protocol, board.ranking.max_new_tokens
    names = board.file.data.train
    counts = [board.count(name, "train") for name in names]
    traces = board.file.data.traces

    def mean(of: Any, among: tuple[str, ...]) -> float:
        weights = [max(1, board.count(name, "train")) for name in among]
        values = [of(name) * weight for name, weight in zip(among, weights, strict=True)]
        return sum(values) / sum(weights)

    return Workload(
        rows=sum(counts),
        prompt=mean(lambda name: _prompt(board, name, "train", protocol), names),
        solution=mean(lambda name: _solution(board, name), names),
        answer=formulas.ANSWER_SHARE * limit,
        limit=limit,
        # a data set whose size nobody declares is taken to have a trace for each problem
        traces=sum(board.count(name, "train") for name in traces) or (sum(counts) if traces else 0),
        trace=mean(lambda name: _solution(board, name, TRACE), traces) if traces else 0.0,
    )


def _prompt(board: Board, task: str, split: str, protocol: str) -> float:
    """Return the mean tokens of a prompt."""
    rows = board.rows_at_hand(task, split)
    problem = fmean(len(row["problem"]) for row in rows) if rows else PROBLEM
    if protocol.startswith(LM_EVAL):
        return (problem + SHOTS) / CHARACTERS
    known = training_protocol(protocol)
    around = len(known.prompt(""))
    return (problem + around) / CHARACTERS + (TEMPLATE if known.chat else 0)


def _solution(board: Board, task: str, assumed: int = SOLUTION) -> float:
    """Return the mean tokens of a training solution with its boxed answer."""
    rows = [row for row in board.rows_at_hand(task, "train") or () if row.get("solution")]
    length = fmean(len(row["solution"]) for row in rows) if rows else assumed
    return length / CHARACTERS + 8
