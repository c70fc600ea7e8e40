"""The budget counts what was done, by hand-computed numbers, and stops who goes on."""

from __future__ import annotations

import contextlib
import inspect
import itertools
import math
from types import SimpleNamespace

import pytest

pytest.importorskip("torch")

import harness_sft
import models
import torch

from harness.errors import BudgetExceeded, StageError
from harness.records import Caps, Cost
from harness.stage.budget import Budget
from harness.stage.computed.products import Products
from harness.stage.metering.counter import Counter, impossible
from harness.stage.metering.meter import metered
from harness.stage.metering.sizes import parameters
from harness.stage.spec import MOST_STEPS

AMPLE = Caps(steps=10_000)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    return {
        "student": models.save_model(folder / "student", seed=0),
        "teacher": models.save_model(folder / "teacher", seed=1, vocabulary=352),
        "untied": models.save_model(folder / "untied", seed=2, tied=False),
    }


def load(folder):
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(folder)


# Two layers of width 32, 4 query and 2 key-value heads of width 8, inner width 64:
# attention 32*32 + 32 + 2*(32*16 + 16) + 32*32, MLP 3*32*64, two norms; then the last norm.
BODY = 2 * (1056 + 1056 + 1024 + 6144 + 64) + 32
STUDENT = 320 * 32 + BODY
TEACHER = 352 * 32 + BODY
UNTIED = 2 * 320 * 32 + BODY

IDS = torch.tensor([[5, 6, 7, 8, 9], [5, 6, 7, 0, 0]])
MASK = torch.tensor([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]])


def test_the_sizes_that_the_numbers_below_rest_on(folders):
    sizes = {name: sum(p.numel() for p in load(f).parameters()) for name, f in folders.items()}
    assert sizes == {"student": STUDENT, "teacher": TEACHER, "untied": UNTIED}


def test_a_padded_batch_counts_its_real_tokens(folders):
    budget, model = Counter(AMPLE), load(folders["student"])
    with metered(budget):
        model(input_ids=IDS, attention_mask=MASK).logits.sum().backward()
        with torch.no_grad():
            model(IDS)
    assert budget.cost.trained_tokens == 8
    assert budget.cost.reference_tokens == 10
    assert budget.cost.flops == 6 * STUDENT * 8 + 2 * STUDENT * 10


def test_evaluation_mode_does_not_hide_a_gradient(folders):
    budget, model = Counter(AMPLE), load(folders["student"]).eval()
    with metered(budget):
        model(input_ids=IDS, attention_mask=MASK).logits.sum().backward()
    assert budget.cost.trained_tokens == 8


def test_generation_counts_each_row_to_its_end_of_turn(folders):
    model = load(folders["student"])
    end = model.generation_config.eos_token_id
    script = {0: [11, end, 0, 0], 1: [11, 12, 13, 14]}  # row 0 ends after two tokens

    class Scripted(torch.nn.Module):
        def __call__(self, ids, scores):
            scores = torch.full_like(scores, -math.inf)
            for row, tokens in script.items():
                scores[row, tokens[ids.shape[1] - 5]] = 0
            return scores

    left = torch.tensor([[0, 0, 5, 6, 7], [5, 6, 7, 8, 9]])
    budget = Counter(AMPLE)
    with metered(budget):
        model.generate(
            input_ids=left,
            attention_mask=torch.tensor([[0, 0, 1, 1, 1], [1, 1, 1, 1, 1]]),
            max_new_tokens=4,
            do_sample=False,
            logits_processor=[Scripted()],
        )
    assert budget.cost.generated_tokens == 2 + 4
    assert budget.cost.flops == 2 * STUDENT * (3 + 5 + 2 + 4)
    assert budget.cost.trained_tokens == budget.cost.reference_tokens == 0


def test_several_samples_read_the_prompt_each(folders):
    budget, model = Counter(AMPLE), load(folders["student"])
    with metered(budget):
        model.generate(
            input_ids=IDS[:1], max_new_tokens=3, min_new_tokens=3, do_sample=True,
            num_return_sequences=4,
        )  # fmt: skip
    assert budget.cost.generated_tokens == 4 * 3
    assert budget.cost.flops == 2 * STUDENT * 4 * (5 + 3)


def test_generation_from_embeddings_is_counted_too(folders):
    budget, model = Counter(AMPLE), load(folders["student"])
    embeds = model.get_input_embeddings()(IDS[:1]).detach()
    with metered(budget):
        model.generate(inputs_embeds=embeds, max_new_tokens=3, min_new_tokens=3, do_sample=False)
    assert budget.cost.generated_tokens == 3
    assert budget.cost.flops == 2 * STUDENT * (5 + 3)


def test_the_teacher_is_charged_apart(folders):
    budget = Counter(AMPLE, teacher=str(folders["teacher"]))
    teacher = load(folders["teacher"])
    with metered(budget), torch.no_grad():
        teacher(input_ids=IDS, attention_mask=MASK)
        teacher.generate(input_ids=IDS[:1], max_new_tokens=3, min_new_tokens=3, do_sample=False)
    assert budget.cost.teacher_tokens == 8 + 5 + 3
    assert budget.cost.flops == 2 * TEACHER * 16
    assert budget.cost.generated_tokens == budget.cost.reference_tokens == 0


def test_the_teacher_with_a_gradient_is_trained_not_taught(folders):
    budget, model = Counter(AMPLE, teacher=str(folders["student"])), load(folders["student"])
    with metered(budget):
        model(input_ids=IDS, attention_mask=MASK).logits.sum().backward()
    assert (budget.cost.trained_tokens, budget.cost.teacher_tokens) == (8, 0)


def test_what_vllm_writes_is_counted(folders, monkeypatch):
    """With a stand-in for vLLM, which needs a GPU: two prompts of 3 and 5 tokens, two samples."""
    import sys
    from types import ModuleType

    class LLM:
        def __init__(self, model):
            self.llm_engine = SimpleNamespace(model_config=SimpleNamespace(model=str(model)))

        def generate(self, prompts, sampling_params=None, use_tqdm=False):
            samples = [SimpleNamespace(token_ids=[1] * 4), SimpleNamespace(token_ids=[1] * 6)]
            return [SimpleNamespace(prompt_token_ids=ids, outputs=samples) for ids in prompts]

    vllm = ModuleType("vllm")
    vllm.LLM = LLM
    monkeypatch.setitem(sys.modules, "vllm", vllm)
    plain = LLM.generate
    budget = Counter(AMPLE, teacher=str(folders["teacher"]))
    with metered(budget, "vllm"):
        LLM(folders["student"]).generate([[5] * 3, [5] * 5])
        LLM(folders["teacher"]).generate([[5] * 3])
    assert LLM.generate is plain
    assert budget.cost.generated_tokens == 2 * (4 + 6)
    assert budget.cost.teacher_tokens == 2 * 3 + 4 + 6
    assert budget.cost.flops == 2 * STUDENT * (2 * 3 + 2 * 5 + 20) + 2 * TEACHER * 16


def test_a_backbone_counts_its_untied_head_too(folders):
    budget, model = Counter(AMPLE), load(folders["untied"])
    with metered(budget), torch.no_grad():
        model.base_model(input_ids=IDS, attention_mask=MASK)
    assert budget.cost.flops == 2 * UNTIED * 8


def test_frozen_weights_cost_less(folders):
    from peft import LoraConfig, get_peft_model

    budget = Counter(AMPLE)
    model = get_peft_model(load(folders["student"]), LoraConfig(r=2, target_modules=["q_proj"]))
    adapter = 2 * (2 * 32 + 2 * 32)  # two layers, two matrices of 2 x 32
    with metered(budget):
        model(input_ids=IDS, attention_mask=MASK).logits.sum().backward()
    assert budget.cost.trained_tokens == 8
    assert budget.cost.flops == (4 * STUDENT + 6 * adapter) * 8


def test_a_wrapper_without_tokens_does_not_hide_the_model_inside(folders):
    budget, model = Counter(AMPLE), load(folders["student"])
    plain = model.forward
    model.forward = lambda inner: plain(input_ids=IDS, attention_mask=MASK)
    with metered(budget):
        model(model)  # as TRL routes a loss through a model's own forward
    assert budget.cost.trained_tokens == 8
    assert budget.cost.flops == 6 * STUDENT * 8


def test_nothing_is_counted_outside_the_meter(folders):
    budget, model = Counter(AMPLE), load(folders["student"])
    with metered(budget):
        pass
    model(IDS)
    assert budget.cost.flops == 0


def loop(budget, model, steps, *, obedient):
    """A trainer's own loop: no callback, no TRL."""
    optimiser = torch.optim.SGD(model.parameters(), lr=1e-3)
    with metered(budget):
        for _ in range(steps):
            if obedient and budget.exhausted():
                return
            model(input_ids=IDS, attention_mask=MASK).logits.sum().backward()
            optimiser.step()
            optimiser.zero_grad()


CAPS = [
    {"steps": 3},
    {"trained_tokens": 25},  # three steps of 8
    {"flops": 6.0 * STUDENT * 25},
    {"steps": 50, "trained_tokens": 25},
]


@pytest.mark.parametrize("caps", CAPS, ids=lambda caps: "+".join(caps))
def test_who_ignores_the_budget_is_stopped(folders, caps):
    budget, model = Counter(Caps(**caps)), load(folders["student"])
    with pytest.raises(BudgetExceeded, match="went on after its budget"):
        loop(budget, model, 50, obedient=False)
    assert budget.cost.steps == 3


@pytest.mark.parametrize("caps", CAPS, ids=lambda caps: "+".join(caps))
def test_who_asks_stays_inside(folders, caps):
    budget, model = Counter(Caps(**caps)), load(folders["student"])
    loop(budget, model, 50, obedient=True)
    assert budget.cost.steps == 3
    assert all(getattr(budget.cost, name) <= cap for name, cap in caps.items())


def test_seconds_stop_a_loop_too(folders, monkeypatch):
    clock = itertools.count(step=0.01).__next__
    monkeypatch.setattr("harness.stage.metering.counter.monotonic", clock)
    budget, model = Counter(Caps(seconds=5)), load(folders["student"])
    with pytest.raises(BudgetExceeded, match="seconds"):
        loop(budget, model, 10**9, obedient=False)
    assert budget.cost.steps > 0


def test_a_first_step_beyond_the_whole_budget_is_refused(folders):
    budget, model = Counter(Caps(trained_tokens=7)), load(folders["student"])
    with pytest.raises(BudgetExceeded, match="first step of this trainer costs 8 trained_tokens"):
        loop(budget, model, 5, obedient=True)


def test_generation_without_steps_is_stopped(folders):
    budget, model = Counter(Caps(flops=2.0 * STUDENT * 100)), load(folders["student"])

    def write_for_ever():
        with metered(budget):
            while True:
                model.generate(input_ids=IDS[:1], max_new_tokens=5, min_new_tokens=5)

    with pytest.raises(BudgetExceeded):
        write_for_ever()
    assert budget.cost.flops <= 2 * STUDENT * (200 + 10)


def test_a_dearer_step_begun_in_good_faith_is_not_punished(folders):
    budget, model = Counter(Caps(trained_tokens=30)), load(folders["student"])
    optimiser = torch.optim.SGD(model.parameters(), lr=1e-3)
    with metered(budget):
        for ids in (IDS[:, :2], IDS[:, :2], IDS.repeat(3, 1)):  # 4, 4 and 30 tokens
            assert not budget.exhausted()
            model(input_ids=ids).logits.sum().backward()
            optimiser.step()
        assert budget.exhausted()


def test_what_comes_before_training_is_no_part_of_a_step(folders):
    budget, model = Counter(Caps(flops=2.0 * STUDENT * 1000)), load(folders["student"])
    with metered(budget):
        with torch.no_grad():
            model(IDS.repeat(60, 1))  # 600 of 1000
        budget.begin_steps()
        optimiser = torch.optim.SGD(model.parameters(), lr=1e-3)
        model(IDS).logits.sum().backward()  # 10 tokens with a gradient: 30
        optimiser.step()
        assert not budget.exhausted()


def test_costs_add_up_but_the_peak_is_a_maximum():
    one = Cost(steps=2, flops=10, peak_memory_bytes=7, energy_joules=None)
    two = Cost(steps=3, flops=5, peak_memory_bytes=9, energy_joules=4.0)
    both = one.plus(two)
    assert (both.steps, both.flops, both.peak_memory_bytes) == (5, 15, 9)
    assert both.energy_joules == 4.0


def test_caps_are_shared_and_used_up():
    caps = Caps(steps=10, flops=9.0)
    assert caps.share(3).set_caps() == {"steps": 3, "flops": 3.0}
    assert caps.share(3, 2).set_caps() == {"steps": 6, "flops": 6.0}
    assert caps.share(3, 3) == caps
    left = caps.minus(Cost(steps=4, flops=20))
    assert left.steps == 6
    assert 0 < left.flops < 1e-6
    with pytest.raises(ValueError, match="at least one"):
        Caps()


@pytest.fixture
def sft():
    return {trainer.name: trainer for trainer in harness_sft.harness_trainers()}


@pytest.mark.bench
@pytest.mark.parametrize("name", ["sft", "sft-lora"])
def test_trl_sft_is_counted_once(folders, tmp_path, sft, name):
    trainer = sft[name]
    rows = models.sums(8)
    options = trainer.options(max_steps=3, batch_size=4, micro_batch_size=2, learning_rate=1e-3)
    run = models.make_run(tmp_path, folders["student"], options, rows=rows)
    tokens = sum(map(len, run.tokenized(run.tokenizer(), 512)["input_ids"]))
    with metered(run.counter):
        trainer.train(run)
    assert run.budget.cost.steps == 3
    assert run.budget.cost.trained_tokens == 3 * 4 * tokens / len(rows)  # all rows equally long
    assert run.budget.cost.reference_tokens == run.budget.cost.generated_tokens == 0
    if name == "sft":
        assert run.budget.cost.flops == 6 * STUDENT * run.budget.cost.trained_tokens


@pytest.mark.bench
@pytest.mark.parametrize("cap", ["trained_tokens", "flops", "steps"])
def test_a_built_in_trainer_stays_inside_each_cap(folders, tmp_path, sft, cap):
    trainer = sft["sft"]
    row = 98 * 4  # tokens of a step
    caps = {"trained_tokens": row * 5 + 7, "flops": 6.0 * STUDENT * row * 5.5, "steps": 5}
    options = trainer.options(max_steps=40, batch_size=4, learning_rate=1e-3)
    run = models.make_run(tmp_path, folders["student"], options, **{cap: caps[cap]})
    with metered(run.counter):
        trainer.train(run)
    assert run.budget.cost.steps == 5
    assert getattr(run.budget.cost, cap) <= caps[cap]
    rates = [event["learning_rate"] for event in models.events(run) if "learning_rate" in event]
    assert rates[0] == pytest.approx(1e-3)
    assert rates[-1] <= 0.3e-3  # the schedule ends with the budget, whichever cap that is


@pytest.mark.bench
@pytest.mark.parametrize(
    ("name", "cap", "of_a_step"),
    [("sft", "flops", 6.0 * STUDENT), ("sft-lora", "flops", None), ("sft", "trained_tokens", 1)],
)
def test_a_budget_that_is_to_be_used_up_is_and_the_rate_ends_with_it(
    folders, tmp_path, sft, name, cap, of_a_step
):
    step = 98 * 4 * (of_a_step or 6.0 * STUDENT)
    options = sft[name].options(epochs=0.1, batch_size=4, learning_rate=1e-3)
    budget = Counter(Caps(**{cap: 20.5 * step}), fill=True)
    run = models.make_run(tmp_path, folders["student"], options, counter=budget)
    with metered(run.counter):
        sft[name].train(run)
    spent = getattr(run.budget.cost, cap)
    costliest = spent / run.budget.cost.steps
    assert run.budget.caps.set_caps()[cap] - costliest < spent <= run.budget.caps.set_caps()[cap]
    assert "stopped_by_budget" not in run.notes
    events = [event for event in models.events(run) if "learning_rate" in event]
    steps = len(events)
    if of_a_step:
        assert steps == run.budget.cost.steps == 20
    for number, event in enumerate(events):
        share = number * costliest / run.budget.caps.set_caps()[cap]
        assert event["learning_rate"] == pytest.approx(1e-3 * (1 - share), abs=0.03e-3)
        assert abs(event["steps"] - steps) <= 1  # what is shown of the plan is what it comes to
    assert events[-1]["progress"] > 0.95


def test_a_plan_holds_all_steps_that_can_fit(folders, tmp_path):
    def steps(**caps):
        budget = Counter(Caps(**caps), fill=True)
        run = models.make_run(tmp_path, folders["student"], None, counter=budget)
        known = run.steps(100, 4, 0.1, max_steps=1)  # the lengths of rows are not known yet
        run.tokenized(run.tokenizer(), 512)  # 98 tokens each
        return known, run.steps(100, 4, 0.1)

    least = 4 * STUDENT * 98 * 4
    first, then = steps(flops=50 * least)
    assert 50 <= then <= 60
    assert first == 50 * 98 * 4
    assert steps(flops=50 * least, steps=7) == (7, 7)
    assert steps(trained_tokens=98 * 4 * 10)[1] == 12
    assert steps(seconds=5.0) == (MOST_STEPS, MOST_STEPS)


def test_progress_is_of_what_was_left_when_the_first_step_began(folders):
    budget, model = Counter(Caps(flops=6.0 * STUDENT * 100)), load(folders["student"])
    optimiser = torch.optim.SGD(model.parameters(), lr=1e-3)

    def step(budget):
        model(input_ids=IDS).logits.sum().backward()  # 10 of 100
        optimiser.step()
        return budget.progress

    with metered(budget):
        with torch.no_grad():
            model(IDS.repeat(12, 1))  # 40 of 100, before training
        budget.begin_steps()
        before = budget.cost
        assert budget.progress == 0.0
        assert step(budget) == pytest.approx(1 / 6)
        budget.planned = 3
        assert step(budget) == pytest.approx(2 / 3)
    resumed = Counter(budget.caps)
    resumed.resume(budget.cost, before)
    resumed.begin_steps()
    assert resumed.progress == pytest.approx(2 / 6)
    with metered(resumed):
        assert step(resumed) == pytest.approx(3 / 6)


# -- what a trainer cannot talk itself out of -----------------------------------------------------


def test_who_catches_what_stops_it_fails_all_the_same(folders):
    budget, model = Counter(Caps(steps=3)), load(folders["student"])
    with pytest.raises(BudgetExceeded):
        loop(budget, model, 50, obedient=False)
    with pytest.raises(BudgetExceeded, match="went on after its budget of 3 steps"):
        budget.settle()


def test_who_ends_at_the_cap_to_the_step_is_fine(folders):
    budget, model = Counter(Caps(steps=3)), load(folders["student"])
    loop(budget, model, 3, obedient=False)
    budget.settle()
    assert budget.cost.steps == 3


def test_passes_beyond_a_cap_are_let_through_by_twice_the_costliest_step_at_most(folders):
    budget, model = Counter(Caps(trained_tokens=200)), load(folders["student"])
    with metered(budget):
        optimiser = torch.optim.SGD(model.parameters(), lr=1e-3)
        for _ in range(2):
            model(input_ids=IDS, attention_mask=MASK).logits.sum().backward()  # 8 tokens
            optimiser.step()
        for _ in range(26):  # to 224 tokens: the last one begins at 216
            model(input_ids=IDS, attention_mask=MASK)
        with pytest.raises(BudgetExceeded, match="200 trained_tokens"):
            model(input_ids=IDS, attention_mask=MASK)
    assert budget.cost.trained_tokens == 224


def test_a_trainer_reads_copies_of_what_is_counted(folders):
    budget, model = Counter(AMPLE), load(folders["student"])
    with metered(budget):
        model(input_ids=IDS, attention_mask=MASK).logits.sum().backward()
        shown = Budget(budget)
        shown.cost.flops = 0.0
        for name, value in (("cost", Cost()), ("caps", Caps(steps=1))):
            with pytest.raises(AttributeError):
                setattr(budget, name, value)
        shown.caps, shown.fill = Caps(steps=1), True
        shown.resume(Cost())
        with pytest.raises(StageError, match="never negative"):
            budget.count_forward("", 10, -5, trained=None)
    assert budget.cost.flops == 6 * STUDENT * 8


def test_the_clock_is_started_once(monkeypatch):
    clock = itertools.count().__next__
    monkeypatch.setattr("harness.stage.metering.counter.monotonic", clock)
    budget = Counter(AMPLE)
    budget.start()
    budget.tick()
    before = budget.cost.seconds
    budget.start()
    budget.tick()
    assert budget.cost.seconds == before + 1


def test_who_replaces_the_meter_fails(folders):
    from transformers import PreTrainedModel

    plain = PreTrainedModel.__call__
    with pytest.raises(StageError, match="replaced the methods"), metered(Counter(AMPLE)):
        PreTrainedModel.__call__ = plain
    assert PreTrainedModel.__call__ is plain


def reachable(root):
    """Yield what a trainer comes to from its run by attributes and by looking into containers."""
    seen, left = set(), [root]
    while left:
        one = left.pop()
        if id(one) in seen or isinstance(one, type) or inspect.ismodule(one):
            continue
        seen.add(id(one))
        yield one
        if isinstance(one, dict):
            left += one.values()
        elif isinstance(one, list | tuple):
            left += one
        else:
            left += vars(one).values() if hasattr(one, "__dict__") else ()
            left += [one.__self__] if inspect.ismethod(one) else ()


def test_no_attribute_of_a_run_leads_to_what_counts(folders, tmp_path):
    run = models.make_run(tmp_path, folders["student"], None)
    counter = run.__dict__.pop("counter")  # which is there for tests
    found = [*reachable(run), *reachable(run.callback())]
    run.close()
    assert any(one is run.budget for one in found)
    assert not any(one is counter or isinstance(one, Counter) for one in found)
    for name in ("_cost", "apart", "counted_apart", "count_step"):
        assert not isinstance(getattr(run.budget, name, None), Cost | int | Counter)


class Inside(torch.nn.Module):
    """Does something whenever a token is chosen."""

    def __init__(self, act):
        super().__init__()
        self.act = act

    def __call__(self, ids, scores):
        self.act()
        return scores


def test_training_inside_a_generation_is_counted(folders):
    budget, model = Counter(AMPLE), load(folders["student"])

    @torch.enable_grad()
    def train():
        model(input_ids=IDS, attention_mask=MASK).logits.sum().backward()

    with metered(budget):
        model.generate(
            input_ids=IDS[:1], max_new_tokens=3, min_new_tokens=3, do_sample=False,
            logits_processor=[Inside(train)],
        )  # fmt: skip
    assert budget.cost.trained_tokens == 3 * 8
    assert budget.cost.generated_tokens == 3


def test_a_generation_inside_a_generation_is_counted(folders):
    budget, model, other = Counter(AMPLE), load(folders["student"]), load(folders["teacher"])
    short = {"max_new_tokens": 2, "min_new_tokens": 2, "do_sample": False}

    def write():
        model.generate(input_ids=IDS[1:, :3], **short)
        other(IDS)

    with metered(budget):
        model.generate(input_ids=IDS[:1], logits_processor=[Inside(write)], **short)
    assert budget.cost.generated_tokens == 2 + 2 * 2
    assert budget.cost.reference_tokens == 2 * 10
    assert budget.cost.flops == 2 * STUDENT * (5 + 2 + 2 * (3 + 2)) + 2 * TEACHER * 20


def test_training_while_answers_are_read_is_counted(folders, tmp_path):
    """The host's decoder hands out answers one by one, and is at rest in between."""
    from harness.stage.decoding.decoder import Decoder
    from harness.stage.decoding.prompt import Prompt

    run = models.make_run(tmp_path, folders["student"], None)
    model, tokenizer = run.student(), run.tokenizer()
    run.close()
    with metered(run.counter), torch.no_grad():
        for _, tokens, _ in Decoder(model, tokenizer, 1).generate([Prompt([5, 6], 3, 0)]):
            with torch.enable_grad():
                model(IDS).logits.sum().backward()
            assert run.budget.cost.generated_tokens == len(tokens)
    assert run.budget.cost.trained_tokens == 10


class Over(Exception):
    pass


@pytest.mark.parametrize("cached", [True, False])
def test_a_generation_that_an_exception_ends_is_counted(folders, cached):
    class Stop:
        def __call__(self, ids, scores, **_):
            if ids.shape[1] == 5 + 3:
                raise Over
            return torch.zeros(len(ids), dtype=torch.bool)

    budget, model = Counter(Caps(flops=2 * STUDENT * 12)), load(folders["student"])
    given = {"input_ids": IDS, "attention_mask": MASK.flip(1), "use_cache": cached}
    with metered(budget):
        for refused in (Over, BudgetExceeded):
            with pytest.raises(refused):
                model.generate(
                    **given, max_new_tokens=9, eos_token_id=None, stopping_criteria=[Stop()]
                )
            assert budget.cost.generated_tokens == 2 * 3
            assert budget.cost.flops == 2 * STUDENT * (8 + 2 * 3)


def test_a_generation_that_gives_back_less_than_it_wrote_is_counted_in_full(folders):
    def loop(model, input_ids, **given):
        for _ in range(6):
            given = {"past_key_values": model(input_ids, **given).past_key_values}
            input_ids = input_ids[:, -1:]
        return input_ids[:, :0]

    budget, model = Counter(AMPLE), load(folders["student"])
    with metered(budget), torch.no_grad():
        model.generate(IDS, custom_generate=lambda model, input_ids, **_: loop(model, input_ids))
    assert budget.cost.generated_tokens == 2 * 6


@pytest.mark.parametrize("closed", [False, True])
def test_answers_that_were_begun_are_counted(folders, tmp_path, closed):
    from harness.stage.decoding.decoder import Decoder
    from harness.stage.decoding.prompt import Prompt

    run = models.make_run(tmp_path, folders["student"], None, caps=AMPLE)
    model, tokenizer, passes = run.student().eval(), run.tokenizer(), [-1000]
    run.close()

    def see(*_):
        passes[0] += 1
        if passes[0] > 5:
            raise Over

    model.register_forward_pre_hook(see)
    prompts = [Prompt([5, 6, 7], 2, 0), *(Prompt([5, 6], 60, 0) for _ in range(3))]
    with metered(run.counter), contextlib.suppress(Over), torch.no_grad():
        answers = Decoder(model, tokenizer, 4).generate(prompts)
        assert len(next(answers)[1]) <= 2
        assert run.budget.cost.generated_tokens <= 2
        if closed:
            answers.close()
        passes[0] = 0
        next(answers, None)
    assert run.budget.cost.generated_tokens >= (4 if closed else 4 + 3 * 5)


def test_what_a_pass_does_besides_is_counted(folders):
    budget, model = Counter(AMPLE), load(folders["student"])
    handle = model.register_forward_pre_hook(
        lambda module, args: module.model(IDS.repeat(3, 1)).last_hidden_state.sum().backward()
    )
    with metered(budget):
        model(IDS[:1, :1]).logits.sum().backward()
    handle.remove()
    assert budget.cost.trained_tokens == 1 + 30


def test_a_model_that_drops_its_mask_is_counted_in_full(folders):
    budget, model = Counter(AMPLE), load(folders["student"])
    plain = model.forward
    model.forward = lambda input_ids, attention_mask: plain(input_ids=input_ids)
    with metered(budget):
        model(input_ids=IDS, attention_mask=torch.zeros_like(IDS)).logits.sum().backward()
    assert budget.cost.trained_tokens == 10


@pytest.mark.parametrize("mask", [MASK * 0.01, MASK * torch.tensor([[1], [-1]])])
def test_what_a_model_reads_is_counted_whatever_its_mask_adds_up_to(folders, mask):
    budget, model = Counter(AMPLE), load(folders["student"])
    with metered(budget):
        model(input_ids=IDS, attention_mask=mask).logits.sum().backward()
    assert budget.cost.trained_tokens == 8


def test_a_token_with_a_loss_is_no_padding(folders):
    budget, model = Counter(AMPLE), load(folders["student"])
    with metered(budget):
        model(input_ids=IDS, attention_mask=torch.zeros_like(IDS), labels=IDS).loss.backward()
    assert budget.cost.trained_tokens == 10


def test_layers_without_their_model_are_counted(folders):
    budget, model = Counter(AMPLE), load(folders["student"])
    body, (size, _) = model.model, parameters(model)
    layers = sum(part.numel() for layer in body.layers for part in layer.parameters())
    places = torch.arange(5)[None]
    with metered(budget):
        states = body.embed_tokens(IDS)
        for layer in body.layers:
            states = layer(states, position_embeddings=body.rotary_emb(states, places))
        model.lm_head(body.norm(states)).sum().backward()
    assert layers < size
    assert budget.cost.trained_tokens == len(body.layers) * 10
    assert budget.cost.flops == 6 * layers * 10


def test_a_model_that_hides_its_parameters_is_counted_with_them(folders):
    budget, model = Counter(AMPLE), load(folders["student"])
    model.parameters = model.named_parameters = lambda *_, **__: iter(())
    with metered(budget):
        model(input_ids=IDS, attention_mask=MASK).logits.sum().backward()
    assert budget.cost.flops == 6 * STUDENT * 8


def test_who_puts_the_meter_back_before_the_end_is_stopped_at_the_next_step(folders):
    from transformers import PreTrainedModel

    budget, model = Counter(AMPLE), load(folders["student"])
    optimiser = torch.optim.SGD(model.parameters(), lr=1e-3)
    caught = pytest.raises(StageError, match="replaced the methods")
    with caught, metered(budget):  # and fails, though it caught what stopped it
        kept, PreTrainedModel.__call__ = PreTrainedModel.__call__, torch.nn.Module.__call__
        with pytest.raises(StageError, match="replaced the methods"):
            optimiser.step()
        PreTrainedModel.__call__ = kept


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_a_mask_that_is_another_inside_counts_what_is_read(folders, attention):
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(folders["student"], attn_implementation=attention)
    plain, real = model.model.forward, [MASK]

    def forward(*args, attention_mask, **kwargs):
        return plain(*args, attention_mask=real[0], **kwargs)

    model.model.forward = forward
    for real[0], read in ((MASK, 8), (MASK.flip(1), 8), (None, 10), (MASK * 0, 0)):
        budget = Counter(AMPLE)
        with metered(budget):
            model(input_ids=IDS, attention_mask=MASK * 0).logits.sum().backward()
        assert budget.cost.trained_tokens == read
        assert budget.cost.flops == 6 * STUDENT * read
        with metered(budget), torch.no_grad():
            model(input_ids=IDS, attention_mask=MASK * 0)
        assert budget.cost.reference_tokens == read


def test_a_parameter_that_says_it_is_small_is_counted_in_full(folders):
    budget, model = Counter(AMPLE), load(folders["student"])
    for one in model.parameters():
        one.ds_numel = 1
        one.numel = lambda: 1
    with metered(budget):
        model(input_ids=IDS, attention_mask=MASK).logits.sum().backward()
    assert budget.cost.flops == 6 * STUDENT * 8
    for one in model.parameters():
        one.ds_numel = 2 * torch.Tensor.numel(one)  # a shard, as under ZeRO-3
    assert parameters(model) == (2 * STUDENT, 2 * STUDENT)


@pytest.mark.parametrize("thaw", ["weights", "gradient"])
def test_what_is_trained_only_once_a_pass_began_is_counted_as_trained(folders, thaw):
    budget, model = Counter(AMPLE), load(folders["student"])
    if thaw == "weights":
        model.requires_grad_(False)
        model.register_forward_pre_hook(lambda *_: model.requires_grad_(True) and None)
    else:
        model.register_forward_pre_hook(lambda *_: torch.set_grad_enabled(True) and None)
    with metered(budget), torch.set_grad_enabled(thaw == "weights"):
        model(input_ids=IDS, attention_mask=MASK).logits.sum().backward()
    assert (budget.cost.trained_tokens, budget.cost.reference_tokens) == (8, 0)
    assert budget.cost.flops == 6 * STUDENT * 8


def test_who_says_that_no_gradient_is_taken_is_not_believed(folders, monkeypatch):
    budget, model = Counter(AMPLE), load(folders["student"])
    model.register_forward_pre_hook(lambda *_: monkeypatch.undo())  # the pass itself is told
    with metered(budget):
        monkeypatch.setattr(torch, "is_grad_enabled", lambda: False)
        model(input_ids=IDS, attention_mask=MASK).logits.sum().backward()
    assert budget.cost.trained_tokens == 8


def swapped(owner, name, act):
    """Do something while a method is another, and put it back."""
    kept = getattr(owner, name)
    setattr(owner, name, torch.nn.Module.__call__ if name == "__call__" else lambda *_, **__: None)
    try:
        act()
    finally:
        setattr(owner, name, kept)


def test_who_replaces_what_counts_for_a_pass_alone_is_stopped_in_it(folders, monkeypatch):
    from transformers import PreTrainedModel
    from transformers.modeling_layers import GradientCheckpointingLayer

    from harness.stage.metering import meter

    owners = [
        (PreTrainedModel, "__call__"),
        (GradientCheckpointingLayer, "__call__"),
        (Counter, "count_forward"),
        (Counter, "tick"),
        (Products, "attend"),
        (meter, "parameters"),
    ]
    for owner, name in owners:
        model = load(folders["student"])

        def act(model=model):
            with pytest.raises(StageError, match="replaced the methods"):
                model(IDS)

        with pytest.raises(StageError, match="replaced the methods"), metered(Counter(AMPLE)):
            swapped(owner, name, act)  # and goes on as if nothing had happened
    monkeypatch.setattr(Counter.count_forward, "__code__", (lambda *_, **__: None).__code__)
    with pytest.raises(StageError, match="replaced the methods"), metered(Counter(AMPLE)):
        model(IDS)


@pytest.mark.parametrize(
    ("cost", "says"),
    [
        ({"flops": math.nan}, "flops is nan"),
        ({"trained_tokens": -3}, "trained_tokens is -3"),
        ({"energy_joules": math.inf}, "energy_joules is inf"),
        ({"steps": 11}, "11 steps under a cap of 10"),
        ({"steps": 10, "flops": 2.4e4}, "24000 flops under a cap of 10000"),
        ({"trained_tokens": 50, "flops": 9000.0}, "50 trained tokens of 100 parameters take"),
        ({"seconds": 12.0}, "12 seconds in a process that ran for 10"),
        ({"steps": 10, "flops": 10_500.0, "trained_tokens": 17, "seconds": 10.0}, None),
    ],
)
def test_a_cost_that_cannot_be_is_told(cost, says):
    given = Cost.model_construct(**(Cost().model_dump() | cost))
    found = impossible(given, Caps(steps=10, flops=1e4), 100, seconds=10.0)
    assert found is None if says is None else says in found
