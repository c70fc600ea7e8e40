"""What a trainer's models write: `run.generate`, how it ends, what it costs, what it leaves."""

from __future__ import annotations

from dataclasses import replace

import pytest

pytest.importorskip("torch")

import models
import torch
from train_all import train

from harness.errors import StageError
from harness.stage.decoding.writing import Half
from harness.stage.memory import NoRoom
from harness.stage.metering.meter import metered
from harness.stage.metering.sizes import parameters

CHAT = [[{"role": "user", "content": text}] for text in ("1+1?", "what is 2+3?", "1+1?")]


@pytest.fixture(scope="module")
def start(tmp_path_factory):
    folder = tmp_path_factory.mktemp("start")
    return models.teach_sums(models.save_model(folder / "new", seed=0), folder / "start", 60)


@pytest.fixture
def run(start, tmp_path):
    made = models.make_run(tmp_path, start, None)
    yield made
    made.close()


def alone(model, prompt: list[int], limit: int) -> list[int]:
    ids = torch.tensor([prompt])
    with torch.no_grad():
        output = type(model).generate(
            model, ids, attention_mask=torch.ones_like(ids), max_new_tokens=limit, do_sample=False
        )
    return output[0, len(prompt) :].tolist()


def test_greedy_answers_are_those_of_transformers(run):
    model, tokenizer = run.student(), run.tokenizer()
    answers = run.generate(model, tokenizer, CHAT, limit=24)
    template = tokenizer.apply_chat_template(CHAT, add_generation_prompt=True, tokenize=False)
    for (one,), text in zip(answers, template, strict=True):
        assert one.prompt == tokenizer(text, add_special_tokens=False)["input_ids"]
        assert one.tokens == alone(model, one.prompt, 24)
        assert one.stopped == (one.tokens[-1] == tokenizer.eos_token_id)
        assert one.text == tokenizer.decode(one.tokens, skip_special_tokens=True)
    given = [one.prompt for (one,) in answers]
    assert run.generate(model, tokenizer, given, limit=24) == answers  # token ids are prompts too
    assert all(len(one.tokens) <= 20 for (one,) in run.generate(model, tokenizer, CHAT))


def test_an_answer_ends_at_the_protocols_stop_with_an_end_of_turn_behind_it(start, tmp_path):
    run = models.make_run(tmp_path, start, None, protocol="base_fewshot")
    model, tokenizer = run.student(), run.tokenizer()
    (free,) = run.generate(model, tokenizer, ["Problem: 1+1?\n"], limit=40)[0]
    stop = free.text[3:5]
    run.protocol = replace(run.protocol, stop=(stop,))
    (cut,) = run.generate(model, tokenizer, ["Problem: 1+1?\n"], limit=40)[0]
    run.close()
    assert cut.stopped
    assert cut.text == free.text[: free.text.index(stop)]
    assert cut.tokens[-1] == tokenizer.eos_token_id
    assert stop in tokenizer.decode(cut.tokens[:-1])
    assert cut.tokens[:-1] == free.tokens[: len(cut.tokens) - 1]


def test_samples_follow_torchs_random_numbers_and_differ(run):
    model, tokenizer = run.student(), run.tokenizer()
    texts = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        answers = run.generate(model, tokenizer, CHAT, samples=8, temperature=1.5, rows=5 + seed)
        texts.append([[one.tokens for one in samples] for samples in answers])
    assert texts[0] == texts[1] != texts[2]
    assert all(len({tuple(tokens) for tokens in samples}) > 4 for samples in texts[0])


@pytest.mark.parametrize("samples", [1, 4])
def test_what_is_written_is_charged_as_generated_whatever_was_shared(run, samples):
    model, tokenizer = run.student(), run.tokenizer()
    with metered(run.counter):
        answers = run.generate(model, tokenizer, CHAT, samples=samples, temperature=1.0)
    rows = [one for each in answers for one in each]
    read, new = (sum(len(getattr(one, name)) for one in rows) for name in ("prompt", "tokens"))
    cost = run.budget.cost
    assert cost.generated_tokens == new
    assert (cost.reference_tokens, cost.trained_tokens, cost.teacher_tokens) == (0, 0, 0)
    assert cost.flops == 2 * parameters(model)[0] * (read + new)


def test_answers_that_are_written_one_by_one_are_charged_the_same(run, monkeypatch):
    from harness.stage.decoding import probe

    model, tokenizer = run.student(), run.tokenizer()
    seen, costs = [], []
    for way in (probe.Way(), probe.Way("alone", "this test says so")):
        monkeypatch.setattr(probe, "way", lambda _, way=way: way)
        before = run.budget.cost
        torch.manual_seed(1)
        with metered(run.counter):
            seen.append(run.generate(model, tokenizer, CHAT, samples=2, temperature=1.0))
        now = run.budget.cost
        names = ("generated_tokens", "reference_tokens", "trained_tokens", "flops")
        costs.append([getattr(now, name) - getattr(before, name) for name in names])
        assert now.body_flops > (before.body_flops or 0)
    assert seen[0] == seen[1]
    assert costs[0] == costs[1]
    assert run.notes["one_by_one"] == "this test says so"


def test_what_a_hook_generates_while_an_answer_is_written_alone_is_charged(run, monkeypatch):
    from harness.stage.decoding import probe

    monkeypatch.setattr(probe, "way", lambda _: probe.Way("alone", "this test says so"))
    model, tokenizer, busy = run.student(), run.tokenizer(), []

    def more(module, arguments):
        if not busy:
            busy.append(True)
            module.generate(torch.tensor([[5, 6]]), max_new_tokens=2, min_new_tokens=2)

    model.register_forward_pre_hook(more)
    with metered(run.counter):
        ((one,),) = run.generate(model, tokenizer, CHAT[:1])
    assert run.budget.cost.generated_tokens == len(one.tokens) + 2


def test_generate_of_transformers_is_charged_the_same(run):
    model, tokenizer = run.student(), run.tokenizer()
    with metered(run.counter):
        ((one,), *_) = run.generate(model, tokenizer, CHAT[:1])
        ours = run.budget.cost.model_copy()
        ids = torch.tensor([one.prompt])
        model.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=20, do_sample=False)
    assert run.budget.cost.generated_tokens == 2 * ours.generated_tokens
    assert run.budget.cost.flops == 2 * ours.flops


def test_a_model_that_trains_is_left_as_it_was(run):
    model, tokenizer = run.student().train(), run.tokenizer()
    model.model.layers[1].eval()
    before = [(module, module.training) for module in model.modules()]
    weights = {name: value.clone() for name, value in model.state_dict().items()}
    run.generate(model, tokenizer, CHAT)
    assert [(module, module.training) for module in model.modules()] == before
    assert all(torch.equal(value, weights[name]) for name, value in model.state_dict().items())
    model(torch.tensor([[5, 6]])).logits.sum().backward()


def test_weights_are_half_as_precise_for_a_while(run):
    model, half = run.student(), Half()
    held = [(parameter, parameter.data_ptr()) for parameter in model.parameters()]
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-3)
    model(torch.tensor([[5, 6]])).logits.sum().backward()
    with half.used(model):
        assert model.dtype == torch.bfloat16
        assert model(torch.tensor([[5, 6]])).logits.dtype == torch.bfloat16
    with pytest.raises(ZeroDivisionError), half.used(model):
        _ = 1 / 0
    assert model.dtype == torch.float32
    assert [(parameter, parameter.data_ptr()) for parameter in model.parameters()] == held
    optimiser.step()
    model(torch.tensor([[5, 6]])).logits.sum().backward()


def halves(model, half) -> list[tuple[int, torch.Tensor]]:
    """Return the weights in half precision, with their places in memory."""
    with half.used(model):
        return [(one.data_ptr(), one.detach().clone()) for one in model.parameters()]


def test_weights_in_half_precision_stay_in_their_places_and_follow_each_step(run):
    model, half = run.student(), Half()
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-2)
    first = halves(model, half)
    assert halves(model, half)[0][0] == first[0][0]
    assert half.copies == 1  # no step was made
    seen = [first]
    for number in range(3):
        model(torch.tensor([[5, 6]])).logits.sum().backward()
        optimiser.step()
        seen.append(halves(model, half))
        assert half.copies == 2 + number
    for one in seen[1:]:
        assert [place for place, _ in one] == [place for place, _ in first]
    for (_, made), parameter in zip(seen[-1], model.parameters(), strict=True):
        assert torch.equal(made, parameter.to(torch.bfloat16))
    assert not torch.equal(seen[-1][0][1], first[0][1])


@pytest.mark.parametrize("how", ["in-place", "data", "other-tensor", "state"])
def test_weights_that_change_without_an_optimiser_are_copied_too(run, how):
    model, half = run.student(), Half()
    halves(model, half)
    with torch.no_grad():
        for parameter in model.parameters():
            if how == "in-place":
                parameter.mul_(1.5)
            elif how == "data":  # torch does not count these
                parameter.data.mul_(1.5)
            elif how == "other-tensor":
                parameter.data = parameter.data * 1.5
    if how == "state":
        model.load_state_dict({name: 1.5 * one for name, one in model.state_dict().items()})
    for (_, made), parameter in zip(halves(model, half), model.parameters(), strict=True):
        assert torch.equal(made, parameter.to(torch.bfloat16))
    assert half.copies == 2


def test_a_stage_keeps_one_copy_of_a_models_weights(start, tmp_path):
    run = models.make_run(tmp_path, start, None, dtype="bfloat16")
    model, tokenizer = run.student(), run.tokenizer()
    answers = run.generate(model, tokenizer, CHAT)
    assert run.generate(model, tokenizer, CHAT) == answers
    (half,) = run._stage.halves.values()
    assert half.copies == 1
    optimiser = torch.optim.SGD(model.parameters(), lr=1.0)
    model(torch.tensor([[5, 6]])).logits.sum().backward()
    optimiser.step()
    assert run.generate(model, tokenizer, CHAT) != answers
    assert half.copies == 2
    run.close()


def test_a_model_of_half_precision_writes_in_slots(run):
    model, tokenizer = run.student(), run.tokenizer()
    with Half().used(model):
        answers = run.generate(model, tokenizer, CHAT, samples=3)
    assert "batch_by_batch" not in run.notes
    assert answers[0] == answers[2]


def test_an_adapter_writes_too(run):
    from peft import LoraConfig, get_peft_model

    plain, tokenizer = run.student(), run.tokenizer()
    expected = run.generate(plain, tokenizer, CHAT)
    model = get_peft_model(plain, LoraConfig(target_modules=["q_proj", "v_proj"]))
    assert run.generate(model, tokenizer, CHAT) == expected  # it adds nothing yet
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.5)
    assert run.generate(model, tokenizer, CHAT) != expected


FULL = [
    torch.OutOfMemoryError("CUDA out of memory"),
    RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    RuntimeError("CUDA error: CUBLAS_STATUS_NOT_INITIALIZED when calling `cublasCreate(handle)`"),
    RuntimeError("cuDNN error: CUDNN_STATUS_NOT_INITIALIZED"),
]
NAMES = ["allocator", "cublas", "cublas-handle", "cudnn-handle"]


@pytest.mark.parametrize("error", FULL, ids=NAMES)
def test_answers_that_are_ready_survive_full_memory(run, error):
    model, tokenizer = run.student(), run.tokenizer()
    prompts = [[5 + n, *range(40, 40 + n)] for n in range(16)]
    expected = run.generate(model, tokenizer, prompts, limit=8)
    sizes: list[int] = []

    def full_later(module, arguments, keywords):
        sizes.append(len(keywords["input_ids"]))
        if len(sizes) > 9 and sizes[-1] > 4:
            raise error

    hook = model.register_forward_pre_hook(full_later, with_kwargs=True)
    assert run.generate(model, tokenizer, prompts, limit=8, rows=8) == expected
    hook.remove()
    assert run.notes["smallest_batch"] == 4
    assert max(sizes[:9]) == 8
    # the eight that were ready when memory filled up were not written again
    assert sum(sizes[sizes.index(4) :]) < 8 * 16


def test_full_memory_is_remembered_by_the_next_answers_of_the_same_model(run):
    """Each optimiser step writes anew, and must not begin with what did not fit before."""
    model, other, tokenizer = run.student(), run.student(), run.tokenizer()
    prompts = [[5 + n, *range(40, 50)] for n in range(24)]
    expected = run.generate(model, tokenizer, prompts, limit=4)
    sizes: list[int] = []
    most = 6

    def full(module, arguments, keywords):
        sizes.append(len(keywords["input_ids"]))
        if sizes[-1] > most:
            raise FULL[0]

    for one in (model, other):
        one.register_forward_pre_hook(full, with_kwargs=True)
    assert run.generate(model, tokenizer, prompts, limit=4) == expected
    assert sizes[:3] == [24, 12, 6]
    assert run.notes["smallest_batch"] == 6
    sizes.clear()
    assert run.generate(model, tokenizer, prompts, limit=4) == expected
    assert max(sizes) == 6
    most = 13
    assert run.generate(other, tokenizer, prompts, limit=4) == expected
    assert max(sizes) == 24  # of it nothing was known
    assert run.notes["smallest_batch"] == 6  # of all calls


@pytest.mark.parametrize("error", FULL, ids=NAMES)
def test_memory_for_not_one_row_is_said_and_divides_no_batch(run, error):
    model, tokenizer = run.student(), run.tokenizer()

    def full(module, arguments):
        raise error

    model.register_forward_pre_hook(full)
    with pytest.raises(NoRoom, match="set a smaller completion length"):
        run.generate(model, tokenizer, CHAT)


def test_weights_in_several_processes_are_refused(run, monkeypatch):
    student, teacher, tokenizer = run.student(), run.student(), run.tokenizer()
    monkeypatch.setenv("ACCELERATE_USE_FSDP", "true")
    assert run.group.sharded
    assert (
        len(run.generate(teacher, tokenizer, CHAT)) == 3
    )  # a whole model beside the one that is not
    student.model.norm.weight.ds_id = 0  # as ZeRO marks what it has divided
    with pytest.raises(StageError, match=r"run\.group\.sharded"):
        run.generate(student, tokenizer, CHAT)


def test_a_student_writes_in_what_the_board_computes_in(start, tmp_path, monkeypatch):
    """Its weights stay float32, and are written with in bfloat16 where the board says so."""
    from harness.stage.decoding.decoder import Decoder

    plain, seen = Decoder.generate, []

    def watched(self, asked):
        seen.append(self.model.dtype)
        return plain(self, asked)

    monkeypatch.setattr(Decoder, "generate", watched)
    for dtype in ("float32", "bfloat16"):
        run = models.make_run(tmp_path / dtype, start, None, dtype=dtype, teacher=start)
        student = run.student()
        assert run.arguments()["bf16"] is (dtype == "bfloat16")
        assert run.teacher_model().dtype == getattr(torch, dtype)
        run.generate(student, run.tokenizer(), CHAT)
        assert student.dtype == torch.float32
        run.close()
    assert seen == [torch.float32, torch.bfloat16]


@pytest.mark.bench
@pytest.mark.parametrize("lean", [True, False], ids=["own-loss", "loss-of-trl"])
def test_on_policy_distillation_computes_in_half_precision_where_the_run_says_so(
    start, tmp_path, monkeypatch, lean
):
    """TRL's trainer opens no autocast of its own: its student would train in float32 on a GPU.

    There TRL's own loss is taken, on a CPU that of this project.
    """
    from harness_kd import on_policy
    from transformers.models.qwen2.modeling_qwen2 import Qwen2Attention
    from trl import DistillationTrainer

    attend, seen, losses = Qwen2Attention.forward, set(), []
    loss = DistillationTrainer.compute_loss
    if not lean:
        monkeypatch.setattr(on_policy, "only_scored", lambda *_: False)

    def watched(self, *args, **kwargs):
        output = attend(self, *args, **kwargs)
        if torch.is_grad_enabled() and self.q_proj.weight.requires_grad:
            seen.add((self.q_proj.weight.dtype, output[0].dtype))
        return output

    def counted(self, *args, **kwargs):
        losses.append(torch.is_autocast_enabled("cpu"))
        return loss(self, *args, **kwargs)

    monkeypatch.setattr(Qwen2Attention, "forward", watched)
    monkeypatch.setattr(DistillationTrainer, "compute_loss", counted)
    options = {"max_steps": 1}
    run = train("kd-on-policy", tmp_path, start, start, dtype="bfloat16", options=options)
    assert not {"batch_by_batch", "one_by_one"} & run.notes.keys()
    assert seen == {(torch.float32, torch.bfloat16)}
    assert losses == ([] if lean else [True])


@pytest.mark.bench
@pytest.mark.parametrize("name", ["rl", "hybrid-joint"])
def test_rollouts_are_written_by_the_engine_that_writes_scored_answers(
    name, start, tmp_path, monkeypatch
):
    """What is learnt from is what `run.generate` returned, in each step; TRL writes nothing."""
    from transformers import GenerationMixin
    from trl import GRPOTrainer

    from harness.stage.train_stage import TrainStage

    generate, loss = TrainStage.generate, GRPOTrainer.compute_loss
    written, learnt, by_trl = set(), set(), []

    def watched(stage, *args, **kwargs):
        answers = generate(stage, *args, **kwargs)
        written.update(tuple(one.tokens) for samples in answers for one in samples)
        return answers

    def watched_loss(trainer, model, inputs, *args, **kwargs):
        for row, mask in zip(inputs["completion_ids"], inputs["completion_mask"], strict=True):
            learnt.add(tuple(row[mask.bool()].tolist()))
        return loss(trainer, model, inputs, *args, **kwargs)

    monkeypatch.setattr(TrainStage, "generate", watched)
    monkeypatch.setattr(GRPOTrainer, "compute_loss", watched_loss)
    monkeypatch.setattr(GenerationMixin, "generate", lambda *_, **__: by_trl.append(1))
    train(name, tmp_path, start, None, options={"max_steps": 2})
    assert by_trl == []
    assert len(learnt) > 4
    assert learnt == written
