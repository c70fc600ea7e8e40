"""A full disk: nothing is lost, the reason is one line, and the same command goes on."""

from __future__ import annotations

import subprocess

import processes
import pytest
from campaign import TIMES, TRAINERS, command, done, torn

pytestmark = pytest.mark.bench
LIMITS = (300, 24, 4, 64, 1000)  # KiB that a file may have; a checkpoint has about 400


@pytest.mark.parametrize("limit", LIMITS[: 1 if TIMES == 1 else None])
def test_a_bench_whose_files_may_not_grow_is_finished_later(small_board, harness, tmp_path, limit):
    """A limit on the size of files stands in for a full disk: writing fails in the middle."""
    shell = f'ulimit -f {limit}; exec "$@"'
    limited = ["bash", "-c", shell, "-", *command(*TRAINERS)]
    with processes.start(
        limited, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        _, errors = process.communicate(timeout=300)
    assert "Traceback" not in errors
    assert torn(tmp_path) == []
    harness(*command(*TRAINERS)[3:])
    healed = done(tmp_path)
    (tmp_path / "runs").rename(tmp_path / "limited")
    harness(*command(*TRAINERS)[3:])
    assert healed == done(tmp_path)
