"""What a person sees while a bench runs: a live table on a terminal, plain lines elsewhere.

Progress goes to standard error, results to standard output. Names and messages come from outside,
so nothing here is read as markup and control characters are taken out.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.live import Live as Screen
from rich.table import Table

from harness.bench.plan import Plan
from harness.errors import UsageError
from harness.files import parse_json
from harness.records import Record, cell_name
from harness.redact import redact
from harness.render.escape import terminal

Facts = Mapping[str, Any]
KEYS = ("reward", "loss", "holdout_loss")
# what is printed of a stage's event, after its kind and cell: `train sft seed 0: started`
ENDS = {"started": "started", "reused": "done before", "interrupted": "interrupted"}
QUIET = ("judge",)  # kinds of which failures alone are shown: the record's line follows at once


@contextmanager
def progress(plan: Plan, stages: Path) -> Iterator[Callable[[str, Facts], None]]:
    """Give the function that shows an event: in a live table, or as lines without a terminal."""
    if sys.stderr.isatty():
        live = Live(plan, stages)
        with live.screen:
            yield live
    else:
        yield Lines(plan, stages)


def last_event(folder: Path) -> dict[str, Any]:
    """Return the newest whole line of a stage's events, or nothing."""
    try:
        with (folder / "events.jsonl").open("rb") as file:
            file.seek(max(0, file.seek(0, 2) - 4096))
            *_, last, _ = file.read().split(b"\n")  # what follows the last newline is torn
        event = parse_json(last, "the event")
    except (OSError, ValueError, UsageError):
        return {}
    return event if isinstance(event, dict) else {}


def values(event: Facts) -> list[str]:
    """Return loss and reward of an event for people."""
    return [f"{key} {event[key]:.3g}" for key in KEYS if key in event]


class Lines:
    """One line for each event that matters, with the seconds since the start."""

    def __init__(self, plan: Plan, stages: Path) -> None:
        self.plan, self.stages = plan, stages
        self.started = time.monotonic()
        self.finished = 0  # stages, those of earlier benches included

    def __call__(self, event: str, facts: Facts) -> None:
        """Write the line of an event, if it has one."""
        if text := self.line(event, facts):
            seconds = time.monotonic() - self.started
            sys.stderr.write(f"[{seconds:6.1f}s] {terminal(redact(text))}\n")
            sys.stderr.flush()

    def line(self, event: str, facts: Facts) -> str:
        """Return the text of an event; empty for one that is not shown."""
        if event == "warning":
            return f"warning: {facts['text']}"
        if event == "record":
            return f"{facts['cell']}: {_result(facts['record'])}"
        if event != "ended" and event not in ENDS:
            return ""
        stage = self.plan.stages[facts["stage"]]
        self.finished += event in ("ended", "reused")
        failed = facts.get("status", "ok") != "ok" or event == "interrupted"
        if stage.kind in QUIET and not failed:
            return ""
        end = ENDS[event] if event in ENDS else self._end(stage.id, facts)
        return f"{stage.kind} {cell_name(stage.label, stage.seed)}: {end}"

    def _end(self, stage: str, facts: Facts) -> str:
        if facts["status"] != "ok":
            log = os.path.relpath(self.stages / stage / "log.txt")
            return f"{facts['status']}: {facts['error']} (log: {log})"
        event = last_event(self.stages / stage)
        step = [f"step {event['step']}"] if "step" in event else []
        shown = ", ".join(step + values(event))
        return f"done ({shown})" if shown else "done"


def _result(record: Record) -> str:
    if record.status != "ok":
        return f"no score ({record.status})"
    return ", ".join(f"{score.task} {100 * score.accuracy:.1f} %" for score in record.scores)


class Live(Lines):
    """A table of what runs now, below a count of what is done; lines only of what is final."""

    def __init__(self, plan: Plan, stages: Path) -> None:
        super().__init__(plan, stages)
        self.running: dict[str, float] = {}  # stages, and when they were started
        self.console = Console(stderr=True, markup=False, highlight=False)
        self.screen = Screen(console=self.console, refresh_per_second=4, transient=True)

    def __call__(self, event: str, facts: Facts) -> None:
        """Print what is final above the table, and draw the table anew."""
        if event == "started":
            self.running[facts["stage"]] = time.monotonic()
        elif event in ("ended", "interrupted"):
            self.running.pop(facts["stage"], None)
        text = self.line(event, facts)
        failed = event == "ended" and facts["status"] != "ok"
        if failed or event in ("record", "warning", "interrupted"):
            self.console.print(terminal(redact(text)))
        self.screen.update(self.table())

    def table(self) -> Table:
        elapsed = time.monotonic() - self.started
        title = f"{self.finished} of {len(self.plan.stages)} stages done, {elapsed:.0f} s"
        table = Table(title=title, title_justify="left", box=None, padding=(0, 2, 0, 0))
        for heading in ("cell", "stage", "step", "loss or reward", "left"):
            table.add_column(heading, no_wrap=True)
        for name, since in self.running.items():
            stage, event = self.plan.stages[name], last_event(self.stages / name)
            share = max(event.get("progress", 0.0), event.get("spent", 0.0))
            seconds = time.monotonic() - since
            table.add_row(
                terminal(cell_name(stage.label, stage.seed)),
                stage.kind,
                str(event.get("step", "")),
                ", ".join(values(event)),
                f"{seconds / share - seconds:.0f} s" if share > 0.02 else "",
            )
        return table
