from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from campaign import BENCH, done

FOUND: dict[str, tuple[str, ...]] = {}


@pytest.fixture
def small_board(small_board: Path) -> Path:
    """Return the small board with a time limit that no stage reaches on a busy machine."""
    text = small_board.read_text()
    small_board.write_text(text.replace("stage_seconds = 60", "stage_seconds = 600"))
    return small_board


@pytest.fixture
def wanted(small_board, harness, tmp_path) -> dict[str, tuple[str, ...]]:
    """Return what a bench comes to that nothing disturbs."""
    if not FOUND:
        harness(*BENCH)
        FOUND.update(done(tmp_path))
        shutil.rmtree(tmp_path / "runs")
    return FOUND
