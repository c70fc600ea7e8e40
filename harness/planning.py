"""What a bench would do, before it does it: cells, stages, what is reused, and what it may cost."""

from __future__ import annotations

from statistics import median

import pydantic

from harness import checkpoints, stage
from harness.escape import terminal
from harness.plan import Plan, Stage
from harness.records import Record, read_records
from harness.runs import Folder, finished_record

# FLOP/s that a small model reaches on one CPU thread or one GPU; only for a first estimate, where
# no earlier record of the same trainer says how long it takes
ASSUMED_FLOPS_PER_SECOND = {"cpu": 1e10, "cuda": 1e14}


class StagePreview(pydantic.BaseModel, frozen=True):
    """One stage of the plan."""

    id: str
    kind: str
    label: str
    seed: int | None
    cells: int  # how many cells need it
    state: str  # "done" or "to do"
    seconds: float | None  # estimate
    estimate: str  # where the estimate is from


class Preview(pydantic.BaseModel, frozen=True):
    """A plan with its state on disk and its estimated cost."""

    board: str
    digest: str
    device: str
    cells: tuple[dict[str, object], ...]
    stages: tuple[StagePreview, ...]
    caps: dict[str, float]  # of one cell
    questions: int  # of one checkpoint
    seconds: float | None  # of all stages to do, one after another
    detectable: float  # smallest difference seen with 80 % power, a share of 1


def preview(plan: Plan, folder: Folder) -> Preview:
    """Return what a bench would do. Nothing is written, loaded or trained."""
    from harness.stats import minimum_detectable

    needed: dict[str, int] = {}
    for cell in plan.cells:
        for name in (*cell.train, cell.generate):
            needed[name] = needed.get(name, 0) + 1
    earlier = read_records(folder.records) if folder.records.is_dir() else []
    stages = tuple(
        _stage(each, needed[each.id], plan, folder, earlier) for each in plan.stages.values()
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
    ranked = len(plan.board.test_rows(plan.board.ranking))
    left = [each.seconds for each in stages if each.state != "done"]
    return Preview(
        board=plan.board.name,
        digest=plan.board.digest,
        device=plan.device,
        cells=tuple(cells),
        stages=stages,
        caps=plan.board.file.budget.set_caps(),
        questions=sum(len(plan.board.test_rows(score)) for score in plan.board.file.scores),
        seconds=None if None in left else sum(seconds for seconds in left if seconds is not None),
        detectable=minimum_detectable(ranked),
    )


def _stage(
    each: Stage, cells: int, plan: Plan, folder: Folder, earlier: list[Record]
) -> StagePreview:
    seconds, estimate = _seconds(each, plan, earlier)
    return StagePreview(
        id=each.id,
        kind=each.kind,
        label=each.label,
        seed=each.seed,
        cells=cells,
        state="done" if stage.is_done(folder.stage(each.id)) else "to do",
        seconds=seconds,
        estimate=estimate,
    )


def _seconds(each: Stage, plan: Plan, earlier: list[Record]) -> tuple[float | None, str]:
    """Return the likely seconds of a stage and where the figure is from."""
    finished = [record for record in earlier if record.status == "ok"]
    speed = ASSUMED_FLOPS_PER_SECOND[plan.device]
    parameters = _parameters(plan)
    if each.kind == "generate":
        seen = [record.scoring_seconds for record in finished]
        if seen:
            return median(seen), "earlier records"
        if parameters is None:
            return None, "not known yet"
        tables = plan.board.file.scores
        tokens = sum(len(plan.board.test_rows(one)) * one.max_new_tokens for one in tables)
        return 2 * parameters * tokens / speed, "the token limits, at an assumed speed"
    name = each.identity["trainer"]
    seen = [ref.cost.seconds for record in finished for ref in record.stages if ref.trainer == name]
    if seen:
        return median(seen), "earlier records"
    caps = each.identity["budget"]["caps"]
    if "seconds" in caps:
        return caps["seconds"], "the budget's cap"
    flops = caps.get("flops")
    if flops is None and "trained_tokens" in caps and parameters is not None:
        flops = 6 * parameters * caps["trained_tokens"]
    if flops is None:
        return None, "not known yet"
    return flops / speed, "the budget's cap, at an assumed speed"


def _parameters(plan: Plan) -> int | None:
    """Return the start model's size, or None while it would have to be downloaded first."""
    identity = plan.board.identity("start") or ""
    if "@" in identity:
        return None
    return checkpoints.parameter_count(plan.board.model("start"))


def text(preview: Preview) -> str:
    """Return the preview for people."""
    caps = ", ".join(f"{value:g} {name}" for name, value in preview.caps.items())
    lines = [
        f"Board {preview.board} ({preview.digest[:12]}) on {preview.device}:"
        f" {len(preview.cells)} cells, {len(preview.stages)} stages,"
        f" {preview.questions} questions a checkpoint.",
        f"Budget of a cell: at most {caps}.",
        f"Two checkpoints are told apart from a difference of about"
        f" {100 * preview.detectable:.1f} points on the ranking benchmark.",
        "",
        f"{'stage':<42} {'cells':>5}  {'state':<6} {'seconds':>8}  estimated from",
    ]
    for each in preview.stages:
        seed = "" if each.seed is None else f" seed {each.seed}"
        seconds = "?" if each.seconds is None else f"{each.seconds:.0f}"
        name = terminal(f"{each.kind} {each.label}{seed}")
        lines.append(f"{name:<42} {each.cells:>5}  {each.state:<6} {seconds:>8}  {each.estimate}")
    todo = [each for each in preview.stages if each.state != "done"]
    total = "unknown" if preview.seconds is None else f"about {preview.seconds:.0f} s"
    lines += ["", f"To do: {len(todo)} stages; one after another {total}."]
    return "\n".join(lines) + "\n"
