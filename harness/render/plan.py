"""A plan in a terminal: what would run, what it would take, what would be downloaded, by rich."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.render.escape import terminal
from harness.render.numbers import NONE

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

    from harness.forecast.preview import Preview, StagePreview


def render(preview: Preview) -> RenderableType:
    """Return what `rich.console.Console.print` shows; it fits 100 columns."""
    from rich.console import Group
    from rich.text import Text

    todo = [each for each in preview.stages if each.state != "done"]
    caps = ", ".join(f"{value:,.6g} {name}" for name, value in preview.caps.items())
    ranking = next(one for one in preview.scores if one.ranking)
    lines = [
        f"Board {preview.board} ({preview.digest[:12]}), planned for {_machine(preview)}",
        f"{_many(len(preview.cells), 'cell')}, {_many(len(preview.stages), 'stage')};"
        f" {_many(preview.questions, 'problem')} for each checkpoint;"
        f" budget of a cell: at most {caps}",
    ]
    closing = [
        f"To do: {_many(len(todo), 'stage')}; one after another {_duration(preview.seconds)}"
        + (f", {preview.gpu_hours:,.1f} GPU-hours." if preview.gpu_hours is not None else "."),
        f"Two checkpoints are told apart from about"
        f" {_points(ranking.detectable)} on {ranking.task} (80 % power, level 5 %)."
        if ranking.detectable <= 1
        else f"{ranking.task} has too few problems to tell any two checkpoints apart.",
    ]
    return Group(
        *(Text(terminal(line, 200)) for line in lines),
        *(Text(f"! {terminal(line, 300)}", style="yellow") for line in preview.notes),
        _stages(preview),
        _scores(preview),
        _downloads(preview),
        *(Text(line) for line in closing),
        Text(
            "Estimates from sizes and assumed speeds (docs/boards.md), good to a factor of two at"
            " best; the budget is enforced on what is counted.",
            style="dim",
        ),
    )


def _machine(preview: Preview) -> str:
    if preview.gpu_hours is None and preview.device == "cpu":
        return preview.machine
    most = max((each.estimate.gpus for each in preview.stages), default=1)
    return f"{'one' if most == 1 else most} {preview.machine}{'' if most == 1 else ' a stage'}"


def _table(title: str, *columns: tuple[str, str]) -> Table:
    from rich import box
    from rich.table import Table

    table = Table(
        box=box.SIMPLE_HEAD, title=title, title_justify="left", pad_edge=False, padding=(0, 1, 0, 0)
    )
    for (
        name,
        side,
    ) in columns:  # a narrow terminal folds names: cut off they could not be told apart
        table.add_column(
            name,
            justify=side,  # type: ignore[arg-type]
            no_wrap=side == "right",
            overflow="fold",
            min_width=12 if name in ("Stage", "Task") else 13 if name == "Protocol" else None,
        )
    return table


def _stages(preview: Preview) -> Table:
    """Return the stages, those that differ by their seed alone in one line."""
    from rich.text import Text

    table = _table(
        "Stages (the figures are those of one)",
        ("Stage", "left"),
        ("To do", "right"),
        ("Steps", "right"),
        ("Trained", "right"),
        ("Written", "right"),
        ("Teacher", "right"),
        ("FLOPs", "right"),
        ("Time", "right"),
        ("Memory", "right"),
    )
    groups: dict[tuple[str, str], list[StagePreview]] = {}
    for each in preview.stages:
        label = each.label if each.kind == "train" else ""
        groups.setdefault((each.kind, label), []).append(each)
    for (kind, label), group in groups.items():
        one = group[0].estimate
        todo = sum(each.state != "done" for each in group)
        memory = NONE if one.memory_bytes is None else f"{one.memory_bytes / 1e9:.0f} GB"
        known = one.seconds is not None
        time = _duration(one.seconds) + ("*" if known and one.source == "earlier records" else "")
        table.add_row(
            Text(terminal(f"train {label}" if kind == "train" else "score a checkpoint", 28)),
            f"{todo}/{len(group)}",
            f"{one.steps:,}" if one.steps else NONE,
            _count(one.trained_tokens),
            _count(one.generated_tokens),
            _count(one.teacher_tokens),
            NONE if one.flops is None else f"{one.flops:.1e}".replace("e+", "e"),
            time,
            Text(memory if one.fits else f"! {memory}", style="" if one.fits else "red"),
            style="dim" if not todo else "",
        )
    short = [each for each in preview.stages if not each.estimate.fits]
    notes = []
    if short:
        notes.append("!: more than this GPU has, even with one row in a forward pass")
    if any(each.estimate.source == "earlier records" for each in preview.stages):
        notes.append("*: median of earlier records")
    if notes:
        table.caption, table.caption_justify = "; ".join(notes), "left"
    return table


def _scores(preview: Preview) -> Table:
    from rich.text import Text

    table = _table(
        "Scores of each checkpoint",
        ("Task", "left"),
        ("Protocol", "left"),
        ("Problems", "right"),
        ("Samples", "right"),
        ("Token\nlimit", "right"),
        ("Detectable", "right"),
        ("", "left"),
    )
    for one in preview.scores:
        remark = "ranks" if one.ranking else ("not fit for ranking" if one.unfit else "")
        table.add_row(
            Text(terminal(one.task, 24)),
            Text(terminal(one.protocol, 28)),
            f"{one.problems:,}",
            f"{one.samples}",
            f"{one.max_new_tokens:,}",
            _points(one.detectable),
            remark,
        )
    return table


def _downloads(preview: Preview) -> RenderableType:
    from rich.text import Text

    if not preview.downloads:
        return Text("")
    table = _table(
        "Needs",
        ("What", "left"),
        ("Name and revision", "left"),
        ("Size", "right"),
        ("State", "left"),
    )
    for one in preview.downloads:
        revision = f"@{one.revision[:12]}" if one.revision else ""
        what = one.what if one.what != "data" else f"data ({', '.join(one.tasks)})"
        size = NONE if one.bytes is None else _size(one.bytes)
        state = "here" if one.state == "here" else one.where or one.state
        table.add_row(
            Text(terminal(what, 60)), Text(terminal(one.name, 60) + revision), size, state
        )
    left = [one.bytes for one in preview.downloads if one.state == "to download"]
    if left:
        total = _size(sum(size for size in left if size is not None))
        more = " and what has no size above" if None in left else ""
        table.caption = f"to download: about {total}{more}"
        table.caption_justify = "left"
    return table


def _points(share: float) -> str:
    return f"{100 * share:.1f} points" if share <= 1 else "none"


def _many(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def _size(count: int) -> str:
    if count >= 1e9:
        return f"{count / 1e9:.1f} GB"
    return f"{count / 1e6:.1f} MB" if count >= 1e5 else f"{count / 1e3:.0f} kB"


def _count(tokens: float) -> str:
    if not tokens:
        return NONE
    for unit, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if tokens >= size:
            return f"{tokens / size:.1f}{unit}"
    return f"{tokens:.0f}"


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return "unknown"
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
