"""The warm process of the conformance kit: stages run as in a bench, and are watched.

Run as `python -m harness.testing.watched <pid>`. Python raises audit events (PEP 578) where a file
is written or a connection is made; a library that writes from compiled code raises none. Offences
are appended to `offences.txt` in the stage's folder, one a line.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from harness.bench.executors import warm
from harness.boards.board import Board
from harness.files import write_atomically
from harness.stage import main as stage
from harness.tasks import guard

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
LOOKUPS = ("socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr")
HERE = (None, "", "localhost", "127.0.0.1", "::1", "0.0.0.0")
TOKENIZING = ("__call__", "encode", "apply_chat_template")
PROBLEMS = "test_problems.json"
SHORTEST = 16  # characters of a problem that is looked for in what a trainer tokenizes
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
        elif event in LOOKUPS and arguments[0] not in HERE:
            host = arguments[0]
            offend(f"looked for {os.fsdecode(host)} on the network")

    guard.tellers.append(lambda what: offend(f"asked for {what}"))
    _guard_test_texts(offend, place / PROBLEMS)
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


def write_test_problems(board: Board, runs: Path) -> None:
    """Leave the problems that a board scores, for the processes that train in its runs folder."""
    texts = [
        _plain(row["problem"])
        for name in sorted({score.task for score in board.file.scores})
        for row in board.tasks[name].split("test")
    ]
    long = [text for text in texts if len(text) >= SHORTEST]
    write_atomically(runs / "elsewhere" / PROBLEMS, json.dumps(long))


def _plain(text: str) -> str:
    return " ".join(text.split())


def _guard_test_texts(offend: Callable[[str], None], problems: Path) -> None:
    """Look for test problems in what transformers' tokenizers are given, whatever it came from."""
    from transformers import PreTrainedTokenizerBase

    known = json.loads(problems.read_text(encoding="utf-8"))
    seen: set[int] = set()

    def look(value: Any) -> None:
        for text in _texts(value):
            if hash(text) not in seen:
                seen.add(hash(text))
                plain = _plain(text)
                if any(problem in plain for problem in known):
                    offend("gave a test problem to the tokenizer")

    def watched(plain: Callable[..., Any]) -> Callable[..., Any]:
        def call(tokenizer: Any, *arguments: Any, **named: Any) -> Any:
            look((arguments, named))
            return plain(tokenizer, *arguments, **named)

        return call

    tokenizer: Any = PreTrainedTokenizerBase  # of which methods are replaced here
    for name in TOKENIZING:
        setattr(tokenizer, name, watched(getattr(tokenizer, name)))


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list | tuple):
        for part in value.values() if isinstance(value, dict) else value:
            yield from _texts(part)


def work(folder: Path) -> int:
    """Do one stage's work in its process, watched where it trains."""
    if folder.name.startswith("train-"):
        watch(folder)
    return _work(folder)


_work = warm.work

if __name__ == "__main__":
    warm.work = work
    warm.serve(int(sys.argv[1]))
