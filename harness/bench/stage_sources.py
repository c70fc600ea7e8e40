"""The harness's own code that runs in a stage, found by its imports, and one digest of it all."""

from __future__ import annotations

import hashlib
import re
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[1]  # the package `harness`
_FOR_CHECKERS = re.compile(r"^if TYPE_CHECKING:\n(?:(?:[ \t]+.*)?\n)+", re.M)
_BELOW = re.compile(r"^[ \t]*(?:from|import) harness\.(\w+)", re.M)
_FROM_PACKAGE = re.compile(r"^[ \t]*from harness import (\([^)]*\)|.*)", re.M)
_NAME = re.compile(r"(\w+)(?: as \w+)?")


def stage_sources(root: Path = ROOT) -> tuple[Path, ...]:
    """Return every file of `harness.stage` and of what it imports from the harness, sorted.

    A package from which anything is imported counts whole, because some of its modules may be run
    by name, as the verifier's workers are. Imports inside functions count: a stage imports what is
    heavy only when it needs it. What is imported for type checkers alone does not.
    """
    found, waiting = {root / "__init__.py"}, ["stage"]
    seen: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        package = root / name
        files = package.rglob("*.py") if package.is_dir() else [package.with_suffix(".py")]
        for path in (path for path in files if path.is_file()):
            found.add(path)
            waiting += _imported(path.read_text(encoding="utf-8"))
    return tuple(sorted(found))


@cache
def source_digest(root: Path = ROOT) -> str:
    """Return a sha256 over the names and bytes of all files of `stage_sources`."""
    sha = hashlib.sha256()
    for path in stage_sources(root):
        sha.update(f"{path.relative_to(root).as_posix()}\0".encode() + path.read_bytes() + b"\0")
    return sha.hexdigest()


def _imported(source: str) -> set[str]:
    """Return the packages and modules in the folder `harness` that a module imports, at any place.

    A whole syntax tree of every file would take a tenth of each command's time.
    """
    source = _FOR_CHECKERS.sub("", source)
    named = _FROM_PACKAGE.findall(source)
    return {*_BELOW.findall(source), *(name for names in named for name in _NAME.findall(names))}
