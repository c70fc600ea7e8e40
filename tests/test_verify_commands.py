"""The verifier's commands: one judgement explained, and files of answers judged."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from harness_tiny import rows as problems
from verify_shared import SHARED

from harness.bench.answers_file import Columns, Tally, find_columns, judge_rows
from harness.cli.main import cli
from harness.errors import UsageError
from harness.verify import VERIFIER_VERSION, VerifierPool


def test_verify_explains_and_sets_the_exit_status() -> None:
    right = CliRunner().invoke(cli, ["verify", r"\frac{1}{2}", "0.5"])
    assert right.exit_code == 0
    assert "gold read as: 1/2" in right.output
    assert "2. the whole text is the answer: 0.5" in right.output
    boxed = CliRunner().invoke(cli, ["verify", "2", r"\boxed{2}", "--form", "boxed"])
    assert "2. final answer found in the protocol's own form: 2" in boxed.output
    assert "verdict: correct" in right.output
    wrong = CliRunner().invoke(cli, ["verify", "3.14", r"\pi"])
    assert wrong.exit_code == 1
    rounded = CliRunner().invoke(cli, ["verify", "3.14", r"\pi", "-c", "rounding=gold", "--json"])
    assert rounded.exit_code == 0
    assert json.loads(rounded.output)["verdict"] == "correct"


def test_verify_names_an_unknown_convention() -> None:
    for pair, text in (
        ("colour=red", "colour"),
        ("percent", "not of the form"),
        ("rounding=up", "rounding"),
    ):
        result = CliRunner().invoke(cli, ["verify", "1", "1", "-c", pair])
        assert isinstance(result.exception, UsageError)
        assert text in str(result.exception)


def write_rows(path: Path, rows: list[dict[str, Any]], end: str = "") -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows) + end)
    return path


def judge(*arguments: object) -> Result:
    return CliRunner().invoke(cli, ["judge", *map(str, arguments), "--workers", "1"])


def test_judge_writes_rows_and_counts(tmp_path: Path) -> None:
    rows = [
        {"answer_text": "\\boxed{1+x}", "gold": "x+1", "id": 7},
        {"answer_text": "\\boxed{2}", "gold": "3"},
        {"answer_text": "\\boxed{2", "gold": "2", "truncated": True},
        {"answer_text": "well", "gold": "2", "truncated": True},
    ]
    source, out = write_rows(tmp_path / "in.jsonl", rows, '{"answer_te'), tmp_path / "out.jsonl"
    result = judge(source, "--out", out)
    assert result.exit_code == 0, result.output
    assert "4 answers in 'answer_text', gold answers in 'gold'" in result.stdout
    assert "2 correct, 1 truncated, 1 wrong" in result.stdout
    assert "torn" in result.stdout
    written = [json.loads(line) for line in out.read_text().splitlines()]
    verdicts = [row["judgement"]["verdict"] for row in written]
    assert verdicts == ["correct", "wrong", "correct", "truncated"]
    assert written[0]["id"] == 7
    assert written[0]["verifier"] == VERIFIER_VERSION
    assert not list(tmp_path.glob("*.partial"))


def test_a_message_names_the_line_of_the_file(tmp_path: Path) -> None:
    """Blank lines are no answers, and are counted all the same where a line is named."""
    path = tmp_path / "in.jsonl"
    path.write_text('{"output": "\\\\boxed{1}", "gold": "1"}\n\n\n{"output": "1"}\n')
    assert "line 4 has no 'gold'; it has output" in str(judge(path).exception)
    path.write_text('\n{"output": "1", "gold": "2", "correct": true}\n')
    shown = judge(path, "--disagreements").stdout
    assert "1 answer in 'output'" in shown
    assert "\nline 2" in shown


def test_labels_are_compared_with_verdicts_for_each_model(tmp_path: Path) -> None:
    rows = [
        {"output": "The answer is 4.", "answer": "4", "model": "a", "correct": True},
        {"output": "The answer is 5.", "answer": "4", "model": "a", "correct": False},
        {"output": "\\boxed{0.5}", "answer": "\\frac12", "model": "b", "correct": False},
        {"output": "The answer is 6.", "answer": "4", "model": "b", "correct": True},
    ]
    path = tmp_path / "in.jsonl.gz"
    with gzip.open(path, "wt") as sink:
        sink.writelines(json.dumps(row) + "\n" for row in rows)
    found = json.loads(judge(path, "--json", "--disagreements").stdout)
    assert found["agreement"] == {
        "labelled": 4,
        "agree": 2,
        "label_right_only": 1,
        "verdict_correct_only": 1,
        "table": {"true": {"correct": 1, "wrong": 1}, "false": {"correct": 1, "wrong": 1}},
    }
    assert found["models"] == {"a": {"correct": 1, "wrong": 1}, "b": {"correct": 1, "wrong": 1}}
    assert [one["line"] for one in found["disagreements"]] == [3, 4]
    assert found["disagreements"][1]["extracted"] == "6"
    text = judge(path, "--disagreements").stdout
    assert "agrees with 'correct': 2 of 4 labels" in text
    assert "label wrong, verdict correct: the same value" in text
    assert "gold '\\\\frac12', extracted '0.5'" in text


@pytest.mark.parametrize(
    ("row", "answer", "gold"),
    [
        ({"output": "", "answer": ""}, "output", "answer"),
        ({"response": "", "gold": "", "answer": ""}, "response", "gold"),
        ({"answer": "", "target": ""}, "answer", "target"),
        ({"text": "", "ground_truth": "", "correct": True}, "text", "ground_truth"),
    ],
)
def test_columns_are_found(row: dict[str, Any], answer: str, gold: str) -> None:
    found = find_columns(row)
    assert (found.answer, found.gold) == (answer, gold)
    assert found.label == ("correct" if "correct" in row else None)


def test_columns_that_cannot_be_told_are_named(tmp_path: Path) -> None:
    for row, says in (
        ({}, "cannot find the column of the responses among"),
        ({"answer": ""}, "the column of the responses among answer; give --answer"),
        ({"output": "", "level": ""}, "the column of the gold answers among level, output"),
    ):
        result = judge(write_rows(tmp_path / "in.jsonl", [row]))
        assert isinstance(result.exception, UsageError)
        assert says in str(result.exception)
    path = write_rows(tmp_path / "in.jsonl", [{"output": "1", "gold": "1"}, {"output": "1"}])
    assert "line 2 has no 'gold'; it has output" in str(judge(path).exception)
    absent = judge(path, "--gold", "truth").exception
    assert "no column 'truth'; they have gold, output" in str(absent)
    path.write_text("")
    assert "holds no answer" in str(judge(path).exception)
    path = write_rows(tmp_path / "in.jsonl", [{"output": "1", "gold": "1", "correct": 2}])
    assert "'correct' is 2, not true or false" in str(judge(path).exception)


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("in.jsonl", b"[1]", "in.jsonl is not a JSON object"),
        ("in.jsonl", b"[" * 100_000 + b"\n", "in.jsonl is nested more than"),
        ("in.jsonl", b'{"output": "1", "gold": "1"}\n{"out\n{}', "in.jsonl is not JSON"),
        ("in.jsonl", b'{"output": "\xff", "gold": "1"}\n', "in.jsonl is not UTF-8"),
        ("in.jsonl", b'{"output": "1", "go', "in.jsonl holds no answer"),
        ("in.jsonl", b'{"output": ["1"], "gold": "1"}\n', "line 1: 'output' is a list"),
        ("in.jsonl", b'{"output": "1", "gold": {"a": 1}}\n', "line 1: 'gold' is an object"),
        (
            "in.jsonl",
            b'{"output": "1", "gold": "1", "id": 7, "sample": 0}\n' * 2,
            "in.jsonl has the id and the sample of line 1: it would count twice",
        ),
        ("in.jsonl.gz", b'{"output": "1", "gold": "1"}\n', "Not a gzipped file"),
        (
            "in.jsonl.gz",
            gzip.compress(b'{"output": "1", "gold": "1"}\n', mtime=0)[:-9],
            "end-of-stream",
        ),
    ],
)
def test_a_broken_file_of_answers_is_one_line(
    tmp_path: Path, name: str, content: bytes, says: str
) -> None:
    (tmp_path / name).write_bytes(content)
    error = judge(tmp_path / name).exception
    assert isinstance(error, UsageError)
    assert says in str(error)
    assert "\n" not in str(error)


def test_judged_rows_go_to_a_new_folder_and_never_over_the_answers(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "in.jsonl", [{"output": "\\boxed{1}", "gold": "1"}])
    before = path.read_bytes()
    error = judge(path, "--out", path).exception
    assert isinstance(error, UsageError)
    assert "name another" in str(error)
    assert path.read_bytes() == before
    out = tmp_path / "new" / "out.jsonl"
    assert judge(path, "--out", out).exit_code == 0
    assert json.loads(out.read_text())["judgement"]["verdict"] == "correct"


def test_gold_answers_and_conventions_come_from_a_task(tmp_path: Path) -> None:
    rows = problems("tiny_word", "test")[:3]
    answers = [
        {"id": rows[0]["id"], "response": f"The answer is {rows[0]['answer']}."},
        {"question": rows[1]["problem"].upper(), "response": f"\\boxed{{{rows[1]['answer']}}}"},
        {"id": rows[2]["id"], "response": "at last 7 and 8"},  # commits to nothing
    ]
    path = write_rows(tmp_path / "in.jsonl", answers)
    found = json.loads(judge(path, "--task", "tiny_word", "--json").stdout)
    assert found["verdicts"] == {"correct": 2, "no_answer": 1}
    assert found["gold"] == "task tiny_word"
    assert found["conventions"] == {"fallback": "committed"}
    other = judge(path, "--task", "tiny_word", "-c", "fallback=any", "--json")
    assert json.loads(other.stdout)["verdicts"] == {"correct": 2, "wrong": 1}
    path = write_rows(tmp_path / "in.jsonl", [{"id": "elsewhere", "response": "1"}])
    unknown = judge(path, "--task", "tiny_word").exception
    assert "line 1 names no problem of the task" in str(unknown)
    misspelt = judge(path, "--task", "tiny_wrd").exception
    assert "did you mean 'tiny_word'?" in str(misspelt)


def test_a_line_that_was_torn_within_a_character_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "in.jsonl"
    path.write_bytes('{"output": "1", "gold": "1"}\n{"output": "é'.encode()[:-1])
    found = json.loads(judge(path, "--form", "bare", "--json").stdout)
    assert (found["answers"], found["torn_last_line"]) == (1, True)


@pytest.mark.bench
@pytest.mark.parametrize(
    ("name", "agree", "of"),
    [("outputs_gsm8k_openai", 5276, 5276), ("outputs_math_qwen", 791, 800)],
)
def test_published_labels(name: str, agree: int, of: int) -> None:
    path = SHARED / "data" / f"{name}.jsonl.gz"
    if not path.exists():
        pytest.skip(f"no shared data: {name} is not beside the repository (set HARNESS_SHARED)")
    found = json.loads(judge(path, "--json", "--disagreements").stdout)
    assert (found["agreement"]["agree"], found["agreement"]["labelled"]) == (agree, of)
    assert len(found["disagreements"]) == of - agree


def test_judging_streams() -> None:
    seen = 0

    def source():
        nonlocal seen
        for i in range(3_000):
            seen += 1
            yield i + 1, {"a": f"\\boxed{{{i}}}", "g": i}

    tally = Tally()
    with VerifierPool() as pool:
        judged = judge_rows(source(), pool, Columns("a", "g"), tally=tally)
        next(judged)
        assert seen < 1_000
        assert sum(1 for _ in judged) == 2_999
    assert tally.correct == tally.rows == 3_000


def test_terminal_text_is_made_harmless(tmp_path: Path) -> None:
    row = {
        "output": "\\boxed{a\x1b[31mb\u202ec}",
        "gold": "1",
        "model": "m\x1b[2J",
        "correct": True,
    }
    shown = judge(write_rows(tmp_path / "in.jsonl", [row]), "--disagreements").stdout
    assert "m\\x1b[2J" in shown
    assert "\x1b" not in shown
    steps = CliRunner().invoke(cli, ["verify", "1", "a\x1b[31mb\u202ec"]).stdout
    assert "\x1b" not in steps
    assert "\u202e" not in steps
