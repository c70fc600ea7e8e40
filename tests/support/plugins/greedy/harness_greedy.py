"""Fine-tuning on a device that has room for so many rows of a forward pass and no more."""

from __future__ import annotations

import harness_sft

from harness import Run, Trainer, hookimpl


class GreedyOptions(harness_sft.SftOptions, frozen=True):
    room: int | None = None  # rows of a forward pass
    share: float | None = None  # of a GPU's memory


def train(run: Run) -> None:
    import torch

    def full(module, args, kwargs):
        if run.options.room is not None and len(kwargs["input_ids"]) > run.options.room:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")

    if run.options.share is not None:
        torch.cuda.set_per_process_memory_fraction(run.options.share)
    load = run.student

    def student():
        model = load()
        model.register_forward_pre_hook(full, with_kwargs=True)
        return model

    run.student = student
    harness_sft.train(run)


@hookimpl
def harness_trainers():
    return [Trainer("greedy", train, GreedyOptions, "needs much memory")]
