"""Trainers that leave what would end a bench or spoil its pages: it goes on, beside them."""

from __future__ import annotations

import json

import pytest
from campaign import leaderboard, torn

from harness.records import read_records

pytestmark = pytest.mark.bench
WRECKERS = ("deep", "listed", "nested", "halved", "said")


@pytest.mark.promise("Nothing that a trainer leaves ends the bench, or the next one")
@pytest.mark.timeout(900)
def test_what_a_trainer_leaves_ends_no_bench(small_board, with_plugins, harness, tmp_path):
    with_plugins("forging", "wrecking")
    text = small_board.read_text().replace("seeds = [0, 1]", "seeds = [0]")
    small_board.write_text(
        text.replace('["unruly"]\ntrainers', '["unruly", "forging", "wrecking"]\ntrainers')
    )
    names = ",".join(["unruly", *(f"wrecking-{name}" for name in WRECKERS)])
    for _ in range(2):  # what lies there now ends no second bench either
        done = harness("bench", "small.toml", "--jobs", "2", "--plugins", names, check=1)
        assert "unexpected" not in done.stderr, done.stderr
        found = {record.trainer: record for record in read_records(tmp_path / "runs/small/records")}
        status = {name: found[f"wrecking-{name}"].status for name in WRECKERS}
        assert status == dict.fromkeys(WRECKERS, "ok") | {"listed": "failed", "said": "failed"}
        assert found["unruly"].status == "ok"
    assert found["wrecking-said"].error == "half a character: \ufffd"
    assert found["wrecking-deep"].stages[0].outside is not None
    assert set(found["wrecking-nested"].stages[0].notes) == {"left_out"}
    assert found["wrecking-halved"].stages[0].notes["seen"] == ["\ufffd something"]
    assert torn(tmp_path) == []
    assert {row.trainer for row in leaderboard(tmp_path).rows} >= {"unruly", "wrecking-halved"}
    page = json.loads((tmp_path / "runs/small/small.json").read_text())
    json.dumps(page, ensure_ascii=False).encode()
