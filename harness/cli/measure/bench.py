"""`harness bench`: train and score a board's trainers."""

from __future__ import annotations

import importlib.util
import os
import re
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.cli import options
from harness.render.escape import terminal

if TYPE_CHECKING:
    from harness.bench.folder import Folder
    from harness.bench.plan import Plan
    from harness.bench.scheduler import Outcome
    from harness.leaderboard.data import Leaderboard
    from harness.plugin.executor import Executor
    from harness.plugin.host import Host

_NAMES = "clearml codecarbon comet_ml dvclive mlflow neptune swanlab trackio wandb"
# name in transformers' `report_to` -> packages, one of which it needs
TRACKERS = {name: (name,) for name in _NAMES.split()} | {
    "tensorboard": ("tensorboard", "tensorboardX")
}


def check_trackers(
    context: click.Context | None, option: click.Parameter | None, names: tuple[str, ...]
) -> tuple[str, ...]:
    from harness.errors import UsageError, did_you_mean

    for name in names:
        if name not in TRACKERS:
            raise UsageError(f"--report-to {name}: no such tracker; {did_you_mean(name, TRACKERS)}")
        if not any(importlib.util.find_spec(package) for package in TRACKERS[name]):
            raise UsageError(f"--report-to {name}: install the package {TRACKERS[name][0]!r} first")
    return tuple(dict.fromkeys(names))


def _split(context: click.Context, option: click.Parameter, text: str | None) -> tuple[str, ...]:
    parts = tuple(part.strip() for part in (text or "").split(",") if part.strip())
    if text is not None and not parts:
        raise click.BadParameter("it names nothing; leave the option out to take the board's")
    return parts


def _seeds(context: click.Context, option: click.Parameter, text: str | None) -> tuple[int, ...]:
    from harness.boards.file import LARGEST_SEED

    try:
        numbers = tuple(int(part) for part in _split(context, option, text))
    except ValueError:
        raise click.BadParameter(f"{text!r} is not a list of whole numbers such as 0,1,2") from None
    for number in numbers:
        if numbers.count(number) > 1:
            raise click.BadParameter(f"{number} is given twice")
        # NumPy takes no other seed
        if not 0 <= number <= LARGEST_SEED:
            raise click.BadParameter(f"{number} is not between 0 and {LARGEST_SEED}")
    return numbers


def _settings(
    context: click.Context, option: click.Parameter, text: str | None
) -> Mapping[str, str]:
    """Return the pairs of `key=value,...`; a comma inside brackets belongs to its value."""
    pairs = re.split(r",(?![^\[]*\])", text or "")
    for pair in pairs:
        if text is not None and not re.fullmatch(r"\s*[\w-]+\s*=.*", pair, re.DOTALL):
            raise click.BadParameter(f"{pair!r} is not of the form key=value, as partition=gpu is")
    found = (pair.partition("=") for pair in pairs if pair)
    return {key.strip().replace("-", "_"): value.strip() for key, _, value in found}


@click.command("bench")
@options.board_argument
@click.option(
    "--plugins",
    callback=_split,
    metavar="LIST",
    help="Trainers or chains, such as kd,rl,sft+rl; 'all' is every trainer for which the board has"
    " what it needs.  [default: the board's]",
)
@click.option(
    "--seeds", callback=_seeds, metavar="LIST", help="Such as 0,1,2.  [default: the board's]"
)
@options.repeated(
    "--set",
    "overrides",
    metavar="TRAINER.OPTION=VALUE",
    text="Change an option of a trainer, such as kd.temperature=2 (harness plugins kd lists them)",
)
@click.option(
    "--jobs",
    type=click.IntRange(1),
    metavar="N",
    help="Stages at once.  [default: by cores or GPUs]",
)
@options.device_option
@click.option(
    "--executor",
    metavar="NAME",
    default="local",
    show_default=True,
    help="What runs the stages: local, ray, slurm, or one that a plug-in offers (docs/scale.md).",
)
@click.option(
    "--ray-address",
    metavar="ADDRESS",
    help="With --executor ray: a cluster that runs, such as auto.  [default: one is started here]",
)
@click.option(
    "--slurm",
    callback=_settings,
    metavar="KEY=VALUE,...",
    help="With --executor slurm: options of sbatch, such as partition=gpu,account=x,time=4:00:00",
)
@options.repeated(
    "--report-to", metavar="TRACKER", callback=check_trackers,
    text="Experiment tracker that transformers knows, such as tensorboard",
)  # fmt: skip
@click.option("--dry-run", is_flag=True, help="Show the plan with its cost and do nothing.")
@click.option("--gpu", metavar="NAME", help="With --dry-run: plan for this GPU, such as A100-80.")
@options.data_option
@options.runs_option
@options.json_option
def command(
    board: str,
    plugins: tuple[str, ...],
    seeds: tuple[int, ...],
    overrides: tuple[str, ...],
    jobs: int | None,
    device: str,
    executor: str,
    ray_address: str | None,
    slurm: Mapping[str, str],
    report_to: tuple[str, ...],
    dry_run: bool,
    gpu: str | None,
    data_dir: Path | None,
    runs: Path,
    as_json: bool,
) -> None:
    """Train and score a board's trainers.

    The leaderboard is printed. The same command again continues what was interrupted, and does
    nothing when all is done. BOARD is a board's name or TOML file; tiny if none is given.
    """
    from harness.bench.executors.choose import open_executor
    from harness.bench.executors.gpus import choose_device
    from harness.bench.folder import Folder
    from harness.bench.plan import plan as make_plan
    from harness.forecast import preview
    from harness.leaderboard.build import build
    from harness.leaderboard.evidence import known_of
    from harness.plugin.executor import ExecutorSettings
    from harness.publish.write import write
    from harness.records import read_records
    from harness.render.plan import render

    if gpu and not dry_run:
        raise click.UsageError("--gpu plans for a GPU; use it with --dry-run")
    for option, given, owner in (
        ("--ray-address", ray_address, "ray"),
        ("--slurm", slurm, "slurm"),
    ):
        if given and executor != owner:
            raise click.UsageError(f"{option} goes with --executor {owner}")
    host, loaded = options.open_board(board, data_dir, download=not dry_run)
    folder = Folder(runs.resolve() / loaded.name)
    if dry_run:
        where, planned, note = choose_device(device), None, ""
        if gpu or device != "cpu":  # who asks for a CPU has its times planned
            planned, note = preview.choose_gpu(gpu, loaded, where)
            where = "cuda" if planned else "cpu"
        plan = make_plan(loaded, host, plugins, seeds, overrides, where)
        shown = preview.preview(plan, folder, planned, note)
        if as_json:
            options.print_json(shown.model_dump(mode="json"))
        else:
            options.print_rich(render(shown))
        return
    compute = loaded.file.compute
    settings = ExecutorSettings(
        folder=folder.path,
        device=device,
        jobs=jobs,
        threads=compute.threads,
        gpus=compute.gpus,
        seconds=compute.stage_seconds,
        options={"address": ray_address or ""} if executor == "ray" else slurm,
        say=lambda line: click.echo(f"harness: {line}", err=True),
    )
    chosen = open_executor(executor, settings, host)
    try:
        plan = make_plan(loaded, host, plugins, seeds, overrides, chosen.probe())
        plan.report_to = report_to
        outcome = run(plan, host, folder, chosen)
    finally:
        chosen.stop()
    if outcome.records:
        # of all that lies there: a bench of few cells leaves no smaller leaderboard than before
        records = read_records(folder.records, board=loaded.digest, superseded=True)
        known = known_of(folder.path, records)
        asked = {record.trainer for record in outcome.records}
        leaderboard = build(records, loaded.conditions(), known, asked=asked)
        written = write(leaderboard, folder.path)
        show(leaderboard, as_json)
        click.echo(f"Written to {written[0]}", err=True)
    if not outcome.computed and not outcome.interrupted:
        click.echo("Nothing to do: every cell of this bench was done before.", err=True)
    stop_if_unfinished(outcome, folder)


def run(plan: Plan, host: Host, folder: Folder, executor: Executor | None = None) -> Outcome:
    """Carry out a plan with its progress shown: here and one stage at a time, if not elsewhere."""
    from harness.bench.executors import local
    from harness.bench.scheduler import run as run_plan
    from harness.plugin.executor import ExecutorSettings
    from harness.render.progress import progress

    if executor is None:
        compute = plan.board.file.compute
        executor = local.make(
            ExecutorSettings(folder.path, plan.device, 1, compute.threads, compute.gpus)
        )
    with progress(plan, folder.path / "stages") as watch:
        return run_plan(plan, host, folder, executor, watch)


def show(leaderboard: Leaderboard, as_json: bool) -> None:
    """Print a leaderboard, for people or for programs."""
    if as_json:
        click.echo(leaderboard.to_json(), nl=False)
        return
    from harness.render.terminal import render

    options.print_rich(render(leaderboard))


def stop_if_unfinished(outcome: Outcome, folder: Folder) -> None:
    """Name what was not finished, and end with its exit code: 1 failed, 128 + n by signal n."""
    if outcome.interrupted:
        name = signal.Signals(outcome.interrupted).name
        click.echo(f"Interrupted by {name}; the same command continues.", err=True)
        sys.exit(128 + outcome.interrupted)
    for record in outcome.failed:
        log = os.path.relpath(folder.path / (record.log or ""))
        line = f"{record.name}: {record.status}: {record.error} (log: {log})"
        click.echo(terminal(line), err=True)
    if outcome.failed:
        sys.exit(1)
