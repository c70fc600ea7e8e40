"""`harness submit`: a folder with results to hand in, and the text of its pull request."""

from __future__ import annotations

from pathlib import Path

import click

from harness.cli import options


@click.command("submit")
@options.board_argument
@click.option(
    "--cells", required=True, metavar="LIST", help="Cells to hand in, such as sft/0,sft/1."
)
@click.option(
    "--trials",
    required=True,
    type=click.IntRange(1, 10**6),
    metavar="N",
    help="Settings that were tried in all, these included.",
)
@click.option("--address", default="", metavar="URL", help="Where the trainer's source is.")
@click.option("--sign", "key", type=options.INPUT_FILE, metavar="KEY", help="SSH key to sign with.")
@click.option(
    "--out", type=options.FOLDER, help="Folder to write.  [default: submissions/<its name>]"
)
@options.published_option
@options.data_option
@options.runs_option
def command(
    board: str,
    cells: str,
    trials: int,
    address: str,
    key: Path | None,
    out: Path | None,
    published: Path,
    data_dir: Path | None,
    runs: Path,
) -> None:
    """Make a folder with results to hand in.

    It holds the cells' records and answers and a manifest, checked as whoever takes them in will
    check them, and PULL_REQUEST.md, the text to hand them in with. BOARD is a board's name or TOML
    file; tiny if none is given.
    """
    from harness.publish.submission import sign
    from harness.publish.submit import submit
    from harness.records import read_records
    from harness.render.escape import terminal

    host, loaded = options.open_board(board, data_dir, download=False)
    wanted = [name.strip() for name in cells.split(",") if name.strip()]
    tasks = loaded.finder(host)
    joined = published / "records" / loaded.name
    folder = submit(
        runs / loaded.name, loaded.conditions(), wanted, tasks, trials, address, out, joined
    )
    if key is not None:
        sign(folder, key)
    click.echo(str(folder))
    text = (folder / "PULL_REQUEST.md").read_text(encoding="utf-8")
    options.print_lines(f"    {line}" for line in text.split("\n"))
    seeds: dict[str, set[int]] = {}
    for record in read_records(folder / "records"):
        if record.seed is not None:
            seeds.setdefault(record.trainer, set()).add(record.seed)
    for trainer, found in seeds.items():
        if missing := [f"{trainer}/{seed}" for seed in loaded.file.seeds if seed not in found]:
            line = f"{', '.join(missing)} not handed in: a row is ranked with all of the seeds"
            click.echo(f"harness: {terminal(line)}", err=True)
    place = str(folder) if "/" in str(folder) else f"./{folder}"
    own = f"{board} " if board.endswith(".toml") else ""
    click.echo(
        f"harness check {own}{place} says what everybody will see. Commit the folder to"
        " submissions/ of the project alone, and open a pull request with this text.",
        err=True,
    )
