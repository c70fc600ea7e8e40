"""The verifier's commands and the grading of files."""

from __future__ import annotations

import json
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from harness.errors import UsageError
from harness.verify import VERIFIER_VERSION, VerifierPool
from harness.verify.commands import printable, register
from harness.verify.grading import Tally, grade_rows, rows_of


@pytest.fixture
def cli() -> click.Group:
    group = click.Group("harness")
    register(group)
    return group


def test_verify_explains_and_sets_the_exit_status(cli: click.Group) -> None:
    right = CliRunner().invoke(cli, ["verify", r"\frac{1}{2}", "0.5"])
    assert right.exit_code == 0
    assert "gold read as: 1/2" in right.output
    assert "verdict: correct" in right.output
    wrong = CliRunner().invoke(cli, ["verify", "3.14", r"\pi"])
    assert wrong.exit_code == 1
    rounded = CliRunner().invoke(cli, ["verify", "3.14", r"\pi", "-c", "rounding=gold", "--json"])
    assert rounded.exit_code == 0
    assert json.loads(rounded.output)["verdict"] == "correct"


def test_verify_names_an_unknown_convention(cli: click.Group) -> None:
    for pair, text in (
        ("colour=red", "colour"),
        ("percent", "not of the form"),
        ("rounding=up", "rounding"),
    ):
        result = CliRunner().invoke(cli, ["verify", "1", "1", "-c", pair])
        assert isinstance(result.exception, UsageError)
        assert text in str(result.exception)


def test_grade_writes_rows_and_counts(cli: click.Group, tmp_path: Path) -> None:
    source, out = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    rows = [
        {"answer_text": "\\boxed{1+x}", "gold": "x+1", "id": 7},
        {"answer_text": "\\boxed{2}", "gold": "3"},
        {"answer_text": "\\boxed{2", "gold": "2", "truncated": True},
        {"answer_text": "well", "gold": "2", "truncated": True},
    ]
    source.write_text("".join(json.dumps(r) + "\n" for r in rows) + '{"answer_te')
    result = CliRunner().invoke(cli, ["grade", str(source), "--out", str(out), "--workers", "1"])
    assert result.exit_code == 0, result.output
    assert "4 answers: 2 correct, 1 truncated, 1 wrong" in result.output
    assert "torn" in result.output
    written = [json.loads(line) for line in out.read_text().splitlines()]
    assert [w["judgement"]["verdict"] for w in written] == [
        "correct",
        "wrong",
        "correct",
        "truncated",
    ]
    assert written[0]["id"] == 7
    assert written[0]["verifier"] == VERIFIER_VERSION
    assert not list(tmp_path.glob("*.partial"))


def test_grade_refuses_bad_files(cli: click.Group, tmp_path: Path) -> None:
    source = tmp_path / "in.jsonl"
    source.write_text("{}\n")
    missing = CliRunner().invoke(cli, ["grade", str(source)])
    assert "'answer_text'" in str(missing.exception)
    with pytest.raises(UsageError, match="line 1 of"):
        list(rows_of(["[1]\n", "{}\n"], Tally()))


def test_grading_streams() -> None:
    seen = 0

    def source():
        nonlocal seen
        for i in range(3_000):
            seen += 1
            yield {"a": f"\\boxed{{{i}}}", "g": i}

    tally = Tally()
    with VerifierPool() as pool:
        graded = grade_rows(source(), pool, answer_key="a", gold_key="g", tally=tally)
        next(graded)
        assert seen < 1_000
        assert sum(1 for _ in graded) == 2_999
    assert tally.accuracy == 1.0
    assert tally.rows == 3_000


def test_terminal_text_is_made_harmless() -> None:
    assert printable("a\x1b[31mb\u202ec") == "a [31mb c"
