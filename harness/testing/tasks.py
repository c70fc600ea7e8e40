"""Checks of tasks and boards, without a model."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Mapping
from itertools import chain
from pathlib import Path
from typing import Any

from harness.bench.plan import plan
from harness.boards.board import load_board
from harness.errors import HarnessError
from harness.plugin.host import Host
from harness.tasks.canonical import plain
from harness.tasks.task import SPLITS, Task
from harness.verify import Verdict, VerifierPool


def raise_all(what: str, faults: list[str]) -> None:
    """Raise an AssertionError that lists every fault, if there is one."""
    if faults:
        raise AssertionError(f"{what} does not conform:\n" + "\n".join(f"  - {x}" for x in faults))


def check_task(task: str | Task) -> None:
    """Check a task: rows, golds, digest, splits.

    - every row has `id`, `problem` and `answer` as strings, and ids are unique over all splits;
    - the verifier judges each gold answer correct against itself, in a box, where there is one;
    - rows come in the same order each time, and in another process for a task given by its name;
    - no problem of the test split is in the training or hold-out split.

    Args:
        task: A task, or the name of one that an installed plug-in offers.

    Raises:
        AssertionError: If it does not conform; the text lists every way in which.
    """
    found = Host().task(task) if isinstance(task, str) else task
    faults: list[str] = []
    rows = {}
    for split in SPLITS:
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
        faults += _repeated(rows) + _misread_golds(found, chain.from_iterable(rows.values()))
        if isinstance(task, str):
            faults += _digest_elsewhere(found)
    raise_all(f"task {found.name!r}", faults)


def check_board(board: str | Path) -> None:
    """Check a board file: it loads, its plan can be made, no test problem is trained on.

    Args:
        board: A TOML file, or the name of a board that is installed.

    Raises:
        AssertionError: If it does not conform; the text lists every way in which.
    """
    host = Host()
    faults: list[str] = []
    try:
        loaded = load_board(str(board), host)
        plan(loaded, host)  # which refuses test problems that trainers are given
        if load_board(str(board), Host()).digest != loaded.digest:
            faults.append("digest: it differs when the board is loaded again")
    except HarnessError as error:
        faults.append(f"board: {error}")
    raise_all(f"board {str(board)!r}", faults)


def _wrong_types(split: str, rows: Iterable[Mapping[str, Any]]) -> list[str]:
    for row in rows:
        for key, value in row.items():
            if not isinstance(value, str):
                return [f"rows: {key!r} of {row['id']!r} in {split} is not a string"]
        if not row["problem"].strip():
            return [f"rows: {row['id']!r} in {split} has no problem"]
    return []


def _repeated(rows: Mapping[str, list[dict[str, str]]]) -> list[str]:
    """Return a fault for ids in two splits, and one for test problems in another split."""
    faults = []
    ids = Counter(row["id"] for part in rows.values() for row in part)
    twice = [name for name, count in ids.items() if count > 1]
    if twice:
        faults.append(f"splits: {len(twice)} ids are in two splits, such as {twice[0]!r}")
    known = {plain(row["problem"]) for split in ("train", "holdout") for row in rows[split]}
    seen = [row["id"] for row in rows["test"] if plain(row["problem"]) in known]
    if seen:
        what = f"{len(seen)} test problems are in train or holdout"
        faults.append(f"splits: {what}, such as {seen[0]!r}")
    return faults


def _misread_golds(task: Task, rows: Iterable[dict[str, str]]) -> list[str]:
    """Return a fault for golds that the verifier finds wrong when a model answers exactly them."""
    golds = sorted({row["answer"] for row in rows if row["answer"].strip()})
    with VerifierPool(workers=1) as pool:
        judged = pool.verify_many([rf"\boxed{{{gold}}}" for gold in golds], golds, task.conventions)
    wrong = [
        (gold, found.verdict.value)
        for gold, found in zip(golds, judged, strict=True)
        if found.verdict is not Verdict.correct
    ]
    if not wrong:
        return []
    share = f"{len(wrong)} of {len(golds)} ({100 * len(wrong) // len(golds)} %)"
    return [
        f"golds: {share} are not correct against themselves, such as {wrong[0][0]!r}: {wrong[0][1]}"
    ]


def _digest_elsewhere(task: Task) -> list[str]:
    """Return a fault if a process with another order of hashes makes other rows."""
    code = (
        "import sys; from harness.plugin.host import Host; print(Host().task(sys.argv[1]).digest)"
    )
    hashing = "1" if os.environ.get("PYTHONHASHSEED") != "1" else "2"  # another one than here
    environment = {**os.environ, "PYTHONHASHSEED": hashing}
    command = [sys.executable, "-c", code, task.name]
    digest = subprocess.check_output(command, text=True, env=environment).strip()
    return [] if digest == task.digest else ["digest: another process makes other rows"]
