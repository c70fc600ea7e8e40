"""`harness plugins`: the installed plug-ins and their trainers."""

from __future__ import annotations

from typing import Any

import click

from harness.cli import options
from harness.plugin.host import Host
from harness.plugin.trainer import Trainer


@click.command("plugins")
@options.json_option
def command(as_json: bool) -> None:
    """List the plug-ins and the trainers they offer."""
    options.print_found(_rows(), as_json, _lines)


def _rows() -> list[dict[str, Any]]:
    """Return every installed plug-in with its trainers, or the reason why it cannot be used."""
    host = Host()
    errors = host.load_all()
    return [
        {"name": name, "error": str(errors[name]), "trainers": []}
        if name in errors
        else _plugin(host, name)
        for name in host.names
    ]


def _plugin(host: Host, name: str) -> dict[str, Any]:
    plugin, offers = host.load(name), host.trainers().values()
    return {
        "name": name,
        "distribution": plugin.distribution,
        "version": plugin.version,
        "hooks": host.hooks(name),
        "trainers": [_trainer(each.trainer) for each in offers if each.plugin.name == name],
    }


def _trainer(trainer: Trainer) -> dict[str, Any]:
    fields = trainer.options.model_fields
    return {
        "name": trainer.name,
        "summary": trainer.summary,
        "needs_teacher": trainer.needs_teacher,
        "chain": trainer.chain,
        "options": {k: f.get_default(call_default_factory=True) for k, f in fields.items()},
    }


def _lines(rows: list[dict[str, Any]]) -> list[str]:
    lines = []
    for row in rows:
        if "error" in row:
            lines.append(f"{row['name']}: {row['error']}")
            continue
        lines.append(f"{row['name']} ({row['distribution']} {row['version']})")
        lines += [f"  {each['name']:<16} {each['summary']}" for each in row["trainers"]]
        if not row["trainers"]:
            lines.append(f"  hooks: {', '.join(row['hooks'])}")
    return lines
