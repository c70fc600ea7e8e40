"""The commands ``harness verify`` and ``harness grade``."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import click

from harness.errors import UsageError
from harness.verify.conventions import Conventions

_FORMS = click.Choice(["boxed", "hash", "answer_is", "bare"])


def conventions_from(pairs: tuple[str, ...]) -> Conventions:
    """Return conventions from ``name=value`` pairs of a command line.

    Raises:
        UsageError: an unknown option or a value it does not take.
    """
    from pydantic import ValidationError

    values: dict[str, Any] = {}
    for pair in pairs:
        name, mark, value = pair.partition("=")
        if not mark:
            raise UsageError(f"{pair!r} is not of the form option=value")
        values[name] = value
    try:
        return Conventions.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(x) for x in first["loc"])
        known = ", ".join(Conventions.model_fields)
        raise UsageError(f"convention {where!r}: {first['msg']}; known: {known}") from error


def register(cli: click.Group) -> None:
    """Add the verifier's commands to the command line."""

    @cli.command("verify", short_help="Judge one answer and explain it step by step.")
    @click.argument("gold")
    @click.argument("answer")
    @click.option(
        "--form",
        type=_FORMS,
        default="bare",
        show_default=True,
        help="Where the answer stands in ANSWER; bare takes all of it.",
    )
    @click.option(
        "--convention",
        "-c",
        "pairs",
        multiple=True,
        metavar="OPTION=VALUE",
        help="A named option of the task, as rounding=gold; may be repeated.",
    )
    @click.option("--truncated", is_flag=True, help="The response stopped at the token limit.")
    @click.option("--json", "as_json", is_flag=True, help="One JSON object instead of text.")
    def verify_command(
        gold: str, answer: str, form: Any, pairs: tuple[str, ...], truncated: bool, as_json: bool
    ) -> None:
        """Judge ANSWER against GOLD and show each step.

        The exit status is 0 for a correct answer and 1 for any other verdict.
        """
        from harness.verify import VERIFIER_VERSION, explain, self_test
        from harness.verify.wire import judgement_fields

        conventions = conventions_from(pairs)
        self_test()
        judgement, steps = explain(answer, gold, conventions, form=form, truncated=truncated)
        if as_json:
            shown = judgement_fields(judgement) | {"steps": steps, "verifier": VERIFIER_VERSION}
            click.echo(json.dumps(shown, ensure_ascii=False, indent=2, sort_keys=True))
        else:
            for number, step in enumerate(steps, 1):
                click.echo(f"{number}. {printable(step)}")
            click.echo(
                f"strict match: {_yes(judgement.strict)}; "
                f"flexible match: {_yes(judgement.flexible)}; "
                f"verifier {VERIFIER_VERSION}"
            )
        raise SystemExit(0 if judgement.verdict == "correct" else 1)

    @cli.command("grade", short_help="Judge a JSONL file of answers.")
    @click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
    @click.option(
        "--out",
        type=click.Path(dir_okay=False, path_type=Path),
        help="Write the rows with their judgements here.",
    )
    @click.option(
        "--answer",
        "answer_key",
        default="answer_text",
        show_default=True,
        help="The column of the response.",
    )
    @click.option(
        "--gold",
        "gold_key",
        default="gold",
        show_default=True,
        help="The column of the gold answer.",
    )
    @click.option("--form", type=_FORMS, default="boxed", show_default=True)
    @click.option("--convention", "-c", "pairs", multiple=True, metavar="OPTION=VALUE")
    @click.option(
        "--workers",
        type=click.IntRange(1, 256),
        default=lambda: os.cpu_count() or 1,
        show_default="one a core",
    )
    @click.option(
        "--seconds",
        type=float,
        default=3.0,
        show_default=True,
        help="The time limit of one answer.",
    )
    def grade_command(
        file: Path,
        out: Path | None,
        answer_key: str,
        gold_key: str,
        form: Any,
        pairs: tuple[str, ...],
        workers: int,
        seconds: float,
    ) -> None:
        """Judge every row of FILE, one JSON object a line, and print the counts."""
        grade_file(file, out, answer_key, gold_key, form, conventions_from(pairs), workers, seconds)


def grade_file(
    file: Path,
    out: Path | None,
    answer_key: str,
    gold_key: str,
    form: Any,
    conventions: Conventions,
    workers: int,
    seconds: float,
) -> None:
    """Grade a file with a progress bar on standard error and the counts on standard output."""
    from harness.verify import VERIFIER_VERSION, VerifierPool, self_test
    from harness.verify.grading import Tally, grade_rows, rows_of

    self_test()
    tally = Tally()
    partial = out.with_name(out.name + ".partial") if out is not None else None
    with file.open(encoding="utf-8", errors="replace") as lines:
        total = sum(1 for _ in lines)
        lines.seek(0)
        with (
            VerifierPool(workers=workers, seconds=seconds) as pool,
            click.progressbar(length=total, label=file.name, file=sys.stderr) as bar,
        ):
            graded = grade_rows(
                rows_of(lines, tally, file.name),
                pool,
                answer_key=answer_key,
                gold_key=gold_key,
                conventions=conventions,
                form=form,
                tally=tally,
                progress=bar.update,
            )
            if partial is None or out is None:
                for _ in graded:
                    pass
            else:
                with partial.open("w", encoding="utf-8") as sink:
                    for row in graded:
                        sink.write(json.dumps(row, ensure_ascii=True) + "\n")
                os.replace(partial, out)
    counts = ", ".join(f"{n} {v}" for v, n in sorted(tally.verdicts.items()))
    click.echo(f"{tally.rows} answers: {counts or 'none'}")
    click.echo(
        f"accuracy {100 * tally.accuracy:.2f} %, strict matches {tally.strict}, "
        f"flexible matches {tally.flexible}, verifier {VERIFIER_VERSION}"
    )
    if tally.torn:
        click.echo("the last line was torn and left out", err=True)


def printable(text: str) -> str:
    """Return text without characters that could steer a terminal."""
    return "".join(c if c.isprintable() or c == " " else " " for c in text)


def _yes(value: bool) -> str:
    return "yes" if value else "no"
