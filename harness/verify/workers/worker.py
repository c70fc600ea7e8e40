"""The process in which answers are judged: it drops every right it does not need, then reads.

Run only by `VerifierPool`. An answer that takes too long is interrupted and said to be late; the
worker goes on. It ends when its input ends, when its parent dies, and by the kernel where one
answer cannot be interrupted.
"""

from __future__ import annotations

import os
import resource
import signal
import sys
from collections.abc import Callable
from functools import cache, partial
from types import FrameType
from typing import Any

from harness.verify.algebra.digits import digits, forget
from harness.verify.conventions import Conventions
from harness.verify.judge import verify
from harness.verify.judgement import Judgement
from harness.verify.workers.wire import judgement_fields, pack, unpack

_PR_SET_PDEATHSIG, _PR_SET_NO_NEW_PRIVS = 1, 38
_CLONE_NEWNET, _CLONE_NEWUSER = 0x4000_0000, 0x1000_0000
# audit events, by how their names begin
_FORBIDDEN = (
    "socket.", "subprocess.", "os.system", "os.exec", "os.fork", "os.posix_spawn", "os.spawn",
    "pty.", "ftplib.", "smtplib.", "urllib.", "os.remove", "os.rename", "os.mkdir", "os.rmdir",
    "os.chmod", "os.link", "os.symlink", "os.truncate", "ctypes.", "shutil.", "os.putenv",
    "webbrowser.",
)  # fmt: skip

_STUCK_SECONDS = 1.0  # of processor time after which an answer that was not interrupted ends it


class _Late(BaseException):
    """The time of an answer is over; no `except Exception` may hold this back."""


def _ring(number: int, frame: FrameType | None) -> None:
    raise _Late


def _timed(seconds: float, judge: Callable[[], Judgement]) -> dict[str, Any]:
    """Return the fields of a judgement, or `late` where it took more than that many seconds."""
    try:
        # the default action of SIGPROF ends the process even inside C code
        signal.setitimer(signal.ITIMER_PROF, seconds + _STUCK_SECONDS)
        signal.setitimer(signal.ITIMER_REAL, seconds)
        fields = judgement_fields(judge())
        signal.setitimer(signal.ITIMER_REAL, 0)
    except _Late:
        forget()  # it may have been interrupted between two digits
        fields = {"late": True}
    signal.setitimer(signal.ITIMER_PROF, 0)
    return fields


def main(parent: int, memory_mb: int) -> None:
    """Serve judgements on standard input and output until the input ends."""
    requests, replies = os.fdopen(0, "rb", closefd=False), os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)  # whatever prints must not reach the protocol
    digits()  # imports mpmath while files may still be opened freely
    confine(parent, memory_mb)
    replies.write(pack({"ready": True}))
    read_conventions = cache(Conventions.model_validate_json)
    while message := unpack(requests):
        conventions = read_conventions(message["conventions"])
        for answer, gold, truncated, problem in message["items"]:
            how = {"form": message["form"], "truncated": truncated, "problem": problem}
            judge = partial(verify, answer, gold, conventions, **how)
            replies.write(pack(_timed(message["seconds"], judge)))


def confine(parent: int, memory_mb: int) -> None:
    """Give up memory, files, processes, network and privileges, as far as the kernel lets it."""
    _prctl(parent)
    memory = memory_mb * 1024 * 1024
    limits = [
        ("RLIMIT_AS", memory + _mapped(0)), ("RLIMIT_DATA", memory + _mapped(5)),
        ("RLIMIT_FSIZE", 0), ("RLIMIT_CORE", 0), ("RLIMIT_NOFILE", 64), ("RLIMIT_NPROC", 0),
        ("RLIMIT_CPU", 24 * 3600),
    ]  # fmt: skip
    for name, value in limits:
        kind = getattr(resource, name, None)
        if kind is None:
            continue
        try:
            _, hard = resource.getrlimit(kind)
            value = value if hard == resource.RLIM_INFINITY else min(value, hard)
            resource.setrlimit(kind, (value, value))
        except (OSError, ValueError):
            continue
    signal.signal(signal.SIGALRM, _ring)
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the controller decides when a bench stops
    sys.addaudithook(_deny)


def _mapped(column: int) -> int:
    """Return a figure of `/proc/self/statm` in bytes: 0 is all that is mapped, 5 the data of it."""
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            return int(file.read().split()[column]) * resource.getpagesize()
    except (OSError, ValueError, IndexError):
        return 0


def _prctl(parent: int) -> None:
    import ctypes

    try:
        libc = ctypes.CDLL(None, use_errno=True)
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNET)
    except (OSError, AttributeError):
        return  # not Linux: the audit hook and the end of the input remain
    if os.getppid() != parent:
        os._exit(0)


def _deny(event: str, args: tuple[Any, ...]) -> None:
    if event == "open":
        mode, flags = args[1], args[2]
        writing = isinstance(mode, str) and any(c in mode for c in "wax+")
        if writing or (isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)):
            raise PermissionError("a verifier worker writes no files")
    elif event.startswith(_FORBIDDEN):
        raise PermissionError(f"a verifier worker may not use {event}")
