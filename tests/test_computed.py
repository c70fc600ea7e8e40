"""What is really computed, against torch's own counter of every operation."""

from __future__ import annotations

import contextlib
import copy
import csv
from types import SimpleNamespace

import pytest

pytest.importorskip("torch")

import torch
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode
from train_all import CASES, OTHERS, train

from harness.costs import PARTS
from harness.errors import BudgetExceeded, StageError
from harness.leaderboard.data import Leaderboard
from harness.records import Caps, Cost, read_records
from harness.render import markdown, spreadsheet
from harness.stage.computed.counting import FLASH, counted
from harness.stage.computed.products import Products
from harness.stage.decoding.decoder import Decoder
from harness.stage.decoding.prompt import Prompt
from harness.stage.metering.counter import Counter
from harness.stage.metering.meter import metered

AMPLE = Caps(steps=10_000)
# two layers of width 32, 4 heads and 2 key-value heads of width 8, inner width 64
LAYER = 2 * 32 * 32 + 2 * 32 * 16 + 3 * 32 * 64
BODY, HEAD = 2 * LAYER, 320 * 32
IDS = torch.tensor([[5, 6, 7, 8, 9], [5, 6, 7, 0, 0]])
MASK = torch.tensor([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]])
PAIRS = 2 * 5 * 5  # of a layer and a head: two rows, padding and masked pairs included
ATTENTION = 4 * 2 * 32 * PAIRS


@contextlib.contextmanager
def torchs_own():
    """Count by torch's dispatcher, with attention as plain products, which it sees on a CPU.

    It knows `addmm` and not its form in place, in which TRL's losses sum up gradients, and not the
    products of many experts.
    """

    def in_place(_, one, other, *rest, **more):
        return 2 * one[0] * one[1] * other[1]

    def grouped(one, other, *rest, **more):
        return 2 * one[0] * one[1] * other[-1]

    more = {torch.ops.aten.addmm_: in_place, torch.ops.aten._grouped_mm: grouped}
    own = FlopCounterMode(display=False, custom_mapping=more)
    with sdpa_kernel(SDPBackend.MATH), own:
        yield own


@pytest.fixture
def model(student):
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(student)


def parts(counter):
    return tuple(getattr(counter.cost, name) for name in PARTS)


@pytest.mark.bench
@pytest.mark.parametrize("name", CASES | OTHERS)
def test_every_trainer_computes_what_torch_counts(name, student, teacher, tmp_path, monkeypatch):
    from harness.stage.decoding import probe

    plain, tried = probe.way, [0, 0]

    def spent() -> tuple[int, int]:
        counts = own.get_flop_counts().get("Global", {})
        return own.get_total_flops(), counts.get(torch.ops.aten.bmm, 0)

    def way(model):  # each model is tried out once before answers, which is left out of the cost
        before = spent()
        found = plain(model)
        for number, (late, early) in enumerate(zip(spent(), before, strict=True)):
            tried[number] += late - early
        return found

    monkeypatch.setattr(probe, "way", way)
    with torchs_own() as own:
        cost = train(name, tmp_path, student, teacher, seed=1).budget.cost
    # and once before losses: less than one per cent of so short a run
    whole, attention = (total - trial for total, trial in zip(spent(), tried, strict=True))
    assert cost.computed_flops == pytest.approx(whole, rel=0.02)
    assert cost.attention_flops == pytest.approx(attention, rel=0.02)
    assert 0 < cost.head_flops < cost.computed_flops


def test_the_parts_are_the_formula(model):
    counter = Counter(AMPLE)
    with metered(counter), torchs_own() as own:
        model(input_ids=IDS, attention_mask=MASK).logits.sum().backward()
    assert parts(counter) == (6 * BODY * 10, 6 * HEAD * 10, 3 * ATTENTION)
    assert counter.cost.computed_flops == own.get_total_flops()
    assert counter.cost.trained_tokens == 8  # the estimate counts no padding


def test_without_a_gradient_and_with_few_logits(model):
    counter = Counter(AMPLE)
    with metered(counter), torch.no_grad():
        model(input_ids=IDS, attention_mask=MASK, logits_to_keep=1)
        model.base_model(input_ids=IDS, attention_mask=MASK)
    assert parts(counter) == (2 * 2 * BODY * 10, 2 * HEAD * 2, 2 * ATTENTION)


def test_frozen_weights_take_two_thirds(model):
    from peft import LoraConfig, get_peft_model

    model = get_peft_model(model, LoraConfig(r=2, target_modules=["q_proj"]))
    model.enable_input_require_grads()
    adapter = 2 * 2 * (32 + 32)
    counter = Counter(AMPLE)
    with metered(counter), torchs_own() as own:
        model(input_ids=IDS, attention_mask=MASK).logits.sum().backward()
    assert parts(counter)[:2] == ((4 * BODY + 6 * adapter) * 10, 4 * HEAD * 10)
    assert counter.cost.computed_flops == pytest.approx(own.get_total_flops(), rel=0.001)


@pytest.mark.parametrize("reentrant", [False, True])
def test_what_checkpointing_computes_again_is_counted(model, reentrant):
    model.gradient_checkpointing_enable({"use_reentrant": reentrant})
    model.enable_input_require_grads()
    counter = Counter(AMPLE)
    with metered(counter), torchs_own() as own:
        model.train()(input_ids=IDS, attention_mask=MASK).logits.sum().backward()
    assert counter.cost.computed_flops == own.get_total_flops()
    assert 7 * BODY * 10 < counter.cost.body_flops <= 8 * BODY * 10


def test_a_loss_that_multiplies_by_the_embedding_itself(model):
    """Whole, in parts of the vocabulary, and by a function of its own."""
    weight = model.get_output_embeddings().weight
    counter = Counter(AMPLE)
    with metered(counter):
        with torch.no_grad():
            hidden = model.base_model(input_ids=IDS, attention_mask=MASK).last_hidden_state[0]
        before = counter.cost
        hidden @ weight.t()
        torch.matmul(hidden, weight.t())
        functional.linear(hidden, weight)
        with torch.no_grad():
            for part in weight.split(100):
                torch.mm(hidden, part.t())
                torch.zeros(5, len(part)).addmm_(hidden, part.t())
    after = counter.cost
    assert after.head_flops - before.head_flops == 2 * HEAD * 5 * (2 + 2 + 2 + 1 + 1)
    assert (after.body_flops, after.attention_flops) == (
        before.body_flops,
        before.attention_flops,
    )


def random(kind):
    from transformers import AutoModelForCausalLM, GPT2Config, LlamaConfig, MixtralConfig

    torch.manual_seed(0)
    small = {"vocab_size": 160, "hidden_size": 16, "intermediate_size": 24}
    small |= {"num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2}
    ends = {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}
    config, more = {
        "gpt2": (GPT2Config(n_embd=16, n_layer=2, n_head=4, n_positions=64, vocab_size=160), {}),
        "eager": (LlamaConfig(**small), {"attn_implementation": "eager"}),
        "mixture": (MixtralConfig(**small, num_local_experts=4), {}),
    }[kind]
    config.update(ends)
    return AutoModelForCausalLM.from_config(config, **more)


@pytest.mark.parametrize("kind", ["gpt2", "eager", "mixture"])
def test_other_models_compute_what_torch_counts(kind):
    model, counter = random(kind), Counter(AMPLE)
    with metered(counter), torchs_own() as own:
        model(input_ids=IDS % 100, attention_mask=MASK).logits.sum().backward()
    assert counter.cost.computed_flops == pytest.approx(own.get_total_flops(), rel=0.03)
    assert all(amount > 0 for amount in parts(counter))
    assert counter.cost.head_flops == 6 * 160 * 16 * 10


@pytest.mark.parametrize("batch_size", [1, 8])
def test_generation_reads_a_prefix_once_and_makes_logits_where_it_needs_them(
    model, student, batch_size
):
    from transformers import AutoTokenizer

    model.generation_config.eos_token_id = None
    tokenizer = AutoTokenizer.from_pretrained(student)
    tokenizer.eos_token = None
    prefix = list(range(10, 74))
    prompts = [Prompt([*prefix, 80 + number, 90], 4) for number in range(12)]
    decoder = Decoder(model, tokenizer, batch_size)
    assert decoder.way.kind == "slots"  # which tries the model, before anything is counted
    counter = Counter(AMPLE)
    with metered(counter), torchs_own() as own, torch.no_grad():
        answers = list(decoder.generate(prompts))
    assert sum(len(tokens) for _, tokens, _ in answers) == 48
    cost = counter.cost
    assert cost.computed_flops == pytest.approx(own.get_total_flops(), rel=0.01)
    assert cost.body_flops == 2 * BODY * (64 + 12 * 2 + 12 * 3)  # the last token is read by nobody
    assert cost.head_flops == 2 * HEAD * (48 + 1)  # one behind the prefix, which nobody needs
    whole = 320 * 32 + BODY
    assert cost.flops > 2 * whole * 12 * (66 + 4)  # the estimate has each prompt read for itself


def test_plain_generation_is_counted_too(model):
    counter = Counter(AMPLE)
    with metered(counter), torchs_own() as own:
        model.generate(input_ids=IDS, attention_mask=MASK, max_new_tokens=4, min_new_tokens=4)
    assert counter.cost.computed_flops == own.get_total_flops()
    assert counter.cost.head_flops == 2 * HEAD * 2 * 4


def test_a_compiled_model_is_counted_by_its_shape(model):
    model.compile(backend="eager")
    counter = Counter(AMPLE)
    with metered(counter), torch.no_grad():
        model(input_ids=IDS)
    biases = 2 * (32 + 2 * 16) + 5 * 32
    assert parts(counter) == (2 * (BODY + biases) * 10, 2 * HEAD * 10, ATTENTION)


def test_packed_texts_see_themselves_alone():
    """With a stand-in for flash_attn's kernel, which needs a GPU."""
    from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

    plain = ALL_ATTENTION_FUNCTIONS[FLASH]
    q, v = torch.zeros(1, 4, 7, 8, requires_grad=True), torch.zeros(1, 2, 7, 8)
    ALL_ATTENTION_FUNCTIONS[FLASH] = lambda *_, **__: (q, None)
    try:
        products = Products()
        with counted(products):
            attend = ALL_ATTENTION_FUNCTIONS[FLASH]
            positions = torch.tensor([[0, 1, 2, 0, 1, 2, 3]])
            attend(None, q, v, v, None, position_ids=positions)
            assert products.attention == 3 * 4 * 4 * 8 * (3 * 3 + 4 * 4)
            with torch.no_grad():
                attend(None, q, v, v, None)
            assert products.attention == 4 * 4 * 8 * (3 * 25 + 7 * 7)
    finally:
        ALL_ATTENTION_FUNCTIONS[FLASH] = plain


def test_what_vllm_computes_is_known_by_its_shape(student, monkeypatch):
    """With a stand-in for vLLM, which needs a GPU: a prompt of 5 tokens, two samples."""
    import sys
    from types import ModuleType

    class LLM:
        llm_engine = SimpleNamespace(model_config=SimpleNamespace(model=str(student)))

        def generate(self, prompts):
            functional.linear(torch.zeros(3, 4), torch.zeros(5, 4))  # in this process, unlike most
            samples = [SimpleNamespace(token_ids=[1] * 4), SimpleNamespace(token_ids=[1] * 6)]
            return [SimpleNamespace(prompt_token_ids=ids, outputs=samples) for ids in prompts]

    vllm = ModuleType("vllm")
    vllm.LLM = LLM
    monkeypatch.setitem(sys.modules, "vllm", vllm)
    counter = Counter(AMPLE)
    with metered(counter, "vllm"):
        LLM().generate([[7] * 5])
    biases = 2 * (32 + 2 * 16) + 5 * 32
    pairs = 5 * 5 + (5 * 4 + 4 * 4 // 2) + (5 * 6 + 6 * 6 // 2)
    expected = (2 * (BODY + biases) * (5 + 3 + 5), 2 * HEAD * 10, 4 * 2 * 32 * pairs)
    assert parts(counter) == expected


def test_an_optimisers_products_are_no_models(model):
    counter = Counter(AMPLE)
    with metered(counter):
        gram = torch.ones(3, 8, 8) @ torch.ones(3, 8, 8)
        torch.bmm(gram, gram)
        torch.addmm(gram[0], gram[0], gram[0])
    assert parts(counter) == (0, 0, 0)


def drawn(*sizes):
    return torch.ones(*sizes, requires_grad=True)


X, W, B, C = (2, 5, 32), (64, 32), (4, 5, 6), (4, 6, 7)
PRODUCTS = {
    "einsum": lambda: torch.einsum("...i,oi->...o", drawn(*X), drawn(*W)),
    "einsum of a list": lambda: torch.einsum("bti, oi -> bto", [drawn(*X), drawn(*W)]),
    "einsum by numbers": lambda: torch.einsum(drawn(*X), [0, 1, 2], drawn(*W), [3, 2], [0, 1, 3]),
    "einsum of dots": lambda: torch.einsum(drawn(*X), [..., 2], drawn(*W), [3, 2], [..., 3]),
    "einsum, implicit": lambda: torch.einsum("bij,bjk", drawn(*B), drawn(*C)),
    "einsum of batches": lambda: torch.einsum("bij,bjk->bik", drawn(*B), drawn(*C)),
    "einsum of three": lambda: torch.einsum("ij,jk,kl->il", drawn(5, 6), drawn(6, 7), drawn(7, 8)),
    "functional": lambda: torch.functional.einsum("ij,jk->ik", drawn(5, 6), drawn(6, 7)),
    "Tensor.bmm": lambda: drawn(*B).bmm(drawn(*C)),
    "Tensor.addmm": lambda: drawn(5, 7).addmm(drawn(5, 6), drawn(6, 7)),
    "baddbmm": lambda: torch.baddbmm(drawn(4, 5, 7), drawn(*B), drawn(*C)),
    "Tensor.baddbmm": lambda: drawn(4, 5, 7).baddbmm(drawn(*B), drawn(*C)),
    "tensordot": lambda: torch.tensordot(drawn(*X), drawn(*W), dims=([2], [1])),
    "tensordot by number": lambda: torch.tensordot(drawn(*X), drawn(32, 8), dims=1),
    "chain": lambda: torch.linalg.multi_dot([drawn(9, 3), drawn(3, 8), drawn(8, 2)]),
    "inner": lambda: torch.inner(drawn(*X), drawn(*W)),
}


@pytest.mark.parametrize("name", PRODUCTS)
def test_products_that_are_asked_for_in_other_ways_cost_what_torch_counts(name):
    products = Products()
    products.calls = 1
    with counted(products), torchs_own() as own:
        PRODUCTS[name]().sum().backward()
    assert products.total == own.get_total_flops() > 0


def test_products_with_vectors_cost_what_they_are():
    products = Products()
    products.calls = 1
    ways = [
        lambda: torch.mv(drawn(*W), drawn(32)),
        lambda: drawn(*W).mv(drawn(32)),
        lambda: drawn(*W) @ drawn(32),
        lambda: torch.addmv(drawn(64), drawn(*W), drawn(32)),
        lambda: drawn(64).addmv(drawn(*W), drawn(32)),
    ]
    with counted(products):
        for number, way in enumerate(ways, 1):
            way()
            assert products.body == 3 * 2 * 64 * 32 * number
        torch.addbmm(drawn(5, 7), drawn(*B), drawn(*C))
    assert products.attention == 3 * 2 * 4 * 5 * 6 * 7


def test_a_product_of_sizes_that_have_no_value_is_none():
    """As where a compiler traces: torch 2.11 asks for products of such sizes by `torch.mm`."""
    from torch._subclasses.fake_tensor import FakeTensorMode
    from torch.fx.experimental.symbolic_shapes import ShapeEnv

    products = Products()
    products.heads.add((320, 32))
    mode = FakeTensorMode(shape_env=ShapeEnv())
    rows = mode.from_tensor(torch.zeros(5, 32), static_shapes=False)
    weights = mode.from_tensor(torch.zeros(32, 16))
    with mode, counted(products):
        torch.mm(rows, weights)
    assert products.total == 0


def test_layers_that_multiply_by_einsum_cost_the_same(model):
    found = []
    for changed in (False, True):
        for one in model.modules() if changed else ():
            if type(one) is torch.nn.Linear:
                one.forward = lambda x, one=one: torch.einsum("...i,oi->...o", x, one.weight)
        counter = Counter(AMPLE)
        with metered(counter):
            model(input_ids=IDS, attention_mask=MASK).logits.sum().backward()
        found.append(parts(counter))
    assert found[0] == found[1]


def test_torch_is_left_as_it_was(model):
    before = functional.linear, functional.scaled_dot_product_attention, torch.matmul, torch.addmm
    with metered(Counter(AMPLE)):
        assert functional.linear is not before[0]
    after = functional.linear, functional.scaled_dot_product_attention, torch.matmul, torch.addmm
    assert before == after
    methods = {"matmul", "__matmul__", "mm", "addmm_", "addmm", "bmm", "baddbmm", "mv", "inner"}
    assert not methods & vars(torch.Tensor).keys()
    assert torch.einsum is torch.functional.einsum


def test_a_cap_on_what_is_computed_holds(model):
    step = 6 * (BODY + HEAD) * 10 + 3 * ATTENTION
    counter = Counter(Caps(computed_flops=2.5 * step))
    optimiser = torch.optim.SGD(model.parameters(), lr=0.0)
    with metered(counter):
        for number in (1, 2):
            assert not counter.exhausted()
            model(input_ids=IDS, attention_mask=MASK).logits.sum().backward()
            optimiser.step()
            assert counter.cost.computed_flops == number * step
        assert counter.exhausted()
        model(input_ids=IDS, attention_mask=MASK).logits.sum().backward()
        with pytest.raises(BudgetExceeded, match="computed_flops was spent"):
            optimiser.step()
    assert counter.fraction == pytest.approx(3 / 2.5)


def test_who_replaces_what_the_budget_is_counted_by_is_stopped(model, monkeypatch):
    def free(*given):
        return torch._C._nn.linear(*given)

    for caps, refused in ((AMPLE, False), (Caps(computed_flops=1e12), True)):
        reason = pytest.raises(StageError, match=r"torch\.nn\.functional\.linear")
        with reason if refused else contextlib.nullcontext(), metered(Counter(caps)):
            monkeypatch.setattr(functional, "linear", free)
            model(input_ids=IDS)


def test_gpu_seconds_are_those_of_all_gpus_and_need_one():
    counter = Counter(Caps(gpu_seconds=1000), gpus=4)
    counter.start()
    counter.tick()
    cost = counter.cost
    assert cost.gpu_seconds == 4 * cost.seconds > 0
    assert 0 < counter.fraction < 1
    with pytest.raises(StageError, match="on no GPU"):
        Counter(Caps(gpu_seconds=1000))


def test_an_interrupted_stage_goes_on_from_what_was_computed_and_judged():
    counter = Counter(Caps(computed_flops=100))
    counter.judged = lambda: 2.0
    counter.start()
    counter.resume(Cost(body_flops=10, head_flops=20, attention_flops=30, verifier_cpu_seconds=5))
    counter.products.head += 4
    assert parts(counter) == (10, 24, 30)
    assert counter.fraction == pytest.approx(0.64)
    assert counter.cost.verifier_cpu_seconds == 7
    counter.settle()
    assert counter.cost.verifier_cpu_seconds == 7


def test_a_record_without_the_parts_keeps_its_bytes():
    assert "body_flops" not in Cost().model_dump_json()
    assert set(Caps(flops=1).model_dump()) == {"steps", "trained_tokens", "flops", "seconds"}
    both = Cost(body_flops=1, head_flops=2, attention_flops=3).plus(Cost())
    assert both.computed_flops == 6
    assert Cost().computed_flops == 0


@pytest.mark.bench
def test_a_record_says_what_was_computed_and_what_judging_took(small_board, harness):
    budget = "steps = 3\ncomputed_flops = 1e12"
    options = "\n[options.rl]\nprompts_per_step = 2\nnum_generations = 2\nlearning_rate = 1e-4\n"
    small_board.write_text(small_board.read_text().replace("steps = 3", budget) + options)
    harness("bench", str(small_board), "--plugins", "rl,sft", "--seeds", "0")
    folder = small_board.parent / "runs" / "small"
    records = {record.trainer: record for record in read_records(folder / "records")}
    rl, sft = records["rl"], records["sft"]
    assert rl.status == sft.status == "ok"
    assert rl.judging_cpu_seconds is not None
    for cost in (rl.cost, sft.cost):
        assert 0 < cost.computed_flops < 1e12
        assert min(cost.body_flops, cost.head_flops, cost.attention_flops) > 0
    assert rl.cost.verifier_cpu_seconds > 0
    assert sft.cost.verifier_cpu_seconds is None
    page = Leaderboard.model_validate_json((folder / "small.json").read_text())
    lines = {line["trainer"]: line for line in csv.DictReader(spreadsheet.render(page).split("\n"))}
    assert float(lines["rl"]["head_flops"]) == rl.cost.head_flops
    judging = pytest.approx(rl.cost.verifier_cpu_seconds)
    assert float(lines["rl"]["verifier_cpu_seconds"]) == judging
    assert lines["sft"]["verifier_cpu_seconds"] == ""
    assert "| FLOPs | Computed | Memory |" in markdown.render(page)


@pytest.mark.bench
def test_a_cap_on_gpu_seconds_needs_a_gpu(small_board, harness):
    text = small_board.read_text().replace("steps = 3", "gpu_seconds = 60")
    small_board.write_text(text)
    done = harness("bench", str(small_board), "--device", "cpu", "--seeds", "0", check=2)
    assert "caps gpu_seconds, and nothing here is trained on a GPU" in done.stderr


# an answer of one token takes one pass, and six before it try the model out
@pytest.mark.parametrize(("what", "passes"), [("answers", 7), ("losses", 1)])
def test_work_that_a_model_does_while_it_is_tried_out_is_computed_too(what, passes, model, student):
    """A hook that reads many more tokens with the same model; a trial by itself is left out."""
    from transformers import AutoTokenizer

    from harness.stage.reading.reader import Reader

    tokenizer = AutoTokenizer.from_pretrained(student)
    ids = torch.randint(3, 200, (32, 100))  # as wide as what a trial reads
    busy = []

    def read_more(module, given):
        if not busy:
            busy.append(True)
            with torch.no_grad():
                module(input_ids=ids)
            busy.clear()

    spent = []
    for hidden in (False, True):
        if hidden:
            owner = model if what == "answers" else model.base_model
            owner.register_forward_pre_hook(read_more)
        counter = Counter(AMPLE)
        with metered(counter), torch.no_grad():
            other = copy.deepcopy(model)  # that nobody has tried out
            if what == "losses":
                assert Reader(other).against() is None
            else:
                assert list(Decoder(other, tokenizer, 2).generate([Prompt([5, 6, 7], 1)]))
        spent.append(counter.cost.computed_flops)
    assert spent[0] < 2 * (320 * 32 + BODY) * 10
    assert spent[1] > passes * 2 * BODY * ids.numel()
