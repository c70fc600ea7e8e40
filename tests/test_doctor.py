"""The doctor: it finds what usually breaks, says what to do, and breaks on nothing itself."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from harness.cli.inspect.doctor import render
from harness.doctor import machine, software
from harness.doctor.finding import Finding, start


def distribution(folder: Path, name: str, version: str, *lines: str) -> None:
    """Make a distribution that is found and not installed."""
    place = folder / f"{name.replace('-', '_')}-{version}.dist-info"
    place.mkdir(parents=True)
    text = [f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}", *lines]
    (place / "METADATA").write_text("\n".join(text) + "\n")


@pytest.mark.bench
def test_the_whole_examination(harness, with_plugins, monkeypatch):
    """Everything at once, on this machine, with a plug-in that cannot be imported."""
    with_plugins("broken")
    monkeypatch.setenv("HF_TOKEN", "hf_thisTokenMustNeverBeSeen")
    done = harness("doctor", "--json", check=1)
    findings = [Finding(**finding) for finding in json.loads(done.stdout)]
    checks = {finding.check for finding in findings}
    assert checks >= {
        "python", "packages", "torch", "gpu", "optional", "antlr", "verifier", "stages",
        "plug-ins", "runs", "memory", "cores", "hub",
    }  # fmt: skip
    levels = {finding.check: finding.level for finding in findings}
    assert levels["python"] == levels["packages"] == levels["verifier"] == "ok"
    assert levels["stages"] == levels["torch"] == "ok"
    (broken,) = [f for f in findings if f.check == "plug-ins" and f.level == "problem"]
    assert "harness-broken cannot be imported" in broken.found
    assert all(finding.todo for finding in findings if finding.level != "ok")
    assert "hf_this" not in done.stdout + done.stderr
    assert "a token is there" in done.stdout
    text = render(findings)
    assert len(text.splitlines()) == len(findings) + 1
    problems = sum(finding.level == "problem" for finding in findings)
    assert text.splitlines()[-1].startswith(f"{problems} problems, ")


def test_a_package_outside_its_bounds_is_a_problem_with_the_cure(tmp_path, monkeypatch):
    distribution(
        tmp_path, "srlm-harness", "9", "Requires-Python: >=3.11",
        "Requires-Dist: pluggy>=99", "Requires-Dist: not-there>=1", "Requires-Dist: click>=1",
        "Requires-Dist: unwanted; extra == 'report'",
    )  # fmt: skip
    monkeypatch.syspath_prepend(str(tmp_path))
    first, second = software.packages()
    assert (first.level, first.todo) == ("problem", "pip install 'pluggy>=99'")
    assert second.found == "not-there is not installed"


def test_an_old_python_is_a_problem(tmp_path, monkeypatch):
    distribution(tmp_path, "srlm-harness", "9", "Requires-Python: >=4")
    monkeypatch.syspath_prepend(str(tmp_path))
    finding = next(software.platform())
    assert (finding.level, finding.todo) == ("problem", "use Python >=4")


@pytest.mark.parametrize(
    ("code", "gpus", "level", "says"),
    [
        ("raise ImportError('libcudart is missing')", [], "problem", "libcudart is missing"),
        ("import sys; sys.exit(3)", [], "problem", "no message"),
        (None, ["NVIDIA H200, 141 GiB, 580"], "problem", "sees none of 1 GPUs"),
        ({"gpus": 1, "bf16": False, "cuda": "12"}, ["T4"], "warning", "7.5 has no bfloat16"),
        ({"gpus": 1, "bf16": True, "cuda": "13"}, ["H200"], "ok", "sees 1 GPU"),
    ],
)
def test_torch_and_its_gpus(code, gpus, level, says):
    facts = {"version": "2", "cuda": None, "hip": None, "gpus": 0, "bf16": False}
    if not isinstance(code, str):
        facts |= {"capability": [7, 5], **(code or {})}
        code = f"print({json.dumps(json.dumps(facts))})"
    (finding,) = software.torch(start([sys.executable, "-c", code]), gpus)
    assert finding.level == level
    assert says in finding.found


def test_what_a_stage_cannot_import_is_named():
    code = "import sys; print('harness: cannot import trl: no vllm', file=sys.stderr)"
    (finding,) = software.warm(start([sys.executable, "-c", code]))
    assert (finding.level, finding.found) == ("problem", "cannot import trl: no vllm")
    (finding,) = software.warm(start([sys.executable, "-c", "raise OSError('no fork')"]))
    assert (finding.level, "no fork" in finding.found) == ("problem", True)


@pytest.mark.parametrize(("version", "level"), [("4.9.3", "warning"), ("4.11.1", "ok")])
def test_an_antlr_that_breaks_lm_evals_own_tasks(tmp_path, monkeypatch, version, level):
    distribution(tmp_path, "antlr4-python3-runtime", version)
    monkeypatch.syspath_prepend(str(tmp_path))
    (finding,) = software.antlr()
    assert finding.level == level
    assert version in finding.found


def test_a_compiler_is_only_for_boards_that_want_it(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    (finding,) = software.compiler([])
    assert (finding.level, "compile = true" in finding.found) == ("warning", True)
    monkeypatch.delenv("CC", raising=False)
    first, _ = software.compiler(["NVIDIA H200, 143771 MiB, 580.1"])
    assert (first.level, "no C compiler" in first.found) == ("problem", True)
    compiler = tmp_path / "g++"
    compiler.write_text("#!/bin/sh\n")
    compiler.chmod(0o755)
    (finding,) = software.compiler([])
    assert (finding.level, finding.todo) == ("ok", "")
    monkeypatch.setenv("CC", "cc")
    monkeypatch.setattr("sysconfig.get_path", lambda _: str(tmp_path))
    first, _ = software.compiler(["NVIDIA H200, 143771 MiB, 580.1"])
    assert (first.level, "Python.h" in first.found) == ("problem", True)


def test_a_gpu_without_nvml(tmp_path, monkeypatch):
    fake = tmp_path / "nvidia-smi"
    fake.write_text("#!/bin/sh\necho 'NVIDIA H200, 143771 MiB, 580.1'\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    gpus = machine.gpus()
    assert gpus == ["NVIDIA H200, 143771 MiB, 580.1"]
    first, second = machine.drivers(gpus)
    assert (first.level, first.found) == ("ok", gpus[0])
    assert (second.check, bool(second.found)) == ("nvml", True)


def test_a_runs_folder_that_cannot_be_written(tmp_path):
    file = tmp_path / "file"
    file.touch()
    (finding,) = machine.folder(file / "runs")
    assert finding.level == "problem"
    assert "--runs" in finding.todo
    (finding,) = machine.folder(tmp_path / "not" / "yet")
    assert str(tmp_path) in finding.found
    assert not list(tmp_path.glob(".doctor*"))


def test_more_threads_than_cores(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "9999")
    (finding,) = machine.cores()
    assert finding.level == "warning"


def test_variables_that_keep_the_hub_away(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    (finding,) = machine.hub()
    assert finding.level == "warning"
    assert "HF_HUB_OFFLINE" in finding.found
    for name in ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE", "TRANSFORMERS_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    (finding,) = machine.hub()
    assert finding.level == "ok"


def test_hidden_characters_of_a_finding_are_written_out():
    assert "\x1b" not in render([Finding("x", "problem", "\x1b[31mred", "mend")])
