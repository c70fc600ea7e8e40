"""Fine-tuning on a device that has room for so many rows of a forward pass and no more."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import harness_sft

from harness import Run, Trainer, hookimpl


class GreedyOptions(harness_sft.SftOptions, frozen=True):
    room: int | None = None  # rows of a forward pass
    share: float | None = None  # of a GPU's memory


def train(run: Run) -> None:
    import torch

    limited(run, torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"))
    harness_sft.train(run)


def train_without_workspace(run: Run) -> None:
    """Train where it is cuBLAS that finds no memory; torch raises no error of its own for that."""
    text = "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"
    limited(run, RuntimeError(text))
    harness_sft.train(run)


def train_on_answers(run: Run) -> None:
    """Tell the host of a batch that it could divide, and write answers first."""
    import torch

    run.arguments(per_device_train_batch_size=run.options.batch_size)
    limited(run, torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"))
    run.generate(run.student(), run.tokenizer(), [[5, 6, 7], [5, 6]])


def train_and_say_so_late(run: Run) -> None:
    """Say in the third step that memory is full, with weights left where the next attempt looks."""
    import torch

    folder, load, passes = run.scratch.parent, run.student, []
    places = (folder, run.scratch, Path(tempfile.gettempdir()))
    run.note(found=sorted(path.name for place in places for path in place.iterdir()))
    opened = [os.readlink(path) for path in Path("/proc/self/fd").iterdir() if path.is_symlink()]
    run.note(found_open=[name for name in opened if "mine" in name])
    run.note(found_rank=os.environ.get("LOCAL_RANK"))

    def student():
        model = load()

        def full(module, args, kwargs):
            passes.append(len(kwargs["input_ids"]))
            if passes[-1] == run.options.batch_size and len(passes) == 3:
                for place in places:
                    torch.save(module.state_dict(), place / "mine.pt")
                os.set_inheritable(os.memfd_create("mine", 0), True)
                os.environ["LOCAL_RANK"] = "0"  # as TRL does for vLLM
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")

        model.register_forward_pre_hook(full, with_kwargs=True)
        return model

    run.student = student
    harness_sft.train(run)


def limited(run: Run, error: Exception) -> None:
    """Let the student raise an error in a forward pass of more rows than there is room for."""
    import torch

    def full(module, args, kwargs):
        if run.options.room is not None and len(kwargs["input_ids"]) > run.options.room:
            raise error

    if run.options.share is not None:
        torch.cuda.set_per_process_memory_fraction(run.options.share)
    load = run.student

    def student():
        model = load()
        model.register_forward_pre_hook(full, with_kwargs=True)
        return model

    run.student = student


@hookimpl
def harness_trainers():
    return [
        Trainer("greedy", train, GreedyOptions, "needs much memory"),
        Trainer("greedy-cublas", train_without_workspace, GreedyOptions, "needs a workspace"),
        Trainer("greedy-late", train_and_say_so_late, GreedyOptions, "has trained before"),
        Trainer("greedy-answers", train_on_answers, GreedyOptions, "writes answers"),
    ]
