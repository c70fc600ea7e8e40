"""`harness bench`: train and score a board's trainers."""

from __future__ import annotations

import importlib.util
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.cli import options
from harness.render.escape import terminal

if TYPE_CHECKING:
    from harness.bench.folder import Folder
    from harness.bench.plan import Plan
    from harness.bench.scheduler import Outcome
    from harness.bench.tuning.search import Trials
    from harness.boards.board import Board
    from harness.leaderboard.data import Leaderboard
    from harness.plugin.host import Host
    from harness.tuning import Tuning

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
@click.option(
    "--until-decided",
    is_flag=True,
    help="Take the board's seeds in steps, its looks, until every two rows are told apart or shown"
    " to be equal.",
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
@click.option(
    "--tune",
    "trials",
    type=click.IntRange(0, 1000),
    metavar="N",
    help="Settings tried for each row, on a board that has [tuning]; 0 keeps the defaults."
    "  [default: the board's]",
)
@options.device_option
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
    until_decided: bool,
    overrides: tuple[str, ...],
    jobs: int | None,
    trials: int | None,
    device: str,
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
    from harness.bench.folder import Folder
    from harness.bench.gpus import choose_device, default_jobs
    from harness.bench.plan import plan as make_plan
    from harness.bench.tuning.search import plan_trials
    from harness.forecast import preview
    from harness.render.plan import render

    if gpu and not dry_run:
        raise click.UsageError("--gpu plans for a GPU; use it with --dry-run")
    host, loaded = options.open_board(board, data_dir, download=not dry_run)
    looks = looks_of(loaded, seeds) if until_decided else [seeds]
    where = choose_device(device)
    planned, note = None, ""
    if dry_run and (gpu or device != "cpu"):  # who asks for a CPU has its times planned
        planned, note = preview.choose_gpu(gpu, loaded, where)
        where = "cuda" if planned else "cpu"

    def make(seeds: tuple[int, ...], tuned: dict[str, Tuning] | None = None) -> Plan:
        made = make_plan(loaded, host, plugins, seeds, overrides, where, tuned=tuned, trials=trials)
        made.report_to = report_to
        return made

    plan = make(looks[-1])  # before anything runs: it refuses what cannot be done
    folder = Folder(runs.resolve() / loaded.name)
    tried = Folder(folder.path, trials=True)
    searched = plan_trials(loaded, host, plugins, overrides, where, trials)
    tuned = searched.chosen(searched.finished(tried)) if searched else None
    if dry_run:
        plan = make(looks[-1], tuned) if tuned else plan
        shown = preview.preview(plan, folder, planned, note, searched.plan if searched else None)
        if as_json:
            options.print_json(shown.model_dump(mode="json"))
        else:
            options.print_rich(render(shown))
        return
    compute = loaded.file.compute
    jobs = jobs or default_jobs(where, compute.threads, compute.gpus)
    if searched:
        tuned = tune(searched, tuned, host, tried, jobs, report_to)
    computed, leaderboard = 0, None
    for look in looks:
        outcome = run(make(look, tuned), host, folder, jobs)
        computed += outcome.computed
        leaderboard = leave(outcome, loaded, folder) if outcome.records else None
        if leaderboard is None or outcome.interrupted or outcome.failed:
            break
        if until_decided and decided(leaderboard, len(look), looks[-1]):
            break
    if leaderboard:
        show(leaderboard, as_json)
        written = folder.path / f"{loaded.name}.md"
        click.echo(f"Written to {written}", err=True)
    if not computed and not outcome.interrupted:
        click.echo("Nothing to do: every cell of this bench was done before.", err=True)
    stop_if_unfinished(outcome, folder)


def looks_of(board: Board, seeds: tuple[int, ...]) -> list[tuple[int, ...]]:
    """Return the seeds of each look at a board.

    Raises:
        UsageError: If the board says nothing of looks, or seeds are given as well.
    """
    from harness.errors import UsageError

    if seeds:
        raise UsageError("--until-decided takes the board's seeds in turn; leave --seeds out")
    if board.file.until_decided is None:
        raise UsageError(
            f"--until-decided: board {board.name!r} has no [until_decided] looks, which say after"
            " how many seeds it may be looked at"
        )
    return [board.file.seeds[:look] for look in board.file.until_decided.looks]


def decided(leaderboard: Leaderboard, seeds: int, every: tuple[int, ...]) -> bool:
    """Return whether no pair of ranked rows is open after so many seeds, and say so."""
    from harness.leaderboard.ranking import undecided

    ranked = [row for row in leaderboard.rows if row.rank]
    letters = {row.trainer: row.letters for row in ranked}
    left = undecided([row.trainer for row in ranked], letters, leaderboard.equal)
    pairs = "1 pair of rows is" if left == 1 else f"{left} pairs of rows are"
    said = f"{pairs} neither told apart nor shown to be equal"
    if not left:
        said = "every two rows are told apart or shown to be equal"
    elif seeds == len(every):
        said += "; these are all of the board's seeds"
    click.echo(f"After {seeds} seeds: {said}", err=True)
    return not left


def leave(outcome: Outcome, board: Board, folder: Folder) -> Leaderboard:
    """Write the leaderboard of all that lies in a folder, and return it.

    A bench of few cells leaves no smaller one than before.
    """
    from harness.leaderboard.build import build
    from harness.leaderboard.evidence import known_of
    from harness.publish.write import write
    from harness.records import read_records

    records = read_records(folder.records, board=board.digest, superseded=True)
    known = known_of(folder.path, records)
    asked = {record.trainer for record in outcome.records}
    leaderboard = build(records, board.conditions(), known, asked=asked)
    write(leaderboard, folder.path)
    return leaderboard


def tune(
    searched: Trials,
    tuned: dict[str, Tuning] | None,
    host: Host,
    folder: Folder,
    jobs: int,
    report_to: tuple[str, ...],
) -> dict[str, Tuning]:
    """Run the trials that are not done, and say on standard error what they chose."""
    from harness.render.tuning import chosen_line

    if tuned is None:
        searched.plan.report_to = report_to
        outcome = run(searched.plan, host, folder, jobs)
        if outcome.interrupted:
            stop_if_unfinished(outcome, folder)
        tuned = searched.chosen(outcome.records)
        assert tuned is not None  # each trial that was not interrupted has a record
    for row, tuning in tuned.items():
        click.echo(terminal(chosen_line(row, tuning)), err=True)
    return tuned


def run(plan: Plan, host: Host, folder: Folder, jobs: int) -> Outcome:
    from harness.bench.executor import LocalExecutor
    from harness.bench.scheduler import run as run_plan
    from harness.render.progress import progress

    compute = plan.board.file.compute
    executor = LocalExecutor(
        jobs, plan.device, compute.threads, folder.path / "warm.log", compute.gpus
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
