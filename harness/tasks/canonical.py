"""Canonical rows: one order and one set of ids for the same content, wherever it was read."""

from __future__ import annotations

import hashlib
import json
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence

Row = dict[str, str]


def plain(problem: str) -> str:
    """Return a problem in one case, spacing and width."""
    return " ".join(unicodedata.normalize("NFKC", problem).casefold().split())


def problem_digest(problem: str) -> str:
    """Return the sha256 of a problem; case, spacing and width make no other problem."""
    return hashlib.sha256(plain(problem).encode("utf-8", "surrogatepass")).hexdigest()


def canonical(rows: Iterable[Row]) -> list[Row]:
    """Return rows in canonical order with their ids.

    The order is that of the digest of the normalised problem, so the first so many rows are a
    fixed mixed sample whatever the file was sorted by. The id is the start of that digest, with
    `-2`, `-3` for a problem that occurs again.
    """

    def key(pair: tuple[str, Row]) -> list[str]:
        digest, row = pair
        return [digest, *(row.get(name, "") for name in ("problem", "answer", "solution", "group"))]

    seen: Counter[str] = Counter()
    ordered = []
    for digest, row in sorted(((problem_digest(row["problem"]), row) for row in rows), key=key):
        identity = digest[:12]
        seen[identity] += 1
        suffix = f"-{seen[identity]}" if seen[identity] > 1 else ""
        ordered.append({**row, "id": identity + suffix})
    return ordered


def rows_sha256(rows: Iterable[Row]) -> str:
    """Return the sha256 over rows as they are: every column, in their order."""
    sha = hashlib.sha256()
    for row in rows:
        sha.update(json.dumps(row, sort_keys=True).encode() + b"\n")
    return sha.hexdigest()


def content_digest(rows: Sequence[Row], *, with_solutions: bool = False) -> str:
    """Return the sha256 over problems, gold answers and groups, and over solutions if asked.

    What a source calls its rows, and its other columns, are no part of it.
    """
    sha = hashlib.sha256()
    for row in rows:
        content = [row["problem"], row["answer"], row.get("group", "")]
        if with_solutions:
            content.append(row.get("solution", ""))
        sha.update(json.dumps(content).encode() + b"\n")
    return sha.hexdigest()
