"""Packed rows: several in one sequence, none of which sees or teaches another."""

from __future__ import annotations

import pytest

pytest.importorskip("torch")

import models
import torch
from test_computed import torchs_own
from train_all import train

from harness.records import Caps
from harness.stage.metering.counter import Counter
from harness.stage.metering.meter import metered

pytestmark = pytest.mark.bench

READERS = ("sft", "sft-lora", "sft-shuffled", "kd", "kd-sequence", "kd-traces")
LENGTHS = ((9, 3), (14, 6), (5, 2), (11, 10))  # of a row, and of its completion


@pytest.fixture(scope="module")
def pair(student):
    """Return a student, and a wider teacher with more layers and a larger embedding."""
    from transformers import AutoModelForCausalLM

    start = AutoModelForCausalLM.from_pretrained(student)
    wide = models.random_model(
        models.byte_tokenizer(),
        3,
        vocab_size=352,
        hidden_size=48,
        intermediate_size=80,
        num_hidden_layers=3,
        num_attention_heads=6,
        num_key_value_heads=3,
        initializer_range=0.2,
    )
    return start, wide.eval().requires_grad_(False)


def rows(seed=0):
    drawn = torch.Generator().manual_seed(seed)
    made = []
    for length, completion in LENGTHS:
        ids = torch.randint(3, 300, (length,), generator=drawn).tolist()
        made.append({"input_ids": ids, "labels": [-100] * (length - completion)})
        made[-1]["labels"] += ids[length - completion :]
    return made


def collated(given, packed):
    """Return a batch as TRL makes it: padded, or two sequences of two rows put in a line."""
    from trl.trainer.sft_trainer import DataCollatorForLanguageModeling

    collate = DataCollatorForLanguageModeling(pad_token_id=0, padding_free=packed)
    if not packed:
        return collate(given)
    joined = []
    for pair in (given[:2], given[2:]):
        both = {name: pair[0][name] + pair[1][name] for name in pair[0]}
        joined.append({**both, "seq_lengths": [len(one["input_ids"]) for one in pair]})
    return collate(joined)


def learnt(pair, batch, alpha=0.5):
    """Return the loss of `kd` and the gradients of the student's weights."""
    from harness_kd.logits import KdOptions
    from harness_kd.losses import distillation_loss

    start, guide = pair
    start.zero_grad()
    loss = distillation_loss(start, guide, batch, KdOptions(alpha=alpha, temperature=2.0))
    loss.backward()
    return loss.item(), {name: weight.grad.clone() for name, weight in start.named_parameters()}


@pytest.mark.parametrize("alpha", [0.0, 0.5, 1.0])
def test_packed_rows_teach_what_padded_rows_teach(alpha, pair):
    """The same loss and gradient, also of each of its terms alone."""
    padded, packed = (collated(rows(), packed) for packed in (False, True))
    assert packed["input_ids"].shape == (1, sum(length for length, _ in LENGTHS))
    assert "attention_mask" not in packed
    for batch in (padded, packed):
        completions = sum(completion for _, completion in LENGTHS)
        assert (batch["labels"] != -100).sum() == completions
    (loss, gradient), (other, same) = (learnt(pair, one, alpha) for one in (padded, packed))
    assert other == pytest.approx(loss, rel=1e-5)
    for name, wanted in gradient.items():
        torch.testing.assert_close(same[name], wanted, rtol=1e-4, atol=1e-5)


def test_no_row_sees_another_nor_is_taught_across_a_border(pair):
    """Of four rows three are poisoned: what the other one adds to the loss is what it was."""
    for kept in range(4):
        added = []
        for seed in (1, 2):
            given = rows(seed)
            given[kept] = rows()[kept]
            for number, row in enumerate(given):
                if number != kept:  # no loss but that of the row that is kept
                    row["labels"] = [-100] * len(row["labels"])
            loss, gradient = learnt(pair, collated(given, packed=True))
            added.append((loss, gradient["model.embed_tokens.weight"]))
        assert added[0][0] != 0
        assert added[0][0] == pytest.approx(added[1][0], rel=1e-6)
        torch.testing.assert_close(added[0][1], added[1][1], rtol=1e-5, atol=1e-7)
    # a row whose first token has a label is not taught it by the row before
    given = rows()
    given[1]["labels"] = list(given[1]["input_ids"])
    batch = collated(given, packed=True)
    border = LENGTHS[0][0]
    assert batch["labels"][0, border] == -100
    assert batch["labels"][0, border + 1] == given[1]["labels"][1]
    (loss, gradient), (other, same) = (learnt(pair, one) for one in (collated(given, False), batch))
    assert other == pytest.approx(loss, rel=1e-5)
    for name, wanted in gradient.items():
        torch.testing.assert_close(same[name], wanted, rtol=1e-4, atol=1e-5)


def test_what_both_models_compute_of_packed_rows_is_counted(pair):
    guide = pair[1]
    tokens = sum(length for length, _ in LENGTHS)
    guide.base_model.name_or_path = "the teacher"
    counter = Counter(Caps(steps=10), "the teacher")
    with metered(counter), torchs_own() as own:
        learnt(pair, collated(rows(), packed=True))
    assert counter.cost.computed_flops == own.get_total_flops()
    assert counter.cost.trained_tokens == counter.cost.teacher_tokens == tokens
    sizes = [sum(weight.numel() for weight in model.parameters()) for model in pair]
    assert counter.cost.flops == pytest.approx((6 * sizes[0] + 2 * sizes[1]) * tokens)


def mixed(count):
    """Return sums of which every other one has a longer solution, so that rows differ in length."""
    return [
        {**row, "solution": row["solution"] * (1 + number % 2)}
        for number, row in enumerate(models.sums(count))
    ]


def test_a_packed_stage_of_kd_learns_what_a_padded_one_does(student, teacher, tmp_path):
    """All rows in one step: the same loss, weights and tokens, and less of what is computed."""
    from transformers import AutoModelForCausalLM

    runs = []
    for packing, batch in ((True, 4), (False, 8)):
        options = {"packing": packing, "batch_size": batch, "max_length": 230, "max_steps": 1}
        place = tmp_path / str(batch)
        with torchs_own() as own:
            runs.append(train("kd", place, student, teacher, options=options, rows=mixed(8)))
        cost = runs[-1].budget.cost
        assert cost.computed_flops == pytest.approx(own.get_total_flops(), rel=0.01)
    (first, second) = ((models.events(run)[0], run.budget.cost) for run in runs)
    assert first[0]["loss"] == pytest.approx(second[0]["loss"], rel=1e-4)
    assert first[0]["grad_norm"] == pytest.approx(second[0]["grad_norm"], rel=1e-3)
    for tokens in ("trained_tokens", "teacher_tokens"):
        assert getattr(first[1], tokens) == getattr(second[1], tokens) > 8 * 98
    assert first[1].body_flops < second[1].body_flops  # no padding
    states = [AutoModelForCausalLM.from_pretrained(run.out).state_dict() for run in runs]
    far = [(states[0][name] - states[1][name]).abs() for name in states[0]]
    # AdamW's first step goes by the sign of a gradient, which rounding may turn where it is nought
    assert sum(float((one > 1e-4).sum()) for one in far) < 0.01 * sum(map(torch.numel, far))


@pytest.mark.parametrize("name", READERS)
def test_every_trainer_that_only_reads_takes_packed_rows(name, student, teacher, tmp_path):
    options = {"packing": True, "batch_size": 2, "max_length": 400, "max_steps": 2}
    if name == "kd-sequence":  # by default as many as there are rows in all steps
        options["problems"] = 12
    with torchs_own() as own:
        cost = train(name, tmp_path, student, teacher, options=options).budget.cost
    assert cost.computed_flops == pytest.approx(own.get_total_flops(), rel=0.02)
    assert cost.steps == 2
    assert cost.trained_tokens > 2 * 2 * 230  # more than one row in each sequence


def test_who_writes_takes_none():
    import pydantic
    from train_all import offers

    for name, offer in offers().items():
        if offer.train and name not in READERS:
            with pytest.raises(pydantic.ValidationError, match="packing"):
                offer.options(packing=True)
