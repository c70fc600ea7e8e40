"""The GPU path; run with `-m gpu` on a machine that has a CUDA device."""

from __future__ import annotations

import pytest

from harness.executors import visible_gpus
from harness.leaderboard import build
from harness.records import read_records
from harness.standings import Leaderboard

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not visible_gpus(), reason="no CUDA device (nvidia-smi lists none)"),
]


def test_every_built_in_trainer_trains_and_is_scored_on_a_gpu(harness, tmp_path):
    harness("bench", "--plugins", "all", "--seeds", "0", "--device", "cuda")
    records = read_records(tmp_path / "runs" / "tiny" / "records")
    assert {record.status for record in records} == {"ok"}
    for record in records:
        assert record.environment.device == "cuda"
        assert record.environment.gpu
        if record.trainer != "start":
            assert record.cost.gpu_seconds > 0
            assert record.cost.peak_memory_bytes > 0
    board = Leaderboard.model_validate_json((tmp_path / "runs/tiny/tiny.json").read_text())
    gains = {row.trainer: row.gain.difference for row in board.rows if row.gain}
    assert gains["sft"] > 0
    assert build(records, board.conditions)
