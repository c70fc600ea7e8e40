"""Many cells: the head opens no more files and takes no more memory than for a few."""

from __future__ import annotations

import contextlib
import os
import resource
import subprocess
import time
from pathlib import Path

import processes
import pytest
from campaign import WHOLE, leaderboard

pytestmark = pytest.mark.bench
CELLS = 300 if WHOLE else 12


def processor_seconds() -> float:
    """Return what all processes took that this one started, with all that those started."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def descriptors_and_memory(pid: int) -> tuple[int, int]:
    """Return how many files a process has open, and its resident memory in KiB."""
    status = Path(f"/proc/{pid}/status").read_text()
    memory = next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS"))
    return len(os.listdir(f"/proc/{pid}/fd")), int(memory)


@pytest.mark.slow
@pytest.mark.promise("Hundreds of cells take no more memory and no more files than a few")
@pytest.mark.timeout(3600)
def test_the_head_of_many_cells_stays_small(small_board, tmp_path, record_property):
    seeds = ",".join(map(str, range(CELLS)))
    small_board.write_text(small_board.read_text().replace("[0, 1]", f"[{seeds}]"))
    started, used, found = time.monotonic(), processor_seconds(), []
    command = [*processes.HARNESS, "bench", "small.toml", "--plugins", "unruly", "--jobs", "2"]
    streams = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with processes.start(command, cwd=tmp_path, **streams) as process:
        while process.poll() is None:
            with contextlib.suppress(OSError, StopIteration):
                found.append(descriptors_and_memory(process.pid))
            time.sleep(0.2)
        assert process.returncode == 0
    seconds, used = time.monotonic() - started, processor_seconds() - used
    board = leaderboard(tmp_path)
    (row,) = [row for row in board.rows if row.trainer == "unruly"]
    assert len(row.records) == CELLS
    files, memory = zip(*found, strict=True)
    record_property("seconds a cell", round(seconds / CELLS, 2))
    record_property("seconds of processors a cell", round(used / CELLS, 2))
    record_property("memory of the head, MiB", (memory[0] >> 10, max(memory) >> 10))
    assert max(files) <= 32
    assert max(memory) < 300 * 1024
