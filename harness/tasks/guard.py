"""A fence between what trains and the test rows of its board, in the training process itself.

Python raises an audit event (PEP 578) before it imports a module or opens a file, and a hook that
listens cannot be removed. This one refuses the modules that make the board's test problems and the
files that they come from. It is a fence and no wall: code that reads a file without Python (a C
library, another program) or that brings a copy of a generator's source is not seen.
"""

from __future__ import annotations

import errno
import os
import re
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from harness.errors import StageError
from harness.records import Frozen

_MEMORY = re.compile(r"/proc/(\d+)/(?:task/\d+/)?mem")  # of another process
_MOVES = {"os.link": 2, "os.rename": 2, "os.symlink": 0}  # event -> its arguments that are folders
tellers: list[Callable[[str], None]] = []
"""Called with one line for each thing that is refused, by what is closed after they are here."""


class Closed(Frozen):
    """What a training process may not have."""

    modules: tuple[str, ...] = ()  # with everything below them
    paths: tuple[Path, ...] = ()  # files, and folders with everything below them
    open: tuple[Path, ...] = ()  # what lies in such a folder and may be read: models
    within_reach: tuple[str, ...] = ()  # tasks whose test rows cannot be kept from this trainer


def close(closed: Closed) -> None:
    """Refuse, from now on to the end of this process, what is closed.

    Raises:
        StageError: If a module that is closed has been imported already.
    """
    known = [name for name in sys.modules if _below(name, closed.modules)]
    if known:
        raise StageError(f"{known[0]}, which makes test problems, was imported before training")
    folders = [os.path.realpath(path) for path in closed.paths]
    allowed = {os.path.realpath(path) for path in closed.open}
    own, told = str(os.getpid()), set[str]()
    listeners = tuple(tellers)  # whatever becomes of the list

    def refuse(what: str) -> None:
        if what not in told:
            told.add(what)
            for tell in listeners:
                tell(what)
        raise PermissionError(errno.EACCES, f"no training process may have {what}")

    def look(path: Any) -> None:
        if isinstance(path, int) or path is None:
            return
        real = os.path.realpath(os.fsdecode(path))
        found = next((folder for folder in folders if _inside(real, folder)), None)
        if found is not None and not any(_inside(real, root) for root in allowed):
            refuse(f"{os.path.relpath(real, os.path.dirname(found))}, where test problems are")
        memory = _MEMORY.fullmatch(real)
        if memory is not None and memory[1] != own:
            refuse("the memory of another process")

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open":
            look(arguments[0])
        elif event == "import":
            if _below(arguments[0], closed.modules):
                refuse(f"{arguments[0]}, which makes test problems")
        elif event in _MOVES:
            look(arguments[0])

    sys.addaudithook(hook)


def _below(name: str, modules: Iterable[str]) -> bool:
    return any(name == module or name.startswith(f"{module}.") for module in modules)


def _inside(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder + os.sep)
