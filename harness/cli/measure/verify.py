"""`harness verify`: judge one answer and explain it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from harness.cli import options

if TYPE_CHECKING:
    from harness.verify import Conventions
    from harness.verify.extraction.extract import Form


@click.command("verify")
@click.argument("gold")
@click.argument("answer")
@click.option(
    "--form",
    type=options.forms,
    default="bare",
    help="Form in which ANSWER gives its answer; bare takes all of it.",
)
@options.convention_option
@click.option("--problem", help="The problem, for conventions that look at its text.")
@click.option("--truncated", is_flag=True, help="ANSWER was cut off at the token limit.")
@options.json_option
def command(
    gold: str,
    answer: str,
    form: Form,
    conventions: Conventions,
    problem: str | None,
    truncated: bool,
    as_json: bool,
) -> None:
    """Judge one answer, and explain it step by step.

    The exit code is 0 if ANSWER is correct given GOLD, and 1 for any other verdict.
    """
    from harness.verify import VERIFIER_VERSION, Verdict, explain, self_test
    from harness.verify.workers.wire import judgement_fields

    self_test()
    judgement, steps = explain(
        answer, gold, conventions, form=form, truncated=truncated, problem=problem
    )
    if as_json:
        shown = judgement_fields(judgement) | {"steps": steps, "verifier": VERIFIER_VERSION}
        options.print_json(shown)
    else:
        options.print_lines(f"{number}. {step}" for number, step in enumerate(steps, 1))
        strict, flexible = ("yes" if x else "no" for x in (judgement.strict, judgement.flexible))
        click.echo(
            f"strict match: {strict}; flexible match: {flexible}; verifier {VERIFIER_VERSION}"
        )
    sys.exit(0 if judgement.verdict is Verdict.correct else 1)
