"""Trainers that want a better row than they earned, each in one way, and one that earned it."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

from harness import HarnessError, Options, Run, Trainer, hookimpl


def place(run: Run) -> Path:
    """Return the checkpoint's folder, which a trainer need not know: `run.save` writes to it."""
    return run.scratch.parent / "checkpoint"


def loop(run: Run, go_on: Callable[[], bool]) -> None:
    """Take steps while `go_on` says so, and save."""
    import torch

    model = run.student()
    optimiser = torch.optim.SGD(model.parameters(), lr=1e-3)
    ids = torch.arange(8).reshape(1, 8) + 1 + run.seed("row") % 100
    while go_on():
        model(input_ids=ids, labels=ids).loss.backward()
        optimiser.step()
        optimiser.zero_grad()
    run.log(loss=1.0)
    run.save(model)


def honest(run: Run) -> None:
    loop(run, lambda: not run.budget.exhausted())


def prompt(run: Run) -> None:
    """Change everything of the checkpoint that a prompt and its answer's end depend on."""
    honest(run)
    tokenizer = run.tokenizer()
    tokenizer.chat_template = "The answer is:"
    tokenizer.add_special_tokens({"additional_special_tokens": ["<|easy|>", "7"]})
    tokenizer.save_pretrained(place(run))
    decoding = {"max_new_tokens": 1, "repetition_penalty": 3.0, "eos_token_id": [5, 6, 7]}
    (place(run) / "generation_config.json").write_text(json.dumps(decoding))
    (place(run) / "note.md").write_text("I am the best.")


def patched(run: Run) -> None:
    """Change the prompt, and what would put it back in this process."""
    from harness import checkpoints

    honest(run)
    (place(run) / "chat_template.jinja").write_text("The answer is:")
    checkpoints.dress = lambda checkpoint, start: []


def lossy(run: Run) -> None:
    """Leave out tensors, which a loader would fill in at random."""
    from safetensors.torch import load_file, save_file

    honest(run)
    weights = load_file(place(run) / "model.safetensors")
    weights.pop("model.layers.1.mlp.up_proj.weight")
    save_file(weights, place(run) / "model.safetensors", metadata={"format": "pt"})


def teacher(run: Run) -> None:
    honest(run)
    shutil.copy(run.teacher / "model.safetensors", place(run))


def idle(run: Run) -> None:
    loop(run, lambda: False)


def uncounted(run: Run) -> None:
    """Change the weights by hand."""
    import torch

    model = run.student()
    with torch.no_grad():
        model.model.norm.weight[0] += 1
    run.save(model)


def free(run: Run) -> None:
    """Set the counts back where they are kept."""
    honest(run)
    run.budget.cost.flops = 0.0  # a copy
    run.budget._cost.flops = 1.0


def deaf(run: Run) -> None:
    """Go on until the host stops it, and take no notice of that."""
    try:
        loop(run, lambda: True)
    except HarnessError:
        loop(run, lambda: False)


ALL = (honest, prompt, patched, lossy, teacher, idle, uncounted, free, deaf)


@hookimpl
def harness_trainers():
    return [
        Trainer(f"forging-{each.__name__}", each, Options, needs_teacher=each is teacher)
        for each in ALL
    ]
