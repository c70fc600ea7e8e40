"""Batches that are read without what no loss depends on, against plain passes over all of them."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from types import SimpleNamespace

import pytest

pytest.importorskip("torch")

import models
import torch
from test_computed import torchs_own
from torch.nn.functional import pad
from train_all import train

from harness import hidden_states
from harness.records import Caps
from harness.stage.decoding.passes import Reader as SlotReader
from harness.stage.metering.counter import Counter
from harness.stage.metering.meter import metered
from harness.stage.reading import lean
from harness.stage.reading.layout import laid_out
from harness.stage.reading.reader import Reader

PROMPTS = ([5, 6, 7, 8, 9], [5, 6, 7, 8, 9], [11, 12, 13], [5, 6, 7, 8, 9], [14, 15, 16, 17])
ANSWERS = ([21, 22, 23], [24, 25, 26, 27, 28], [29, 30], [31], [32, 33, 34, 35])


def random(kind, **more):
    """Return a random model of a kind, with two layers."""
    import transformers

    torch.manual_seed(0)
    name = "GPT2" if kind == "gpt2" else kind.capitalize()
    small = {"vocab_size": 160, "hidden_size": 32, "intermediate_size": 48, "head_dim": 8}
    small |= {"num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2}
    if kind == "gpt2":
        small = {"vocab_size": 160, "n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 64}
    ends = {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}
    kernel = "eager" if kind == "gemma2" else "sdpa"
    config = getattr(transformers, f"{name}Config")(**small, **more)
    config.update(ends)
    model = transformers.AutoModelForCausalLM.from_config(config, attn_implementation=kernel)
    with torch.no_grad():
        for parameter in model.parameters():  # norms and biases too
            parameter.add_(torch.randn_like(parameter) * 0.1)
    return model.train()


def batch():
    """Return ids, mask and labels: prompts padded on the left, answers on the right, as by TRL."""
    prompt, answer = max(map(len, PROMPTS)), max(map(len, ANSWERS))
    ids, mask, labels = [], [], []
    for begin, end in zip(PROMPTS, ANSWERS, strict=True):
        left, right = [0] * (prompt - len(begin)), [0] * (answer - len(end))
        ids.append([*left, *begin, *end, *right])
        mask.append([*left, *[1] * (len(begin) + len(end)), *right])
        labels.append([*[-100] * prompt, *end, *[-100] * len(right)])
    return torch.tensor(ids), torch.tensor(mask), torch.tensor(labels)


def before(labels):
    """Return behind which tokens one with a label comes."""
    return pad(labels[:, 1:] != -100, (0, 1))


def with_gradient(model, made):
    """Return what was made and the gradients of its sum, weighted at random."""
    model.zero_grad()
    weights = torch.randn(made.shape, generator=torch.Generator().manual_seed(1))
    (made * weights).sum().backward()
    gradients = {name: one.grad for name, one in model.named_parameters() if one.grad is not None}
    return made.detach(), {name: one.clone() for name, one in gradients.items()}


def both_ways(model):
    ids, mask, labels = batch()
    wanted = before(labels)
    plain = model.base_model(input_ids=ids, attention_mask=mask).last_hidden_state[wanted]
    plain = with_gradient(model, plain)
    return plain, with_gradient(model, hidden_states(model, ids, mask, wanted))


KNOWN = {  # and whether the lean pass knows them too
    "llama": ({"attention_bias": True, "mlp_bias": True}, True),
    "qwen2": ({}, True),
    "qwen3": ({}, True),
    "gemma": ({}, False),
}
NO_DROPOUT = {"resid_pdrop": 0.0, "attn_pdrop": 0.0, "embd_pdrop": 0.0}


@pytest.mark.parametrize("kind", KNOWN)
def test_states_and_gradients_are_those_of_a_plain_pass(kind):
    more, known = KNOWN[kind]
    model = random(kind, **more)
    assert Reader(model).against() is None
    assert lean.is_known(model.base_model) == known
    plain, ours = both_ways(model)
    torch.testing.assert_close(ours[0], plain[0], rtol=1e-4, atol=1e-4)
    assert ours[1].keys() == plain[1].keys()
    for name in plain[1]:
        torch.testing.assert_close(ours[1][name], plain[1][name], rtol=1e-3, atol=2e-4)


@pytest.mark.parametrize(
    ("kind", "more", "reason"),
    [
        ("gemma2", {}, "its attention is eager"),
        (
            "qwen2",
            {"use_sliding_window": True, "sliding_window": 4, "max_window_layers": 1},
            "layers of type sliding_attention",
        ),
        ("mistral", {"sliding_window": 4}, "sliding_window"),
        ("gpt2", NO_DROPOUT, "differ"),  # its positions count padding
    ],
)
def test_attention_that_is_not_known_is_left_to_the_model(kind, more, reason):
    model = random(kind, **more)
    assert reason in Reader(model).against()
    plain, ours = both_ways(model)
    assert torch.equal(plain[0], ours[0])


def test_an_adapter_with_dropout_shares_no_beginning(monkeypatch):
    from peft import LoraConfig, get_peft_model

    from harness.stage.reading import reader

    model = random("llama")
    adapted = get_peft_model(model, LoraConfig(r=2, target_modules=["q_proj"], lora_dropout=0.5))
    shared = []

    def watched(*given, share):
        shared.append(share)
        return laid_out(*given, share=share)

    monkeypatch.setattr(reader, "laid_out", watched)
    ids, mask, labels = batch()
    for mode in (True, False):
        adapted.train(mode)
        hidden_states(adapted.get_base_model(), ids, mask, before(labels))
    assert shared[-2:] == [False, True]
    assert not lean.is_known(model.base_model)


def test_a_layout_holds_each_token_once_and_none_behind_the_last_that_is_wanted():
    ids, mask, labels = batch()
    layout = laid_out(ids, mask, before(labels), share=True)
    prompts = {tuple(one) for one in PROMPTS}
    read = sum(map(len, prompts)) + sum(len(one) - 1 for one in ANSWERS)
    assert len(layout.line) == read == layout.positions.shape[1]
    assert len(layout.wanted) == sum(map(len, ANSWERS))
    texts = ids.reshape(-1)[layout.line[layout.wanted]].tolist()
    expected = [[begin[-1], *end[:-1]] for begin, end in zip(PROMPTS, ANSWERS, strict=True)]
    assert texts == [token for one in expected for token in one]
    alone = laid_out(ids, mask, before(labels), share=False)
    assert len(alone.line) == int(mask.sum()) - len(ids)
    assert laid_out(ids, mask, torch.zeros_like(mask, dtype=torch.bool), share=True) is None


def test_the_estimate_is_that_of_the_batch_and_what_is_computed_is_less():
    model = random("llama")
    ids, mask, labels = batch()
    assert Reader(model).against() is None
    costs = []
    for read in (
        lambda: model.base_model(input_ids=ids, attention_mask=mask).last_hidden_state,
        lambda: hidden_states(model, ids, mask, before(labels)),
    ):
        counter = Counter(Caps(steps=10))
        with metered(counter), torchs_own() as own:
            read().sum().backward()
        assert counter.cost.computed_flops == pytest.approx(own.get_total_flops(), rel=0.01)
        costs.append(counter.cost)
    plain, ours = costs
    assert (ours.flops, ours.trained_tokens) == (plain.flops, plain.trained_tokens)
    # 55 tokens with padding; 22 in the first layer, and 15 of these in most of the second
    assert 22 / 55 * 0.5 < ours.body_flops / plain.body_flops < 22 / 55


def test_trying_a_model_is_not_charged():
    model, counter = random("gemma"), Counter(Caps(steps=10))
    with metered(counter):
        assert Reader(model).against() is None
    assert counter.cost.flops == counter.cost.computed_flops == 0


def test_a_model_under_checkpointing_is_read_as_it_is():
    model = random("llama")
    model.gradient_checkpointing_enable()
    assert Reader(model).against() is not None
    plain, ours = both_ways(model)
    assert torch.equal(plain[0], ours[0])


@pytest.mark.parametrize("kind", ["llama", "qwen2", "qwen3"])
def test_lean_writing_gives_the_same_logits_to_the_last_bit(kind):
    model = random(kind).eval()
    logits = []
    for lean_too in (False, True):
        if lean_too:
            context = lean.lean_writing(model)
            context.__enter__()
            assert "forward" in vars(model.base_model)
        with torch.no_grad():
            reader = SlotReader(model, 3)
            found = [reader.read([one[:3] for one in PROMPTS[:3]], 0, 0, None)]
            for number in range(4):
                tokens = torch.tensor([answer[number % 2] for answer in ANSWERS[:3]])
                found.append(reader.write(tokens, torch.tensor([3 + number] * 3), 4 + number))
        logits.append(torch.cat(found))
    context.__exit__(None, None, None)
    assert "forward" not in vars(model.base_model)
    assert torch.equal(*logits)


@pytest.mark.parametrize("change", ["hook", "method", "instance"])
def test_a_model_that_somebody_changed_is_left_as_it_is(change, monkeypatch):
    model = random("llama")
    part = model.base_model.layers[0].self_attn
    assert lean.is_known(model.base_model)
    if change == "hook":
        part.q_proj.register_forward_hook(lambda *_: None)
    elif change == "method":
        monkeypatch.setattr(type(part), "forward", lambda *_: None)
    else:
        part.forward = part.forward
    assert not lean.is_known(model.base_model)


@pytest.mark.parametrize("more", [{}, {"final_logit_softcapping": 3.0}])
def test_what_is_scored_is_what_trls_head_scores(more):
    from harness_rl.heads import only_scored
    from trl.trainer.utils import add_fused_lm_head

    model = random("llama")
    for name, value in more.items():
        setattr(model.config, name, value)
    add_fused_lm_head(model, temperature=0.7, outputs=("log_probs", "entropy"))
    ids, mask, labels = batch()
    labels[2] = -100  # nothing of it is scored
    given = {"input_ids": ids, "attention_mask": mask, "labels": labels, "fused_lm_head": True}
    found = []
    for ours in (False, True):
        if ours:
            only_scored(model, 0.7)
        output = model(**given)
        made, gradients = with_gradient(model, output.log_probs)
        found.append((made, output.entropy.detach(), gradients))
    for plain, ours in zip(found[0][:2], found[1][:2], strict=True):
        torch.testing.assert_close(ours, plain, rtol=1e-4, atol=1e-4)
    for name, plain in found[0][2].items():
        torch.testing.assert_close(found[1][2][name], plain, rtol=1e-3, atol=2e-4)
    nothing = model(**given | {"labels": torch.full_like(labels, -100)})
    assert float(nothing.log_probs.detach().sum()) == 0


def test_a_head_in_chunks_is_the_head():
    from harness_rl import heads

    one, other = torch.arange(5.0, requires_grad=True), torch.arange(5.0)
    whole = heads.in_chunks(lambda a, b: (a * a * b).sum(), one, other, size=5)
    parts = heads.in_chunks(lambda a, b: (a * a * b).sum(), one, other, size=2)
    assert (len(whole), len(parts)) == (1, 3)
    assert float(sum(parts)) == float(whole[0]) == 100.0
    sum(parts).backward()
    assert one.grad.tolist() == [0.0, 2.0, 8.0, 18.0, 32.0]


@pytest.mark.parametrize("beta", [0.0, 0.3, 1.0])
def test_the_divergence_is_the_formula(beta):
    from harness_kd import losses

    student, teacher = random("llama"), random("qwen2")
    ids, mask, labels = batch()
    width = max(map(len, PROMPTS))
    inputs = {"prompt_ids": ids[:, :width], "prompt_mask": mask[:, :width]}
    inputs |= {"completion_ids": ids[:, width:], "completion_mask": mask[:, width:]}
    options = SimpleNamespace(beta=beta, temperature=2.0)
    wanted = before(labels)
    whole = [
        model(input_ids=ids, attention_mask=mask).logits[wanted] for model in (student, teacher)
    ]
    q, p = ((logits / 2).softmax(-1) for logits in whole)
    middle = (1 - beta) * q + beta * p
    forward, reverse = ((one * (one / middle).log()).sum() for one in (p, q))
    expected = {0.0: forward, 1.0: reverse}.get(beta, beta * forward + (1 - beta) * reverse)
    total, entropy = losses.divergence(student, teacher, inputs, options)
    torch.testing.assert_close(total, expected, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(entropy, -(q * q.log()).sum().detach(), rtol=1e-4, atol=1e-4)


@pytest.mark.bench
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("rl", {"format_weight": 0.1}),
        ("rl", {"num_iterations": 2, "beta": 0.1, "mask_truncated_completions": True}),
        ("rl", {"micro_batch_size": 4, "loss_type": "grpo"}),
        ("rloo", {}),
        ("kd-on-policy", {"beta": 0.5}),
        ("kd-on-policy", {"micro_batch_size": 4, "temperature": 0.8}),
    ],
)
def test_learning_is_the_same_as_with_trls_own_loss(
    name, options, student, teacher, tmp_path, monkeypatch
):
    """With the same rollouts: losses, curves, estimate and weights of a whole run."""
    import harness_rl
    from harness_kd import on_policy
    from safetensors.torch import load_file

    runs = [train(name, tmp_path / "ours", student, teacher, seed=1, options=options)]
    monkeypatch.setattr(harness_rl, "only_scored", lambda *_: None)
    monkeypatch.setattr(on_policy, "only_scored", lambda *_: False)
    monkeypatch.setattr(lean, "BODIES", set())
    runs.append(train(name, tmp_path / "trls", student, teacher, seed=1, options=options))
    curves = [models.events(run) for run in runs]
    assert len(curves[0]) == 3
    for ours, trls in zip(*curves, strict=True):
        assert ours.keys() == trls.keys()
        for key in ours.keys() - {"time", "seconds", "spent", "progress"}:
            assert ours[key] == pytest.approx(trls[key], rel=2e-3, abs=1e-4), key
    costs = [run.budget.cost for run in runs]
    assert costs[0].flops == costs[1].flops
    assert costs[0].computed_flops < 0.8 * costs[1].computed_flops
    weights = [load_file(run.out / "model.safetensors") for run in runs]
    start = load_file(student / "model.safetensors")
    for key, before_it in start.items():
        moved = (weights[1][key] - before_it).norm()
        assert float((weights[0][key] - weights[1][key]).norm()) <= 0.05 * float(moved) + 1e-6


class Heap(ctypes.Structure):
    """What the C library says of its memory (`mallinfo2`); the fourth is blocks from the system."""

    _fields_ = tuple((f"field{number}", ctypes.c_size_t) for number in range(10))


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallinfo2"), reason="it is glibc's")
def test_memory_of_tensors_is_taken_from_what_was_freed_and_not_from_the_system():
    code = """
import ctypes, sys
from test_reading import Heap
from harness.stage.memory import keep_freed
library = ctypes.CDLL(None)
library.mallinfo2.restype = Heap
library.malloc.restype = ctypes.c_void_p
if sys.argv[1] == "keep":
    keep_freed()
before = library.mallinfo2().field3
library.malloc(ctypes.c_size_t(16 * 2**20))
print(library.mallinfo2().field3 - before)
"""
    path = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    for how, blocks in (("keep", "0"), ("leave", "1")):
        made = subprocess.run(
            [sys.executable, "-c", code, how], capture_output=True, text=True, env=path
        )
        assert made.stdout.split() == [blocks], made.stderr


def test_a_change_to_the_heads_is_a_change_to_every_trainer_that_uses_them():
    from harness.plugin.host import Host

    host = Host()
    for name in ("rl", "rloo", "hybrid-joint", "kd-on-policy"):
        assert "harness_rl" in host.trainer(name).plugin.modules
