"""Scoring a model by itself, and showing problems with the exact prompts that a model sees."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from models import sums

from harness.boards.alone import alone
from harness.errors import UsageError
from harness.plugin.host import Host
from harness.tasks.protocols import protocol_of

TINY = Path(__file__).parents[1] / "plugins" / "harness_tiny" / "models"


@pytest.mark.bench
def test_a_model_is_scored_on_tasks_without_a_board(harness, tmp_path):
    """No training data, no network, no rank; own files of problems are tasks too."""
    rows = [{"question": 1, "problem": "Expand (x + 1)(x + 2).", "answer": "x^2 + 3x + 2"}]
    (tmp_path / "Mine.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    tasks = ("--task", "tiny_word", "--task", "Mine.jsonl")
    arguments = ("score", "tiny:teacher", *tasks, "--limit", "20", "--max-new-tokens", "40")
    done = harness(*arguments, "--show", "1")
    lines = done.stdout.splitlines()
    assert lines[0] == "tiny_word under chat_zeroshot.v1: 20 problems, up to 40 tokens"
    assert lines[1].startswith("  accuracy  ")
    assert "of 20 right" in lines[1]
    assert "  | Put" not in done.stdout
    assert "  | <|im_start|>assistant" in lines
    assert any(line.startswith("judged: ") for line in lines)
    assert "  | x^2 + 3x + 2" in lines
    assert "Rank" not in done.stdout

    again = harness(*arguments, "--show", "2", "--json")
    found = json.loads(again.stdout)
    assert [score["task"] for score in found["scores"]] == ["tiny_word", "mine"]
    first, mine = found["scores"]
    low, high = first["interval"]
    assert 0 <= low < first["accuracy"] < high <= 1
    assert sum(first["verdicts"].values()) == 20
    assert 0 < first["tokens"] <= 40
    assert len(first["examples"]) == 2
    assert len(mine["examples"]) == 1
    assert first["examples"][0]["answers"][0]["verdict"] in first["verdicts"]
    assert not list(tmp_path.glob("runs/*/stages/train-*"))
    (record,) = tmp_path.glob("runs/alone/records/*.json")
    command = json.loads(record.read_text())["command"]
    assert command == f"harness {' '.join(arguments)}"


@pytest.mark.bench
def test_the_exact_prompt_is_what_a_model_is_given(small_models, tmp_path, monkeypatch):
    """Under both protocols, to the character, with the template that the model came with."""
    from harness.render.alone import Prompts
    from harness.stage.engines import Engine
    from harness.stage.generate import Questions, generate_answers
    from harness.stage.spec import GeneratedScore

    given: list[str] = []
    plain = Engine.generate_until

    def keep(engine, requests, disable_tqdm=False):
        given.extend(request.args[0] for request in requests)
        return plain(engine, requests, disable_tqdm)

    monkeypatch.setattr(Engine, "generate_until", keep)
    rows, asked = sums(3), []
    for name in ("chat_zeroshot.v1", "base_fewshot.v1"):
        decoding = {"samples": 1, "temperature": 0.0, "top_p": 1.0, "limit": None}
        score = GeneratedScore(
            task="sums", digest="", protocol=name, max_new_tokens=2, columns=None, **decoding
        )
        asked.append(Questions(score, rows))
    generate_answers(small_models / "start", asked, 8, "cpu", tmp_path)
    prompts = Prompts(small_models / "start")
    shown = [
        prompts.text(protocol_of(one.score.protocol), row["problem"])
        for one in asked
        for row in rows
    ]
    assert sorted(given) == sorted(shown)
    assert len(given) == 6


def test_a_board_and_a_task_are_shown_with_prompts(harness, tmp_path):
    shown = json.loads(harness("show", "tiny", "--number", "2", "--json").stdout)
    assert [(one["task"], one["split"]) for one in shown] == [
        ("tiny_word", "train"),
        ("tiny_symbolic", "train"),
        ("tiny_word", "test"),
        ("tiny_long", "test"),
        ("tiny_symbolic", "test"),
    ]
    for one in shown:
        assert one["prompt"].startswith("<|im_start|>user\n")
        assert one["row"]["problem"] in one["prompt"]
        assert one["row"]["answer"] not in one["prompt"].split("\n")
        assert one["tokens"] > 10
        assert (one["completion"] is not None) is (one["split"] == "train")
    text = harness("show", "tiny_word").stdout
    assert "prompt, before a model's chat template:" in text
    assert "taught completion:" in text
    text = harness("show", "tiny_word", "--model", "tiny:start").stdout
    assert "  | <|im_start|>assistant" in text
    text = harness("show", "tiny_word", "--protocol", "base_fewshot").stdout
    assert "  | Problem: A baker fills" in text
    text = harness("show", "tiny_word", "--protocol", "lm_eval:gsm8k").stdout
    assert "the prompt is made by lm-eval's own task" in text


def test_the_protocol_follows_the_model(tmp_path, small_models):
    import shutil

    model = shutil.copytree(small_models / "start", tmp_path / "base")
    assert alone(Host(), model, ["tiny_word"]).scores[0].protocol.name == "chat_zeroshot"
    (model / "chat_template.jinja").unlink()
    board = alone(Host(), model, ["tiny_word"])
    assert board.scores[0].protocol.name == "base_fewshot"
    assert board.scores[0].table.max_new_tokens == 256  # half of its context
    with pytest.raises(UsageError, match="needs a chat template"):
        alone(Host(), model, ["tiny_word"], "chat_zeroshot")


def test_a_hub_model_without_a_commit_is_the_one_that_is_here(tmp_path, small_models, monkeypatch):
    """Without a network, the commit that was the newest when it was downloaded."""
    import shutil

    from huggingface_hub import constants

    from harness.cli.options import find_model

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    cached = tmp_path / "models--our-school--small"
    commit = "c" * 40
    shutil.copytree(small_models / "start", cached / "snapshots" / commit)
    (cached / "refs").mkdir()
    (cached / "refs" / "main").write_text(commit)
    folder, name = find_model("our-school/small", Host())
    assert name == f"our-school/small@{commit}"
    assert (folder / "model.safetensors").is_file()
