"""What a bench needs and where it is: on this machine, in the Hub's cache, or to be downloaded."""

from __future__ import annotations

from typing import Literal

import pydantic

from harness import checkpoints
from harness.boards.board import Board
from harness.boards.file import Which
from harness.forecast.model_sizes import known_shape
from harness.tasks.task import Task

ROW_BYTES = 500  # of a problem with its solution in a Parquet file, roughly
State = Literal["here", "to download", "missing"]


class Download(pydantic.BaseModel, frozen=True):
    """A model or the data of a task."""

    what: Literal["start model", "teacher", "data"]
    name: str  # a Hub id, or a path, or a task
    revision: str | None = None  # the commit that is pinned
    tasks: tuple[str, ...] = ()  # that read the data
    bytes: int | None = None  # about
    state: State
    where: str = ""  # the folder, or what to do


def downloads(board: Board, *, teacher: bool, traces: bool) -> tuple[Download, ...]:
    """Return the models and data sets of a board with where they are; no network is asked.

    Args:
        board: The conditions.
        teacher: Whether anything of the plan needs the teacher.
        traces: Whether anything of it needs the traces.
    """
    needs_teacher = teacher and board.file.teacher is not None
    models: tuple[Which, ...] = ("start", "teacher") if needs_teacher else ("start",)
    return (*(_model(board, which) for which in models), *_data(board, traces))


def _model(board: Board, which: Which) -> Download:
    reference, folder = board.file.model(which) or "", board.at_hand(which)
    name, _, revision = reference.partition("@")
    shape = known_shape(reference)
    return Download(
        what="start model" if which == "start" else which,
        name=name,
        revision=revision or None,
        bytes=checkpoints.size_bytes(folder)
        if folder
        else (2 * shape.parameters if shape else None),
        state="here" if folder else "to download",
        where=str(folder or ""),
    )


def _data(board: Board, traces: bool) -> list[Download]:
    """Return the published data sets of a board, each repository once."""
    trained = (*board.file.data.train, *(board.file.data.traces if traces else ()))
    used = [(name, split) for name in trained for split in ("holdout", "train")]
    used += [(score.task.name, "test") for score in board.scores]
    found: dict[tuple[str, State], list[tuple[Task, str]]] = {}
    for name, split in dict.fromkeys(used):
        task = board.tasks[name]
        if task.source and task.has(split):
            hub = task.source.hub
            state: State = "here" if task.here(split) else "to download" if hub else "missing"
            found.setdefault((hub or name, state), []).append((task, split))
    return [
        Download(
            what="data",
            name=name,
            revision=parts[0][0].source.revision if parts[0][0].source else None,
            tasks=tuple(dict.fromkeys(task.name for task, _ in parts)),
            bytes=sum(ROW_BYTES * task.size(split) for task, split in parts) or None,
            state=state,
            where="not on the Hub: give --data-dir"
            if state == "missing"
            else parts[0][0].here(parts[0][1]) or "",
        )
        for (name, state), parts in found.items()
    ]
