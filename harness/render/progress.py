"""What a person sees while a bench runs: a live table on a terminal, plain lines elsewhere.

Progress goes to standard error, results to standard output. Names and messages come from outside,
so nothing here is read as markup and control characters are taken out.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from harness.bench.plan import Plan
from harness.render.escape import terminal

KEYS = ("reward", "loss", "holdout_loss")


class Progress(Protocol):
    """Shows the events of a bench; a context manager."""

    def __enter__(self) -> Progress: ...
    def __exit__(self, *error: object) -> None: ...
    def __call__(self, event: str, facts: Mapping[str, Any]) -> None:
        """Show one event."""


def progress(plan: Plan, stages: Path) -> Progress:
    """Return a live table when standard error is a terminal, plain lines otherwise."""
    return Live(plan, stages) if sys.stderr.isatty() else Plain(plan, stages)


def last_event(folder: Path) -> dict[str, Any]:
    """Return the newest whole line of a stage's events, or nothing."""
    try:
        with (folder / "events.jsonl").open("rb") as file:
            file.seek(0, 2)
            file.seek(max(0, file.tell() - 4096))
            lines = file.read().split(b"\n")[:-1]  # a torn last line is not one
        return json.loads(lines[-1]) if lines else {}
    except (OSError, ValueError):
        return {}


def numbers(event: Mapping[str, Any]) -> str:
    """Return step and loss or reward of an event for people."""
    parts = [f"step {event['step']}"] if "step" in event else []
    parts += [f"{key} {event[key]:.3g}" for key in KEYS if key in event]
    return ", ".join(parts)


class Plain:
    """One line for each event that matters, with the seconds since the start."""

    def __init__(self, plan: Plan, stages: Path) -> None:
        self.plan, self.stages = plan, stages
        self.started = time.monotonic()
        self.ended = 0
        self.reused = 0

    def __enter__(self) -> Plain:
        """Return this."""
        return self

    def __exit__(self, *error: object) -> None:
        """Do nothing: every line is out."""

    def __call__(self, event: str, facts: Mapping[str, Any]) -> None:
        """Write the line of an event, if it has one."""
        text = self.line(event, facts)
        if text:
            seconds = time.monotonic() - self.started
            sys.stderr.write(f"[{seconds:6.1f}s] {terminal(text)}\n")
            sys.stderr.flush()

    def line(self, event: str, facts: Mapping[str, Any]) -> str | None:
        """Return what an event says, or None."""
        if event == "record":
            return self._record_line(facts)
        if event == "warning":
            return f"warning: {facts['text']}"
        if event not in ("started", "ended", "reused", "interrupted"):
            return None
        stage = self.plan.stages[facts["stage"]]
        name = f"{stage.kind} {stage.label}" + ("" if stage.seed is None else f" seed {stage.seed}")
        quiet = stage.kind == "judge"  # the line of its cell's record follows
        if event == "reused":
            self.reused += 1
            return None if quiet else f"{name}: done before"
        if event == "started":
            return None if quiet else f"{name}: started"
        if event == "interrupted":
            return f"{name}: interrupted"
        self.ended += 1
        if facts["status"] != "ok":
            log = os.path.relpath(self.stages / stage.id / "log.txt")
            return f"{name}: {facts['status']}: {facts['error']} (log: {log})"
        if quiet:
            return None
        shown = numbers(last_event(self.stages / stage.id))
        return f"{name}: done" + (f" ({shown})" if shown else "")

    def _record_line(self, facts: Mapping[str, Any]) -> str:
        record = facts["record"]
        if record.status != "ok":
            return f"{facts['cell']}: no score ({record.status})"
        shown = ", ".join(f"{s.task} {100 * s.accuracy:.1f} %" for s in record.scores)
        return f"{facts['cell']}: {shown}"


class Live:
    """A table of what runs now, above a count of what is done."""

    def __init__(self, plan: Plan, stages: Path) -> None:
        from rich.console import Console
        from rich.live import Live as RichLive

        self.plan, self.stages = plan, stages
        self.console = Console(stderr=True, markup=False, highlight=False)
        self.plain = Plain(plan, stages)
        self.running: dict[str, float] = {}
        self.live = RichLive(console=self.console, refresh_per_second=4, transient=True)

    def __enter__(self) -> Live:
        """Start drawing."""
        self.live.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        """Stop drawing."""
        self.live.__exit__(None, None, None)

    def __call__(self, event: str, facts: Mapping[str, Any]) -> None:
        """Print what is final above the table, and draw the table anew."""
        if event == "started":
            self.running[facts["stage"]] = time.monotonic()
        elif event in ("ended", "interrupted"):
            self.running.pop(facts["stage"], None)
        text = self.plain.line(event, facts)
        if (text and event in ("record", "warning", "interrupted")) or (
            event == "ended" and facts["status"] != "ok"
        ):
            self.console.print(terminal(text))
        self.live.update(self.table())

    def table(self) -> Any:
        """Return the table of running stages."""
        from rich.table import Table

        done = self.plain.ended + self.plain.reused
        elapsed = time.monotonic() - self.plain.started
        table = Table(
            title=f"{done} of {len(self.plan.stages)} stages done, {elapsed:.0f} s",
            title_justify="left",
            box=None,
            padding=(0, 2, 0, 0),
        )
        for heading in ("cell", "stage", "step", "loss or reward", "left"):
            table.add_column(heading, no_wrap=True)
        for name, since in self.running.items():
            stage, event = self.plan.stages[name], last_event(self.stages / name)
            seed = "" if stage.seed is None else f" seed {stage.seed}"
            share = max(event.get("progress", 0.0), event.get("spent", 0.0))
            seconds = time.monotonic() - since
            left = f"{seconds / share - seconds:.0f} s" if share > 0.02 else ""
            value = ", ".join(f"{key} {event[key]:.3g}" for key in KEYS if key in event)
            table.add_row(
                terminal(stage.label) + seed, stage.kind, str(event.get("step", "")), value, left
            )
        return table
