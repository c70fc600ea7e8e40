"""lm-eval's tasks: found as lm-eval finds them, refused in one line where they cannot be scored."""

from __future__ import annotations

import subprocess
import sys

import pytest
from verify_shared import SHARED
from verify_shared import rows as shared_rows

from harness.boards.board import load_board
from harness.boards.file import ScoreTable
from harness.boards.score import BoardScore
from harness.errors import UsageError
from harness.plugin.host import Host
from harness.tasks.lm_eval import definition, documents, version
from harness.tasks.protocols import get_protocol, protocol_of, score_name
from harness.tasks.task import Task

DOCS = [
    {"id": str(n), "problem": f"{n}+1?", "question": f"{n}+1?", "answer": f"#### {n + 1}"}
    for n in range(8)
]


def task(train: bool = True, **columns) -> Task:
    rows = [{**row, **columns} for row in DOCS]
    return Task("sums", rows=lambda split: rows if split == "test" or train else [])


@pytest.mark.parametrize(
    ("name", "form", "shots"),
    [
        ("gsm8k", "hash", 5),
        ("gsm8k_cot", "answer_is", 8),
        ("gsm8k_cot_zeroshot", "answer_is", 0),
        ("gsm8k_platinum", "hash", 5),
        ("gsm_plus_mini", "hash", 5),
        ("asdiv_cot_llama", "answer_is", 8),
        ("hendrycks_math500", "boxed", 0),
        ("aime24", "boxed", 0),
        ("mgsm_direct_en", "boxed", 0),
    ],
)
def test_a_definition_is_what_lm_eval_loads(name, form, shots):
    from lm_eval.tasks._yaml_loader import load_yaml

    found = definition(name)
    theirs = load_yaml(found.path, resolve_func=False)
    assert theirs["task"] == name
    assert set(found.content) == set(theirs)
    for key, value in theirs.items():
        if not str(found.content[key]).startswith("!function"):
            assert found.content[key] == value
    assert (found.form, found.shots) == (form, shots)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("gsm8kk", "has no task 'gsm8kk'; did you mean 'gsm8k'"),
        ("hendrycks_math", "is a group of lm-eval's tasks"),
        ("asdiv", "it is a loglikelihood task"),
        ("mathqa", "it is a multiple_choice task"),
        ("squadv2", "it is a Python class"),
        ("humaneval", "runs what a model wrote as code"),
        ("mbpp", "runs what a model wrote as code"),
        ("score_robustness_math", "lm-eval"),
        ("../../etc/passwd", "has no task"),
    ],
)
def test_a_task_that_cannot_be_scored_is_refused_with_its_reason(name, reason):
    with pytest.raises(UsageError, match="lm-eval") as error:
        definition(name)
    assert reason in str(error.value)
    assert "\n" not in str(error.value)


def test_every_task_below_score_is_refused():
    """Their grader hands what a model wrote to a parser that runs it."""
    from harness.tasks.lm_eval import _defined, _root

    names, _ = _defined(_root() / "score")
    assert names
    for name in names:
        with pytest.raises(UsageError):
            definition(name)


def test_the_latex_packages_of_minerva_math_are_asked_for_before_anything_runs(monkeypatch):
    import importlib.metadata

    known = importlib.metadata.version

    def missing(name: str) -> str:
        if name == "antlr4-python3-runtime":
            raise importlib.metadata.PackageNotFoundError(name)
        return known(name)

    monkeypatch.setattr(importlib.metadata, "version", missing)
    definition.cache_clear()
    with pytest.raises(UsageError, match=r"antlr4-python3-runtime 4\.11 \(missing\): pip install"):
        definition("minerva_math500")


def test_ids_carry_the_version_and_names_of_files_are_plain():
    protocol = get_protocol("lm_eval:gsm8k")
    assert protocol.id == f"lm_eval:gsm8k@{version()}"
    assert protocol_of(protocol.id) == protocol
    assert score_name("gsm8k", protocol.id) == f"gsm8k__lm_eval-gsm8k-{version()}"
    assert score_name("gsm8k", "chat_zeroshot.v1") == "gsm8k__chat_zeroshot.v1"
    with pytest.raises(UsageError, match=r"'lm_eval:gsm8k@0\.1' is wanted"):
        protocol_of("lm_eval:gsm8k@0.1")


def test_documents_stand_under_the_splits_that_lm_eval_reads():
    found = documents(definition("gsm8k"), task())
    assert [one["split"] for one in found] == ["test"] * 8 + ["train"] * 8
    assert found[0]["doc"]["question"] == "0+1?"
    (name,) = {one["split"] for one in documents(definition("asdiv_cot_llama"), task())}
    assert name == "validation"


def test_documents_stand_in_the_order_of_their_source():
    """lm-eval draws examples by place, so the same ones as from the source itself."""
    places = {"0": "test-9", "1": "test-10", "2": "test-1"}
    rows = [{**row, "source_id": places[row["id"]]} for row in DOCS[:3]]
    found = documents(definition("gsm8k"), Task("sums", rows=lambda split: rows))
    assert [one["id"] for one in found] == ["2", "0", "1", None, None, None]
    assert [one["doc"]["question"] for one in found[3:]] == ["2+1?", "0+1?", "1+1?"]


def test_documents_of_gsm8k_stand_as_they_were_published():
    published = [row["problem"].strip() for row in shared_rows("data/gsm8k_test.jsonl.gz")]
    examples = [row["problem"].strip() for row in shared_rows("data/gsm8k_train.jsonl.gz")]
    gsm8k = Host(data_dir=SHARED / "data", download=False).task("gsm8k")
    found = documents(definition("gsm8k"), gsm8k)
    questions = [one["doc"]["question"] for one in found]
    assert questions[: len(published)] == published
    assert questions[len(published) :] == examples


def test_a_missing_column_or_missing_examples_are_named():
    plain = Task("plain", rows=lambda split: [{"id": "1", "problem": "1+1?", "answer": "2"}])
    with pytest.raises(UsageError, match="needs a column 'question'; task 'plain' has answer, id"):
        documents(definition("gsm8k"), plain)
    with pytest.raises(UsageError, match="draws 5 examples from training rows; task 'sums' has no"):
        documents(definition("gsm8k"), task(train=False))
    assert documents(definition("gsm8k_cot"), task(train=False))  # brings its own examples


def scored(table: ScoreTable) -> BoardScore:
    return BoardScore(table, task(), get_protocol(table.protocol))


def test_a_vote_needs_the_samples_that_it_counts():
    name = "lm_eval:gsm8k_cot_self_consistency"
    one = ScoreTable(task="sums", protocol=name, max_new_tokens=4)
    with pytest.raises(UsageError, match=r"set samples = 64 and temperature = 0\.2"):
        scored(one).check()
    many = one.model_copy(update={"samples": 64, "temperature": 0.2})
    scored(many).check()


def test_a_board_ranks_by_a_protocol_that_can_train(small_board):
    text = small_board.read_text().replace(
        'task = "unruly_sums"\n', 'task = "unruly_sums"\nprotocol = "lm_eval:gsm8k"\n', 1
    )
    small_board.write_text(text)
    with pytest.raises(UsageError, match="cannot rank by protocol 'lm_eval:gsm8k'"):
        load_board(str(small_board), Host())


def test_a_board_is_checked_without_importing_lm_eval():
    code = (
        "import sys; from harness.tasks.protocols import get_protocol;"
        "get_protocol('lm_eval:gsm8k');"
        "print(sorted({'lm_eval', 'torch', 'transformers', 'datasets'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
