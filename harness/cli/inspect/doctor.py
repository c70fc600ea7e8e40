"""`harness doctor`: check this machine for what usually breaks."""

from __future__ import annotations

import sys
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.cli import options
from harness.render.escape import terminal

if TYPE_CHECKING:
    from harness.doctor.finding import Finding


@click.command("doctor")
@options.runs_option
@options.json_option
def command(runs: Path, as_json: bool) -> None:
    """Check this machine for what usually breaks.

    The exit code is 1 if a bench would fail.
    """
    from harness.doctor.examine import examine

    findings = examine(runs)
    if as_json:
        options.print_json([asdict(finding) for finding in findings])
    else:
        click.echo(render(findings))
    if any(finding.level == "problem" for finding in findings):
        sys.exit(1)


def render(findings: list[Finding]) -> str:
    width = max(len(finding.check) for finding in findings)
    lines = [
        f"{one.level:<8} {one.check:<{width}}  "
        + terminal(f"{one.found}: {one.todo}" if one.todo else one.found, 500)
        for one in findings
    ]
    count = Counter(one.level for one in findings)
    return "\n".join([*lines, f"{count['problem']} problems, {count['warning']} warnings"])
