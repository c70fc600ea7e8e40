"""What a person sees while a bench runs: a live table on a terminal, plain lines elsewhere.

Progress goes to standard error, results to standard output. Names and messages come from outside,
so nothing here is read as markup and control characters are taken out.
"""

from __future__ import annotations

import os
import re
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from statistics import mean
from typing import Any

from rich.console import Console, Group
from rich.live import Live as Screen
from rich.table import Table
from rich.text import Text

from harness.bench.plan import Plan, Stage
from harness.errors import UsageError
from harness.files import open_regular, parse_json
from harness.records import Record, cell_name
from harness.redact import redact
from harness.render import numbers
from harness.render.escape import terminal

Facts = Mapping[str, Any]
KEYS = ("reward", "loss", "holdout_loss")
# what is printed of a stage's event, after its kind and cell: `train sft seed 0: started`
ENDS = {"started": "started", "reused": "done before", "interrupted": "interrupted"}
QUIET = ("judge",)  # kinds of which failures alone are shown: the record's line follows at once
LOG = "log.txt"
SHOWS_LITTLE = 0.9  # share that was done before, of a stage whose time then says little
SILENCE = 30.0  # seconds after which a stage that runs gets a line, where there is no live table
# what the bars of the engines leave in a log: `answers: 34%|...| 102/300 [00:10<00:20, ...]`
_BAR = re.compile(rb"(?:answers|Processed prompts)[^\r\n]*?\s(\d+)/(\d+) \[")


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
    *_, last, _ = [b"", b"", *_tail(folder / "events.jsonl").split(b"\n")]  # the last one is torn
    try:
        event = parse_json(last, "the event")
    except UsageError:
        return {}
    return event if isinstance(event, dict) else {}


def answers_done(folder: Path, since: int = 0) -> tuple[int, int] | None:
    """Return how many answers a generating stage has of how many, as its log says.

    Bytes before `since` are an earlier attempt's, whose answers are written anew.
    """
    found = _BAR.findall(_tail(folder / LOG, since))
    return (int(found[-1][0]), int(found[-1][1])) if found else None


def _tail(path: Path, since: int = 0) -> bytes:
    try:
        with open_regular(path) as file:  # a pipe in its place would be waited for
            file.seek(max(since, file.seek(0, 2) - 4096))
            return file.read(4096)
    except (UsageError, OSError):
        return b""


def _size(path: Path) -> int:
    try:
        return path.lstat().st_size
    except OSError:
        return 0


def values(event: Facts) -> list[str]:
    """Return loss and reward of an event for people."""
    shown = {key: _number(event.get(key)) for key in KEYS}
    return [f"{key} {value:.3g}" for key, value in shown.items() if value is not None]


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) else None


class Lines:
    """One line for each event that matters, with the seconds since the start.

    A stage that runs for long says every half minute how far it is.
    """

    def __init__(self, plan: Plan, stages: Path) -> None:
        self.plan, self.stages = plan, stages
        self.started = time.monotonic()
        self.planned: set[str] = set(plan.stages)  # that this bench needs and has not settled
        self.finished = 0  # stages, those of earlier benches included
        self.records = 0
        self.running: dict[str, float] = {}  # stages, and when they were started
        self.spoken: dict[str, float] = {}  # and when each was last in a line
        # of each the share that was done when its attempt began, and when that was
        self.begun: dict[str, tuple[float, float]] = {}
        self.logged: dict[str, int] = {}  # and the bytes of its log then
        self.took: dict[tuple[str, str], list[float]] = defaultdict(list)  # kind, label -> seconds
        self.widest = 1  # stages that ran at once

    def __call__(self, event: str, facts: Facts) -> None:
        """Write the line of an event, if it has one, and of each stage that was silent for long."""
        if text := self.line(event, facts):
            self.write(text)
        self.note(event, facts)
        now = time.monotonic()
        for name in [name for name, last in self.spoken.items() if now - last >= SILENCE]:
            self.spoken[name] = now
            self.write(self.status(name))

    def write(self, text: str) -> None:
        seconds = time.monotonic() - self.started
        sys.stderr.write(f"[{seconds:6.1f}s] {terminal(redact(text))}\n")
        sys.stderr.flush()

    def note(self, event: str, facts: Facts) -> None:
        """Keep what an event says about what runs, what is done, and how long it took."""
        if event == "planned":
            self.planned = set(facts["stages"])
        elif event == "started":
            stage, now = self.plan.stages[facts["stage"]], time.monotonic()
            self.running[stage.id] = self.spoken[stage.id] = now
            self.logged[stage.id] = _size(self.stages / stage.id / LOG)
            self.begun[stage.id] = self._share(stage), now
            self.widest = max(self.widest, len(self.running))
        elif event in ("ended", "interrupted", "reused"):
            stage, since = self.plan.stages[facts["stage"]], self.running.pop(facts["stage"], None)
            self.spoken.pop(stage.id, None)
            self.planned.discard(stage.id)
            self.finished += event != "interrupted"
            before, _ = self.begun.pop(stage.id, (0.0, 0.0))
            if since is not None and facts.get("status") == "ok" and before < SHOWS_LITTLE:
                self.took[stage.kind, stage.label].append((time.monotonic() - since) / (1 - before))
        elif event == "retried":
            self.running.pop(facts["stage"], None)
            self.spoken.pop(facts["stage"], None)
        elif event == "record":
            self.records += 1
            if facts["record"].status != "ok":  # what would have followed is not done any more
                self.planned &= {*self.running, *self._wanted(str(facts["cell"]))}

    def _wanted(self, settled: str) -> set[str]:
        return {name for cell in self.plan.cells if cell.name != settled for name in cell.stages}

    def line(self, event: str, facts: Facts) -> str:
        """Return the text of an event; empty for one that is not shown."""
        if event == "warning":
            return f"warning: {facts['text']}"
        if event == "record":
            return f"{facts['cell']}: {_result(facts['record'])}"
        if event != "ended" and event != "retried" and event not in ENDS:
            return ""
        stage = self.plan.stages[facts["stage"]]
        if event == "retried":
            return f"{_name(stage)}: {facts['error']}; {facts['again']}"
        failed = facts.get("status", "ok") != "ok" or event == "interrupted"
        if stage.kind in QUIET and not failed:
            return ""
        end = ENDS[event] if event in ENDS else self._end(stage.id, facts)
        return f"{_name(stage)}: {end}"

    def _end(self, stage: str, facts: Facts) -> str:
        if facts["status"] != "ok":
            log = os.path.relpath(self.stages / stage / LOG)
            return f"{facts['status']}: {facts['error']} (log: {log})"
        event = last_event(self.stages / stage)
        step = [f"step {event['step']}"] if "step" in event else []
        shown = ", ".join(step + values(event))
        return f"done ({shown})" if shown else "done"

    def status(self, name: str) -> str:
        """Return how far a running stage is: its step, its speed, loss or reward, and what is left.

        `train sft seed 0: step 40 of 120, 1,234 tokens/s, loss 0.52, 3 min left`
        """
        stage, folder = self.plan.stages[name], self.stages / name
        event, seconds = last_event(folder), time.monotonic() - self.running[name]
        parts = [self.at(stage)] if self.at(stage) else []
        tokens, spent = _number(event.get("tokens")), _number(event.get("seconds"))
        if tokens and spent:
            parts.append(f"{tokens / spent:,.0f} tokens/s")
        parts += values(event)
        if (left := self.left_of(name)) is not None:
            parts.append(f"{numbers.duration(left)} left")
        if not parts:
            parts.append(f"running for {numbers.duration(seconds)}")
        return f"{_name(stage)}: {', '.join(parts)}"

    def at(self, stage: Stage) -> str:
        """Return the step of a training stage, or the answers of a generating one."""
        if stage.kind == "generate" and (done := self._answers(stage)):
            return f"{done[0]:,} of {done[1]:,} answers"
        event = last_event(self.stages / stage.id)
        step, steps = _number(event.get("step")), _number(event.get("steps"))
        if step is None:
            return ""
        return f"step {step:.0f}" + (f" of {steps:.0f}" if steps and steps >= step else "")

    def left_of(self, name: str) -> float | None:
        """Return the seconds that a running stage has left, by what it has done; None at first."""
        whole = self._whole(name)
        return None if whole is None else whole * (1 - self._share(self.plan.stages[name]))

    def _whole(self, name: str) -> float | None:
        """Return the seconds that a running stage takes from nothing to its end, if that is seen.

        What an attempt found done, because an earlier one was interrupted, it did in no time: so
        only what was done since counts. A stage that is behind where it was has gone back to its
        last checkpoint, and is measured from there.
        """
        share, now = self._share(self.plan.stages[name]), time.monotonic()
        before, since = self.begun.get(name, (0.0, self.running[name]))
        if share < before:
            before, since = self.begun[name] = share, now
        gained = share - before
        return (now - since) / gained if gained > 0.02 * (1 - before) else None

    def _share(self, stage: Stage) -> float:
        """Return the share of a stage that is done."""
        if stage.kind == "generate":
            done = self._answers(stage)
            share = done[0] / done[1] if done and done[1] else 0.0
        else:
            event = last_event(self.stages / stage.id)
            share = max(_number(event.get(key)) or 0.0 for key in ("progress", "spent"))
        return min(1.0, max(0.0, share))

    def _answers(self, stage: Stage) -> tuple[int, int] | None:
        return answers_done(self.stages / stage.id, self.logged.get(stage.id, 0))

    def left(self) -> float | None:
        """Return about how many seconds the bench has left; None while that cannot be said.

        A stage that has not started takes as long as those of its kind and label did or, before
        one of them has ended, as those of its kind; as many run at once as ever did.
        """
        took = {key: mean(seconds) for key, seconds in self.took.items()}
        now, total = time.monotonic(), 0.0
        for name in self.running:
            if (whole := self._whole(name)) is not None:
                stage = self.plan.stages[name]
                took.setdefault((stage.kind, stage.label), whole)
        for name in self.planned:
            stage = self.plan.stages[name]
            kinds = [seconds for (kind, _), seconds in took.items() if kind == stage.kind]
            whole = took.get((stage.kind, stage.label), mean(kinds) if kinds else None)
            if whole is None:
                if stage.kind in QUIET:
                    continue
                return None
            rest = self.left_of(name) if name in self.running else None
            spent = now - self.running[name] if name in self.running else 0.0
            total += max(0.0, whole - spent) if rest is None else rest
        return total / self.widest


def _name(stage: Stage) -> str:
    return f"{stage.kind} {cell_name(stage.label, stage.seed)}"


def _result(record: Record) -> str:
    if record.status != "ok":
        return f"no score ({record.status})"
    return ", ".join(f"{score.task} {100 * score.accuracy:.1f} %" for score in record.scores)


class Live(Lines):
    """A table of what runs now, below the cells that are finished and a count of what is done."""

    def __init__(self, plan: Plan, stages: Path) -> None:
        super().__init__(plan, stages)
        self.console = Console(stderr=True, markup=False, highlight=False)
        self.screen = Screen(console=self.console, refresh_per_second=4, transient=True)

    def __call__(self, event: str, facts: Facts) -> None:
        """Print what is final above the table, and draw the table anew."""
        text = self.line(event, facts)
        failed = event == "ended" and facts["status"] != "ok"
        if failed or event in ("record", "warning", "interrupted"):
            self.console.print(terminal(redact(text)))
        self.note(event, facts)
        self.screen.update(Group(Text(self.headline()), self.table()))

    def headline(self) -> str:
        """Return what is done, how long it took, and about how long the rest will take."""
        elapsed, left = time.monotonic() - self.started, self.left()
        text = f"{self.finished} of {self.finished + len(self.planned)} stages done"
        text += f", {self.records} of {len(self.plan.cells)} cells finished"
        text += f", {numbers.duration(elapsed)}"
        return f"{text}, about {numbers.duration(left)} left" if left else text

    def table(self) -> Table:
        table = Table(box=None, padding=(0, 2, 0, 0))
        for heading in ("cell", "stage", "at", "loss or reward", "left"):
            table.add_column(heading, no_wrap=True)
        for name in self.running:
            stage, rest = self.plan.stages[name], self.left_of(name)
            table.add_row(
                terminal(cell_name(stage.label, stage.seed)),
                stage.kind,
                self.at(stage),
                ", ".join(values(last_event(self.stages / name))),
                "" if rest is None else numbers.duration(rest),
            )
        return table
