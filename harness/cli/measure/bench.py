"""`harness bench`: train and score a board's trainers."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.cli import options
from harness.cli.running import leave, run, say_what_is_left_out, show, stop_if_unfinished, tune

if TYPE_CHECKING:
    from harness.bench.plan import Plan
    from harness.bench.tuning.search import Trials
    from harness.boards.board import Board
    from harness.leaderboard.data import Leaderboard
    from harness.plugin.executor import Facts
    from harness.stage.spec import Device
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
    if text is not None and text.rstrip().endswith(","):
        raise click.BadParameter(f"{text!r} ends with a comma; write the list without a space")
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
@click.option(
    "--scratch",
    metavar="DIR",
    help="Folder on the own disk of whichever machine runs a stage, such as /scratch or '$TMPDIR',"
    " for temporary files and training checkpoints; the newest is copied to the runs folder.",
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
    until_decided: bool,
    overrides: tuple[str, ...],
    jobs: int | None,
    trials: int | None,
    device: str,
    executor: str,
    ray_address: str | None,
    slurm: Mapping[str, str],
    scratch: str | None,
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
    from harness.bench.executors.choose import find_executor, open_executor
    from harness.bench.executors.gpus import choose_device, default_jobs, gpu_names
    from harness.bench.folder import Folder
    from harness.bench.plan import plan as make_plan
    from harness.bench.tuning.search import plan_trials
    from harness.forecast import preview
    from harness.plugin.executor import ExecutorSettings
    from harness.render.plan import render
    from harness.scratch import find as find_scratch

    if gpu and not dry_run:
        raise click.UsageError("--gpu plans for a GPU; use it with --dry-run")
    for option, given, owner in (
        ("--ray-address", ray_address, "ray"),
        ("--slurm", slurm, "slurm"),
    ):
        if given and executor != owner:
            raise click.UsageError(f"{option} goes with --executor {owner}")
    host, loaded = options.open_board(board, data_dir, download=not dry_run)
    say_what_is_left_out(loaded, runs)
    looks = looks_of(loaded, seeds) if until_decided else [seeds]
    folder = Folder(runs.resolve() / loaded.name)
    tried = Folder(folder.path, trials=True)

    def make(
        seeds: tuple[int, ...], where: Device | Facts, tuned: dict[str, Tuning] | None = None
    ) -> Plan:
        made = make_plan(loaded, host, plugins, seeds, overrides, where, tuned=tuned, trials=trials)
        made.report_to = report_to
        return made

    def search(where: Device | Facts) -> Trials | None:
        return plan_trials(loaded, host, plugins, overrides, where, trials)

    if dry_run:
        find_executor(executor, host)
        own = None  # what `--scratch` names, and the folder where stages run on this machine
        if scratch:
            given = _absolute(scratch)
            own = given, find_scratch(given) if executor == "local" else None
        where, planned, note = choose_device(device), None, ""
        if gpu or device != "cpu":  # who asks for a CPU has its times planned
            planned, note = preview.choose_gpu(gpu, loaded, where)
            where = "cuda" if planned else "cpu"
        plan, searched, tuned = make(looks[-1], where), search(where), None
        if searched and (tuned := searched.chosen(searched.finished(tried))):
            plan = make(looks[-1], where, tuned)
        tuning, table = searched.plan if searched else None, loaded.file.compute
        at_once = len(gpu_names()) // table.gpus or 1
        if planned is None:
            at_once = default_jobs("cpu", table.threads, table.gpus)
        more = (tuning, jobs or at_once, options.LEADERBOARDS, own)
        shown = preview.preview(plan, folder, planned, note, *more)
        if as_json:
            options.print_json(shown.model_dump(mode="json"))
        else:
            if rows := sorted({cell.trainer for cell in plan.cells if "(" in cell.trainer}):
                options.print_lines([f"With settings of this command: {', '.join(rows)}"])
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
        scratch=scratch and _absolute(scratch),
        options={"address": ray_address or ""} if executor == "ray" else slurm,
        say=lambda line: click.echo(f"harness: {line}", err=True),
    )
    chosen = open_executor(executor, settings, host)
    computed, leaderboard, tuned = 0, None, None
    try:
        facts = chosen.probe()
        whole = make(looks[-1], facts)  # before anything runs: it refuses what cannot be done
        if searched := search(facts):
            tuned = tune(searched, host, tried, chosen, report_to)
        for look in looks:
            plan = whole if look == looks[-1] and not tuned else make(look, facts, tuned)
            outcome = run(plan, host, folder, chosen)
            computed += outcome.computed
            leaderboard = leave(outcome, loaded, folder) if outcome.records else None
            if leaderboard is None or outcome.interrupted or outcome.failed:
                break
            if until_decided and decided(leaderboard, len(look), looks[-1]):
                break
    finally:
        chosen.stop()
    if leaderboard:
        show(leaderboard, as_json)
        written = folder.path / f"{loaded.name}.md"
        click.echo(f"Written to {written}", err=True)
    if not computed and not outcome.interrupted:
        click.echo("Nothing to do: every cell of this bench was done before.", err=True)
    stop_if_unfinished(outcome, folder)


def _absolute(scratch: str) -> str:
    """Return what `--scratch` names as it is on any machine; a variable is each one's own."""
    return scratch if scratch.startswith("$") else str(Path(scratch).absolute())


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
