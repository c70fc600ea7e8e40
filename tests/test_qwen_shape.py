"""Every built-in trainer on models of Qwen2.5-0.5B's exact shape, with random weights, on a CPU.

Needs about 12 GiB of memory and 25 GiB of disk; run with `-m slow`.
"""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import models
import pytest

from harness.records import read_records

torch = pytest.importorskip("torch")

pytestmark = [pytest.mark.slow, pytest.mark.timeout(7200)]

PARAMETERS = 494_032_768
ENTRIES = 151_643  # of the vocabulary, without the special tokens
ANSWER = "\\boxed{4}"
BOARD = """
schema = 1
name = "shape"
title = "Qwen2.5-0.5B's shape"
start_model = "start"
teacher = "teacher"
plugins = ["unruly"]
trainers = ["sft", "sft-lora", "kd", "kd-sequence", "kd-on-policy", "kd-traces", "rl"]
seeds = [0]

[data]
train = ["unruly_sums"]
traces = ["unruly_traces"]

[budget]
steps = 1

[compute]
threads = 2
batch_size = 2

[[scores]]
task = "unruly_sums"
max_new_tokens = 4
limit = 2
ranking = true

[options]
sft.batch_size = 2
sft-lora.batch_size = 2
kd.batch_size = 2
kd-sequence = { batch_size = 2, problems = 12, teacher_batch_size = 12, max_new_tokens = 8 }
kd-on-policy = { batch_size = 2, max_completion_length = 4 }
kd-traces.batch_size = 2
rl = { prompts_per_step = 1, num_generations = 2, max_completion_length = 4 }
"""


def real_size_tokenizer():
    """Return a tokenizer with as many entries as Qwen2.5's."""
    from tokenizers import pre_tokenizers

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    pairs = [(one, other) for one in letters for other in letters]
    triples = [(one + other, third) for one, other in pairs for third in letters]
    merges = (pairs + triples)[: ENTRIES - len(letters)]
    words = [*letters, *(one + other for one, other in merges)]
    return models.chat_tokenizer(words, merges, split=True)


def save_shape(folder: Path, tokenizer, *, seed: int) -> None:
    """Write random weights of Qwen2.5-0.5B's shape."""
    from transformers import AutoTokenizer

    model = models.random_model(
        tokenizer,
        seed,
        vocab_size=151_936,
        hidden_size=896,
        intermediate_size=4864,
        num_hidden_layers=24,
        num_attention_heads=14,
        num_key_value_heads=2,
        max_position_embeddings=32_768,
        rope_theta=1_000_000.0,
        tie_word_embeddings=True,
    )
    tokenizer.save_pretrained(folder)
    if seed:
        model.save_pretrained(folder)
        teach_answer(model, AutoTokenizer.from_pretrained(folder))
    model.save_pretrained(folder)


def teach_answer(model, tokenizer) -> None:
    """Make a model write one answer after any prompt: each token of it calls for the next.

    One neuron of the first layer a token, which takes the token away and puts the next in its
    place; all that the other layers and the attention add is nought.
    """
    chain = tokenizer("\n" + ANSWER)["input_ids"] + [tokenizer.eos_token_id]
    assert len(set(chain)) == len(chain)
    with torch.no_grad():
        for layer in model.model.layers:
            layer.self_attn.o_proj.weight.zero_()
            layer.mlp.down_proj.weight.zero_()
        embedding, mlp = model.get_input_embeddings().weight, model.model.layers[0].mlp
        for neuron, (now, after) in enumerate(pairwise(chain)):
            place = embedding[now] / embedding[now].square().mean().sqrt()
            mlp.gate_proj.weight[neuron] = 0.1 * place
            mlp.up_proj.weight[neuron] = place
            strength = 0.1 * place.square().sum() * place.square().sum()
            mlp.down_proj.weight[:, neuron] = (embedding[after] - embedding[now]) / strength


def test_every_trainer_takes_a_step(harness, tmp_path, with_plugins):
    with_plugins("unruly")
    tokenizer = real_size_tokenizer()
    assert len(tokenizer) == ENTRIES + len(models.SPECIAL)
    for seed, name in enumerate(("start", "teacher")):
        save_shape(tmp_path / name, tokenizer, seed=seed)
    (tmp_path / "shape.toml").write_text(BOARD)
    harness("bench", "shape.toml", "--jobs", "1", "--device", "cpu")
    records = {one.trainer: one for one in read_records(tmp_path / "runs" / "shape" / "records")}
    assert {record.status for record in records.values()} == {"ok"}
    assert len(records) == 8
    for name, record in records.items():
        assert record.checkpoint.parameters == PARAMETERS
        if name == "start":
            continue
        cost = record.cost
        assert cost.steps == 1
        assert cost.trained_tokens > 0
        assert cost.flops > 4 * PARAMETERS * cost.trained_tokens
        assert cost.peak_memory_bytes > 4 * PARAMETERS  # the weights alone, in float32
        assert (cost.teacher_tokens > 0) == (name in ("kd", "kd-sequence", "kd-on-policy"))
        assert (cost.generated_tokens > 0) == (name in ("kd-on-policy", "rl"))
    assert records["sft"].cost.flops == 6 * PARAMETERS * records["sft"].cost.trained_tokens
    assert records["kd-sequence"].stages[0].notes["teacher_kept"] == 1
    assert records["kd-traces"].stages[0].notes["traces_kept"] > 0
    (stage,) = (tmp_path / "runs" / "shape" / "stages").glob("train-kd-sequence-*")
    assert json.loads((stage / "synthetic.jsonl").read_text())["text"] == ANSWER
    figures = {
        name: {
            "seconds": round(one.cost.seconds),
            "scoring": round(one.scoring_seconds),
            "peak_gib": round(one.cost.peak_memory_bytes / 2**30, 1),
        }
        for name, one in records.items()
    }
    (tmp_path / "figures.json").write_text(json.dumps(figures, indent=1))
