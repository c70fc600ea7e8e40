"""What `harness new` writes works as it is: the conformance kit and the checks of boards pass."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path

import pytest

from harness.testing import check_board, check_trainer


def announce(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a package be found by its entry points, as if it were installed."""
    project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    info = folder / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Name: {project['name']}\nVersion: {project['version']}\n")
    points = project["entry-points"]["harness"].items()
    lines = "".join(f"{name} = {module}\n" for name, module in points)
    (info / "entry_points.txt").write_text(f"[harness]\n{lines}")
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setenv("PYTHONPATH", str(folder), prepend=os.pathsep)


@pytest.mark.parametrize(
    "loop",
    [
        pytest.param(True, marks=pytest.mark.bench, id="loop"),
        pytest.param(False, marks=pytest.mark.slow, id="trl"),
    ],
)
def test_a_new_plugin_passes_the_conformance_kit(harness, tmp_path, monkeypatch, loop):
    name = "fresh_loop" if loop else "fresh_trl"
    said = harness("new", "plugin", name, *(["--loop"] if loop else []))
    assert f"harness bench --plugins {name}" in said.stdout
    folder = tmp_path / f"harness-{name}"
    announce(folder, monkeypatch)
    assert f"{name} (harness-{name} 0.1.0)" in harness("plugins").stdout
    check_trainer(name, tmp_path / "kit")
    assert f'check_trainer("{name}", tmp_path)' in (folder / f"tests/test_{name}.py").read_text()


def test_a_new_board_can_be_planned(harness, tmp_path):
    assert "harness bench fresh/fresh.toml --dry-run" in harness("new", "board", "fresh").stdout
    check_board(tmp_path / "fresh" / "fresh.toml")
    shown = harness("bench", "fresh/fresh.toml", "--dry-run").stdout
    assert "7 cells" in shown
    assert "Ben has" in harness("show", "fresh/fresh.toml").stdout


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("plugin", "Fresh"), "'Fresh' is no name"),
        (("plugin", "../x"), "'../x' is no name"),
        (("plugin", "sft"), "a plug-in 'sft' is installed already; take another name"),
        (("board", "full"), "full is there already; name another by --out"),
        (("trainer", "x"), "'trainer' is not one of 'plugin', 'board'"),
    ],
)
def test_a_mistake_is_one_line_and_writes_nothing(harness, tmp_path, arguments, says):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").touch()
    done = harness("new", *arguments, check=2)
    assert says in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["full"]
