"""A board made for one model and some tasks: it scores, trains nothing and ranks nothing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from harness import checkpoints
from harness.boards.board import Board
from harness.boards.file import BoardFile, BudgetTable, Compute, Data, OwnTask, ScoreTable
from harness.errors import UsageError
from harness.plugin.host import Host
from harness.tasks.protocols import get_protocol
from harness.tasks.task import Task

NAME = "alone"


def alone(
    host: Host,
    model: Path,
    tasks: Sequence[str],
    protocol: str | None = None,
    *,
    limit: int | None = None,
    max_new_tokens: int | None = None,
) -> Board:
    """Return what scores a model on tasks.

    Args:
        host: Its plug-ins offer the tasks.
        model: The model's folder.
        tasks: Names of tasks, or JSONL files of `problem` and `answer`.
        protocol: By default `chat_zeroshot` for a model with a chat template, else `base_fewshot`.
        limit: The first so many problems of each task; None takes all.
        max_new_tokens: Most tokens of an answer; by default what the task suggests, and at most
            half of the model's context.

    Raises:
        UsageError: If a name is unknown, a task has no test problems, or a limit is impossible.
    """
    checkpoints.check_model_folder(model)
    if protocol is None:
        protocol = "chat_zeroshot" if checkpoints.has_chat_template(model) else "base_fewshot"
    if get_protocol(protocol).chat and not checkpoints.has_chat_template(model):
        raise UsageError(
            f"protocol {protocol} needs a chat template and {model} has none; take base_fewshot"
        )
    own = {_stem(name): OwnTask(test=name) for name in tasks if _is_file(name)}
    names = list(dict.fromkeys(_stem(name) if _is_file(name) else name for name in tasks))
    context = checkpoints.context_length(model)
    scores = []
    for number, name in enumerate(names):
        task = own[name].task(name, Path()) if name in own else host.task(name)
        scores.append(
            ScoreTable(
                task=name,
                protocol=protocol,
                max_new_tokens=max_new_tokens or _tokens(task, context),
                ranking=number == 0,
                limit=limit,
            )
        )
    # what a board must have beyond its scores is about training
    file = BoardFile.model_construct(
        schema_version=1,
        name=NAME,
        title="A model scored by itself",
        start_model=str(model.resolve()),
        trainers=(),
        seeds=(),
        tasks=own,
        data=Data.model_construct(train=()),
        budget=BudgetTable.model_construct(),
        compute=Compute(),
        scores=tuple(scores),
    )
    return Board(file, Path(f"{NAME}.toml"), host)


def _tokens(task: Task, context: int | None) -> int:
    return task.max_new_tokens if context is None else min(task.max_new_tokens, context // 2)


def _is_file(name: str) -> bool:
    return name.endswith((".jsonl", ".jsonl.gz"))


def _stem(name: str) -> str:
    return Path(name).name.removesuffix(".gz").removesuffix(".jsonl").lower()
