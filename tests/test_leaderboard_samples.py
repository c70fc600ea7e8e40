from __future__ import annotations

import generated
import numpy as np
import pytest
from pages import row

from harness.boards.conditions import Benchmark
from harness.errors import UsageError
from harness.leaderboard.build import build
from harness.leaderboard.data import (
    Leaderboard,
)
from harness.render import markdown


def sampled(rng, difficulty: np.ndarray, shift: float, k: int = 4) -> tuple[str, str]:
    """Return verdicts of k answers to each question, and the majority's."""
    right = rng.random((difficulty.size, k)) < np.clip(difficulty + shift, 0, 1)[:, None]
    verdicts = "".join(np.where(right.ravel(), "C", "W"))
    return verdicts, "".join(np.where(2 * right.sum(axis=1) >= k, "C", "W"))


def sampled_board(seeds: int = 3, **more: object) -> Leaderboard:
    rng = np.random.default_rng(5)
    difficulty = rng.beta(0.4, 0.6, 300)
    records = []
    for trainer, shift in {"start": 0.0, "sft": 0.1, "rl": 0.2}.items():
        for seed in [None] if trainer == "start" else range(seeds):
            verdicts, majority = sampled(rng, difficulty, shift)
            scores = [generated.score("words", verdicts, samples=4, majority=majority, **more)]
            records.append(generated.record(trainer, seed, scores))
    benchmark = Benchmark(
        task="words",
        protocol="chat_zeroshot.v1",
        max_new_tokens=128,
        ranking=True,
        samples=4,
        temperature=0.7,
    )
    return build(records, generated.conditions(["words"], benchmarks=(benchmark,)))


def test_several_answers_give_their_mean_clustered_by_question():
    board = sampled_board()
    result = row(board, "sft").tasks[0]
    assert result.accuracy.n == 300
    shares = {k: one.share for k, one in result.pass_at.items()}
    assert shares[1] == pytest.approx(result.accuracy.accuracy, abs=1e-8)
    assert shares[1] < shares[2] < shares[4]
    assert result.majority.share > result.accuracy.accuracy > 0.4
    for one in (*result.pass_at.values(), result.majority):
        assert one.low < one.share < one.high
    assert result.gain.format == pytest.approx(0, abs=1e-8)
    assert result.gain.correctness == pytest.approx(result.gain.difference, abs=1e-8)
    # 1,200 answers alone would bound the start model twice as closely as their 300 questions do
    start = row(board, "start").accuracy
    independent = 3.92 * (start.accuracy * (1 - start.accuracy) / 1200) ** 0.5
    assert start.high - start.low > 1.5 * independent
    text = markdown.render(board)
    assert "## Several answers to each question" in text
    assert "| Trainer | avg@4 | pass@1 | pass@2 | pass@4 | maj@4 |" in text
    assert "4 samples at temperature 0.7" in text


def test_single_checkpoints_with_several_answers_are_not_compared_by_mcnemar():
    gain = row(sampled_board(seeds=1), "rl").gain
    assert (gain.test, gain.claim) == ("t over questions", "checkpoints")
    assert gain.low > 0


def test_records_with_another_number_of_answers_are_refused():
    records = [generated.record("start", None, [generated.score("words", "CWCW", samples=2)])]
    with pytest.raises(UsageError, match="another number of answers"):
        build(records, generated.conditions(["words"]))
