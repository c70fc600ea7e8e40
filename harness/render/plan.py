"""A plan in a terminal: what would run, what it would take, what would be downloaded, by rich."""

from __future__ import annotations

import re

from rich.console import Group
from rich.table import Table
from rich.text import Text

from harness.forecast.disk import Disk
from harness.forecast.formulas import EARLIER
from harness.forecast.power import Power
from harness.forecast.preview import Preview, StagePreview
from harness.render import numbers, tables
from harness.render.escape import terminal
from harness.render.numbers import NONE

TRIAL = re.compile(r" trial \d+$")  # as the trials of a row are numbered
ESTIMATED = (
    "Estimates from sizes (docs/boards.md), times with * by assumed speeds too: good to a factor of"
    " two at best. The budget is enforced on what is counted."
)
ASSUMED, MEASURED = "*: assumed", "times without *: median of earlier records of such a machine"
SHARED = "@: that share of a cell's budget, of a stage of a chain or a point of a curve"
NAMES = {
    "train": "train {}",
    "generate": "score a checkpoint",
    "probe": "probe the start model",
}  # of stages, by kind


def render(preview: Preview) -> Group:
    """Return what `rich.console.Console.print` shows; it fits 100 columns."""
    todo = sum(each.state != "done" for each in preview.stages)
    problems = sum(one.problems for one in preview.scores)
    caps = ", ".join(f"{value:,.6g} {name}" for name, value in preview.caps.items())
    hours = "" if preview.gpu_hours is None else f", {preview.gpu_hours:,.1f} GPU-hours"
    opening = (
        f"Board {preview.board} ({preview.digest[:12]}), planned for {_machine(preview)}",
        f"{_many(len(preview.cells), 'cell')}, {_many(len(preview.stages), 'stage')};"
        f" {_many(problems, 'problem')} for each checkpoint; budget of a cell: at most {caps}",
    )
    left = [each.estimate for each in preview.stages if each.state != "done"]
    known = preview.seconds is not None
    total = _duration(preview.seconds) + _mark(known and any(each.assumed for each in left))
    closing = f"To do: {_many(todo, 'stage')}; one after another {total}{hours}."
    return Group(
        *(Text(terminal(line, 200)) for line in opening),
        *(Text(f"! {terminal(line, 300)}", style="yellow") for line in preview.notes),
        _stages(preview),
        _scores(preview),
        *(Text(terminal(line, None)) for line in compared(preview.power)),
        *(Text(line) for line in needs(preview.power)),
        _downloads(preview),
        *_disk(preview.disk),
        Text(closing),
        Text(ESTIMATED, style="dim"),
    )


def _machine(preview: Preview) -> str:
    if preview.gpu_hours is None and preview.device == "cpu":
        return preview.machine
    most = max((each.estimate.gpus for each in preview.stages), default=1)
    return f"one {preview.machine}" if most == 1 else f"{most} {preview.machine}s a stage"


def _stages(preview: Preview) -> Table:
    """Return the stages, those that differ by their seed alone in one line."""
    figures = ("To do", "Steps", "Trained", "Output", "Teacher", "FLOPs", "Time", "Memory")
    table = tables.table("Stages (the figures are those of one)", {"Stage": 12}, figures)
    groups: dict[str, list[StagePreview]] = {}
    for each in preview.stages:
        label = TRIAL.sub(", a trial", each.label) if each.trial else each.label
        name = NAMES[each.kind].format(label)
        if each.trial and each.kind == "generate":
            name = "score a trial"
        groups.setdefault(name, []).append(each)
    for name, group in groups.items():
        one = group[0].estimate
        todo = sum(each.state != "done" for each in group)
        memory = NONE if one.memory_bytes is None else f"{one.memory_bytes / 1e9:.0f} GB"
        table.add_row(
            Text(terminal(name, 28)),
            f"{todo}/{len(group)}",
            f"{one.steps:,}" if one.steps else NONE,
            *(
                numbers.count(tokens) if tokens else NONE
                for tokens in (one.trained_tokens, one.generated_tokens, one.teacher_tokens)
            ),
            NONE if one.flops is None else numbers.flops(one.flops),
            _duration(one.seconds) + _mark(one.assumed),
            Text(memory if one.fits else f"! {memory}", style="" if one.fits else "red"),
            style="" if todo else "dim",
        )
    notes = []
    if not all(each.estimate.fits for each in preview.stages):
        notes.append("!: more than this GPU has, even with one row in a forward pass")
    if any(each.estimate.assumed for each in preview.stages):
        notes.append(ASSUMED)
    if any(each.estimate.source == EARLIER for each in preview.stages):
        notes.append(MEASURED)
    if any("@" in each.label for each in preview.stages):
        notes.append(SHARED)
    table.caption = "; ".join(notes) or None
    return table


def _scores(preview: Preview) -> Table:
    figures = ("Problems", "Samples", "Token\nlimit", "Finds")
    table = tables.table("Scores of each checkpoint", {"Task": 12, "Protocol": 13}, figures)
    for one in preview.scores:
        table.add_row(
            Text(terminal(one.task, 24)),
            Text(terminal(one.protocol, 28)),
            f"{one.problems:,}",
            f"{one.samples}",
            f"{one.max_new_tokens:,}",
            f"{100 * one.detectable:.1f} points" if one.detectable <= 1 else "none",
        )
    ranking = next(one for one in preview.scores if one.ranking)
    unfit = ", ".join(dict.fromkeys(one.task for one in preview.scores if one.unfit))
    caption = f"Ranks by {ranking.task} ({ranking.protocol})."
    caption += f" Not fit for ranking: {unfit}." if unfit else ""
    caption += f" Finds: {_found(preview.power)}"
    table.caption = Text(terminal(caption, None))
    return table


def _found(power: Power) -> str:
    """Return in words what is found: by which verdict, how often, and from what is known."""
    pairs = power.sides == 2
    family = f"{power.comparisons} pairs of rows" if pairs else f"the gains of {power.rows} rows"
    over = "" if power.comparisons == 1 else f" after Holm over {family}"
    often = "the smallest difference told apart four times in five, at 5 %"
    if not power.needs:
        one = "checkpoints" if pairs else "a checkpoint from the start model"
        what = one if power.claim == "checkpoints" else "a row from the start model"
        return f"{often}{over}, of {what}."
    known = "the noise of earlier records"
    if power.source == "assumed":
        known = "assumed noise, for want of earlier records"
    return f"{often}{over} with {power.seeds} seeds, by {known}."


def compared(power: Power) -> list[str]:
    """Return which rows are compared besides those of the plan, and which of the plan are not."""
    lines = []
    if power.earlier:
        names = ", ".join(power.earlier)
        lines.append(f"Compared too, since the folder of this bench has them: {names}.")
    if power.unranked:
        names = ", ".join(power.unranked)
        lines.append(f"Not ranked, for want of some of the board's seeds: {names}.")
    return lines


def needs(power: Power) -> list[str]:
    """Return what it takes to tell rows apart that lie a few points apart."""
    lines = []
    for need in power.needs:
        seeds = "more than 50 seeds" if need.seeds is None else _many(need.seeds, "seed")
        problems = "more than 100,000 problems"
        if need.questions is not None:
            problems = f"about {_rounded(need.questions):,} problems"
        points = _points(need.difference)
        with_seeds = _many(need.with_seeds, "seed")
        lines.append(
            f"To find {points}: {seeds} with these problems, or {problems} with {with_seeds}."
        )
    return lines


SEEDS = (3, 5, 10, 20)
TIMES = (1, 2, 4)
FEWER = (
    "*: with fewer of these problems. With all of them less is found ({}): the seeds alone then"
    " decide how wide an interval is, and so few of them say little of how far apart seeds lie."
    " More seeds help, more problems do not."
)


def render_power(power: Power, board: str, questions: int, rows: int) -> Group:
    """Return what a board finds, for `harness plan`, with so many seeds and problems of each."""
    noise = power.noise
    parts = (noise.questions / questions, noise.seeds, noise.answers / questions)
    problems, seed, flips = (f"{100 * variance**0.5:.1f}" for variance in parts)
    opening = (
        f"Board {board}: {_many(questions, 'problem')}, {_many(power.seeds, 'seed')},"
        f" {_many(rows, 'row')}. Finds: {_found(power)}",
        f"What moves the difference of two rows, in points (standard deviations): the problems"
        f" {problems}; of each row a seed {seed}, and flips of its answers {flips}.",
    )
    figures = [f"{count * questions:,} problems" for count in TIMES]
    table = tables.table("Smallest difference found, in points", {"Seeds": 5}, figures)
    fewer = []
    sizes = [count * questions for count in TIMES]
    for seeds in sorted({*SEEDS, *([power.seeds] if power.needs else [])}):
        shown = power.model_copy(update={"seeds": seeds})
        cells = []
        for size, best in zip(sizes, shown.finds_best(sizes), strict=True):
            least, whole = (f"{100 * one:.1f}" for one in (best, shown.finds(size)))
            cells.append((least if best <= 1 else "none") + ("*" if whole != least else ""))
        table.add_row(f"{seeds}", *cells)
        if cells[-1].endswith("*"):
            fewer.append(f"{_many(seeds, 'seed')} with {sizes[-1]:,} problems: {whole}")
    if fewer:
        table.caption = Text(FEWER.format("; ".join(fewer)))
    return Group(
        *(Text(terminal(line, None)) for line in opening),
        table,
        *(Text(line) for line in needs(power)),
    )


def _points(difference: float) -> str:
    return "1 point" if difference == 0.01 else f"{100 * difference:g} points"


def _rounded(count: int) -> int:
    """Return a count with two digits that say something."""
    size = int(10 ** max(0, len(str(count)) - 2))
    return -(-count // size) * size


def _downloads(preview: Preview) -> Table:
    table = tables.table("Needs", {"What": 12, "Name and revision": 12, "State": 4}, ("Size",))
    for one in preview.downloads:
        revision = f"@{one.revision[:12]}" if one.revision else ""
        name = Text(terminal(one.name, 60) + revision)
        what = one.what if one.what != "data" else f"data ({', '.join(one.tasks)})"
        state = "here" if one.state == "here" else one.where or one.state
        size = NONE if one.bytes is None else _size(one.bytes)
        table.add_row(Text(terminal(what, 60)), name, state, size)
    if left := [one.bytes for one in preview.downloads if one.state == "to download"]:
        more = " and what has no size above" if None in left else ""
        table.caption = f"to download: about {_size(sum(size or 0 for size in left))}{more}"
    return table


def _disk(disk: Disk) -> list[Text]:
    """Return what is written beside what is free, and a line more where it does not fit."""
    free = f"{_size(disk.free_bytes)} free in {terminal(disk.folder, 200)}"
    needed = disk.needed_bytes
    if needed is None or disk.kept_bytes is None or disk.working_bytes is None:
        return [Text(f"Disk: not known until the start model is downloaded; {free}.")]
    kept = f"{_many(disk.checkpoints, 'checkpoint')} and all answers {_size(disk.kept_bytes)}"
    more = f", and {_size(disk.working_bytes)} while stages train" if disk.working_bytes else ""
    lines = [Text(f"Disk: {kept}{more}; {free}.")]
    unfit = "! {} of disk do not fit: name a folder on a larger one with {}."
    if not disk.fits:
        lines.append(Text(unfit.format(_size(needed), "--runs"), style="yellow"))
    if (other := disk.scratch) is not None:
        size, folder = _size(other.working_bytes or 0), terminal(other.folder, 200)
        here = other.free_bytes is not None
        free = f"{_size(other.free_bytes or 0)} free" if here else "on the machine of each"
        lines.append(Text(f"Scratch: {size} while stages train, in {folder}; {free}."))
        if not disk.scratch_fits:
            lines.append(Text(unfit.format(size, "--scratch"), style="yellow"))
    return lines


def _many(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def _size(count: float) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.1f} MB"


def _duration(seconds: float | None) -> str:
    return "unknown" if seconds is None else numbers.duration(seconds)


def _mark(assumed: bool) -> str:
    """Return what stands behind a time that no earlier record has told."""
    return "*" if assumed else ""
