"""`harness new`: a plug-in or a board to start from."""

from __future__ import annotations

import json
import random
import re
import shutil
from pathlib import Path
from string import Template

import click

from harness.cli import options

TEMPLATES = Path(__file__).parent / "templates"
THINGS = ("apples", "books", "coins", "eggs", "pens")


@click.command("new")
@click.argument("kind", metavar="KIND", type=click.Choice(["plugin", "board"]))
@click.argument("name")
@click.option("--loop", is_flag=True, help="Of a plug-in: a plain loop in torch instead of TRL.")
@click.option(
    "--out", type=options.FOLDER, help="Folder to write.  [default: harness-NAME, or NAME]"
)
def command(kind: str, name: str, loop: bool, out: Path | None) -> None:
    """Write a plug-in or a board to start from.

    KIND is plugin, a package with one trainer and its test, or board, a board file with
    training and test rows and a copy of the tiny model. NAME is lower-case. Both work as they are.
    """
    from harness.errors import UsageError
    from harness.plugin.host import Host

    if not re.fullmatch(r"[a-z][a-z0-9_]{0,40}", name):
        raise UsageError(f"{name!r} is no name: lower-case letters, digits and _ make one")
    host = Host()
    if kind == "plugin" and name in host.names:
        raise UsageError(f"a plug-in {name!r} is installed already; take another name")
    folder = out or Path(name if kind == "board" else f"harness-{name}")
    if folder.exists() and any(folder.iterdir()):
        raise UsageError(f"{folder} is there already; name another by --out")
    folder.mkdir(parents=True, exist_ok=True)
    if kind == "plugin":
        _write(folder / "pyproject.toml", "pyproject.toml", name=name)
        _write(folder / f"harness_{name}.py", "loop.py" if loop else "trl.py", name=name)
        _write(folder / "tests" / f"test_{name}.py", "test.py", name=name)
        click.echo(f"{folder}: pip install -e {folder}, then harness bench --plugins {name}")
        return
    from harness.boards.board import load_board

    model = load_board("tiny", host).model("start")
    shutil.copytree(model, folder / "model")
    _write(folder / f"{name}.toml", "board.toml", name=name, task=f"{name}_sums", model="model")
    rows = _rows(random.Random(0))
    for split, part in (("train", rows[:200]), ("test", rows[200:])):
        text = "".join(json.dumps(row) + "\n" for row in part)
        (folder / f"{split}.jsonl").write_text(text, encoding="utf-8")
    click.echo(f"{folder}: harness bench {folder / name}.toml --dry-run")


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
