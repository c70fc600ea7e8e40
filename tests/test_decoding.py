"""The decoder: the same answers as plain generation, however its batches are formed."""

from __future__ import annotations

import random
from typing import Any

import pytest
from models import byte_tokenizer, save_model

from harness.stage.decoding import passes, sampling, slots
from harness.stage.decoding.decoder import Decoder
from harness.stage.decoding.prompt import Prompt
from harness.stage.decoding.sampling import choose
from harness.stage.decoding.stopping import cut, room, stop_at
from harness.stage.decoding.stops import Row, Stops


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    from transformers import AutoModelForCausalLM

    folder = save_model(tmp_path_factory.mktemp("decoding") / "model", seed=3)
    return AutoModelForCausalLM.from_pretrained(folder).eval()


@pytest.fixture(scope="module")
def tokenizer():
    return byte_tokenizer()


def prompts(count: int = 12, seed: int = 0) -> list[Prompt]:
    """Prompts of many lengths whose answers have many limits, so that rows leave one by one."""
    rng = random.Random(seed)
    return [
        Prompt([rng.randrange(3, 259) for _ in range(rng.randint(2, 30))], rng.randint(1, 40), i)
        for i in range(count)
    ]


def written(model, tokenizer, given, batch_size, **settings) -> list[tuple[list[int], bool]]:
    import torch

    decoder = Decoder(model, tokenizer, batch_size, **settings)
    with torch.inference_mode():
        found = {place: (tokens, ended) for place, tokens, ended in decoder.generate(given)}
    assert len(found) == len(given)
    return [found[place] for place in range(len(given))]


@pytest.mark.parametrize("batch_size", [1, 5, 12])
def test_greedy_answers_are_those_of_transformers(model, tokenizer, batch_size):
    import torch

    given = prompts()
    for prompt, (tokens, ended) in zip(
        given, written(model, tokenizer, given, batch_size), strict=True
    ):
        with torch.inference_mode():
            output = model.generate(
                torch.tensor([prompt.tokens]),
                attention_mask=torch.ones((1, len(prompt.tokens)), dtype=torch.long),
                max_new_tokens=prompt.limit,
                do_sample=False,
            )
        assert tokens == output[0, len(prompt.tokens) :].tolist()
        assert ended == (tokens[-1] == tokenizer.eos_token_id)


SHAPE = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "vocab_size": 259,
    "initializer_range": 0.3,
    "max_position_embeddings": 128,
}
GPT2 = {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 128, "initializer_range": 0.3}
SLIDES = {"sliding_window": 6}
ARCHITECTURES = {
    "llama": {},
    "qwen2": {},
    "qwen3": {},
    "gemma": {},
    "gemma2": SLIDES,  # eager attention with a soft cap, every other layer sees a window
    "gemma3_text": SLIDES | {"layer_types": ["sliding_attention", "full_attention"] * 2},
    "mistral": SLIDES,
    "phi3": {"pad_token_id": 0},
    "gpt_neox": {},
    "gpt2": GPT2,
    "opt": {"ffn_dim": 64, "word_embed_proj_dim": 32},
    "bloom": {"n_layer": 2, "n_head": 4},
}
WITHOUT_SLOTS = {"bloom": "it takes no position_ids"}


def architecture(name: str, **shape: Any) -> Any:
    """Return a small model of an architecture, its weights random and its attention sharp."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    torch.manual_seed(2)
    ends = {"bos_token_id": None, "eos_token_id": 2}
    config = AutoConfig.for_model(name, **ends, **SHAPE | ARCHITECTURES[name] | shape)
    how = {"attn_implementation": "eager"} if name == "gemma2" else {}
    model = AutoModelForCausalLM.from_config(config, **how).eval()
    model.generation_config.update(**ends, pad_token_id=2)
    return model


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_answers_of_every_architecture_are_those_of_plain_generation(name, tokenizer):
    """Five rows at once, which are refilled; where slots are not right for a model, in batches."""
    model = architecture(name)
    given = [Prompt(one.tokens, 1 + one.limit // 3) for one in prompts(9, seed=4)]
    beginning = [33] * 3 + list(range(40, 60))
    given += [Prompt(beginning + one.tokens, one.limit) for one in given]
    decoder = Decoder(model, tokenizer, 5)
    found = {place: tokens for place, tokens, _ in decoder.generate(given)}
    assert [found[place] for place in range(18)] == [alone(model, one) for one in given]
    assert decoder.way.why == WITHOUT_SLOTS.get(name)
    assert len({tuple(tokens) for tokens in found.values()}) > 9


@pytest.mark.parametrize("temperature", [0.0, 1.0])
@pytest.mark.parametrize("name", ["llama", "bloom"])
def test_prompts_that_come_meanwhile_are_answered_as_if_all_had_been_there(
    name, temperature, tokenizer
):
    """Those that come later have higher limits; at times there is nothing to do but to wait."""
    import torch

    model = architecture(name)
    given = [Prompt(one.tokens, 1 + one.limit // (3 - part), one.seed + 9 * part)
             for part in range(3) for one in prompts(9, seed=part)]  # fmt: skip
    known, parts, waited = given[:9], [given[9:12], [], given[12:20], given[20:]], []

    def more(wait: bool) -> range:
        waited.append(wait)
        before = len(known)
        while parts and (wait or len(waited) % 7 == 0):
            known.extend(parts.pop(0))
            if len(known) > before:
                break
        return range(before, len(known))

    decoder = Decoder(model, tokenizer, 4, temperature=temperature)
    with torch.inference_mode():
        served = {place: tokens for place, tokens, _ in decoder.serve(known, range(9), more)}
    assert known == given
    assert waited[-1] is True
    expected = written(model, tokenizer, given, 27, temperature=temperature)
    assert [served[place] for place in range(27)] == [tokens for tokens, _ in expected]


def alone(model, prompt: Prompt) -> list[int]:
    import torch

    ids = torch.tensor([prompt.tokens], device=model.device)
    with torch.inference_mode():
        output = model.generate(
            ids, attention_mask=torch.ones_like(ids), max_new_tokens=prompt.limit, do_sample=False
        )
    return output[0, len(prompt.tokens) :].tolist()


def test_a_model_whose_attention_is_not_what_its_configuration_says_is_found_out(tokenizer, caplog):
    """Its layers look at the two last columns, which slots do not know of."""
    from transformers.models.llama.modeling_llama import LlamaAttention

    model = architecture("llama")
    plain = LlamaAttention.forward

    def near(self, hidden_states, *args, attention_mask=None, past_key_values=None, **kwargs):
        mask = attention_mask.clone() if attention_mask is not None else None
        if mask is not None and mask.shape[-2] == 1:
            mask[..., :-2] = -1e9 if mask.is_floating_point() else False
        return plain(self, hidden_states, *args, attention_mask=mask,
                     past_key_values=past_key_values, **kwargs)  # fmt: skip

    for layer in model.model.layers:
        layer.self_attn.forward = near.__get__(layer.self_attn)
    decoder = Decoder(model, tokenizer, 4)
    assert "differ from its own" in decoder.way.why
    assert "generating one answer at a time: its logits in slots differ" in caplog.text


def tokens_read(model) -> tuple[list[int], Any]:
    """Return a list that gets the tokens of each pass over a model, and the hook that does it."""
    sizes: list[int] = []

    def count(module, arguments, keywords):
        sizes.append(keywords["input_ids"].numel())

    return sizes, model.register_forward_pre_hook(count, with_kwargs=True)


def test_what_prompts_have_in_common_is_read_once(model, tokenizer):
    rng = random.Random(5)
    start = [rng.randrange(3, 259) for _ in range(60)]
    given = [Prompt([*start, *[rng.randrange(3, 259) for _ in range(5)]], 1) for _ in range(40)]
    written(model, tokenizer, given[:2], 8)  # tries the model out
    sizes, hook = tokens_read(model)
    found = written(model, tokenizer, given, 8)
    hook.remove()
    assert sum(sizes) == 60 + 40 * 5
    assert [tokens for tokens, _ in found] == [alone(model, one) for one in given]


def test_samples_of_one_prompt_read_it_once(model, tokenizer):
    given = [Prompt([5 + n, 40, 50 + n], 12, seed) for n in range(3) for seed in range(16)]
    settings = {"temperature": 1.0, "top_p": 0.95}
    one_by_one = written(model, tokenizer, given, 1, **settings)
    sizes, hook = tokens_read(model)
    assert written(model, tokenizer, given, 48, **settings) == one_by_one
    hook.remove()
    assert sizes[0] == 3 * 3
    assert len({tuple(tokens) for tokens, _ in one_by_one}) > 40


@pytest.mark.parametrize("temperature", [0.0, 1.0])
@pytest.mark.parametrize("begins", [[], list(range(70, 100))], ids=["apart", "alike"])
@pytest.mark.parametrize("rows", [1, 5, 8])
def test_samples_that_find_no_free_slot_do_not_read_their_prompt_again(
    rows, begins, temperature, model, tokenizer
):
    """Twelve prompts of sixteen samples each, whose answers leave one by one.

    In double precision, so that no text depends on how sums are rounded.
    """
    import copy

    model = copy.deepcopy(model).double()
    texts = [[*begins, 5 + n, 40, 50 + n, 7, 120 - n] for n in range(12)]
    given = [Prompt(texts[n // 16], 1 + n * 7 % 11, n) for n in range(12 * 16)]
    settings = {"temperature": temperature, "top_p": 0.95}
    expected = [written(model, tokenizer, [one], 1, **settings)[0] for one in given]
    sizes, hook = tokens_read(model)
    assert written(model, tokenizer, given, rows, **settings) == expected
    hook.remove()
    steps = sum(len(tokens) - 1 for tokens, _ in expected)
    assert sum(sizes) - steps == len(begins) + 12 * 5


def test_prompts_that_are_kept_for_later_samples_leave_nothing_in_a_slot(tokenizer):
    """Slots are cleared in which they are put: what lay there may have been no number."""
    import torch

    model = architecture("llama")
    with torch.no_grad():
        model.get_input_embeddings().weight[7] = torch.nan
    bad = [Prompt([7] * 30, 3 + 6 * (n > 0), n) for n in range(4)]  # the first leaves alone
    good = [Prompt([9, 40, 50], 12, n) for n in range(11)]
    settings = {"temperature": 1.0}
    found = written(model, tokenizer, [*bad, *good], 4, **settings)
    assert found[4:] == [written(model, tokenizer, [one], 1, **settings)[0] for one in good]


@pytest.fixture
def poisoned_memory():
    """Let new memory hold NaN, as memory may that was used before."""
    import torch

    torch.use_deterministic_algorithms(True)
    torch.utils.deterministic.fill_uninitialized_memory = True
    yield
    torch.use_deterministic_algorithms(False)
    torch.utils.deterministic.fill_uninitialized_memory = False


def test_memory_that_was_used_before_shows_in_no_answer(model, tokenizer, poisoned_memory):
    given = prompts(16, seed=6)
    found = written(model, tokenizer, given, 7)
    assert [tokens for tokens, _ in found] == [alone(model, one) for one in given]


def test_a_row_that_computes_nan_leaves_nothing_for_the_next_one(tokenizer):
    """Masked columns are multiplied by nought, which makes NaN of NaN."""
    import torch

    model = architecture("llama")
    with torch.no_grad():
        model.get_input_embeddings().weight[7] = torch.nan
    good = [Prompt([token for token in one.tokens if token != 7] + [9], one.limit, one.seed)
            for one in prompts(20, seed=7)]  # fmt: skip
    bad = [Prompt([7, *[8] * (6 * (n // 4)), 7], 20 - n) for n in range(12)]  # some are the same
    found = written(model, tokenizer, [*bad, *good], 4)
    assert found[12:] == written(model, tokenizer, good, 4)


def test_texts_are_looked_at_only_after_a_token_that_can_end_a_stop_string(model, tokenizer):
    looked = []

    class Watched:
        pad_token_id, eos_token_id = tokenizer.pad_token_id, tokenizer.eos_token_id

        def decode(self, tokens):
            looked.append(list(tokens))
            return tokenizer.decode(tokens)

    given = prompts(20, seed=1)
    free = written(model, tokenizer, given, 20)
    stop = next(c for c in "abcdefghijklmnop" if any(c in tokenizer.decode(t) for t, _ in free))
    written(model, Watched(), given, 6, stop=[f"never {stop}"])
    texts = {token: tokenizer.decode([token]) for tokens, _ in free for token in tokens}
    ends = {token for token, text in texts.items() if stop in text or text in ("", "\ufffd")}
    candidates = sum(token in ends for tokens, _ in free for token in tokens)
    assert len(looked) <= len(texts) + candidates < sum(len(tokens) for tokens, _ in free)


def test_what_is_written_in_blocks_is_what_is_written_one_by_one(model, tokenizer, monkeypatch):
    """A GPU is asked what it wrote every few tokens only."""
    given, settings = prompts(20, seed=8), {"stop": ["e", "\n"], "temperature": 1.0}
    one_by_one = written(model, tokenizer, given, 6, **settings)
    monkeypatch.setitem(slots.STRIDE, "cpu", 8)
    assert written(model, tokenizer, given, 6, **settings) == one_by_one


def test_a_step_reads_nothing_back_from_the_device(model):
    """Each such read lets a GPU wait; transformers' own masks cost one a step."""
    import torch
    from torch.utils._python_dispatch import TorchDispatchMode

    class Reads(TorchDispatchMode):
        count = 0

        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            names = ("_local_scalar_dense", "nonzero", "is_nonzero", "equal")
            self.count += function.overloadpacket.__name__ in names
            return function(*args, **(kwargs or {}))

    reader = passes.Reader(model, 2)
    ids = torch.tensor([5, 6])
    with torch.no_grad():
        reader.read([[5, 6, 7], [8, 9]], 0, 0, None)
        with Reads() as ours:
            logits = reader.write(ids, torch.tensor([3, 2]), 4)
            choose(logits, None, 0.0, 1.0)
            choose(logits, torch.tensor([0.1, 0.2]), 1.0, 1.0)
        with Reads() as plain:
            model(ids[:, None], attention_mask=torch.ones((2, 1)), use_cache=False)
    assert ours.count == 0
    assert plain.count > 0  # what is counted does happen elsewhere


@pytest.mark.parametrize("spread", [0.1, 3.0], ids=["flat", "peaked"])
def test_a_large_vocabulary_is_sampled_as_if_all_of_it_were_sorted(spread, monkeypatch):
    import torch

    generator = torch.Generator().manual_seed(1)
    logits = torch.randn((64, 5000), generator=generator) * spread
    noise = torch.rand(64, generator=generator, dtype=torch.float64)
    chosen = choose(logits, noise, 0.8, 0.9)
    monkeypatch.setattr(sampling, "LARGEST", 5000)
    assert chosen.tolist() == choose(logits, noise, 0.8, 0.9).tolist()


def test_a_sample_is_where_the_running_sum_in_double_precision_says():
    """Published texts were sampled so: to the last bit, and nothing is written over."""
    import torch

    generator = torch.Generator().manual_seed(3)
    chances = (3 * torch.randn((32, 5000), generator=generator)).softmax(-1)
    noise = torch.rand(32, generator=generator, dtype=torch.float64)
    before = chances.clone()
    total = before.double().cumsum(-1)
    place = torch.searchsorted(total, (noise * total[:, -1])[:, None], right=True)[:, 0]
    assert torch.equal(sampling._drawn(chances, noise), place)
    assert torch.equal(chances, before)


@pytest.mark.parametrize("stride", [1, 8])
@pytest.mark.parametrize("spread", ["peaked", "flat", "changing"])
def test_a_nucleus_that_is_larger_than_what_is_sorted_first_changes_no_text(
    spread, stride, tokenizer, monkeypatch
):
    """Steps are done again with the whole vocabulary sorted, where it is seen that they must."""
    ranges = {"peaked": 1.0, "flat": 0.02, "changing": 0.3}
    model = architecture("llama", vocab_size=2000, initializer_range=ranges[spread])
    if spread == "changing":  # behind some texts the next token may be any
        own = model.lm_head.forward
        model.lm_head.forward = lambda hidden: own(hidden) * (hidden[..., :1] > -1).float()
    given = [Prompt(one.tokens, 30, one.seed) for one in prompts(12)]
    written(model, tokenizer, given[:1], 1)  # tries the model out
    monkeypatch.setitem(slots.STRIDE, "cpu", stride)
    passes, hook = tokens_read(model)
    found = written(model, tokenizer, given, 5, **NUCLEUS)
    needed = len(passes)
    passes.clear()
    monkeypatch.setattr(sampling, "LARGEST", 2000)
    assert written(model, tokenizer, given, 5, **NUCLEUS) == found
    hook.remove()
    again = needed - len(passes)
    if spread == "peaked" or stride == 1:  # what was drawn alone is only drawn again
        assert again == 0
    elif spread == "flat":
        assert again == stride  # and never again
    else:
        assert again >= stride


def test_a_sample_depends_on_its_seed_and_not_on_its_batch(model, tokenizer):
    given = prompts()
    settings = {"temperature": 1.0, "top_p": 0.95}
    alone = written(model, tokenizer, given, 1, **settings)
    assert written(model, tokenizer, given, 7, **settings) == alone
    other = [Prompt(prompt.tokens, prompt.limit, prompt.seed + 100) for prompt in given]
    assert written(model, tokenizer, other, 7, **settings) != alone


def test_rows_end_at_the_token_that_completes_a_stop_string(model, tokenizer):
    """Stops are two-byte strings that the model is seen to write; each costs two tokens."""
    given = prompts(20, seed=1)
    free = written(model, tokenizer, given, 20)
    middle = [tokens[len(tokens) // 2 :][:2] for tokens, _ in free if len(tokens) > 6]
    stop = [
        text
        for text in map(tokenizer.decode, middle)
        if text and "\ufffd" not in text and "<" not in text
    ]
    assert stop, "the model writes nothing printable"
    for (tokens, _), (short, ended) in zip(
        free, written(model, tokenizer, given, 6, stop=stop), strict=True
    ):
        ends = [
            end
            for end in range(1, len(tokens) + 1)
            if any(text in tokenizer.decode(tokens[:end]) for text in stop)
        ]
        assert short == tokens[: ends[0] if ends else None]
        if ends:
            assert ended


@pytest.mark.parametrize("stride", [1, 3, 8, 50])
def test_tokens_that_come_in_blocks_are_cut_where_single_ones_are(tokenizer, stride):
    """A GPU is asked what it wrote every few tokens only."""
    text = "3 apples.\n\nProblem: and so on, with Problem: again<|im_end|>more"
    tokens = tokenizer(text)["input_ids"]
    stops = Stops(tokenizer, [0, tokenizer.eos_token_id], ["\n\nProblem:"])
    row = Row(limit=100)
    for start in range(0, len(tokens), stride):
        row.extend(tokens[start : start + stride], stops)
    assert tokenizer.decode(row.tokens) == "3 apples.\n\nProblem:"
    assert row.done
    assert row.stopped
    unstopped = Row(limit=5)
    for start in range(0, len(tokens), stride):
        unstopped.extend(tokens[start : start + stride], stops)
    assert unstopped.tokens == tokens[:5]
    assert unstopped.done
    assert not unstopped.stopped


def test_a_batch_that_does_not_fit_is_halved_and_loses_no_answer(model, tokenizer):
    import torch

    given = prompts()
    expected = written(model, tokenizer, given, 12)
    sizes = []

    def small_memory(module, arguments, keywords):
        sizes.append(len(keywords["input_ids"]))
        if sizes[-1] > 3:
            raise torch.OutOfMemoryError("CUDA out of memory")

    hook = model.register_forward_pre_hook(small_memory, with_kwargs=True)
    try:
        decoder = Decoder(model, tokenizer, 12)
        with torch.inference_mode():
            found = {place: (tokens, ended) for place, tokens, ended in decoder.generate(given)}
    finally:
        hook.remove()
    assert [found[place] for place in range(12)] == expected
    assert decoder.smallest == 3
    assert sizes[:3] == [12, 6, 3]


def test_a_prompt_that_does_not_fit_alone_is_an_error(model, tokenizer):
    import torch

    def no_memory(module, arguments):
        raise torch.OutOfMemoryError("CUDA out of memory")

    hook = model.register_forward_pre_hook(no_memory)
    try:
        with pytest.raises(torch.OutOfMemoryError):
            written(model, tokenizer, prompts(), 4)
    finally:
        hook.remove()


@pytest.mark.parametrize(
    ("temperature", "top_p"), [(1.0, 1.0), (0.7, 0.9), (1.3, 0.5), (1.0, 0.01)]
)
def test_sampling_draws_from_the_distribution_of_transformers(temperature, top_p):
    """Evenly spread random numbers reproduce its probabilities."""
    import torch
    from transformers.generation.logits_process import (
        TemperatureLogitsWarper,
        TopPLogitsWarper,
    )

    logits = torch.randn((1, 20), generator=torch.Generator().manual_seed(5)) * 2
    warped = TemperatureLogitsWarper(temperature)(None, logits.clone())
    if top_p < 1:
        warped = TopPLogitsWarper(top_p)(None, warped)
    expected = warped.softmax(-1)[0]
    draws = 4000
    uniform = (torch.arange(draws, dtype=torch.float64) + 0.5) / draws
    tokens = choose(logits.expand(draws, -1), uniform, temperature, top_p)
    counts = torch.bincount(tokens, minlength=20) / draws
    assert torch.allclose(counts, expected.to(counts.dtype), atol=2 / draws)


def test_the_largest_random_number_draws_a_token_that_can_be_drawn():
    import torch

    logits = torch.full((1, 8), -torch.inf)
    logits[0, 2] = 0.0
    almost_one = torch.tensor([1 - 2**-53], dtype=torch.float64)
    for top_p in (1.0, 0.5):
        assert choose(logits, almost_one, 1.0, top_p).tolist() == [2]


@pytest.mark.parametrize(
    "text", ["a\n\nProblem: b", "Problem: b", "no stop", "x Q: y</s>z", "", "aQ:"]
)
@pytest.mark.parametrize("stop", [["\n\nProblem:", "Problem:"], ["Q:", "</s>", ""], []])
def test_texts_are_cut_as_lm_eval_cuts_them(text, stop):
    from lm_eval.models.utils import postprocess_generated_text

    assert cut(text, stop) == postprocess_generated_text(text, stop, None)


def test_a_prompt_is_never_cut_for_its_answer():
    assert room([1] * 90, context=100, limit=5) == 5
    assert room([1] * 90, context=100, limit=50) == 10
    assert room([1] * 100, context=100, limit=50) == 0
    assert room([1] * 190, context=100, limit=50) == 0


def test_no_row_runs_past_the_places_that_a_model_knows(tokenizer):
    """Learned positions end with the context; a row that has ended waits inside it."""
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel

    torch.manual_seed(0)
    config = GPT2Config(vocab_size=259, n_positions=32, n_embd=32, n_layer=1, n_head=2)
    model = GPT2LMHeadModel(config).eval()
    model.generation_config.eos_token_id = None
    given = [Prompt([5] * 30, 2), *(Prompt([6, 7], 25, i) for i in range(6))]
    found = written(model, tokenizer, given, 7)
    assert [len(tokens) for tokens, _ in found] == [2, *[25] * 6]
    assert found == written(model, tokenizer, given, 1)


def test_rows_that_others_generate_end_at_a_stop_string_with_an_end_of_turn(model, tokenizer):
    """What TRL's trainers call: each row ends by itself and reads as one that has ended."""
    import copy

    import torch

    given = torch.tensor([[40, 50, 60], [70, 80, 90]])
    settings = {
        "attention_mask": torch.ones_like(given),
        "max_new_tokens": 40,
        "do_sample": False,
        "pad_token_id": tokenizer.pad_token_id,
    }
    with torch.inference_mode():
        free = model.generate(given, **settings)[:, 3:].tolist()
        place = next(
            n for n, token in enumerate(free[0]) if n > 3 and tokenizer.decode([token]).isalnum()
        )
        stop = tokenizer.decode(free[0][place : place + 1])
        ending = stop_at(copy.copy(model), tokenizer, [stop])
        stopped = ending.generate(given, **settings)[:, 3:].tolist()
        assert model.generate(given, **settings)[:, 3:].tolist() == free
    for row, plain in zip(stopped, free, strict=True):
        text = tokenizer.decode(plain)
        if stop not in text:
            assert row[: len(plain)] == plain
            continue
        end = next(n for n in range(len(plain)) if stop in tokenizer.decode(plain[: n + 1]))
        assert row[: end + 1] == plain[: end + 1]
        assert set(row[end + 1 :]) <= {tokenizer.eos_token_id}
    assert stop in tokenizer.decode(stopped[0])


@pytest.mark.parametrize("size", ["small", "large"])
def test_logits_in_half_precision_are_summed_in_float32(size, tokenizer, monkeypatch):
    """Hidden states and weights stay bfloat16: only the last product is another."""
    import torch

    from harness.stage.decoding import head

    if size == "large":
        monkeypatch.setattr(head, "SMALL", 0)
    model = architecture("llama").bfloat16()
    seen: list[tuple[Any, Any]] = []
    weight = model.lm_head.weight
    model.lm_head.register_forward_hook(lambda _, given, out: seen.append((given[0], out)))
    given = [Prompt(one.tokens, 12) for one in prompts(40)]
    written(model, tokenizer, given, 20)
    probed = [out for _, out in seen if out.dtype != torch.float32]
    assert all(out.dtype == torch.bfloat16 for out in probed)  # of the probe, and of nothing else
    ours = [(hidden, out) for hidden, out in seen if out.dtype == torch.float32]
    assert ours
    ties = 0
    with torch.inference_mode():
        for hidden, out in ours:
            assert hidden.dtype == weight.dtype == torch.bfloat16
            exact = hidden.double() @ weight.double().t()
            assert torch.equal(out.argmax(-1), exact.argmax(-1))
            best = out.topk(4).indices
            torch.testing.assert_close(out.gather(-1, best).double(), exact.gather(-1, best),
                                       rtol=1e-5, atol=1e-5)  # fmt: skip
            rounded = torch.nn.functional.linear(hidden, weight).float()
            ties += int(((rounded == rounded.amax(-1, keepdim=True)).sum(-1) > 1).sum())
    assert ties  # where bfloat16 would take the first of several
    assert "forward" not in vars(model.lm_head)
    before = len(seen)
    model(input_ids=torch.tensor([[5, 6]]))
    assert seen[before][1].dtype == torch.bfloat16


def test_a_device_without_the_wide_product_says_so_once(caplog):
    """As torch's own CPU, when it is asked in the way of a GPU."""
    import torch

    from harness.stage.decoding.head import ExactHead

    model = architecture("llama").bfloat16()
    head, weight = ExactHead(model), model.lm_head.weight.detach()
    hidden = torch.randn(3, 1, weight.shape[1]).bfloat16()
    found = [head._product(hidden, weight) for _ in range(2)]
    assert torch.equal(found[0], torch.nn.functional.linear(hidden, weight).float())
    assert torch.equal(*found)
    assert [line.getMessage()[:20] for line in caplog.records] == ["logits are rounded: "]


def test_sampled_and_float32_logits_are_the_models_own(model, tokenizer):
    import torch

    from harness.stage.decoding.head import ExactHead

    own = model.get_output_embeddings().forward
    with ExactHead(model):
        assert model.get_output_embeddings().forward == own
    half = architecture("llama").bfloat16()
    dtypes: set[Any] = set()
    half.lm_head.register_forward_hook(lambda _, __, out: dtypes.add(out.dtype))
    written(half, tokenizer, prompts(3), 3, temperature=1.0)
    assert dtypes == {torch.bfloat16}


LARGE = {"vocab_size": 2000}
FLAT = LARGE | {"initializer_range": 0.02}  # of almost all tokens a nucleus is made
NUCLEUS = {"temperature": 1.0, "top_p": 0.95}


@pytest.mark.parametrize(
    ("settings", "shape"),
    [({}, {}), ({"temperature": 0.8}, {}), (NUCLEUS, {}), (NUCLEUS, LARGE), (NUCLEUS, FLAT)],
)
def test_a_decoding_step_reads_nothing_back_from_the_device(
    settings, shape, tokenizer, monkeypatch
):
    """On a GPU each such read would wait for all that was asked of it; a look may read."""
    import torch
    from torch.utils._python_dispatch import TorchDispatchMode

    class Reads(TorchDispatchMode):
        """Keeps the names of operators whose result the processor has to wait for."""

        def __init__(self) -> None:
            super().__init__()
            self.found: list[str] = []

        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            name = func.overloadpacket.__name__
            # `item` is seen as such in inference mode, and else as what it is made of
            if name in ("item", "_local_scalar_dense", "nonzero", "equal", "is_nonzero"):
                self.found.append(name)
            return func(*args, **kwargs or {})

    steps: list[list[str]] = []
    plain = slots.Slots._write

    def counted(self, ahead):
        with Reads() as reads:
            chosen = plain(self, ahead)
        steps.append(reads.found)
        return chosen

    for mode in (torch.no_grad, torch.inference_mode):
        with mode(), Reads() as reads:  # it finds what it is for
            assert bool(torch.tensor(True))
            assert torch.tensor(3).item() == 3
            torch.tensor([1, 0]).nonzero()
        assert len(reads.found) >= 3
    monkeypatch.setattr(slots.Slots, "_write", counted)
    for name in ("llama", "gemma3_text", "gpt2"):
        written(architecture(name, **shape), tokenizer, prompts(7), 4, **settings)
    assert len(steps) > 50
    assert not any(steps), steps


def test_a_weights_order_in_memory_changes_no_text(model, tokenizer):
    import copy

    import torch

    from harness.stage.models import lay_out

    other = copy.deepcopy(model)
    lay_out(other)
    linear = [part for part in other.modules() if type(part) is torch.nn.Linear]
    laid = [part for part in linear if part.weight.stride(0) == 1]
    assert len(laid) == len(linear) - 1  # the head shares its weights with the embedding
    for one, two in zip(model.state_dict().values(), other.state_dict().values(), strict=True):
        assert torch.equal(one, two)
    given = prompts(20)
    assert written(other, tokenizer, given, 6) == written(model, tokenizer, given, 6)
