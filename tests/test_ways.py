"""Models that slots are not right for: each is answered in a way whose texts are its own."""

from __future__ import annotations

import random
from typing import Any

import pytest
from models import byte_tokenizer

from harness.stage.decoding.decoder import Decoder
from harness.stage.decoding.probe import Way
from harness.stage.decoding.prompt import Prompt

SHAPE = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "vocab_size": 259,
    "initializer_range": 0.3,
    "max_position_embeddings": 512,
    "pad_token_id": 2,
}
NEO = {"attention_types": [[["global", "local", "local"], 1]]}
SHORT = {"rope_theta": 10000.0, "original_max_position_embeddings": 64}
DYNAMIC = {"rope_type": "dynamic", "factor": 4.0}
LONG = {"rope_type": "longrope", "short_factor": [1.0] * 4, "long_factor": [4.0] * 4}
MODELS: dict[str, tuple[str, dict[str, Any], str, str]] = {
    "window-256": ("gpt_neo", NEO, "batches", "its configuration has window_size"),
    "window-32": ("gpt_neo", NEO | {"window_size": 32}, "batches", "has window_size"),
    "window-300": ("gpt_neo", NEO | {"window_size": 300}, "alone", "has window_size"),
    "dynamic": (
        "llama",
        {"max_position_embeddings": 64, "rope_parameters": SHORT | DYNAMIC},
        "alone",
        "its RoPE of type dynamic goes by the longest row",
    ),
    "longrope": (
        "phi3",
        {"original_max_position_embeddings": 64, "rope_parameters": SHORT | LONG},
        "alone",
        "its RoPE of type longrope goes by the longest row",
    ),
    "mamba": ("mamba", {"state_size": 8, "time_step_rank": 4}, "alone", "it takes no past_key_val"),
    "mamba2": (
        "mamba2",
        {"state_size": 8, "num_heads": 8, "n_groups": 1, "chunk_size": 16},
        "alone",
        "it takes no past_key_values",
    ),
    "rwkv": ("rwkv", {"attention_hidden_size": 32}, "alone", "it takes no past_key_values"),
    "recurrent": (
        "recurrent_gemma",
        {"lru_width": 32, "attention_window_size": 48},
        "alone",
        "its logits in a batch differ from its own",
    ),
    "recurrent-wide": ("recurrent_gemma", {"lru_width": 32}, "alone", "has attention_window_size"),
}


def made(kind: str, shape: dict[str, Any]) -> Any:
    """Return a small model in double precision, so that no text depends on how sums are rounded.

    Its biases are not nought, as those of a trained model are not: one that looks at padding shows.
    """
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    torch.manual_seed(2)
    ends = {"bos_token_id": None, "eos_token_id": 2}
    config = AutoConfig.for_model(kind, **SHAPE | shape | ends)
    model = AutoModelForCausalLM.from_config(config).eval().double()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("bias") or "embed" in name:
                parameter.add_(torch.randn_like(parameter) * 0.1)
    model.generation_config.update(**ends, pad_token_id=2)
    return model


def prompts() -> list[Prompt]:
    """Prompts of very different lengths, of which one is longer than any of the windows."""
    rng = random.Random(1)
    sizes = ((400, 12), (40, 20), (120, 5), (300, 9), (5, 16), (60, 8))
    return [Prompt([rng.randrange(3, 259) for _ in range(n)], limit, n) for n, limit in sizes]


def own(model: Any, prompt: Prompt) -> list[int]:
    """Return the answer that transformers' `generate` writes to one prompt."""
    import torch

    ids = torch.tensor([prompt.tokens])
    with torch.inference_mode():
        output = model.generate(
            ids, attention_mask=torch.ones_like(ids), max_new_tokens=prompt.limit, do_sample=False
        )
    return output[0, len(prompt.tokens) :].tolist()


def answers(decoder: Decoder, given: list[Prompt]) -> list[list[int]]:
    import torch

    with torch.inference_mode():
        found = {place: tokens for place, tokens, _ in decoder.generate(given)}
    return [found[place] for place in range(len(given))]


@pytest.mark.parametrize("name", MODELS)
def test_a_model_whose_rows_mix_writes_its_own_texts_and_a_line_says_how(name, caplog):
    kind, shape, way, why = MODELS[name]
    model, given = made(kind, shape), prompts()
    decoder = Decoder(model, byte_tokenizer(), 4)
    found = answers(decoder, given)
    assert found == [own(model, one) for one in given]
    assert len({tuple(tokens) for tokens in found}) == len(given)
    assert decoder.way.kind == way
    assert why in str(decoder.way.why)
    lines = [one.getMessage() for one in caplog.records if "generating" in one.getMessage()]
    how = "batch by batch" if way == "batches" else "one answer at a time"
    assert lines == [f"generating {how}: {decoder.way.why}"]
    note = "batch_by_batch" if way == "batches" else "one_by_one"
    assert decoder.way.note == {note: decoder.way.why}


def test_a_window_that_no_configuration_names_is_found_by_trying():
    model, given = made("gpt_neo", NEO | {"window_size": 32}), prompts()
    del model.config.window_size
    decoder = Decoder(model, byte_tokenizer(), 4)
    assert "its logits in slots differ from its own by" in str(decoder.way.why)
    assert answers(decoder, given) == [own(model, one) for one in given]


def test_a_kind_of_rope_that_nobody_knows_is_not_trusted():
    model = made("llama", {})
    model.config.rope_parameters = {"rope_type": "of tomorrow", "rope_theta": 10000.0}
    decoder = Decoder(model, byte_tokenizer(), 4)
    assert decoder.way.kind == "alone"


def test_sliding_windows_that_masks_know_and_sizes_of_experts_are_no_reason():
    shape = {"sliding_window": 24, "chunk_size_feed_forward": 8}
    for kind in ("mistral", "gemma3_text"):
        model = made(kind, shape)
        model.config.num_local_experts = 4
        decoder, given = Decoder(model, byte_tokenizer(), 4), prompts()
        assert decoder.way == Way()
        assert decoder.way.note == {}
        assert answers(decoder, given) == [own(model, one) for one in given]


@pytest.mark.parametrize(
    "settings",
    [{}, {"temperature": 1.0}, {"temperature": 0.8, "top_p": 0.9}, {"stop": ["e", "t", "\n"]}],
    ids=["greedy", "sampled", "nucleus", "stops"],
)
def test_one_by_one_the_texts_are_those_of_slots(settings):
    """With the same random numbers and stops, whatever a checkpoint says of generation."""
    model, given = made("llama", {}), prompts()
    expected = answers(Decoder(model, byte_tokenizer(), 4, **settings), given)
    decoder = Decoder(model, byte_tokenizer(), 4, **settings)
    decoder.way = Way("alone", "this test says so")
    model.generation_config.update(repetition_penalty=3.0, max_length=7, do_sample=True, top_k=2)
    before = model.generation_config
    assert answers(decoder, given) == expected
    assert model.generation_config is before
    model.generate = None  # an instance's own is not asked
    assert answers(decoder, given) == expected


def test_full_memory_for_one_answer_is_not_tried_again():
    import torch

    model, tried = made("llama", {}), []

    def full(*_: Any) -> None:
        tried.append(1)
        raise torch.OutOfMemoryError("CUDA out of memory")

    decoder = Decoder(model, byte_tokenizer(), 8)
    decoder.way = Way("alone", "this test says so")
    model.register_forward_pre_hook(full)
    with pytest.raises(torch.OutOfMemoryError):
        answers(decoder, prompts())
    assert len(tried) == 1
