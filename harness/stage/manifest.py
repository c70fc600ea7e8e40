"""The manifest of a stage: which files it left, with the digest of each; written last.

A stage is done only if its manifest is there and what it lists is what is on disk.
"""

from __future__ import annotations

import json
from pathlib import Path

from harness.errors import UsageError
from harness.files import file_sha256, read_json, write_atomically

OUTPUTS = (
    "checkpoint",
    "answers",
    "lm_eval",
    "synthetic.jsonl",
    "result.json",
    "error.json",
    "manifest.json",
)
# bytes; larger files are compared by size only, so that a bench with nothing to do ends quickly
HASHED_BELOW = 16 * 2**20


def write_manifest(folder: Path) -> None:
    """Write the manifest of a finished stage: size and sha256 of every output."""
    files = {}
    for name in OUTPUTS:
        for file in (folder / name, *(folder / name).rglob("*")):
            if file.is_file() and file.name != "manifest.json":
                size, sha256 = file.stat().st_size, file_sha256(file)
                files[str(file.relative_to(folder))] = {"bytes": size, "sha256": sha256}
    text = json.dumps({"files": files}, indent=1, sort_keys=True)
    write_atomically(folder / "manifest.json", text + "\n")


def is_done(folder: Path) -> bool:
    """Return whether a stage is finished and its outputs are what its manifest says."""
    try:
        files = read_json(folder / "manifest.json")["files"]
        for name, expected in files.items():
            path, size = folder / name, expected["bytes"]
            if path.stat().st_size != size:
                return False
            if size < HASHED_BELOW and file_sha256(path) != expected["sha256"]:
                return False
    except (OSError, UsageError, KeyError, TypeError, AttributeError):
        return False
    return bool(files)
