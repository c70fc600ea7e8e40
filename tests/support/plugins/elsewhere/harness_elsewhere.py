"""A plug-in with an executor: each stage in a process of its own, as on another machine.

The first part is the example of docs/plugins.md. `ELSEWHERE_LOST` names a file with the number of
nodes that are lost while they train; `ELSEWHERE_OTHER` a package of which nodes have another
version.
"""

import os
import pathlib
import signal
import threading
import time
from multiprocessing import get_context
from multiprocessing.connection import wait

from harness import ExecutorOffer, RemoteExecutor, facts, hookimpl, run_stage

fresh = get_context("spawn")


def node(pipe, work, *given):
    pipe.send(work(*given))


class Processes(RemoteExecutor):
    def ask(self):  # what a node has
        return facts("cpu")

    def submit(self, task, values):  # `values` may be secret: keep them out of files
        ours, theirs = fresh.Pipe()
        process = fresh.Process(target=node, args=(theirs, run_stage, task, dict(values)))
        process.start()
        theirs.close()
        return process, ours

    def poll(self, handles, seconds):
        ready = wait([ours for _, ours in handles], seconds)
        return [(each, self.outcome(each[1])) for each in handles if each[1] in ready]

    def outcome(self, ours):  # a Report, or a line that says why there is none
        try:
            return ours.recv()
        except EOFError:
            return "its process was lost"

    def cancel(self, handles):
        for process, _ in handles:
            process.kill()


class Elsewhere(Processes):
    def ask(self):
        self.jobs = self.settings.jobs or 2
        found = super().ask()
        if other := os.environ.get("ELSEWHERE_OTHER"):
            found = found.model_copy(update={"packages": {**found.packages, other: "0.0.1"}})
        return found

    def submit(self, task, values):
        path = pathlib.Path(os.environ.get("ELSEWHERE_LOST", ""))
        left = int(path.read_text()) if path.is_file() else 0
        if not left or not task.folder.name.startswith("train-"):
            return super().submit(task, values)
        path.write_text(str(left - 1))
        ours, theirs = fresh.Pipe()
        process = fresh.Process(target=lost_node, args=(theirs, task, dict(values)))
        process.start()
        theirs.close()
        return process, ours


def lost_node(pipe, task, values):
    """Run a stage, be gone once it has begun, and in no case say how it ended."""

    def watch():
        while not (task.folder / "log.txt").exists():
            time.sleep(0.02)
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=watch).start()
    run_stage(task, values)


@hookimpl
def harness_executors():
    summary = "processes that know nothing of the bench"
    return [
        ExecutorOffer("processes", Processes, summary),
        ExecutorOffer("elsewhere", Elsewhere, summary),
    ]
