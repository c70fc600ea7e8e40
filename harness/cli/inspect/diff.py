"""`harness diff`: compare two cells question by question."""

from __future__ import annotations

from pathlib import Path

import click

from harness.cli import options


@click.command("diff")
@click.argument("first")
@click.argument("second")
@options.board_argument
@options.repeated("--task", "tasks", metavar="NAME", text="Only this task")
@options.repeated(
    "--only", "kinds", metavar="KIND", text="Only fixed, broken, both_wrong or both_right",
    default="fixed and broken",
)  # fmt: skip
@options.repeated(
    "--verdict", "verdicts", metavar="VERDICT", text="Only where an answer has this verdict"
)
@click.option("--grep", "search", metavar="TEXT", help="Only where a text contains this.")
@click.option(
    "--limit", type=click.IntRange(0), default=10, metavar="N", help="Questions shown at most."
)
@options.data_option
@options.runs_option
@options.json_option
def command(
    first: str,
    second: str,
    board: str,
    tasks: tuple[str, ...],
    kinds: tuple[str, ...],
    verdicts: tuple[str, ...],
    search: str | None,
    limit: int,
    data_dir: Path | None,
    runs: Path,
    as_json: bool,
) -> None:
    """Compare two cells question by question.

    FIRST and SECOND are cells: a trainer (start), a trainer and a seed (sft/0), or the id of a
    record. BOARD is a board's name or TOML file; tiny if none is given. Problems and gold answers
    are shown where the board's tasks are at hand.
    """
    from harness.boards.questions import questions_of
    from harness.leaderboard.diff import diff
    from harness.render.diff import render

    if not kinds and not verdicts and not search:
        kinds = ("fixed", "broken")
    found = diff(
        _folder(board, runs),
        first,
        second,
        questions_of(board, data_dir),
        tasks=tasks,
        kinds=kinds,
        verdicts=verdicts,
        search=search or "",
        limit=limit,
    )
    if as_json:
        options.print_json(found.model_dump(mode="json"))
    else:
        options.print_rich(render(found))


def _folder(board: str, runs: Path) -> Path:
    from harness.boards.file import read_board_file

    # the file alone is read, for the board's tasks need not be at hand
    return runs / (read_board_file(Path(board)).name if board.endswith(".toml") else board)
