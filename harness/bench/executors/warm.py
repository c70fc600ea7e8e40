"""A warm process that forks stages, so that torch and its friends are imported once for a bench.

Run as a module, with the process id of the bench. For each line that it reads, a `Job`, it forks a
guard (`guard.py`), which forks the stage. Guards answer for themselves on the standard output that
they share with this process; when one has ended, this process says so too. It ends, and all guards
with it, when its standard input closes: nothing outlives a bench that was killed. Where
this process ends before the bench does, the guards and their stages go on.

A stage starts from the same imported modules and nothing else: no stage has run in this process,
and it holds no variable that a stage may not see.

CUDA cannot be used in a fork of a process that has initialised it. On a GPU the imports see the
GPUs, and once they are done the driver is asked whether any of them has initialised it. If so, each
stage with a GPU is a fresh interpreter instead.
"""

from __future__ import annotations

import ctypes
import gc
import importlib
import os
import select
import signal
import sys
from contextlib import suppress
from pathlib import Path

import harness
from harness.bench.executors import confinement
from harness.bench.executors.guard import Job, Lost, guard, say, subreaper
from harness.bench.executors.limits import end_children
from harness.stage.processes import die_with_parent

PRELOADED = (
    "torch",
    "transformers.models.llama.modeling_llama",
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
    "harness.stage.judge",
    "harness.stage.train_stage",
    "harness.verify.workers.worker",
)


def preload() -> None:
    """Import what stages need. What cannot be imported fails again in the stage that needs it."""
    for name in PRELOADED:
        try:
            importlib.import_module(name)
        except Exception as error:  # a broken package must not stop stages that do without it
            sys.stderr.write(f"harness: cannot import {name}: {error}\n")
    for name in vars(harness)["__all__"]:  # what plug-ins import
        getattr(harness, name)
    with suppress(Exception):  # a table of all architectures, made when a model is loaded
        mapping = importlib.import_module("transformers.conversion_mapping")
        mapping.get_checkpoint_conversion_mapping("")
    # a collection in a stage would look at a million imported objects, and copy their pages
    gc.collect()
    gc.freeze()


CUDA_ERROR_NOT_INITIALIZED = 3  # what any function of the driver returns before `cuInit`


def driver() -> ctypes.CDLL:
    """Return CUDA's driver.

    Raises:
        OSError: If there is none.
    """
    return ctypes.CDLL("libcuda.so.1")


def cuda_untouched() -> bool:
    """Whether nothing in this process has initialised CUDA, so that its forks can use it."""
    try:
        found = driver().cuDeviceGetCount(ctypes.byref(ctypes.c_int()))
    except OSError:
        return False
    return bool(found == CUDA_ERROR_NOT_INITIALIZED)


def work(folder: Path) -> int:
    """Do a stage's work in this process; return the exit code."""
    from harness.stage.main import main

    return main(folder)


def reap(guards: dict[int, str]) -> None:
    """Tell of guards that have ended; one that was killed leaves its stage to this process."""
    lost = False
    while guards:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid == 0:
            break
        if pid in guards:
            lost = lost or status != 0
            say(Lost(job=guards.pop(pid), guard=pid))
    if lost:
        end_children(keep=guards)


def serve(parent: int) -> None:
    """Fork a guard for each job until standard input closes."""
    if parent:
        die_with_parent(parent)
    subreaper()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    preload()
    forks_use_cuda = cuda_untouched()
    if os.environ.get("CUDA_VISIBLE_DEVICES") and not forks_use_cuda:
        sys.stderr.write("harness: stages with a GPU are fresh interpreters: ")
        sys.stderr.write("an import has initialised CUDA, or it has no driver\n")
    confinement.prepare()
    # a guard that ends interrupts `select` by a byte in this pipe
    wake_read, wake_write = os.pipe()
    os.set_blocking(wake_write, False)
    signal.set_wakeup_fd(wake_write)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    guards: dict[int, str] = {}
    buffered = b""
    while True:
        ready, _, _ = select.select([0, wake_read], [], [])
        if wake_read in ready:
            os.read(wake_read, 4096)
        if 0 in ready:
            received = os.read(0, 65536)
            if not received:
                return  # the guards see it too
            buffered += received
            *lines, buffered = buffered.split(b"\n")
            for line in lines:
                job = Job.model_validate_json(line)
                pid = os.fork()
                if pid == 0:
                    fork = forks_use_cuda or not job.environment.get("CUDA_VISIBLE_DEVICES")
                    guard(job, work if fork else None, close=(wake_read, wake_write))
                guards[pid] = job.id
        reap(guards)


if __name__ == "__main__":
    serve(int(sys.argv[1]))
