"""`harness doctor`: check this machine for what usually breaks."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.cli.options import json_option, print_json, runs_option

if TYPE_CHECKING:
    from harness.doctor.finding import Finding


@click.command("doctor")
@runs_option
@json_option
def command(runs: Path, as_json: bool) -> None:
    """Check this machine for what usually breaks.

    The exit code is 1 if a bench would fail.
    """
    from harness.doctor.examine import examine

    findings = examine(runs)
    if as_json:
        print_json([asdict(finding) for finding in findings])
    else:
        click.echo(render(findings))
    if any(finding.level == "problem" for finding in findings):
        sys.exit(1)


def render(findings: list[Finding]) -> str:
    """Return the findings as text, one line each, and a last line that sums up."""
    from harness.render.escape import terminal

    width = max(len(finding.check) for finding in findings)
    lines = []
    for finding in findings:
        todo = f": {finding.todo}" if finding.todo else ""
        text = terminal(f"{finding.found}{todo}", 500)
        lines.append(f"{finding.level:<8} {finding.check:<{width}}  {text}")
    count = {level: sum(f.level == level for f in findings) for level in ("problem", "warning")}
    lines.append(f"{count['problem']} problems, {count['warning']} warnings")
    return "\n".join(lines)
