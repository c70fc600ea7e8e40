"""A trainer whose teacher's texts quote test problems, and a task whose problems come in groups."""

import shutil

from harness import Options, Run, Task, Trainer, hookimpl

NAMES = ["Ann", "Ben", "Cleo", "Dan", "Eva", "Finn", "Gus", "Hana", "Ivo", "Jan", "Kai", "Lea"]
PLACES = ["harbour", "market", "station", "library"]


def problem(place: int) -> str:
    """Return a problem of 20 words, of which eight in a row are common to all of a group."""
    name, where = NAMES[place], PLACES[place // 3]
    return (
        f"{name} walks {place + 2} miles to the {where} {name} rests there for a quarter hour then"
        f" {name} returns how far did {name} go"
    )


def copy(run: Run) -> None:
    """Leave the start model."""
    shutil.copytree(run.base_model, run.scratch.parent / "checkpoint", dirs_exist_ok=True)


def quote(run: Run) -> None:
    """Leave the start model, and say that texts with some test problems were trained on."""
    copy(run)
    run.synthetic([f"A teacher wrote: {problem(7)}? It is 18.", "nothing of the kind"])


@hookimpl
def harness_trainers():
    return [
        Trainer("quoting", quote, Options, "quotes a test problem"),
        Trainer("quoting-not", copy, Options, "quotes nothing"),
    ]


def rows(split: str) -> list[dict[str, str]]:
    if split == "test":
        return [
            {
                "id": f"t{place}",
                "problem": problem(place),
                "answer": str(2 * place + 4),
                "group": PLACES[place // 3],
            }
            for place in range(12)
        ]
    own = [{"id": f"{split}0", "problem": "What is 1 + 1?", "solution": "2", "answer": "2"}]
    if split == "train":  # one test problem stands in a training solution
        own.append({**own[0], "id": "train1", "solution": f"As in: {problem(2)}."})
    return own


@hookimpl
def harness_tasks():
    return [Task(name="quoting_walks", rows=rows, summary="walks, in groups of three")]
