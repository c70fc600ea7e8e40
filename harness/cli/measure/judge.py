"""`harness judge`: judge a file of answers made elsewhere."""

from __future__ import annotations

import json
import os
import sys
from collections import deque
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.cli import options

if TYPE_CHECKING:
    from harness.verify import Conventions
    from harness.verify.extraction.extract import Form


@click.command("judge")
@click.argument("file", type=options.INPUT_FILE)
@click.option(
    "--task", "name", metavar="NAME", help="Task that gives the conventions and the gold answers."
)
@click.option(
    "--answer", metavar="COLUMN", help="Column of the responses.  [default: a usual name]"
)
@click.option(
    "--gold", metavar="COLUMN", help="Column of the gold answers.  [default: a usual name]"
)
@click.option(
    "--form", type=options.forms, default="boxed", help="Form in which the answers were asked for."
)
@options.convention_option
@click.option("--out", type=options.FILE, help="File to write: the rows with their judgements.")
@click.option(
    "--workers",
    type=click.IntRange(1, 256),
    default=lambda: os.cpu_count() or 1,
    show_default="one a core",
    metavar="N",
    help="Processes that judge.",
)
@click.option(
    "--seconds",
    type=click.FloatRange(min=0, min_open=True),
    default=3.0,
    metavar="S",
    help="Time limit of one answer.",
)
@click.option(
    "--disagreements", is_flag=True, help="Show each answer whose label and verdict differ."
)
@options.data_option
@options.json_option
def command(
    file: Path,
    name: str | None,
    answer: str | None,
    gold: str | None,
    form: Form,
    conventions: Conventions,
    out: Path | None,
    workers: int,
    seconds: float,
    disagreements: bool,
    data_dir: Path | None,
    as_json: bool,
) -> None:
    """Judge a file of answers made elsewhere.

    FILE is JSONL or JSONL.gz, one answer a line. The columns of responses and gold answers are
    found by their names; labels, if there are any, are compared with the verdicts.
    """
    from harness.bench import answers_file
    from harness.errors import UsageError
    from harness.plugin.host import Host
    from harness.render.judge import tally_json, tally_text
    from harness.verify import VERIFIER_VERSION, VerifierPool, self_test

    if out is not None and out.resolve() == file.resolve():
        raise UsageError(f"--out {out} is the file of answers itself: name another")
    task = None if name is None else Host(data_dir=data_dir).task(name)
    if task is not None:  # what is given here overrides the task's
        given = conventions.model_dump(include=conventions.model_fields_set)
        conventions = task.conventions.model_copy(update=given)
    self_test()
    total, columns = answers_file.survey(
        file, answer=answer, gold=gold, golds_elsewhere=task is not None
    )
    from_task = task is not None and columns.gold is None
    tally = answers_file.Tally()
    with (
        VerifierPool(workers=workers, seconds=seconds) as pool,
        click.progressbar(length=total, label=file.name, file=sys.stderr) as bar,
    ):
        judged = answers_file.judge_rows(
            answers_file.rows_of(file, tally),
            pool,
            columns,
            golds=answers_file.golds_of(task.split("test")) if task and from_task else None,
            conventions=conventions,
            form=form,
            tally=tally,
            progress=bar.update,
        )
        _write(judged, out)
    used = {
        "file": str(file),
        "answer": columns.answer,
        "gold": f"task {name}" if from_task else columns.gold,
        "label": columns.label,
        "form": form,
        "task": name,
        "conventions": conventions.model_dump(mode="json", exclude_defaults=True),
        "verifier": VERIFIER_VERSION,
    }
    if as_json:
        options.print_json(tally_json(tally, used, disagreements))
    else:
        click.echo(tally_text(tally, used, disagreements), nl=False)


def _write(judged: Iterable[dict[str, Any]], out: Path | None) -> None:
    if out is None:
        deque(judged, maxlen=0)  # judging fills the tally
        return
    out.parent.mkdir(parents=True, exist_ok=True)
    partial = out.with_name(out.name + ".partial")  # the file is there only when it is whole
    with partial.open("w", encoding="utf-8") as sink:
        for row in judged:
            sink.write(json.dumps(row) + "\n")
    os.replace(partial, out)
