"""Compiled layers: what they compute is counted, and what they leave is what others leave."""

from __future__ import annotations

import copy
import shutil
from functools import partial

import pytest

pytest.importorskip("torch")

import models
import torch
from test_computed import AMPLE, BODY, HEAD, IDS, MASK, parts, random, torchs_own
from train_all import train

from harness import hidden_states
from harness.costs import PARTS
from harness.errors import StageError
from harness.stage import train_stage
from harness.stage.computed.compiled import (
    CompiledLayer,
    compile_layers,
    is_compiled,
    prepare,
)
from harness.stage.decoding.decoder import Decoder
from harness.stage.decoding.prompt import Prompt
from harness.stage.metering.counter import Counter
from harness.stage.metering.meter import metered
from harness.stage.reading.reader import Reader


@pytest.fixture(scope="module")
def student(tmp_path_factory):
    return models.save_model(tmp_path_factory.mktemp("student") / "start", seed=0)


@pytest.fixture(scope="module")
def start(student, tmp_path_factory):
    """A model that solves some sums, for trainers that learn from what was solved."""
    return models.teach_sums(student, tmp_path_factory.mktemp("taught") / "start", 130)


@pytest.fixture
def model(student):
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(student)


def traced(model, notes=None):
    """Compile by torch's tracer alone, which runs the operations that it found one by one."""
    compile_layers(model, {} if notes is None else notes, backend="aot_eager")
    return model


def passed(model, **given):
    counter = Counter(AMPLE)
    model.zero_grad()
    with metered(counter):
        loss = model(**given).logits.square().sum()
        if loss.requires_grad:
            loss.backward()
    gradients = [one.grad.clone() for one in model.parameters() if one.grad is not None]
    return loss.item(), gradients, parts(counter)


def same(ours, plain):
    """Check that loss and gradients are equal up to rounding."""
    assert ours[0] == pytest.approx(plain[0], rel=1e-5)
    for one, other in zip(ours[1], plain[1], strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)


PACKED = {
    "input_ids": torch.tensor([[5, 6, 7, 8, 9, 5, 6, 7]]),
    "position_ids": torch.tensor([[0, 1, 2, 3, 4, 0, 1, 2]]),
    "use_cache": False,  # or transformers looks for no borders
}
BATCHES = {
    "padded": {"input_ids": IDS, "attention_mask": MASK},
    "whole": {"input_ids": IDS},
    "packed": PACKED,
}


@pytest.mark.parametrize("batch", BATCHES)
def test_a_pass_is_counted_as_it_is_without(batch, model):
    given, notes = BATCHES[batch], {}
    names = list(model.state_dict())
    plain = passed(model, **given)
    with torch.no_grad():
        unlearnt = passed(model, **given)
    with torchs_own() as own:
        passed(model, **given)
    ours = passed(traced(model, notes), **given)
    assert notes == {"compiled": "Qwen2DecoderLayer"}
    assert ours[2] == plain[2]
    assert sum(ours[2]) == own.get_total_flops()
    same(ours, plain)
    assert list(model.state_dict()) == names
    with torch.no_grad():
        less = passed(model, **given)
    assert less[2] == unlearnt[2]


def test_other_lengths_are_counted_for_themselves(model):
    traced(model)
    for columns in (5, 4, 3, 5):
        counter = Counter(AMPLE)
        with metered(counter):
            model(input_ids=IDS[:, :columns]).logits.sum().backward()
        body, head, attention = parts(counter)
        assert (body, head) == (6 * BODY * 2 * columns, 6 * HEAD * 2 * columns)
        assert attention == 3 * 4 * 2 * 32 * 2 * columns**2


@pytest.mark.slow
def test_an_adapter(model):
    from peft import LoraConfig, get_peft_model

    found = []
    names = list(model.state_dict())
    for compiled in (False, True):
        start = traced(copy.deepcopy(model)) if compiled else copy.deepcopy(model)
        torch.manual_seed(0)
        adapter = LoraConfig(r=2, target_modules="all-linear", init_lora_weights=False)
        tuned = get_peft_model(start, adapter).eval()
        assert is_compiled(tuned) is compiled
        found.append(passed(tuned, **BATCHES["padded"]))
        assert list(tuned.merge_and_unload().state_dict()) == names
    assert found[0][2] == found[1][2]
    same(*found)


@pytest.mark.parametrize("reentrant", [pytest.param(False, marks=pytest.mark.slow), True])
def test_what_checkpointing_computes_again_is_counted(model, reentrant):
    """All of each layer: a compiled pass has no last product that could be left out."""
    model.gradient_checkpointing_enable({"use_reentrant": reentrant})
    model.enable_input_require_grads()
    model.train()
    plain = passed(model, **BATCHES["padded"])
    ours = passed(traced(model), **BATCHES["padded"])
    same(ours, plain)
    assert ours[2][1] == plain[2][1]
    assert ours[2][0] == 8 * BODY * 10 >= plain[2][0] > 7 * BODY * 10


def test_hooks_are_called_around_a_compiled_layer(model):
    called = []
    layer = traced(model).model.layers[0]
    layer.register_forward_hook(lambda *_: called.append("after"))
    layer.register_forward_pre_hook(lambda *_: called.append("before"))
    model(**BATCHES["padded"])
    assert called == ["before", "after"]
    assert "forward" not in vars(layer)


def test_what_writes_is_not_compiled(model, student):
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(student)
    prompts = [Prompt([5, 6, 7, 8], 6), Prompt([9, 5], 4)]
    written, notes = [], {}
    for compiled in (False, True):
        if compiled:
            traced(model, notes)
        counter = Counter(AMPLE)
        with metered(counter), torch.no_grad():
            ours = sorted(Decoder(model, tokenizer, 2).generate(prompts))
            theirs = model.generate(input_ids=IDS, attention_mask=MASK, max_new_tokens=4)
        written.append((ours, theirs.tolist(), parts(counter)))
    assert written[0] == written[1]
    assert notes == {}


def test_who_reads_in_a_line_goes_on_to(model):
    """A decoder of a well-known shape is read lean on a CPU; another one as a plain batch."""
    wanted = MASK != 0
    plain = hidden_states(model, IDS, MASK, wanted)
    notes = {}
    assert torch.equal(hidden_states(traced(model, notes), IDS, MASK, wanted), plain)
    assert notes == {}
    other = random("eager").requires_grad_(False)
    other.set_attn_implementation("sdpa")
    other.model.layers[0].register_forward_hook(lambda *_: None)  # so no lean pass
    assert Reader(other).against() is None
    before = hidden_states(other, IDS, MASK, wanted)
    traced(other, notes)
    assert "compiled" in Reader(other).against()
    torch.testing.assert_close(hidden_states(other, IDS, MASK, wanted), before)
    assert notes == {"compiled": "LlamaDecoderLayer"}


def test_a_layer_that_cannot_be_counted_is_not_compiled(model, monkeypatch):
    """It goes on as it is, is counted as it is, and the record says why."""
    from torch._subclasses import fake_tensor

    def broken(*_, **__):
        raise RuntimeError("no shapes today\nsecond line")

    plain, notes = passed(model, **BATCHES["padded"]), {}
    traced(model, notes)
    monkeypatch.setattr(fake_tensor, "FakeTensorMode", broken)
    CompiledLayer._seen.clear()
    ours = passed(model, **BATCHES["padded"])
    assert ours[2] == plain[2]
    assert ours[0] == plain[0]
    reason = "Qwen2DecoderLayer: what it computes cannot be counted: no shapes today"
    assert notes == {"not_compiled": reason}


def test_a_layer_with_a_hook_inside_is_not_compiled(model):
    """The hook computes more, after the layer was compiled: it is called, and counted."""
    given, notes = BATCHES["padded"], {}
    traced(model, notes)
    before = passed(model, **given)
    assert notes == {"compiled": "Qwen2DecoderLayer"}
    mlp = model.model.layers[0].mlp

    def once_more(part, given, made):
        return made + 0 * part.forward(*given)

    mlp.register_forward_hook(once_more)
    after = passed(model, **given)
    assert notes["not_compiled"] == "Qwen2DecoderLayer: mlp has a hook or a pass of its own"
    assert after[2][0] == before[2][0] + 6 * 3 * 32 * 64 * 10
    same(after, before)


def test_a_model_is_gone_when_nobody_has_it(student):
    import gc
    import weakref

    from transformers import AutoModelForCausalLM

    made = traced(AutoModelForCausalLM.from_pretrained(student))
    passed(made, **BATCHES["padded"])
    kept = weakref.ref(made.model.layers[0])
    gc.collect()
    gc.disable()
    try:
        del made
        assert kept() is None
    finally:
        gc.enable()


def test_a_machine_without_a_compiler_is_told_so(tmp_path, monkeypatch):
    monkeypatch.setenv("CXX", "no-such-compiler")
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", "")
    from torch._inductor import config

    monkeypatch.setattr(config.cpp, "cxx", ("no-such-compiler",))
    with pytest.raises(StageError) as raised:
        prepare("cpu", tmp_path)
    line = str(raised.value)
    assert line.startswith("[compute] compile = true: torch cannot compile for the cpu")
    assert "install g++, or leave it out" in line
    assert "\n" not in line


def test_the_plan_knows_that_there_is_no_compiler(small_board, harness, monkeypatch, tmp_path):
    small_board.write_text(
        small_board.read_text().replace("[compute]\n", "[compute]\ncompile = true\n")
    )
    monkeypatch.setenv("PATH", str(tmp_path))
    told = "compile = true needs g++, and this machine has none"
    command = ("bench", str(small_board), "--plugins", "sft", "--dry-run")
    assert told in harness(*command).stdout
    compiler = tmp_path / "g++"
    compiler.write_text("#!/bin/sh\n")
    compiler.chmod(0o755)
    assert told not in harness(*command).stdout


@pytest.mark.bench
@pytest.mark.parametrize("name", ["sft-lora", "kd-sequence", "rft", "rl", "kd-on-policy"])
def test_trainers_that_write_and_adapters_go_on_as_before(name, start, tmp_path, monkeypatch):
    """What they compute, write and leave, by torch's tracer, which needs no compiler."""
    from transformers import AutoModelForCausalLM

    monkeypatch.setattr(train_stage, "prepare", lambda *_: None)
    given = partial(compile_layers, backend="aot_eager")
    monkeypatch.setattr(train_stage, "compile_layers", given)
    options = {"lora_dropout": 0.0} if name == "sft-lora" else {}
    runs = [
        train(name, tmp_path / str(on), start, start, options=options, compile=on)
        for on in (False, True)
    ]
    plain, ours = (run.budget.cost for run in runs)
    assert ours.steps == plain.steps > 0
    assert ours.computed_flops == pytest.approx(plain.computed_flops, rel=1e-6)
    assert ours.generated_tokens == plain.generated_tokens
    lean = name in ("rl", "kd-on-policy")  # whose losses pass layers by
    assert "not_compiled" not in runs[1].notes
    assert ("compiled" in runs[1].notes) is not lean
    weights = [AutoModelForCausalLM.from_pretrained(run.out).state_dict() for run in runs]
    begun = AutoModelForCausalLM.from_pretrained(start).state_dict()
    for key, one in weights[0].items():
        moved = (one - begun[key]).norm()
        assert (one - weights[1][key]).norm() <= 0.1 * moved + 1e-6, key


@pytest.mark.bench
@pytest.mark.skipif(not shutil.which("g++"), reason="torch compiles with g++")
@pytest.mark.slow
def test_a_compiled_stage_leaves_what_another_leaves(patient_board, harness):
    """In confinement, student and teacher: the same cost, and weights but for rounding."""
    from transformers import AutoModelForCausalLM

    from harness.records import read_records

    options = "\n[options.kd]\nbatch_size = 4\npacking = true\nmax_length = 300\n"
    options += "learning_rate = 1e-3\n"
    text = patient_board.read_text() + options
    found = []
    for number, more in enumerate(("", "compile = true\n")):
        board = patient_board.with_name(f"{number}.toml")
        named = text.replace('name = "small"', f'name = "b{number}"')
        board.write_text(named.replace("[compute]\n", f"[compute]\n{more}"))
        harness("bench", str(board), "--plugins", "kd", "--seeds", "0")
        folder = board.parent / "runs" / f"b{number}"
        (record,) = (one for one in read_records(folder / "records") if one.trainer == "kd")
        assert record.status == "ok"
        (notes,) = (stage.notes for stage in record.stages)
        (weights,) = folder.glob("stages/*/checkpoint")
        found.append((record, notes, AutoModelForCausalLM.from_pretrained(weights).state_dict()))
    (plain, before, weights), (compiled, notes, ours) = found
    assert notes["compiled"] == "Qwen2DecoderLayer"
    assert notes.keys() - before.keys() == {"compiled"}
    assert plain.board.digest != compiled.board.digest
    for name in ("flops", "trained_tokens", "teacher_tokens", *PARTS):
        assert getattr(compiled.cost, name) == getattr(plain.cost, name) > 0
    start = AutoModelForCausalLM.from_pretrained(patient_board.parent / "start").state_dict()
    for name, one in weights.items():
        assert (one - ours[name]).norm() < 0.05 * (one - start[name]).norm()
