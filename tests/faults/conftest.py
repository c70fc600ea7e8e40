from __future__ import annotations

import shutil

import pytest
from campaign import BENCH, done

FOUND: dict[str, tuple[str, ...]] = {}


@pytest.fixture
def wanted(small_board, harness, tmp_path) -> dict[str, tuple[str, ...]]:
    """Return what a bench comes to that nothing disturbs."""
    if not FOUND:
        harness(*BENCH)
        FOUND.update(done(tmp_path))
        shutil.rmtree(tmp_path / "runs")
    return FOUND
