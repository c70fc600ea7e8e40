"""Trainers that leave what should end or spoil the bench: it goes on, and their cells alone fail."""

from __future__ import annotations

import pytest
from campaign import leaderboard

from harness.records import read_records

pytestmark = pytest.mark.bench
WRECKERS = ("deep", "listed", "nested", "halved", "said")


def test_what_a_trainer_leaves_ends_no_bench(small_board, with_plugins, harness, tmp_path):
    with_plugins("forging", "wrecking")
    text = small_board.read_text().replace("seeds = [0, 1]", "seeds = [0]")
    small_board.write_text(
        text.replace('["unruly"]\ntrainers', '["unruly", "forging", "wrecking"]\ntrainers')
    )
    names = [f"wrecking-{name}" for name in WRECKERS]
    arguments = ("bench", "small.toml", "--jobs", "2", "--plugins", ",".join(["unruly", *names]))
    for _ in range(2):  # what lies there then ends no second one either
        done = harness(*arguments, check=None)
        print(done.stdout, done.stderr)
