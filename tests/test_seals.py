"""What a stage leaves is checked when it is used, and no trainer is scored as what it is not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip("torch")

import models

from harness.bench.executors.local import LocalExecutor
from harness.bench.folder import Folder
from harness.bench.plan import plan
from harness.bench.scheduler import run
from harness.boards.board import load_board
from harness.errors import TamperedError
from harness.files import write_atomically
from harness.leaderboard.data import Leaderboard
from harness.plugin.host import Host
from harness.records import Cost, read_records
from harness.stage.manifest import check_sealed, is_done, seal, write_manifest


@pytest.fixture
def stage(tmp_path: Path) -> Path:
    """Return the folder of a finished stage."""
    write_atomically(tmp_path / "checkpoint" / "config.json", "{}")
    write_atomically(tmp_path / "checkpoint" / "model.safetensors", "weights")
    write_atomically(tmp_path / "result.json", "{}")
    write_manifest(tmp_path)
    return tmp_path


def test_what_was_sealed_is_known_by_its_digests(stage):
    found = check_sealed(stage, "checkpoint", seal(stage))
    assert found.keys() == {"config.json", "model.safetensors"}
    assert check_sealed(stage, "checkpoint", known=found) == found
    assert check_sealed(stage, "result.json").keys() == {"result.json"}
    assert is_done(stage)


def change(stage):
    (stage / "checkpoint" / "model.safetensors").write_text("Weights")


def remove(stage):
    (stage / "checkpoint" / "config.json").unlink()


def add(stage):
    (stage / "checkpoint" / "adapter_config.json").write_text("{}")


def seal_again(stage):
    change(stage)
    write_manifest(stage)


def lose(stage):
    (stage / "manifest.json").unlink()


@pytest.mark.promise("What a stage left is checked when it is used, and named if it was changed")
@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (change, r"checkpoint/model\.safetensors of stage \S+ was changed after"),
        (remove, r"checkpoint/config\.json of stage \S+ is gone"),
        (add, r"checkpoint/adapter_config\.json of stage \S+ was added"),
        (seal_again, r"manifest\.json of stage \S+ was written anew"),
        (lose, r"has no whole manifest\.json"),
    ],
)
def test_what_was_changed_since_is_named_with_what_to_do(stage, spoil, says):
    sealed = seal(stage)
    spoil(stage)
    with pytest.raises(TamperedError, match=f"{says}.*; run the same command again to make it"):
        check_sealed(stage, "checkpoint", sealed)


def test_a_large_file_is_hashed_again_where_it_was_written_since(stage, monkeypatch):
    monkeypatch.setattr("harness.stage.manifest.HASHED_BELOW", 0)
    assert is_done(stage)
    change(stage)
    assert not is_done(stage)


SOUND = (
    "honest", "prompt", "teacher", "disguised", "idle", "uncounted", "switched", "hidden",
)  # fmt: skip
REFUSED = {
    "lossy": "tensor model.layers.1.mlp.up_proj.weight is missing",
    "patched": "chat_template.jinja of the checkpoint is not the start model's",
    "free": "cannot be: 24 trained tokens of",
    "posed": "the process ended with exit code 0 and no result",
    "posed-late": "later",
    "asked": "its process changed stage.json",
    "deaf": "stopped: the trainer went on after its budget of 3 steps",
}


@pytest.mark.promise(
    "A trainer that leaves something else than trained weights gets no row that it did not earn"
)
@pytest.mark.bench
def test_no_trainer_gets_a_row_that_it_did_not_earn(small_board, with_plugins, harness, tmp_path):
    """One bench of trainers that forge, each in one way."""
    with_plugins("forging")
    models.save_model(tmp_path / "twin", seed=2)  # a teacher of the student's shape
    text = small_board.read_text().replace('"teacher"', '"twin"', 1)
    text = text.replace('["unruly"]\ntrainers', '["unruly", "forging"]\ntrainers')
    small_board.write_text(text.replace("seeds = [0, 1]", "seeds = [0]"))  # else no row has a rank
    trainers = [f"forging-{name}" for name in (*SOUND, *REFUSED)]
    done = harness(
        "bench", "small.toml", "--plugins", ",".join(trainers), "--seeds", "0", "--json", check=1
    )
    folder = tmp_path / "runs" / "small"
    for name in ("posed", "posed-late"):  # the next bench finds nothing that is done
        (stage,) = (folder / "stages").glob(f"train-forging-{name}-s0-*")
        assert (stage / "result.json").exists()
        assert not is_done(stage)
    found = {record.trainer: record for record in read_records(folder / "records")}
    for name, why in REFUSED.items():
        assert (found[f"forging-{name}"].status, why in found[f"forging-{name}"].error) == (
            "failed",
            True,
        ), found[f"forging-{name}"].error
    assert found["forging-asked"].stages[0].outside is not None  # for all that lay in its place
    honest, prompt = found["forging-honest"], found["forging-prompt"]
    assert [one.samples_sha256 for one in prompt.scores] == [
        one.samples_sha256 for one in honest.scores
    ]
    assert prompt.checkpoint == honest.checkpoint
    replaced = prompt.stages[0].notes["replaced_by_the_start_models"]
    assert {"chat_template.jinja", "generation_config.json", "note.md"} <= set(replaced)
    for name in ("switched", "hidden"):  # each is counted as the honest one is
        cost = found[f"forging-{name}"].stages[0].cost
        assert (cost.steps, cost.trained_tokens) == (3, 24)
        assert cost.flops >= honest.stages[0].cost.flops
        assert found[f"forging-{name}"].checkpoint.weights == honest.checkpoint.weights
    assert "replaced_by_the_start_models" not in honest.stages[0].notes
    left = folder / "stages" / prompt.stages[0].stage / "checkpoint"
    assert not (left / "note.md").exists()

    rows = {row.trainer: row for row in Leaderboard.model_validate_json(done.stdout).rows}
    origins = {"same_as_start", "same_as_teacher", "near_teacher", "same_as_other", "uncounted"}
    origins |= {"almost_teacher", "toward_teacher"}
    said = {
        name: {one.kind for one in rows[f"forging-{name}"].warnings} & origins for name in SOUND
    }
    assert said == {
        "honest": {"same_as_other"},
        "prompt": {"same_as_other"},
        "teacher": {"same_as_teacher"},
        "disguised": {"almost_teacher"},
        "idle": {"same_as_start"},
        "uncounted": {"uncounted"},
        "switched": {"same_as_other"},
        "hidden": {"same_as_other"},
    }
    ranked = {name for name in SOUND if rows[f"forging-{name}"].rank is not None}
    assert ranked == {"honest", "prompt", "idle", "switched", "hidden"}


@pytest.mark.promise("What a stage left is checked when it is used, and named if it was changed")
@pytest.mark.bench
@pytest.mark.parametrize(
    ("kind", "file"),
    [("train", "checkpoint/model.safetensors"), ("generate", "answers/unruly_sums__")],
)
def test_what_changes_between_two_stages_fails_the_cell(small_board, warm, tmp_path, kind, file):
    host = Host()
    planned = plan(load_board(str(small_board), host), host, ["unruly"], [0])
    folder = Folder(tmp_path / "runs")

    def watch(event, facts):
        name = facts.get("stage", "")
        if event == "ended" and name.startswith(f"{kind}-unruly-"):
            stage = folder.stage(name)
            (path,) = [each for each in stage.rglob("*") if file in str(each)]
            content = bytearray(path.read_bytes())
            content[-3] ^= 1
            path.write_bytes(bytes(content))

    warm.allowed = True
    with warm.shared():
        executor = LocalExecutor(1, "cpu", 1, tmp_path / "log")
        outcome = run(planned, host, folder, executor, watch)
    (failed,) = outcome.failed
    assert file in failed.error
    assert "was changed after the stage had ended; run the same command again" in failed.error
    with warm.shared():  # which makes it anew
        again = run(planned, host, folder, executor, lambda event, facts: None)
    assert not again.failed


@pytest.mark.promise("A record holds no number that cannot be")
@pytest.mark.parametrize("value", [-1.0, float("nan"), float("inf")])
def test_a_record_holds_no_cost_that_is_no_number(value):
    content = {"flops": value}
    with pytest.raises(ValueError, match="flops"):
        Cost.model_validate(content)
    with pytest.raises(ValueError, match="flops"):
        Cost.model_validate_json(json.dumps(content))
