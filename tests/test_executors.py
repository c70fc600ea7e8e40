"""Executors: which GPUs a stage sees (a stand-in for nvidia-smi), what runs beside what, and what
becomes of a bench when its processes are stopped, killed or talk nonsense.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from processes import all_ended

from harness.bench.executors import gpus, measured, warm
from harness.bench.executors.local import LocalExecutor
from harness.bench.folder import Folder
from harness.bench.plan import plan
from harness.bench.scheduler import run
from harness.boards.board import load_board
from harness.errors import UsageError
from harness.plugin.executor import Ended
from harness.plugin.host import Host
from harness.records import Cost, Environment
from harness.stage.manifest import is_done
from harness.stage.spec import TrainResult


@pytest.fixture
def machine(tmp_path: Path, monkeypatch):
    """Return a function that makes `nvidia-smi -L` list so many GPUs."""

    def has(count: int, visible: str | None = None) -> None:
        listing = "\n".join(f"GPU {i}: NVIDIA H200 (UUID: GPU-{i})" for i in range(count))
        script = tmp_path / "nvidia-smi"
        script.write_text(f"#!/bin/sh\ncat <<'END'\n{listing}\nEND\n")
        script.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
        if visible is not None:
            monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
        gpus.gpu_names.cache_clear()

    yield has
    gpus.gpu_names.cache_clear()


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
    found = [executor.gpus_of(slot)["CUDA_VISIBLE_DEVICES"] for slot in range(jobs)]
    assert found == seen
    assert executor.shared is (jobs * each > len(visible.split(",") if visible else range(gpus)))


def test_numbers_of_gpus_are_those_of_nvidia_smi(machine, tmp_path):
    machine(2)
    executor = LocalExecutor(1, "cuda", 1, tmp_path / "log")
    assert executor.gpus_of(0)["CUDA_DEVICE_ORDER"] == "PCI_BUS_ID"
    machine(2, "1")  # in the order of whoever said so
    assert "CUDA_DEVICE_ORDER" not in executor.gpus_of(0)


def test_a_warm_process_that_dies_is_replaced_and_its_stage_told(tmp_path):
    stage = tmp_path / "stage"
    stage.mkdir()
    executor = LocalExecutor(1, "cpu", 1, tmp_path / "log", program="keyword")  # ends at once
    executor.warm_up()
    first = executor.node.warm
    first.process.wait(30)
    executor.start(stage, 60)
    assert executor.node.warm is not first
    (ended,) = all_ended(executor)
    assert (ended.status, ended.error) == ("killed", "the process that started it died")
    assert executor.stop() == []
    assert executor.node.channels == []


def guards(executor: LocalExecutor) -> list[int]:
    """Wait until all stages have started; return the process ids of their guards."""
    while any(one.guard is None for one in list(executor.node.running.values())):
        executor.wait(1)
    return [one.guard for one in list(executor.node.running.values())]


def has_ended(pid: int) -> bool:
    """Return whether a process ends within a minute."""
    for _ in range(600):
        if not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
            return True
        time.sleep(0.1)
    return False


@pytest.mark.promise(
    "No process of a stage outlives it, however it let go of its parents, and none changes what"
    " was sealed"
)
def test_nothing_of_a_stage_is_left_when_it_has_ended(light, tmp_path):
    (ended,) = all_ended(light("detach"))
    pid = int((tmp_path / "detach/left.pid").read_text())
    assert not psutil.pid_exists(pid)
    # it changed what was finished before it was killed, and never after the verdict
    assert (ended.status == "ok") == is_done(tmp_path / "detach")


@pytest.mark.promise("A stage that passes its time limit is ended with all that it started")
def test_nothing_is_left_of_a_stage_that_passes_its_time_limit(light, tmp_path):
    executor = light("detach", "hang", seconds=1)
    statuses = {ended.folder.name: ended.status for ended in all_ended(executor)}
    assert statuses["hang"] == "timeout"
    assert not psutil.pid_exists(int((tmp_path / "detach/left.pid").read_text()))


@pytest.mark.promise("A warm process that is stopped or killed is replaced, and what runs goes on")
@pytest.mark.parametrize("number", [signal.SIGSTOP, signal.SIGKILL])
def test_a_warm_process_that_is_stopped_or_killed_is_replaced(light, tmp_path, number):
    executor = light("slow", "plain-1")
    guards(executor)
    first = executor.node.warm
    os.kill(first.process.pid, number)
    (tmp_path / "plain-2").mkdir()
    executor.jobs = 3
    executor.start(tmp_path / "plain-2", 120)
    assert {ended.status for ended in all_ended(executor)} == {"ok"}  # also what ran before
    assert executor.node.warm is not first


@pytest.mark.promise("A guard that is killed takes its stage with it, and no other")
def test_a_guard_that_is_killed_takes_its_stage_with_it(light, tmp_path):
    executor = light("hang-1", "plain")
    pids = [one.pid for one in list(executor.node.running.values()) if guards(executor)]
    (hanging,) = (
        one for one in list(executor.node.running.values()) if one.folder.name == "hang-1"
    )
    os.kill(hanging.guard, signal.SIGKILL)
    statuses = {ended.folder.name: ended for ended in all_ended(executor)}
    assert statuses["hang-1"].error == "the process that started it died"
    assert statuses["plain"].status == "ok"
    assert all(has_ended(pid) for pid in pids)


def test_noise_from_the_warm_process_is_ignored_and_noted(light, tmp_path):
    executor = light("slow")
    guards(executor)
    pipe = os.open(f"/proc/{executor.node.warm.process.pid}/fd/1", os.O_WRONLY)
    os.write(pipe, b'noise\n{"job": "other", "guard": 1, "lost": true}\n{"exit": 0}\n[1]\n')
    os.close(pipe)
    (ended,) = all_ended(executor)
    assert ended.status == "ok"
    assert "no message, ignored: b'noise'" in (tmp_path / "warm.log").read_text()


def test_a_bench_that_is_killed_takes_everything_with_it(light, tmp_path):
    """SIGKILL to the process of the executor, which is started from a thread that ends early."""
    (tmp_path / "detach").mkdir()
    (tmp_path / "hang").mkdir()
    script = f"""
import threading, time
from pathlib import Path
from harness.bench.executors.local import LocalExecutor
executor = LocalExecutor(2, "cpu", 1, Path({str(tmp_path / "warm.log")!r}), program="light")
def start():
    for name in ("hang", "detach"):
        executor.start(Path({str(tmp_path)!r}, name), 600)
thread = threading.Thread(target=start)
thread.start()
thread.join()
while any(one.pid is None for one in list(executor.node.running.values())):
    executor.wait(1)
print(executor.node.warm.process.pid, *(f"{{one.guard}} {{one.pid}}" for one in
      executor.node.running.values()), flush=True)
time.sleep(600)
"""
    bench = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    pids = [int(pid) for pid in bench.stdout.readline().split()]
    assert len(pids) == 5
    left = tmp_path / "detach/left.pid"
    while not left.exists():
        time.sleep(0.05)
    bench.kill()
    bench.communicate()
    assert all(has_ended(pid) for pid in [*pids, int(left.read_text() or pids[0])])


@pytest.mark.promise("A log is bounded, and a link in its place is not followed")
def test_a_log_that_grows_too_long_loses_its_middle(light, tmp_path):
    (ended,) = all_ended(light("log", log_bytes=200_000))
    assert ended.status == "ok"
    text = (tmp_path / "log/log.txt").read_bytes()
    assert len(text) < 300_000
    assert text.startswith(b"the first line\n")
    assert text.endswith(b"the last line\n")
    (line,) = (line for line in text.splitlines() if line.startswith(b"harness: "))
    assert re.fullmatch(rb"harness: [\d,]+ bytes of this log were left out here", line)


@pytest.mark.promise("A log is bounded, and a link in its place is not followed")
def test_a_log_that_is_replaced_by_a_link_is_not_followed(light, tmp_path):
    precious = tmp_path / "precious"
    precious.write_bytes(b"x" * 300_000)
    all_ended(light("link", log_bytes=200_000))
    assert precious.stat().st_size == 300_000
    all_ended(light("link", log_bytes=200_000))  # the link is there when it starts
    assert precious.stat().st_size == 300_000


@pytest.mark.promise(
    "What a stage took is measured outside it too, and a cost that contradicts that is named"
)
def test_what_a_stage_took_is_measured_from_outside(light, tmp_path):
    for attempts in (1, 2):
        all_ended(light("many"))
        seen = measured.read(tmp_path / "many")
        assert seen.outside.attempts == attempts
        assert seen.outside.cpu_seconds >= attempts * 0.9  # of a process that it started
        assert attempts * 0.9 <= seen.outside.child_cpu_seconds <= seen.outside.cpu_seconds
        assert seen.outside.seconds > 0
        assert seen.outside.peak_memory_bytes > 2**20
        assert seen.outside.gpu_seconds == 0


@pytest.mark.promise(
    "What a stage took is measured outside it too, and a cost that contradicts that is named"
)
@pytest.mark.parametrize("name", ["aside", pytest.param("forget", marks=pytest.mark.slow)])
def test_the_time_of_whatever_a_stage_starts_is_told_from_its_own(light, tmp_path, name):
    all_ended(light(name, "alone"))
    seen = measured.read(tmp_path / name).outside
    assert 0.9 <= seen.child_cpu_seconds <= seen.cpu_seconds
    own = measured.read(tmp_path / "alone").outside
    assert own.cpu_seconds >= 0.9
    assert own.child_cpu_seconds < 0.5


@pytest.mark.promise("A stage sees no variable that it does not need, and no secret")
def test_a_stage_sees_no_variable_that_it_does_not_need(light, tmp_path, monkeypatch):
    monkeypatch.setenv("SOME_VARIABLE", "of nobody's business")
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    monkeypatch.setenv("HARNESS_API_KEY", "harness_secret")
    monkeypatch.setenv("WANDB_API_KEY", "wandb_secret")
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    executor = light("show")
    warm = Path(f"/proc/{executor.node.warm.process.pid}/environ").read_bytes()
    all_ended(executor)
    shown = dict(line.split("=", 1) for line in (tmp_path / "show/shown").read_text().splitlines())
    for secret in ("hf_secret", "harness_secret", "wandb_secret", "of nobody's business"):
        assert secret not in shown.values()
        assert secret.encode() not in warm
    assert shown["LC_ALL"] == "C.UTF-8"
    assert shown["HOME"] == shown["TMPDIR"]
    assert not Path(shown["TMPDIR"]).exists()  # it ended with the stage

    executor.start(tmp_path / "show", 60, names=("WANDB_API_KEY", "NOT_SET"))
    all_ended(executor)
    assert "WANDB_API_KEY=wandb_secret" in (tmp_path / "show/shown").read_text()


def test_a_stage_that_crashes_leaves_no_core(light, tmp_path, monkeypatch):
    (ended,) = all_ended(light("core"))
    assert ended.error == "the process was ended by SIGABRT"
    assert not [path for path in (tmp_path / "core").iterdir() if path.name.startswith("core")]


@pytest.mark.promise(
    "A stage that takes more memory than there is, or too many processes, is ended"
)
def test_a_stage_with_too_much_memory_or_too_many_processes_is_ended(light, tmp_path, monkeypatch):
    """Both limits are lowered for a guard that is forked from a process with lower limits."""
    script = tmp_path / "limited.py"
    script.write_text(
        "import sys\nimport light\nfrom harness.bench.executors import limits, warm\n"
        "limits.machine_memory = lambda: 2**20\nwarm.PRELOADED = ()\nwarm.work = light.work\n"
        "warm.serve(int(sys.argv[1]))\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    executor = LocalExecutor(1, "cpu", 1, tmp_path / "warm.log", program="limited")
    (tmp_path / "hang").mkdir()
    executor.start(tmp_path / "hang", 120)
    (ended,) = all_ended(executor)
    executor.stop()
    assert ended.status == "oom"
    assert "the stage took more than" in ended.error


@pytest.mark.parametrize(("answer", "forked"), [("3", True), ("0", False), ("999", False)])
def test_stages_with_a_gpu_are_forked_where_no_import_has_initialised_cuda(
    answer, forked, machine, light, tmp_path, monkeypatch
):
    machine(2)
    monkeypatch.setenv("HARNESS_LIGHT_CUDA", answer)
    executor = light("show-first", "show-second", device="cuda")
    ended = all_ended(executor)
    (channel,) = executor.node.channels
    shown = Path(f"/proc/{channel.process.pid}/environ").read_bytes().split(b"\0")
    assert b"CUDA_VISIBLE_DEVICES=0,1" in shown
    assert b"PYTORCH_NVML_BASED_CUDA_CHECK=1" in shown
    log = (tmp_path / "warm.log").read_text()
    if not forked:
        assert "stages with a GPU are fresh interpreters: an import has initialised CUDA" in log
        assert all(one.error.startswith("cannot read stage.json") for one in ended)
        return
    assert not log
    for number, name in enumerate(("first", "second")):
        seen = (tmp_path / f"show-{name}/shown").read_text().splitlines()
        assert f"CUDA_VISIBLE_DEVICES={number}" in seen
        assert "PYTORCH_NVML_BASED_CUDA_CHECK=1" not in seen


def test_cuda_is_not_used_in_forks_where_nothing_says_that_it_can_be(monkeypatch):
    def driver():
        raise OSError("libcuda.so.1: cannot open shared object file")

    monkeypatch.setattr(warm, "driver", driver)
    assert not warm.cuda_untouched()


def test_a_light_stage_takes_no_gpu_and_no_slot_from_the_others(machine, tmp_path):
    machine(1)
    executor = LocalExecutor(1, "cuda", 1, tmp_path / "log")
    (light,) = executor._free(light=True)
    assert light not in executor._free(light=False)
    assert executor.gpus_of(light)["CUDA_VISIBLE_DEVICES"] == ""
    assert not executor.shared


def test_as_many_stages_as_the_gpus_hold(machine):
    machine(4)
    assert gpus.default_jobs("cuda", 1) == 4
    assert gpus.default_jobs("cuda", 1, gpus=2) == 2
    with pytest.raises(UsageError, match="asks for 8 GPUs for a stage and 4 are visible"):
        gpus.default_jobs("cuda", 1, gpus=8)


@pytest.mark.parametrize("visible", ["", "-1"])
def test_no_gpu_is_said(machine, visible):
    machine(2, visible)
    assert gpus.gpu_names() == ()
    assert gpus.choose_device("auto") == "cpu"
    with pytest.raises(UsageError, match="no GPU is visible"):
        gpus.choose_device("cuda")


class Held(LocalExecutor):
    """Ends what runs at once, but no judging while anything else runs."""

    def start(self, folder, seconds, *, light=False, names=()):
        self._slots[folder] = self._free(light=light)[0]
        self.order.append(f"start {folder.name}")
        if folder.name.startswith("train-"):
            ran = Environment(python="", platform="", processor="")
            TrainResult(cost=Cost(), notes={}, environment=ran).write(folder / "result.json")

    def stop(self):
        return []

    def warm_up(self):
        self.order = []

    def wait(self, seconds):
        judging = [folder for folder in self._slots if folder.name.startswith("judge-")]
        ended = []
        for folder in [one for one in self._slots if one not in judging] or judging:
            del self._slots[folder]
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


@pytest.mark.promise("Only the harness's own code says that a stage is done")
def test_who_ends_the_process_of_a_stage_has_no_result(light, tmp_path):
    (ended,) = all_ended(light("pose"))
    assert ended.status == "failed"
    assert ended.error == "the process ended with exit code 0 and no result"
    assert (tmp_path / "pose/result.json").exists()
    assert not (tmp_path / "pose/manifest.json").exists()
    (ended,) = all_ended(light("plain"))
    assert ended.status == "ok"
    assert not (tmp_path / "plain/over").exists()
