"""Checks of tasks and boards."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.errors import HarnessError
from harness.testing.faults import raise_all

if TYPE_CHECKING:
    from harness.tasks.task import Task


def check_task(task: str | Task) -> None:
    """Check a task: rows, golds, digest, splits.

    - every row has `id`, `problem` and `answer` as strings, and ids are unique over all splits;
    - the verifier judges each gold answer correct against itself, in a box, where there is one;
    - rows come in the same order each time, and in another process for a task given by its name;
    - no problem of the test split stands in the training or hold-out split.

    Args:
        task: A task, or the name of one that an installed plug-in offers.

    Raises:
        AssertionError: If it does not conform; the text lists every way in which.
    """
    from harness.plugin.host import Host

    found = Host().task(task) if isinstance(task, str) else task
    faults: list[str] = []
    rows = {}
    for split in ("train", "holdout", "test"):
        try:
            rows[split] = found.split(split)
            again = found.split(split)
        except HarnessError as error:
            faults.append(f"rows: {error}")
            continue
        if rows[split] != again:
            faults.append(f"digest: the rows of {split} differ from call to call")
        faults += _wrong_types(split, rows[split])
    if not any(rows.values()) and not faults:
        faults.append("rows: no split has any")
    if not faults:
        faults += _repeated(rows) + _misread_golds(
            found, [r for part in rows.values() for r in part]
        )
        if isinstance(task, str):
            faults += _digest_elsewhere(found)
    raise_all(f"task {found.name!r}", faults)


def check_board(board: str | Path) -> None:
    """Check a board file: it loads, its models are there, its plan can be made, tests are unseen.

    Args:
        board: A TOML file, or the name of a board that is installed.

    Raises:
        AssertionError: If it does not conform; the text lists every way in which.
    """
    from harness.bench.plan import plan
    from harness.boards.board import load_board
    from harness.plugin.host import Host

    host = Host()
    faults: list[str] = []
    try:
        loaded = load_board(str(board), host)
        plan(loaded, host)
        if load_board(str(board), Host()).digest != loaded.digest:
            faults.append("digest: it is another one when the board is loaded again")
        train = {_plain(row["problem"]) for row in loaded.train_rows()}
        for score in loaded.file.scores:
            seen = [row["id"] for row in loaded.test_rows(score) if _plain(row["problem"]) in train]
            if seen:
                faults.append(
                    f"splits: {len(seen)} test problems of {score.task} are trained on,"
                    f" such as {seen[0]}"
                )
    except HarnessError as error:
        faults.append(f"board: {error}")
    raise_all(f"board {str(board)!r}", faults)


def _wrong_types(split: str, rows: Iterable[Mapping[str, Any]]) -> list[str]:
    for row in rows:
        for key, value in row.items():
            if not isinstance(value, str):
                return [f"rows: {key!r} of {row['id']!r} in {split} is no string"]
        if not row["problem"].strip():
            return [f"rows: {row['id']!r} in {split} has no problem"]
    return []


def _plain(problem: str) -> str:
    return " ".join(problem.lower().split())


def _repeated(rows: Mapping[str, list[dict[str, str]]]) -> list[str]:
    """Return ids that stand in two splits, and test problems that stand in another split."""
    faults = []
    ids = Counter(row["id"] for part in rows.values() for row in part)
    twice = [name for name, count in ids.items() if count > 1]
    if twice:
        faults.append(f"splits: {len(twice)} ids stand in two splits, such as {twice[0]!r}")
    known = {_plain(row["problem"]) for split in ("train", "holdout") for row in rows[split]}
    seen = [row["id"] for row in rows["test"] if _plain(row["problem"]) in known]
    if seen:
        faults.append(
            f"splits: {len(seen)} test problems stand in train or holdout, such as {seen[0]!r}"
        )
    return faults


def _misread_golds(task: Task, rows: list[dict[str, str]]) -> list[str]:
    """Return golds that the verifier does not find correct when a model answers exactly them."""
    from harness.verify import VerifierPool

    golds = sorted({row["answer"] for row in rows if row["answer"].strip()})
    with VerifierPool(workers=1) as pool:
        judged = pool.verify_many([rf"\boxed{{{gold}}}" for gold in golds], golds, task.conventions)
    wrong = [
        (gold, found.verdict.value)
        for gold, found in zip(golds, judged, strict=True)
        if found.verdict.value != "correct"
    ]
    if not wrong:
        return []
    share = math.floor(100 * len(wrong) / len(golds))
    return [
        f"golds: {len(wrong)} of {len(golds)} ({share} %) are not correct against themselves,"
        f" such as {wrong[0][0]!r}: {wrong[0][1]}"
    ]


def _digest_elsewhere(task: Task) -> list[str]:
    code = (
        "import sys; from harness.plugin.host import Host; print(Host().task(sys.argv[1]).digest)"
    )
    hashing = "1" if os.environ.get("PYTHONHASHSEED") != "1" else "2"  # another one than here
    done = subprocess.run(
        [sys.executable, "-c", code, task.name],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONHASHSEED": hashing},
    )
    if done.stdout.strip() != task.digest:
        return ["digest: another process makes other rows"]
    return []
