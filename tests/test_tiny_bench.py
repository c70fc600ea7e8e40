"""The README's main job, run whole; minutes, so it is marked slow."""

from __future__ import annotations

import json

import processes
import pytest

from harness.leaderboard.data import Leaderboard
from harness.records import read_records

pytestmark = pytest.mark.slow


@pytest.mark.timeout(3600)
def test_the_main_job_holds_what_it_promises(harness, tmp_path):
    """Every trainer beats the start model, nothing is done twice, a seed makes a checkpoint."""
    harness("bench")
    board = Leaderboard.model_validate_json((tmp_path / "runs/tiny/tiny.json").read_text())
    rows = {row.trainer: row for row in board.rows}
    assert set(rows) == {"start", "sft", "kd", "rl", "sft+rl", "kd+rl"}
    for name, row in rows.items():
        if name != "start":
            assert row.gain is not None
            assert row.gain.low > 0, name
    records = read_records(tmp_path / "runs/tiny/records")
    peak = max(part.outside.peak_memory_bytes for one in records for part in one.stages)
    assert peak < 6 * 2**30  # of the largest process; the sum is measured in benchmarks/

    before = processes.written(tmp_path / "runs/tiny/stages")
    assert "Nothing to do" in harness("bench").stderr
    assert processes.written(tmp_path / "runs/tiny/stages") == before

    assert "fixed" in harness("diff", "start", "sft/0").stdout
    harness("report", "tiny")
    assert (tmp_path / "tiny.html").stat().st_size > 100_000
    records = read_records(tmp_path / "runs/tiny/records")
    digests = [record.checkpoint.digest for record in records]
    assert len(set(digests)) == len(digests)  # another seed is another checkpoint
    (tmp_path / "runs").rename(tmp_path / "first")
    harness("bench", "--plugins", "sft,rl", "--seeds", "1")
    for record in read_records(tmp_path / "runs/tiny/records"):
        assert record.checkpoint.digest in digests  # the same seed is the same checkpoint
        first = tmp_path / "first/tiny/records" / f"{record.id}.json"
        assert json.loads(first.read_text())["scores"] == record.model_dump(mode="json")["scores"]
