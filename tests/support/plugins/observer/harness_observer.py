"""A plug-in that only looks on, adds a command and ships a board."""

import os
from pathlib import Path

import click

from harness import hookimpl


def note(text: str) -> None:
    with open(os.environ["OBSERVER_NOTES"], "a", encoding="utf-8") as file:
        file.write(text + "\n")


@hookimpl
def harness_cell_started(cell):
    note(f"started {cell.name}")


@hookimpl
def harness_cell_finished(record):
    note(f"finished {record.trainer} {record.status}")
    raise RuntimeError("an observer that fails")


@hookimpl
def harness_commands(cli):
    @cli.command()
    def observe():
        """Say that this command was added."""
        click.echo("observed")


@hookimpl
def harness_boards():
    return [Path(__file__).parent / "observed.toml"]
