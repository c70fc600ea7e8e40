"""Stored answers are judged again by a newer verifier, without generating."""

from __future__ import annotations

import json

from harness.boards import load_board
from harness.plugins import Host
from harness.records import read_records, write_record


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
            "board": record.board.model_copy(update={"digest": board.digest_under("0")}),
            "scores": (first.model_copy(update={"verdicts": verdicts}), *record.scores[1:]),
        }
    )
    (folder / f"{record.id}.json").unlink()
    write_record(old, folder)
    return record.id


def test_regrade_supersedes_what_an_older_verifier_judged(small_board, harness, tmp_path):
    harness("bench", "--board", "small.toml", "--seeds", "0")
    folder = tmp_path / "runs" / "small" / "records"
    before = {r.trainer: r for r in read_records(folder)}
    old = pretend_older(small_board, folder)
    done = harness("regrade", "small.toml")
    assert f"{old}.regraded-" in done.stdout
    assert "3 verdicts changed" in done.stdout
    after = {r.trainer: r for r in read_records(folder)}
    assert after["start"].supersedes == old
    assert after["start"].scores == before["start"].scores
    assert after["unruly"] == before["unruly"]
    again = harness("regrade", "small.toml")
    assert "Nothing to do" in again.stderr


def test_answers_that_were_changed_are_not_judged(small_board, harness, tmp_path):
    harness("bench", "--board", "small.toml", "--seeds", "0")
    folder = tmp_path / "runs" / "small"
    old = pretend_older(small_board, folder / "records")
    path = folder / "answers" / old / "unruly_sums__chat_zeroshot.v1.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    rows[0]["text"] = f"\\boxed{{{rows[0]['gold']}}}"
    path.write_text("".join(json.dumps(row, sort_keys=True) + "\n" for row in rows))
    done = harness("regrade", "small.toml", check=3)
    assert "is not what record" in done.stderr
