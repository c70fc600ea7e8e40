"""`harness new`: a plug-in or a board to start from."""

from __future__ import annotations

import json
import random
import re
import shutil
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING

import click

from harness.cli import options

if TYPE_CHECKING:
    from harness.boards.board import Board

TEMPLATES = Path(__file__).parent / "templates"
THINGS = ("apples", "books", "coins", "eggs", "pens")


@click.command("new")
@click.argument("kind", metavar="KIND", type=click.Choice(["plugin", "board"]))
@click.argument("name")
@click.option("--loop", is_flag=True, help="Of a plug-in: a plain loop in torch instead of TRL.")
@click.option(
    "--from",
    "original",
    metavar="BOARD",
    help="Of a board: copy this one, a name or TOML file, with its models and files.",
)
@click.option(
    "--out", type=options.FOLDER, help="Folder to write.  [default: harness-NAME, or NAME]"
)
def command(kind: str, name: str, loop: bool, original: str | None, out: Path | None) -> None:
    """Write a plug-in or a board to start from.

    KIND is plugin, a package with one trainer and its test, or board, a board file with
    training and test rows and a copy of the tiny model. NAME is lower-case. Both work as they are.
    With --from a board is a copy of another, to be given other seeds, trainers or a larger budget.
    """
    from harness.boards.board import load_board
    from harness.errors import UsageError
    from harness.plugin.host import Host

    if not re.fullmatch(r"[a-z][a-z0-9_]{0,40}", name):
        raise UsageError(f"{name!r} is no name: lower-case letters, digits and _ make one")
    if (loop and kind == "board") or (original and kind == "plugin"):
        raise UsageError("--loop is for a plugin, --from for a board")
    host = Host()
    if kind == "plugin" and name in host.names:
        raise UsageError(f"a plug-in {name!r} is installed already; take another name")
    folder = out or Path(name if kind == "board" else f"harness-{name}")
    if folder.exists() and any(folder.iterdir()):
        raise UsageError(f"{folder} is there already; name another by --out")
    copied = load_board(original, host) if original else None
    folder.mkdir(parents=True, exist_ok=True)
    if copied:
        _copy(copied, folder, name)
        click.echo(
            f"{folder} is written, with what {copied.name} fixes. Change seeds or whatever else in"
            f" {folder / name}.toml, then look at it: harness bench {folder / name}.toml --dry-run"
        )
        return
    if kind == "plugin":
        _write(folder / "pyproject.toml", "pyproject.toml", name=name)
        _write(folder / f"harness_{name}.py", "loop.py" if loop else "trl.py", name=name)
        _write(folder / "tests" / f"test_{name}.py", "test.py", name=name)
        click.echo(
            f"{folder} is written. Try it: pip install -e {folder}, harness bench --plugins {name}"
        )
        return
    model = load_board("tiny", host).model("start")
    shutil.copytree(model, folder / "model")
    _write(folder / f"{name}.toml", "board.toml", name=name, task=f"{name}_sums", model="model")
    rows = _rows(random.Random(0))
    for split, part in (("train", rows[:200]), ("test", rows[200:])):
        text = "".join(json.dumps(row) + "\n" for row in part)
        (folder / f"{split}.jsonl").write_text(text, encoding="utf-8")
    click.echo(f"{folder} is written. Look at it: harness bench {folder / name}.toml --dry-run")


def _copy(board: Board, folder: Path, name: str) -> None:
    """Write a board's file under another name, beside copies of the files that it names."""
    file = board.file
    text = board.path.read_text(encoding="utf-8")
    named = [file.start_model, file.teacher, file.compute.accelerate]
    for task in file.tasks.values():
        named += task.files().values()
    for each in dict.fromkeys(filter(None, named)):
        place, copy = board.folder / each, folder / each
        if not place.exists():  # a model of the Hub
            continue
        if ".." in Path(each).parts or copy == place:  # where it is, it stays
            text = text.replace(json.dumps(each), json.dumps(str(place.resolve())))
        elif place.is_dir():
            shutil.copytree(place, copy)
        else:
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(place, copy)
    title = f"{file.title} (conditions copied from {board.name})"
    for key, value in (("name", name), ("title", title)):
        line = f"{key} = {json.dumps(value, ensure_ascii=False)}".replace("\\", r"\\")
        text = re.sub(rf"(?m)^{key}\s*=.*$", line, text, count=1)
    (folder / f"{name}.toml").write_text(text, encoding="utf-8")


def _write(path: Path, template: str, **words: str) -> None:
    text = (TEMPLATES / f"{template}.txt").read_text(encoding="utf-8")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(Template(text).substitute(words), encoding="utf-8")


def _rows(chance: random.Random) -> list[dict[str, object]]:
    """Return 300 different problems with worked solutions, to be replaced by others."""
    cases = [(a, b, c) for a in range(2, 20) for b in range(2, 10) for c in range(1, 4)]
    rows: list[dict[str, object]] = []
    for first, more, times in chance.sample(cases, 300):
        thing = THINGS[(first + more + times) % len(THINGS)]
        problem = f"Ann has {first} {thing}. Ben has {times} times as many and {more} more."
        solution = f"{first} * {times} = {first * times}. {first * times} + {more} ="
        rows.append(
            {
                "problem": f"{problem} How many has Ben?",
                "solution": f"{solution} {first * times + more}.",
                "answer": first * times + more,
            }
        )
    return rows
