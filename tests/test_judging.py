"""Stored answers are judged again by a newer verifier, without generating."""

from __future__ import annotations

import json
import subprocess
import sys
from unittest import mock

import pytest

from harness.bench import regrade
from harness.bench.executors.local import LocalExecutor
from harness.bench.folder import Folder
from harness.bench.plan import plan_start
from harness.bench.stage_identity import judged_score
from harness.bench.stage_inputs import StageInputs
from harness.boards.board import load_board
from harness.errors import TamperedError
from harness.files import jsonl, write_atomically
from harness.plugin.host import Host
from harness.records import LETTERS, read_records, write_record
from harness.stage.judge import judge, majority, verifier_pool
from harness.stage.manifest import is_done, write_manifest
from harness.stage.spec import JudgeResult, read
from harness.verify import Conventions, VerifierPool


def pretend_older(small_board, folder) -> str:
    """Replace the start model's record by one of an older verifier that judged differently."""
    board = load_board(str(small_board), Host())
    (record,) = (r for r in read_records(folder) if r.trainer == "start")
    first = record.scores[0]
    wrong = {"C": "W", "W": "C"}
    verdicts = "".join(wrong.get(v, "W") for v in first.verdicts[:3]) + first.verdicts[3:]
    old = record.model_copy(
        update={
            "verifier_version": "0",
            "board": record.board.model_copy(update={"digest": board.digests_under("0")[0]}),
            "scores": (first.model_copy(update={"verdicts": verdicts}), *record.scores[1:]),
        }
    )
    (folder / f"{record.id}.json").unlink()
    write_record(old, folder)
    return record.id


@pytest.mark.bench
def test_regrade_supersedes_what_an_older_verifier_judged(small_board, harness, tmp_path):
    harness("bench", "small.toml", "--seeds", "0")
    folder = tmp_path / "runs" / "small" / "records"
    before = {r.trainer: r for r in read_records(folder)}
    old = pretend_older(small_board, folder)
    with mock.patch.object(regrade, "verifier_pool", side_effect=verifier_pool) as pools:
        done = harness("regrade", "small.toml")
    pools.assert_called_once_with()
    assert f"{old}.regraded-" in done.stdout
    assert "3 verdicts changed" in done.stdout
    after = {r.trainer: r for r in read_records(folder)}
    assert after["start"].supersedes == old
    assert after["start"].scores == before["start"].scores
    assert after["unruly"] == before["unruly"]
    again = harness("regrade", "small.toml")
    assert "Nothing to do" in again.stderr


def test_stored_answers_are_judged_on_all_cores_up_to_eight(monkeypatch):
    for here, used in ((1, 1), (3, 3), (64, 8)):
        monkeypatch.setattr("os.sched_getaffinity", lambda _, here=here: set(range(here)))
        with verifier_pool() as pool:
            assert pool.workers == used


@pytest.mark.promise("What a stage left is checked when it is used, and named if it was changed")
@pytest.mark.bench
def test_answers_that_were_changed_are_not_judged(small_board, harness, tmp_path):
    harness("bench", "small.toml", "--seeds", "0")
    folder = tmp_path / "runs" / "small"
    old = pretend_older(small_board, folder / "records")
    path = folder / "answers" / old / "unruly_sums__chat_zeroshot.v1.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    rows[0]["text"] = "\\boxed{1}"
    path.write_text("".join(json.dumps(row, sort_keys=True) + "\n" for row in rows))
    done = harness("regrade", "small.toml", check=3)
    assert "is not what record" in done.stderr


def test_answers_in_another_order_than_the_questions_are_not_judged(small_board, tmp_path):
    board = load_board(str(small_board), Host())
    score = board.scores[0]
    rows = board.test_rows(score.table)
    answer = {"text": "", "tokens": 0, "finish": "stop"}
    lines = [json.dumps({"id": row["id"], **answer}) + "\n" for row in reversed(rows)]
    (tmp_path / f"{score.name}.jsonl").write_text("".join(lines))
    with VerifierPool(workers=1) as pool, pytest.raises(TamperedError, match="in order"):
        judge(judged_score(score), rows, tmp_path, tmp_path / "out", pool)


def test_a_judging_process_needs_neither_torch_nor_the_bench(small_board, tmp_path):
    """On a GPU it is a fresh interpreter, whose start would otherwise take longer than judging."""
    board, folder = load_board(str(small_board), Host()), Folder(tmp_path / "runs")
    made = plan_start(board)
    (cell,) = made.cells
    for score in board.scores:
        rows = board.test_rows(score.table)
        lines = [
            {"id": row["id"], "sample": 0, "text": f"\\boxed{{{row['answer']}}}", "tokens": 5,
             "finish": "stop"}
            for row in rows
        ]  # fmt: skip
        path = folder.stage(cell.generate) / "answers" / f"{score.name}.jsonl"
        write_atomically(path, jsonl(lines))
    write_manifest(folder.stage(cell.generate))
    stage = folder.stage(cell.judge)
    inputs = StageInputs(made, folder, LocalExecutor(1, "cpu", 1, tmp_path / "log"))
    inputs.spec(made.stages[cell.judge], attempts=1).write(stage / "stage.json")
    code = (
        "import sys; from pathlib import Path; from harness.stage.main import main;"
        " code = main(Path(sys.argv[1])); heavy = ('torch', 'transformers', 'lm_eval', 'sympy',"
        " 'harness.bench', 'harness.boards'); print(code, [n for n in heavy if n in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(stage)], capture_output=True, text=True, check=True
    )
    assert done.stdout.split(None, 1) == ["0", "[]\n"], done.stderr
    assert is_done(stage)
    scores = read(stage / "result.json", JudgeResult).scores
    assert [set(score.verdicts) for score in scores] == [{"C"}] * len(board.scores)


SAMPLED = """temperature = 1.2
samples = 3
"""


@pytest.mark.bench
def test_several_samples_are_judged_one_by_one_and_vote(small_board, harness, tmp_path):
    small_board.write_text(
        small_board.read_text().replace("max_new_tokens = 4\n", f"max_new_tokens = 4\n{SAMPLED}")
    )
    harness("bench", "small.toml", "--seeds", "0")
    folder = tmp_path / "runs" / "small"
    for record in read_records(folder / "records"):
        greedy, sampled = record.scores
        assert (greedy.samples, greedy.majority) == (1, "")
        assert sampled.samples == 3
        assert len(sampled.verdicts) == 3 * sampled.n
        assert len(sampled.majority) == sampled.n
        path = folder / "answers" / record.id / "unruly_other__chat_zeroshot.v1.jsonl"
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        assert [line["sample"] for line in lines] == [0, 1, 2] * sampled.n
        letters = [LETTERS[line["verdict"]] for line in lines]
        assert "".join(letters) == sampled.verdicts


@pytest.fixture(scope="module")
def pool():
    with VerifierPool() as pool:
        yield pool


@pytest.mark.parametrize(
    ("answers", "gold", "letter"),
    [
        (["4", "5", "5"], "5", "C"),
        (["4", "5", "4"], "5", "W"),
        (["4", "5"], "5", "W"),  # a tie goes to the answer that was given first
        (["5", "4"], "5", "C"),
        (["5", "4", "4", "5"], "4", "W"),
        (["4", "5", "5", "4"], "4", "C"),
        (["4", "5", "6", "5.0"], "5", "C"),
        (["7", "(x+1)^2", "7", "x^2+2x+1", "1+2x+x^2"], "7", "W"),
        (["7", "(x+1)^2", "7", "x^2+2x+2", "2x+x^2+3"], "7", "C"),
        (["1/2", "7", "0.5", "7", "\\frac{2}{4}"], "7", "W"),
        (["", "", "5"], "5", "C"),
        (["", "", ""], "5", "N"),
        (["", "4", ""], "5", "W"),  # no answer has no vote
    ],
)
def test_the_majority_is_of_answers_that_are_equal_and_not_of_texts(pool, answers, gold, letter):
    texts = [f"So it is \\boxed{{{answer}}}." if answer else "I cannot say." for answer in answers]
    judged = pool.verify_many(texts, [gold] * len(texts))
    assert majority(judged, len(texts), Conventions(), pool) == letter


def test_answers_that_were_cut_off_do_not_vote(pool):
    texts, cut = ["first 3 and", "so 4 or", "\\boxed{5}"], [True, True, False]
    judged = pool.verify_many(texts, ["5"] * 3, truncated=cut)
    assert majority(judged, 3, Conventions(), pool) == "C"
    assert majority(judged[:2], 2, Conventions(), pool) == "T"
    assert majority(judged, 1, Conventions(), pool) == ""


def test_questions_vote_by_themselves(pool):
    texts = [f"\\boxed{{{answer}}}" for answer in ("1", "1", "2", "3", "3", "3")]
    judged = pool.verify_many(texts, ["1", "1", "1", "1", "1", "1"])
    assert majority(judged, 3, Conventions(), pool) == "CW"
