"""Executors: which GPUs a stage sees (a stand-in for nvidia-smi), and what runs beside what."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from harness.bench import executor
from harness.bench.executor import Ended, LocalExecutor
from harness.bench.folder import Folder
from harness.bench.plan import plan
from harness.bench.scheduler import run
from harness.boards.board import load_board
from harness.errors import UsageError
from harness.plugin.host import Host
from harness.records import Cost, Environment
from harness.stage.spec import TrainResult


@pytest.fixture
def machine(tmp_path: Path, monkeypatch):
    """Return a function that makes `nvidia-smi -L` list so many GPUs."""

    def has(gpus: int, visible: str | None = None) -> None:
        listing = "\n".join(f"GPU {i}: NVIDIA H200 (UUID: GPU-{i})" for i in range(gpus))
        script = tmp_path / "nvidia-smi"
        script.write_text(f"#!/bin/sh\ncat <<'END'\n{listing}\nEND\n")
        script.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
        if visible is not None:
            monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
        executor.gpu_names.cache_clear()

    yield has
    executor.gpu_names.cache_clear()


@pytest.mark.parametrize(
    ("gpus", "visible", "jobs", "each", "seen"),
    [
        (1, None, 1, 1, ["0"]),
        (1, None, 2, 1, ["0", "0"]),
        (2, None, 4, 1, ["0", "1", "0", "1"]),
        (4, None, 2, 2, ["0,1", "2,3"]),
        (4, "2,3", 2, 1, ["2", "3"]),
        (2, "GPU-1", 1, 1, ["GPU-1"]),
    ],
)
def test_slots_are_dealt_to_gpus_in_turn(machine, tmp_path, gpus, visible, jobs, each, seen):
    machine(gpus, visible)
    executor = LocalExecutor(jobs, "cuda", 1, tmp_path / "log", each)
    found = [executor.environment(slot)["CUDA_VISIBLE_DEVICES"] for slot in range(jobs)]
    assert found == seen
    assert executor.shared is (jobs * each > len(visible.split(",") if visible else range(gpus)))


def test_numbers_of_gpus_are_those_of_nvidia_smi(machine, tmp_path):
    machine(2)
    executor = LocalExecutor(1, "cuda", 1, tmp_path / "log")
    assert executor.environment(0)["CUDA_DEVICE_ORDER"] == "PCI_BUS_ID"
    machine(2, "1")  # in the order of whoever said so
    assert "CUDA_DEVICE_ORDER" not in executor.environment(0)


def test_a_warm_process_that_died_is_replaced_and_its_stage_told(tmp_path):
    stage = tmp_path / "stage"
    stage.mkdir()
    executor = LocalExecutor(1, "cpu", 1, tmp_path / "log", program="keyword")  # ends at once
    executor.warm_up()
    first = executor._warm
    first.wait(30)
    executor.start(stage, 60)
    assert executor._warm is not first
    ended = []
    while not ended:
        ended = executor.wait(30)
    assert (ended[0].status, ended[0].error) == ("killed", "the process that started it died")
    assert first.stdin.closed
    assert first.stdout.closed
    assert executor.stop() == []


def test_a_light_stage_takes_no_gpu_and_no_slot_from_the_others(machine, tmp_path):
    machine(1)
    executor = LocalExecutor(1, "cuda", 1, tmp_path / "log")
    (light,) = executor.free(light=True)
    assert light not in executor.free()
    assert executor.environment(light)["CUDA_VISIBLE_DEVICES"] == ""
    assert not executor.shared


def test_as_many_stages_as_the_gpus_hold(machine):
    machine(4)
    assert executor.default_jobs("cuda", 1) == 4
    assert executor.default_jobs("cuda", 1, gpus=2) == 2
    with pytest.raises(UsageError, match="asks for 8 GPUs for a stage and 4 are visible"):
        executor.default_jobs("cuda", 1, gpus=8)


def test_no_gpu_is_said(machine):
    machine(2, visible="")
    assert executor.gpu_names() == ()
    assert executor.choose_device("auto") == "cpu"
    with pytest.raises(UsageError, match="no GPU is visible"):
        executor.choose_device("cuda")


class Held(LocalExecutor):
    """Ends what runs at once, but no judging while anything else runs."""

    def start(self, folder, seconds, *, light=False):
        slot = self.free(light=light)[0]
        self._running[str(folder)] = executor._Running(folder, slot, seconds)
        self.order.append(f"start {folder.name}")
        if folder.name.startswith("train-"):
            ran = Environment(python="", platform="", processor="")
            TrainResult(cost=Cost(), notes={}, environment=ran).write(folder / "result.json")

    def warm_up(self):
        self.order = []

    def wait(self, seconds):
        names = [name for name in self._running if "/judge-" not in name] or list(self._running)
        ended = []
        for name in names:
            folder = self._running.pop(name).folder
            self.order.append(f"end {folder.name}")
            judged = folder.name.startswith("judge-")
            ended.append(Ended(folder, "failed" if judged else "ok", "no verdict" * judged or None))
        return ended


def test_while_a_cell_is_judged_other_stages_start(small_board, tmp_path):
    host = Host()
    made = plan(load_board(str(small_board), host), host)
    held = Held(1, "cpu", 1, tmp_path / "log")
    outcome = run(made, host, Folder(tmp_path / "runs"), held, lambda event, facts: None)

    def places(words: str) -> list[int]:
        return [place for place, step in enumerate(held.order) if step.startswith(words)]

    assert len(places("start generate-")) == len(made.cells) == 3
    last = max(places("start generate-"))
    assert min(places("start judge-")) < last < min(places("end judge-"))
    # judging that fails is a row with its reason
    assert [record.status for record in outcome.records] == ["failed"] * 3
    assert {record.error for record in outcome.records} == {"no verdict"}
    assert all("stages/judge-" in record.log for record in outcome.records)
