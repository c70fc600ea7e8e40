"""`harness tasks`: the list of tasks, or one task in full."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import click

from harness.cli import options
from harness.leaderboard.stats import minimum_detectable
from harness.plugin.host import Host
from harness.tasks.loading import local_names
from harness.tasks.task import SPLITS, Task


@click.command("tasks")
@click.argument("name", required=False)
@options.data_option
@options.json_option
def command(name: str | None, data_dir: Path | None, as_json: bool) -> None:
    """List the tasks, or show one in full.

    NAME is a task's name. Nothing is downloaded.
    """
    host = Host(data_dir=data_dir, download=False)
    if name is None:
        host.load_all()
        options.print_found([_row(each) for each in host.tasks().values()], as_json, _table)
    else:
        options.print_found(_task(host.task(name)), as_json, _task_lines, None)


def _table(rows: list[dict[str, Any]]) -> list[str]:
    head = f"{'task':<16} {'train':>6} {'test':>6}  {'here':<4} {'±':>5}   {'licence':<17} summary"
    lines = [head]
    for row in rows:
        sizes = " ".join(f"{_count(row['splits'].get(split)):>6}" for split in ("train", "test"))
        here = "yes" if all(each["here"] for each in row["splits"].values()) else "no"
        points = f"{row['detectable']:.1f}" if row["detectable"] else ""
        points += "+" if row["groups"] else " "
        licence = re.split(r"[;,(]", row["licence"])[0].strip()[:17]
        mark = "  (not for ranking)" if row["unfit"] else ""
        line = f"{row['name']:<16} {sizes}  {here:<4} {points:>6}  {licence:<17} {row['summary']}"
        lines.append(line + mark)
    return [
        *lines,
        "",
        "±: the smallest difference in points that one comparison of two checkpoints is likely to",
        "find (power 80 %, 5 % level, about half of the answers right); +: more, for rows come in",
        "groups. `harness tasks NAME` shows licence, source and known defects; --data-dir says",
        "where data lies.",
    ]


def _task(found: Task) -> dict[str, Any]:
    full = _row(found) | {
        "version": found.version,
        "defects": list(found.defects),
        "conventions": found.conventions.model_dump(mode="json", exclude_defaults=True),
        "max_new_tokens": found.max_new_tokens,
    }
    if found.source is not None:
        source = found.source
        hidden = ("splits", "columns", "keep", "lm_eval")
        full["source"] = {k: v for k, v in vars(source).items() if k not in hidden}
        for split, each in source.splits.items():
            full["splits"][split] |= {
                "hub_files": list(each.hub),
                "local_files": [list(names) for names in local_names(found.name, source, split)],
                "content": each.content,
                "content_here": found.content(split) if found.here(split) else None,
            }
    return full


def _task_lines(found: dict[str, Any]) -> list[str]:
    lines = [f"{found['name']} (version {found['version']}): {found['summary']}"]
    lines += _field("licence", found["licence"] or "not stated")
    for split, each in found["splits"].items():
        here = f"here: {each['here']}" if each["here"] else "not here"
        lines += _field(split, f"{_count(each)} rows, {here}")
        if "local_files" in each:
            files = " or ".join(" + ".join(names) for names in each["local_files"])
            lines += _field("", f"local: {files} (.jsonl or .jsonl.gz)")
            if each["hub_files"]:
                lines += _field("", f"Hub: {' + '.join(each['hub_files'])}")
            lines += _field("", f"content: {each['content'] or 'not declared'}")
            if each["content_here"] and each["content_here"] != each["content"]:
                lines += _field("", f"content here: {each['content_here']}")
    if "source" in found:
        lines += _source_lines(found["source"])
    conventions = ", ".join(f"{key}={value}" for key, value in found["conventions"].items())
    lines += _field("judged with", conventions or "the default conventions")
    lines += _field("token limit", f"{found['max_new_tokens']} suggested")
    if found["detectable"]:
        fit = f"not for ranking: {found['unfit']}" if found["unfit"] else "fit for ranking"
        lines += _field(
            "ranking",
            f"{fit}; differences under {found['detectable']:.1f} points are unlikely to be found"
            " by one comparison of two checkpoints",
        )
    for defect in found["defects"]:
        lines += _field("defect", defect)
    return lines


def _source_lines(source: dict[str, Any]) -> list[str]:
    lines = _field("Hub data set", source["hub"] or "none that holds these rows")
    if source["hub"]:
        lines += _field("revision", source["revision"] or "not known here; the newest is taken")
        if source["config"]:
            lines += _field("configuration", source["config"])
        read = {
            "column": "unchanged",
            "hash": "the text after the last ####",
            "boxed": "the content of the last box",
            "final": "the content of the last box, or the text after the last ####",
            "list": "a list, joined by commas",
        }[source["gold"]]
        tidy = {"number": ", 51.0 written as 51", "unit": ", without its unit", None: ""}
        lines += _field("problem", f"column {' + '.join(source['problem'])}")
        lines += _field("gold answer", f"column {source['answer']}: {read}{tidy[source['tidy']]}")
        if source["solution"]:
            lines += _field("solution", f"column {source['solution']}")
    if source["group"]:
        place = {"_line": "line of its file", "_file": "file"}
        where = " or ".join(place.get(name, f"column {name}") for name in source["group"])
        lines += _field("group", f"{where}; {source['groups'] or 'an unknown number of'} groups")
    return lines


def _row(found: Task) -> dict[str, Any]:
    splits = {
        split: {"rows": found.size(split), "here": found.here(split)}
        for split in SPLITS
        if found.has(split)
    }
    questions = found.size("test") if "test" in splits else 0
    return {
        "name": found.name,
        "summary": found.summary,
        "licence": found.licence,
        "splits": splits,
        "groups": found.source.groups if found.source else None,
        "unfit": found.unfit,
        "detectable": 100 * minimum_detectable(questions) if questions else None,
    }


def _count(split: dict[str, Any] | None) -> str:
    if split is None:
        return "-"
    return f"{split['rows']:,}" if split["rows"] else "?"


def _field(name: str, text: str) -> list[str]:
    return options.wrapped(f"  {name:<13} ", text)
