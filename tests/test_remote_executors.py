"""Stages that run elsewhere: an executor of a plug-in has them carried to processes which know
nothing of the bench, as nodes of a cluster do; submitit's local mode and Ray on one machine.
"""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest
from test_executors import Held

from harness.bench.executors import slurm
from harness.bench.executors.conclude import GRACE_SECONDS, Report, conclude, is_visible
from harness.bench.folder import Folder
from harness.bench.plan import plan
from harness.bench.scheduler import RETRIES, run
from harness.boards.board import load_board
from harness.plugin.executor import Ended, Facts
from harness.plugin.host import Host
from harness.records import Record, read_records
from harness.stage.manifest import is_done, write_manifest


def needs(package: str) -> pytest.MarkDecorator:
    found = importlib.util.find_spec(package) is not None
    return pytest.mark.skipif(not found, reason=f"{package} is not installed")


def records(runs: Path, kind: str = "small/records") -> dict[str, Record]:
    return {record.id: record for record in read_records(runs / kind)}


def of_trainer(runs: Path, name: str) -> Record:
    (found,) = (record for record in records(runs).values() if record.trainer == name)
    return found


def results(runs: Path, kind: str = "small/records") -> dict[str, object]:
    """Return what has to be the same wherever a bench ran: all but costs, dates and machines."""
    found = {}
    for name, record in records(runs, kind).items():
        scores = [score.model_dump(exclude={"own"}) for score in record.scores]
        digest = record.checkpoint.digest if record.checkpoint else None
        stages = [(one.stage, one.status, one.options) for one in record.stages]
        found[name] = (record.id, record.status, record.error, digest, scores, stages)
    return found


@pytest.mark.slow
@pytest.mark.bench
@pytest.mark.promise(
    "A stage whose node is lost is tried again, a bounded number of times; one that fails is not"
)
def test_a_bench_elsewhere_comes_to_the_same_whatever_is_lost(
    patient_board, with_plugins, harness, tmp_path, monkeypatch
):
    command = ("bench", "small.toml", "--plugins", "unruly,unruly-fail", "--seeds", "0")
    harness(*command, "--runs", "here", check=1)
    with_plugins("elsewhere")
    (tmp_path / "lost").write_text("1")
    monkeypatch.setenv("ELSEWHERE_LOST", str(tmp_path / "lost"))
    there = harness(*command, "--runs", "there", "--executor", "elsewhere", check=1)
    assert there.stderr.count("tried again (1 of 3)") == 1
    assert results(tmp_path / "there") == results(tmp_path / "here")
    (trained,) = of_trainer(tmp_path / "there", "unruly").stages
    (failed,) = of_trainer(tmp_path / "there", "unruly-fail").stages
    assert sorted((trained.attempts, failed.attempts)) == [1, 2]  # whichever was lost
    (at_home,) = of_trainer(tmp_path / "here", "unruly").stages
    assert trained.environment.confinement == at_home.environment.confinement
    assert trained.outside.cpu_seconds > 0

    # what was done there is not done again here
    again = harness("bench", "small.toml", "--plugins", "unruly", "--seeds", "0", "--runs", "there")
    assert "Nothing to do" in again.stderr


@pytest.mark.bench
def test_a_node_with_other_versions_is_refused_by_name(
    small_board, with_plugins, harness, tmp_path, monkeypatch
):
    with_plugins("elsewhere")
    monkeypatch.setenv("ELSEWHERE_OTHER", "torch")
    command = ("bench", "small.toml", "--seeds", "0", "--executor", "elsewhere")
    refused = harness(*command, check=2).stderr.splitlines()[-1]
    assert refused.startswith("harness: node ")
    assert "instead of 0.0.1 (it was planned for" in refused


def test_an_executor_that_nobody_offers_is_one_line(small_board, harness):
    refused = harness("bench", "small.toml", "--executor", "slrum", check=2)
    assert "--executor slrum: no such executor; did you mean 'slurm'?" in refused.stderr
    planned = harness("bench", "small.toml", "--executor", "slrum", "--dry-run", check=2)
    assert planned.stderr == refused.stderr
    for option, owner in (("--ray-address", "ray"), ("--slurm", "slurm")):
        other = harness("bench", "small.toml", option, "a=b", check=2)
        assert f"{option} goes with --executor {owner}" in other.stderr
    wrong = harness("bench", "small.toml", "--executor", "slurm", "--slurm", "gpu", check=2)
    assert "'gpu' is not of the form key=value" in wrong.stderr


class Losing(Held):
    """Loses every training stage, each time that it runs."""

    def wait(self, seconds):
        return [
            Ended(one.folder, "killed", "the node was lost", retry=True)
            if one.folder.name.startswith("train-")
            else one
            for one in super().wait(seconds)
        ]


def test_a_stage_that_is_lost_again_and_again_fails(small_board, tmp_path):
    host = Host()
    made = plan(load_board(str(small_board), host), host, (), [0])
    losing, seen = Losing(1, "cpu", 1, tmp_path / "log"), []
    outcome = run(
        made, host, Folder(tmp_path / "runs"), losing, lambda event, facts: seen.append(event)
    )
    assert seen.count("retried") == RETRIES
    (record,) = (one for one in outcome.records if one.trainer == "unruly")
    assert (record.status, record.error) == ("killed", "the node was lost")
    assert record.stages[0].attempts == RETRIES + 1


class Forging(Losing):
    """Loses training stages that left a manifest, which their guard never saw."""

    def wait(self, seconds):
        ended = super().wait(seconds)
        for one in ended:
            if one.retry:
                (one.folder / "result.json").write_text("{}")
                write_manifest(one.folder)
                assert is_done(one.folder)
        return ended


@pytest.mark.promise("Only the harness's own code says that a stage is done")
def test_a_manifest_of_a_stage_that_was_lost_is_not_believed(small_board, tmp_path):
    host = Host()
    made = plan(load_board(str(small_board), host), host, (), [0])
    forging, seen = Forging(1, "cpu", 1, tmp_path / "log"), []
    outcome = run(
        made, host, Folder(tmp_path / "runs"), forging, lambda event, facts: seen.append(event)
    )
    assert seen.count("retried") == RETRIES  # and none was taken as done instead
    assert "reused" not in seen
    (record,) = (one for one in outcome.records if one.trainer == "unruly")
    assert record.status == "killed"
    assert not (tmp_path / "runs" / "stages" / record.stages[0].stage / "manifest.json").exists()


def test_what_a_slow_disk_does_not_show_yet_is_no_failure(tmp_path):
    report = Report(folder=tmp_path, code=0)
    assert is_visible(report)  # a process that ended before its work was over left nothing
    assert not is_visible(report.model_copy(update={"over": True}))
    assert is_visible(Report(folder=tmp_path, code=-9))
    (tmp_path / "error.json").write_text(
        json.dumps({"schema_version": 1, "status": "oom", "error": "no room"})
    )
    failed = Report(folder=tmp_path, code=1)
    assert is_visible(failed)
    assert conclude(failed) == Ended(tmp_path, "oom", "no room")
    assert GRACE_SECONDS == 60


def test_machines_that_differ_in_what_can_change_a_result_differ():
    def machine(device: str = "cpu", harness: str = "a", **packages: str) -> Facts:
        on_gpus = {name: packages.pop(name) for name in ("vllm", "flash_attn") if name in packages}
        return Facts(
            host="n1", device=device, packages=packages, on_gpus=on_gpus, harness=harness,
            processor="",
        )  # fmt: skip

    assert machine(torch="2.10").differences(machine(torch="2.9")) == ["torch 2.9 instead of 2.10"]
    assert machine().differences(machine(harness="b")) == ["another version of the harness"]
    assert machine(vllm="0.3").differences(machine()) == []
    assert machine("cuda", vllm="0.3").differences(machine("cuda")) == [
        "vllm missing instead of 0.3"
    ]


@pytest.mark.parametrize(
    ("text", "minutes"),
    [("90", 90), ("30:00", 30), ("4:00:00", 240), ("1-0", 1440), ("2-12:30:00", 3630), (None, 75)],
)
def test_the_time_of_a_job_is_read_as_sbatch_reads_it(text, minutes):
    assert slurm._minutes(text, 3600) == minutes


@pytest.mark.slow
@needs("submitit")
def test_submitit_runs_jobs_as_processes_of_this_machine(patient_board, harness, tmp_path):
    command = ("bench", "small.toml", "--plugins", "unruly", "--seeds", "0")
    harness(*command, "--runs", "here")
    there = ("--executor", "slurm", "--slurm", "cluster=local", "--jobs", "2")
    harness(*command, "--runs", "there", *there)
    assert results(tmp_path / "there") == results(tmp_path / "here")
    assert list(tmp_path.glob("there/small/executor/jobs/*_result.pkl"))


@pytest.mark.bench
@needs("ray")
def test_ray_runs_trials_and_what_they_chose_on_this_machine(patient_board, harness, tmp_path):
    """The executor is stopped after the trials, and used again."""
    text = patient_board.read_text().replace("steps = 3", "steps = 4\nfill = true")
    patient_board.write_text(text + "\n[tuning]\ntrials = 2\nshare = 0.5\nholdout = 4\n")
    command = ("bench", "small.toml", "--plugins", "unruly-picky", "--seeds", "0", "--runs")
    harness(*command, "here")
    done = harness(*command, "there", "--executor", "ray", "--jobs", "2")
    assert "unruly-picky: trial 0 of 0 to 1 is the best" in done.stderr
    for kind in ("small/records", "small/trials/records"):
        assert results(tmp_path / "there", kind) == results(tmp_path / "here", kind)
        assert len(results(tmp_path / "there", kind)) == 2
