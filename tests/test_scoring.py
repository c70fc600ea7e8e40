"""Whole test sets of published benchmarks, scored end to end from the command line."""

from __future__ import annotations

from pathlib import Path

import pytest
from verify_shared import SHARED

from harness.bench.facts import facts
from harness.bench.stage_identity import common, generation, judged_score
from harness.boards.board import load_board
from harness.errors import StageError
from harness.plugin.host import Host
from harness.records import read_records
from harness.stage.generate import Questions, _check_written, generate_answers
from harness.stage.judge import judge
from harness.stage.spec import Base
from harness.tasks.lm_eval import version
from harness.verify import VerifierPool

DATA = SHARED / "data"
START = Path(__file__).parents[1] / "plugins" / "harness_tiny" / "models" / "start"

pytestmark = pytest.mark.skipif(
    not (DATA / "gsm8k_test.jsonl.gz").exists(),
    reason="no shared data: gsm8k is not beside the repository (set HARNESS_SHARED)",
)

BOARD = f"""
schema = 1
name = "published"
title = "Published benchmarks for tests"
start_model = "{START}"
plugins = ["math"]
trainers = ["sft"]
seeds = [0]

[data]
train = ["gsm8k"]

[budget]
steps = 1

[compute]
batch_size = 128

[[scores]]
task = "gsm8k"
max_new_tokens = 24
ranking = true

[[scores]]
task = "math500"
max_new_tokens = 24

[[scores]]
task = "gsm8k"
protocol = "lm_eval:gsm8k_cot_zeroshot"
max_new_tokens = 24
"""


@pytest.mark.bench
def test_the_first_problems_of_published_sets_are_scored(harness, tmp_path):
    text = BOARD.replace("max_new_tokens = 24", "max_new_tokens = 24\nlimit = 20")
    (tmp_path / "published.toml").write_text(text)
    harness("score", str(START), "published.toml", "--data-dir", str(DATA))
    records = read_records(tmp_path / "runs" / "published" / "records")
    assert records
    for record in records:
        assert [(score.task, score.n) for score in record.scores] == [
            ("gsm8k", 20),
            ("math500", 20),
            ("gsm8k", 20),
        ]
        assert all(len(score.verdicts) == 20 for score in record.scores)
        plain, _, own = record.scores
        assert own.protocol == f"lm_eval:gsm8k_cot_zeroshot@{version()}"
        assert set(own.own) == {"exact_match,strict-match", "exact_match,flexible-extract"}
        assert not plain.own
        assert record.environment.engine == "hf"
        assert record.environment.attention == "sdpa"
        assert record.environment.batch_size == 128


@pytest.mark.slow
def test_whole_published_sets_are_scored_and_no_answer_is_lost(tmp_path):
    (tmp_path / "published.toml").write_text(BOARD)
    board = load_board(str(tmp_path / "published.toml"), Host(data_dir=DATA))
    identity = generation(board, common(board, facts("cpu")), Base())
    rows = [board.test_rows(score.table) for score in board.scores]
    documents = [score.documents() for score in board.scores]
    asked = list(map(Questions, identity.scores, rows, documents))
    generate_answers(START, asked, 128, "cpu", tmp_path)
    with VerifierPool() as pool:
        judged = [
            judge(judged_score(score), given, tmp_path / "answers", tmp_path / "judged", pool)
            for score, given in zip(board.scores, rows, strict=True)
        ]
    assert [len(score.verdicts) for score in judged] == [1319, 500, 1319]
    assert all(score.accuracy < 0.2 for score in judged)  # it was taught other problems


def test_what_lm_eval_could_write_only_in_part_fails_the_stage(tmp_path):
    """It warns of a full disk, and goes on."""
    place, date = tmp_path / "start", "2026-01-02T03-04-05.6"
    place.mkdir()
    results = place / f"results_{date}.json"
    samples = place / f"samples_a_{date}.jsonl"
    (place / f"samples_a_b_{date}.jsonl").write_text("{}\n")
    results.write_text('{"results": {}}')
    samples.write_text("{}\n{}\n")
    _check_written(tmp_path, "results")
    _check_written(tmp_path, "samples_a", 2)
    for path, content, rows in [(results, '{"res', None), (samples, '{}\n{"', 2), (samples, "", 2)]:
        path.write_text(content)
        with pytest.raises(StageError, match="lm-eval could not write its file"):
            _check_written(tmp_path, path.name.partition("_2026")[0], rows)
    samples.unlink()
    with pytest.raises(StageError, match="samples_a, and warns of it"):
        _check_written(tmp_path, "samples_a", 2)
