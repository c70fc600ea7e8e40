"""Sources: where a published data set lies, and which of its columns are what."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal


@dataclass(frozen=True)
class Place:
    """Where published data is looked for.

    Attributes:
        data_dir: A folder with JSONL files or with the Hub's cached layout; None for neither.
        download: Whether the Hub may be asked for what is found nowhere else.
    """

    data_dir: Path | None = None
    download: bool = True


@dataclass(frozen=True)
class Split:
    """One split of a published data set.

    Attributes:
        rows: How many rows it has; any other number is refused. None: not known.
        hub: Patterns of the files in the Hub repository that hold it, such as `main/test-*`.
        local: Names without ending of the JSONL files that together hold it, looked for after
            `<task>_<split>` and, in a task with one split, `<task>`.
        content: sha256 over the problems and gold answers (see `harness.tasks.canonical`), or None
            where nobody of this project has read them.
    """

    rows: int | None
    hub: tuple[str, ...] = ()
    local: tuple[str, ...] = ()
    content: str | None = None


@dataclass(frozen=True)
class Source:
    """A published data set.

    Attributes:
        splits: Its splits; the keys are among `train`, `holdout` and `test`.
        hub: The id of its repository on the Hub, or None where it has none that holds these rows.
        revision: The 40-digit commit that is downloaded. None: not known here, so the newest is
            taken and a warning names its commit.
        config: The name of the configuration, for people; `Split.hub` names the files.
        problem: The column of the problem, or several whose texts are joined by a space.
        answer: The column that the gold answer is read from.
        gold: How it is read: `column` the whole text, `hash` after the last `####`, `boxed` from
            the last box, `final` from either, `list` a list of values joined by commas.
        tidy: What is done to it then, in local files too: `number` writes 51.0 as 51, `unit`
            drops a unit in parentheses, as in `9 (apples)`.
        solution: The column of the worked solution, if there is one.
        group: The column that tells which rows belong together (variants of one question), for
            intervals that respect it; of several, the one that a row has. `_file` is
            the row's file, `_line` its place in it.
        groups: How many groups there are.
        columns: Names of the columns of files that have no header.
        keep: Called with each raw row; rows for which it is false are not part of the task.
        lm_eval: For lm-eval's own task on this benchmark: its column -> key of our rows. Empty
            where the columns are those above.
    """

    splits: Mapping[str, Split]
    hub: str | None = None
    revision: str | None = None
    config: str | None = None
    problem: tuple[str, ...] = ("problem",)
    answer: str = "answer"
    gold: Literal["column", "hash", "boxed", "final", "list"] = "column"
    tidy: Literal["number", "unit"] | None = None
    solution: str | None = None
    group: tuple[str, ...] = ()
    groups: int | None = None
    columns: tuple[str, ...] = ()
    keep: Callable[[Mapping[str, Any]], bool] | None = None
    lm_eval: Mapping[str, str] = field(default_factory=dict)
