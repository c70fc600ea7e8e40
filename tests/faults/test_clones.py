"""Two people run the same board, a third adds a trainer; all of it is published and checked."""

from __future__ import annotations

import shutil

import pytest
from campaign import leaderboard

from harness.leaderboard.data import Leaderboard
from harness.records import read_records

pytestmark = pytest.mark.bench
PUBLISHED = "leaderboards/small.json"


@pytest.mark.promise(
    "Two clones that ran the same board publish together, and a third that brings only a trainer"
    " joins them; every page is what the records give, and every answer is judged anew"
)
def test_clones_publish_together_and_a_third_adds_a_trainer(small_board, harness, tmp_path):
    own = ("--cells", "unruly/0,unruly/1", "--trials", "1")
    harness("bench", "small.toml")
    harness("publish", "small.toml")
    first = Leaderboard.model_validate_json((tmp_path / PUBLISHED).read_text())

    (tmp_path / "runs").rename(tmp_path / "first")
    harness("bench", "small.toml")  # the second clone
    assert [row.accuracy for row in leaderboard(tmp_path).rows] == [
        row.accuracy for row in first.rows
    ]
    harness("submit", "small.toml", *own, "--out", "second")
    (tmp_path / "runs").rename(tmp_path / "second-runs")
    # the third; its answers must be others than those of the start model
    harness("bench", "small.toml", "--plugins", "sft", "--set", "sft.learning_rate=0.05")
    brought = [one for one in read_records(tmp_path / "runs/small/records") if one.stages]
    cells = ",".join(one.cell for one in brought)
    harness("submit", "small.toml", "--cells", cells, "--trials", "2", "--out", "third")
    shutil.rmtree(tmp_path / "runs")

    harness("publish", "small.toml", "--from", "second", "--from", "third")
    published = Leaderboard.model_validate_json((tmp_path / PUBLISHED).read_text())
    rows = {row.trainer: row for row in published.rows}
    (before,) = (row for row in first.rows if row.trainer == "unruly")
    assert rows["unruly"].accuracy == before.accuracy
    assert [ref.seed for ref in rows["unruly"].confirmations] == [0, 1]
    assert rows[brought[0].trainer].rank is not None
    assert rows[brought[0].trainer].gain is not None
    assert len(read_records(tmp_path / "leaderboards/records/small")) == 7
    assert "every file is what its records give" in harness("publish", "--check").stdout
    assert harness("check").stdout.strip() == "7 recomputed"
    kept = {path: path.read_bytes() for path in (tmp_path / "leaderboards").rglob("*.*")}
    harness("publish", "small.toml", "--from", "third")  # once more: nothing new
    harness("publish", "small.toml", "--from", "first/small")
    assert {path: path.read_bytes() for path in (tmp_path / "leaderboards").rglob("*.*")} == kept
