"""The CPU time of a stage: of the process that does its work, and of all that this one started.

What models do is counted in the stage's own process alone, so a record says how much was done in
others. The time of a process that somebody waited for is in the guard's `RUSAGE_CHILDREN` in the
end. That of one which its parent tells the system to forget (SIGCHLD ignored) is not, so processes
are looked at while they run, too; what such a one takes after the last look is missed.
"""

from __future__ import annotations

import contextlib
import os
import resource
import signal
from collections.abc import Iterable
from dataclasses import dataclass, field

import psutil

MOST = 1000  # processes that are reaped at once


@dataclass
class CpuTime:
    """The CPU seconds of a stage's processes, and how its own one ended.

    Attributes:
        pid: Of the process that does the stage's work.
        own: The CPU seconds of that process, once it has been reaped.
    """

    pid: int
    own: float = 0.0
    _seen: dict[psutil.Process, float] = field(default_factory=dict)  # seconds of each other one

    def look(self, found: Iterable[psutil.Process]) -> None:
        """Note what the processes have taken so far that run now."""
        for process in found:
            if process.pid != self.pid:
                with contextlib.suppress(psutil.Error):
                    self._seen[process] = _seconds(process)

    def reap(self) -> int | None:
        """Reap what has ended; return the exit code of the stage's process, once it has.

        Of very many some are left for the next time: who makes them must not keep the guard from
        looking at the stage.
        """
        code = None
        with contextlib.suppress(ChildProcessError):
            for _ in range(MOST):
                ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
                if ended is None:
                    break
                status = self._waited(ended.si_pid)
                if ended.si_pid == self.pid:
                    code = status
        return code

    def wait(self) -> int:
        """Wait until the stage's process has ended; return its exit code."""
        try:
            os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT)
            return self._waited(self.pid)
        except ChildProcessError:
            return -signal.SIGKILL

    def _waited(self, pid: int) -> int:
        """Reap a process that has ended. Only until then the system tells its own time."""
        if pid == self.pid:
            with contextlib.suppress(psutil.Error):
                self.own = _seconds(psutil.Process(pid))
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

    @property
    def others(self) -> float:
        """Return the CPU seconds of all other processes, once all have been reaped."""
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        waited_for = used.ru_utime + used.ru_stime - self.own
        return max(0.0, waited_for, sum(self._seen.values()))


def _seconds(process: psutil.Process) -> float:
    """Return the CPU seconds of a process, without those of its children."""
    times = process.cpu_times()
    return float(times.user + times.system)
