"""Rows of a data set's files in our own keys, from the Hub's columns or from those of local files.

Every raw row has `_file`, `_line` and `_at` besides its columns (see `harness.tasks.files`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from harness.errors import UsageError
from harness.tasks.canonical import Row, problem_digest
from harness.tasks.source import Source

_UNIT = re.compile(r"\A(.*?\S)\s*\([^()]*\)\Z", re.S)


def hub_row(raw: Mapping[str, Any], source: Source, task: str) -> Row:
    for column in (*source.problem, source.answer):
        if column not in raw:
            known = ", ".join(sorted(name for name in raw if not name.startswith("_")))
            lacks = f"{raw['_file']} of {source.hub} has no column {column!r}"
            raise UsageError(f"task {task!r}: {lacks}, it has {known}")
    row = {
        "problem": " ".join(_text(raw[column]) for column in source.problem),
        "answer": gold_answer(raw[source.answer], source.gold, source.tidy, required=True),
    }
    solution = source.solution or (source.answer if source.gold in ("hash", "boxed") else None)
    if solution and raw.get(solution) is not None:
        row["solution"] = _text(raw[solution])
    taken = {source.answer, solution} | ({*source.problem} if len(source.problem) == 1 else set())
    return _completed(row, raw, source, task, taken)


def local_row(raw: Mapping[str, Any], source: Source, task: str) -> Row:
    """Return one row of a local file, whose keys are ours already."""
    for key in ("problem", "answer"):
        if raw.get(key) is None:
            needs = "a row needs problem and answer (docs/tasks.md)"
            raise UsageError(f"task {task!r}: {raw['_at']} has no {key!r}; {needs}")
    row = {key: _text(raw[key]) for key in ("problem", "solution") if raw.get(key) is not None}
    row["answer"] = gold_answer(raw["answer"], "column", source.tidy)
    return _completed(row, raw, source, task, set())


def _completed(
    row: Row, raw: Mapping[str, Any], source: Source, task: str, taken: set[str | None]
) -> Row:
    """Return a row with its group, its source's id and the columns that are not taken."""
    if source.group:
        row["group"] = _group(raw, source, task)
    reserved = {"id", "task", "problem", "answer", "solution", "group"} | taken
    others = {
        name: _text(value)
        for name, value in raw.items()
        if value is not None and name not in reserved and not name.startswith("_")
    }
    ids = (str(raw[name]) for name in ("id", "unique_id", "ID") if raw.get(name) is not None)
    return {**others, **row, "source_id": next(ids, f"{raw['_file']}:{raw['_line']}")}


def _group(raw: Mapping[str, Any], source: Source, task: str) -> str:
    """Return what a row shares with the others of its group; of a long text, its digest."""
    for name in ("group", *source.group):
        if raw.get(name) is not None:
            text = _text(raw[name])
            return text if len(text) <= 40 else problem_digest(text)[:12]
    raise UsageError(
        f"task {task!r}: {raw['_at']} has no 'group'"
        " (which rows belong together); docs/tasks.md says what it is"
    )


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value.replace("\r\n", "\n").strip()
    return json.dumps(value, ensure_ascii=False) if isinstance(value, list | dict) else str(value)


def gold_answer(value: Any, how: str, tidy: str | None, *, required: bool = False) -> str:
    r"""Return the gold answer in a value of a data set.

    Args:
        value: The column's value.
        how: `column`, `hash`, `boxed`, `final` or `list` (see `harness.Source`).
        tidy: `number`, `unit` or None.
        required: Whether a missing marker is an error; otherwise the whole text is the answer.

    Raises:
        UsageError: If the marker is missing and required.

    Examples:
        >>> gold_answer("3 + 4 = 7\n#### 7", "hash", None)
        '7'
        >>> gold_answer("so $\\boxed{\\frac12}$", "boxed", None)
        '\\frac12'
        >>> gold_answer("51.0", "column", "number"), gold_answer("9 (apples)", "column", "unit")
        ('51', '9')
    """
    if how == "list":
        text = ", ".join(str(part).strip() for part in value)
    else:
        text = "" if value is None else str(value).strip()
    found: str | None = text
    if how in ("boxed", "final"):
        from harness.verify.extraction.boxes import boxes

        found = next((box.strip() for _, _, box in reversed(boxes(text))), None)
    if how == "hash" or (how == "final" and found is None):
        _, mark, after = text.rpartition("####")
        found = after.strip() if mark else None
    if found is None:
        if required:
            raise UsageError(f"no gold answer is marked in {text[:60]!r}")
        found = text
    if tidy == "unit":
        return _UNIT.sub(r"\1", found)
    return _number(found) if tidy == "number" else found


def _number(text: str) -> str:
    """Return a decimal literal without a fraction of zero; any other text unchanged."""
    try:
        value = Decimal(text)
    except InvalidOperation:
        return text
    if not value.is_finite() or "e" in text.lower():
        return text
    return str(int(value)) if value == value.to_integral_value() else text
