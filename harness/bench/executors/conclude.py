"""What the head concludes: how a stage ended, by what its node saw and by what it left on disk.

Where several machines share the disk, one may see a file later than another wrote it.
"""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path

from harness.errors import StageError
from harness.plugin.executor import Ended
from harness.records import Frozen, Status
from harness.stage import spec
from harness.stage.manifest import is_done

GRACE_SECONDS = 60.0  # in which a file on a shared disk has to be seen by every machine


class Report(Frozen):
    """What a node saw of a stage's process; all processes of the stage have ended."""

    folder: Path
    code: int  # exit code; negative: the signal that ended it
    over: bool = False  # whether the harness's own code said that the stage is done
    timed_out: bool = False
    why: str | None = None  # what is known of a process that was killed
    status: Status | None = None  # where its guard ended it, why
    error: str | None = None
    host: str = ""
    node: str = ""  # what the scheduler calls the machine
    refused: str | None = None  # why this node may not run it: the bench ends
    lost: str | None = None  # why it could not be run there: it is tried again


def conclude(report: Report) -> Ended:
    """Return how a stage ended, by what its node saw and by what it left."""
    folder, code = report.folder, report.code
    if report.lost:
        return Ended(folder, "killed", report.lost, retry=True)
    if report.timed_out:
        return Ended(folder, "timeout", "the stage passed its time limit and was stopped")
    if report.status:
        return Ended(folder, report.status, report.error)
    if code == 0 and report.over and is_done(folder):
        return Ended(folder, "ok", None)
    with contextlib.suppress(StageError):
        failure = spec.read(folder / "error.json", spec.Failure)
        status = "killed" if failure.elsewhere else failure.status
        return Ended(folder, status, failure.error, retry=failure.elsewhere)
    if code < 0:
        sent = signal.Signals(-code).name
        hint = " (often the system's out-of-memory killer)" if sent == "SIGKILL" else ""
        return Ended(folder, "killed", report.why or f"the process was ended by {sent}{hint}")
    if code == 0 and (folder / "manifest.json").exists():
        why = "what it left was changed after it was sealed, as by a process that it started"
        return Ended(folder, "failed", why)
    return Ended(folder, "failed", f"the process ended with exit code {code} and no result")


def is_visible(report: Report) -> bool:
    """Return whether all that a stage left can be seen here, on a disk that machines share."""
    with contextlib.suppress(OSError):
        os.listdir(report.folder)  # asks the file server again
    if report.code == 0:
        return not report.over or is_done(report.folder)
    return report.code < 0 or (report.folder / "error.json").exists()
