"""Rows in files of one's own: read by the columns that are named, checked line by line."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from harness.errors import UsageError
from harness.files import read_jsonl
from harness.records import Frozen
from harness.tasks.canonical import Row, problem_digest
from harness.tasks.rows import gold_answer

KINDS = {type(None): "null", bool: "true or false", list: "a list", float: "NaN or infinite"}


class Columns(Frozen):
    """Which columns of a file are what, and how the gold answer is read from its own."""

    problem: str = "problem"
    answer: str = "answer"
    solution: str = "solution"
    gold: Literal["column", "hash", "boxed", "final"] = "column"  # as of `harness.Source`


@dataclass(frozen=True)
class Line:
    """A row and where it is."""

    path: Path
    number: int  # of its line, from 1
    row: Row

    @property
    def at(self) -> str:
        return f"line {self.number} of {self.path}"


@dataclass(frozen=True)
class LocalRows:
    """A `rows` function that reads JSONL or JSONL.gz files, one for each split that it has.

    Every row has an `id`, the file's own or one made of the row, `problem` and `answer`; `solution`
    and `group` where the file has them. Numbers are taken as they are written.
    """

    files: Mapping[str, Path]
    columns: Columns = field(default_factory=Columns)

    def __call__(self, split: str) -> list[Row]:
        """Return the rows of a split; none of one that has no file.

        Raises:
            UsageError: If the file is missing or empty, or a line is not as it should be.
        """
        return [line.row for line in self.lines(split)]

    def lines(self, split: str) -> list[Line]:
        """Return the rows of a split with the lines they are in; see `__call__`."""
        if split not in self._read and split in self.files:
            self._read[split] = self._checked(Path(self.files[split]), split)
        return self._read.get(split, [])

    @cached_property
    def _read(self) -> dict[str, list[Line]]:
        return {}

    def _checked(self, path: Path, split: str) -> list[Line]:
        ids: dict[str, Line] = {}
        rows: dict[str, Line] = {}
        for number, raw in read_jsonl(path, numbers_as_text=True):
            line = Line(path, number, self._row(raw, f"line {number} of {path}", split))
            earlier = ids.setdefault(line.row["id"], line)
            if "id" in raw and earlier is not line:
                raise UsageError(
                    f"{line.at} has the id {line.row['id']!r} of line {earlier.number};"
                    " every row needs its own"
                )
            # a problem may be taught with several solutions, and asked once
            same = problem_digest(line.row["problem"])
            same += line.row.get("solution", "") if split == "train" else ""
            earlier = rows.setdefault(same, line)
            if earlier is not line:
                raise UsageError(
                    f"{line.at} has the problem of line {earlier.number}; leave one of them out"
                )
        if not rows:
            raise UsageError(f"{path} holds no row")
        return list(rows.values())

    def _row(self, raw: Mapping[str, Any], at: str, split: str) -> Row:
        row = {}
        for key in ("problem", "answer", "solution"):
            column = getattr(self.columns, key)
            if column == "problem" and column not in raw and "question" in raw:
                column = "question"  # as many data sets call it
            value = raw.get(column)
            if value is None and key == "solution":
                continue
            if column not in raw:
                there = ", ".join(sorted(raw)) or "nothing"
                raise UsageError(f"{at} has no {column!r}; it has {there} (docs/own-data.md)")
            if not isinstance(value, str):
                kind = KINDS.get(type(value), "an object")
                raise UsageError(f"{at}: {column!r} is {kind}, and must be a text or a number")
            row[key] = value.replace("\r\n", "\n").strip()
        if not row["problem"]:
            raise UsageError(f"{at}: the problem is empty")
        if self.columns.gold != "column":
            row.setdefault("solution", row["answer"])
            try:
                row["answer"] = gold_answer(row["answer"], self.columns.gold, None, required=True)
            except UsageError as error:
                raise UsageError(f"{at}: {error}") from None
        if not row["answer"]:
            raise UsageError(f"{at}: the answer is empty")
        if not row.get("solution"):
            row.pop("solution", None)
        taken = {"id", "task", self.columns.problem, self.columns.answer, self.columns.solution}
        taken |= {"question", *row}
        others = {k: v for k, v in raw.items() if isinstance(v, str) and k not in taken}
        if raw.get("id") is None:
            asked = row["problem"] + (row.get("solution", "") if split == "train" else "")
            return {**others, **row, "id": problem_digest(asked)[:12]}
        return {**others, **row, "id": str(raw["id"])}


def local_rows(**files: str | Path) -> LocalRows:
    """Return a `rows` function that reads JSONL or JSONL.gz files, one for each named split.

    A row has `problem` and `answer` (a text or a number) and perhaps `id`, `solution` and `group`.
    A relative path is taken from the folder of the module that calls this, wherever that is
    installed and whatever the current folder is.

    Raises:
        UsageError: When called, if a file is missing or empty, or a line is not as it should be.

    Examples:
        >>> rows = local_rows(test="my_benchmark.jsonl.gz")
        >>> rows("train")
        []
    """
    caller = sys._getframe(1).f_globals.get("__file__")  # there is none at a prompt
    folder = Path(caller).resolve().parent if caller else Path()
    return LocalRows({split: folder / path for split, path in files.items()})
