"""`harness plugins`: the installed plug-ins and their trainers."""

from __future__ import annotations

from typing import Any

import click

from harness.cli import options
from harness.plugin.host import Host
from harness.plugin.search import space_of
from harness.plugin.trainer import Trainer


@click.command("plugins")
@click.argument("trainer", required=False)
@options.json_option
def command(trainer: str | None, as_json: bool) -> None:
    """List the plug-ins and the trainers they offer.

    With TRAINER, such as kd, its options are shown, with their defaults.
    """
    if trainer is None:
        options.print_found(_rows(), as_json, _lines)
    else:
        options.print_found(_trainer(Host().trainer(trainer).trainer), as_json, _options)


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
        "executors": {each.name: each.summary for each in host.executors(name).values()},
    }


def _trainer(trainer: Trainer) -> dict[str, Any]:
    fields = trainer.options.model_fields
    return {
        "name": trainer.name,
        "summary": trainer.summary,
        "needs_teacher": trainer.needs_teacher,
        "chain": trainer.chain,
        "options": {k: f.get_default(call_default_factory=True) for k, f in fields.items()},
        "meaning": {k: f.description or "" for k, f in fields.items()},
        "space": {k: one.described for k, one in space_of(trainer.options).items()},
    }


def _options(found: dict[str, Any]) -> list[str]:
    width = max(map(len, found["options"]), default=0)
    lines = [f"{found['name']}: {found['summary']}"]
    for name, default in found["options"].items():
        searched = f"; tuned over {found['space'][name]}" if name in found["space"] else ""
        text = f"{found['meaning'][name]} [default: {default}{searched}]".strip()
        lines += options.wrapped(f"  {name:<{width}}  ", text)
    return [*lines, f"harness bench --set {found['name']}.OPTION=VALUE changes one"]


def _lines(rows: list[dict[str, Any]]) -> list[str]:
    lines = []
    for row in rows:
        if "error" in row:
            lines.append(f"{row['name']}: {row['error']}")
            continue
        lines.append(f"{row['name']} ({row['distribution']} {row['version']})")
        lines += [f"  {each['name']:<16} {each['summary']}" for each in row["trainers"]]
        lines += [f"  executor {name}: {text}" for name, text in row["executors"].items()]
        if not row["trainers"] and not row["executors"]:
            lines.append(f"  hooks: {', '.join(row['hooks'])}")
    return lines
