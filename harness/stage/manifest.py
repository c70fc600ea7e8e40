"""The manifest of a stage: which files it left, with the digest of each; written last.

A stage is done only if its manifest is there and what it lists is what is on disk.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from harness.files import file_sha256, write_atomically

OUTPUTS = (
    "checkpoint",
    "answers",
    "lm_eval",
    "synthetic.jsonl",
    "result.json",
    "error.json",
    "manifest.json",
)


HASHED_BELOW = 16 * 2**20  # bytes; larger files are checked by size until they are loaded


def write_manifest(folder: Path) -> None:
    """Write the manifest of a finished stage: size and sha256 of every output."""
    files = {}
    for name in OUTPUTS:
        path = folder / name
        found = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
        for file in found:
            if file.is_file() and file.name != "manifest.json":
                files[str(file.relative_to(folder))] = {
                    "bytes": file.stat().st_size,
                    "sha256": file_sha256(file),
                }
    text = json.dumps({"files": files}, indent=1, sort_keys=True)
    write_atomically(folder / "manifest.json", text + "\n")


def is_done(folder: Path, *, thorough: bool = False) -> bool:
    """Return whether a stage is finished and its outputs are what its manifest says.

    Files of 16 MiB and more are compared by size only, unless `thorough`.
    """
    try:
        files = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))["files"]
        for name, expected in files.items():
            path = folder / name
            if path.stat().st_size != expected["bytes"]:
                return False
            small = expected["bytes"] < HASHED_BELOW
            if (small or thorough) and file_sha256(path) != expected["sha256"]:
                return False
    except (OSError, ValueError, KeyError, TypeError):
        return False
    return bool(files)


def result(folder: Path) -> dict[str, Any]:
    """Return the result of a finished stage."""
    return json.loads((folder / "result.json").read_text(encoding="utf-8"))
