"""The command `harness doctor`: what usually breaks on a machine, one line for each.

torch and everything else that is heavy is asked in processes of its own; whatever they do, each
check ends with a finding.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from harness.doctor.finding import Finding
from harness.options import json_option, runs_option


def examine(runs: Path) -> list[Finding]:
    """Return the findings of all checks.

    Args:
        runs: The folder for everything a bench leaves.
    """
    from harness.doctor import machine, software
    from harness.doctor.finding import start

    torch = start([sys.executable, "-c", software.ASK_TORCH])
    warm = start([sys.executable, "-m", "harness.warm", str(os.getpid())], CUDA_VISIBLE_DEVICES="")
    gpus = machine.gpus()
    checks: dict[str, Callable[[], Iterator[Finding]]] = {
        "python": software.platform,
        "packages": software.packages,
        "torch": lambda: software.torch(torch, gpus),
        "gpu": lambda: machine.drivers(gpus),
        "optional": software.extras,
        "antlr": software.antlr,
        "verifier": software.verifier,
        "stages": lambda: software.warm(warm),
        "plug-ins": software.plugins,
        "runs": lambda: machine.folder(runs),
        "memory": machine.memory,
        "cores": machine.cores,
        "hub": machine.hub,
    }
    findings: list[Finding] = []
    for name, check in checks.items():
        try:
            findings += check()
        except Exception as error:  # a check that breaks is a finding too
            line = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
            findings.append(Finding(name, "problem", f"cannot be checked: {line}", "report this"))
    for child in (torch, warm):
        if child.poll() is None:
            child.kill()
            child.communicate()
    return findings


def render(findings: list[Finding]) -> str:
    """Return the findings as text, one line each, and a last line that sums up."""
    from harness.escape import terminal

    width = max(len(finding.check) for finding in findings)
    lines = []
    for finding in findings:
        todo = f": {finding.todo}" if finding.todo else ""
        text = terminal(f"{finding.found}{todo}", 500)
        lines.append(f"{finding.level:<8} {finding.check:<{width}}  {text}")
    count = {level: sum(f.level == level for f in findings) for level in ("problem", "warning")}
    lines.append(f"{count['problem']} problems, {count['warning']} warnings")
    return "\n".join(lines)


@click.command()
@runs_option
@json_option
def doctor(runs: Path, as_json: bool) -> None:
    """Check this machine for what usually breaks; exit code 1 where a bench would fail."""
    findings = examine(runs)
    listed: list[dict[str, Any]] = [asdict(finding) for finding in findings]
    click.echo(json.dumps(listed, indent=2) if as_json else render(findings))
    if any(finding.level == "problem" for finding in findings):
        sys.exit(1)


def register(cli: click.Group) -> None:
    """Add the command to the command line."""
    cli.add_command(doctor)
