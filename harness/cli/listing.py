"""What there is: plug-ins and their trainers, and boards."""

from __future__ import annotations

from typing import Any

from harness.boards.board import known_boards
from harness.boards.file import read_board_file
from harness.errors import HarnessError
from harness.plugin.host import Host
from harness.render.escape import terminal


def plugins() -> list[dict[str, Any]]:
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


def plugins_text() -> str:
    """Return the plug-ins for people."""
    lines = []
    for row in plugins():
        if "error" in row:
            lines.append(f"{row['name']}: {row['error']}")
            continue
        lines.append(f"{row['name']} ({row['distribution']} {row['version']})")
        lines += [f"  {each['name']:<16} {each['summary']}" for each in row["trainers"]]
        if not row["trainers"]:
            lines.append(f"  hooks: {', '.join(row['hooks'])}")
    return "".join(f"{terminal(line)}\n" for line in lines)


def boards() -> list[dict[str, Any]]:
    """Return every board with its conditions in short, or the reason why it cannot be used."""
    rows: list[dict[str, Any]] = []
    for name, path in sorted(known_boards(Host()).items()):
        try:
            file = read_board_file(path)
        except HarnessError as error:
            rows.append({"name": name, "error": str(error)})
            continue
        rows.append(
            {
                "name": name,
                "title": file.title,
                "start_model": file.start_model,
                "teacher": file.teacher,
                "trainers": list(file.trainers),
                "seeds": list(file.seeds),
                "budget": file.budget.set_caps(),
                "scores": [f"{s.task} ({s.protocol})" for s in file.scores],
            }
        )
    return rows


def boards_text() -> str:
    """Return the boards for people."""
    lines = []
    for row in boards():
        if "error" in row:
            lines.append(f"{row['name']}: {row['error']}")
            continue
        lines += [
            f"{row['name']}: {row['title']}",
            f"  trainers {', '.join(row['trainers'])}; seeds {', '.join(map(str, row['seeds']))}",
            f"  scores {', '.join(row['scores'])}",
        ]
    lines.append("harness boards NAME shows one in full")
    return "".join(f"{terminal(line)}\n" for line in lines)
