"""Looks: seeds in steps until every two rows are decided, without being wrong more often."""

from __future__ import annotations

import json
import math

import generated
import pytest
import recompute

from harness.boards.board import load_board
from harness.errors import UsageError
from harness.leaderboard.build import build
from harness.leaderboard.data import Equal
from harness.leaderboard.multiple_testing import holm, level_at, spent
from harness.leaderboard.ranking import undecided
from harness.plugin.host import Host
from harness.records import CONDITIONS, write_record
from harness.render import markdown

LOOKS, SEEDS = (3, 5, 8), tuple(range(8))
NAMES = {"start": 0.3, "sft": 0.45, "kd": 0.5, "rl": 0.7}


def records(seeds: int, more: dict[str, int] | None = None):
    """Return the records of rows that have so many seeds; `more` is of some rows."""
    made = generated.board(NAMES, n=200, tasks=("words", "longer"), seeds=SEEDS)
    return [
        one for one in made if one.seed is None or one.seed < (more or {}).get(one.trainer, seeds)
    ]


def conditions(**more):
    given = {"looks": LOOKS, "caps": {"flops": 2e12}, **more}
    return generated.conditions(("words", "longer"), seeds=SEEDS, **given)


def test_all_looks_together_spend_five_per_cent():
    assert spent(1) == pytest.approx(0.05)
    for looks in (LOOKS, (3, 5, 10), (3, 4, 5, 6, 7), (5, 20)):
        levels = [level_at(looks, look) for look in looks]
        assert sum(levels) == pytest.approx(0.05)
        assert levels == sorted(levels)
        assert levels[0] < 0.01 < levels[-1]
    # Lan and DeMets' function at half of the information: 2 (1 - Phi(1.96 / sqrt(0.5)))
    assert spent(0.5) == pytest.approx(0.005575, abs=1e-6)
    assert holm([0.001, 0.02], 0.01) == pytest.approx([0.01, 0.1])


def test_a_board_says_after_how_many_seeds_it_is_looked_at(small_board):
    text = small_board.read_text().replace("seeds = [0, 1]", "seeds = [0, 1, 2, 3]")
    small_board.write_text(text)
    plain = load_board(str(small_board), Host())
    assert "looks" not in json.loads(plain.conditions().to_json())
    small_board.write_text(text + "\n[until_decided]\nlooks = [3, 4]\n")
    board = load_board(str(small_board), Host())
    assert board.conditions().looks == (3, 4)
    assert board.digest != plain.digest  # a condition: nobody looks first and says it after
    for looks, says in (
        ("[4]", "it needs 2 or more"),
        ("[2, 4]", "write rising numbers of seeds, 3 or more"),
        ("[4, 3]", "write rising numbers"),
        ("[3, 5]", "the last one must be the number of seeds"),
    ):
        small_board.write_text(f"{text}\n[until_decided]\nlooks = {looks}\n")
        with pytest.raises(UsageError, match=says):
            load_board(str(small_board), Host())


@pytest.mark.parametrize(
    ("seeds", "more", "now"),
    [(3, None, 3), (4, None, 3), (5, None, 5), (8, None, 8), (3, {"rl": 5}, 5), (1, None, 3)],
)
def test_a_page_is_of_the_last_look_that_a_row_has_whole(seeds, more, now):
    found = build(records(seeds, more), conditions())
    assert len(found.conditions.seeds) == now
    ranked = [row.trainer for row in found.rows if row.rank]
    whole = [name for name in ("rl", "kd", "sft") if (more or {}).get(name, seeds) >= now]
    assert sorted(ranked) == sorted(whole)
    assert all(len(row.seeds) <= now for row in found.rows)
    later = sum(max(0, (more or {}).get(name, seeds) - now) for name in ("sft", "kd", "rl"))
    assert len(found.superseded) == later  # named on the page, and counted nowhere
    text = markdown.render(found)
    if whole:
        factor = 0.05 / level_at(LOOKS, now)
        assert f"this page is the one after {now}" in text
        assert f"multiplied by {factor:.3g}" in text


def test_every_p_value_of_an_early_look_is_raised():
    early, late = build(records(5), conditions()), build(records(8), conditions())
    plain = build(records(5), conditions(looks=()).model_copy(update={"seeds": SEEDS[:5]}))
    factor = 0.05 / level_at(LOOKS, 5)
    for mine, theirs in zip(early.rows, plain.rows, strict=True):
        for one, other in zip(mine.tasks, theirs.tasks, strict=True):
            if one.gain:
                raised = min(1.0, factor * other.gain.p_adjusted)
                assert one.gain.p_adjusted == pytest.approx(raised, abs=1e-8)
                assert (one.gain.p, one.gain.low) == (other.gain.p, other.gain.low)
        if mine.gain:
            raised = min(1.0, factor * theirs.gain.p_adjusted)
            assert mine.gain.p_adjusted == pytest.approx(raised, abs=1e-8)
    assert early.detectable.pair > plain.detectable.pair
    assert late.detectable.pair < early.detectable.pair


@pytest.mark.parametrize("seeds", [3, 5, 8])
def test_a_page_of_a_look_is_computed_twice(seeds, tmp_path):
    made, given = records(seeds), conditions()
    place = tmp_path / "records" / "made-up"
    for one in made:
        write_record(one, place)
    (place / CONDITIONS).write_text(given.to_json())
    found, again = build(made, given), recompute.recompute(tmp_path, "made-up")
    compared = 0
    for row in found.rows:
        expected = again["rows"][row.trainer]
        assert list(row.rank or ()) == (expected["rank"] or [])
        assert (row.wins, row.ties, row.losses) == tuple(
            expected[name] for name in ("wins", "ties", "losses")
        )
        pairs = [(row.gain, expected["gain"])]
        pairs += [(one.gain, task["gain"]) for one, task in zip(row.tasks, expected["tasks"],
                                                                strict=True)]  # fmt: skip
        for gain, other in pairs:
            if gain:
                assert math.isclose(
                    gain.p_adjusted, other["p_adjusted"], rel_tol=1e-6, abs_tol=1e-9
                )
                compared += 1
    assert compared == 9
    assert found.detectable.pair == pytest.approx(again["detectable"]["pair"], rel=1e-5)
    assert found.detectable.gain == pytest.approx(again["detectable"]["gain"], rel=1e-5)


def test_two_rows_are_decided_if_they_are_told_apart_or_equal():
    shared = {"a": "a", "b": "a1b", "c": "b1", "d": "bc"}
    order = list(shared)
    assert undecided(order, shared, ()) == 1  # b and d
    assert undecided(order, shared, [Equal(first="d", second="b", p=0.01)]) == 0
    assert undecided(["a"], shared, ()) == 0
    assert undecided(order, dict.fromkeys(order, "a"), ()) == 6


def test_looks_need_a_board_that_has_them(harness, small_board):
    done = harness("bench", "small.toml", "--until-decided", "--dry-run", check=2)
    assert "board 'small' has no [until_decided] looks" in done.stderr
    done = harness("bench", "small.toml", "--until-decided", "--seeds", "0", check=2)
    assert "--until-decided takes the board's seeds in turn" in done.stderr


@pytest.mark.bench
def test_a_bench_goes_on_until_every_two_rows_are_decided(harness, small_board, tmp_path):
    text = small_board.read_text().replace("seeds = [0, 1]", "seeds = [0, 1, 2, 3]")
    text = text.replace('trainers = ["unruly"]', 'trainers = ["unruly", "unruly-tell"]')
    small_board.write_text(f"margin = 99\n{text}\n[until_decided]\nlooks = [3, 4]\n")
    done = harness("bench", "small.toml", "--plugins", "unruly", "--until-decided")
    assert "After 3 seeds: every two rows are told apart or shown to be equal" in done.stderr
    assert len(list((tmp_path / "runs/small/records").glob("unruly-s*"))) == 3
    assert not list((tmp_path / "runs/small/records").glob("unruly-s3-*"))
    page = json.loads((tmp_path / "runs" / "small" / "small.json").read_text())
    assert page["conditions"]["seeds"] == [0, 1, 2]
    assert page["conditions"]["looks"] == [3, 4]
    small_board.write_text(small_board.read_text().replace("margin = 99", "margin = 0.001"))
    done = harness("bench", "small.toml", "--plugins", "unruly,unruly+unruly", "--until-decided")
    assert (
        "After 3 seeds: 1 pair of rows is neither told apart nor shown to be equal" in done.stderr
    )
    assert "After 4 seeds: 1 pair" in done.stderr
    assert "these are all of the board's seeds" in done.stderr
    assert len(list((tmp_path / "runs/small/records").glob("unruly-s3-*"))) == 1
