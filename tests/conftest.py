"""Fixtures: plug-ins that are found without being installed, a small model, a small board."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

os.environ |= {
    "HF_HUB_OFFLINE": "1",
    "HF_DATASETS_OFFLINE": "1",
    "OMP_NUM_THREADS": "1",
    "TOKENIZERS_PARALLELISM": "false",
}

ROOT = Path(__file__).parents[1]
PLUGINS = Path(__file__).parent / "support" / "plugins"

BOARD = """
schema = 1
name = "small"
title = "A board for tests"
start_model = "start"
teacher = "teacher"
plugins = ["unruly"]
trainers = ["unruly"]
seeds = [0, 1]

[data]
train = ["unruly_sums"]

[budget]
steps = 3

[compute]
batch_size = 8
stage_seconds = 60

[[scores]]
task = "unruly_sums"
max_new_tokens = 6
ranking = true

[[scores]]
task = "unruly_other"
max_new_tokens = 4
"""


@pytest.fixture
def with_plugins(monkeypatch: pytest.MonkeyPatch):
    """Make fixture plug-ins importable here and in processes that are started."""

    def use(*names: str) -> None:
        paths = [str(PLUGINS / name) for name in names]
        for path in paths:
            monkeypatch.syspath_prepend(path)
        monkeypatch.setenv("PYTHONPATH", os.pathsep.join(paths))

    return use


@pytest.fixture(scope="session")
def small_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the model folders `start` and `teacher`."""
    from models import save_model

    folder = tmp_path_factory.mktemp("models")
    save_model(folder / "start", seed=1)
    save_model(folder / "teacher", seed=2, vocabulary=352)
    return folder


@pytest.fixture
def small_board(tmp_path: Path, small_models: Path, with_plugins) -> Path:
    """Return the path of a board whose models and tasks are small."""
    with_plugins("unruly")
    for name in ("start", "teacher"):
        (tmp_path / name).symlink_to(small_models / name)
    path = tmp_path / "small.toml"
    path.write_text(BOARD)
    return path


@pytest.fixture
def harness(tmp_path: Path):
    """Return a function that runs the command line in a process of its own, in `tmp_path`."""

    def run(*arguments: str, check: int | None = 0, **options) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, "-m", "harness", *arguments],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            **{"timeout": 500, **options},
        )
        assert "Traceback" not in done.stderr, done.stderr
        if check is not None:
            assert done.returncode == check, done.stdout + done.stderr
        return done

    return run
