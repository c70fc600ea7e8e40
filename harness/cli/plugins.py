"""`harness plugins`: the installed plug-ins and their trainers."""

from __future__ import annotations

from typing import Any

import click

from harness.cli.options import json_option, print_found
from harness.plugin.host import Host
from harness.render.escape import terminal


@click.command("plugins")
@json_option
def command(as_json: bool) -> None:
    """List the plug-ins and the trainers they offer."""
    print_found(_rows(), as_json, _text)


def _rows() -> list[dict[str, Any]]:
    """Return every installed plug-in with its trainers, or the reason why it cannot be used."""
    host = Host()
    errors = host.load_all()
    rows: list[dict[str, Any]] = []
    for name in host.names:
        if name in errors:
            rows.append({"name": name, "error": str(errors[name]), "trainers": []})
            continue
        plugin = host.load(name)
        rows.append(
            {
                "name": name,
                "distribution": plugin.distribution,
                "version": plugin.version,
                "hooks": host.hooks(name),
                "trainers": [
                    {
                        "name": offer.trainer.name,
                        "summary": offer.trainer.summary,
                        "needs_teacher": offer.trainer.needs_teacher,
                        "chain": list(offer.trainer.chain),
                        "options": _options(offer.trainer.options),
                    }
                    for offer in host.trainers().values()
                    if offer.plugin.name == name
                ],
            }
        )
    return rows


def _options(model: Any) -> dict[str, Any]:
    return {
        name: field.get_default(call_default_factory=True)
        for name, field in model.model_fields.items()
    }


def _text(rows: list[dict[str, Any]]) -> str:
    lines = []
    for row in rows:
        if "error" in row:
            lines.append(f"{row['name']}: {row['error']}")
            continue
        lines.append(f"{row['name']} ({row['distribution']} {row['version']})")
        lines += [f"  {each['name']:<16} {each['summary']}" for each in row["trainers"]]
        if not row["trainers"]:
            lines.append(f"  hooks: {', '.join(row['hooks'])}")
    return "".join(f"{terminal(line)}\n" for line in lines)
