"""Kills at random moments: the same command ends at the same checkpoints and verdicts."""

from __future__ import annotations

import random
import shutil
import signal
import subprocess
import time

import processes
import pytest
from campaign import TIMES, TRAINERS, command, done, family, kill, torn, working_below

pytestmark = pytest.mark.bench
KINDS = ("head", "stage", "warm", "judge")


def finish(harness) -> None:
    """Give the command until every cell is done; a killed stage is a failed row until then."""
    for _ in range(4):
        if harness(*command(*TRAINERS)[3:], check=None).returncode == 0:
            return
    pytest.fail("the same command did not finish the bench")


def gone(tmp_path, seconds: float = 60) -> bool:
    """Return whether nothing works below the runs folder any more, after waiting for it."""
    deadline = time.monotonic() + seconds
    while working_below(tmp_path) and time.monotonic() < deadline:
        time.sleep(0.1)
    return working_below(tmp_path) == []


@pytest.fixture(scope="module")
def wanted() -> dict[str, object]:
    """Return what the first whole bench came to, for all kills to be compared with."""
    return {}


@pytest.mark.parametrize("number", range(TIMES))
@pytest.mark.parametrize("kind", KINDS if TIMES > 1 else ("stage", "warm"))
def test_a_kill_at_a_random_moment_changes_no_digest_and_no_verdict(
    small_board, harness, tmp_path, kind, number, wanted
):
    """The head, a stage, the warm process or a judge is killed; the same command finishes."""
    if not wanted:
        harness(*command(*TRAINERS)[3:])
        wanted |= done(tmp_path)
        shutil.rmtree(tmp_path / "runs")
    rng = random.Random(f"{kind} {number}")
    streams = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    hit = False
    with processes.start(command(*TRAINERS), cwd=tmp_path, **streams) as process:
        passed = rng.randrange(4 if kind in ("stage", "judge") else 1)  # how many of them to spare
        pause = rng.uniform(0, 0.5 if kind in ("stage", "judge") else 6)
        spared: set[int] = set()
        while process.poll() is None and not hit:
            for one in family(process.pid):
                if one.kind == kind and one.pid not in spared:
                    if len(spared) < passed:
                        spared.add(one.pid)
                        continue
                    time.sleep(pause)
                    hit = kill(one.pid)
                    spared.add(one.pid)  # it ended by itself: the next one
                    break
            time.sleep(0.01)
        assert process.wait(timeout=300) in (0, 1, -signal.SIGKILL)
    assert gone(tmp_path), "a process outlived its bench"
    assert torn(tmp_path) == []
    finish(harness)
    assert done(tmp_path) == wanted
    assert hit or kind == "judge"  # judging may take less time than looking
