"""Eight trainers that cheat, in one bench with honest ones: none gains, and each is named."""

from __future__ import annotations

import shutil

import models
import pytest
from campaign import leaderboard

from harness.leaderboard import origins
from harness.records import Record, read_records

pytestmark = pytest.mark.bench
HONEST = ("forging-honest", "unruly")
CHEATS = {  # how each ends: by what its record says, or its row
    "cheating-rows": "same_as_other",  # it found nothing, and is what the honest one is
    "cheating-poison": "Permission denied",
    "cheating-reseal": "Permission denied",
    "cheating-mute": "reached_for",
    "cheating-detach": "same_as_other",  # or, where its process was quick, that it was changed
    "forging-teacher": "same_as_teacher",
    "forging-free": "cannot be: 24 trained tokens of",
    "forging-prompt": "same_as_other",
}


@pytest.mark.promise(
    "A trainer that looks for test rows, changes data or records, copies the teacher, takes back"
    " its costs, leaves a process behind, or brings a prompt of its own gains no rank, changes no"
    " other row, and is named"
)
def test_no_cheat_gains_a_rank_or_changes_another_row(small_board, with_plugins, harness, tmp_path):
    with_plugins("forging", "cheating")
    models.save_model(tmp_path / "twin", seed=2)  # a teacher of the student's shape
    text = small_board.read_text().replace('"teacher"', '"twin"', 1)
    text = text.replace("seeds = [0, 1]", "seeds = [0]")
    small_board.write_text(
        text.replace('["unruly"]\ntrainers', '["unruly", "forging", "cheating"]\ntrainers')
    )
    folder = tmp_path / "runs/small"
    arguments = ("bench", "small.toml", "--jobs", "2", "--plugins")
    harness(*arguments, ",".join(HONEST))
    before = {row.trainer: row for row in leaderboard(tmp_path).rows}
    honest = of_trainer(read_records(folder / "records"), "forging-honest")
    (kept,) = (folder / "records").glob("forging-honest-*.json")
    content = kept.read_bytes()
    for path in folder.rglob("*unruly-s0-*"):  # this one is trained again, beside the others
        shutil.rmtree(path) if path.is_dir() else path.unlink()

    (data,) = (folder / "data").glob("train-*.jsonl")
    rows = data.read_bytes()
    known = ("--set", f"cheating-poison.path={data}", "--set", f"cheating-reseal.path={kept}")
    done = harness(*arguments, ",".join([*HONEST, *CHEATS]), *known, check=1)
    assert (kept.read_bytes(), data.read_bytes()) == (content, rows)
    found = read_records(folder / "records")
    after = {row.trainer.partition(" ")[0]: row for row in leaderboard(tmp_path).rows}
    for name in HONEST:
        assert after[name].accuracy == before[name].accuracy
        assert after[name].rank[0] == 1
    for name, said in CHEATS.items():
        record = of_trainer(found, name)
        row = next((row for key, row in after.items() if key.startswith(name)), None)
        if record.status != "ok":
            assert row is None or row.rank is None
            named = said in record.error or "was changed after it was sealed" in record.error
            assert named, record.error
            assert record.error in done.stderr
        else:
            assert said in {warning.kind for warning in row.warnings}, name
            if said == "same_as_teacher":
                assert row.rank is None
            else:
                assert record.checkpoint.digest == honest.checkpoint.digest
                assert row.accuracy == after["forging-honest"].accuracy
    assert of_trainer(found, "cheating-rows").stages[0].notes["found"] == []
    assert of_trainer(found, "cheating-rows").stages[0].notes["refused"]


@pytest.mark.promise(
    "What a stage took is measured outside it too, and a cost that contradicts that is named"
)
@pytest.mark.slow
def test_training_that_nobody_counts_is_named_by_its_processor_time(
    small_board, with_plugins, harness, tmp_path, monkeypatch
):
    """In a process of its own, and in the trainer's, by what the counting does not see."""
    with_plugins("forging", "cheating")
    monkeypatch.setattr(origins, "BESIDE_SECONDS", 2)
    monkeypatch.setattr(origins, "IDLE_SECONDS", 1)
    text = small_board.read_text().replace("seeds = [0, 1]", "seeds = [0]")
    small_board.write_text(
        text.replace('["unruly"]\ntrainers', '["unruly", "forging", "cheating"]\ntrainers')
    )
    cheats = {"cheating-beside": "computes_beside", "cheating-numerical": "costs_little"}
    harness("bench", "small.toml", "--plugins", ",".join([*HONEST, "forging-prompt", *cheats]))
    rows = {row.trainer: {one.kind for one in row.warnings} for row in leaderboard(tmp_path).rows}
    for name, kind in cheats.items():
        assert kind in rows[name], rows
    for name in HONEST:
        assert not {"computes_beside", "costs_little"} & rows[name], rows
    found = read_records(tmp_path / "runs/small/records")
    (aside,) = of_trainer(found, "cheating-beside").stages
    assert aside.outside.child_cpu_seconds >= 5.5
    (own,) = of_trainer(found, "cheating-numerical").stages
    assert own.outside.child_cpu_seconds < own.outside.cpu_seconds / 10
    for stage in (aside, own):
        assert stage.cost.steps == 1


def of_trainer(found: list[Record], name: str) -> Record:
    (record,) = [record for record in found if record.trainer.startswith(name)]
    return record
