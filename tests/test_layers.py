"""The layout: how large a folder and a module may grow, and who may import what.

The layers at run time are contracts in pyproject.toml (`lint-imports`); what they cannot see is
here: imports for type checkers, imports of heavy libraries, imports of built-in plug-ins.
"""

from __future__ import annotations

import ast
import tomllib
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
HOST = sorted((ROOT / "harness").rglob("*.py"))
PLUGINS = sorted((ROOT / "plugins").rglob("*.py"))
FOLDERS = sorted({path.parent for path in HOST})
HEAVY = {"torch", "transformers", "trl", "datasets", "lm_eval", "peft", "sympy"}
# a trainer takes a Run, and a stage, which makes the Run, finds the trainer by the host
THE_ONE_CIRCLE = ("harness.plugin.trainer", "harness.stage.run")


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


MODULES = {name_of(path): path for path in HOST}


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


def own(path: Path) -> set[str]:
    """Return the modules of the host that a file imports, for type checkers too."""
    found = {name for name in imports(path) if name in MODULES}
    packages = {name for name in found if MODULES[name].name == "__init__.py"}
    return {name for name in found - packages - {name_of(path)}}


def roots(names: set[str]) -> set[str]:
    return {name.split(".")[0] for name in names}


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda path: path.name)
def test_a_folder_has_at_most_18_modules(folder):
    modules = [path.name for path in folder.glob("*.py") if path.name != "__init__.py"]
    assert len(modules) <= 18, modules
    assert not {path.stem for path in folder.glob("*.py")} & {
        path.name for path in folder.iterdir() if path.is_dir()
    }


def test_a_module_has_at_most_350_lines():
    lines = {name_of(path): len(path.read_text().splitlines()) for path in [*HOST, *PLUGINS]}
    data = {"plugins.harness_math.catalogue"}  # a table of public benchmarks
    assert {name: size for name, size in lines.items() if size > 350 and name not in data} == {}


def test_types_make_no_circle_but_the_one_between_a_trainer_and_its_run():
    sorter = TopologicalSorter(
        {
            name: {other for other in own(path) if (name, other) != THE_ONE_CIRCLE}
            for name, path in MODULES.items()
        }
    )
    try:
        sorter.prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(reversed(error.args[1])))


def test_types_keep_to_the_layers():
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text())
    layers = pyproject["tool"]["importlinter"]["contracts"][0]["layers"]
    floor = {name: n for n, names in enumerate(layers) for name in names.split(" | ")}
    upwards = [
        (name, other)
        for name, path in MODULES.items()
        for other in own(path)
        if (a := name.split(".")[1:2]) and (b := other.split(".")[1:2]) and a != b
        if floor.get(a[0], -1) >= floor[b[0]]
    ]
    assert upwards == [THE_ONE_CIRCLE]


def test_the_verifier_can_be_used_alone():
    found = {name for path in HOST if "verify" in path.parts for name in own(path)}
    outside = {name for name in found if not name.startswith("harness.verify.")}
    assert outside <= {"harness.errors"}


def test_only_generate_imports_lm_eval():
    assert [p.name for p in HOST if "lm_eval" in roots(imports(p))] == ["generate.py"]


# callback.py subclasses a class of transformers; it is imported inside a stage only
@pytest.mark.parametrize("path", [p for p in HOST if p.name != "callback.py"], ids=name_of)
def test_the_host_imports_nothing_heavy_at_the_top(path):
    assert not roots(imports(path, top_level=True)) & HEAVY


@pytest.mark.parametrize("path", PLUGINS, ids=lambda p: p.name)
def test_built_in_plugins_import_what_a_stranger_could(path):
    import harness

    own = {name for name in imports(path) if name.split(".")[0] == "harness"}
    public = {f"harness.{name}" for name in harness.__all__} | {"harness"}
    assert own <= public
