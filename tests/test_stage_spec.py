"""What passes between a bench and a stage: every key is declared, and nothing else is read."""

from __future__ import annotations

import json

import pytest

from harness.bench.executor import LocalExecutor
from harness.bench.folder import Folder
from harness.bench.plan import plan
from harness.bench.stage_inputs import StageInputs
from harness.boards.board import load_board
from harness.errors import HarnessError
from harness.plugin.host import Host
from harness.records import Cost, Environment
from harness.stage.main import main
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


def test_golds_are_in_the_judging_stages_alone(specs, tmp_path):
    generate = specs["generate", "start"]
    for path in generate.paths.problems:
        assert all(json.loads(line).keys() == {"id", "problem"} for line in path.open())
    questions = list((tmp_path / "runs" / "stages").glob("*/questions/*.jsonl"))
    assert {path.parents[1].name.split("-")[0] for path in questions} == {"judge"}
    assert all("answer" in json.loads(line) for path in questions for line in path.open())


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
