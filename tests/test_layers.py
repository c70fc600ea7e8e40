"""The layout: who may import what, and how large a module may grow."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
HOST = sorted((ROOT / "harness").rglob("*.py"))
PLUGINS = sorted((ROOT / "plugins").rglob("*.py"))


def imports(path: Path, *, top_level: bool = False) -> set[str]:
    """Return the modules that a file imports, anywhere or only when it is imported itself."""
    tree = ast.parse(path.read_text())
    nodes = tree.body if top_level else ast.walk(tree)
    found = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def roots(names: set[str]) -> set[str]:
    return {name.split(".")[0] for name in names}


def test_only_generate_imports_lm_eval():
    assert [p.name for p in HOST if "lm_eval" in roots(imports(p))] == ["generate.py"]


# callback.py subclasses a class of transformers; it is imported inside a stage only
@pytest.mark.parametrize("path", [p for p in HOST if p.name != "callback.py"], ids=lambda p: p.name)
def test_the_host_imports_nothing_heavy_at_the_top(path):
    heavy = {"torch", "transformers", "trl", "datasets", "lm_eval", "peft", "sympy"}
    if path.parent.name == "verify":
        heavy -= {"sympy"}  # loaded by its workers; test_cli shows that the controller is without
    assert not roots(imports(path, top_level=True)) & heavy


@pytest.mark.parametrize("path", PLUGINS, ids=lambda p: p.name)
def test_built_in_plugins_import_what_a_stranger_could(path):
    import harness

    own = {name for name in imports(path) if name.split(".")[0] == "harness"}
    public = {f"harness.{name}" for name in harness.__all__} | {"harness"}
    assert own <= public
