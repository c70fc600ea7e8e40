"""Experiment trackers: what is reported where, and what is said of one that is not there."""

from __future__ import annotations

import importlib.util

import models
import pytest

from harness.cli.measure.bench import TRACKERS, check_trackers
from harness.errors import UsageError


def test_an_unknown_tracker_is_one_line_before_anything_runs(harness, small_board):
    done = harness("bench", str(small_board), "--report-to", "tensorbord", check=2)
    assert "no such tracker; did you mean 'tensorboard'?" in done.stderr
    assert not (small_board.parent / "runs").exists()


def test_a_tracker_that_is_not_installed_is_named():
    missing = [
        name
        for name, packages in TRACKERS.items()
        if not any(importlib.util.find_spec(package) for package in packages)
    ]
    if not missing:
        pytest.skip("every tracker is installed here")
    with pytest.raises(UsageError, match=f"install the package '{TRACKERS[missing[0]][0]}'"):
        check_trackers(None, None, (missing[0],))


def test_every_tracker_is_one_that_transformers_knows():
    integrations = pytest.importorskip("transformers.integrations.integration_utils")
    assert set(TRACKERS) <= set(integrations.INTEGRATION_TO_CALLBACK)


@pytest.mark.bench
def test_trackers_and_the_cells_name_reach_transformers(tmp_path):
    trl = pytest.importorskip("trl")
    run = models.make_run(tmp_path, tmp_path, None)
    assert trl.SFTConfig(**run.arguments()).report_to in ([], ["none"], "none")
    tracked = {"report_to": ("tensorboard",), "name": "sft seed 0"}
    run = models.make_run(tmp_path, tmp_path, None, **tracked)
    arguments = trl.SFTConfig(**run.arguments())
    assert arguments.report_to == ["tensorboard"]
    assert arguments.run_name == "sft seed 0"


@pytest.mark.bench
@pytest.mark.skipif(
    not any(importlib.util.find_spec(package) for package in TRACKERS["tensorboard"]),
    reason="tensorboard is not installed",
)
def test_a_stage_keeps_what_it_reported_to_tensorboard(harness, small_board):
    harness("bench", str(small_board), "--plugins", "sft", "--seeds", "0",
            "--report-to", "tensorboard")  # fmt: skip
    stages = small_board.parent / "runs" / "small" / "stages"
    assert list(stages.glob("train-sft-*/tracking/events.out.tfevents.*"))
