"""A plug-in with an executor: each stage in a process of its own, as on another machine.

`ELSEWHERE_LOST` names a file with the number of processes that are lost before their stage ends;
`ELSEWHERE_OTHER` names a package of which "nodes" have another version than the plan was made for.
"""

import contextlib
import os
import subprocess
import sys
import time
from pathlib import Path

from harness import ExecutorOffer, Facts, RemoteExecutor, Report, StageTask, facts, hookimpl

NODE = """
import os, sys
from pathlib import Path
from harness import StageTask, run_stage
task = StageTask.model_validate_json(sys.stdin.read())
Path(sys.argv[1]).write_text(run_stage(task).model_dump_json())
"""


class Elsewhere(RemoteExecutor):
    def ask(self) -> Facts:
        self.jobs = self.settings.jobs or 2
        found = facts("cpu")
        if other := os.environ.get("ELSEWHERE_OTHER"):
            found = found.model_copy(update={"packages": {**found.packages, other: "0.0.1"}})
        return found

    def submit(self, task: StageTask, values) -> tuple[subprocess.Popen, Path]:
        self.place.mkdir(exist_ok=True)
        out = self.place / f"{task.folder.name}-{time.monotonic_ns()}.json"
        with (self.place / "nodes.log").open("ab") as log:
            node = subprocess.Popen(
                [sys.executable, "-c", NODE, str(out)],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                env={**os.environ, **values},
                start_new_session=True,
            )
        node.stdin.write(task.model_dump_json().encode())
        node.stdin.close()
        return node, out

    def poll(self, handles, seconds):
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            self._lose(handles)
            if any(node.poll() is not None for node, _ in handles):
                break
            time.sleep(0.05)
        return [
            ((node, out), Report.model_validate_json(out.read_text()) if out.exists() else "lost")
            for node, out in handles
            if node.poll() is not None
        ]

    def _lose(self, handles) -> None:
        """Kill the process of a training stage that has begun."""
        path = Path(os.environ.get("ELSEWHERE_LOST", ""))
        left = int(path.read_text()) if path.is_file() else 0
        for folder, (node, out) in self._running.items() if left else ():
            begun = "train-" in folder.name and (folder / "log.txt").exists()
            if begun and node.poll() is None and not out.exists() and (node, out) in handles:
                node.kill()
                node.wait()
                path.write_text(str(left - 1))
                return

    def cancel(self, handles) -> None:
        for node, _ in handles:
            with contextlib.suppress(ProcessLookupError):
                node.kill()
            node.wait()


@hookimpl
def harness_executors():
    return [ExecutorOffer("elsewhere", Elsewhere, "processes that know nothing of the bench")]
