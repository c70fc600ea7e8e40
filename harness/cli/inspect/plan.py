"""`harness plan`: how many seeds and problems find a difference, before anything is trained."""

from __future__ import annotations

from pathlib import Path

import click

from harness.cli import options


def _points(context: click.Context, option: click.Parameter, text: str) -> tuple[float, ...]:
    try:
        found = tuple(float(part) for part in text.split(","))
    except ValueError:
        raise click.BadParameter(f"{text!r} is not a list of points such as 1,2,4") from None
    if not all(0 < one < 100 for one in found):
        raise click.BadParameter("points lie between 0 and 100")
    return found


@click.command("plan")
@options.board_argument
@click.option(
    "--rows", type=click.IntRange(2, 1000), metavar="N",
    help="Rows that will be ranked.  [default: the board's trainers]",
)  # fmt: skip
@click.option(
    "--seeds", type=click.IntRange(3, 50), metavar="N",
    help="Seeds of each.  [default: as many as the board's, three at least]",
)  # fmt: skip
@click.option(
    "--points", default="1,2,4", callback=_points, metavar="LIST", help="Differences to find."
)
@options.published_option
@options.data_option
@options.runs_option
@options.json_option
def command(
    board: str,
    rows: int | None,
    seeds: int | None,
    points: tuple[float, ...],
    published: Path,
    data_dir: Path | None,
    runs: Path,
    as_json: bool,
) -> None:
    """Say how many seeds and problems find a difference.

    By what moved the rows of the board's records: those of its runs, or else those that are
    published; without any by what is assumed. BOARD is a board's name or TOML file; tiny if none is
    given. Nothing is downloaded, trained or written.
    """
    from harness.boards.board import load_board
    from harness.forecast.power import first_measured, power_of
    from harness.leaderboard.comparison import TRAINER_SEEDS
    from harness.plugin.host import Host
    from harness.render.plan import render_power

    loaded = load_board(board, Host(data_dir=data_dir, download=False))
    places = (runs / loaded.name / "records", published / "records" / loaded.name)
    noise, source = first_measured(loaded, places)
    ranked = rows or max(2, len(loaded.file.trainers))
    planned = seeds or max(TRAINER_SEEDS, len(loaded.file.seeds))
    questions = loaded.problems(loaded.ranking)
    found = power_of(noise, ranked, planned, questions, [one / 100 for one in points])
    if as_json:
        shown = {"board": loaded.name, "questions": questions, "rows": ranked, "records": source}
        options.print_json({**shown, **found.model_dump(mode="json")})
    else:
        options.print_rich(render_power(found, loaded.name, questions, ranked))
        if source:
            click.echo(f"harness: by the records in {source}", err=True)
