"""What a bench needs and where it is: on this machine, in the Hub's cache, or to be downloaded."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import pydantic

from harness import checkpoints
from harness.boards.board import Board
from harness.boards.file import Which
from harness.forecast.model_sizes import known_shape
from harness.plugin.trainer import Trainer

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


def downloads(board: Board, trainers: Sequence[Trainer]) -> tuple[Download, ...]:
    """Return the models and data sets that trainers need and where they are, without a network."""
    models = [_model(board, "start")]
    if board.file.teacher is not None and any(each.needs_teacher for each in trainers):
        models.append(_model(board, "teacher"))
    return (*models, *_data(board, any(each.needs_traces for each in trainers)))


def _model(board: Board, which: Which) -> Download:
    reference, folder = board.file.model(which) or "", board.at_hand(which)
    name, _, revision = reference.partition("@")
    shape = known_shape(reference)
    estimated = 2 * shape.parameters if shape else None  # published in bfloat16
    return Download(
        what="start model" if which == "start" else which,
        name=name,
        revision=revision or None,
        bytes=checkpoints.size_bytes(folder) if folder else estimated,
        state="here" if folder else "to download",
        where=str(folder or ""),
    )


def _data(board: Board, traces: bool) -> list[Download]:
    """Return the published data sets of a board, each repository once."""
    trained = (*board.file.data.train, *(board.file.data.traces if traces else ()))
    used = [(name, split) for name in trained for split in ("holdout", "train")]
    used += [(score.task.name, "test") for score in board.scores]
    found: dict[tuple[str, State], Download] = {}
    for name, split in dict.fromkeys(used):
        task = board.tasks[name]
        if not task.source or not task.has(split):
            continue
        hub, here = task.source.hub, task.here(split)
        state: State = "here" if here else "to download" if hub else "missing"
        one = found.get((hub or name, state)) or Download(
            what="data",
            name=hub or name,
            revision=task.source.revision,
            state=state,
            where="not on the Hub: give --data-dir" if state == "missing" else here or "",
        )
        tasks = tuple(dict.fromkeys((*one.tasks, name)))
        size = (one.bytes or 0) + ROW_BYTES * task.size(split) or None
        found[one.name, state] = one.model_copy(update={"tasks": tasks, "bytes": size})
    return list(found.values())
