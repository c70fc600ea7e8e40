"""The rows that a score is over, for processes that are told where they come from and no row.

Nothing that a bench writes holds a test problem or its gold answer. The stages that need them make
or read them as the controlling process did, through the plug-in that offers the task, and check
that they are the same.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from harness.errors import HarnessError, StageError, UsageError
from harness.plugin.host import Host
from harness.records import Frozen
from harness.tasks.canonical import Row, rows_sha256
from harness.tasks.local import LocalRows
from harness.tasks.source import Place
from harness.tasks.task import SPLITS, Task


class ScoredRows(Frozen):
    """Where the rows of a score come from, and what they must be."""

    task: str
    plugin: str  # that offers the task; empty where it is made of files of one's own
    local: LocalRows | None  # these files, as they are read
    data_dir: Path | None  # of published data
    reads: tuple[Path, ...]  # all files and folders that the rows are read from
    limit: int | None  # so many rows, the first ones if `draw` is empty
    draw: str  # what they are drawn by, see `choose`
    sha256: str  # of the rows, see `rows_sha256`
    held_out: tuple[str, ...] = ()  # ids of training rows; none where test rows are scored


def choose(rows: Sequence[Row], limit: int | None, draw: str = "") -> list[Row]:
    """Return so many rows, in their order: the first ones, or where `draw` has text, a sample.

    The text decides which: those whose ids have the smallest digests with it.
    """
    if not draw:
        return list(rows[:limit])

    def place(number: int) -> str:
        return hashlib.sha256(f"{draw} {rows[number]['id']}".encode()).hexdigest()

    drawn = sorted(range(len(rows)), key=place)[:limit]
    return [rows[number] for number in sorted(drawn)]


def scored(
    task: Task, limit: int | None, draw: str = "", held_out: Sequence[str] = ()
) -> list[Row]:
    """Return the test rows of a task as a score with a limit has them, or some training rows."""
    if not held_out:
        return choose(task.graded("test"), limit, draw)
    rows = {row["id"]: row for row in task.graded("train")}
    if lost := [one for one in held_out if one not in rows]:
        raise UsageError(f"it has no training row {lost[0]!r} any more")
    return [rows[one] for one in held_out]


def described(
    task: Task, limit: int | None, draw: str = "", held_out: Sequence[str] = ()
) -> ScoredRows:
    """Return where another process gets the rows of a task that are scored.

    These are its test rows, or the training rows with the ids that are given: then it is told of no
    file with test rows.

    Raises:
        UsageError: If the task is neither a plug-in's nor made of files.
    """
    splits = ("train",) if held_out else SPLITS
    local = task.rows if isinstance(task.rows, LocalRows) and not task.plugin else None
    if not task.plugin and not local:
        raise UsageError(
            f"task {task.name!r} is no plug-in's and has no files, so that a stage cannot load it"
        )
    if local:
        files = {
            split: Path(path).resolve() for split, path in local.files.items() if split in splits
        }
        local = replace(local, files=files)
    read = (_whole_set(path) for split in splits for path in task.files(split))
    return ScoredRows(
        task=task.name,
        plugin=task.plugin,
        local=local,
        data_dir=task.place.data_dir.resolve() if task.place.data_dir else None,
        reads=tuple(dict.fromkeys(read)),
        limit=limit,
        draw=draw,
        sha256=rows_sha256(scored(task, limit, draw, held_out)),
        held_out=tuple(held_out),
    )


def _whole_set(path: Path) -> Path:
    """Return the data set of the Hub's cached layout that a file is in, or the file."""
    sets = (folder for folder in path.parents if folder.name.startswith("datasets--"))
    return next(sets, path).resolve()


def load(wanted: Sequence[ScoredRows]) -> list[tuple[Task, list[Row]]]:
    """Return the task and the rows of each score; a task is loaded once. Nothing is downloaded.

    Raises:
        StageError: If the rows are not those that the board scores, or cannot be had.
    """
    hosts: dict[Path | None, Host] = {}
    tasks: dict[tuple[str, str], Task] = {}
    found = []
    for one in wanted:
        what = "held-out" if one.held_out else "test"
        try:
            if (one.plugin, one.task) not in tasks:
                host = hosts.setdefault(one.data_dir, Host(data_dir=one.data_dir, download=False))
                tasks[one.plugin, one.task] = _task(one, host)
            task = tasks[one.plugin, one.task]
            rows = scored(task, one.limit, one.draw, one.held_out)
        except HarnessError as error:
            raise StageError(
                f"the {what} problems of {one.task} cannot be loaded: {error}"
            ) from None
        if rows_sha256(rows) != one.sha256:
            raise StageError(
                f"the {what} problems of {one.task} are not those that this bench was planned with;"
                " run the same command again"
            )
        found.append((task, rows))
    return found


def _task(one: ScoredRows, host: Host) -> Task:
    if one.local:
        return Task(one.task, replace(one.local), place=Place(one.data_dir, download=False))
    host.load(one.plugin)
    known = host.tasks()
    if one.task not in known:
        raise UsageError(f"plug-in {one.plugin!r} offers no task {one.task!r}")
    return known[one.task]
