"""`harness score`: score a checkpoint beside a board's start model."""

from __future__ import annotations

from pathlib import Path

import click

from harness.cli import options
from harness.cli.measure.bench import run, show, stop_if_unfinished


@click.command("score")
@click.argument("model", type=click.Path(path_type=Path))
@options.board_argument
@options.device_option
@options.data_option
@options.runs_option
@options.json_option
def command(
    model: Path, board: str, device: str, data_dir: Path | None, runs: Path, as_json: bool
) -> None:
    """Score a checkpoint folder, without training.

    MODEL is a folder with safetensors and a tokenizer; it is scored beside the board's start
    model. BOARD is a board's name or TOML file; tiny if none is given.
    """
    from harness.bench.folder import Folder
    from harness.bench.gpus import choose_device
    from harness.bench.plan import plan_score, plan_start
    from harness.leaderboard.build import build

    host, loaded = options.open_board(board, data_dir)
    where = choose_device(device)
    folder = Folder(runs.resolve() / loaded.name)
    records = []
    for plan, place in (
        (plan_score(loaded, model, where), Folder(folder.path / "scored")),
        (plan_start(loaded, where), folder),
    ):
        outcome = run(plan, host, place, 1)
        records += outcome.records
        stop_if_unfinished(outcome, place)
    show(build(records, loaded.conditions()), as_json)
