"""Answers through lm-eval: the right prompt, the right stop, the right finish reason, none lost."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness.errors import StageError, UsageError
from harness.evaluate import generate_answers
from harness.protocols import get_protocol

START = Path(__file__).parents[1] / "plugins" / "harness_tiny" / "models" / "start"


def score(rows, protocol: str = "chat_zeroshot", limit: int = 96) -> dict:
    return {
        "task": "tiny_word",
        "protocol": get_protocol(protocol).id,
        "max_new_tokens": limit,
        "rows": rows,
    }


@pytest.fixture(scope="module")
def rows() -> list[dict[str, str]]:
    from harness_tiny import rows

    return rows("tiny_word", "test")[:12]


@pytest.fixture(scope="module")
def model():
    from transformers import AutoModelForCausalLM, AutoTokenizer

    return AutoModelForCausalLM.from_pretrained(START), AutoTokenizer.from_pretrained(START)


def answers(out: Path, name: str = "tiny_word__chat_zeroshot.v1") -> list[dict]:
    return [json.loads(line) for line in (out / "answers" / f"{name}.jsonl").open()]


def alone(model, prompt: str, limit: int) -> list[int]:
    """Return the tokens that plain transformers generates greedily after one prompt."""
    import torch

    network, tokenizer = model
    network.generation_config.max_new_tokens = None
    ids = tokenizer(prompt, add_special_tokens=False, return_tensors="pt")
    with torch.inference_mode():
        output = network.generate(**ids, max_new_tokens=limit, do_sample=False)
    return output[0, ids["input_ids"].shape[1] :].tolist()


def chat_prompt(model, row) -> str:
    messages = get_protocol("chat_zeroshot").training_row(row)["prompt"]
    return model[1].apply_chat_template(messages, add_generation_prompt=True, tokenize=False)


def test_answers_are_those_of_plain_greedy_generation(rows, model, tmp_path):
    counts = generate_answers(START, [score(rows)], 5, "cpu", tmp_path).answers
    assert counts == {"tiny_word__chat_zeroshot.v1": 12}
    tokenizer = model[1]
    for row, answer in zip(rows, answers(tmp_path), strict=True):
        tokens = alone(model, chat_prompt(model, row), 96)
        assert answer["id"] == row["id"]
        assert answer["text"] == tokenizer.decode(tokens, skip_special_tokens=True)
        assert answer["tokens"] == len(tokens)
        assert answer["finish"] == ("stop" if tokens[-1] == tokenizer.eos_token_id else "length")


def test_an_answer_at_the_limit_is_told_from_one_that_ended(rows, model, tmp_path):
    """Limits that cut some answers just before, and some just after, their end of turn."""
    lengths = sorted(len(alone(model, chat_prompt(model, row), 96)) for row in rows)
    limit = lengths[len(lengths) // 2]
    generate_answers(START, [score(rows, limit=limit)], 12, "cpu", tmp_path)
    for row, answer in zip(rows, answers(tmp_path), strict=True):
        natural = alone(model, chat_prompt(model, row), 96)
        ends = natural[-1] == model[1].eos_token_id and len(natural) <= limit
        assert answer["finish"] == ("stop" if ends else "length")
        assert answer["tokens"] == min(len(natural), limit)


def test_a_prompt_in_scoring_is_the_prompt_in_training(rows, model, tmp_path):
    generate_answers(START, [score(rows, limit=2)], 12, "cpu", tmp_path)
    (samples,) = tmp_path.rglob("samples_*.jsonl")
    for line in samples.read_text().splitlines():
        sample = json.loads(line)
        prompt = sample["arguments"]["gen_args_0"]["arg_0"]
        assert prompt == chat_prompt(model, sample["doc"])


def test_rows_end_at_a_stop_string_without_waiting_for_their_batch(rows, tmp_path):
    """The few-shot protocol stops at the next problem; both protocols are kept apart."""
    both = [score(rows, limit=24), score(rows, "base_fewshot", limit=24)]
    counts = generate_answers(START, both, 6, "cpu", tmp_path).answers
    assert set(counts.values()) == {12}
    plain = answers(tmp_path, "tiny_word__base_fewshot.v1")
    assert len(plain) == 12
    assert all("Problem:" not in answer["text"] for answer in plain)
    assert len(list(tmp_path.rglob("results_*.json"))) == 2


def test_lm_evals_own_files_are_kept_as_it_wrote_them(rows, tmp_path):
    generate_answers(START, [score(rows, limit=4)], 12, "cpu", tmp_path)
    (results,) = tmp_path.rglob("results_*.json")
    content = json.loads(results.read_text())
    assert content["n-samples"]["tiny_word__chat_zeroshot.v1"]["effective"] == 12
    (config,) = content["configs"].values()
    assert config["generation_kwargs"]["max_gen_toks"] == 4


def test_answers_that_lm_eval_did_not_write_are_an_error_and_not_zero(rows, tmp_path):
    """lm-eval swallows errors while saving; here it cannot write at all."""
    (tmp_path / "lm_eval").write_text("in the way")
    with pytest.raises(StageError, match="lm-eval wrote 0 samples files"):
        generate_answers(START, [score(rows, limit=2)], 12, "cpu", tmp_path)


def test_a_protocol_of_another_version_is_refused(rows, tmp_path):
    old = {**score(rows), "protocol": "chat_zeroshot.v0"}
    with pytest.raises(UsageError, match=r"'chat_zeroshot\.v0' is wanted"):
        generate_answers(START, [old], 12, "cpu", tmp_path)


def test_generation_defaults_of_a_checkpoint_change_nothing(rows, tmp_path):
    """Neither a token limit, a penalty nor sampling in generation_config.json."""
    import shutil

    plain = tmp_path / "plain"
    generate_answers(START, [score(rows, limit=18)], 12, "cpu", plain)
    model = shutil.copytree(START, tmp_path / "model")
    path = model / "generation_config.json"
    settings = json.loads(path.read_text())
    settings |= {"max_new_tokens": 3, "repetition_penalty": 1.9, "do_sample": True, "top_k": 2}
    path.write_text(json.dumps(settings))
    generate_answers(model, [score(rows, limit=18)], 12, "cpu", tmp_path / "spoilt")
    assert answers(tmp_path / "spoilt") == answers(plain)
    assert max(answer["tokens"] for answer in answers(plain)) == 18
