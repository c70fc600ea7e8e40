"""`harness score`: score a model on a board beside its start model, or on tasks by itself."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.cli import options
from harness.cli.running import run, show, stop_if_unfinished

if TYPE_CHECKING:
    from harness.bench.folder import Folder
    from harness.boards.board import Board
    from harness.records import Record


@click.command("score")
@click.argument("model")
@click.argument("board", default=None, required=False)
@options.repeated(
    "--task", "tasks", metavar="NAME", text="Instead of BOARD: a task, or a JSONL file of problems"
)
@click.option(
    "--protocol",
    metavar="NAME",
    help="With --task.  [default: chat_zeroshot, or base_fewshot without a chat template]",
)
@click.option(
    "--limit", type=click.IntRange(1), metavar="N", help="With --task: the first N problems."
)
@click.option(
    "--max-new-tokens",
    type=click.IntRange(1),
    metavar="N",
    help="With --task: most tokens of an answer.  [default: the task's]",
)
@click.option(
    "--show",
    "examples",
    type=click.IntRange(0),
    default=0,
    metavar="N",
    help="With --task: show N problems with prompt, answer and judgement.",
)
@options.device_option
@options.data_option
@options.runs_option
@options.json_option
def command(
    model: str,
    board: str | None,
    tasks: tuple[str, ...],
    protocol: str | None,
    limit: int | None,
    max_new_tokens: int | None,
    examples: int,
    device: str,
    data_dir: Path | None,
    runs: Path,
    as_json: bool,
) -> None:
    """Score a model on a board or on tasks, without training.

    MODEL is a folder with safetensors and a tokenizer, the id of a model on the Hub, or a model
    of a board such as tiny:start. With --task it is scored by itself. Else it is scored beside
    the start model of BOARD, a board's name or TOML file; tiny if none is given.
    """
    from harness.bench.executors.gpus import choose_device
    from harness.bench.folder import Folder
    from harness.bench.plan import plan_score, plan_start
    from harness.leaderboard.build import build

    given = {
        "--protocol": protocol,
        "--limit": limit,
        "--max-new-tokens": max_new_tokens,
        "--show": examples,
    }
    if tasks and board is not None:
        raise click.UsageError("name a board or --task, not both")
    if wrong := [name for name, value in given.items() if value and not tasks]:
        raise click.UsageError(f"{wrong[0]} goes with --task")
    where = choose_device(device)
    if not tasks:
        host, loaded = options.open_board(board or "tiny", data_dir)
        folder = Folder(runs.resolve() / loaded.name)
        found, name = options.find_model(model, host)
        records = []
        for plan, place in (
            (plan_score(loaded, found, where, name=name), Folder(folder.path / "scored")),
            (plan_start(loaded, where), folder),
        ):
            outcome = run(plan, host, place)
            records += outcome.records
            stop_if_unfinished(outcome, place)
        if records[0].checkpoint == records[1].checkpoint:
            click.echo(f"harness: {name} has the start model's weights", err=True)
        show(build(records, loaded.conditions(), asked=()), as_json)
        return

    from harness.boards.alone import NAME, alone
    from harness.plugin.host import Host

    host = Host(data_dir=data_dir)
    found, name = options.find_model(model, host)
    loaded = alone(host, found, tasks, protocol, limit=limit, max_new_tokens=max_new_tokens)
    words = ["harness", "score", name, *(word for task in tasks for word in ("--task", task))]
    for option, value in list(given.items())[:3]:
        words += [option, str(value)] if value else []
    plan = plan_score(loaded, found, where, name=name, command=shlex.join(words))
    place = Folder(runs.resolve() / NAME)
    outcome = run(plan, host, place)
    stop_if_unfinished(outcome, place)
    _print(outcome.records[0], loaded, place, found, examples, as_json)


def _print(
    record: Record, board: Board, place: Folder, model: Path, examples: int, as_json: bool
) -> None:
    from harness.render.alone import example_lines, score_json, score_lines

    shown: list[dict[str, Any]] = []
    for score, made in zip(record.scores, board.scores, strict=True):
        shown.append(score_json(score))
        if not as_json:
            options.print_lines(score_lines(score))
        if not examples:
            continue
        from harness.leaderboard.diff import read_answers
        from harness.render.alone import Prompts

        prompts, answers = Prompts(model), read_answers(place.path, record, score)
        shown[-1]["examples"] = []
        for number, row in enumerate(board.test_rows(made.table)[:examples], start=1):
            prompt = prompts.text(made.protocol, row["problem"])
            tokens = None if prompt is None else prompts.tokens(prompt)
            mine = [answer for answer in answers if answer["id"] == row["id"]]
            shown[-1]["examples"].append({"row": row, "prompt": prompt, "answers": mine})
            if not as_json:
                options.print_lines(example_lines(number, row, prompt, tokens, answers=mine), None)
    if as_json:
        options.print_json({"model": record.trainer, "digest": record.checkpoint, "scores": shown})
