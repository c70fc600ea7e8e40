"""The leaderboard of a runs folder: of all that lies there, and of what its answers bear out."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness.leaderboard.data import Leaderboard
from harness.records import Record

pytestmark = pytest.mark.bench


def leaderboard(folder: Path) -> Leaderboard:
    return Leaderboard.model_validate_json((folder / "runs/small/small.json").read_text())


def test_a_small_bench_leaves_no_smaller_leaderboard_and_what_was_made_is_checked(
    small_board, harness, tmp_path
):
    """Bench twice, reseal a rival's record, publish, spot-check, and forge the answers."""
    harness("bench", "small.toml", "--plugins", "unruly-slow", "--seeds", "0")
    first = leaderboard(tmp_path)
    assert [one.kind for one in first.warnings if one.kind == "no_record"] == []  # not asked for
    harness("bench", "small.toml", "--plugins", "unruly", "--seeds", "0")
    assert {row.trainer for row in leaderboard(tmp_path).rows} == {"start", "unruly", "unruly-slow"}

    (path,) = (tmp_path / "runs/small/records").glob("unruly-s0*.json")
    honest = path.read_text()
    content = json.loads(honest)
    score = content["scores"][0]
    score["verdicts"] = "".join("C" if letter == "W" else "W" for letter in score["verdicts"])
    path.write_text(Record.model_validate(content).sealed().to_json())
    done = harness("bench", "small.toml", "--plugins", "unruly-slow", "--seeds", "0")
    assert "Nothing to do" in done.stderr
    rows = {row.trainer: row for row in leaderboard(tmp_path).rows}
    assert rows["unruly"].claimed
    assert rows["unruly"].rank is None
    assert not rows["unruly-slow"].claimed
    path.write_text(honest)

    harness("publish", "small.toml", check=None)
    assert harness("check", "small.toml").stdout.splitlines()[-1].endswith("recomputed")
    for name in ("small", "small.toml"):
        assert harness("publish", name, "--check").stdout.startswith("small: every file is")
    done = harness("check", "small.toml", "--regenerate", "4", "--draw", "mine", "--json")
    states = {one["cell"]: one["state"] for one in json.loads(done.stdout)}
    assert set(states.values()) == {"spot-checked"}
    answers_by_another_model(tmp_path)
    done = harness("check", "small.toml", "runs/small", "--regenerate", "4", check=3)
    assert (
        "unruly-slow/0 differs: unruly_sums: the checkpoint answers 4 of 4 questions" in done.stdout
    )


def answers_by_another_model(folder: Path) -> None:
    """Make other answers of a cell and judge them, so that all but the checkpoint agrees."""
    from harness.bench.stage_identity import judged_score
    from harness.boards.board import load_board
    from harness.plugin.host import Host
    from harness.stage.judge import judge
    from harness.verify import VerifierPool

    board = load_board(str(folder / "small.toml"), Host())
    (path,) = (folder / "runs/small/records").glob("unruly-slow-s0*.json")
    record = Record.model_validate_json(path.read_text())
    given, out = folder / "given", folder / "runs/small/answers" / record.id
    given.mkdir()
    with VerifierPool() as pool:
        scores = []
        for one in board.scores:
            rows = board.test_rows(one.table)
            lines = [
                {"id": row["id"], "sample": 0, "text": "\\boxed{7}", "tokens": 3, "finish": "stop"}
                for row in rows
            ]
            text = "".join(json.dumps(line) + "\n" for line in lines)
            (given / f"{one.name}.jsonl").write_text(text)
            scores.append(judge(judged_score(one), rows, given, out, pool))
    path.write_text(record.model_copy(update={"scores": tuple(scores)}).sealed().to_json())
