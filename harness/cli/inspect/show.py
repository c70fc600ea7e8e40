"""`harness show`: example problems of a board or a task, with the exact prompt a model sees."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.cli import options

if TYPE_CHECKING:
    from harness.boards.board import Board
    from harness.plugin.host import Host
    from harness.tasks.protocols import LmEvalProtocol, Protocol

Example = dict[str, Any]


@click.command("show")
@click.argument("name")
@click.option(
    "--number",
    type=click.IntRange(1),
    default=1,
    metavar="N",
    help="Which problem: the Nth of each task.",
)
@click.option(
    "--model",
    metavar="MODEL",
    help="Of a task: whose tokenizer and chat template make the prompt, such as tiny:start.",
)
@click.option(
    "--protocol", default="chat_zeroshot", metavar="NAME", help="Of a task: how it is put."
)
@options.data_option
@options.json_option
def command(
    name: str, number: int, model: str | None, protocol: str, data_dir: Path | None, as_json: bool
) -> None:
    """Show an example problem and its exact prompt.

    NAME is a board's name or TOML file, of which each score and the training data are shown with
    the tokenizer of its start model; or a task's name. Nothing but MODEL is downloaded.
    """
    from harness.boards.board import known_boards, load_board
    from harness.plugin.host import Host
    from harness.render.alone import example_lines

    host = Host(data_dir=data_dir, download=False)
    if name.endswith(".toml") or name in known_boards(host):
        shown = list(_of_board(load_board(name, host), number))
    else:
        shown = list(_of_task(host, name, number, model, protocol))
    if as_json:
        options.print_json(shown)
        return
    for one in shown:
        options.print_lines([f"{one['task']}, {one['split']}, {one['protocol']}"])
        lines = example_lines(
            number,
            one["row"],
            one["prompt"],
            one["tokens"],
            chat=one["chat"],
            completion=one["completion"],
        )
        options.print_lines(lines, None)


def _of_board(board: Board, number: int) -> Iterator[Example]:
    model = board.at_hand("start")
    for task in board.file.data.train:
        rows = board.rows_at_hand(task, "train")
        yield _example(task, "train", rows, number, board.protocol, model)
    for score in board.scores:
        rows = board.rows_at_hand(score.task.name, "test")
        yield _example(score.task.name, "test", rows, number, score.protocol, model)


def _of_task(
    host: Host, name: str, number: int, model: str | None, protocol: str
) -> Iterator[Example]:
    from harness.tasks.protocols import get_protocol

    task, made = host.task(name), get_protocol(protocol)
    folder = None if model is None else options.find_model(model, host)[0]
    there = [split for split in ("train", "test") if task.has(split)]
    for split in [split for split in there if task.here(split)] or there:
        yield _example(name, split, task.split(split), number, made, folder)


def _example(
    task: str,
    split: str,
    rows: list[dict[str, str]] | None,
    number: int,
    protocol: Protocol | LmEvalProtocol,
    model: Path | None,
) -> Example:
    """Return one row with its prompt and, of a training row, what is taught.

    Without a model at hand the prompt is what the protocol says, without a chat template.
    """
    from harness.errors import UsageError
    from harness.render.alone import Prompts
    from harness.tasks.protocols import LmEvalProtocol

    if rows is None:
        raise UsageError(
            f"the {split} rows of {task} are not here: harness tasks {task} says where from"
        )
    if number > len(rows):
        raise UsageError(f"--number {number}: {task} has {len(rows):,} {split} rows")
    row, tokens, prompt, completion = rows[number - 1], None, None, None
    if not isinstance(protocol, LmEvalProtocol):
        prompt = protocol.prompt(row["problem"])
        if split == "train":
            completion = protocol.completion(row.get("solution") or "", row["answer"])
        if model is not None:
            prompts = Prompts(model)
            prompt = prompts.text(protocol, row["problem"])
            tokens = prompts.tokens(prompt or "")
    return {
        "task": task,
        "split": split,
        "protocol": protocol.id,
        "chat": protocol.chat,
        "row": row,
        "prompt": prompt,
        "tokens": tokens,
        "completion": completion,
    }
