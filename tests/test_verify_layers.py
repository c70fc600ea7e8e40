"""The verifier's sub-packages import in one direction, and of the host only its errors."""

from __future__ import annotations

import ast
from graphlib import TopologicalSorter
from pathlib import Path

VERIFY = Path(__file__).parents[1] / "harness" / "verify"
LAYERS = {
    "limits": 0, "conventions": 0, "judgement": 0, "algebra": 1, "reading": 2, "comparing": 3,
    "judge": 4, "selftest": 5, "workers": 5,
}  # fmt: skip
# the command and the files of answers, which belong to the host
HOST = {"answers", "commands"}
MODULES = {
    ".".join(path.relative_to(VERIFY).with_suffix("").parts): path
    for path in VERIFY.rglob("*.py")
    if path.name != "__init__.py" and path.stem not in HOST
}


def imported(path: Path) -> set[str]:
    """Return the harness modules that a module imports, those of the verifier without its name."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("harness"):
            inner = node.module.removeprefix("harness.verify.")
            modules = {f"{inner}.{alias.name}" for alias in node.names} & MODULES.keys()
            found |= modules or {inner}
    return found


GRAPH = {name: imported(path) - {"harness.errors"} for name, path in MODULES.items()}


def test_sub_packages_import_downwards() -> None:
    upwards = {
        (name, other)
        for name, others in GRAPH.items()
        for other in others
        if other not in MODULES or LAYERS[other.split(".")[0]] > LAYERS[name.split(".")[0]]
    }
    assert not upwards


def test_no_modules_import_each_other() -> None:
    assert set(TopologicalSorter(GRAPH).static_order()) == MODULES.keys()
