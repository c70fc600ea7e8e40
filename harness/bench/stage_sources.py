"""The harness's own code that runs in a stage, found by its imports, and one digest of it all."""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[1]  # the package `harness`


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
            waiting += _imported(ast.parse(path.read_bytes()))
    return tuple(sorted(found))


@cache
def source_digest(root: Path = ROOT) -> str:
    """Return a sha256 over the names and bytes of all files of `stage_sources`."""
    sha = hashlib.sha256()
    for path in stage_sources(root):
        sha.update(f"{path.relative_to(root).as_posix()}\0".encode() + path.read_bytes() + b"\0")
    return sha.hexdigest()


def _imported(node: ast.AST) -> Iterator[str]:
    """Yield the packages and modules in the folder `harness` that a module, or a part, imports."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            names = [alias.name for alias in child.names]
        elif isinstance(child, ast.ImportFrom):
            names = [f"{child.module}.{alias.name}" for alias in child.names]
        elif isinstance(child, ast.expr) or _is_for_checkers(child):
            continue
        else:
            yield from _imported(child)
            continue
        yield from (name.split(".")[1] for name in names if name.startswith("harness."))


def _is_for_checkers(node: ast.AST) -> bool:
    test = node.test if isinstance(node, ast.If) else None
    return isinstance(test, ast.Name) and test.id == "TYPE_CHECKING"
