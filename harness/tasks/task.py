"""Tasks: a benchmark's problems and gold answers, generated, from files, or published."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from harness.errors import DataMissing, UsageError
from harness.tasks import loading
from harness.tasks.canonical import Row
from harness.tasks.loading import Loaded
from harness.tasks.local import LocalRows
from harness.tasks.source import Place, Source
from harness.verify import Conventions

SPLITS = ("train", "holdout", "test")


@dataclass(frozen=True)
class Task:
    """A benchmark: where its rows come from and how its gold answers are to be read.

    It has either `rows`, a function, or `source`, a published data set.

    Attributes:
        name: Lower-case name, the same in boards, records and leaderboards.
        rows: `rows(split)` returns the rows of one split, always in the same order. A row has
            `id`, `problem` and `answer` (the gold answer, a string) and, in a training split,
            `solution`; rows that belong together share a `group`. Splits are `train`, `holdout`
            and `test`; one that the task does not have is an empty list. It runs in the
            controlling process, so it imports nothing heavy.
        version: Raised whenever a row changes.
        summary: One line for `harness tasks`.
        conventions: How the benchmark itself reads percent, units, rounding and so on.
        licence: The licence of the data, as its source states it.
        source: The published data set.
        defects: What is known to be wrong with the data, one sentence each.
        unfit: Why no ranking should rest on it; empty where one may.
        max_new_tokens: A token limit that seldom cuts an answer of a small model.
        place: Where published data is looked for; the host sets it.
        plugin: The plug-in that offers it; the host sets it.
    """

    name: str
    rows: Callable[[str], list[Row]] | None = None
    version: int = 1
    summary: str = ""
    conventions: Conventions = field(default_factory=Conventions)
    licence: str = ""
    source: Source | None = None
    defects: tuple[str, ...] = ()
    unfit: str = ""
    max_new_tokens: int = 512
    place: Place = field(default_factory=Place)
    plugin: str = ""

    def __post_init__(self) -> None:
        if (self.rows is None) == (self.source is None):
            raise ValueError(f"task {self.name!r} needs either rows or a source")

    def at(self, place: Place, plugin: str = "") -> Task:
        """Return a plug-in's task with its published data looked for at a place."""
        return replace(self, place=place, plugin=plugin)

    @property
    def published(self) -> bool:
        """Return whether others published its rows, so that a board cannot choose them."""
        source = self.source
        return source is not None and bool(
            source.hub or any(split.content for split in source.splits.values())
        )

    @cached_property
    def digest(self) -> str:
        """Return a sha256 over the version, the conventions and every row of every split.

        Of a published split the declared content counts where the data is not here, so that a
        plan can be shown before anything is downloaded.
        """
        sha = hashlib.sha256(f"{self.name} {self.version} {self.conventions!r}".encode())
        for split in SPLITS:
            if self.rows is None:
                sha.update(f"{split} {self.content(split)}".encode())
            for row in self.rows(split) if self.rows else ():
                sha.update(json.dumps([split, row], sort_keys=True).encode())
        return sha.hexdigest()

    def split(self, name: str) -> list[Row]:
        """Return the rows of a split, checked: ids are unique, nothing is missing.

        Raises:
            DataMissing: If it is published data that is not here and cannot be downloaded.
            UsageError: If the rows are not what they should be.
        """
        if self.rows is None:
            return [dict(row) for row in self._load(name).rows] if self.has(name) else []
        rows = self.rows(name)
        seen: set[str] = set()
        for number, row in enumerate(rows, start=1):
            missing = {"id", "problem", "answer"} - row.keys()
            if missing:
                raise UsageError(
                    f"task {self.name!r}: row {number} of {name} has no {sorted(missing)[0]!r}"
                )
            for key in ("id", "problem", "answer"):
                if not isinstance(row[key], str):
                    which = f"{key!r} of {row['id']!r} in {name}"
                    raise UsageError(f"task {self.name!r}: {which} is not a string")
            if row["id"] in seen:
                raise UsageError(
                    f"task {self.name!r}: two rows of {name} have the id {row['id']!r};"
                    " every row needs its own"
                )
            seen.add(row["id"])
        return rows

    def graded(self, split: str) -> list[Row]:
        """Return the rows of a split that have a gold answer: no other can be right or wrong."""
        return [row for row in self.split(split) if row["answer"].strip()]

    def files(self, split: str) -> tuple[Path, ...]:
        """Return the files on this machine that a split is read from; none if it is made."""
        if self.source is not None and self.has(split):
            found = loading.find(self.name, self.source, split, self.place)
            return tuple(found[0]) if found else ()
        if isinstance(self.rows, LocalRows) and split in self.rows.files:
            return (self.rows.files[split],)
        return ()

    def has(self, split: str) -> bool:
        """Return whether the task has a split, without reading published data."""
        return split in self.source.splits if self.source else bool(self.split(split))

    def size(self, split: str) -> int:
        """Return the number of rows of a split, as declared where the data is published."""
        if self.source is None:
            return len(self.split(split))
        return self.source.splits[split].rows or 0 if self.has(split) else 0

    def here(self, split: str) -> str | None:
        """Return where the rows of a split lie on this machine, in words; None if nowhere.

        Nothing is read or downloaded. A split that published data does not have is nowhere.
        """
        if self.source is not None and split not in self.source.splits:
            return None
        if isinstance(self.rows, LocalRows):
            return str(self.rows.files[split]) if split in self.rows.files else None
        if self.source is None:
            return "made by its plug-in"
        found = loading.find(self.name, self.source, split, self.place)
        return None if found is None else str(found[0][0].parent)

    def warnings(self, split: str) -> tuple[str, ...]:
        """Return what a reader of a leaderboard must know about the rows of a split."""
        if self.source is None or not self.has(split):
            return ()
        return self._load(split).warnings

    def content(self, split: str) -> str:
        """Return what identifies the content of a published split.

        It is the digest of its rows or, while they are not here, what is declared of them.
        """
        source = self.source
        if source is None or split not in source.splits:
            return ""
        try:
            return self._load(split).content
        except DataMissing:
            return source.splits[split].content or f"{source.hub}@{source.revision}"

    def lm_eval_doc(self, row: Row) -> dict[str, str]:
        """Return a row in the columns that the published data set gives it.

        lm-eval's own task on this benchmark makes its prompts from these.
        """
        source = self.source
        if source is None:
            return dict(row)
        if source.lm_eval:
            return {column: row.get(key, "") for column, key in source.lm_eval.items()}
        ours = {"id", "task", "problem", "answer", "solution", "group", "source_id"}
        doc = {name: value for name, value in row.items() if name not in ours}
        if len(source.problem) == 1:
            doc[source.problem[0]] = row["problem"]
        worked = source.gold in ("hash", "boxed")
        doc[source.answer] = row.get("solution", "") if worked else row["answer"]
        if source.solution:
            doc[source.solution] = row.get("solution", "")
        return doc

    @cached_property
    def _loaded(self) -> dict[str, Loaded]:
        return {}

    def _load(self, split: str) -> Loaded:
        assert self.source is not None
        if split not in self._loaded:
            self._loaded[split] = loading.load(self.name, self.source, split, self.place)
        return self._loaded[split]
