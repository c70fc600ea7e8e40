"""What `harness new` writes works as it is: the conformance kit and the checks of boards pass."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path

import pytest

from harness.boards.board import load_board
from harness.plugin.host import Host
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
        pytest.param(True, marks=pytest.mark.slow, id="loop"),
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
    file = load_board(str(tmp_path / "fresh" / "fresh.toml"), Host()).file
    assert file.budget.fill  # rows of equal compute, not of equal steps
    assert file.budget.set_caps().keys() == {"flops"}
    assert "Ben has" in harness("show", "fresh/fresh.toml").stdout


def test_a_copy_of_a_board_can_have_other_seeds(harness, tmp_path):
    said = harness("bench", "--seeds", "5,6", "--dry-run", check=2).stderr
    assert "harness new board NAME --from BOARD" in said
    assert "tiny7/tiny7.toml" in harness("new", "board", "tiny7", "--from", "tiny").stdout
    path = tmp_path / "tiny7" / "tiny7.toml"
    text = path.read_text()
    path.write_text(text.replace("seeds = [0, 1, 2, 3, 4]", "seeds = [5, 6, 7]"))
    copy, tiny = (load_board(each, Host()) for each in (str(path), "tiny"))
    assert (copy.name, copy.file.seeds) == ("tiny7", (5, 6, 7))
    assert copy.identity("teacher") == tiny.identity("teacher")
    assert copy.model("teacher").is_relative_to(tmp_path)
    assert copy.file.options == tiny.file.options
    shown = harness("bench", "tiny7/tiny7.toml", "--dry-run", "--plugins", "kd", "--seeds", "5,6")
    assert "To do:" in shown.stdout
    (tmp_path / "alone.toml").write_text(text)  # without its models: what is missing is named
    alone = harness("bench", "alone.toml", "--dry-run", check=2).stderr
    assert f"no model folder {tmp_path / 'models' / 'start'}" in alone.replace("./", "")


def test_a_copy_of_a_board_has_the_files_of_its_tasks(harness, tmp_path):
    harness("new", "board", "first")
    path = tmp_path / "first" / "first.toml"
    (tmp_path / "first" / "test.jsonl").rename(tmp_path / "exam.jsonl")
    path.write_text(path.read_text().replace('"test.jsonl"', '"../exam.jsonl"'))
    harness("new", "board", "second", "--from", "first/first.toml", "--out", "of/mine")
    assert (tmp_path / "of" / "mine" / "train.jsonl").is_file()
    check_board(tmp_path / "of" / "mine" / "second.toml")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("plugin", "Fresh"), "'Fresh' is no name"),
        (("plugin", "../x"), "'../x' is no name"),
        (("plugin", "sft"), "a plug-in 'sft' is installed already; take another name"),
        (("board", "full"), "full is there already; name another by --out"),
        (("board", "other", "--from", "tinny"), "no board 'tinny'; did you mean 'tiny'?"),
        (("plugin", "other", "--from", "tiny"), "--from for a board"),
        (("trainer", "x"), "'trainer' is not one of 'plugin', 'board'"),
    ],
)
def test_a_mistake_is_one_line_and_writes_nothing(harness, tmp_path, arguments, says):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").touch()
    done = harness("new", *arguments, check=2)
    assert says in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["full"]
