"""The conditions of a board as its leaderboard states them, readable without the plug-in."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import pydantic

from harness.errors import UsageError
from harness.files import read_json
from harness.records import Caps, Frozen
from harness.tuning import TuningRules


class Baseline(Frozen):
    """What others measured for the start model: one that is far off it has a broken set-up."""

    accuracy: float = pydantic.Field(ge=0, le=1)
    tolerance: float = pydantic.Field(gt=0, le=1)
    source: str
    # what the figure counts: our verified accuracy, or one of lm-eval's own metrics under
    # lm_eval:<task>, such as "exact_match,flexible-extract"
    metric: str = "verified"
    note: str = ""  # how the source's protocol differs from this one


class Benchmark(Frozen):
    """One task under one protocol, as the board scores it."""

    task: str
    protocol: str  # name and version, as in records
    max_new_tokens: int
    ranking: bool
    # the first so many problems of the task; None for all, or where an earlier version wrote it
    limit: int | None = pydantic.Field(default=None, exclude_if=lambda limit: limit is None)
    samples: int = 1  # answers to each problem
    temperature: float = 0.0  # 0 is greedy
    top_p: float = 1.0
    summary: str = ""
    note: str = ""  # why no ranking should rest on it
    baseline: Baseline | None = None


class Quoted(Frozen):
    """A result from elsewhere, of a publication or another run: shown, marked, never ranked."""

    name: str
    task: str
    accuracy: float = pydantic.Field(ge=0, le=1)
    source: str
    note: str = ""


class Conditions(Frozen):
    """What a board fixes before anyone trains, in the words its leaderboard prints."""

    INDENT: ClassVar[int] = 2

    board: str = pydantic.Field(pattern=r"^[a-z0-9][a-z0-9_.-]*$")
    digest: str  # of the board; records of another digest do not belong to it
    title: str
    start_model: str  # with its revision
    teacher: str | None = None
    data: str
    budget: str
    caps: Caps | None = None  # the budget in numbers, of a whole cell
    fill: bool = False  # whether trainers train until the caps are spent
    curve: tuple[float, ...] = ()  # shares of the caps that trainers are also trained with
    # after how many seeds it may be looked at; () if only once, with all of them
    looks: tuple[int, ...] = pydantic.Field(default=(), exclude_if=lambda looks: not looks)
    # how the options of every row are chosen
    tuning: TuningRules | None = pydantic.Field(default=None, exclude_if=lambda one: one is None)
    margin: float = 2.0  # points within which two rows count as equal
    seeds: tuple[int, ...]
    benchmarks: tuple[Benchmark, ...] = pydantic.Field(min_length=1)
    trainers: tuple[str, ...] = ()  # those the board plans; others may join
    protocols: dict[str, str] = pydantic.Field(default={})  # what each protocol is, in one line
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()  # contamination and the like
    quoted: tuple[Quoted, ...] = ()
    board_sha256: str | None = None  # of the board file that is published beside the records

    @pydantic.model_validator(mode="after")
    def _one_to_rank_by(self) -> Conditions:
        keys = [(benchmark.task, benchmark.protocol) for benchmark in self.benchmarks]
        if len(set(keys)) != len(keys):
            raise ValueError("two benchmarks have the same task and protocol")
        if not any(benchmark.ranking for benchmark in self.benchmarks):
            raise ValueError("no benchmark to rank by: set ranking on at least one")
        return self

    @property
    def decoding(self) -> str:
        """Return how answers are decoded, in the words of the leaderboard."""
        ways: dict[str, dict[str, None]] = {}
        for one in self.benchmarks:
            way = "greedy"
            if one.temperature:
                way = f"{one.samples} samples at temperature {one.temperature:g}"
                way += f" and top-p {one.top_p:g}" if one.top_p < 1 else ""
            ways.setdefault(way, {})[one.task] = None
        if len(ways) == 1:
            return next(iter(ways))
        *few, most = sorted(ways, key=lambda way: len(ways[way]))
        others = "all others" if len(ways[most]) > 3 else ", ".join(ways[most])
        return "; ".join([*(f"{', '.join(ways[way])}: {way}" for way in few), f"{others}: {most}"])


def read_conditions(path: Path) -> Conditions:
    """Read the conditions that are published beside a board's records.

    Raises:
        UsageError: If the file cannot be read or holds something else.
    """
    try:
        return Conditions.model_validate(read_json(path))
    except UsageError as error:
        raise UsageError(f"{error}; restore it") from None
    except pydantic.ValidationError as error:
        first = error.errors()[0]
        where, what = ".".join(map(str, first["loc"])), first["msg"].removeprefix("Value error, ")
        wrong = f"{where}: {what}" if where else what
        raise UsageError(f"{path} does not hold conditions: {wrong}; restore it") from None
