"""Tasks: a benchmark's problems and gold answers, from a generator or from local files."""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from harness.errors import UsageError
from harness.verify import Conventions

Row = dict[str, str]
SPLITS = ("train", "holdout", "test")


@dataclass(frozen=True)
class Task:
    """A benchmark: where its rows come from and how its gold answers are to be read.

    Attributes:
        name: Lower-case name, the same in boards, records and leaderboards.
        rows: `rows(split)` returns the rows of one split, always in the same order. A row has
            `id`, `problem` and `answer` (the gold answer, a string) and, in a training split,
            `solution`. Splits are `train`, `holdout` and `test`; one that the task does not have
            is an empty list. It runs in the controlling process, so it imports nothing heavy.
        version: Raised whenever a row changes.
        summary: One line for `harness tasks`.
        conventions: How the benchmark itself reads percent, units, rounding and so on.
        licence: The licence of the data, as its source states it.
    """

    name: str
    rows: Callable[[str], list[Row]]
    version: int = 1
    summary: str = ""
    conventions: Conventions = field(default_factory=Conventions)
    licence: str = ""

    @cached_property
    def digest(self) -> str:
        """Return a sha256 over the version, the conventions and every row of every split."""
        sha = hashlib.sha256(f"{self.name} {self.version} {self.conventions!r}".encode())
        for split in SPLITS:
            for row in self.rows(split):
                sha.update(json.dumps([split, row], sort_keys=True).encode())
        return sha.hexdigest()

    def split(self, name: str) -> list[Row]:
        """Return the rows of a split, checked: ids are unique, nothing is missing."""
        rows = self.rows(name)
        seen: set[str] = set()
        for number, row in enumerate(rows):
            missing = {"id", "problem", "answer"} - row.keys()
            if missing:
                raise UsageError(
                    f"task {self.name!r}: row {number} of {name} has no {sorted(missing)[0]!r}"
                )
            if row["id"] in seen:
                raise UsageError(f"task {self.name!r}: id {row['id']!r} stands twice in {name}")
            seen.add(row["id"])
        return rows


def local_rows(**files: str | Path) -> Callable[[str], list[Row]]:
    """Return a `rows` function that reads JSONL or JSONL.gz files, one for each named split.

    Raises:
        UsageError: When called, if a file is missing or a line is not a JSON object.

    Examples:
        >>> rows = local_rows(test="my_benchmark.jsonl.gz")
        >>> rows("train")
        []
    """

    def rows(split: str) -> list[Row]:
        if split not in files:
            return []
        path = Path(files[split])
        opened = gzip.open if path.suffix == ".gz" else open
        try:
            with opened(path, "rt", encoding="utf-8") as lines:
                return [json.loads(line) for line in lines if line.strip()]
        except OSError as error:
            raise UsageError(f"cannot read {path}: {error.strerror or error}") from None
        except json.JSONDecodeError as error:
            raise UsageError(f"{path} is not JSONL: {error}") from None

    return rows
