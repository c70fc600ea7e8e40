"""What a bench needs and where it is: on this machine, in the Hub's cache, or to be downloaded."""

from __future__ import annotations

from typing import Literal

import pydantic

from harness import checkpoints
from harness.boards.board import Board
from harness.forecast import model_sizes

ROW_BYTES = 500  # of a problem with its solution in a Parquet file, roughly


class Download(pydantic.BaseModel, frozen=True):
    """A model or the data of a task."""

    what: Literal["start model", "teacher", "data"]
    name: str  # a Hub id, or a path, or a task
    revision: str | None = None  # the commit that is pinned
    tasks: tuple[str, ...] = ()  # that read the data
    bytes: int | None = None  # about
    state: Literal["here", "to download", "missing"]
    where: str = ""  # where it lies, or what to do


def downloads(board: Board, *, teacher: bool, traces: bool) -> tuple[Download, ...]:
    """Return the models and data sets of a board with where they are; no network is asked.

    Args:
        board: The conditions.
        teacher: Whether anything of the plan needs the teacher.
        traces: Whether anything of it needs the traces.
    """
    found = [_model(board, "start")]
    if teacher and board.file.teacher is not None:
        found.append(_model(board, "teacher"))
    return (*found, *_data(board, traces))


def _model(board: Board, which: Literal["start", "teacher"]) -> Download:
    reference = (board.file.start_model if which == "start" else board.file.teacher) or ""
    what: Literal["start model", "teacher"] = "start model" if which == "start" else "teacher"
    name, _, revision = reference.partition("@")
    folder = board.at_hand(which)
    shape = model_sizes.known_shape(reference)
    size = checkpoints.size_bytes(folder) if folder else 2 * shape.parameters if shape else None
    return Download(
        what=what,
        name=name,
        revision=revision or None,
        bytes=size,
        state="here" if folder else "to download",
        where=str(folder or ""),
    )


def _data(board: Board, traces: bool) -> list[Download]:
    """Return the published data sets of a board, each repository once."""
    needed: dict[str, set[str]] = {}
    for name in (*board.file.data.train, *(board.file.data.traces if traces else ())):
        needed.setdefault(name, set()).update({"train", "holdout"})
    for score in board.file.scores:
        needed.setdefault(score.task, set()).add("test")
    found: dict[tuple[str, str], Download] = {}
    for name, splits in needed.items():
        task = board.tasks[name]
        if task.source is None:
            continue
        for split in sorted(split for split in splits if task.has(split)):
            here = task.here(split)
            state = "here" if here else "to download" if task.source.hub else "missing"
            key = (task.source.hub or name, state)
            earlier = found.get(key)
            size = ROW_BYTES * task.size(split) + ((earlier.bytes or 0) if earlier else 0) or None
            tasks = (*earlier.tasks, name) if earlier else (name,)
            found[key] = Download(
                what="data",
                name=task.source.hub or name,
                revision=task.source.revision,
                tasks=tuple(dict.fromkeys(tasks)),
                bytes=size,
                state=state,
                where=here or ("" if task.source.hub else "not on the Hub: give --data-dir"),
            )
    return list(found.values())
