"""Scratch on a node's own disk: what is copied to the shared one, and that nothing is left."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import processes
import pytest
from disks import small_disk
from test_remote_executors import of_trainer, results

from harness import scratch
from harness.errors import UsageError

COMMAND = ("bench", "small.toml", "--plugins", "pausing", "--seeds", "0", "--runs")


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    folder = tmp_path / "disk"
    folder.mkdir()
    return folder


def until(what: Callable[[], object], seconds: float = 300) -> None:
    """Wait for something, and fail where it does not come."""
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, what
        time.sleep(0.1)


def holders(folder: Path) -> list[int]:
    """Return the processes that hold a folder open: the guard of the stage that works there."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if any(os.readlink(link) == str(folder) for link in (entry / "fd").iterdir()):
                found.append(int(entry.name))
    return found


def kill_in_the_middle(folder: Path, disk: Path, *arguments: str) -> str:
    """Kill the guard of a stage that trains, with which the stage ends; return what was said."""
    bench = processes.start(
        [*processes.HARNESS, *COMMAND, *arguments],
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env={**os.environ, "HARNESS_PAUSE": "3"},
    )
    try:
        until(lambda: [*disk.glob("*/scratch/paused")] or bench.poll() is not None)
        (paused,) = disk.glob("*/scratch/paused")
        (guard,) = holders(paused.parents[1])
        os.kill(guard, signal.SIGKILL)
        _, errors = bench.communicate(timeout=300)
    finally:
        bench.kill()
    assert "Traceback" not in errors
    assert bench.returncode == 1, errors
    return errors


@pytest.mark.bench
@pytest.mark.promise(
    "A stage that worked on its node's own disk goes on elsewhere from its newest training"
    " checkpoint, and leaves nothing there"
)
@pytest.mark.parametrize("begun", [pytest.param("local", marks=pytest.mark.slow), "elsewhere"])
def test_a_stage_that_is_killed_goes_on_from_what_was_copied(
    saving_board, with_plugins, harness, disk, tmp_path, begun
):
    """What was begun here goes on on the same disk, what was begun elsewhere goes on without it."""
    with_plugins("elsewhere")
    on_disk = ("there", "--scratch", str(disk))
    kill_in_the_middle(tmp_path, disk, *on_disk, "--executor", begun)
    (stage,) = tmp_path.glob("there/small/stages/train-*")
    assert [path.name for path in stage.glob("scratch/trainer/*-*")] == ["checkpoint-2"]
    harness(*COMMAND, *(on_disk if begun == "local" else ("there",)))
    assert begun != "local" or [*disk.iterdir()] == []
    assert not (stage / "scratch").exists()
    (trained,) = of_trainer(tmp_path / "there", "pausing").stages
    assert (trained.attempts, trained.notes["on_node"]) == (2, begun == "local")
    assert (trained.notes["resumed"], trained.notes["found"]) == ("checkpoint-2", "drawn once")
    if "landlock" in trained.environment.confinement:
        assert trained.notes["beyond"] is False
    harness(*COMMAND, "here")
    assert results(tmp_path / "there") == results(tmp_path / "here")


@pytest.mark.slow
@pytest.mark.promise(
    "A full disk is one line and loses nothing: the same command continues when there is room"
)
def test_a_nodes_disk_that_becomes_full_is_one_line(
    saving_board, harness, disk, tmp_path, monkeypatch
):
    harness(*COMMAND, "here")
    there = ("there", "--scratch", str(disk))
    monkeypatch.setenv("HARNESS_FILL", "3")
    with small_disk(disk, 4000):
        said = harness(*COMMAND, *there, check=1).stderr.splitlines()
        (line,) = [line for line in said if line.startswith("pausing seed 0: ")]
        assert "killed: the scratch folder of " in line
        assert " is full: " in line
        assert "/harness-stage-" not in line
        assert [*disk.iterdir()] == []
    monkeypatch.delenv("HARNESS_FILL")
    harness(*COMMAND, *there)
    assert results(tmp_path / "there") == results(tmp_path / "here")
    (trained,) = of_trainer(tmp_path / "there", "pausing").stages
    assert trained.notes["resumed"] == "checkpoint-2"


@pytest.mark.bench
def test_a_disk_that_is_full_before_a_stage_is_one_line(saving_board, harness, disk):
    with small_disk(disk, 64):
        said = harness(*COMMAND, "there", "--scratch", str(disk), check=1).stderr
        assert f"--scratch {disk}: No space left on device" in said
        assert [*disk.iterdir()] == []


@pytest.mark.bench
def test_a_node_without_the_folder_is_tried_again_and_named(
    saving_board, with_plugins, harness, tmp_path
):
    with_plugins("elsewhere")
    command = (*COMMAND, "there", "--executor", "elsewhere", "--scratch", "$NO_SUCH_VARIABLE/x")
    said = harness(*command, check=1).stderr
    assert "tried again (3 of 3)" in said
    line = "--scratch $NO_SUCH_VARIABLE/x: no absolute path; a variable in it may not be set"
    assert f"{os.uname().nodename}: {line}" in said


def test_a_folder_that_cannot_be_used_is_refused_before_anything_runs(saving_board, harness, disk):
    said = harness(*COMMAND, "there", "--scratch", str(disk / "none"), check=2).stderr
    assert said.splitlines()[-1] == f"harness: --scratch {disk / 'none'}: no such folder"


def test_a_folder_is_found_by_the_variables_of_its_machine(disk, monkeypatch):
    monkeypatch.setenv("OWN_DISK", str(disk))
    assert scratch.find("$OWN_DISK") == disk
    with pytest.raises(UsageError, match=r"--scratch \$OWN_DISK/no \(.*/disk/no\): no such folder"):
        scratch.find("$OWN_DISK/no")


HOLD = """
import sys
from pathlib import Path
from harness import scratch
taken = scratch.take(Path(sys.argv[1]))
(taken.path / "file").touch()
print(taken.path, flush=True)
sys.stdin.read()
"""


def test_what_a_killed_process_left_goes_and_what_is_in_use_stays(disk):
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    (disk / "harness-stage-of-somebody").mkdir()
    command = [sys.executable, "-c", HOLD, str(disk)]
    with processes.start(command, **pipes) as one, processes.start(command, **pipes) as other:
        left, used = (Path(process.stdout.readline().strip()) for process in (one, other))
        one.kill()
        one.wait()
        assert (left / "file").exists()
        taken = scratch.take(disk)
        assert {*disk.iterdir()} == {used, taken.path, disk / "harness-stage-of-somebody"}
        taken.remove()
        assert not taken.path.exists()


def test_what_is_copied_is_the_newest_checkpoint_with_the_files_that_belong_to_it(
    tmp_path, monkeypatch
):
    here, stage = tmp_path / "node/scratch", tmp_path / "stage"
    shared = stage / "scratch"
    monkeypatch.setenv(scratch.VARIABLE, str(here))

    def save(step: int, text: str) -> None:
        folder = here / "trainer" / f"checkpoint-{step}"
        folder.mkdir(parents=True)
        (folder / "weights").write_text(text)
        scratch.keep(stage, folder)

    def copied() -> dict[str, str]:
        files = (path for path in shared.rglob("*") if path.is_file())
        return {str(path.relative_to(shared)): path.read_text() for path in files}

    stage.mkdir()
    scratch.begin(stage)
    (here / "round-1").write_text("1")
    (here / "trainer").mkdir()
    (here / "trainer" / "log").write_text("begun")
    save(1, "a")
    save(2, "b")
    kept = {"round-1": "1", "trainer/log": "begun"}
    assert copied() == kept | {"trainer/checkpoint-2/weights": "b"}
    # a second round counts anew, with other files
    for step in (1, 2):
        (here / f"trainer/checkpoint-{step}/weights").unlink()
        (here / f"trainer/checkpoint-{step}").rmdir()
    (here / "round-1").unlink()
    (here / "round-2").write_text("2")
    save(2, "c")
    kept = {"round-2": "2", "trainer/log": "begun"}
    assert copied() == kept | {"trainer/checkpoint-2/weights": "c"}
    # cut short while it copies: what is not whole is neither gone on from nor kept
    part = shared / "trainer/.checkpoint-4"
    part.mkdir()
    (part / "weights").write_text("half")
    monkeypatch.setenv(scratch.VARIABLE, str(tmp_path / "other/scratch"))
    scratch.begin(stage)
    found = {
        path.name: path.read_text() for path in (tmp_path / "other").rglob("*") if path.is_file()
    }
    assert found == {"round-2": "2", "log": "begun", "weights": "c"}
    monkeypatch.setenv(scratch.VARIABLE, str(here))
    save(4, "d")
    assert copied() == kept | {"trainer/checkpoint-4/weights": "d"}
    for name in ("mine.pt", "log.txt", "events.jsonl"):
        (stage / name).write_text("left")
    (stage / "memory.json").mkdir()
    (stage / "memory.json/mine.pt").write_text("left")
    scratch.empty(stage, continues=True)
    assert {path.name for path in stage.iterdir()} == {"scratch", "log.txt", "events.jsonl"}
    assert copied() == kept | {"trainer/checkpoint-4/weights": "d"}
    scratch.empty(stage, continues=False)
    assert [path.name for path in (*stage.iterdir(), *here.parent.iterdir())] == ["log.txt"]
