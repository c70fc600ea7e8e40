"""The `small` board: the tiny board's problems at their hardest, for models of 38M parameters.

Its weights are too large to ship. `harness small` makes tokenizer, start model and teacher from
nothing and writes a board folder.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import click
from harness_tiny import generated_tasks

from harness import Task, UsageError, hookimpl
from harness_small.problems import SMALL

SUMMARIES = {
    "small_word": "word problems of three to six steps with numbers up to 5,000",
    "small_long": "word problems of seven or eight steps: more than any training problem has",
    "small_symbolic": "fractions, decimals and polynomials with numbers up to three digits",
}


@hookimpl
def harness_tasks() -> list[Task]:
    """Offer the generated problems."""
    return generated_tasks(SMALL, SUMMARIES)


@click.command()
@click.option(
    "--out",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    default="small",
    show_default=True,
    help="Folder to write: the board and its models.",
)
@click.option(
    "--scale",
    type=click.FloatRange(0, 1, min_open=True),
    default=1.0,
    show_default=True,
    help="Share of the steps; model and batches shrink with its square root.",
)
@click.option("--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto")
@click.option("--bench", is_flag=True, help="Go on with the bench of the board that was made.")
def small(folder: Path, scale: float, device: str, bench: bool) -> None:
    """Make the `small` board: train its start model and teacher, for a GPU and some minutes."""
    from harness_small.make import make

    if (folder / "small.toml").exists():
        raise UsageError(f"{folder} holds a small board already; name another folder with --out")
    board = make(folder, scale, device, lambda line: click.echo(line, err=True))
    command = ["bench", str(board)]
    if bench:
        sys.exit(subprocess.run([sys.executable, "-m", "harness", *command]).returncode)
    click.echo(f"harness {' '.join(command)}")


@hookimpl
def harness_commands(cli: click.Group) -> None:
    """Add `harness small`."""
    cli.add_command(small)
