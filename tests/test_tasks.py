"""Tasks: rows from files, from the Hub's cached layout, checked, ordered, and described."""

from __future__ import annotations

import gzip
import json
import random
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow
import pytest
from click.testing import CliRunner
from harness_math.catalogue import TASKS
from pyarrow import parquet

from harness import Conventions, Source, Split, Task, local_rows
from harness.boards.board import load_board
from harness.cli.main import cli
from harness.errors import DataMissing, UsageError
from harness.plugin.host import Host
from harness.tasks.canonical import canonical, content_digest
from harness.tasks.rows import gold_answer
from harness.tasks.source import Place

ROOT = Path(__file__).parents[1]
REVISION = "0123456789abcdef0123456789abcdef01234567"
PROBLEMS = [
    {"problem": "What is 1 + 1?", "answer": "2", "solution": "1 + 1 is\n#### 2"},
    {"problem": "What is 2 + 3?", "answer": "5", "solution": "2 + 3 is\n#### 5"},
    {"problem": "What is 9 - 8?", "answer": "1", "solution": "9 - 8 is\n#### 1"},
]
SUMS = Source(
    hub="our-school/sums",
    revision=REVISION,
    problem=("question",),
    gold="hash",
    splits={"test": Split(3, ("main/test-*",), ("sums_of_ours",))},
)

GSM_PLATINUM = next(task.source for task in TASKS if task.name == "gsm8k_platinum")


@pytest.fixture(autouse=True)
def no_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no test find what the Hub's cache of this machine may hold."""
    monkeypatch.delenv("HARNESS_DATA_DIR", raising=False)
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "empty-cache"))


def task(source: Source = SUMS, folder: Path | None = None, **more: Any) -> Task:
    return Task(name="sums", source=source, **more).at(Place(folder, download=False))


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    text = "".join(json.dumps(row) + "\n" for row in rows)
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path


def snapshot(folder: Path, source: Source = SUMS) -> Path:
    name = "datasets--" + (source.hub or "").replace("/", "--")
    return folder / name / "snapshots" / (source.revision or "a" * 40)


def write_hub(folder: Path) -> None:
    rows = [{"question": row["problem"], "answer": row["solution"]} for row in PROBLEMS]
    path = snapshot(folder) / "main" / "test-00000-of-00001.parquet"
    path.parent.mkdir(parents=True)
    parquet.write_table(pyarrow.Table.from_pylist(rows), path)


def test_a_generated_task_needs_whole_rows_with_ids_of_their_own():
    row = {"id": "1", "problem": "?", "answer": "1"}
    assert Task("t", lambda split: [row]).split("test") == [row]
    with pytest.raises(UsageError, match="row 1 of test has no 'answer'"):
        Task("t", lambda split: [{"id": "1", "problem": "?"}]).split("test")
    with pytest.raises(
        UsageError, match="two rows of train have the id '1'; every row needs its own"
    ):
        Task("t", lambda split: [row, row]).split("train")
    with pytest.raises(ValueError, match="either rows or a source"):
        Task("t")


def test_local_rows_lie_beside_the_plugin_that_names_them(tmp_path, monkeypatch):
    """As of an installed package, whatever the current folder is."""
    package = tmp_path / "site" / "harness_packaged"
    package.mkdir(parents=True)
    (package / "exam.jsonl").write_text('{"problem": "1+1?", "answer": 2}\n')
    (package / "__init__.py").write_text(
        "from harness import Task, hookimpl, local_rows\n\n\n"
        "@hookimpl\n"
        "def harness_tasks():\n"
        '    return [Task(name="packaged", rows=local_rows(test="exam.jsonl"))]\n'
    )
    info = tmp_path / "site" / "harness_packaged-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Name: harness-packaged\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[harness]\npackaged = harness_packaged\n")
    monkeypatch.syspath_prepend(tmp_path / "site")
    monkeypatch.chdir(tmp_path)
    host = Host()
    host.load("packaged")
    (row,) = host.task("packaged").split("test")
    assert (row["problem"], row["answer"]) == ("1+1?", "2")


def test_local_rows_says_what_it_cannot_read(tmp_path):
    row = {"id": "1", "problem": "1+1?", "answer": "2", "level": "easy"}
    path = write(tmp_path / "rows.jsonl", [row])
    assert local_rows(test=path)("test") == [row]
    assert local_rows(test=path)("train") == []
    with pytest.raises(UsageError, match=r"cannot read .*gone\.jsonl: No such file"):
        local_rows(test=tmp_path / "gone.jsonl")("test")
    path.write_text(json.dumps(row) + "\n\n{")
    with pytest.raises(UsageError, match=r"line 3 of .*rows\.jsonl is not JSON"):
        local_rows(test=path)("test")
    path.write_text("[1]")
    with pytest.raises(UsageError, match=r"line 1 of .*rows\.jsonl is not a JSON object"):
        local_rows(test=path)("test")


@pytest.mark.parametrize(
    "name",
    ["sums_test.jsonl", "sums_test.jsonl.gz", "sums.jsonl", "sums.jsonl.gz", "sums_of_ours.jsonl"],
)
def test_local_files_are_found_by_their_names(tmp_path, name):
    write(tmp_path / name, PROBLEMS)
    assert len(task(folder=tmp_path).split("test")) == 3
    assert task(folder=tmp_path).here("test") == str(tmp_path)


def test_the_name_of_the_task_alone_is_no_split_where_there_are_several(tmp_path):
    source = replace(SUMS, splits={"train": Split(3), "test": Split(3)})
    write(tmp_path / "sums.jsonl", PROBLEMS)
    assert task(source, tmp_path).here("test") is None
    write(tmp_path / "sums_train.jsonl", PROBLEMS)
    assert task(source, tmp_path).here("train")
    assert task(source, tmp_path).split("holdout") == []


def test_the_same_content_is_the_same_task_wherever_it_is_read(tmp_path):
    local, shuffled, hub, home = (tmp_path / name for name in ("a", "b", "c", "d"))
    write(local / "sums.jsonl", [{**row, "id": f"ours-{n}"} for n, row in enumerate(PROBLEMS)])
    write(shuffled / "sums_test.jsonl.gz", random.Random(1).sample(PROBLEMS, 3))
    write_hub(hub)
    write_hub(home / "hub")
    tasks = [task(folder=folder) for folder in (local, shuffled, hub, home)]
    assert len({each.digest for each in tasks}) == 1
    rows = [each.split("test") for each in tasks]
    ours = ("id", "problem", "answer", "solution")
    shown = [[[row[key] for key in ours] for row in each] for each in rows]
    assert all(each == shown[0] for each in shown)
    assert {row["source_id"] for row in rows[0]} == {"ours-0", "ours-1", "ours-2"}
    assert {row["source_id"] for row in rows[2]} == {f"test-00000-of-00001:{n}" for n in range(3)}
    doc = tasks[2].lm_eval_doc(rows[2][0])
    assert doc == {"question": rows[2][0]["problem"], "answer": rows[2][0]["solution"]}
    assert tasks[0].lm_eval_doc(rows[0][0]) == doc


def test_the_hub_cache_of_this_machine_is_looked_into(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "cache"))
    write_hub(tmp_path / "cache")
    assert len(task().split("test")) == 3
    monkeypatch.delenv("HF_HUB_CACHE")
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    (tmp_path / "cache").rename(tmp_path / "hub")
    assert len(task().split("test")) == 3
    monkeypatch.delenv("HF_HOME")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "caches"))
    (tmp_path / "caches" / "huggingface").mkdir(parents=True)
    (tmp_path / "hub").rename(tmp_path / "caches" / "huggingface" / "hub")
    assert len(task().split("test")) == 3


def test_a_snapshot_of_another_revision_is_not_taken(tmp_path):
    write_hub(tmp_path)
    other = replace(SUMS, revision="f" * 40)
    with pytest.raises(DataMissing):
        task(other, tmp_path).split("test")


def test_a_revision_that_is_not_pinned_is_told(tmp_path):
    source = replace(SUMS, revision=None)
    write_hub(tmp_path)
    found = task(source, tmp_path)
    said = " ".join(found.warnings("test"))
    assert f"our-school/sums@{REVISION}" in said
    assert "the newest one when it was downloaded" in said
    second = snapshot(tmp_path).with_name("b" * 40)
    (second / "main").mkdir(parents=True)
    assert task(source, tmp_path).here("test") is None  # two to choose from, and nothing says which
    refs = snapshot(tmp_path).parents[1] / "refs"
    refs.mkdir()
    (refs / "main").write_text(REVISION)
    assert task(source, tmp_path).here("test")


def test_missing_data_is_one_line_with_both_remedies(tmp_path):
    with pytest.raises(DataMissing) as caught:
        task(folder=tmp_path).split("test")
    said = str(caught.value)
    assert "\n" not in said
    assert f"looked in {tmp_path} (sums_test or sums or sums_of_ours" in said
    assert "give --data-dir DIR with sums_test or sums" in said
    assert (
        f"hf download our-school/sums --repo-type dataset --revision {REVISION}"
        " --include 'main/test-*'" in said
    )
    nowhere = replace(SUMS, hub=None)
    with pytest.raises(DataMissing, match="no folder was named"):
        task(nowhere).split("test")


def test_a_download_that_fails_is_missing_data(tmp_path):
    """The tests run with HF_HUB_OFFLINE, so the client refuses before it asks the network."""
    asks = Task(name="sums", source=SUMS).at(Place(None, download=True))
    with pytest.raises(DataMissing, match=r"the Hub is not asked \(HF_HUB_OFFLINE is set\)"):
        asks.split("test")


def test_another_number_of_rows_is_refused(tmp_path):
    write(tmp_path / "sums.jsonl", PROBLEMS[:2])
    with pytest.raises(UsageError, match=r"the test rows in .*sums\.jsonl are 2, not 3; replace"):
        task(folder=tmp_path).split("test")


def test_content_is_checked_and_only_the_hub_may_differ(tmp_path):
    write(tmp_path / "right" / "sums.jsonl", PROBLEMS)
    content = task(folder=tmp_path / "right").content("test")
    known = replace(SUMS, splits={"test": replace(SUMS.splits["test"], content=content)})
    right = task(known, tmp_path / "right")
    assert right.warnings("test") == ()
    assert task(known).digest == right.digest  # a plan can be shown before the data is there
    changed = [{**PROBLEMS[0], "answer": "3"}, *PROBLEMS[1:]]
    write(tmp_path / "wrong" / "sums.jsonl", changed)
    with pytest.raises(UsageError, match="differ from the published set in a problem or an answer"):
        task(known, tmp_path / "wrong").split("test")
    elsewhere = replace(SUMS, splits={"test": replace(SUMS.splits["test"], content="0" * 64)})
    write_hub(tmp_path / "hub")
    hub = task(elsewhere, tmp_path / "hub")
    assert len(hub.split("test")) == 3
    assert "differ from the published set" in hub.warnings("test")[0]
    assert str(tmp_path) not in hub.warnings("test")[0]  # it stands on leaderboards
    assert hub.content("test") == content


def test_undeclared_content_is_told_and_counts(tmp_path):
    write(tmp_path / "sums.jsonl", PROBLEMS)
    here, away = task(folder=tmp_path), task()
    assert "checked by their number alone" in here.warnings("test")[0]
    assert away.content("test") == f"our-school/sums@{REVISION}"
    assert here.digest != away.digest
    assert task(folder=tmp_path, conventions=Conventions(order="given")).digest != here.digest


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ({"problem": "?"}, r"line 5 of .*sums\.jsonl has no 'answer'"),
        ({"answer": "1"}, r"line 5 of .*sums\.jsonl has no 'problem'"),
    ],
)
def test_a_row_that_is_not_whole_is_named(tmp_path, row, says):
    path = write(tmp_path / "sums.jsonl", [*PROBLEMS, row])
    path.write_text("\n" + path.read_text())  # a blank line counts as a line, and not as a row
    with pytest.raises(UsageError, match=says):
        task(folder=tmp_path).split("test")


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("main/test-1.parquet", b"PAR1 no", "cannot read .*test-1.parquet"),
        ("main/test-1.jsonl", b"{", "line 1 of .*test-1.jsonl is not JSON"),
        ("main/test-1.jsonl", b"[1]", "line 1 of .*test-1.jsonl is not a JSON object"),
        ("main/test-1.json", b"[1]", "row 1 of .*test-1.json is not a JSON object"),
        ("main/test-1.jsonl.gz", b"plain", "cannot read .*test-1.jsonl.gz"),
        ("main/test-1.json", b"[1", "test-1.json is not JSON"),
        ("main/test-1.jsonl", b"\xff", "line 1 of .*test-1.jsonl is not UTF-8"),
        ("main/test-1.tsv", b"a\tb\tc\n", "line 1 of .*test-1.tsv has 3 columns"),
        ("main/test-1.arrow", b"", "only parquet, jsonl, json and tsv are known"),
        ("main/test-1.jsonl", b'{"q": 1}', "test-1 of our-school/sums has no column 'question'"),
        ("main/test-1.jsonl", b'{"question": "?", "answer": "7"}', "no gold answer is marked in"),
    ],
)
def test_a_file_of_the_hub_that_cannot_be_read_is_named(tmp_path, name, content, says):
    path = snapshot(tmp_path) / name
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    with pytest.raises(UsageError, match=says):
        task(folder=tmp_path).split("test")


def test_files_of_the_hub_are_read_in_every_form(tmp_path):
    source = replace(
        SUMS, gold="column", columns=("question", "answer"), splits={"test": Split(4, ("*",))}
    )
    folder = snapshot(tmp_path)
    write(folder / "a.jsonl", [{"question": "one", "answer": 1.50}])
    (folder / "b.json").write_text('[{"question": "two", "answer": 2}]')
    (folder / "c.tsv").write_bytes(b"three\t3\r\n")
    parquet.write_table(
        pyarrow.Table.from_pylist([{"question": "four", "answer": 4.0}]), folder / "d.parquet"
    )
    rows = task(source, tmp_path).split("test")
    assert {row["problem"]: row["answer"] for row in rows} == {
        "one": "1.5",
        "two": "2",
        "three": "3",
        "four": "4.0",
    }


@pytest.mark.parametrize(
    ("value", "how", "tidy", "gold"),
    [
        ("a\n#### 1,234 ", "hash", None, "1,234"),
        (r"\boxed{1} and \boxed{\frac{1}{2}}", "boxed", None, r"\frac{1}{2}"),
        (r"\boxed{7}", "final", None, "7"),
        ("b #### 8", "final", None, "8"),
        (["1", "2"], "list", None, "1, 2"),
        (27.0, "column", "number", "27"),
        ("073", "column", "number", "73"),
        ("-9867630.0", "column", "number", "-9867630"),
        ("0.3333333333", "column", "number", "0.3333333333"),
        ("None", "column", "number", "None"),
        ("1e30", "column", "number", "1e30"),
        ("9 (apples)", "column", "unit", "9"),
        ("3:30 p.m.", "column", "unit", "3:30 p.m."),
        (None, "column", None, ""),
    ],
)
def test_gold_answers_are_read(value, how, tidy, gold):
    assert gold_answer(value, how, tidy, required=True) == gold


def test_a_subset_parts_of_a_problem_and_groups(tmp_path):
    source = Source(
        hub="our-school/sums",
        revision=REVISION,
        problem=("body", "question"),
        keep=lambda row: row["answer"] != "skip",
        group=("seed", "_line"),
        splits={"test": Split(3, ("*.jsonl",))},
    )
    rows = [
        {"body": "Two pens. ", "question": "How many?", "answer": "2", "seed": "s", "level": 3},
        {"body": "Three pens.", "question": "How many?", "answer": "3"},
        {"body": "", "question": "", "answer": "skip"},
        {"body": "No pens.", "question": "How many?", "answer": "0", "seed": "x" * 41},
    ]
    write(snapshot(tmp_path) / "test.jsonl", rows)
    found = {row["answer"]: row for row in task(source, tmp_path).split("test")}
    assert found["2"]["problem"] == "Two pens. How many?"
    assert [found[answer]["group"] for answer in "23"] == ["s", "1"]
    assert re.fullmatch("[0-9a-f]{12}", found["0"]["group"])
    assert task(source).lm_eval_doc(found["2"]) == {
        "body": "Two pens.",
        "question": "How many?",
        "answer": "2",
        "seed": "s",
        "level": "3",
    }


def test_a_task_with_groups_wants_them_in_local_files_too(tmp_path):
    source = replace(SUMS, group=("template",))
    write(tmp_path / "sums.jsonl", PROBLEMS)
    with pytest.raises(UsageError, match=r"line 1 of .*sums\.jsonl has no 'group'"):
        task(source, tmp_path).split("test")
    write(tmp_path / "sums.jsonl", [{**row, "group": "g"} for row in PROBLEMS])
    with_groups = task(source, tmp_path)
    assert {row["group"] for row in with_groups.split("test")} == {"g"}
    write(tmp_path / "sums.jsonl", [{**row, "template": 7} for row in PROBLEMS])
    assert task(source, tmp_path).content("test") != with_groups.content("test")


def test_ids_and_order_follow_from_the_problem():
    rows = [dict(row) for row in PROBLEMS]
    rows += [{**PROBLEMS[0], "problem": "WHAT  is 1 + 1?"}, {**PROBLEMS[0], "answer": "two"}]
    first = canonical(rows)
    assert canonical(rows[::-1]) == first
    once = [row["id"] for row in first if not row["id"].endswith(("-2", "-3"))]
    assert len(once) == 3
    assert {f"{canonical(rows[:1])[0]['id']}{end}" for end in ("", "-2", "-3")} < {
        row["id"] for row in first
    }
    assert content_digest(first) == content_digest([{**row, "id": "x"} for row in first])
    unsolved = [{**row, "solution": ""} for row in first]
    assert content_digest(first) == content_digest(unsolved)
    assert content_digest(first, with_solutions=True) != content_digest(
        unsolved, with_solutions=True
    )


def test_the_example_of_the_documentation_runs(tmp_path):
    text = (ROOT / "docs" / "tasks.md").read_text()
    (code,) = re.findall(r"```python\n(.*?)```", text, re.S)
    names: dict[str, Any] = {}
    exec(code, names)
    (offered,) = names["harness_tasks"]()
    rows = [
        {"question": row["problem"], "solution": f"\\boxed{{{row['answer']}}}"} for row in PROBLEMS
    ]
    path = snapshot(tmp_path / "hub", offered.source) / "data" / "test-0.parquet"
    path.parent.mkdir(parents=True)
    parquet.write_table(pyarrow.Table.from_pylist(rows), path)
    write(tmp_path / "local" / "mine_exam.jsonl", PROBLEMS)
    hub = offered.at(Place(tmp_path / "hub", download=False))
    local = offered.at(Place(tmp_path / "local", download=False))
    assert sorted(row["answer"] for row in hub.split("test")) == ["1", "2", "5"]
    assert hub.digest == local.digest


def test_tasks_are_listed_without_being_read(tmp_path):
    def run(*arguments: str) -> str:
        result = CliRunner().invoke(cli, ["tasks", *arguments])
        assert result.exit_code == 0, result.output
        return result.stdout

    listed = {row["name"]: row for row in json.loads(run("--json"))}
    assert listed["gsm8k"]["splits"]["test"] == {"rows": 1319, "here": None}
    assert listed["aime24"]["unfit"]
    assert listed["gsm8k"]["detectable"] < 5 < 20 < listed["aime24"]["detectable"]
    table = run()
    assert re.search(r"^math +7,500 +5,000 +no ", table, re.M)
    assert re.search(r"^gsm8k_r1 +\? +- ", table, re.M)
    assert re.search(r"^tiny_word +2,000 +300 +yes ", table, re.M)
    full = json.loads(run("math", "--json"))
    assert full["source"]["hub"] == "EleutherAI/hendrycks_math"
    assert "One problem is in both the training and the test split." in full["defects"]
    text = " ".join(run("mawps").split())
    assert "mawps_addsub + mawps_multiarith + mawps_singleeq + mawps_singleop" in text
    assert "Hub data set none that holds these rows" in text
    assert "judged with absolute=0.001" in text
    # a file of the right name is shown as here, without a look into it
    (tmp_path / "aime24.jsonl").write_text("never read")
    table = run("--data-dir", str(tmp_path))
    assert re.search(r"^aime24 +- +30 +yes ", table, re.M)


def test_an_unknown_task_is_named():
    with pytest.raises(UsageError, match="no task 'gsm9k'; did you mean 'gsm8k'"):
        Host().task("gsm9k")


def test_a_folder_that_is_not_there_is_refused():
    result = CliRunner().invoke(cli, ["tasks", "--data-dir", "/nowhere/at/all"])
    assert result.exit_code == 2
    assert "does not exist" in result.output


def test_a_board_carries_the_warnings_of_its_data(tmp_path, small_board):
    """Rows of the Hub that this project never read: on standard error and on the leaderboard."""
    path = snapshot(tmp_path / "data", GSM_PLATINUM) / "main" / "test-0.parquet"
    path.parent.mkdir(parents=True)
    rows = [{"question": f"{n} + 1?", "answer": f"#### {n + 1}"} for n in range(1209)]
    parquet.write_table(pyarrow.Table.from_pylist(rows), path)
    text = small_board.read_text().replace('["unruly"]', '["unruly", "math"]')
    small_board.write_text(text.replace('task = "unruly_other"', 'task = "gsm8k_platinum"'))
    board = load_board(str(small_board), Host(data_dir=tmp_path / "data", download=False))
    (number, revision) = board.conditions().warnings
    assert "checked by their number alone" in number
    assert "madrylab/gsm8k-platinum@" in revision
    command = ["bench", str(small_board), "--data-dir", str(tmp_path / "data")]
    shown = CliRunner().invoke(cli, [*command, "--dry-run", "--plugins", "unruly"])
    assert shown.exit_code == 0, shown.output
    assert number in shown.stderr
    assert "gsm8k_platinum" in shown.stdout
