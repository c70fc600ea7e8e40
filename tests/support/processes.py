"""Runs the command line: in this process with a warm process for all benches, or in its own."""

from __future__ import annotations

import contextlib
import io
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

from harness.bench.executors.channel import Channel
from harness.bench.executors.local import LocalExecutor
from harness.bench.executors.node import Node
from harness.plugin.executor import Ended

HARNESS = (sys.executable, "-m", "harness")
PLUGINS = Path(__file__).parent / "plugins"
# fixture plug-ins that can be found side by side: the others break what is found beside them
SOUND = [
    str(PLUGINS / name)
    for name in (
        "cheating",
        "forging",
        "greedy",
        "observer",
        "quoting",
        "thief",
        "unruly",
        "vault",
        "wayward",
    )
]


def written(folder: Path) -> dict[Path, tuple[int, int]]:
    """Return what tells a file that was written again: its inode and time, by path."""
    states = {path: path.stat() for path in folder.rglob("*")}
    return {path: (state.st_ino, state.st_mtime_ns) for path, state in states.items()}


def imported_by(*arguments: str, folder: Path | None = None) -> set[str]:
    """Return the modules that the command line has imported when it ends."""
    code = (
        "import sys; sys.argv = ['harness', *sys.argv[1:]]\n"
        "from harness.cli.main import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print('\\n' + ' '.join(sys.modules), file=sys.stderr)"
    )
    command = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=folder)
    return set(done.stderr.splitlines()[-1].split())


def all_ended(executor: LocalExecutor) -> list[Ended]:
    """Wait for all that an executor runs."""
    ended = []
    while executor.node.running:
        ended += executor.wait(0.2)
    return ended


def start(command: Sequence[str | Path], **options: Any) -> subprocess.Popen[str]:
    """Start a command that signals end, also where the tests themselves ignore them.

    A shell starts its background jobs with SIGINT ignored, nohup all with SIGHUP, and an ignored
    signal is inherited.
    Ignored or not is decided here and not in `preexec_fn`, which may hang once torch has threads.

    Args:
        command: The program and its arguments.
        options: Of `subprocess.Popen`.

    Returns:
        The process, whose streams are text.
    """
    handlers = {
        signal.SIGINT: signal.default_int_handler,  # becomes the default by exec
        signal.SIGTERM: signal.SIG_DFL,
        signal.SIGHUP: signal.SIG_DFL,
    }
    own = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        return subprocess.Popen(command, text=True, **options)
    finally:
        for number, handler in own.items():
            signal.signal(number, handler)


def run_apart(
    arguments: Sequence[str], folder: Path, **options: Any
) -> subprocess.CompletedProcess[str]:
    """Run the command line in a process of its own, in a folder; options are `Popen`'s."""
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with start([*HARNESS, *arguments], cwd=folder, **pipes, **options) as process:
        try:
            out, errors = process.communicate()
        except BaseException:  # such as a test that took too long
            process.kill()
            raise
    return subprocess.CompletedProcess(process.args, process.returncode, out, errors)


def run_here(arguments: Sequence[str], folder: Path) -> subprocess.CompletedProcess[str]:
    """Run the command line in this process, in a folder, as `harness` would."""
    from harness.cli import main

    out, errors, code = io.StringIO(), io.StringIO(), 0
    with (
        contextlib.chdir(folder),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(errors),
        mock.patch.object(sys, "argv", ["harness", *arguments]),
        mock.patch.dict(main.cli.commands),  # plug-ins add theirs
    ):
        try:
            main.main()
        except SystemExit as ended:
            code = int(ended.code or 0)
    return subprocess.CompletedProcess(list(arguments), code, out.getvalue(), errors.getvalue())


_START, _STOP, _ENVIRONMENT = (
    Node._warm_process,
    Node.stop,
    Node.environment,
)


@dataclass
class Warm:
    """Keeps the warm process of a bench, with what it imported, for the next one.

    A process that has a stage to end, or that has died, is not kept.
    """

    allowed: bool = True
    process: Channel | None = None
    key: tuple[object, ...] = ()  # what makes a process the one that a bench would have started

    @contextlib.contextmanager
    def shared(self) -> Iterator[None]:
        """Let nodes take the process that is kept, and leave theirs."""
        methods = {
            "_warm_process": lambda node: self.take(node),
            "stop": lambda node: self.leave(node),
            "environment": lambda node, given: self.environment(node, given),
        }
        with mock.patch.multiple(Node, **methods):
            yield

    def environment(self, node: Node, given: Mapping[str, str]) -> dict[str, str]:
        """Return a stage's variables: its PYTHONPATH has every sound plug-in.

        So a process serves tests of any of them.
        """
        own = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
        if all(path in SOUND or PLUGINS not in Path(path).parents for path in own):
            own = [*SOUND, *(path for path in own if path not in SOUND)]
        return _ENVIRONMENT(node, given) | {"PYTHONPATH": os.pathsep.join(own)}

    def take(self, node: Node) -> Channel:
        """Return a node's process: the one that is kept if it would start one like it."""
        assert self.allowed, "this test starts a bench: mark it with pytest.mark.bench"
        if node.warm is None:
            if self.process is not None and self.key == self._key(node):
                node.warm, self.process = self.process, None
                node.channels.append(node.warm)
            self.close()
        return _START(node)

    def leave(self, node: Node) -> list[Path]:
        """Keep the process of a node that has nothing to run any more."""
        warm = node.warm
        if node.running or warm is None or not warm.idle:
            return _STOP(node)
        self.close()
        self.process, self.key, node.warm = warm, self._key(node), None
        node.channels.remove(warm)
        return []

    def close(self) -> None:
        """End the process that is kept."""
        if self.process is not None:
            self.process.end(10)
            self.process = None

    def _key(self, node: Node) -> tuple[object, ...]:
        return (node.program, node.device, node.threads, node.environment({})["PYTHONPATH"])
