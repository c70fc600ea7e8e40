"""The warm process of the conformance kit: stages run as in a bench, and are watched.

Run as `python -m harness.testing.watched <pid>`. Python raises audit events (PEP 578) where a file
is written or a connection is made; a library that writes from compiled code raises none. Offences
are appended to `offences.txt` in the stage's folder, one a line.
"""

from __future__ import annotations

import dataclasses
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from harness.bench import warm
from harness.plugin.host import Host
from harness.stage import main as stage
from harness.tasks.task import Task

# audit event -> places of (path, folder descriptor) among its arguments
CHANGES: dict[str, tuple[tuple[int, int | None], ...]] = {
    "os.mkdir": ((0, 2),),
    "os.remove": ((0, 1),),
    "os.rmdir": ((0, 1),),
    "os.rename": ((0, 2), (1, 3)),
    "os.link": ((1, 3),),
    "os.symlink": ((1, 2),),
    "os.truncate": ((0, None),),
}
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


def watch(folder: Path) -> None:
    """Record what this process does outside a stage's folder, from now on to its end."""
    place = folder.parent.parent / "elsewhere"  # for temporary files, and to work in
    for name in ("tmp", "cwd"):
        (place / name).mkdir(parents=True, exist_ok=True)
    os.chdir(place / "cwd")
    os.environ["TMPDIR"] = tempfile.tempdir = str(place / "tmp")
    sys.dont_write_bytecode = True
    allowed = (str(folder), str(place / "tmp"), "/dev/", "/proc/")
    report = os.open(folder / "offences.txt", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    seen: set[str] = set()

    def offend(what: str) -> None:
        if what not in seen:
            seen.add(what)
            os.write(report, what.encode("utf-8", "replace").replace(b"\n", b" ") + b"\n")

    def inside(path: Any) -> bool:
        text = os.path.abspath(os.fsdecode(path))
        return text.startswith(allowed) or os.path.realpath(text).startswith(allowed)

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open":
            path, _, flags = arguments
            if isinstance(path, (str, bytes)) and flags & WRITES and not inside(path):
                offend(f"wrote to {os.fsdecode(path)}")
        elif event in CHANGES:
            for path, descriptor in CHANGES[event]:
                place = None if descriptor is None else arguments[descriptor]
                full = _under(arguments[path], place)
                if full is not None and not inside(full):
                    offend(f"{event} on {full}")
        elif event == "socket.connect" and isinstance(arguments[1], tuple):
            offend(f"connected to {arguments[1][0]}")

    _guard_test_rows(offend)
    stage.KEEP_SCRATCH = True
    sys.addaudithook(hook)


def _under(path: Any, descriptor: Any) -> str | None:
    """Return a path that may be relative to an open folder; None where it cannot be known."""
    if not isinstance(path, (str, bytes, os.PathLike)):
        return None
    text = os.fsdecode(path)
    if not isinstance(descriptor, int) or descriptor < 0 or os.path.isabs(text):
        return text
    try:
        return os.path.join(os.readlink(f"/proc/self/fd/{descriptor}"), text)
    except OSError:
        return None


def _guard_test_rows(offend: Callable[[str], None]) -> None:
    """Make every task refuse its test split in this process."""

    def refuse(name: str, split: str) -> None:
        if split == "test":
            offend(f"asked for the test rows of {name}")
            raise PermissionError(f"a trainer must not read the test rows of {name}")

    # a trainer may call `split` of a task that it has, or the plug-in's own function of rows
    plain_split, plain_tasks = Task.split, Host.tasks

    def split(task: Task, name: str) -> Any:
        refuse(task.name, name)
        return plain_split(task, name)

    def guarded(task: Task) -> Task:
        plain = task.rows
        if plain is None:
            return task

        def rows(split: str) -> Any:
            refuse(task.name, split)
            return plain(split)

        return dataclasses.replace(task, rows=rows)

    def tasks(host: Host) -> dict[str, Task]:
        return {name: guarded(task) for name, task in plain_tasks(host).items()}

    task_class: Any = Task  # of which methods are replaced here
    host_class: Any = Host
    task_class.split, host_class.tasks = split, tasks


def run_child(parent: int, folder: Path, environment: dict[str, str]) -> None:
    """Do one stage in a freshly forked child, watched where it trains."""
    if folder.name.startswith("train-"):
        watch(folder)
    _run_child(parent, folder, environment)


_run_child = warm.run_child

if __name__ == "__main__":
    warm.run_child = run_child
    warm.serve(int(sys.argv[1]))
