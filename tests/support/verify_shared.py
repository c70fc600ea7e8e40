"""Where shared labelled data lies, for tests that read it in place; never copied here."""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path
from typing import Any

import pytest

SHARED = Path(os.environ.get("HARNESS_SHARED", Path(__file__).parents[3] / "shared"))


def rows(name: str) -> list[dict[str, Any]]:
    """Return the rows of a shared JSONL file, or skip the test where it is absent."""
    path = SHARED / name
    if not path.exists():
        pytest.skip(f"no shared data: {name} is not beside the repository (set HARNESS_SHARED)")
    data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    return [json.loads(line) for line in data.decode("utf-8").split("\n") if line]


def hostile_text(row: dict[str, Any], mark: Path) -> str:
    """Return the answer of a hostile row, built from its recipe where it has one."""
    text = row["prediction_text"]
    if row["prediction_spec"]:
        text = "".join(piece * times for piece, times in row["prediction_spec"])
    return text.replace("@MARK@", str(mark))
