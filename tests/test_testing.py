"""The conformance kit: what keeps the contract passes, and what breaks it is told how."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch")

from harness import Task
from harness.testing import Kit, check_board, check_task, check_trainer

BUILT_IN = {
    "sft": {},
    "sft-lora": {},
    "kd": {},
    "kd-sequence": {"samples": 1},
    "kd-on-policy": {},
    "kd-traces": {"verified": False},  # the board's own solutions have no boxed answer
    "rl": {"prompts_per_step": 4},
    "hybrid-joint": {"prompts_per_step": 4},
    "sft-shuffled": {},
    "rft": {"problems_at_once": 8, "samples": 2},
    "rloo": {"prompts_per_step": 4},
    "rl-random": {"prompts_per_step": 4},
    "rl-format": {"prompts_per_step": 4},
}


@pytest.fixture(scope="module")
def unmeasured():
    """Start processes without coverage: what it writes, the kit would find."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("COVERAGE_PROCESS_CONFIG", raising=False)
        yield


@pytest.fixture(scope="module")
def kit(tmp_path_factory, unmeasured):
    """A kit whose warm process serves every test of this module."""
    with pytest.MonkeyPatch.context() as patch:
        place = str(Path(__file__).parent / "support" / "plugins" / "wayward")
        patch.syspath_prepend(place)
        patch.setenv("PYTHONPATH", place)
        notes = tmp_path_factory.mktemp("notes") / "notes.txt"
        patch.setenv("WAYWARD_NOTES", str(notes))
        with Kit(tmp_path_factory.mktemp("kit")) as made:
            yield made


def faults(check, *arguments) -> dict[str, str]:
    """Return what a check complains of: kind of fault -> text of all of that kind."""
    with pytest.raises(AssertionError) as caught:
        check(*arguments)
    first, *lines = str(caught.value).splitlines()
    assert first.endswith("does not conform:")
    found: dict[str, str] = {}
    for line in lines:
        kind, _, text = line.removeprefix("  - ").partition(": ")
        found[kind] = found.get(kind, "") + text + "\n"
    return found


@pytest.mark.slow
@pytest.mark.parametrize("name", BUILT_IN)
def test_the_built_in_trainers_keep_the_contract(kit, name):
    kit.check_trainer(name, BUILT_IN[name])


def test_every_built_in_trainer_is_checked():
    from harness.plugin.host import Host

    host = Host()
    for plugin in ("sft", "kd", "rl", "hybrid", "rft", "rloo"):
        host.load(plugin)
    offered = {name for name, offer in host.trainers().items() if not offer.trainer.chain}
    assert offered == set(BUILT_IN)


@pytest.mark.bench
def test_a_bare_loop_keeps_the_contract(kit):
    kit.check_trainer("wayward")


@pytest.mark.bench
def test_a_trainer_that_samples_first_keeps_the_contract(kit):
    kit.check_trainer("wayward-sampler", steps=2)


@pytest.mark.bench
def test_weights_that_are_no_numbers(kit):
    found = faults(kit.check_trainer, "wayward-broken")
    assert "no usable checkpoint: model.norm.weight holds NaN" in found["run"]
    assert "model.norm.weight holds NaN" in found["checkpoint"]


@pytest.mark.bench
def test_a_trainer_that_knows_the_answers(kit):
    found = faults(kit.check_trainer, "wayward-copier", None, 2)
    assert "100% of its tensors are the teacher's" in found["checkpoint"]
    assert "gave a test problem to the tokenizer" in found["isolation"]
    assert "looked for answers.invalid on the network" in found["isolation"]


@pytest.mark.bench
def test_everything_that_a_run_does_wrong_is_told_at_once(kit):
    found = faults(kit.check_trainer, "wayward-careless")
    assert set(found) == {"run", "checkpoint", "events", "isolation"}
    assert "optimizer.pt could run code" in found["checkpoint"]
    assert "tokenizer_config.json is not the start model's" in found["checkpoint"]
    assert "no loss or reward was logged" in found["events"]
    assert "notes.txt" in found["isolation"]
    assert "left left-behind.txt in its working folder" in found["isolation"]
    assert "asked for harness_tiny, which makes test problems" in found["isolation"]


@pytest.mark.bench
def test_a_trainer_without_a_seed(kit):
    assert set(faults(kit.check_trainer, "wayward-dice")) == {"seed"}


@pytest.mark.bench
def test_a_trainer_that_does_nothing(kit):
    found = faults(kit.check_trainer, "wayward-idle")
    assert "the weights are those of the start model" in found["checkpoint"]
    assert "the host counted no steps" in found["cost"]
    assert "no loss or reward" in found["events"]
    assert "not finite" in found["events"]


@pytest.mark.bench
def test_a_trainer_that_overruns_its_budget(kit):
    found = faults(kit.check_trainer, "wayward-greedy")
    assert "ended as failed: stopped: the trainer went on after its budget" in found["run"]
    assert "events" not in found  # it may have logged nothing because it was stopped


@pytest.mark.parametrize(
    ("name", "kind", "says"),
    [
        ("wayward-loose", "options", "an unknown name is accepted"),
        ("wayward-unfinished", "options", "the defaults alone are not valid"),
        ("wayward-unfinished", "plug-in", "no summary"),
        ("wayward-unknown", "plug-in", "no trainer 'wayward-unknown'"),
        ("sft+rl", "plug-in", "check its parts"),
    ],
)
def test_what_is_wrong_before_training(kit, name, kind, says):
    assert says in faults(kit.check_trainer, name)[kind]


def test_an_unknown_option_is_named(kit):
    assert "learning_rat" in faults(kit.check_trainer, "wayward", {"learning_rat": 1})["options"]


@pytest.mark.bench
def test_a_plug_in_that_imports_torch_is_told(tmp_path, monkeypatch):
    (tmp_path / "harness_heavy.py").write_text(
        "import torch\nfrom harness import Trainer, hookimpl\n\n"
        "@hookimpl\ndef harness_trainers():\n    return [Trainer('heavy', print, summary='x')]\n"
    )
    place = tmp_path / "harness_heavy-0.1.dist-info"
    place.mkdir()
    (place / "METADATA").write_text("Metadata-Version: 2.1\nName: harness-heavy\nVersion: 0.1\n")
    (place / "entry_points.txt").write_text("[harness]\nheavy = harness_heavy\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    found = faults(check_trainer, "heavy", tmp_path / "kit")
    assert "importing it imports torch" in found["plug-in"]


@pytest.mark.parametrize("name", ["tiny_word", "tiny_long", "tiny_symbolic"])
def test_the_built_in_tasks_conform(name):
    check_task(name)


@pytest.mark.parametrize(
    ("name", "kind", "says"),
    [
        ("wayward_seen", "splits", "1 test problems are in train or holdout, such as 'e'"),
        ("wayward_twice", "splits", "1 ids are in two splits, such as 'a'"),
        ("wayward_gold", "golds", "1 of 5 (20 %) are not correct against themselves"),
        ("wayward_number", "rows", "'answer' of 'e' in test is not a string"),
        ("wayward_empty", "rows", "no split has any"),
        ("wayward_hash", "digest", "another process makes other rows"),
    ],
)
def test_what_is_wrong_with_a_task(with_plugins, name, kind, says):
    with_plugins("wayward")
    assert says in faults(check_task, name)[kind]


def test_a_task_may_be_given_itself(with_plugins):
    with_plugins("wayward")
    check_task("wayward_sums")
    calls = iter(range(100))
    moving = Task(
        name="moving",
        rows=lambda split: [{"id": f"{split}", "problem": f"{next(calls)}?", "answer": "1"}],
    )
    assert "differ from call to call" in faults(check_task, moving)["digest"]
    problems = {"train": "Is \uff12 EVEN?", "test": "is 2 even?"}  # the first has a wide 2
    wide = Task(
        name="wide",
        rows=lambda split: [
            {"id": split, "problem": problem, "answer": "1"}
            for problem in [problems.get(split)]
            if problem
        ],
    )
    assert "1 test problems are in train" in faults(check_task, wide)["splits"]


def test_the_tiny_board_conforms():
    check_board("tiny")


def test_what_is_wrong_with_a_board(small_board, tmp_path):
    check_board(small_board)
    text = small_board.read_text()
    small_board.write_text(text.replace('teacher = "teacher"', 'teacher = "nowhere"'))
    assert "nowhere" in faults(check_board, small_board)["board"]
    small_board.write_text(text.replace("steps = 3", "step = 3"))
    assert "did you mean 'steps'" in faults(check_board, small_board)["board"]
    rows = '{"problem": "%s", "answer": "2", "solution": "It is 2."}\n'
    for name, problem in (("train", "What is 1 + 1?"), ("test", "what is  \uff11 + 1?")):
        (tmp_path / f"{name}.jsonl").write_text(rows % problem)
    own = '[tasks.own]\ntrain = "train.jsonl"\ntest = "test.jsonl"\n\n[data]'
    text = text.replace("[data]", own).replace('train = ["unruly_sums"]', 'train = ["own"]')
    small_board.write_text(text.replace('task = "unruly_other"', 'task = "own"'))
    found = faults(check_board, small_board)
    assert "its trainers are given 1 test problems of own" in found["board"]


ROOT = Path(__file__).parents[1]


@pytest.mark.slow
def test_the_kit_in_the_documentation_and_in_the_example(unmeasured, tmp_path):
    """The page's code runs as it stands, with the example installed as a stranger's package."""
    page = (ROOT / "docs" / "plugins.md").read_text()
    blocks = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    blocks = [block for block in blocks if "harness.testing" in block]
    own = (ROOT / "examples" / "harness-concise" / "tests" / "test_concise.py").read_text()
    assert own in blocks
    source = shutil.copytree(ROOT / "examples" / "harness-concise", tmp_path / "source")
    site = tmp_path / "site"
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-build-isolation",
         "--no-index", "--target", str(site), str(source)],
        check=True,
    )  # fmt: skip
    for number, block in enumerate(blocks):
        (tmp_path / f"test_block_{number}.py").write_text(block)
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            *map(str, sorted(tmp_path.glob("test_*.py"))),
        ],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(site)},
        capture_output=True,
        text=True,
        timeout=500,
    )
    assert done.returncode == 0, done.stdout
    assert f"{len(blocks)} passed" in done.stdout


def test_every_kind_of_fault_is_documented():
    page = (ROOT / "docs" / "plugins.md").read_text()
    told = "".join(path.read_text() for path in (ROOT / "harness" / "testing").glob("*.py"))
    kinds = set(
        re.findall(
            r'"(plug-in|options|run|checkpoint|cost|budget|events|seed|resume|isolation): ', told
        )
    )
    table = page[page.index("| kind |") :]
    assert kinds
    assert all(f"`{kind}`" in table for kind in kinds)
