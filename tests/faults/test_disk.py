"""A full disk: nothing is lost, the reason is one line, and the same command goes on."""

from __future__ import annotations

import os
import shutil
import subprocess

import processes
import pytest
from campaign import BENCH, WHOLE, done, torn

pytestmark = pytest.mark.bench
LIMITS = (64, 24, 4, 100)  # KiB that a file may have; a checkpoint's weights have 116
ROOMS = (100, 400, 700)  # KiB of a disk; a bench takes about 1,400


def run(command, folder) -> str:
    """Run a command that ends for want of room; return the lines of its errors."""
    with processes.start(
        command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        _, errors = process.communicate(timeout=300)
    assert "Traceback" not in errors, errors
    assert process.returncode in (1, 2), errors
    return errors


@pytest.mark.promise(
    "A full disk is one line and loses nothing: the same command continues when there is room"
)
@pytest.mark.parametrize("limit", LIMITS[: None if WHOLE else 1])
def test_a_bench_whose_files_may_not_grow_is_finished_later(wanted, harness, tmp_path, limit):
    """A limit on the size of files stands in for a full disk: writing fails in the middle."""
    shell = f'ulimit -f {limit}; exec "$@"'
    run(["bash", "-c", shell, "-", *processes.HARNESS, *BENCH], tmp_path)
    assert torn(tmp_path) == []
    harness(*BENCH)
    assert done(tmp_path) == wanted


@pytest.mark.promise(
    "A full disk is one line and loses nothing: the same command continues when there is room"
)
@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small disk needs root")
@pytest.mark.skipif(not WHOLE, reason="the sample has a limit on files instead")
@pytest.mark.parametrize("room", ROOMS)
def test_a_bench_on_a_disk_that_becomes_full_is_finished_later(wanted, harness, tmp_path, room):
    disk = tmp_path / "runs"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={room}k", "tmpfs", str(disk)]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("this system does not let us mount a small disk")
    try:
        said = run([*processes.HARNESS, *BENCH], tmp_path)
        assert "No space left" in said or "disk is full" in said
        assert torn(tmp_path) == []
        shutil.copytree(disk, tmp_path / "left")
    finally:
        subprocess.run(["umount", str(disk)], check=True)
    disk.rmdir()
    (tmp_path / "left").rename(disk)
    harness(*BENCH)
    assert done(tmp_path) == wanted
