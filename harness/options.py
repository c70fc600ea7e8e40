"""Command-line options that several commands share."""

from __future__ import annotations

from pathlib import Path

import click

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
