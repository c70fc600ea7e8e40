"""What a bench would do, before it does it: cells, stages, what is reused, and what it may cost."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import pydantic

from harness.bench.folder import Folder, finished_record
from harness.bench.plan import Plan
from harness.boards.board import Board
from harness.errors import UsageError
from harness.forecast.disk import Disk, disk
from harness.forecast.downloads import Download, downloads
from harness.forecast.formulas import Estimate
from harness.forecast.gpus import GPUS, Gpu, find_gpu, visible_gpu
from harness.forecast.model_sizes import model_shape
from harness.forecast.power import Power, first_measured, power
from harness.forecast.stages import Forecast
from harness.records import read_records
from harness.stage import manifest

ASSUMED_GPU = "H200"  # where no GPU is visible and the start model is too big for a CPU
CPU_PARAMETERS = 100_000_000  # a start model larger than this is not trained on a CPU
State = Literal["done", "to do"]


class CellPreview(pydantic.BaseModel, frozen=True):
    """One row of the leaderboard and a seed, with the stages that it needs."""

    trainer: str
    seed: int | None
    stages: tuple[str, ...]
    state: State


class StagePreview(pydantic.BaseModel, frozen=True):
    """One stage of the plan."""

    id: str
    kind: str
    label: str
    seed: int | None
    trial: bool  # of tuning
    state: State
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
    detectable: float  # smallest difference that its verdicts find four times in five, of 1


class Preview(pydantic.BaseModel, frozen=True):
    """A plan with its state on disk and its estimated cost."""

    board: str
    digest: str
    device: str
    machine: str  # the GPU planned for, or the CPU
    notes: tuple[str, ...]  # what to know of the estimates
    cells: tuple[CellPreview, ...]
    stages: tuple[StagePreview, ...]
    scores: tuple[ScorePreview, ...]
    power: Power  # what the ranking would find, and what it takes to find less
    downloads: tuple[Download, ...]
    disk: Disk  # what is written to the runs folder, beside what is free
    caps: dict[str, float]  # of one cell
    seconds: float | None  # of all stages to do, one after another
    gpu_hours: float | None  # of all stages to do


def choose_gpu(name: str | None, board: Board, device: str) -> tuple[Gpu | None, str]:
    """Return the GPU to plan for, or None for the CPU, and the reason where one was assumed."""
    if name:
        return find_gpu(name), ""
    if device == "cuda":
        visible = visible_gpu() or "GPU"
        try:
            return find_gpu(visible), ""
        except UsageError:
            reason = f"no figures for this machine's {visible}"
    else:
        shape = model_shape(board, "start")
        if shape and shape.parameters <= CPU_PARAMETERS:
            return None, ""
        reason = "no GPU is visible here"
    return GPUS[ASSUMED_GPU], f"{reason}: planned for one {ASSUMED_GPU}; --gpu names another"


def preview(
    plan: Plan,
    folder: Folder,
    gpu: Gpu | None = None,
    note: str = "",
    trials: Plan | None = None,
    jobs: int = 1,
    published: Path | None = None,
    scratch: tuple[str, Path | None] | None = None,
) -> Preview:
    """Return what a bench would do. Nothing is written, loaded, downloaded or trained.

    The note is a line on the choice of the GPU; `trials` is the plan of tuning's trials; `jobs`
    stages are run at once. By the records in the folder `published` it is said what the ranking
    would find, where the runs folder has none that say it. `scratch` is what `--scratch` names,
    with that folder where it is one of this machine.
    """
    board, threads = plan.board, plan.board.file.compute.threads
    records = read_records(folder.records)
    guess = Forecast(plan, gpu, records)
    places = [folder.records, *([published / "records" / board.name] if published else [])]
    noise, _ = first_measured(board, places)
    found = power(plan, noise, board.problems(board.ranking), records)
    stages, cells = (_stages(plan, folder, guess), _cells(plan, folder))
    if trials:
        tried = Folder(folder.path, trials=True)
        stages = (*_stages(trials, tried, Forecast(trials, gpu, [])), *stages)
        cells = (*_cells(trials, tried), *cells)
    scores = tuple(
        ScorePreview(
            task=one.task.name,
            protocol=one.protocol.name,
            problems=board.problems(one.table),
            unfit=one.task.unfit,
            detectable=found.finds(board.problems(one.table)),
            **one.table.model_dump(include={"samples", "max_new_tokens", "ranking"}),
        )
        for one in board.scores
    )
    todo = [each for each in stages if each.state == "to do"]
    left = [each.estimate for each in todo]
    training, scoring = (
        [each.estimate for each in todo if each.kind == kind] for kind in ("train", "generate")
    )
    known = all(each.seconds is not None for each in left)
    gpu_seconds = sum((each.seconds or 0) * each.gpus for each in left)
    trainers = [each.offer.trainer for each in plan.stages.values() if each.offer]
    return Preview(
        board=board.name,
        digest=board.digest,
        device=plan.device,
        machine=gpu.name if gpu else f"{threads} CPU thread{'s' if threads > 1 else ''}",
        notes=tuple(line for line in (note, *guess.notes()) if line),
        cells=cells,
        stages=stages,
        scores=scores,
        power=found,
        downloads=downloads(board, trainers),
        disk=disk(training, scoring, jobs, folder.path, *(scratch or ())),
        caps=board.file.budget.set_caps(),
        seconds=sum(each.seconds or 0 for each in left) if known else None,
        gpu_hours=gpu_seconds / 3600 if gpu and known else None,
    )


def _stages(plan: Plan, folder: Folder, guess: Forecast) -> tuple[StagePreview, ...]:
    return tuple(
        StagePreview(
            id=each.id,
            kind=each.kind,
            label=each.label,
            seed=each.seed,
            trial=plan.trials,
            state="done" if manifest.is_done(folder.stage(each.id)) else "to do",
            estimate=guess.of(each),
        )
        for each in plan.stages.values()
        if not each.light  # judging takes no GPU and goes on beside the others
    )


def _cells(plan: Plan, folder: Folder) -> tuple[CellPreview, ...]:
    return tuple(
        CellPreview(
            trainer=cell.trainer,
            seed=cell.seed,
            stages=(*cell.train, cell.generate, *cell.probe),
            state="done" if finished_record(cell, plan.board, folder) else "to do",
        )
        for cell in plan.cells
    )
