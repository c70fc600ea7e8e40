"""Real clusters in one box: a Ray cluster of two nodes, a SLURM of two with its own daemons.

Heads, nodes, jobs and workers are killed in mid-stage; the same command ends at what one machine
comes to. `tox -e cluster` runs them.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import clusters
import processes
import psutil
import pytest
from test_bench import read_until
from test_remote_executors import needs, records, results

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


def working(folder: Path, kind: str = "") -> set[str]:
    """Return the stages, perhaps of one kind, whose log a process has open, wherever it runs."""
    stages, found = f"{folder}/there/small/stages/", set()
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            for link in (entry / "fd").iterdir():
                with contextlib.suppress(OSError):
                    target = os.readlink(link)
                    if target.startswith(f"{stages}{kind}"):
                        found.add(target.removeprefix(stages).split("/")[0])
    return found


# -- Ray ------------------------------------------------------------------------------------------


@pytest.fixture
def ray_cluster() -> Iterator[object]:
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    utils = pytest.importorskip("ray.cluster_utils")
    cluster = utils.Cluster(
        initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False}
    )
    try:
        cluster.second = cluster.add_node(num_cpus=1)
        cluster.wait_for_nodes()
        yield cluster
    finally:
        cluster.shutdown()


@needs("ray")
@pytest.mark.promise("A node, job, worker or head that is killed costs a cluster nothing but time")
def test_nodes_workers_and_heads_of_ray_are_killed(
    patient_board, harness_apart, ray_cluster, tmp_path
):
    harness_apart(*COMMAND, "here")
    there = ("there", "--executor", "ray", "--ray-address", ray_cluster.address)

    first = started(tmp_path, *there)
    until(lambda: len(working(tmp_path, "train-")) == 2)
    first.kill()  # the head
    first.wait()
    until(lambda: not working(tmp_path))  # no stage outlives it

    second = started(tmp_path, *there)
    until(lambda: len(working(tmp_path, "train-")) == 2)
    ray_cluster.remove_node(ray_cluster.second, allow_graceful=False)  # a node
    until(lambda: "tried again (1 of 3)" in heads(tmp_path))
    ray_cluster.second = ray_cluster.add_node(num_cpus=1)
    until(lambda: working(tmp_path) or second.poll() is not None)
    for worker in psutil.process_iter(["cmdline"]):  # the worker of a stage, if one still trains
        if "ray::run_stage" in " ".join(worker.info["cmdline"] or ()):
            worker.kill()
            break
    assert second.wait(900) == 0, heads(tmp_path)
    assert results(tmp_path / "there") == results(tmp_path / "here")
    assert max(one.attempts for r in records(tmp_path / "there").values() for one in r.stages) > 1
    assert "Nothing to do" in harness_apart(*COMMAND, *there).stderr


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
    slurm_cluster.kill_node("n2")
    until(lambda: "tried again" in heads(tmp_path))
    slurm_cluster.start_node("n2")
    lost = re.findall(r"train unruly-slow seed (\d): .*tried again", heads(tmp_path))
    running = ("squeue", "-h", "-t", "R", "-o", "%i %j")
    again = rf"(\d+) train-unruly-slow-s{lost[0]}-" if lost else r"(\d+) generate-start"
    until(lambda: re.search(again, slurm_cluster.run(*running)))
    slurm_cluster.run("scancel", re.search(again, slurm_cluster.run(*running))[1])
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
    harness_apart(*COMMAND, "here")
    assert results(tmp_path / "there") == results(tmp_path / "here")
