"""Command-line options that several commands share."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

FORMS = click.Choice(["boxed", "hash", "answer_is", "bare"])

board_option = click.option("--board", default="tiny", show_default=True, help="Name or TOML file.")
json_option = click.option("--json", "as_json", is_flag=True, help="Write JSON to standard output.")
runs_option = click.option(
    "--runs",
    type=click.Path(path_type=Path, file_okay=False),
    default="runs",
    envvar="HARNESS_RUNS",
    show_default=True,
    help="Folder for everything a bench leaves.",
)
data_option = click.option(
    "--data-dir",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    envvar="HARNESS_DATA_DIR",
    help="Folder with the data of published benchmarks (docs/tasks.md).",
)


_ANSWERS = (
    click.option(
        "--answers",
        "file",
        type=click.Path(path_type=Path, exists=True, dir_okay=False),
        help="Judge this JSONL or JSONL.gz file of answers.",
    ),
    click.option("--task", help="With --answers: the task; its conventions and gold answers."),
    click.option("--answer", metavar="COLUMN", help="With --answers: of the responses."),
    click.option("--gold", metavar="COLUMN", help="With --answers: of the gold answers."),
    click.option(
        "--form",
        type=FORMS,
        default="boxed",
        show_default=True,
        help="With --answers: the form in which the answer was asked for.",
    ),
    click.option(
        "--convention",
        "-c",
        "conventions",
        multiple=True,
        metavar="OPTION=VALUE",
        help="With --answers: how answers are judged, as rounding=gold; may be repeated.",
    ),
    click.option(
        "--out",
        type=click.Path(path_type=Path, dir_okay=False),
        help="With --answers: write the rows with their judgements here.",
    ),
    click.option(
        "--workers",
        type=click.IntRange(1, 256),
        default=lambda: os.cpu_count() or 1,
        show_default="one a core",
        help="With --answers: processes that judge.",
    ),
    click.option(
        "--seconds",
        type=click.FloatRange(min=0, min_open=True),
        default=3.0,
        show_default=True,
        help="With --answers: the time limit of one answer.",
    ),
    click.option(
        "--disagreements",
        is_flag=True,
        help="With --answers: show each answer whose label and verdict differ.",
    ),
)


def answers_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of `harness score --answers`."""
    for option in reversed(_ANSWERS):
        command = option(command)
    return command
