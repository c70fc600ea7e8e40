"""Fixtures: plug-ins that are found without being installed, a small model, a small board."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from subprocess import CompletedProcess

import processes
import pytest

from harness.bench.executors.local import LocalExecutor

os.environ |= {
    "HF_HUB_OFFLINE": "1",
    "HF_DATASETS_OFFLINE": "1",
    "OMP_NUM_THREADS": "1",
    "TOKENIZERS_PARALLELISM": "false",
}

Completed = CompletedProcess[str]

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
        for path in [str(processes.PLUGINS / name) for name in names]:
            monkeypatch.syspath_prepend(path)
            monkeypatch.setenv("PYTHONPATH", path, prepend=os.pathsep)

    return use


@pytest.fixture(scope="session")
def small_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the model folders `start` and `teacher`."""
    from models import save_model

    folder = tmp_path_factory.mktemp("models")
    save_model(folder / "start", seed=1)
    save_model(folder / "teacher", seed=2, vocabulary=352)
    return folder


@pytest.fixture(scope="session")
def student(small_sums: Path) -> Path:
    """Return the folder of a start model that knows how a solution looks and solves some sums."""
    return small_sums / "student"


@pytest.fixture(scope="session")
def teacher(small_sums: Path) -> Path:
    """Return the folder of a teacher that solves them, with 32 more rows in its embedding."""
    return small_sums / "teacher"


@pytest.fixture(scope="session")
def small_sums(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the models `student` and `teacher`, which no test may change."""
    from models import save_model, teach_sums

    folder = tmp_path_factory.mktemp("sums")
    teach_sums(save_model(folder / "new", seed=0), folder / "student", 35)
    wider = save_model(folder / "wider", seed=1, vocabulary=352)
    teach_sums(wider, folder / "teacher", 130)
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
def patient_board(small_board: Path) -> Path:
    """Return that board with a time limit which no stage meets on a busy machine."""
    text = small_board.read_text().replace("stage_seconds = 60", "stage_seconds = 3600")
    small_board.write_text(text)
    return small_board


@pytest.fixture
def saving_board(patient_board: Path, with_plugins) -> Path:
    """Return a board that saves after every second of six steps."""
    with_plugins("pausing")
    text = patient_board.read_text().replace("[compute]", "[compute]\nsave_every = 2")
    options = "[options.pausing]\nbatch_size = 4\nmax_steps = 6\nlearning_rate = 1e-3\n"
    patient_board.write_text(text.replace("steps = 3", "steps = 6") + "\n" + options)
    return patient_board


@pytest.fixture(scope="session")
def warm() -> Iterator[processes.Warm]:
    """Return the keeper of the warm process that serves all benches of this session."""
    with contextlib.closing(processes.Warm()) as kept:
        yield kept


def checked(done: Completed, check: int | None) -> Completed:
    """Return how a command ended, after looking at its exit code, if one is expected."""
    assert "Traceback" not in done.stderr, done.stderr
    if check is not None:
        assert done.returncode == check, done.stdout + done.stderr
    return done


@pytest.fixture
def harness(tmp_path: Path, warm: processes.Warm, request: pytest.FixtureRequest):
    """Return a function that runs the command line in `tmp_path`, in this process.

    Its benches share a warm process: only tests that are marked as benches may start one.
    """
    warm.allowed = any(map(request.node.get_closest_marker, ("bench", "slow", "gpu")))

    def run(*arguments: str, check: int | None = 0) -> Completed:
        with warm.shared():
            return checked(processes.run_here(arguments, tmp_path), check)

    return run


@pytest.fixture
def harness_apart(tmp_path: Path):
    """Return a function that runs the command line in `tmp_path`, in a process of its own."""

    def run(*arguments: str, check: int | None = 0, **options) -> Completed:
        return checked(processes.run_apart(arguments, tmp_path, **options), check)

    return run


@pytest.fixture
def light(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Return a function that starts stages by their names, forked from a light warm process."""
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent / "support"), prepend=os.pathsep)
    made = []

    def start(*names: str, seconds: float = 120, device: str = "cpu", **options) -> LocalExecutor:
        log, jobs = tmp_path / "warm.log", len(names)
        executor = LocalExecutor(jobs, device, 1, log, program="light", **options)
        made.append(executor)
        for name in names:
            (tmp_path / name).mkdir(exist_ok=True)
            executor.start(tmp_path / name, seconds)
        return executor

    yield start
    for executor in made:
        executor.stop()
