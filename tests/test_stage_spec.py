"""What passes between a bench and a stage: every key is declared, and nothing else is read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness.bench.executors.local import LocalExecutor
from harness.bench.folder import Folder
from harness.bench.plan import plan
from harness.bench.stage_inputs import StageInputs
from harness.boards.board import load_board
from harness.errors import HarnessError, StageError, TamperedError, UsageError
from harness.plugin.host import Host
from harness.plugin.scored_rows import choose, described, load
from harness.records import Cost, Environment
from harness.stage.main import _rows, main
from harness.stage.spec import (
    Failure,
    GenerateSpec,
    JudgeSpec,
    TrainResult,
    TrainSpec,
    digest,
    read,
    read_spec,
)
from harness.tasks.local import local_rows
from harness.tasks.task import Task

ENVIRONMENT = Environment(python="3", platform="Linux", processor="one core")


@pytest.fixture
def specs(small_board, tmp_path):
    """Return the specs of a chain's stages, by kind and label."""
    host = Host()
    made = plan(load_board(str(small_board), host), host, ["unruly+unruly-slow"], [0])
    folder = Folder(tmp_path / "runs")
    inputs = StageInputs(made, folder, LocalExecutor(1, "cpu", 1, tmp_path / "log"))
    inputs.write_rows(made.stages)
    found = {}
    for stage in made.stages.values():
        result = TrainResult(cost=Cost(steps=2), notes={}, environment=ENVIRONMENT)
        result.write(folder.stage(stage.id) / "result.json")
        spec = inputs.spec(stage, attempts=1)
        spec.write(folder.stage(stage.id) / "stage.json")
        assert read_spec(folder.stage(stage.id)) == spec
        found[stage.kind, stage.label] = spec
    return found


def test_a_stage_reads_what_the_bench_wrote(specs):
    kinds = {kind: type(spec) for (kind, _), spec in specs.items()}
    assert kinds == {"train": TrainSpec, "generate": GenerateSpec, "judge": JudgeSpec}
    first, second = specs["train", "unruly"], specs["train", "unruly+unruly-slow"]
    assert (first.caps.steps, second.caps.steps) == (3, 1)  # the rest of the chain's budget
    assert second.paths.base_model.parent.name.startswith("train-unruly-s0-")
    assert second.paths.teacher is None
    assert second.compute.stage_seconds == 60


def test_no_file_that_a_bench_writes_holds_a_test_problem(specs, tmp_path):
    board = load_board(str(tmp_path / "small.toml"), Host())
    problems = [row["problem"] for score in board.scores for row in board.test_rows(score.table)]
    written = [path for path in (tmp_path / "runs").rglob("*") if path.is_file()]
    texts = [path.read_text() for path in written]
    assert {path.parent.name for path in written} >= {"data"}
    assert any(row["problem"] in text for row in board.train_rows() for text in texts)
    assert not [one for one in problems if any(one in text for text in texts)]
    generate, judge = specs["generate", "start"], specs["judge", "start"]
    assert generate.rows == judge.rows
    assert [(one.task, one.plugin) for one in judge.rows] == [
        ("unruly_sums", "unruly"),
        ("unruly_other", "unruly"),
    ]


def test_what_is_closed_to_training_is_named_by_its_whole_path(
    tmp_path, small_models, with_plugins, monkeypatch
):
    """A stage may work in another folder than the bench."""
    from test_reach import BOARD

    with_plugins("vault", "thief")
    monkeypatch.chdir(tmp_path)
    Path("start").symlink_to(small_models / "start")
    Path("locked.toml").write_text(BOARD)
    Path("data").mkdir()
    row = '{"problem": "a", "answer": "1"}\n{"problem": "b", "answer": "2"}\n'
    Path("data/vault_published_test.jsonl").write_text(row)
    host = Host(data_dir=Path("data"), download=False)
    made = plan(load_board("locked.toml", host), host, ["thief"], [0])
    inputs = StageInputs(made, Folder(Path("runs")), LocalExecutor(1, "cpu", 1, Path("log")))
    inputs.write_rows(made.stages)
    (stage,) = [each for each in made.stages.values() if each.kind == "train"]
    closed = inputs.spec(stage, attempts=1).closed
    assert closed.modules == ("harness_vault",)
    assert {path.name for path in closed.paths} >= {"harness_vault", "vault_published_test.jsonl"}
    assert all(path.is_absolute() for path in (*closed.paths, *closed.open))


def test_rows_that_are_not_the_plans_are_not_scored(specs):
    (task, rows), _ = load(specs["judge", "start"].rows)
    assert (task.name, len(rows)) == ("unruly_sums", 10)
    one = specs["judge", "start"].rows[0]
    with pytest.raises(StageError, match="unruly_sums are not those that this bench was planned"):
        load([one.model_copy(update={"limit": 3})])
    with pytest.raises(StageError, match="cannot be loaded: no plug-in 'gone'"):
        load([one.model_copy(update={"plugin": "gone"})])
    with pytest.raises(StageError, match="offers no task 'unruly_none'"):
        load([one.model_copy(update={"task": "unruly_none"})])


def test_rows_of_files_are_loaded_from_them(tmp_path):
    path = tmp_path / "mine.jsonl"
    path.write_text('{"id": "1", "problem": "?", "answer": "4"}\n')
    given = described(Task("mine", local_rows(test=path)), None)
    ((_, rows),) = load([given])
    assert rows == [{"id": "1", "problem": "?", "answer": "4"}]
    path.write_text('{"id": "1", "problem": "?", "answer": "5"}\n')
    with pytest.raises(StageError, match="not those that this bench was planned with"):
        load([given])
    with pytest.raises(UsageError, match="no plug-in's and has no files"):
        described(Task("made", lambda split: rows), None)


def test_data_that_was_changed_is_not_trained_on_and_is_written_anew(specs, small_board, tmp_path):
    spec = specs["train", "unruly"]
    path = spec.paths.train
    before = path.read_text()
    path.write_text(before.replace('"answer": "1"', '"answer": "7"', 1))
    with pytest.raises(TamperedError, match=f"{path.name} was changed after it was written; the"):
        _rows(path, spec.sha256["train"])
    host = Host()
    made = plan(load_board(str(small_board), host), host, ["unruly"], [0])
    inputs = StageInputs(
        made, Folder(tmp_path / "runs"), LocalExecutor(1, "cpu", 1, tmp_path / "log")
    )
    inputs.write_rows(made.stages)
    assert path.read_text() == before
    assert len(_rows(path, spec.sha256["train"])) == 12


def test_what_only_says_how_to_run_is_no_part_of_a_stages_name(specs):
    spec = specs["train", "unruly"]
    other = spec.model_copy(update={"attempts": 7, "name": "another"})
    assert digest(other.identity) == digest(spec.identity)
    seed = spec.identity.model_copy(update={"seed": 1})
    assert digest(seed) != digest(spec.identity)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"schema_version": 0}, "has schema 0, this harness reads 1; remove"),
        ({"schema_version": None}, "has schema None"),
        ({"kind": "grade"}, "'train', 'generate', 'judge'"),
        ({"stage_secs": 5}, "stage_secs: Extra inputs are not permitted"),
        ({"attempts": "often"}, "attempts: Input should be a valid integer"),
    ],
)
def test_a_spec_that_is_not_ours_is_refused_in_one_line(specs, tmp_path, change, says):
    stage = tmp_path / "stage"
    stage.mkdir()
    content = specs["train", "unruly"].model_dump(mode="json") | change
    (stage / "stage.json").write_text(json.dumps(content))
    with pytest.raises(HarnessError) as caught:
        read_spec(stage)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)
    assert main(stage) == 1
    assert says in read(stage / "error.json", Failure).error


@pytest.mark.parametrize(
    ("text", "says"),
    [(None, "cannot read"), ("{", "is not JSON"), ("[]", "is not a JSON object")],
)
def test_a_result_that_is_broken_is_refused_in_one_line(tmp_path, text, says):
    path = tmp_path / "result.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(HarnessError, match=says) as caught:
        read(path, TrainResult)
    assert "\n" not in str(caught.value)


def test_drawn_rows_depend_on_the_text_and_keep_their_order():
    rows = [{"id": f"q{number}"} for number in range(50)]
    assert choose(rows, 3) == rows[:3]
    assert choose(rows, None, "a") == rows
    drawn = [[rows.index(row) for row in choose(rows, 5, str(number))] for number in range(80)]
    assert drawn[0] == [rows.index(row) for row in choose(rows, 5, "0")]
    assert all(places == sorted(set(places)) and len(places) == 5 for places in drawn)
    assert {place for places in drawn for place in places} == set(range(50))
    more = [rows.index(row) for row in choose(rows, 9, "0")]
    assert set(drawn[0]) < set(more)  # asking for more asks the same ones too
