"""Trainers that do what trainers must not do, each in one way, and one that behaves."""

import ctypes
import errno
import os
import shutil
import signal
import sys
import time
from pathlib import Path
from typing import Annotated

from harness import Conventions, Options, Run, Search, StageError, Task, Trainer, hookimpl


class CopyOptions(Options):
    flip: int = 0  # added to one weight, so that the checkpoint differs


class PickyOptions(CopyOptions):
    flip: Annotated[int, Search(choices=(7, 8))] = 0


def out(run: Run) -> Path:
    """Return the checkpoint's folder, which a trainer need not know: `run.save` writes to it."""
    return run.scratch.parent / "checkpoint"


def copy(run: Run) -> None:
    """Take one step, and leave the start model with one weight changed."""
    import torch
    from safetensors.torch import load_file, save_file

    model = run.student()
    model(input_ids=torch.ones(1, 4, dtype=torch.long)).logits.sum().backward()
    torch.optim.SGD(model.parameters(), lr=1e-4).step()
    weights = load_file(run.base_model / "model.safetensors")
    weights["model.norm.weight"][0] += run.options.flip + run.seed("flip") % 1000 / 1e4
    shutil.copytree(run.base_model, out(run), dirs_exist_ok=True)
    save_file(weights, out(run) / "model.safetensors", metadata={"format": "pt"})
    run.log(loss=0.5, progress=1.0)
    run.note(rows=len(run._stage.rows), teacher=bool(run.teacher))


def picky(run: Run) -> None:
    """Copy, but under no option that a search would try."""
    if run.options.flip:
        raise StageError(f"flip={run.options.flip} is too much")
    copy(run)


def slow(run: Run) -> None:
    """Copy, slowly."""
    for _ in range(40):
        time.sleep(0.05)
    copy(run)


def segfault(run: Run) -> None:
    ctypes.string_at(0)


def leave(run: Run) -> None:
    sys.exit(3)


def vanish(run: Run) -> None:
    os._exit(0)


def fail(run: Run) -> None:
    raise ValueError("the loss is\nnot a number")


def explain(run: Run) -> None:
    raise StageError("no row is short enough; raise max_length")


def leak(run: Run) -> None:
    """Quote a secret, colours, and marks that turn a line around, wherever a message may go."""
    token, hostile = os.environ["LEAKED_TOKEN"], "\x1b[31mred\x1b]0;title\x07 \u202eback\u2066"
    sys.stderr.write(f"logged in with {token}\n")
    raise ValueError(f"{hostile} 401 for {token} <b>|`*{{{run.base_model}}}")


def tell(run: Run) -> None:
    """Copy, and note a secret, colours and a path."""
    copy(run)
    token = os.environ["LEAKED_TOKEN"]
    run.note(hub=[{"token": token}], says="\x1b[2J\u202e=cmd()", found=str(run.scratch / "x.txt"))
    sys.stderr.write(token)


def hang(run: Run) -> None:
    time.sleep(600)


def kill(run: Run) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def exhaust(run: Run) -> None:
    raise MemoryError("cannot take 900 GiB")


def fill(run: Run) -> None:
    raise OSError(errno.ENOSPC, "No space left on device", str(out(run) / "model.safetensors"))


def nothing(run: Run) -> None:
    """Leave no checkpoint."""


def pickle(run: Run) -> None:
    copy(run)
    (out(run) / "model.safetensors").rename(out(run) / "pytorch_model.bin")


def overrun(run: Run) -> None:
    """Train by a loop of its own that never asks the budget."""
    import torch

    model = run.student()
    optimiser = torch.optim.SGD(model.parameters(), lr=1e-3)
    while True:
        loss = model(input_ids=torch.ones(2, 8, dtype=torch.long)).logits.sum()
        loss.backward()
        optimiser.step()


def spoil(run: Run) -> None:
    """Behave, and change the data that others train on."""
    copy(run)
    for path in (run.scratch.parents[2] / "data").glob("train-*.jsonl"):
        path.write_text(path.read_text().replace('"answer": "1"', '"answer": "7"'))


BAD = (
    leak,
    segfault,
    leave,
    vanish,
    fail,
    explain,
    hang,
    kill,
    exhaust,
    fill,
    nothing,
    pickle,
    overrun,
)


@hookimpl
def harness_trainers():
    return [
        Trainer("unruly", copy, CopyOptions, "behaves"),
        Trainer("unruly-picky", picky, PickyOptions, "behaves, untuned"),
        Trainer("unruly-slow", slow, CopyOptions, "behaves, slowly"),
        Trainer("unruly-spoil", spoil, CopyOptions, "spoils the data of others"),
        Trainer("unruly-tell", tell, CopyOptions, "behaves, and tells"),
        Trainer("unruly-taught", copy, CopyOptions, "wants a teacher", needs_teacher=True),
        Trainer(
            "unruly-alike", copy, CopyOptions, "wants an equal tokenizer", True, same_tokenizer=True
        ),
        *(Trainer(f"unruly-{bad.__name__}", bad, CopyOptions) for bad in BAD),
    ]


def rows(split: str) -> list[dict[str, str]]:
    count = {"train": 12, "holdout": 4, "test": 10}[split]
    return [
        {
            "id": f"{split}-{i}",
            "problem": f"{split} {i}+1?",
            "solution": f"{i}+1={i + 1}.",
            "answer": str(i + 1),
        }
        for i in range(count)
    ]


def traces(split: str) -> list[dict[str, str]]:
    wrote = "<think>\nOne more.\n</think>\n\n{solution} \\boxed{{{answer}}}"
    return [
        row | {"solution": wrote.format(**row)} for row in (rows(split) if split == "train" else [])
    ]


@hookimpl
def harness_tasks():
    return [
        Task(name="unruly_traces", rows=traces, summary="sums, solved at length"),
        Task(name="unruly_sums", rows=rows, summary="sums", conventions=Conventions()),
        Task(name="unruly_other", rows=lambda s: rows(s) if s == "test" else []),
    ]
