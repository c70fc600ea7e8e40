"""Real clusters in one box: a Ray cluster of two nodes, a SLURM of two with its own daemons.

Heads, nodes, jobs and workers are killed in mid-stage; the same command ends at what one machine
comes to. `tox -e cluster` runs them.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import clusters
import processes
import psutil
import pytest
from disks import small_disk
from test_bench import read_until
from test_remote_executors import needs, results

pytestmark = [pytest.mark.cluster, pytest.mark.bench, pytest.mark.timeout(1800)]
NO_SLURM = clusters.why_no_slurm()
COMMAND = ("bench", "small.toml", "--plugins", "unruly-slow", "--runs")


def until(what: Callable[[], object], seconds: float = 300) -> None:
    """Wait for something, and fail where it does not come."""
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, what
        time.sleep(0.2)


def started(folder: Path, *arguments: str):
    return processes.start(
        [*processes.HARNESS, *COMMAND, *arguments],
        cwd=folder,
        stderr=open(folder / f"head-{time.monotonic_ns()}.log", "w"),
        stdout=-3,
    )


def heads(folder: Path) -> str:
    """Return what the heads said, in order."""
    return "".join(path.read_text() for path in sorted(folder.glob("head-*.log")))


def working(folder: Path, kind: str = "") -> dict[str, int]:
    """Return the stages, perhaps of one kind, whose log a process has open, each with one."""
    stages, found = f"{folder}/there/small/stages/", {}
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            for link in (entry / "fd").iterdir():
                with contextlib.suppress(OSError):
                    target = os.readlink(link)
                    if target.startswith(f"{stages}{kind}"):
                        found[target.removeprefix(stages).split("/")[0]] = int(entry.name)
    return found


def strike(folder: Path, bench: Any, kill: Callable[[], bool]) -> None:
    """Have something killed until a stage is tried again for it.

    What is struck may just have ended, so that nothing has to be done again; `kill` returns whether
    there was anything to strike.
    """

    def retried() -> int:
        return heads(folder).count("tried again")

    before = retried()
    while bench.poll() is None and retried() == before:
        if not kill():
            time.sleep(0.2)
            continue
        with contextlib.suppress(AssertionError):
            until(lambda: retried() > before or bench.poll() is not None, seconds=60)
    assert retried() > before, heads(folder)


@contextlib.contextmanager
def two_disks(folder: Path, full: str, other: str) -> Iterator[Path]:
    """Make two scratch folders, of which one is on a disk without room."""
    disks = folder / "disks"
    for name in (full, other):
        (disks / name).mkdir(parents=True)
    with small_disk(disks / full, 64):
        yield disks


def goes_on_elsewhere(harness, folder: Path, *there: str) -> None:
    """Run a bench of which one node has a full disk, and look at what it comes to."""
    command = ("bench", "small.toml", "--plugins", "pausing", "--runs")
    done = harness(*command, "there", *there)
    assert "No space left on device; tried again (1 of 3)" in done.stderr
    assert "tried again (2 of 3)" not in done.stderr  # not where it could not be run
    harness(*command, "here")
    assert results(folder / "there") == results(folder / "here")
    assert "Nothing to do" in harness(*command, "there", *there).stderr


# -- Ray ------------------------------------------------------------------------------------------


@contextlib.contextmanager
def ray_nodes(*variables: dict[str, str]) -> Iterator[Any]:
    """Start a cluster of nodes with a core and variables each, and one that runs no stage."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    utils = pytest.importorskip("ray.cluster_utils")
    head = {"num_cpus": 0, "include_dashboard": False}
    cluster = utils.Cluster(initialize_head=True, head_node_args=head)
    try:
        for own in variables:
            cluster.add_node(num_cpus=1, env_vars=own)
        cluster.wait_for_nodes()
        yield cluster
    finally:
        cluster.shutdown()


@pytest.fixture
def ray_cluster() -> Iterator[Any]:
    with ray_nodes({}, {}) as cluster:
        yield cluster


def above(pid: int, name: str) -> psutil.Process | None:
    """Return the process of a name above another one: a worker of Ray, or the node's raylet."""
    with contextlib.suppress(psutil.Error):
        for parent in psutil.Process(pid).parents():
            if name in " ".join(parent.cmdline()[:1]):
                return parent
    return None


@needs("ray")
@pytest.mark.promise("A node, job, worker or head that is killed costs a cluster nothing but time")
def test_nodes_workers_and_heads_of_ray_are_killed(
    patient_board, harness_apart, ray_cluster, tmp_path
):
    harness_apart(*COMMAND, "here")
    there = ("there", "--executor", "ray", "--ray-address", ray_cluster.address, "--jobs", "2")

    first = started(tmp_path, *there)
    until(lambda: working(tmp_path))
    first.kill()  # the head
    first.wait()
    until(lambda: not working(tmp_path))  # no stage outlives it

    def struck(name: str) -> psutil.Process | None:
        found = (above(pid, name) for pid in working(tmp_path).values())
        return next(filter(None, found), None)

    def kill_node() -> bool:
        if not (raylet := struck("raylet")):
            return False
        with contextlib.suppress(psutil.Error):
            for process in (raylet, *raylet.children(recursive=True)):  # as a power cut would
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()
        ray_cluster.add_node(num_cpus=1)
        return True

    def kill_worker() -> bool:
        if worker := struck("ray::"):
            worker.kill()
        return bool(worker)

    second = started(tmp_path, *there)
    strike(tmp_path, second, kill_node)
    strike(tmp_path, second, kill_worker)
    assert second.wait(900) == 0, heads(tmp_path)
    assert results(tmp_path / "there") == results(tmp_path / "here")
    assert "Nothing to do" in harness_apart(*COMMAND, *there).stderr


@needs("ray")
@pytest.mark.promise("A node whose own disk is full costs a cluster nothing but a second try")
def test_a_disk_that_is_full_on_one_node_of_ray(saving_board, harness_apart, tmp_path):
    with (
        two_disks(tmp_path, "small", "large") as disks,
        ray_nodes(
            {"OWN_DISK": str(disks / "small")}, {"OWN_DISK": str(disks / "large")}
        ) as cluster,
    ):
        there = ("--executor", "ray", "--ray-address", cluster.address, "--jobs", "2")
        goes_on_elsewhere(harness_apart, tmp_path, *there, "--scratch", "$OWN_DISK")
        assert [*disks.glob("*/*")] == []


# -- SLURM ----------------------------------------------------------------------------------------


@pytest.fixture
def slurm_cluster(monkeypatch) -> Iterator[clusters.Slurm]:
    folder = Path(tempfile.mkdtemp(prefix="slurm-"))  # sockets have short paths
    try:
        with clusters.slurm(folder / "c") as cluster:
            for name, value in cluster.environment.items():
                monkeypatch.setenv(name, value)
            yield cluster
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def sealed(runs: Path) -> dict[Path, tuple[int, int]]:
    """Return what tells whether a manifest of a stage was written again."""
    found = processes.written(runs / "small/stages").items()
    return {path: state for path, state in found if path.name == "manifest.json"}


def submitted(folder: Path) -> int:
    return len(list(folder.glob("there/small/executor/jobs/*_submission.sh")))


@needs("submitit")
@pytest.mark.skipif(bool(NO_SLURM), reason=NO_SLURM)
@pytest.mark.promise("A node, job, worker or head that is killed costs a cluster nothing but time")
def test_nodes_jobs_and_heads_of_slurm_are_killed(
    patient_board, harness_apart, slurm_cluster, tmp_path
):
    harness_apart(*COMMAND, "here")
    there = ("there", "--executor", "slurm", "--slurm", "partition=debug")

    first = started(tmp_path, *there)
    until(lambda: len(working(tmp_path, "train-")) == 2)
    first.kill()  # the head
    first.wait()
    assert working(tmp_path)  # its jobs go on
    before = submitted(tmp_path)

    second = started(tmp_path, *there)
    until(lambda: "started" in heads(tmp_path).split("start: started")[-1])
    assert submitted(tmp_path) == before  # it found them, and submitted none twice
    running = ("squeue", "-h", "-t", "R", "-o", "%i")

    def kill_node() -> bool:
        if not slurm_cluster.run(*running, "-w", "n2"):
            return False
        slurm_cluster.kill_node("n2")
        time.sleep(1)
        slurm_cluster.start_node("n2")
        return True

    def cancel_job() -> bool:
        jobs = slurm_cluster.run(*running).split()
        slurm_cluster.run("scancel", *jobs[:1])
        return bool(jobs)

    strike(tmp_path, second, kill_node)
    strike(tmp_path, second, cancel_job)
    assert second.wait(900) == 0, heads(tmp_path)
    assert results(tmp_path / "there") == results(tmp_path / "here")
    assert heads(tmp_path).count("tried again") >= 2
    assert "Nothing to do" in harness_apart(*COMMAND, *there).stderr


@needs("submitit")
@pytest.mark.skipif(bool(NO_SLURM), reason=NO_SLURM)
def test_jobs_are_cancelled_with_a_bench_that_another_machine_finishes(
    patient_board, harness_apart, slurm_cluster, tmp_path
):
    process = processes.start(
        [*processes.HARNESS, *COMMAND, "there", "--executor", "slurm"],
        cwd=tmp_path,
        stderr=-1,
        stdout=-3,
    )
    assert read_until(process, "train unruly-slow seed 0: started")
    until(lambda: working(tmp_path, "train-"))
    process.send_signal(signal.SIGTERM)
    _, rest = process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGTERM
    assert "the same command continues" in rest
    until(lambda: not slurm_cluster.run("squeue", "-h"))
    until(lambda: not working(tmp_path))
    harness_apart(*COMMAND, "there")  # begun there, finished here

    harness_apart(*COMMAND, "here", "--seeds", "0")
    before = sealed(tmp_path / "here")
    harness_apart(*COMMAND, "here", "--executor", "slurm")  # begun here, finished there
    assert before.items() < sealed(tmp_path / "here").items()  # nothing is done again
    assert results(tmp_path / "there") == results(tmp_path / "here")


@needs("submitit")
@pytest.mark.skipif(bool(NO_SLURM), reason=NO_SLURM)
@pytest.mark.promise("A node whose own disk is full costs a cluster nothing but a second try")
def test_a_disk_that_is_full_on_one_node_of_slurm(
    saving_board, harness_apart, slurm_cluster, tmp_path
):
    with two_disks(tmp_path, "n1", "n2") as disks:
        there = ("--executor", "slurm", "--scratch", f"{disks}/$SLURMD_NODENAME")
        goes_on_elsewhere(harness_apart, tmp_path, *there)
        assert [*disks.glob("*/*")] == []
