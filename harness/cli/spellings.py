"""Old spellings of commands: each is answered by the new one."""

from __future__ import annotations

import shlex
from typing import NoReturn

import click

from harness.errors import UsageError

# commands that took `--board X` -> the arguments that now come before [BOARD]
_ARGUMENTS_BEFORE_BOARD = {"bench": 0, "score": 1, "diff": 2}
_PUSHING = ("--repo", "--cell", "--push", "--direct", "--hub")  # options that `publish` had


def refuse_old(given: list[str], error: click.NoSuchOption) -> None:
    """Raise a UsageError with the new spelling if a name and its arguments are an old one."""
    name, *rest = given
    option = error.option_name
    if name == "score" and option == "--answers":
        file, rest = _take("--answers", rest)
        _refuse("judge", file or "FILE", *rest)
    if name == "publish" and option in _PUSHING:
        cell, rest = _take("--cell", rest)
        repository, rest = _take("--repo", rest)
        rest = ["--send" if each == "--push" else each for each in rest]
        _refuse("push", cell or "CELL", repository or "ORG/NAME", *rest)
    if name in _ARGUMENTS_BEFORE_BOARD and option == "--board":
        board, rest = _take("--board", rest)
        place = _ARGUMENTS_BEFORE_BOARD[name]
        if any(each.startswith("-") for each in rest[:place]):
            place = len(rest)  # options come first: the last argument is the board in any case
        _refuse(name, *rest[:place], board or "BOARD", *rest[place:])
    known = error.ctx.command.params if error.ctx else []
    if option == "--to" and any("--out" in each.opts for each in known):
        folder, rest = _take("--to", rest)
        _refuse(name, *rest, "--out", folder or "PATH")


def _take(option: str, arguments: list[str]) -> tuple[str | None, list[str]]:
    """Return the value of an option, None if it is not there, and the other arguments."""
    for place, each in enumerate(arguments):
        if each == option:
            value = arguments[place + 1] if place + 1 < len(arguments) else None
            return value, arguments[:place] + arguments[place + 2 :]
        if each.startswith(f"{option}="):
            return each.partition("=")[2], arguments[:place] + arguments[place + 1 :]
    return None, arguments


def _refuse(*arguments: str) -> NoReturn:
    raise UsageError(f"this is written differently now: {shlex.join(['harness', *arguments])}")
