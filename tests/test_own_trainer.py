"""The trainer of docs/own-trainer.md, taken from the page: it keeps the contract, and learns."""

from __future__ import annotations

import importlib
import json
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from test_new import announce

from harness.errors import StageError
from harness.testing import check_trainer

PAGE = (Path(__file__).parents[1] / "docs" / "own-trainer.md").read_text(encoding="utf-8")
FILE = r"^`harness-dpo/([\w./]+)`[^\n]*:\n\n```\w+\n(.*?)^```$"  # its name, then its text


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Write the files of the page, each as it is called there, and let plug-ins find them."""
    folder = tmp_path / "harness-dpo"
    for name, text in re.findall(FILE, PAGE, re.MULTILINE | re.DOTALL):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    found = {str(path.relative_to(folder)) for path in folder.rglob("*.*")}
    assert found == {"pyproject.toml", "harness_dpo.py", "tests/test_dpo.py"}
    announce(folder, monkeypatch)
    return folder


@pytest.fixture
def module(package: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.delitem(importlib.sys.modules, "harness_dpo", raising=False)
    return importlib.import_module("harness_dpo")


@pytest.mark.bench
def test_the_trainer_of_the_page_passes_the_conformance_kit(package, harness, tmp_path):
    assert "dpo (harness-dpo 0.1.0)" in harness("plugins").stdout
    names: dict[str, Any] = {}
    exec((package / "tests" / "test_dpo.py").read_text(), names)
    names["test_it_keeps_the_contract"](tmp_path / "kit")


@pytest.mark.slow
def test_it_trains_an_adapter_too(package, tmp_path):
    check_trainer("dpo", tmp_path / "kit", {"samples": 4, "lora_rank": 4, "learning_rate": 1e-3})


def test_a_pair_is_a_confirmed_and_a_refuted_answer_to_one_problem(module, tmp_path):
    pytest.importorskip("torch")
    import models

    start = models.teach_sums(models.save_model(tmp_path / "new", seed=0), tmp_path / "start", 60)
    options = module.DpoOptions(samples=8, pairs=12)
    run = models.make_run(tmp_path / "run", start, options)
    tokenizer = run.tokenizer()
    pairs = module.sampled(run, run.student(tokenizer), tokenizer)
    assert 4 < len(pairs) <= 12
    rows = run.train_data()
    prompts = tokenizer.apply_chat_template(
        list(rows["prompt"]), add_generation_prompt=True, tokenize=False
    )
    asked = [tokenizer(text, add_special_tokens=False)["input_ids"] for text in prompts]
    for pair in pairs:
        row = rows[asked.index(pair["prompt_ids"])]
        both = (pair["chosen_ids"], pair["rejected_ids"])
        assert all(tokens[-1] == tokenizer.eos_token_id for tokens in both)
        texts = [tokenizer.decode(tokens, skip_special_tokens=True) for tokens in both]
        same = [[row[name]] * 2 for name in ("answer", "task", "problem")]
        assert run.correct(texts, *same) == [True, False]
    assert json.loads((run.scratch / "pairs.json").read_text()) == pairs
    run.resume = "anything"  # an interrupted run learns from the same
    assert module.sampled(run, None, None) == pairs
    run.close()


def test_a_student_that_is_never_right_is_a_failure_with_its_reason(module, small_models, tmp_path):
    pytest.importorskip("torch")
    import models

    run = models.make_run(tmp_path, small_models / "start", module.DpoOptions(samples=2))
    tokenizer = run.tokenizer()
    with pytest.raises(StageError, match="none had a confirmed and a refuted answer"):
        module.sampled(run, run.student(tokenizer), tokenizer)
    run.close()
