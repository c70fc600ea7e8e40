"""A plan carried out at the command line: its progress, its leaderboard, and how it ended."""

from __future__ import annotations

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
    from harness.plugin.executor import Executor
    from harness.plugin.host import Host
    from harness.tuning import Tuning


def say_what_is_left_out(board: Board, runs: Path) -> None:
    """Say on standard error that a folder above has runs of this board, which begins anew here."""
    from harness.errors import HarnessError
    from harness.records import read_records

    place = Path(board.name) / "records"
    if runs.is_absolute() or ".." in runs.parts or (runs / place).is_dir():
        return
    for above in Path.cwd().parents:
        try:
            found = read_records(above / runs / place, board=board.digest)
        except HarnessError:  # what is wrong there is no matter of this bench
            continue
        if found:
            line = (
                f"the runs in {above / runs / board.name} are not used: this bench has its own in"
            )
            click.echo(f"harness: {terminal(f'{line} {runs.resolve() / board.name}')}", err=True)
            return


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
    asked = {record.trainer for record in outcome.records if record.share == 1}
    leaderboard = build(records, board.conditions(), known, asked=asked)
    write(leaderboard, folder.path)
    return leaderboard


def tune(
    searched: Trials, host: Host, folder: Folder, executor: Executor, report_to: tuple[str, ...]
) -> dict[str, Tuning]:
    """Run the trials that are not done, and say on standard error what they chose."""
    from harness.render.tuning import chosen_line

    tuned = searched.chosen(searched.finished(folder))
    if tuned is None:
        searched.plan.report_to = report_to
        outcome = run(searched.plan, host, folder, executor)
        if outcome.interrupted:
            stop_if_unfinished(outcome, folder)
        tuned = searched.chosen(outcome.records)
        assert tuned is not None  # each trial that was not interrupted has a record
    for row, tuning in tuned.items():
        click.echo(terminal(chosen_line(row, tuning)), err=True)
    return tuned


def run(plan: Plan, host: Host, folder: Folder, executor: Executor | None = None) -> Outcome:
    """Carry out a plan with its progress shown: here and one stage at a time, if not elsewhere."""
    from harness.bench.executors import local
    from harness.bench.scheduler import run as run_plan
    from harness.plugin.executor import ExecutorSettings
    from harness.render.progress import progress

    if executor is None:
        compute = plan.board.file.compute
        executor = local.make(
            ExecutorSettings(folder.path, plan.machine.device, 1, compute.threads, compute.gpus)
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
