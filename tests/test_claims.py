"""How often a leaderboard's claims are wrong, on generated answers: see benchmarks/claims.py."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def claims():
    spec = importlib.util.spec_from_file_location("claims", ROOT / "benchmarks" / "claims.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
def test_claims_on_trainers_are_wrong_less_often_than_seven_times_in_a_hundred(claims):
    for row in claims.error_rates(repeats=300):
        assert row["pair"] < 0.07, row
        assert row["start"] < 0.07, row
        assert row["covers"] > 0.93, row
        assert row["covers start"] > 0.93, row
        if row["sd"] > 0:  # why McNemar on one seed is no claim on trainers
            assert row["naive"] > 0.1, row
        if row["seeds"] == 5 and row["sd"] < 0.02:
            assert row["power"] > 0.85, row


@pytest.mark.slow
def test_a_board_of_equal_trainers_tells_none_apart_nineteen_times_in_twenty(claims):
    assert claims.family_error(repeats=200) < 0.05


@pytest.mark.slow
def test_intervals_cover_what_they_say(claims):
    covered = dict(claims.coverage(repeats=1500))
    ignored = covered.pop("plain Wilson on the same templates")
    assert ignored < 0.75  # grouped questions need the clustered interval
    for name, share in covered.items():
        assert 0.93 < share < 0.985, name


def test_the_tables_in_the_documentation_are_the_scripts(claims):
    page = (ROOT / "docs" / "statistics.md").read_text()
    tables = page.split(claims.BEGIN)[1].split(claims.END)[0]
    assert tables.count("\n| 0 |") == tables.count("\n| 1 |") == tables.count("\n| 2 |") == 2
    for name, _ in claims.coverage(repeats=1):
        assert f"| {name} |" in tables
