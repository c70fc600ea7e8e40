"""Recorded decoding steps, on a CPU: the recorder keeps torch's operations and not kernels.

What a CUDA graph repeats are kernels on the same memory, with Python and its decisions left out.
`Tape` does the same with operations: it calls them again on the tensors that they were given, and
writes their results to where they lay. Only that a GPU can record a step is not seen here; that is
in `test_gpu`.
"""

from __future__ import annotations

import copy
import gc
import random
import weakref
from collections.abc import Callable
from contextlib import contextmanager
from typing import Any

import models
import pytest
import test_decoding
import torch
from models import byte_tokenizer
from test_decoding import alone, architecture, prompts, written
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten

from harness.stage.decoding import graphs, passes, probe
from harness.stage.decoding.decoder import Decoder
from harness.stage.decoding.passes import Kept, Reader
from harness.stage.decoding.prompt import Prompt

# `item` is seen as such in inference mode, and else as what it is made of
READS = ("item", "_local_scalar_dense", "nonzero", "equal", "is_nonzero", "masked_select")


class Tape:
    """Records operations, and repeats them on the same memory.

    Attributes:
        recorded: Steps that were recorded.
        repeated: Steps that were repeated.
    """

    def __init__(self) -> None:
        self.recorded = self.repeated = 0

    @contextmanager
    def rehearsal(self) -> Any:
        class Strict(TorchDispatchMode):
            def __torch_dispatch__(self, func, types, args=(), kwargs=None):
                if func.overloadpacket.__name__ in READS:
                    raise RuntimeError(f"{func} waits for the device")
                return func(*args, **kwargs or {})

        with Strict():
            yield

    def record(self, run: Callable[[], None]) -> Callable[[], object]:
        asked: list[tuple[Any, Any, Any, Any]] = []

        class Keep(TorchDispatchMode):
            def __torch_dispatch__(self, func, types, args=(), kwargs=None):
                made = func(*args, **kwargs or {})
                asked.append((func, args, kwargs or {}, made))
                return made

        with Keep():
            run()
        self.recorded += 1

        def repeat() -> None:
            self.repeated += 1
            for func, args, kwargs, made in asked:
                again = func(*args, **kwargs)
                for old, new in zip(tree_flatten(made)[0], tree_flatten(again)[0], strict=True):
                    if isinstance(old, torch.Tensor) and old.data_ptr() != new.data_ptr():
                        old.copy_(new)

        return repeat


@pytest.fixture
def tapes(monkeypatch) -> list[Tape]:
    """Let every engine that is made record its steps; return what they record with."""
    made: list[Tape] = []

    def tape(device: Any) -> Tape:
        made.append(Tape())
        return made[-1]

    monkeypatch.setattr(graphs, "recorder", tape)
    return made


@pytest.fixture(scope="module")
def tokenizer():
    return byte_tokenizer()


NAMES = [name for name in test_decoding.ARCHITECTURES if name not in test_decoding.WITHOUT_SLOTS]


@pytest.mark.parametrize("name", NAMES)
def test_answers_by_recordings_are_those_of_plain_generation(name, tokenizer, tapes, caplog):
    """Rows leave, move and are refilled, few-shot parts are shared, and the cache grows."""
    model = architecture(name)
    given = [Prompt(one.tokens, 1 + one.limit // 3) for one in prompts(9, seed=4)]
    rng = random.Random(3)
    beginning = [rng.randrange(3, 259) for _ in range(70)]
    given += [Prompt(beginning + one.tokens, 2 * one.limit) for one in given]
    decoder = Decoder(model, tokenizer, 5)
    with torch.no_grad():
        found = {place: tokens for place, tokens, _ in decoder.generate(given)}
    assert [found[place] for place in range(18)] == [alone(model, one) for one in given]
    assert "without CUDA graphs" not in caplog.text
    (tape,) = tapes
    assert tape.recorded >= 4  # rows and columns were more and fewer
    assert tape.repeated > 2 * tape.recorded


@pytest.mark.parametrize("settings", [{}, {"temperature": 0.8}, {"temperature": 1.0, "top_p": 0.9}])
def test_recordings_change_no_sample(settings, tokenizer, monkeypatch, tapes):
    model, given = architecture("llama"), prompts(30, seed=9)
    recorded = written(model, tokenizer, given, 8, **settings)
    monkeypatch.setattr(graphs, "recorder", lambda device: None)
    assert written(model, tokenizer, given, 8, **settings) == recorded
    assert tapes[0].repeated > 20


def test_a_row_that_computes_nan_leaves_nothing_for_others(tokenizer, tapes):
    model = architecture("llama")
    with torch.no_grad():
        model.get_input_embeddings().weight[7] = torch.nan
    good = [
        Prompt([token for token in one.tokens if token != 7] + [9], one.limit, one.seed)
        for one in prompts(20, seed=7)
    ]
    bad = [Prompt([7, *[8] * (n // 2), 7], 20 - n) for n in range(12)]
    assert written(model, tokenizer, [*bad, *good], 4)[12:] == written(model, tokenizer, good, 4)


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ("waits", "waits for the device"),
        ("forgets", "a repeated step differs by"),
        ("fails", "this device records nothing"),
    ],
)
def test_a_model_that_cannot_be_recorded_is_used_step_by_step(
    change, line, tokenizer, tapes, caplog, monkeypatch
):
    model, given = architecture("llama"), prompts(12, seed=2)
    expected = [alone(model, one) for one in given]
    layer = model.model.layers[1].mlp
    plain, kept = layer.forward, list[torch.Tensor]()

    def waits(states):
        assert float(states.sum()) == float(states.sum())
        return plain(states)

    def forgets(states):
        """Add what Python remembers of the step before, which no recording does."""
        kept.append(states)
        late = len(kept) > 8  # not while the model is tried out
        return plain(states) + (states * (len(kept) % 7) if late and states.shape[1] == 1 else 0)

    def fails(run):
        raise RuntimeError("this device records nothing\nat all")

    if change == "fails":
        monkeypatch.setattr(Tape, "record", lambda self, run: fails(run))
    else:
        monkeypatch.setattr(layer, "forward", waits if change == "waits" else forgets)
    found = written(model, tokenizer, given, 5)
    said = [record.message for record in caplog.records if "CUDA graphs" in record.message]
    assert len(said) == 1, said
    assert line in said[0]
    assert "\n" not in said[0]
    if change != "forgets":
        assert [tokens for tokens, _ in found] == expected


def test_memory_that_is_full_while_a_step_is_recorded_halves_the_rows(
    tokenizer, tapes, monkeypatch
):
    model, given = architecture("llama"), prompts(12, seed=5)
    plain = Tape.record

    def record(self, run):
        if len(tapes) == 1:
            raise RuntimeError("CUDA error: out of memory")
        return plain(self, run)

    monkeypatch.setattr(Tape, "record", record)
    decoder = Decoder(model, tokenizer, 8)
    with torch.no_grad():
        found = {place: tokens for place, tokens, _ in decoder.generate(given)}
    assert [found[place] for place in range(12)] == [alone(model, one) for one in given]
    assert decoder.smallest == 4
    assert len(tapes) == 2


def test_what_is_repeated_is_counted(tokenizer, tapes, monkeypatch):
    """The meter counts functions that are called, and a repeated step calls none."""
    from harness.stage.budget import Caps
    from harness.stage.metering.counter import Counter
    from harness.stage.metering.meter import metered

    given = [Prompt([5, 6, 7, 8], 12, n) for n in range(8)]  # 8 rows at once, which is a power of 2
    parts = []
    for recorder in (graphs.recorder, lambda device: None):
        monkeypatch.setattr(graphs, "recorder", recorder)
        counter = Counter(Caps(steps=1))
        with metered(counter), torch.no_grad():
            list(Decoder(architecture("llama"), tokenizer, 8).generate(given))
        parts.append((counter.products.parts, counter.cost.flops))
    (recorded, estimate), (plain, same) = parts
    assert tapes[0].repeated > 5
    assert estimate == same
    # attention reads some columns in vain, and what is compared is computed twice
    step = (plain[0] + plain[1]) / 14
    assert plain[0] + plain[1] <= recorded[0] + recorded[1] <= plain[0] + plain[1] + 3 * step
    assert recorded[2] >= plain[2]


def test_sizes_leave_little_room():
    for rows in range(1, 300):
        for width in (1, 63, 64, 65, 200, 257, 700, 1025, 4097):
            most, columns = graphs.sizes(rows, width)
            assert rows <= most < 2 * rows or most == rows
            assert width <= columns < max(1.25 * width, width + graphs.COLUMNS)
    assert len({graphs.sizes(1, width)[1] for width in range(1, 2049)}) <= 16


def test_a_recording_is_left_where_the_cache_has_grown(tokenizer):
    """Another memory would be read otherwise: what was recorded still points to the old one."""
    model, tape = architecture("llama"), Tape()
    reader, plain = Reader(model, 2), Reader(copy.deepcopy(model), 2)
    step = graphs.Graphs(reader.write, reader.cache, model.device, tape)
    rows = [list(range(10, 40)), list(range(50, 75))]
    with torch.no_grad():
        for one in (reader, plain):
            one.read(rows, 0, 0, None)
        at = torch.tensor([len(row) for row in rows])
        for number in range(120):
            ids = torch.tensor([(number * 7) % 250 + 3, (number * 11) % 250 + 3])
            found = step(ids, at + number, 31 + number)
            expected = plain.write(ids, at + number, 31 + number)
            assert torch.allclose(found, expected, atol=1e-4), number
        assert tape.recorded == 3  # of 64, 128 and 192 columns
        for number in (5, 6):  # a step of fewer columns in a cache that has more of them by now
            found = step(ids, at + number, 31 + number)
            assert torch.allclose(found, plain.write(ids, at + number, 31 + number), atol=1e-4)
    assert tape.recorded == 4
    assert tape.repeated > 100


def test_what_is_written_in_vain_leaves_nothing_for_a_row_that_comes_later(tokenizer):
    """Three rows are recorded as four, and the fourth computes NaN."""
    model = architecture("llama")
    with torch.no_grad():
        model.get_input_embeddings().weight[0] = torch.nan
        reader = Reader(model, 4)
        step = graphs.Graphs(reader.write, reader.cache, model.device, Tape())
        reader.read([[5, 6, 7], [8, 9, 4], [10, 11, 3]], 0, 0, None)
        at = torch.tensor([3, 3, 3, 2])
        for number in range(4):
            step(torch.tensor([12, 13, 14]), at[:3] + number, 4 + number)
        assert reader.cache.prefix(3, 8)[0][0].isnan().any()
        reader.read([[15, 16]], 3, 0, None)
        logits = step(torch.tensor([12, 13, 14, 17]), at, 4)
    assert logits[:, 1:].isfinite().all()  # the head shares the weights of token 0


def texts(model, tokenizer, kept, given, **settings) -> list[list[int]]:
    decoder = Decoder(model, tokenizer, 8, kept=kept, **settings)
    with torch.no_grad():
        found = {place: tokens for place, tokens, _ in decoder.generate(given)}
    return [found[place] for place in range(len(given))]


@pytest.mark.parametrize("settings", [{}, {"temperature": 0.8}])
def test_recordings_outlive_a_call_and_follow_the_weights(settings, tokenizer, tapes, caplog):
    """As long as weights and cache stay where they are, whatever values the weights have."""
    model, given, kept = architecture("llama").double(), prompts(20, seed=9), Kept()
    first = texts(model, tokenizer, kept, given, **settings)
    recorded = tapes[0].recorded
    assert texts(model, tokenizer, kept, given, **settings) == first
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    found = texts(model, tokenizer, kept, given, **settings)
    assert len(tapes) == 1
    assert tapes[0].recorded == recorded
    assert found != first
    assert found == texts(model, tokenizer, None, given, **settings)
    assert "without CUDA graphs" not in caplog.text


@pytest.mark.parametrize("change", ["weights", "rows", "hook", "failed", "large"])
def test_recordings_of_what_may_have_changed_are_not_used_again(
    change, tokenizer, tapes, monkeypatch
):
    model, given, kept = architecture("llama").double(), prompts(20, seed=9), Kept()
    if change == "hook":
        model.model.layers[0].register_forward_hook(lambda *_: None)
    if change == "large":
        monkeypatch.setattr(passes, "_room", lambda _: 1000)
    texts(model, tokenizer, kept, given)
    if change == "weights":
        model.lm_head.weight.data = 2 * model.lm_head.weight.data
    if change == "failed":
        full = model.register_forward_pre_hook(lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            texts(model, tokenizer, kept, given)
        full.remove()
    more = given[:5] if change == "rows" else given
    assert texts(model, tokenizer, kept, more) == [alone(model, one) for one in more]
    assert len(tapes) == 2


def test_a_model_that_is_given_up_is_not_held_by_its_recordings(tokenizer, tapes):
    model, kept = architecture("llama"), Kept()
    texts(model, tokenizer, kept, prompts(4))
    held = weakref.ref(model)
    probe._found.clear()
    tapes.clear()
    del model
    gc.collect()
    assert kept._held is not None
    assert held() is None


def test_rollouts_of_a_stage_record_once(tokenizer, tapes, tmp_path):
    """Their weights in half precision are copied to where they were, after each step."""
    start = models.save_model(tmp_path / "start", seed=0)
    run = models.make_run(tmp_path, start, None, dtype="bfloat16")
    model, asked = run.student(), [[5 + n, 40, 50, 60] for n in range(6)]
    first = run.generate(model, tokenizer, asked, limit=12)
    recorded = tapes[0].recorded
    assert recorded
    optimiser = torch.optim.SGD(model.parameters(), lr=5.0)
    model(torch.tensor([[5, 6, 7]])).logits.square().mean().backward()
    optimiser.step()
    second = run.generate(model, tokenizer, asked, limit=12)
    assert second != first
    assert [len(tapes), tapes[0].recorded] == [1, recorded]
    run._stage.kept.clear()
    assert run.generate(model, tokenizer, asked, limit=12) == second
    assert len(tapes) == 2
    run.close()
