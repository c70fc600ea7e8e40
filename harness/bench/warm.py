"""A warm process that forks stages, so that torch and its friends are imported once for a bench.

Run as `python -m harness.bench.warm <pid of the bench>`. For each line
`{"folder": ..., "environment": {...}}` that it reads it forks a child, in a process group of its
own, with its output in the stage's log. It answers with
`{"folder": ..., "pid": ...}` and, when the child has ended, `{"folder": ..., "exit": ...}`, where a
negative exit is the signal that ended it. It ends, and its children with it, when its standard
input closes: nothing outlives a bench that was killed.

A child starts from the same imported modules and nothing else: no stage has run in this process.
CUDA cannot be used after a fork, so on a GPU each stage is a fresh interpreter instead.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import select
import signal
import sys
from pathlib import Path

from harness.stage.processes import die_with_parent

PRELOADED = (
    "torch",
    "transformers.models.qwen2.modeling_qwen2",
    "transformers.trainer",
    "datasets",
    "peft",
    "trl.trainer.sft_trainer",
    "trl.trainer.grpo_trainer",
    "trl.trainer.distillation_trainer",
    "lm_eval.evaluator",
    "lm_eval.loggers",
    "lm_eval.models.huggingface",
    "harness.stage.main",
    "harness.stage.generate",
)


def preload() -> None:
    """Import what stages need. What cannot be imported fails again in the stage that needs it."""
    for name in PRELOADED:
        try:
            importlib.import_module(name)
        except Exception as error:  # a broken package must not stop stages that do without it
            sys.stderr.write(f"harness.bench.warm: cannot import {name}: {error}\n")


def redirect_output(folder: Path) -> None:
    log = os.open(folder / "log.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(log)
    os.close(null)


def run_child(parent: int, folder: Path, environment: dict[str, str]) -> None:
    """Do one stage in a freshly forked child, and never return."""
    code = 1
    try:
        os.setsid()
        die_with_parent(parent)
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.environ.update(environment)
        redirect_output(folder)
        from harness.stage.main import AGAIN, again, main

        code = main(folder)
        if code == AGAIN:
            again(folder)
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(code)


def reap(children: dict[int, str]) -> None:
    while children:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid == 0:
            return
        folder = children.pop(pid, None)
        if folder is not None:
            report({"folder": folder, "exit": os.waitstatus_to_exitcode(status)})


def report(message: dict[str, object]) -> None:
    os.write(1, json.dumps(message).encode() + b"\n")


def serve(parent: int) -> None:
    """Fork a stage for each request until standard input closes."""
    die_with_parent(parent)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    own = os.getpid()
    preload()
    # a child that ends interrupts `select` by a byte in this pipe
    wake_read, wake_write = os.pipe()
    os.set_blocking(wake_write, False)
    signal.set_wakeup_fd(wake_write)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    children: dict[int, str] = {}
    buffered = b""
    while True:
        ready, _, _ = select.select([0, wake_read], [], [])
        if wake_read in ready:
            os.read(wake_read, 4096)
        if 0 in ready:
            received = os.read(0, 65536)
            if not received:
                break
            buffered += received
            *lines, buffered = buffered.split(b"\n")
            for line in lines:
                request = json.loads(line)
                pid = os.fork()
                if pid == 0:
                    signal.set_wakeup_fd(-1)
                    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                    run_child(own, Path(request["folder"]), request["environment"])
                children[pid] = request["folder"]
                report({"folder": request["folder"], "pid": pid})
        reap(children)
    for pid in children:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)


if __name__ == "__main__":
    serve(int(sys.argv[1]))
