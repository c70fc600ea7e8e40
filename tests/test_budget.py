"""The budget counts what was done, by hand-computed numbers, and stops who goes on."""

from __future__ import annotations

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
from harness.stage.budget import Budget, impossible
from harness.stage.meter import metered

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
    budget, model = Budget(AMPLE), load(folders["student"])
    with metered(budget):
        model(input_ids=IDS, attention_mask=MASK).logits.sum().backward()
        with torch.no_grad():
            model(IDS)
    assert budget.cost.trained_tokens == 8
    assert budget.cost.reference_tokens == 10
    assert budget.cost.flops == 6 * STUDENT * 8 + 2 * STUDENT * 10


def test_evaluation_mode_does_not_hide_a_gradient(folders):
    budget, model = Budget(AMPLE), load(folders["student"]).eval()
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
    budget = Budget(AMPLE)
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
    budget, model = Budget(AMPLE), load(folders["student"])
    with metered(budget):
        model.generate(
            input_ids=IDS[:1], max_new_tokens=3, min_new_tokens=3, do_sample=True,
            num_return_sequences=4,
        )  # fmt: skip
    assert budget.cost.generated_tokens == 4 * 3
    assert budget.cost.flops == 2 * STUDENT * 4 * (5 + 3)


def test_generation_from_embeddings_is_counted_too(folders):
    budget, model = Budget(AMPLE), load(folders["student"])
    embeds = model.get_input_embeddings()(IDS[:1]).detach()
    with metered(budget):
        model.generate(inputs_embeds=embeds, max_new_tokens=3, min_new_tokens=3, do_sample=False)
    assert budget.cost.generated_tokens == 3
    assert budget.cost.flops == 2 * STUDENT * (5 + 3)


def test_the_teacher_is_charged_apart(folders):
    budget = Budget(AMPLE, teacher=str(folders["teacher"]))
    teacher = load(folders["teacher"])
    with metered(budget), torch.no_grad():
        teacher(input_ids=IDS, attention_mask=MASK)
        teacher.generate(input_ids=IDS[:1], max_new_tokens=3, min_new_tokens=3, do_sample=False)
    assert budget.cost.teacher_tokens == 8 + 5 + 3
    assert budget.cost.flops == 2 * TEACHER * 16
    assert budget.cost.generated_tokens == budget.cost.reference_tokens == 0


def test_the_teacher_with_a_gradient_is_trained_not_taught(folders):
    budget, model = Budget(AMPLE, teacher=str(folders["student"])), load(folders["student"])
    with metered(budget):
        model(input_ids=IDS, attention_mask=MASK).logits.sum().backward()
    assert (budget.cost.trained_tokens, budget.cost.teacher_tokens) == (8, 0)


def test_what_vllm_writes_is_counted(folders, monkeypatch):
    """With a stand-in for vLLM, which needs a GPU: two prompts of 3 and 5 tokens, two samples."""
    import sys
    from types import ModuleType, SimpleNamespace

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
    budget = Budget(AMPLE, teacher=str(folders["teacher"]))
    with metered(budget, "vllm"):
        LLM(folders["student"]).generate([[5] * 3, [5] * 5])
        LLM(folders["teacher"]).generate([[5] * 3])
    assert LLM.generate is plain
    assert budget.cost.generated_tokens == 2 * (4 + 6)
    assert budget.cost.teacher_tokens == 2 * 3 + 4 + 6
    assert budget.cost.flops == 2 * STUDENT * (2 * 3 + 2 * 5 + 20) + 2 * TEACHER * 16


def test_a_backbone_counts_its_untied_head_too(folders):
    budget, model = Budget(AMPLE), load(folders["untied"])
    with metered(budget), torch.no_grad():
        model.base_model(input_ids=IDS, attention_mask=MASK)
    assert budget.cost.flops == 2 * UNTIED * 8


def test_frozen_weights_cost_less(folders):
    from peft import LoraConfig, get_peft_model

    budget = Budget(AMPLE)
    model = get_peft_model(load(folders["student"]), LoraConfig(r=2, target_modules=["q_proj"]))
    adapter = 2 * (2 * 32 + 2 * 32)  # two layers, two matrices of 2 x 32
    with metered(budget):
        model(input_ids=IDS, attention_mask=MASK).logits.sum().backward()
    assert budget.cost.trained_tokens == 8
    assert budget.cost.flops == (4 * STUDENT + 6 * adapter) * 8


def test_a_wrapper_without_tokens_does_not_hide_the_model_inside(folders):
    budget, model = Budget(AMPLE), load(folders["student"])
    plain = model.forward
    model.forward = lambda inner: plain(input_ids=IDS, attention_mask=MASK)
    with metered(budget):
        model(model)  # as TRL routes a loss through a model's own forward
    assert budget.cost.trained_tokens == 8
    assert budget.cost.flops == 6 * STUDENT * 8


def test_nothing_is_counted_outside_the_meter(folders):
    budget, model = Budget(AMPLE), load(folders["student"])
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
    budget, model = Budget(Caps(**caps)), load(folders["student"])
    with pytest.raises(BudgetExceeded, match="went on after its budget"):
        loop(budget, model, 50, obedient=False)
    assert budget.cost.steps == 3


@pytest.mark.parametrize("caps", CAPS, ids=lambda caps: "+".join(caps))
def test_who_asks_stays_inside(folders, caps):
    budget, model = Budget(Caps(**caps)), load(folders["student"])
    loop(budget, model, 50, obedient=True)
    assert budget.cost.steps == 3
    assert all(getattr(budget.cost, name) <= cap for name, cap in caps.items())


def test_seconds_stop_a_loop_too(folders, monkeypatch):
    clock = SimpleNamespace(monotonic=itertools.count(step=0.01).__next__)
    monkeypatch.setattr("harness.stage.budget.time", clock)
    budget, model = Budget(Caps(seconds=5)), load(folders["student"])
    with pytest.raises(BudgetExceeded, match="seconds"):
        loop(budget, model, 10**9, obedient=False)
    assert budget.cost.steps > 0


def test_a_first_step_beyond_the_whole_budget_is_refused(folders):
    budget, model = Budget(Caps(trained_tokens=7)), load(folders["student"])
    with pytest.raises(BudgetExceeded, match="first step of this trainer costs 8 trained_tokens"):
        loop(budget, model, 5, obedient=True)


def test_generation_without_steps_is_stopped(folders):
    budget, model = Budget(Caps(flops=2.0 * STUDENT * 100)), load(folders["student"])

    def write_for_ever():
        with metered(budget):
            while True:
                model.generate(input_ids=IDS[:1], max_new_tokens=5, min_new_tokens=5)

    with pytest.raises(BudgetExceeded):
        write_for_ever()
    assert budget.cost.flops <= 2 * STUDENT * (200 + 10)


def test_a_dearer_step_begun_in_good_faith_is_not_punished(folders):
    budget, model = Budget(Caps(trained_tokens=30)), load(folders["student"])
    optimiser = torch.optim.SGD(model.parameters(), lr=1e-3)
    with metered(budget):
        for ids in (IDS[:, :2], IDS[:, :2], IDS.repeat(3, 1)):  # 4, 4 and 30 tokens
            assert not budget.exhausted()
            model(input_ids=ids).logits.sum().backward()
            optimiser.step()
        assert budget.exhausted()


def test_what_comes_before_training_is_no_part_of_a_step(folders):
    budget, model = Budget(Caps(flops=2.0 * STUDENT * 1000)), load(folders["student"])
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
    with metered(run.budget):
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
    with metered(run.budget):
        trainer.train(run)
    assert run.budget.cost.steps == 5
    assert getattr(run.budget.cost, cap) <= caps[cap]
    rates = [event["learning_rate"] for event in models.events(run) if "learning_rate" in event]
    assert rates[0] == pytest.approx(1e-3)
    assert rates[-1] <= 0.3e-3  # the schedule ends with the budget, whichever cap that is


# -- what a trainer cannot talk itself out of -----------------------------------------------------


def test_who_catches_what_stops_it_fails_all_the_same(folders):
    budget, model = Budget(Caps(steps=3)), load(folders["student"])
    with pytest.raises(BudgetExceeded):
        loop(budget, model, 50, obedient=False)
    with pytest.raises(BudgetExceeded, match="went on after its budget of 3 steps"):
        budget.settle()


def test_who_ends_at_the_cap_to_the_step_is_fine(folders):
    budget, model = Budget(Caps(steps=3)), load(folders["student"])
    loop(budget, model, 3, obedient=False)
    budget.settle()
    assert budget.cost.steps == 3


def test_passes_beyond_a_cap_are_let_through_by_twice_the_costliest_step_at_most(folders):
    budget, model = Budget(Caps(trained_tokens=200)), load(folders["student"])
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
    budget, model = Budget(AMPLE), load(folders["student"])
    with metered(budget):
        model(input_ids=IDS, attention_mask=MASK).logits.sum().backward()
        budget.cost.flops = 0.0
        for name, value in (("cost", Cost()), ("caps", Caps(steps=1))):
            with pytest.raises(AttributeError):
                setattr(budget, name, value)
        budget.resume(Cost())
        with pytest.raises(StageError, match="never negative"):
            budget.count_forward("", 10, -5, trained=None)
    assert budget.cost.flops == 6 * STUDENT * 8


def test_the_clock_is_started_once(monkeypatch):
    clock = SimpleNamespace(monotonic=itertools.count().__next__)
    monkeypatch.setattr("harness.stage.budget.time", clock)
    budget = Budget(AMPLE)
    budget.start()
    budget.tick()
    before = budget.cost.seconds
    budget.start()
    budget.tick()
    assert budget.cost.seconds == before + 1


def test_who_replaces_the_meter_fails(folders):
    from transformers import PreTrainedModel

    plain = PreTrainedModel.__call__
    with pytest.raises(StageError, match="replaced the methods"), metered(Budget(AMPLE)):
        PreTrainedModel.__call__ = plain
    assert PreTrainedModel.__call__ is plain


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
