from __future__ import annotations

import generated
import numpy as np
import pytest
from pages import csv_lines, foot, letters, row, shared_board, warned

from harness.leaderboard.build import build
from harness.render import markdown


@pytest.mark.parametrize("seeds", [1, 3])
def test_accuracy_without_shared_problems_stands_beside_the_full_one(seeds):
    board = shared_board(tuple(range(1, 91)), seeds)
    result = row(board, "sft").tasks[0]
    assert (result.overlap_13, result.overlap_8) == (90, 90)
    assert result.accuracy.accuracy == pytest.approx(160 / 300)
    assert (result.clean.n, result.clean.accuracy) == (210, pytest.approx(70 / 210, abs=1e-8))
    assert result.gain.difference == pytest.approx(0.2, abs=1e-8)
    assert result.clean_gain.difference == pytest.approx(0, abs=1e-8)
    assert result.clean_gain.low < 0 < result.clean_gain.high
    warning = "words: 90 problems share 13 words in a row with training data"
    assert warned(board, "sft") == []  # there is no row beside it that shares fewer
    assert any(line.startswith(warning) for line in foot(board))
    start = row(board, "start").tasks[0]
    assert (start.overlap_13, start.clean) == (0, None)
    text = markdown.render(board)
    assert "## Problems shared with training data" in text
    assert "**sft** | 90 | 90 |" in text
    line = next(line for line in csv_lines(board) if line["trainer"] == "sft")
    assert (line["overlap_13"], line["clean_questions"]) == ("90", "210")
    assert float(line["clean_gain"]) == pytest.approx(0, abs=1e-8)


def test_a_gain_on_shared_problems_is_compared_with_the_gain_on_the_others():
    rng = np.random.default_rng(3)
    n, seeds, hits = 300, 5, tuple(range(30))
    start = rng.random(n) < 0.4
    records = [generated.record("start", None, [generated.score("words", letters(start))])]
    right = {"honest": [], "learnt": []}
    for seed in range(seeds):
        for trainer, answers in right.items():
            answers.append(rng.random(n) < 0.6)
            if trainer == "learnt":
                answers[-1][list(hits)] = True
            given = generated.score(
                "words", letters(answers[-1]), overlap_13=hits[:10], rephrased=hits[10:]
            )
            records.append(generated.record(trainer, seed, [given]))
    board = build(records, generated.conditions(["words"], seeds=range(seeds)))
    honest, learnt = (row(board, name).tasks[0] for name in right)
    assert (learnt.overlap_13, learnt.rephrased, learnt.shared) == (10, 20, 30)
    assert learnt.clean.n == 270
    mean = np.mean(right["learnt"], axis=0) - start
    expected = mean[:30].mean() - mean[30:].mean()
    assert learnt.shared_gain.difference == pytest.approx(expected, abs=1e-8)
    # by hand: Welch's over questions, with the seeds' own part, which flips alone explain here
    error = (mean[:30].var(ddof=1) / 30 + mean[30:].var(ddof=1) / 270) ** 0.5
    assert learnt.shared_gain.high - learnt.shared_gain.low == pytest.approx(4 * error, rel=0.2)
    assert learnt.shared_gain.p < 0.01 < honest.shared_gain.p
    assert learnt.shared_gain.p_adjusted == pytest.approx(2 * learnt.shared_gain.p)  # Holm over two
    assert honest.shared_gain.low < 0 < honest.shared_gain.high
    assert row(board, "start").tasks[0].shared_gain is None
    text = markdown.render(board)
    assert "over all 2 such differences of this page" in text
    assert any("20 problems are training problems in other words" in line for line in foot(board))
    lines = {line["trainer"]: line for line in csv_lines(board)}
    assert lines["learnt"]["rephrased"] == "20"
    assert float(lines["learnt"]["shared_gain"]) == pytest.approx(expected, abs=1e-8)


@pytest.mark.parametrize(
    "hits", [(7,), tuple(range(9)), tuple(range(291)), tuple(range(300)), ()], ids=len
)
def test_nothing_is_said_of_few_shared_problems_or_few_others(hits):
    board = shared_board(hits)
    assert row(board, "sft").tasks[0].shared_gain is None
    text = markdown.render(board)
    if hits:
        assert "of fewer than 10 such problems, or others, no gain on them is stated" in text
        assert "such difference" not in text  # there is no family
    assert row(shared_board(tuple(range(10))), "sft").tasks[0].shared_gain is not None


def test_a_page_of_records_that_nobody_looked_at_for_rephrased_problems_shows_a_dash():
    board = shared_board((1, 2, 3))
    assert row(board, "sft").tasks[0].rephrased is None
    assert "| **sft** | 3 | 3 | \N{EN DASH} |" in markdown.render(board)


def test_a_test_set_that_is_shared_as_a_whole_has_no_other_accuracy():
    board = shared_board(tuple(range(300)))
    assert row(board, "sft").tasks[0].clean is None
    whole = "words: all 300 problems share 13 words in a row with training data"
    assert foot(board) == [whole]
