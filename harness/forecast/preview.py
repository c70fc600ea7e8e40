"""What a bench would do, before it does it: cells, stages, what is reused, and what it may cost."""

from __future__ import annotations

import pydantic

from harness.bench.folder import Folder, finished_record
from harness.bench.plan import Plan
from harness.boards.board import Board
from harness.boards.file import ScoreTable
from harness.errors import UsageError
from harness.forecast.downloads import Download, downloads
from harness.forecast.formulas import Estimate, Machine
from harness.forecast.gpus import Gpu, find_gpu, visible_gpu
from harness.forecast.stages import Forecast, model_shape
from harness.records import read_records
from harness.stage import manifest

ASSUMED_GPU = "H200"  # where no GPU is visible and the start model is too big for a CPU
CPU_PARAMETERS = 100_000_000  # a start model larger than this is not trained on a CPU


class StagePreview(pydantic.BaseModel, frozen=True):
    """One stage of the plan."""

    id: str
    kind: str
    label: str
    seed: int | None
    cells: int  # how many cells need it
    state: str  # "done" or "to do"
    estimate: Estimate


class ScorePreview(pydantic.BaseModel, frozen=True):
    """One task under one protocol."""

    task: str
    protocol: str
    problems: int
    samples: int
    max_new_tokens: int
    ranking: bool
    unfit: str  # why no ranking should rest on it
    detectable: float  # smallest difference seen with 80 % power, a share of 1


class Preview(pydantic.BaseModel, frozen=True):
    """A plan with its state on disk and its estimated cost."""

    board: str
    digest: str
    device: str
    machine: str  # the GPU planned for, or the CPU
    notes: tuple[str, ...]  # what to know of the estimates
    cells: tuple[dict[str, object], ...]
    stages: tuple[StagePreview, ...]
    scores: tuple[ScorePreview, ...]
    downloads: tuple[Download, ...]
    caps: dict[str, float]  # of one cell
    seeds: int
    questions: int  # of one checkpoint
    seconds: float | None  # of all stages to do, one after another
    gpu_hours: float | None  # of all stages to do
    detectable: float  # on the ranking benchmark


def choose_gpu(name: str | None, board: Board, device: str) -> tuple[Gpu | None, str]:
    """Return the GPU to plan for, or None for the CPU, and a line that says why this one.

    Args:
        name: As given to `--gpu`, or None.
        board: The conditions.
        device: Where stages of this machine would run.

    Raises:
        UsageError: If `name` is in no line of the table.
    """
    if name:
        return find_gpu(name), ""
    if device == "cuda":
        visible = visible_gpu()
        try:
            return find_gpu(visible or "unnamed"), ""
        except UsageError:
            line = f"no figures for this machine's {visible or 'GPU'}: planned as {ASSUMED_GPU}"
            return find_gpu(ASSUMED_GPU), f"{line}; --gpu names another"
    shape = model_shape(board, "start")
    if shape is not None and shape.parameters <= CPU_PARAMETERS:
        return None, ""
    line = f"no GPU is visible here: planned for one {ASSUMED_GPU}; --gpu names another"
    return find_gpu(ASSUMED_GPU), line


def preview(plan: Plan, folder: Folder, gpu: Gpu | None = None, note: str = "") -> Preview:
    """Return what a bench would do. Nothing is written, loaded, downloaded or trained.

    Args:
        plan: Cells and stages.
        folder: Where a bench of this board keeps everything.
        gpu: What to estimate for; None is the CPU.
        note: A line on the choice of the GPU.
    """
    needed: dict[str, int] = {}
    for cell in plan.cells:
        for name in (*cell.train, cell.generate):
            needed[name] = needed.get(name, 0) + 1
    earlier = read_records(folder.records) if folder.records.is_dir() else []
    guess = Forecast(plan, Machine(gpu, plan.board.file.compute.threads), earlier)
    stages = tuple(
        StagePreview(
            id=each.id,
            kind=each.kind,
            label=each.label,
            seed=each.seed,
            cells=needed[each.id],
            state="done" if manifest.is_done(folder.stage(each.id)) else "to do",
            estimate=guess.of(each),
        )
        for each in plan.stages.values()
        if not each.light  # judging takes no GPU and goes on beside the others
    )
    cells: list[dict[str, object]] = []
    for cell in plan.cells:
        done = finished_record(cell, plan.board, folder) is not None
        cells.append(
            {
                "trainer": cell.trainer,
                "seed": cell.seed,
                "stages": [*cell.train, cell.generate],
                "state": "done" if done else "to do",
            }
        )
    left = [each.estimate for each in stages if each.state != "done"]
    seconds = [each.seconds for each in left]
    known = [each for each in seconds if each is not None]
    scores = tuple(_score(plan.board, one) for one in plan.board.file.scores)
    trainers = [each.offer.trainer for each in plan.stages.values() if each.offer]
    return Preview(
        board=plan.board.name,
        digest=plan.board.digest,
        device=plan.device,
        machine=gpu.name if gpu else _threads(plan.board.file.compute.threads),
        notes=tuple(line for line in (note, *guess.notes()) if line),
        cells=tuple(cells),
        stages=stages,
        scores=scores,
        downloads=downloads(
            plan.board,
            teacher=any(trainer.needs_teacher for trainer in trainers),
            traces=any(trainer.needs_traces for trainer in trainers),
        ),
        caps=plan.board.file.budget.set_caps(),
        seeds=len({each.seed for each in plan.cells if each.seed is not None}),
        questions=sum(one.problems for one in scores),
        seconds=sum(known) if len(known) == len(seconds) else None,
        gpu_hours=sum((each.seconds or 0) * each.gpus for each in left) / 3600
        if gpu and len(known) == len(seconds)
        else None,
        detectable=next(one.detectable for one in scores if one.ranking),
    )


def _threads(number: int) -> str:
    return f"{number} CPU thread{'s' if number > 1 else ''}"


def _score(board: Board, table: ScoreTable) -> ScorePreview:
    from harness.leaderboard.stats import minimum_detectable

    problems = board.problems(table)
    return ScorePreview(
        task=table.task,
        protocol=table.protocol,
        problems=problems,
        samples=table.samples,
        max_new_tokens=table.max_new_tokens,
        ranking=table.ranking,
        unfit=board.tasks[table.task].unfit,
        detectable=minimum_detectable(problems),
    )
