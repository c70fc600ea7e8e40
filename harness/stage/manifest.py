"""The manifest of a stage: which files it left, with the digest of each; written last.

A stage is done only if its manifest is there and what it lists is what is on disk.
"""

from __future__ import annotations

import json
from pathlib import Path

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
HASHED_BELOW = 16 * 2**20  # bytes


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


def is_done(folder: Path) -> bool:
    """Return whether a stage is finished and its outputs are what its manifest says.

    Files of 16 MiB and more are compared by size only: hashing them would make a
    bench that has nothing to do a slow one.
    """
    try:
        files = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))["files"]
        for name, expected in files.items():
            path, size = folder / name, expected["bytes"]
            if path.stat().st_size != size:
                return False
            if size < HASHED_BELOW and file_sha256(path) != expected["sha256"]:
                return False
    except (OSError, ValueError, KeyError, TypeError):
        return False
    return bool(files)
