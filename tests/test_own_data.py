"""Files of one's own in a board: read by their columns, checked by line before anything runs."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from harness.bench.plan import plan
from harness.boards.board import Board, load_board
from harness.errors import UsageError
from harness.plugin.host import Host
from harness.tasks.local import Columns, LocalRows

TABLE = '[tasks.mine]\ntrain = "train.jsonl"\ntest = "test.jsonl"\n'
TRAIN = [{"problem": f"{n}+{n}?", "answer": 2 * n, "solution": f"{2 * n}."} for n in range(5)]
TEST = [{"problem": f"{n}+5?", "answer": f"{n + 5}"} for n in range(3)]


def write(path: Path, rows: list[dict[str, object]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture
def board_file(small_board) -> Path:
    """Return a board that trains and ranks by files beside it."""
    text = small_board.read_text().replace("[data]", f"{TABLE}\n[data]")
    text = text.replace('train = ["unruly_sums"]', 'train = ["mine"]')
    small_board.write_text(text.replace('task = "unruly_sums"', 'task = "mine"'))
    write(small_board.parent / "train.jsonl", TRAIN)
    write(small_board.parent / "test.jsonl", TEST)
    return small_board


def load(path: Path) -> Board:
    return load_board(str(path), Host())


def test_a_board_names_its_own_files(board_file):
    board = load(board_file)
    rows = board.train_rows()
    assert [(row["problem"], row["answer"], row["solution"]) for row in rows[:2]] == [
        ("0+0?", "0", "0."),
        ("1+1?", "2", "2."),
    ]
    assert len({row["id"] for row in rows}) == 5
    assert [row["answer"] for row in board.test_rows(board.ranking)] == ["5", "6", "7"]
    assert board.conditions().data == "mine (5 rows)"
    assert plan(board, Host()).cells


@pytest.mark.parametrize(
    ("file", "change", "changes"),
    [
        ("train.jsonl", lambda rows: rows[:-1], True),
        ("test.jsonl", lambda rows: [{**rows[0], "answer": "7"}, *rows[1:]], True),
        ("train.jsonl", lambda rows: [{**rows[0], "solution": "0!"}, *rows[1:]], True),
        (
            "train.jsonl",
            lambda rows: [{**row, "answer": str(row["answer"])} for row in rows],
            False,
        ),
    ],
)
def test_the_rows_enter_the_board_s_digest(board_file, file, change, changes):
    before = load(board_file).digest
    rows = TRAIN if file == "train.jsonl" else TEST
    write(board_file.parent / file, change(rows))
    assert (load(board_file).digest != before) is changes


def test_the_names_of_the_files_are_no_condition(board_file):
    before = load(board_file).digest
    (board_file.parent / "train.jsonl").rename(board_file.parent / "rows.jsonl")
    board_file.write_text(board_file.read_text().replace("train.jsonl", "rows.jsonl"))
    assert load(board_file).digest == before


def test_columns_are_named_and_gold_answers_found_in_solutions(tmp_path):
    path = write(
        tmp_path / "rows.jsonl",
        [{"question": "1+1?", "reply": "Two.\n#### 2", "id": 7, "level": 3, "tags": ["a"]}],
    )
    columns = Columns(problem="question", answer="reply", gold="hash")
    assert LocalRows({"test": path}, columns)("test") == [
        {"id": "7", "problem": "1+1?", "answer": "2", "solution": "Two.\n#### 2", "level": "3"}
    ]


ONE = b'{"problem": "1+1?", "answer": "2", "id": "a"}\n'


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "holds no row"),
        (b"\n\n", "holds no row"),
        (ONE + b'{"problem": "\xff", "answer": "2"}\n', "line 2 of rows.jsonl is not UTF-8"),
        (ONE + b"\n[1]\n", "line 3 of rows.jsonl is not a JSON object"),
        (
            ONE + b'{"answer": "2"}',
            "line 2 of rows.jsonl has no 'problem'; it has answer (docs",
        ),
        (
            b'{"problem": "1", "answer": null}',
            "line 1 of rows.jsonl: 'answer' is null, and must be a text or a number",
        ),
        (b'{"problem": "1", "answer": [2]}', "line 1 of rows.jsonl: 'answer' is a list, and must"),
        (
            b'{"problem": "1", "answer": NaN}',
            "line 1 of rows.jsonl: 'answer' is NaN or infinite, and",
        ),
        (b'{"problem": "1", "answer": true}', "line 1 of rows.jsonl: 'answer' is true or false"),
        (b'{"problem": " ", "answer": "2"}', "line 1 of rows.jsonl: the problem is empty"),
        (b'{"problem": "1", "answer": ""}', "line 1 of rows.jsonl: the answer is empty"),
        (
            ONE + b'\n{"problem": "3", "answer": "3", "id": "a"}',
            "line 3 of rows.jsonl has the id 'a' of line 1; every row needs its own",
        ),
        (
            ONE + b'{"problem": " 1+1? ", "answer": "2"}',
            "line 2 of rows.jsonl has the problem of line 1; leave one of them out",
        ),
    ],
)
def test_a_bad_line_is_named(tmp_path, monkeypatch, content, says):
    monkeypatch.chdir(tmp_path)
    Path("rows.jsonl").write_bytes(content)
    with pytest.raises(UsageError) as caught:
        LocalRows({"test": Path("rows.jsonl")})("test")
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_windows_files_are_read(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b'\xef\xbb\xbf{"problem": "1+1?", "answer": 2.50}\r\n')
    (row,) = LocalRows({"test": path})("test")
    assert row["answer"] == "2.50"  # as it is written


def test_a_problem_may_be_taught_with_several_solutions(tmp_path):
    path = write(tmp_path / "rows.jsonl", [{**TRAIN[0], "solution": text} for text in ("a", "b")])
    assert len({row["id"] for row in LocalRows({"train": path})("train")}) == 2
    write(path, [TRAIN[0], TRAIN[0]])
    with pytest.raises(UsageError, match=r"line 2 of .* has the problem of line 1"):
        LocalRows({"train": path})("train")


def test_mistakes_are_found_when_a_bench_is_planned(board_file, harness):
    """In one line with exit code 2, before anything is written or trained."""
    folder = board_file.parent

    def refused(*arguments: str) -> str:
        done = harness("bench", "small.toml", "--dry-run", *arguments, check=2)
        assert len(done.stderr.splitlines()) == 1
        return done.stderr

    write(folder / "test.jsonl", [*TEST, {**TRAIN[2], "problem": " 2+2? "}])
    assert "line 4 of test.jsonl is line 3 of train.jsonl of" in refused()
    write(folder / "test.jsonl", TEST)
    bare = [
        {k: v for k, v in row.items() if k != "solution" or n % 2} for n, row in enumerate(TRAIN)
    ]
    write(folder / "train.jsonl", bare)
    assert (
        "trainer 'sft' learns from worked solutions, and 3 of the 5 training rows of mine have"
        " none, first line 1 of train.jsonl; add them, or" in refused("--plugins", "sft")
    )
    harness("bench", "small.toml", "--dry-run", "--plugins", "rl")
    (folder / "train.jsonl").write_text("")
    assert "train.jsonl holds no row" in refused()
    (folder / "train.jsonl").unlink()
    assert "cannot read train.jsonl: No such file or directory" in refused()
    assert not (folder / "runs").exists()


def test_a_test_set_of_a_plugin_is_not_trained_on_from_a_file(board_file):
    rows = [{"problem": "test 4+1?", "answer": "5", "solution": "5"}]
    write(board_file.parent / "train.jsonl", rows)
    with pytest.raises(UsageError, match=r"of unruly_other: test-4 is line 1 of .*train.jsonl"):
        plan(load(board_file), Host())


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("[tasks.mine]", "[tasks.unruly_sums]", "a plug-in has a task 'unruly_sums' already"),
        ("[tasks.mine]", "[tasks.Mine]", "tasks.Mine: 'Mine' is no name: lower-case"),
        (TABLE, "[tasks.mine]\n", "tasks.mine: name a file for at least one of train, holdout"),
        ("test.jsonl", 'test.jsonl"\nproblm = "q', "unknown key 'tasks.mine.problm'; did you mean"),
        ("test.jsonl", 'test.jsonl"\ngold = "box', "tasks.mine.gold: must be 'column'"),
        ('task = "mine"', 'task = "main"', "no task 'main'; did you mean 'mine'?"),
    ],
)
def test_a_wrong_table_is_one_line(board_file, old, new, says):
    text = board_file.read_text()
    assert old in text
    board_file.write_text(text.replace(old, new))
    with pytest.raises(UsageError) as caught:
        load(board_file)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


PAGE = Path(__file__).parents[1] / "docs" / "own-data.md"


@pytest.mark.bench
def test_the_page_leads_from_rows_to_a_leaderboard(harness, tmp_path):
    """Its blocks in their order; of the whole bench, which takes minutes, the plan."""
    ran = []
    for kind, text in re.findall(r"```(\w+)\n(.*?)```", PAGE.read_text(), re.DOTALL):
        if kind == "toml":
            (tmp_path / "mine.toml").write_text(text)
        elif kind == "python":
            subprocess.run([sys.executable, "-c", text], cwd=tmp_path, check=True)
        for line in text.splitlines() if kind == "sh" else ():
            command = line.split(" #")[0].split()
            whole = command == ["harness", "bench", "mine.toml"]
            ran.append(harness(*command[1:], *(["--dry-run"] if whole else [])))
    show, plan_, score, bench, _, diff, publish, check = (done.stdout for done in ran)
    assert "Ben has 2 times as many" in show
    assert "To do:" in plan_
    assert "test under chat_zeroshot.v1: 20 problems" in score
    assert "sft" in bench
    assert "my_sums" in diff
    assert "pages/mine.md" in publish
    # nothing is a claim: the answers are judged by the board's own rows
    assert ran[-2].stderr.splitlines() == [
        "harness: mine: 2 records published",
        "harness: harness check mine.toml --published pages judges them anew",
    ]
    assert check.splitlines()[-1] == "2 recomputed"
    assert "Which trainer teaches my sums?" in (tmp_path / "pages" / "mine.md").read_text()
    submitted = harness("submit", "mine.toml", "--cells", "sft/0", "--trials", "1").stdout
    folder = submitted.splitlines()[0]
    assert harness("check", folder, "mine.toml").stdout == "1 recomputed\n"
