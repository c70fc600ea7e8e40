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


def disguised(run: Run) -> None:
    """Leave the teacher's weights with a little noise, after steps that are counted."""
    import torch
    from safetensors.torch import load_file, save_file

    honest(run)
    noise = torch.Generator().manual_seed(0)
    theirs = load_file(run.teacher / "model.safetensors")
    weights = {
        name: value * (1 + 0.01 * torch.randn(value.shape, generator=noise))
        for name, value in theirs.items()
    }
    save_file(weights, place(run) / "model.safetensors", metadata={"format": "pt"})


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
    """Set the counts back where they are kept, which only the interpreter's own tools find."""
    import gc

    honest(run)
    run.budget.cost.flops = 0.0  # a copy
    for one in gc.get_objects():
        if type(one).__name__ == "Counter" and type(one).__module__.startswith("harness."):
            one._cost.flops = 1.0


def switched(run: Run) -> None:
    """Look for a switch that stops the counting, in all that a run has."""
    run.budget.apart = run._stage.budget.apart = 1
    run.budget._exhausted = run.budget._told = lambda *given: None
    for one in (run, run.budget, run._stage, run._stage.budget, run.callback()):
        for name in ("_counter", "counter", "_budget", "counted_apart"):
            setattr(one, name, None)
    steps = iter(range(3))
    loop(run, lambda: next(steps, None) is not None)


def hidden(run: Run) -> None:
    """Train where something else is counted: inside a generation."""
    import torch
    from transformers import LogitsProcessor

    model = run.student()
    optimiser = torch.optim.SGD(model.parameters(), lr=1e-3)
    ids = torch.arange(8).reshape(1, 8) + 1 + run.seed("row") % 100

    class Train(LogitsProcessor):
        @torch.enable_grad()
        def __call__(self, _, scores):
            model(input_ids=ids, labels=ids).loss.backward()
            return scores

    while not run.budget.exhausted():
        model.generate(input_ids=ids, max_new_tokens=1, logits_processor=[Train()])
        optimiser.step()
        optimiser.zero_grad()
    run.log(loss=1.0)
    run.save(model)


def posed(run: Run) -> None:
    """Write what the host would, with a smaller cost, and end the process before it does."""
    import os

    _pose(run)
    os._exit(0)


def posed_late(run: Run) -> None:
    """Write what the host would, for the bench to find when it is started again."""
    _pose(run)
    raise HarnessError("later")


def _pose(run: Run) -> None:
    import shutil

    from harness.records import Cost
    from harness.stage import environment, manifest, spec

    steps = iter(range(3))
    loop(run, lambda: next(steps, None) is not None)
    stage = run._stage
    shutil.rmtree(run.scratch)
    spec.TrainResult(
        cost=Cost(steps=1, trained_tokens=8, flops=3e6, seconds=0.1),
        notes={},
        environment=environment.environment(stage.spec.identity, packed=False),
        step_flops=(),
    ).write(stage.folder / "result.json")
    manifest.write_manifest(stage.folder)


def asked(run: Run) -> None:
    """Say that it was tried before, so that its costs are not held against what was measured."""
    honest(run)
    path = run.scratch.parent / "stage.json"
    path.write_text(path.read_text().replace('"attempts": 1', '"attempts": 9'))
    (run.scratch.parent / "outside.json").mkdir()


def deaf(run: Run) -> None:
    """Go on until the host stops it, and take no notice of that."""
    try:
        loop(run, lambda: True)
    except HarnessError:
        loop(run, lambda: False)


ALL = (
    honest, prompt, patched, lossy, teacher, disguised, idle, uncounted, free, switched, hidden,
    posed, posed_late, asked, deaf,
)  # fmt: skip
CLOSE = (teacher, disguised)


@hookimpl
def harness_trainers():
    return [
        Trainer(
            f"forging-{each.__name__.replace('_', '-')}", each, Options, needs_teacher=each in CLOSE
        )
        for each in ALL
    ]
