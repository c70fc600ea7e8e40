"""The small board: its problems are right and fixed, and a cut-down one is made and planned."""

from __future__ import annotations

import hashlib
import itertools
import json
import re
from fractions import Fraction

import pytest
from harness_small.board import board_text
from harness_small.make import Settings
from harness_small.problems import SMALL, fresh
from test_tiny import read_story, solve_symbolic

from harness.bench.plan import plan
from harness.boards.board import load_board
from harness.checkpoints import digest, parameter_count
from harness.plugin.host import Host

SPLITS = [(family, split) for family, sizes in SMALL.sizes.items() for split in sizes]
# every score of a small board hangs on these rows
TEST_ROWS = {
    "small_word": "fa74a806657047f5",
    "small_long": "5b8705acb13f7739",
    "small_symbolic": "807a6eb8d57af211",
}


@pytest.mark.parametrize("family", SMALL.families)
def test_rows_never_change(family):
    text = json.dumps(SMALL.rows(family, "test"), ensure_ascii=False, sort_keys=True)
    assert hashlib.sha256(text.encode()).hexdigest()[:16] == TEST_ROWS[family]


def test_no_problem_is_in_two_splits_or_twice_in_one():
    texts = [row["problem"] for family, split in SPLITS for row in SMALL.rows(family, split)]
    assert len(texts) == len(set(texts)) == sum(sum(s.values()) for s in SMALL.sizes.values())


@pytest.mark.parametrize("family", SMALL.steps)
def test_every_story_is_solved_rightly_and_in_the_promised_number_of_steps(family):
    fewest, most = SMALL.steps[family]
    seen = set()
    for row in SMALL.rows(family, "test"):
        results = []
        for a, sign, b, c in re.findall(r"(\d+) ([-+*/]) (\d+) = (\d+)\.", row["solution"]):
            left, right = Fraction(a), Fraction(b)
            result = {"+": left + right, "-": left - right, "*": left * right, "/": left / right}
            assert result[sign] == int(c), row
            results.append(int(c))
        assert results == read_story(row["problem"]), row
        assert str(results[-1]) == row["answer"], row
        seen.add(len(results))
        assert max(results) <= 5000
    assert seen == set(range(fewest, most + 1))


def test_symbolic_answers_are_what_sympy_finds():
    import sympy

    for row in SMALL.rows("small_symbolic", "test")[:250]:
        gold = re.sub(r"\\frac\{(\d+)\}\{(\d+)\}", r"(\1/\2)", row["answer"])
        gold = re.sub(r"(\d)(x)", r"\1*\2", gold).replace("^", "**")
        found = solve_symbolic(row["problem"])
        assert sympy.expand(sympy.nsimplify(sympy.sympify(gold), rational=True) - found) == 0, row


def test_the_problems_are_harder_than_the_tiny_boards():
    from harness_tiny.problems import TINY

    def largest(generator, family):
        text = " ".join(row["problem"] for row in generator.rows(family, "test"))
        return max(int(number) for number in re.findall(r"\d+", text))

    for kind in ("word", "long", "symbolic"):
        assert largest(SMALL, f"small_{kind}") > 2 * largest(TINY, f"tiny_{kind}")


def test_fresh_problems_are_the_same_whoever_draws_them_and_never_a_test_problem():
    alone = [pair for chunk in fresh("teacher", 9000, workers=1) for pair in chunk]
    together = [pair for chunk in fresh("teacher", 9000, workers=2) for pair in chunk]
    assert alone == together
    assert len(alone) >= 9000
    assert not {problem for problem, _ in alone} & SMALL.reserved()
    assert all("\\boxed{" in completion for _, completion in alone)
    habits = [completion for chunk in fresh("start", 2000, 1) for _, completion in chunk]
    boxed = sum("\\boxed{" in completion for completion in habits) / len(habits)
    assert 0.5 < boxed < 0.9


def test_the_full_board_has_38_million_parameters():
    shape = Settings.of(1.0).shape
    h, f, layers = shape["hidden_size"], shape["intermediate_size"], shape["num_hidden_layers"]
    kv = h * shape["num_key_value_heads"] // shape["num_attention_heads"]
    layer = 2 * h * h + h + 2 * (h * kv + kv) + 3 * h * f + 2 * h
    assert 36e6 < layers * layer + h + 600 * h < 40e6


@pytest.mark.bench
def test_a_cut_down_board_is_made_loads_and_is_planned(harness, tmp_path):
    done = harness("small", "--out", "here", "--scale", "0.001", "--device", "cpu")
    assert done.stdout == "harness bench here/small.toml\n"
    models = tmp_path / "here" / "models"
    assert digest(models / "start") != digest(models / "teacher")
    assert parameter_count(models / "start") == parameter_count(models / "teacher")
    figures = json.loads((models / "figures.json").read_text())
    assert figures["scale"] == 0.001
    assert set(figures["teacher"]) == set(figures["start"]) >= set(SMALL.families)

    host = Host()
    board = load_board(str(tmp_path / "here" / "small.toml"), host)
    made = plan(board, host)
    for plugin in ("sft", "kd", "rl", "hybrid"):
        host.load(plugin)
    missing = set(host.trainers()) - {cell.trainer for cell in made.cells}
    controls = {"sft-shuffled", "rl-random", "rl-format"}
    assert missing == {"kd-traces"} | controls  # there are no traces of a stronger model
    assert len(made.cells) == 1 + 3 * len(board.file.trainers)
    assert board.file.scores[0].limit

    again = harness("small", "--out", "here", check=2)
    assert "holds a small board already" in again.stderr


@pytest.mark.slow
def test_a_cut_down_board_is_benched(harness):
    arguments = ("--out", "here", "--scale", "0.002", "--device", "cpu")
    harness("small", *arguments)
    bench = ("bench", "here/small.toml", "--plugins", "sft", "--seeds", "0")
    assert "sft" in harness(*bench).stdout


def test_a_smaller_scale_is_a_smaller_board():
    sizes = [Settings.of(scale) for scale in (0.01, 0.1, 0.5, 1.0)]
    for small, large in itertools.pairwise(sizes):
        assert small.steps < large.steps
        assert small.width <= large.width
        assert small.batch < large.batch
    flops = [float(re.search(r"flops = (\S+)", board_text(1_000_000, s))[1]) for s in (0.1, 1.0)]
    assert flops[0] < flops[1]
