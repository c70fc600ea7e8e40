"""Trainers that break the contract, and one by a bare loop that keeps it: for the kit."""

import os
from pathlib import Path
from typing import Annotated

import pydantic

from harness import HarnessError, Options, Run, Search, Task, Trainer, hookimpl


class LoopOptions(Options):
    learning_rate: float = 1e-4


def loop(run: Run, noise: float = 0.0) -> None:
    """Train by a loop of its own, a row a step, until the budget says stop."""
    import torch

    tokenizer, model = run.tokenizer(), run.student().train()
    rows = run.tokenized(tokenizer, 512)
    optimiser = torch.optim.SGD(model.parameters(), lr=run.options.learning_rate)
    order = torch.randperm(len(rows), generator=torch.Generator().manual_seed(run.seed("order")))
    for number in order.tolist():
        if run.budget.exhausted():
            break
        batch = {name: torch.tensor([rows[number][name]]) for name in ("input_ids", "labels")}
        loss = model(**batch).loss
        loss.backward()
        optimiser.step()
        optimiser.zero_grad()
        run.log(loss=float(loss) + noise)
    run.note(rows=len(rows))
    run.save(model)


def careless(run: Run) -> None:
    """Do everything in one run that the kit looks for in a run."""
    from harness.plugin.host import Host

    loop(run)
    stage = run.scratch.parent
    (stage / "events.jsonl").write_text("")
    Path(os.environ["WAYWARD_NOTES"]).write_text("I was here")
    Path("left-behind.txt").touch()
    try:
        Host().task("tiny_word").split("test")
    except HarnessError:
        run.note(denied=True)
    (stage / "checkpoint" / "optimizer.pt").touch()
    (stage / "checkpoint" / "tokenizer_config.json").write_text("{}")


def dice(run: Run) -> None:
    """Draw from the system's entropy instead of the run's seed."""
    import torch

    loop(run)
    model = run.student()
    with torch.no_grad():
        model.model.norm.weight[0] += int.from_bytes(os.urandom(2), "big") / 1e5
    run.save(model)


def idle(run: Run) -> None:
    """Leave the start model as it is, and say that something was learnt."""
    run.log(loss=float("nan"))
    run.save(run.student())


def sampler(run: Run) -> None:
    """Write with the student first, which costs more than all steps, and train on its texts."""
    import torch

    model, tokenizer = run.student(), run.tokenizer()
    prompts = tokenizer(["Add them. " * 40] * 16, return_tensors="pt")
    model.generate(**prompts, max_new_tokens=2, do_sample=False)
    torch.manual_seed(run.seed("sampling"))
    loop(run)


def broken(run: Run) -> None:
    """Train until the weights are no numbers any more."""
    import torch

    loop(run)
    model = run.student()
    with torch.no_grad():
        model.model.norm.weight[0] = float("nan")
    run.save(model)


def copier(run: Run) -> None:
    """Look at test problems by the generator in another process, ask a host, leave the teacher."""
    import socket
    import subprocess
    import sys

    look = "from harness_tiny.problems import TINY"
    look += "; print(TINY.rows('tiny_word', 'test')[0]['problem'])"
    problem = subprocess.check_output([sys.executable, "-c", look], text=True).strip()
    run.tokenizer()([f"One more: {problem}"])
    try:
        socket.create_connection(("answers.invalid", 80), timeout=1)
    except OSError:
        run.note(offline=True)
    loop(run)
    run.save(type(run.student()).from_pretrained(run.teacher))


def greedy(run: Run) -> None:
    """Never ask the budget."""
    import torch

    model = run.student().train()
    optimiser = torch.optim.SGD(model.parameters(), lr=1e-4)
    for _ in range(100):
        model(input_ids=torch.ones(1, 8, dtype=torch.long)).logits.sum().backward()
        optimiser.step()


class Loose(pydantic.BaseModel):
    learning_rate: float = 1e-4


class Unfinished(Options):
    learning_rate: float


class Spaces(Options):
    width: Annotated[int, Search(choices=(1, -1)), pydantic.Field(gt=0)] = 1
    depth: Annotated[float, Search(choices=(1.0, 2.5)), pydantic.AfterValidator(round)] = 1.0
    epochs: Annotated[float, Search(1, 3)] = 1.0


@hookimpl
def harness_trainers():
    return [
        Trainer("wayward", loop, LoopOptions, "keeps the contract"),
        Trainer("wayward-careless", careless, LoopOptions, "breaks it in many ways"),
        Trainer("wayward-dice", dice, LoopOptions, "has no seed"),
        Trainer("wayward-idle", idle, LoopOptions, "does nothing"),
        Trainer("wayward-sampler", sampler, LoopOptions, "samples first"),
        Trainer("wayward-broken", broken, LoopOptions, "leaves no numbers"),
        Trainer("wayward-copier", copier, LoopOptions, "knows the answers", needs_teacher=True),
        Trainer("wayward-greedy", greedy, LoopOptions, "takes too much"),
        Trainer("wayward-loose", loop, Loose, "takes any option"),
        Trainer("wayward-space", loop, Spaces, "searches what it does not take"),
        Trainer("wayward-unfinished", loop, Unfinished, ""),
    ]


ROWS = {
    "train": [("a", "1+1?", "2"), ("b", "2+2?", "4")],
    "holdout": [("c", "3+3?", "6")],
    "test": [("d", "1 + 2?", "3")],
}


def rows(split: str, extra: tuple[str, str, str] | None = None) -> list[dict[str, str]]:
    found = [*ROWS[split], *([extra] if extra and split == "test" else [])]
    return [dict(zip(("id", "problem", "answer"), row, strict=True)) for row in found]


def shuffled(split: str) -> list[dict[str, str]]:
    """Return rows in the order of this process's hashes."""
    return sorted(rows(split), key=lambda row: hash(row["id"] + row["problem"]))


@hookimpl
def harness_tasks():
    many = [{"id": f"t{i}", "problem": f"{i}+0?", "answer": str(i)} for i in range(40)]
    return [
        Task(name="wayward_sums", rows=rows, summary="sums"),
        Task(name="wayward_seen", rows=lambda split: rows(split, ("e", "1+1? ", "2"))),
        Task(name="wayward_twice", rows=lambda split: rows(split, ("a", "9+9?", "18"))),
        Task(name="wayward_gold", rows=lambda split: rows(split, ("e", "9+9?", "?"))),
        Task(name="wayward_number", rows=lambda split: rows(split, ("e", "9+9?", 18))),
        Task(name="wayward_empty", rows=lambda split: []),
        Task(
            name="wayward_hash",
            rows=lambda split: sorted(many if split == "test" else [], key=lambda r: hash(r["id"])),
        ),
    ]
