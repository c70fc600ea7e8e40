"""The command line. A command reads its arguments and calls the room that does the work."""

from __future__ import annotations

import errno
import importlib
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.cli.options import answers_options, board_option, data_option, json_option, runs_option

if TYPE_CHECKING:
    from rich.console import Console

    from harness.bench.folder import Folder
    from harness.bench.plan import Plan
    from harness.bench.scheduler import Outcome
    from harness.boards.board import Board
    from harness.leaderboard.data import Leaderboard
    from harness.plugin.host import Host

# commands that stand beside the code they call: name -> module with `register(cli)`, one line
ELSEWHERE = {
    "contamination": (
        "harness.cli.contamination",
        "Compare training data with test sets.",
    ),
    "diff": ("harness.cli.commands", "Compare two cells question by question."),
    "doctor": ("harness.cli.doctor", "Check this machine for what usually breaks."),
    "export": ("harness.cli.commands", "Write results in a format that others read."),
    "publish": ("harness.cli.commands", "Publish a board, or a cell's scores on the Hub."),
    "report": ("harness.cli.commands", "Write one HTML file: figures, curves, answers."),
    "verify": ("harness.cli.judging", "Judge one answer and explain it step by step."),
}


class Commands(click.Group):
    """A group that imports a command's module, or asks plug-ins, only when it is called for."""

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        """Return a built-in command, or one that a plug-in adds."""
        found = super().get_command(context, name)
        if found is None and name in ELSEWHERE:
            importlib.import_module(ELSEWHERE[name][0]).register(self)
        elif found is None:
            from harness.plugin.host import Host

            host = Host()
            host.load_all()
            host.hook.harness_commands(cli=self)
        return found or super().get_command(context, name)

    def format_commands(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands without importing the modules of those that are elsewhere."""
        rows = {name: text for name, (_, text) in ELSEWHERE.items()}
        rows |= {
            name: command.get_short_help_str(formatter.width)
            for name, command in self.commands.items()
        }
        with formatter.section("Commands"):
            formatter.write_dl(sorted(rows.items()))


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="srlm-harness", prog_name="harness")
@click.option("--debug", is_flag=True, help="Show tracebacks.")
def cli(debug: bool) -> None:
    """Train small models in different ways, score them the same way, and compare what holds.

    `harness bench` trains and scores the embedded tiny board. Plug-ins may add commands.
    """


def _split(context: click.Context, option: click.Parameter, text: str | None) -> tuple[str, ...]:
    return tuple(part.strip() for part in (text or "").split(",") if part.strip())


def _numbers(context: click.Context, option: click.Parameter, text: str | None) -> tuple[int, ...]:
    from harness.boards.file import LARGEST_SEED

    try:
        numbers = tuple(int(part) for part in _split(context, option, text))
    except ValueError:
        raise click.BadParameter(f"{text!r} is not a list of whole numbers such as 0,1,2") from None
    for number in numbers:
        if not 0 <= number <= LARGEST_SEED:
            raise click.BadParameter(f"{number} is not between 0 and {LARGEST_SEED}")
    return numbers


device_option = click.option(
    "--device",
    type=click.Choice(["auto", "cpu", "cuda"]),
    default="auto",
    show_default=True,
    help="Where stages run; auto takes a GPU when there is one.",
)


@cli.command()
@board_option
@click.option(
    "--plugins",
    callback=_split,
    metavar="LIST",
    help="Trainers or chains such as kd,rl,sft+rl, or 'all' that the board has the teacher and"
    " the traces for.  [default: the board's]",
)
@click.option(
    "--seeds", callback=_numbers, metavar="LIST", help="Such as 0,1,2.  [default: the board's]"
)
@click.option("--set", "overrides", multiple=True, metavar="TRAINER.OPTION=VALUE")
@click.option("--jobs", type=click.IntRange(1), help="Stages at once. [default: by cores or GPUs]")
@device_option
@click.option(
    "--report-to",
    multiple=True,
    metavar="TRACKER",
    help="Experiment tracker that transformers knows, such as tensorboard; may be repeated.",
)
@click.option("--dry-run", is_flag=True, help="Show the plan with its cost and do nothing.")
@click.option("--gpu", metavar="NAME", help="With --dry-run: plan for this GPU, such as A100-80.")
@data_option
@runs_option
@json_option
def bench(
    board: str,
    plugins: tuple[str, ...],
    seeds: tuple[int, ...],
    overrides: tuple[str, ...],
    jobs: int | None,
    device: str,
    report_to: tuple[str, ...],
    dry_run: bool,
    gpu: str | None,
    data_dir: Path | None,
    runs: Path,
    as_json: bool,
) -> None:
    """Train and score a board's trainers, and print the leaderboard.

    The same command again continues what was interrupted and does nothing when all is done.
    """
    from harness.bench.executor import choose_device, default_jobs
    from harness.bench.folder import Folder
    from harness.bench.plan import plan as make_plan
    from harness.cli.trackers import check_trackers
    from harness.forecast import preview
    from harness.leaderboard.build import build
    from harness.publish.write import write

    if gpu and not dry_run:
        raise click.UsageError("--gpu plans for a GPU; use it with --dry-run")
    host, loaded = _board(board, data_dir, download=not dry_run)
    device = choose_device(device)
    planned, note = None, ""
    if dry_run:
        planned, note = preview.choose_gpu(gpu, loaded, device)
        device = "cuda" if planned else "cpu"
    plan = make_plan(loaded, host, plugins, seeds, overrides, device)
    plan.report_to = check_trackers(report_to)
    folder = Folder(runs.resolve() / loaded.name)
    if dry_run:
        shown = preview.preview(plan, folder, planned, note)
        if as_json:
            _emit(shown.model_dump(mode="json"), True)
        else:
            from harness.render.plan import render

            _console().print(render(shown))
        return
    compute = loaded.file.compute
    outcome = _run(plan, host, folder, jobs or default_jobs(device, compute.threads, compute.gpus))
    if outcome.records:
        leaderboard = build(outcome.records, loaded.conditions())
        written = write(leaderboard, folder.path)
        _show(leaderboard, as_json)
        click.echo(f"Written to {written[0]}", err=True)
    if not outcome.computed and not outcome.interrupted:
        click.echo("Nothing to do: every cell of this bench was done before.", err=True)
    _stop_if_unfinished(outcome, folder)


def _run(plan: Plan, host: Host, folder: Folder, jobs: int) -> Outcome:
    from harness.bench.executor import LocalExecutor
    from harness.bench.scheduler import run
    from harness.render.progress import progress

    compute = plan.board.file.compute
    executor = LocalExecutor(
        jobs, plan.device, compute.threads, folder.path / "warm.log", compute.gpus
    )
    with progress(plan, folder.path / "stages") as watch:
        return run(plan, host, folder, executor, watch)


def _stop_if_unfinished(outcome: Outcome, folder: Folder) -> None:
    """End with the exit code that tells what was not finished, after saying so."""
    if outcome.interrupted:
        click.echo("Interrupted; the same command continues.", err=True)
        sys.exit(130)
    for record in outcome.failed:
        name = record.trainer if record.seed is None else f"{record.trainer} seed {record.seed}"
        log = os.path.relpath(folder.path / (record.log or ""))
        click.echo(f"{name}: {record.status}: {record.error} (log: {log})", err=True)
    if outcome.failed:
        sys.exit(1)


@cli.command()
@click.argument("model", type=click.Path(path_type=Path), required=False)
@board_option
@device_option
@answers_options
@data_option
@runs_option
@json_option
def score(
    model: Path | None,
    board: str,
    device: str,
    data_dir: Path | None,
    runs: Path,
    as_json: bool,
    disagreements: bool,
    **answers: Any,
) -> None:
    """Score the checkpoint folder MODEL, or judge a file of answers made elsewhere (--answers).

    MODEL is scored beside a board's start model, without training anything. A file of answers
    needs no board: its columns are found, and where it has labels they are compared.
    """
    if (model is None) == (answers["file"] is None):
        raise click.UsageError("give either MODEL or --answers FILE")
    if answers["file"] is not None:
        _score_answers(answers, data_dir, as_json, disagreements)
        return
    if disagreements or any(answers[name] for name in ("task", "answer", "gold", "out")):
        raise click.UsageError("--task, --answer, --gold, --out, --disagreements: with --answers")
    from harness.bench.executor import choose_device
    from harness.bench.folder import Folder
    from harness.bench.plan import plan_score, plan_start
    from harness.leaderboard.build import build

    host, loaded = _board(board, data_dir)
    device = choose_device(device)
    folder = Folder(runs.resolve() / loaded.name)
    records = []
    for plan, place in (
        (plan_score(loaded, model, device), Folder(folder.path / "scored")),
        (plan_start(loaded, device), folder),
    ):
        outcome = _run(plan, host, place, 1)
        records += outcome.records
        _stop_if_unfinished(outcome, place)
    _show(build(records, loaded.conditions()), as_json)


def _score_answers(
    answers: dict[str, Any], data_dir: Path | None, as_json: bool, disagreements: bool
) -> None:
    from harness.cli.judging import Request, judge_file, tally_json, tally_text
    from harness.plugin.host import Host

    tally, used = judge_file(Request(**answers), Host(data_dir=data_dir))
    report = tally_json if as_json else tally_text
    _emit(report(tally, used, disagreements), as_json)


@cli.command()
@click.argument("name", metavar="BOARD", default="tiny")
@data_option
@runs_option
def regrade(name: str, data_dir: Path | None, runs: Path) -> None:
    """Judge a board's stored answers again with this verifier, without generating."""
    from harness.bench.folder import Folder
    from harness.bench.judge import regrade as regrade_board

    _, loaded = _board(name, data_dir)
    folder = Folder(runs.resolve() / loaded.name)
    with folder.locked():
        written = regrade_board(loaded, folder)
    for record, changed in written:
        click.echo(f"{record.id}: {changed} verdicts changed")
    if not written:
        click.echo("Nothing to do: this version of the verifier judged every record.", err=True)


@cli.command()
@json_option
def plugins(as_json: bool) -> None:
    """List the installed plug-ins and the trainers they offer."""
    from harness.cli import listing

    _emit(listing.plugins() if as_json else listing.plugins_text(), as_json)


@cli.command()
@click.argument("name", required=False)
@data_option
@json_option
def boards(name: str | None, data_dir: Path | None, as_json: bool) -> None:
    """List the boards, or show the board NAME (or its TOML file) in full."""
    from harness.cli import board_listing, listing

    if name is None:
        _emit(listing.boards() if as_json else listing.boards_text(), as_json)
        return
    _, loaded = _board(name, data_dir, download=False)
    _emit(board_listing.board(loaded) if as_json else board_listing.board_text(loaded), as_json)


@cli.command()
@click.argument("name", required=False)
@data_option
@json_option
def tasks(name: str | None, data_dir: Path | None, as_json: bool) -> None:
    """List the tasks, or show the task NAME in full. Nothing is downloaded."""
    from harness.cli import task_listing as listing
    from harness.plugin.host import Host

    host = Host(data_dir=data_dir, download=False)
    if name is None:
        _emit(listing.tasks(host) if as_json else listing.tasks_text(host), as_json)
    else:
        _emit(listing.task(host, name) if as_json else listing.task_text(host, name), as_json)


def _board(reference: str, data_dir: Path | None, *, download: bool = True) -> tuple[Host, Board]:
    from harness.boards.board import load_board
    from harness.plugin.host import Host

    host = Host(data_dir=data_dir, download=download)
    board = load_board(reference, host)
    for warning in board.warnings():
        click.echo(f"harness: {warning}", err=True)
    return host, board


def _show(leaderboard: Leaderboard, as_json: bool) -> None:
    if as_json:
        click.echo(leaderboard.to_json(), nl=False)
        return
    from harness.render.terminal import render

    _console().print(render(leaderboard))


def _console() -> Console:
    from rich.console import Console

    width = None if sys.stdout.isatty() else 100
    return Console(markup=False, highlight=False, width=width)


def _emit(value: Any, as_json: bool) -> None:
    click.echo(json.dumps(value, indent=2) if as_json else value, nl=as_json)


def main() -> None:
    """Run the command line; an error for people is one line on standard error."""
    debug = "--debug" in sys.argv
    try:
        code = cli.main(standalone_mode=False, prog_name="harness")
        sys.exit(code if isinstance(code, int) else 0)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (KeyboardInterrupt, click.Abort):
        sys.exit(130)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        sys.exit(0)
    except Exception as error:
        if debug:
            raise
        from harness.errors import HarnessError

        if isinstance(error, HarnessError):
            from harness.render.escape import terminal

            click.echo(f"harness: {terminal(str(error))}", err=True)
            sys.exit(error.exit_code)
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            click.echo(
                f"harness: the disk is full ({error.filename or 'no file named'});"
                " free some space and give the same command again",
                err=True,
            )
            sys.exit(1)
        text = str(error).strip().splitlines()
        reason = f"{type(error).__name__}: {text[0] if text else ''}"
        click.echo(f"harness: unexpected {reason} (harness --debug shows where)", err=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
