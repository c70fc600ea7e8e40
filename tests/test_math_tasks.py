"""The built-in benchmarks, from the files of their origins where these lie beside the repository.

They are read in place (see `verify_shared`) and skipped, with the reason, where they are absent.
"""

from __future__ import annotations

import gzip
import json
import re
from fractions import Fraction
from pathlib import Path

import pyarrow
import pytest
from harness_math.catalogue import MGSM_LANGUAGES, TASKS
from pyarrow import parquet
from verify_shared import SHARED

from harness.boards.board import load_board
from harness.errors import DataMissing, UsageError
from harness.plugin.host import Host
from harness.tasks.canonical import Row
from harness.tasks.protocols import PROTOCOLS
from harness.tasks.rows import gold_answer
from harness.tasks.source import Place
from harness.tasks.task import Task
from harness.verify import Judgement, VerifierPool

DATA = SHARED / "data"
BY_NAME = {task.name: task for task in TASKS}
NOT_READ = {"gsm8k_platinum", "gsm8k_r1", "gsm_symbolic", "mgsm"}
READ = sorted(BY_NAME.keys() - NOT_READ)
SIZES = {
    "aime24": 30,
    "aime25": 30,
    "amc23": 40,
    "asdiv": 2215,
    "college_math": 2818,
    "gaokao2023en": 385,
    "gsm8k": 1319,
    "gsm8k_platinum": 1209,
    "gsm_hard": 1319,
    "gsm_plus": 2400,
    "gsm_symbolic": 5000,
    "math": 5000,
    "math500": 500,
    "mawps": 2065,
    "mgsm": 2750,
    "minerva_ocw": 272,
    "olympiadbench": 675,
    "svamp": 1000,
}
# golds of neighbouring rows that are written in two ways and mean the same under the conventions
SAME = {
    "asdiv": {("13", "13:1"), ("6", "6th")},  # a ratio to one; an ordinal
    "college_math": {
        ("1", "$w_{0}=1$"),  # the name of the unknown is left out
        ("$7^{\\log _{7}(3)}=3$", "3"),
        # sin(2x) = 2 sin x cos x
        (
            "$x / 2-\\sin (2 x) / 4+C$",
            "$(x / 2)-\\sin (2 x) / 4+C=$ $(x / 2)-(\\sin x \\cos x) / 2+C$",
        ),
        # sec x csc x = tan x + cot x
        ("$\\tan x-\\cot x+C$", "$\\sec x \\csc x-2 \\cot x+C$"),
    },
    "gsm_hard": {("0", "0.0000076528")},  # within the tolerance of 0.001
    "math": {("9^\\circ", "9")},  # a unit on one side only
}


@pytest.fixture(scope="module")
def here() -> dict[str, Task]:
    """The tasks, bound to the files; read once for all tests of this module."""
    if not DATA.is_dir():
        pytest.skip("no shared data beside the repository (set HARNESS_SHARED)")
    return {name: task.at(Place(DATA, download=False)) for name, task in BY_NAME.items()}


def graded(task: Task, pairs: list[tuple[str, str]], pool: VerifierPool) -> list[Judgement]:
    """Judge answers, each in a box at the end of a sentence, against golds."""
    texts = [f"So the answer is $\\boxed{{{answer}}}$." for answer, _ in pairs]
    return pool.verify_many(texts, [gold for _, gold in pairs], task.conventions)


@pytest.fixture(scope="module")
def pool():
    with VerifierPool(workers=2) as pool:
        yield pool


def test_the_catalogue_is_whole():
    assert {name: task.size("test") for name, task in BY_NAME.items() if task.has("test")} == SIZES
    assert BY_NAME["gsm8k"].size("train") == 7473
    assert BY_NAME["math"].size("train") == 7500
    assert BY_NAME["gsm8k_r1"].has("train")
    for task in TASKS:
        source = task.source
        assert source is not None
        assert task.summary
        assert task.licence
        assert source.revision is None or re.fullmatch("[0-9a-f]{40}", source.revision)
        for split in source.splits.values():
            assert (split.content is None) == (task.name in NOT_READ)
            assert bool(split.hub) == (source.hub is not None)
    assert {task.name for task in TASKS if task.unfit} == {"aime24", "aime25", "amc23"}


def test_every_task_is_offered_by_the_plugin():
    host = Host()
    host.load("math")
    assert set(host.tasks()) == set(BY_NAME)


@pytest.mark.parametrize("name", READ)
def test_a_task_loads_with_the_declared_rows(here, name):
    task = here[name]
    for split, declared in task.source.splits.items():
        rows = task.split(split)
        assert len(rows) == declared.rows
        assert task.content(split) == declared.content
        assert task.warnings(split) == ()
        assert len({row["id"] for row in rows}) == len(rows)
        assert all(isinstance(value, str) for row in rows for value in row.values())
    assert task.digest == BY_NAME[name].at(Place(None, download=False)).digest  # known without


@pytest.mark.parametrize("name", READ)
def test_every_row_gives_a_prompt_and_a_completion(here, name):
    task = here[name]
    for split in task.source.splits:
        for row in task.split(split):
            for protocol in PROTOCOLS.values():
                assert row["problem"] in protocol.prompt(row["problem"])
            if split == "train" and row["answer"]:
                taught = PROTOCOLS["chat_zeroshot"].training_row(row)["completion"]
                assert f"\\boxed{{{row['answer']}}}" in taught[0]["content"]


@pytest.mark.bench
@pytest.mark.parametrize("name", READ)
def test_gold_answers_are_right_and_those_of_other_rows_wrong(here, pool, name):
    task = here[name]
    golds = [row["answer"] for row in task.split("test") if row["answer"]]
    distinct = [(gold, gold) for gold in dict.fromkeys(golds)]
    for (gold, _), judged in zip(distinct, graded(task, distinct, pool), strict=True):
        assert judged.verdict == "correct", (gold, judged)
    # neighbours in canonical order, which is as good as a random pairing
    shifted = list(dict.fromkeys(zip(golds[1:] + golds[:1], golds, strict=True)))
    accepted = {
        pair
        for pair, judged in zip(shifted, graded(task, shifted, pool), strict=True)
        if judged.verdict == "correct"
    }
    written_alike = {pair for pair in shifted if written_the_same(*pair)}
    assert accepted - written_alike == SAME.get(name, set())
    assert written_alike <= accepted


def written_the_same(answer: str, gold: str) -> bool:
    """Tell whether two golds differ in spacing, dollars and the like alone, or are one number.

    The comparison is made without the verifier: of the text, and of decimal numbers and a/b.
    """
    plain = [
        re.sub(r"[\s$]|\\left|\\right|\\[,!; ]|\.$", "", text).replace("\\dfrac", "\\frac")
        for text in (answer, gold)
    ]
    if plain[0] == plain[1]:
        return True
    numbers = [re.sub(r"(?<=\d),(?=\d{3}(?!\d))", "", text) for text in plain]
    try:
        return Fraction(numbers[0]) == Fraction(numbers[1])
    except (ValueError, ZeroDivisionError):
        return False


def test_the_training_golds_are_right(here, pool):
    for name in ("gsm8k", "math"):
        rows = here[name].split("train")
        golds = dict.fromkeys(row["answer"] for row in rows if row["answer"])
        judged = graded(here[name], [(gold, gold) for gold in golds], pool)
        assert {each.verdict.value for each in judged} == {"correct"}


def test_golds_are_those_in_the_solutions(here):
    """The gold parser reads what the origins' files state, so the Hub's columns give the same."""
    for name, splits in (("gsm8k", ("train", "test")), ("math", ("train", "test"))):
        how = here[name].source.gold
        for split in splits:
            for row in here[name].split(split):
                assert gold_answer(row["solution"], how, None, required=True) == row["answer"]


def test_empty_golds_are_left_out_and_said(here, tmp_path):
    empty = {
        (name, split): sum(not row["answer"] for row in here[name].split(split))
        for name in READ
        for split in here[name].source.splits
    }
    assert {key: count for key, count in empty.items() if count} == {
        ("math", "train"): 2,
        ("gaokao2023en", "test"): 2,
    }
    board = load_board(str(math_board(tmp_path)), Host(data_dir=DATA, download=False))
    assert len(board.train_rows()) == 7498
    scores = {score.task: board.test_rows(score) for score in board.file.scores}
    assert len(scores["gaokao2023en"]) == 383
    assert all(row["answer"].strip() for rows in scores.values() for row in rows)
    assert [row["id"] for row in scores["math"]] == [
        row["id"] for row in here["math"].split("test")[:50]
    ]
    assert board.left_out() == (
        "2 of the 7,500 train rows of math have no gold answer and are left out",
        "2 of the 385 test rows of gaokao2023en have no gold answer and are left out",
    )
    assert board.warnings() == ()


def math_board(folder: Path) -> Path:
    path = folder / "board.toml"
    path.write_text("""
schema = 1
name = "mathematics"
title = "A board for tests"
start_model = "nobody/nothing@0123456789abcdef0123456789abcdef01234567"
plugins = ["math"]
trainers = ["sft"]
seeds = [0]

[data]
train = ["math"]

[budget]
steps = 3

[[scores]]
task = "gaokao2023en"
max_new_tokens = 16
ranking = true

[[scores]]
task = "math"
max_new_tokens = 16
limit = 50
""")
    return path


def test_a_board_can_be_planned_before_its_data_is_there(here, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "empty"))
    path = str(math_board(tmp_path))
    away = load_board(path, Host(download=False))
    assert away.digest == load_board(path, Host(data_dir=DATA, download=False)).digest
    assert away.problems(away.file.scores[1]) == 50
    with pytest.raises(DataMissing, match="math_train"):
        away.train_rows()


def test_one_problem_of_math_is_in_both_splits(here):
    task = here["math"]
    train = {row["id"]: row for row in task.split("train")}
    both = [row for row in task.split("test") if row["id"] in train]
    assert [(row["source_id"], train[row["id"]]["source_id"]) for row in both] == [
        ("test/precalculus/24307.json", "train/geometry/6032.json")
    ]
    assert any("both the training and the test split" in defect for defect in task.defects)


def test_tasks_that_share_problems_share_ids(here):
    ids = {name: {row["id"] for row in here[name].split("test")} for name in ("math", "math500")}
    assert ids["math500"] <= ids["math"]
    seeds = {row["group"] for row in here["gsm_plus"].split("test")}
    assert len(seeds) == here["gsm_plus"].source.groups
    shared = {row["id"] for row in here["gsm8k"].split("test")} & seeds
    assert len(shared) > 250  # most seed problems are those of GSM8K to the letter


def test_order_and_digest_do_not_depend_on_the_file(here, tmp_path):
    lines = gzip.decompress((DATA / "gsm8k_test.jsonl.gz").read_bytes()).decode().splitlines()
    rows = [json.loads(line) for line in lines]
    turned = [json.dumps({k: v for k, v in row.items() if k != "id"}) for row in rows[::-1]]
    (tmp_path / "gsm8k_test.jsonl").write_text("\n".join(turned))
    train = (DATA / "gsm8k_train.jsonl.gz").read_bytes()
    (tmp_path / "gsm8k_train.jsonl.gz").write_bytes(train)
    local = BY_NAME["gsm8k"].at(Place(tmp_path, download=False))
    assert local.digest == here["gsm8k"].digest
    assert identity(local.split("test")) == identity(here["gsm8k"].split("test"))
    changed = [{**rows[0], "answer": "1"}, *rows[1:]]
    (tmp_path / "gsm8k_test.jsonl").write_text("\n".join(json.dumps(row) for row in changed))
    with pytest.raises(UsageError, match=r"gsm8k.*differ from the published set"):
        BY_NAME["gsm8k"].at(Place(tmp_path, download=False)).split("test")
    (tmp_path / "gsm8k_test.jsonl").write_text("\n".join(turned[1:]))
    with pytest.raises(UsageError, match=r"gsm8k.*are 1,318, not 1,319"):
        BY_NAME["gsm8k"].at(Place(tmp_path, download=False)).split("test")


def identity(rows: list[Row]) -> list[tuple[str, str, str]]:
    return [(row["id"], row["problem"], row["answer"]) for row in rows]


def hub_file(folder: Path, task: Task, name: str) -> Path:
    """Return the path of a file in the Hub's cached layout."""
    source = task.source
    repository = "datasets--" + source.hub.replace("/", "--")
    path = folder / repository / "snapshots" / (source.revision or "c" * 40) / name
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def test_the_hub_layout_gives_the_same_tasks(here, tmp_path):
    """With the columns and file names that public loaders of these data sets use."""
    for split in ("train", "test"):
        table = [
            {"question": row["problem"], "answer": row["solution"]}
            for row in here["gsm8k"].split(split)
        ]
        path = hub_file(tmp_path, BY_NAME["gsm8k"], f"main/{split}-00000-of-00001.parquet")
        parquet.write_table(pyarrow.Table.from_pylist(table), path)
        for subject in ("Algebra", "Geometry", "Prealgebra"):
            table = [
                {key: row[key] for key in ("problem", "level", "solution")}
                for row in here["math"].split(split)
                if (row["subject"] == subject)
                or (subject == "Algebra" and row["subject"] not in ("Geometry", "Prealgebra"))
            ]
            name = f"{subject.lower()}/{split}-00000-of-00001.parquet"
            path = hub_file(tmp_path, BY_NAME["math"], name)
            parquet.write_table(pyarrow.Table.from_pylist(table), path)
    for number, rows in enumerate((here["svamp"].split("test")[:700],
                                   here["svamp"].split("test")[700:])):  # fmt: skip
        table = [
            {"Body": row["body"], "Question": row["question"], "Answer": f"{row['answer']}.0"}
            for row in rows
        ]
        path = hub_file(tmp_path, BY_NAME["svamp"], f"data/part-{number}.parquet")
        parquet.write_table(pyarrow.Table.from_pylist(table), path)
    table = [
        {"question": row["problem"], "answer": float(row["answer"])}
        for row in here["amc23"].split("test")
    ]
    path = hub_file(tmp_path, BY_NAME["amc23"], "test-00000-of-00001.parquet")
    parquet.write_table(pyarrow.Table.from_pylist(table), path)
    for name in ("gsm8k", "math", "svamp", "amc23"):
        task = BY_NAME[name].at(Place(tmp_path, download=False))
        assert task.digest == here[name].digest
        assert task.warnings("test") == ()
    row = here["gsm8k"].split("test")[0]
    assert here["gsm8k"].lm_eval_doc(row) == {"question": row["problem"], "answer": row["solution"]}


def test_tasks_that_were_not_read_take_what_the_hub_is_said_to_have(tmp_path):
    """Made-up rows in the columns of the four data sets of which this project has no copy."""
    for code in MGSM_LANGUAGES:
        path = hub_file(tmp_path, BY_NAME["mgsm"], f"mgsm_{code}.tsv")
        path.write_text("".join(f"Question {n} ({code})?\t{n}\n" for n in range(250)))
    rows = [
        {"id": n // 50, "instance": n % 50, "question": f"Template {n}?", "answer": f"s\n#### {n}"}
        for n in range(5000)
    ]
    path = hub_file(tmp_path, BY_NAME["gsm_symbolic"], "main/test.jsonl")
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    table = [{"question": f"Again {n}?", "answer": f"s\n#### {n}"} for n in range(1209)]
    path = hub_file(tmp_path, BY_NAME["gsm8k_platinum"], "main/test-00000-of-00001.parquet")
    parquet.write_table(pyarrow.Table.from_pylist(table), path)
    trace = "<think>\nhm\n</think>\n\nIt is \\boxed{3}."
    table = [
        {"problem": "1 + 2?", "groud_truth_solution": gold, "reasoning_solution": trace}
        for gold in ("It is \\boxed{3}.", "It is\n#### 3")
    ]
    path = hub_file(tmp_path, BY_NAME["gsm8k_r1"], "data/train-00000-of-00001.parquet")
    parquet.write_table(pyarrow.Table.from_pylist(table), path)
    host = Host(data_dir=tmp_path, download=False)
    host.load("math")
    tasks = host.tasks()
    mgsm = tasks["mgsm"].split("test")
    assert len({row["group"] for row in mgsm}) == 250
    assert {row["source_id"] for row in mgsm if row["group"] == "7"} == {
        f"mgsm_{code}:7" for code in MGSM_LANGUAGES
    }
    assert all(row["problem"].startswith(f"Question {row['answer']} ") for row in mgsm)
    symbolic = tasks["gsm_symbolic"].split("test")
    assert len({row["group"] for row in symbolic}) == 100
    assert all(int(row["answer"]) // 50 == int(row["group"]) for row in symbolic)
    assert len(tasks["gsm8k_platinum"].split("test")) == 1209
    traces = tasks["gsm8k_r1"].split("train")
    assert [(row["answer"], row["solution"]) for row in traces] == [("3", trace), ("3", trace)]
    assert tasks["gsm8k_r1"].split("test") == []
    for name in NOT_READ:
        (split,) = tasks[name].source.splits
        assert "checked by their number alone" in tasks[name].warnings(split)[0]
