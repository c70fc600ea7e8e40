"""What the engine and training ask of a GPU, on a machine that has none: shapes, types, devices.

Tensors on `cuda` have no values here (`support/fake_gpu.py`), so the branches that a GPU takes are
run, and an operation on tensors of two devices or two types fails as it would there. A wait for the
device is noted. Kernels, memory and graphs are not seen; those are in `test_gpu`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest
import test_decoding
import torch
from fake_gpu import GPU, FakeGpu, moved
from models import byte_tokenizer

from harness.stage.decoding import graphs, passes, probe, slots
from harness.stage.decoding.decoder import Decoder
from harness.stage.decoding.passes import Kept, Reader
from harness.stage.decoding.prompt import Prompt
from harness.stage.decoding.writing import Half, write

EVERY = 8  # tokens between two looks


@pytest.fixture
def gpu() -> Iterator[FakeGpu]:
    made = FakeGpu()
    with made.used():
        yield made


def model_of(name: str, dtype: str = "bfloat16", **shape: Any) -> Any:
    """Return a model on the device; a layer of each kind that it has."""
    from transformers import AutoConfig, AutoModelForCausalLM

    given = test_decoding.SHAPE | test_decoding.ARCHITECTURES[name]
    layers = {"num_hidden_layers": 1, "n_layer": 1}
    if "layer_types" in given or name == "gemma2":
        layers = {"num_hidden_layers": 2, "layer_types": ["sliding_attention", "full_attention"]}
    config = AutoConfig.for_model(name, bos_token_id=None, eos_token_id=2, **given | layers | shape)
    how = {"attn_implementation": "eager"} if name == "gemma2" else {}
    model = AutoModelForCausalLM.from_config(config, dtype=getattr(torch, dtype), **how)
    return moved(model.eval())


class Again:
    """A recorder that has a step done once more, and refuses one that waits for the device.

    Attributes:
        recorded: Steps that were recorded.
        repeated: Steps that were repeated.
    """

    def __init__(self, gpu: FakeGpu) -> None:
        self._gpu = gpu
        self.recorded = self.repeated = 0

    @contextmanager
    def rehearsal(self) -> Iterator[None]:
        before = len(self._gpu.waits)
        yield
        if waits := self._gpu.waits[before:]:
            raise RuntimeError(f"a step waits for the device: {waits}")

    def record(self, run: Callable[[], None]) -> Callable[[], object]:
        self.recorded += 1

        def repeat() -> None:
            self.repeated += 1
            run()

        with self.rehearsal():
            run()
        return repeat


@pytest.fixture
def recorder(gpu, monkeypatch) -> Again:
    """Let the engine record, and trust recordings; what a GPU's memory is asked for is known."""
    made = Again(gpu)
    monkeypatch.setattr(graphs, "recorder", lambda device: made if device.type == "cuda" else None)
    monkeypatch.setattr(graphs, "CHECKS", 0)  # each reads two numbers
    monkeypatch.setattr(passes, "_room", lambda device: float("inf"))
    monkeypatch.setattr(probe, "way", lambda model: probe.Way())  # found by values
    return made


@pytest.fixture
def in_steps(gpu, monkeypatch) -> list[str]:
    """Return the waits within steps, of the model and of what chooses tokens."""
    found: list[str] = []
    plain = slots.Slots._write

    def noted(self: Any, ahead: int) -> Any:
        before = len(gpu.waits)
        drawn = plain(self, ahead)
        found.extend(gpu.waits[before:])
        return drawn

    monkeypatch.setattr(slots.Slots, "_write", noted)
    return found


@pytest.mark.parametrize("name", ["llama", "qwen3", "gemma2", "gemma3_text", "gpt2"])
def test_no_step_of_any_architecture_waits_for_the_device(name, gpu, caplog):
    """Prompts are copied there, with where they end; a step of decoding copies and reads nothing.

    The last product is in float32 and not rounded before.
    """
    with torch.inference_mode():
        model = model_of(name)
        reader = Reader(model, 4, exact=True)
        prefix = reader.read_prefix([5, 6, 7])
        before = len(gpu.waits)
        logits = reader.read([[8, 9], [10, 11, 12]], 0, 3, prefix)
        assert len(gpu.waits) == before + 2
        assert (logits.device, logits.dtype, logits.shape) == (GPU, torch.float32, (2, 259))
        source = reader.repeat(0, [0, 1])
        before = len(gpu.waits)
        logits = reader.write(source, source + 5, 7)
    assert gpu.waits[before:] == []
    assert "logits are rounded" not in caplog.text
    assert (logits.device, logits.dtype, logits.shape) == (GPU, torch.float32, (2, 259))


def test_batches_of_models_without_slots_are_on_the_device(gpu):
    """They are looked at after every token, and rows that have ended are taken out."""
    from harness.stage.decoding.batches import Batches
    from harness.stage.decoding.sampling import Sampler
    from harness.stage.decoding.stops import Stops

    given = [Prompt([5] * (3 + n), 2 + n, n) for n in range(4)]
    tokenizer = byte_tokenizer()
    with torch.inference_mode():
        engine = Batches(model_of("bloom"), Stops(tokenizer, ()), Sampler(1.0, 0.9), 4, True)
        found = dict(engine.answers(given, range(4), lambda _: ()))
    assert [len(found[place].tokens) for place in range(4)] == [one.limit for one in given]


def test_steps_have_few_numbers_of_columns(gpu):
    """A kernel of attention may be planned for each, which takes longer than a step."""
    model = model_of("llama", max_position_embeddings=512)
    seen: set[int] = set()
    inner = model.forward

    def forward(**given: Any) -> Any:
        seen.add(given["attention_mask"].shape[-1])
        return inner(**given)

    model.forward = forward
    with torch.inference_mode():
        reader = Reader(model, 2)
        reader.read([[5, 6, 7]], 0, 0, None)
        seen.clear()
        ids = torch.zeros(1, dtype=torch.long, device="cuda")
        for column in range(3, 300, 49):
            reader.write(ids, ids, column + 1)
    assert seen <= {64, 128, 192, 256, 320}


@pytest.mark.parametrize("settings", [{}, {"temperature": 0.8}, {"temperature": 1.0, "top_p": 0.9}])
def test_answers_are_looked_at_every_few_tokens_alone(settings, gpu, recorder, in_steps, caplog):
    """Slots are refilled and share a beginning; a nucleus is once larger than what is sorted."""
    given = [Prompt([33] * 4 + [9] * n, 4 + 6 * n, n) for n in range(3)]
    model = model_of("llama", vocab_size=1100 if "top_p" in settings else 259)
    with torch.inference_mode():
        decoder = Decoder(model, byte_tokenizer(), 2, **settings)
        if "top_p" in settings:
            gpu.truths.extend([True, False])
        answers = {place: len(tokens) for place, tokens, _ in decoder.generate(given)}
    assert answers == {place: one.limit for place, one in enumerate(given)}
    assert in_steps == []
    assert "without CUDA graphs" not in caplog.text
    assert recorder.recorded
    assert recorder.repeated
    looks = Counter(line.partition(":")[0] for line in gpu.waits)["tolist"]
    assert looks < sum(answers.values()) / 3


def test_rollouts_are_written_in_half_precision(gpu, recorder, in_steps):
    """By a model as accelerate prepares it: autocast, and outputs in float32."""
    from accelerate.utils import convert_outputs_to_fp32

    model = model_of("llama", "float32").train()
    inner = torch.autocast("cuda", torch.bfloat16)(model.forward)
    model.forward = convert_outputs_to_fp32(inner)
    kept, half, seen = Kept(), Half(), set()
    plain = kept.take

    def take(model: Any, *given: Any) -> Any:
        seen.update(one.dtype for one in model.parameters())
        return plain(model, *given)

    kept.take = take  # type: ignore[method-assign]
    for turn in range(2):
        decoder = Decoder(model, byte_tokenizer(), 4, temperature=1.0, kept=kept)
        rows = write(decoder, [[5, 6, 7]], 4, EVERY + 2, half=half)
        assert [len(one.tokens) for one in rows[0]] == [EVERY + 2] * 4
        if turn == 0:
            recorded = recorder.recorded
    assert (recorded, recorder.recorded) == (1, 1)
    assert seen == {torch.bfloat16}
    assert {one.dtype for one in model.parameters()} == {torch.float32}
    assert in_steps == []


def test_what_a_gpu_alone_multiplies_is_counted(gpu):
    """The last product in float32, and those of TRL's losses that are summed in float32."""
    from trl.kernels.chunked_logprob import _addmm_fp32

    from harness.stage.computed.counting import counted
    from harness.stage.computed.products import Products
    from harness.stage.decoding.head import ExactHead

    products, model = Products(), model_of("llama")
    products.meet(model)
    hidden = torch.zeros(3, 1, 32, dtype=torch.bfloat16, device="cuda")
    with counted(products) as ours, products.imagined(), torch.inference_mode():
        with ExactHead(model):
            assert model.lm_head(hidden).dtype == torch.float32
        assert products.parts == (0, 2 * 3 * 32 * 259, 0)
        gradient = torch.zeros(259, 32, device="cuda")
        logits = torch.zeros(259, 3, dtype=torch.bfloat16, device="cuda")
        _addmm_fp32(gradient, logits, hidden[:, 0])
        assert ours()
    assert products.parts == (0, 2 * 2 * 3 * 32 * 259, 0)


@pytest.mark.parametrize("weights", ["float32", "bfloat16"])
def test_losses_take_what_autocast_makes(weights, gpu):
    """The student's weights are in float32, the teacher's in half precision, of another size."""
    import harness_hybrid
    from harness_kd import losses
    from harness_rl.heads import logits

    from harness import hidden_states

    student = model_of("llama", "float32").train()
    teacher = model_of("qwen2", weights, vocab_size=270).requires_grad_(False)
    ids = torch.ones((2, 7), dtype=torch.long, device="cuda")
    batch = {"input_ids": ids, "attention_mask": torch.ones_like(ids), "labels": ids}
    options: Any = SimpleNamespace(temperature=2.0, alpha=0.5, beta=0.5)
    wanted = ids > 0
    with torch.autocast("cuda", torch.bfloat16):
        found = [
            student(**batch).loss,
            losses.distillation_loss(student, teacher, batch, options),
            harness_hybrid.expert_loss(student, batch, phi=True, tokens=3),
        ]
        made = logits(student, hidden_states(student, ids, batch["attention_mask"], wanted))
    assert made.requires_grad
    for one in (*found, made):
        assert (one.device, one.dtype, one.requires_grad) == (GPU, torch.float32, True)
