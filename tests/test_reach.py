"""What a training process can reach: no test problem and no gold answer of its board."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import landlockpy
import pytest
from processes import PLUGINS

from harness.bench.recorder import _notes
from harness.bench.stage_inputs import _sources
from harness.records import Cost, Environment, Record, read_records
from harness.stage import remarks
from harness.stage.spec import TrainResult, TrainSpec
from harness.tasks.guard import Closed

BOARD = """
schema = 1
name = "locked"
title = "A board whose golds nobody can guess"
start_model = "start"
plugins = ["vault"]
trainers = ["thief"]
seeds = [0, 1]

[data]
train = ["vault_made"]

[budget]
steps = 50

[compute]
stage_seconds = 120

[[scores]]
task = "vault_made"
max_new_tokens = 4
ranking = true

[[scores]]
task = "vault_made"
protocol = "lm_eval:gsm8k_cot_zeroshot"
max_new_tokens = 4

[[scores]]
task = "vault_written"
max_new_tokens = 4

[[scores]]
task = "vault_published"
max_new_tokens = 4
"""
OPEN = f"GOLD-{'a' * 24}"  # of a training problem, in a file and in memory: it must be found


@pytest.fixture
def locked(tmp_path, small_models, with_plugins) -> Path:
    with_plugins("vault", "thief")
    (tmp_path / "start").symlink_to(small_models / "start")
    (tmp_path / "locked.toml").write_text(BOARD)
    data = tmp_path / "data"
    data.mkdir()
    rows = [
        {"problem": f"What opens ASKED-{number:024x}?", "answer": f"GOLD-{number:024x}"}
        for number in (77, 78)
    ]
    (data / "vault_published_test.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    return tmp_path


@pytest.mark.promise(
    "No file, module or memory that training can read holds a gold answer of a test problem"
)
@pytest.mark.bench
def test_a_thief_finds_no_gold_answer(locked, harness):
    """Neither before any answer was generated nor in all that a finished bench leaves."""
    for seed in ("0", "1"):
        harness("bench", "locked.toml", "--seeds", seed, "--data-dir", "data")
    found = [r for r in read_records(locked / "runs/locked/records") if r.trainer == "thief"]
    assert [(record.seed, record.status) for record in found] == [(0, "ok"), (1, "ok")]
    for record in found:
        notes = record.stages[0].notes
        assert notes["at_start"] == [OPEN]
        assert notes["found"] == [OPEN]
        assert notes["modules"] == []
        assert notes["count"]["files"] >= 1  # at least what the stage is given
        assert notes["count"]["refused"] >= 1
        refused = " ".join(notes["refused"])
        assert "harness_vault, which makes test problems" in refused
        assert "harness_vault/written.jsonl, where test problems are" in refused
        assert [score.n for score in record.scores] == [4, 4, 3, 2]


def reach(closed: Closed, code: str, *arguments: str) -> str:
    """Return what a process prints that is closed off from something and runs some code."""
    begin = "import json, sys; from harness.tasks import guard\n"
    begin += "guard.close(guard.Closed.model_validate_json(sys.argv[1]))\n"
    command = [sys.executable, "-c", begin + code, closed.model_dump_json(), *arguments]
    environment = {"PYTHONPATH": str(PLUGINS / "vault"), "PATH": ""}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    return done.stdout.strip() or done.stderr.strip().splitlines()[-1]


@pytest.mark.promise(
    "No file, module or memory that training can read holds a gold answer of a test problem"
)
@pytest.mark.parametrize(
    "code",
    [
        "print(open(sys.argv[2]).read())",
        "import os; os.chdir(os.path.dirname(sys.argv[2])); print(open('written.jsonl').read())",
        "import os; os.link(sys.argv[2], 'copy'); print(open('copy').read())",
        "import os; os.symlink(sys.argv[2], 'copy'); print(open('copy').read())",
        "import shutil; shutil.copy(sys.argv[2], 'copy'); print(open('copy').read())",
        "import harness_vault; print(harness_vault.rows('test'))",
        "from importlib import import_module; print(import_module('harness_vault').rows('test'))",
        "import runpy; print(runpy.run_path(sys.argv[2].replace('written.jsonl', '__init__.py')))",
        "print(open('/proc/self/root' + sys.argv[2]).read())",
        "print(open(sys.argv[2].encode(), 'rb').read())",
    ],
)
def test_what_is_closed_is_refused(tmp_path, monkeypatch, code):
    monkeypatch.chdir(tmp_path)
    vault = PLUGINS / "vault" / "harness_vault"
    closed = Closed(modules=("harness_vault",), paths=(vault,))
    said = reach(closed, code, str(vault / "written.jsonl"))
    assert "GOLD" not in said
    assert "PermissionError: [Errno 13] no training process may have harness_vault" in said


@pytest.mark.promise(
    "No file, module or memory that training can read holds a gold answer of a test problem"
)
def test_every_compiled_form_of_a_module_is_closed(tmp_path, monkeypatch):
    (tmp_path / "exam.py").write_text("x = 'GOLD'")
    names = {"exam.cpython-39.pyc", "exam.cpython-311.opt-1.pyc", "exam.cpython-311.opt-2.pyc"}
    (tmp_path / "__pycache__").mkdir()
    for name in (*names, "examples.cpython-311.pyc", "other.cpython-311.pyc"):
        (tmp_path / "__pycache__" / name).touch()
    monkeypatch.setitem(sys.modules, "exam", SimpleNamespace(__file__=str(tmp_path / "exam.py")))
    found = {path.name for path in _sources("exam")}
    own = Path(importlib.util.cache_from_source("exam.py")).name
    assert found == {"exam.py", "exam.pyc", own, *names}


def test_what_the_host_remarks_is_neither_pushed_out_nor_written_by_a_trainer():
    refused = [f"a\ud800/{'x' * 400}", *map(str, range(60))]
    spec = TrainSpec.model_construct(
        closed=Closed(within_reach=("sums",)),
        compute=SimpleNamespace(shared_gpu=True, compile=True),
    )
    found = remarks.of(spec, Cost(), refused, (), ())
    assert set(found) == {"refused", "test_problems_within_reach", "compiler"}
    notes = {"long": "y" * 70_000, "refused": [], "out_of_memory_at": [1], "loss": 1.0}
    where = Environment(python="3", platform="Linux", processor="one core")
    kept = _notes(TrainResult(cost=Cost(), notes=notes, remarks=found, environment=where))
    assert set(kept) == {"loss", "left_out", *found}
    assert kept["refused"][0].startswith("a\ufffd/x")
    assert max(map(len, kept["refused"])) <= 300
    assert kept["refused"][-1] == "and 11 more"


def test_a_model_that_lies_among_what_is_closed_can_be_read(tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text("a model")
    (tmp_path / "rows.jsonl").write_text("rows")
    (tmp_path / "model-like.txt").write_text("no model")
    closed = Closed(paths=(tmp_path,), open=(tmp_path / "model",))
    read = "print(open(sys.argv[2]).read())"
    assert reach(closed, read, str(tmp_path / "model" / "config.json")) == "a model"
    assert "PermissionError" in reach(closed, read, str(tmp_path / "rows.jsonl"))
    assert "PermissionError" in reach(closed, read, str(tmp_path / "model-like.txt"))


def test_a_process_that_has_what_is_closed_does_not_begin():
    said = reach(Closed(modules=("json",)), "print('trained')")
    assert "which makes test problems, was imported before training" in said


@pytest.mark.promise(
    "Where a trainer's own plug-in makes the test problems, bench and record say so"
)
@pytest.mark.bench
def test_a_plug_in_that_makes_the_problems_it_trains_for_is_told(small_board, harness, tmp_path):
    done = harness("bench", "small.toml", "--seeds", "0")
    said = " ".join(done.stderr.split())
    assert "unruly: nothing keeps it from the test problems of unruly_sums, unruly_other" in said
    record = of_trainer("unruly", tmp_path / "runs/small/records")
    notes = record.stages[0].notes
    assert notes["test_problems_within_reach"] == ["unruly_sums", "unruly_other"]


@pytest.mark.promise("Data that was changed is never trained on, and is written anew")
@pytest.mark.bench
def test_data_that_a_trainer_changed_ends_the_stages_that_read_it(small_board, harness, tmp_path):
    """The next bench writes it anew and trains on what the board says.

    Where the kernel keeps stages from what is not their own, nothing is changed in the first place.
    """
    harness("bench", "small.toml", "--seeds", "0")
    (data,) = (tmp_path / "runs/small/data").glob("train-*.jsonl")
    before = data.read_bytes()
    small_board.write_text(small_board.read_text().replace('["unruly"]\nseeds', SPOILED))
    done = harness("bench", "small.toml", "--seeds", "0", "--jobs", "1", check=None)
    if landlockpy.abi_version():
        assert (done.returncode, data.read_bytes()) == (0, before)
        return
    assert done.returncode == 1
    assert f"{data.name} was changed after it was written; the next bench writes it" in done.stderr
    assert data.read_bytes() != before
    record = of_trainer("unruly-slow", tmp_path / "runs/small/records")
    assert record.status == "failed"
    again = harness("bench", "small.toml", "--seeds", "0", "--plugins", "unruly-slow")
    assert data.read_bytes() == before
    assert "unruly-slow seed 0: unruly_sums" in again.stderr


SPOILED = '["unruly-spoil", "unruly-slow"]\nseeds'


def of_trainer(name: str, folder: Path) -> Record:
    (record,) = [record for record in read_records(folder) if record.trainer == name]
    return record
