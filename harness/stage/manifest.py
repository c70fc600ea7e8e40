"""The manifest of a stage: which files it left, with the digest of each; written last.

A stage is done only if its manifest is there and what it lists is what is on disk. The manifest is
also the seal of what the stage left: whoever uses it later looks whether it is still the same.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.checkpoints import read_sha256
from harness.errors import TamperedError, UsageError
from harness.files import (
    clear_for,
    file_sha256,
    read_bytes,
    read_json,
    read_text,
    write_atomically,
)

OUTPUTS = (
    "checkpoint",
    "answers",
    "lm_eval",
    "synthetic.jsonl",
    "result.json",
    "error.json",
    "manifest.json",
)
OVER = "over"  # the file that says that a stage's process did not end before its work was over
# bytes; larger files that were not written since the manifest are compared by size only, so that a
# bench with nothing to do ends quickly
HASHED_BELOW = 16 * 2**20
# what reading a manifest comes to that a stage's process may have written by itself, with names
# that no system has
_BROKEN = (OSError, UsageError, KeyError, TypeError, AttributeError, AssertionError, ValueError)


def write_manifest(folder: Path, known: Mapping[str, str] | None = None) -> None:
    """Write the manifest of a finished stage: size and sha256 of every output.

    `known` are the sha256 of files that have been read already, by their names in `folder`.
    """
    files = {}
    for name in OUTPUTS:
        for file in _files(folder / name):
            if file.name != "manifest.json":
                path = str(file.relative_to(folder))
                sha256 = (known or {}).get(path) or file_sha256(file)
                files[path] = {"bytes": file.stat().st_size, "sha256": sha256}
    text = json.dumps({"files": files}, indent=1, sort_keys=True)
    write_atomically(folder / "manifest.json", text + "\n")


def say_over(folder: Path, token: bytes) -> None:
    """Say that the host's own work in a stage's process is over, so that its manifest counts.

    A stage's process may write all of its folder, its manifest too. Only the guard and the host's
    own functions know the token.
    """
    clear_for(folder / OVER)
    (folder / OVER).write_text(_signed(folder, token))


def is_over(folder: Path, token: bytes) -> bool:
    """Return whether `say_over` said so of the manifest that is there; take what it said away."""
    path = folder / OVER
    try:
        said = read_text(path)
        path.unlink()
        return hmac.compare_digest(said, _signed(folder, token))
    except (OSError, UsageError, TypeError):
        return False


def _signed(folder: Path, token: bytes) -> str:
    return hmac.new(token, read_bytes(folder / "manifest.json"), "sha256").hexdigest()


def _files(path: Path) -> list[Path]:
    return [file for file in (path, *path.rglob("*")) if file.is_file()]


def _listed(folder: Path) -> dict[str, Any]:
    files = read_json(folder / "manifest.json")["files"]
    assert isinstance(files, dict)
    return files


def sha256_of(folder: Path, name: str) -> str | None:
    """Return the sha256 of an output of a finished stage, as its manifest has it, if it has it."""
    try:
        files = read_json(folder / "manifest.json")["files"]
        return str(files[name]["sha256"])
    except _BROKEN:
        return None


def is_done(folder: Path) -> bool:
    """Return whether a stage is finished and its outputs are what its manifest says."""
    try:
        files, written = _listed(folder), (folder / "manifest.json").stat().st_mtime_ns
        for name, expected in files.items():
            path, size = folder / name, expected["bytes"]
            state = path.stat()
            if state.st_size != size:
                return False
            hashed = size < HASHED_BELOW or state.st_mtime_ns > written
            if hashed and read_sha256(path) != expected["sha256"]:
                return False
    except _BROKEN:
        return False
    return bool(files)


def lost_files(folder: Path) -> bool:
    """Return whether a file of a finished stage is not there any more, its manifest included."""
    try:
        return not all((folder / name).exists() for name in _listed(folder))
    except _BROKEN:
        return True


def seal(folder: Path) -> str:
    """Return what tells whether a finished stage was sealed anew: the digest of its manifest."""
    try:
        return file_sha256(folder / "manifest.json")
    except UsageError:
        return ""  # which no manifest has


def check_sealed(
    folder: Path, part: str, sealed: str | None = None, known: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Check that an output of a stage is what the stage left, to the byte and to the file.

    Args:
        folder: The stage's.
        part: A file or folder of `OUTPUTS`.
        sealed: What `seal` returned when the stage ended, where that is known.
        known: The sha256 of files of this part that have been read already, by their names in it.

    Returns:
        The sha256 of each file, by its name in `part`; of a file, by its own name.

    Raises:
        TamperedError: If a file was changed, is gone or was added; the text names it.
    """
    again = "run the same command again to make it anew"
    try:
        files = _listed(folder)
        if sealed is not None and seal(folder) != sealed:
            raise TamperedError(f"manifest.json of stage {folder.name} was written anew; {again}")
        listed = {name: one["sha256"] for name, one in files.items() if _within(name, part)}
    except _BROKEN:
        raise TamperedError(f"stage {folder.name} has no whole manifest.json; {again}") from None
    here = {str(path.relative_to(folder)) for path in _files(folder / part)}
    found = {}
    for name in sorted(listed.keys() | here):
        inside = name.removeprefix(f"{part}/")
        sha256 = (known or {}).get(inside) or (read_sha256(folder / name) if name in here else "")
        if name not in listed or sha256 != listed[name] or name not in here:
            what = "is gone" if name not in here else "was changed"
            what = what if name in listed else "was added"
            raise TamperedError(
                f"{name} of stage {folder.name} {what} after the stage had ended; {again}"
            )
        found[inside] = sha256
    return found


def _within(name: str, part: str) -> bool:
    return name == part or name.startswith(f"{part}/")
