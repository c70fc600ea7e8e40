"""A low-rank adapter as an option of every trainer: what it changes, what it costs, its merging."""

from __future__ import annotations

import harness_sft
import models
import pytest

pytest.importorskip("torch")

import torch
from safetensors.torch import load_file
from train_all import digest, train

from harness.bench.plan import plan
from harness.boards.board import load_board
from harness.errors import StageError
from harness.forecast.stages import Forecast
from harness.plugin.host import Host
from harness.stage.models import adapted, load_model

pytestmark = pytest.mark.bench

NAMES = ("sft", "kd", "kd-on-policy", "rl", "hybrid-joint", "rft", "rloo")
LORA = {"lora_rank": 2, "learning_rate": 1e-2}


def changed(before, after):
    """Return what was added to each tensor of a checkpoint that is not as it was."""
    old, new = (load_file(folder / "model.safetensors") for folder in (before, after))
    assert old.keys() == new.keys()
    return {name: new[name] - old[name] for name in old if not torch.equal(old[name], new[name])}


@pytest.mark.parametrize("name", NAMES)
def test_only_a_product_of_low_rank_is_added_to_linear_layers(name, student, teacher, tmp_path):
    run = train(name, tmp_path, student, teacher, options=LORA)
    added = changed(student, run.out)
    assert len(added) == 2 * 7  # in both layers: q, k, v, o, gate, up, down
    for layer, matrix in added.items():
        assert layer.endswith("_proj.weight")
        sizes = torch.linalg.svdvals(matrix.double())
        assert sizes[0] > 1e-4
        assert (sizes[2:] < 1e-5 * sizes[0] + 1e-6).all(), layer


@pytest.mark.parametrize("name", ["sft", "rl"])
def test_frozen_weights_cost_four_flops_a_token(name, student, tmp_path):
    runs = [
        train(name, tmp_path / str(rank), student, None, options={"lora_rank": rank})
        for rank in (0, 2)
    ]
    costs = [run.budget.cost for run in runs]
    apart = [2 * 30_000 * (cost.generated_tokens + cost.trained_tokens) for cost in costs]
    full, lora = (cost.flops - (less if name == "rl" else 0)
                  for cost, less in zip(costs, apart, strict=True))  # fmt: skip
    tokens = [cost.trained_tokens for cost in costs]
    assert 0.6 < (lora / tokens[1]) / (full / tokens[0]) < 0.8


def test_sft_lora_is_sft_with_other_defaults(student, tmp_path):
    shared = {"learning_rate": 2e-4}
    runs = [
        train("sft-lora", tmp_path / "a", student, None, options=shared),
        train("sft", tmp_path / "b", student, None, options=shared | {"lora_rank": 16}),
    ]
    assert digest(runs[0].out) == digest(runs[1].out)
    lora, plain = harness_sft.LoraOptions(), harness_sft.SftOptions()
    differ = {n for n, value in lora if value != getattr(plain, n)}
    assert differ == {"lora_rank", "learning_rate"}


@pytest.mark.parametrize("name", ["rl", "rloo"])
def test_the_start_model_is_the_reference_without_a_copy(name, student, tmp_path):
    run = train(name, tmp_path, student, None, options=LORA | {"beta": 0.1, "max_steps": 4})
    kl = [event["kl"] for event in models.events(run) if "kl" in event]
    assert kl[0] == pytest.approx(0, abs=1e-6)
    assert any(abs(one) > 1e-4 for one in kl[1:])
    reads = {"rl": 1, "rloo": 2}[name]
    assert run.budget.cost.reference_tokens == reads * run.budget.cost.trained_tokens


def test_a_student_with_the_larger_embedding_and_an_adapter(student, teacher, tmp_path):
    run = train("kd-on-policy", tmp_path, teacher, student, options=LORA)  # the roles exchanged
    assert run.notes["common_vocabulary"] == 320
    assert len(changed(teacher, run.out)) == 2 * 7


def test_an_interrupted_adapter_ends_at_the_same_weights(student, tmp_path):
    options = LORA | {"max_steps": 4}
    whole = train("rl", tmp_path / "whole", student, None, options=options, save_every=2)
    cut = tmp_path / "cut"
    train("rl", cut, student, None, options=options, save_every=2)
    (cut / "scratch" / "trainer" / "checkpoint-4" / "harness_cost.json").unlink()
    resumed = train("rl", cut, student, None, options=options, save_every=2)
    assert resumed.resume.endswith("checkpoint-2")
    assert digest(resumed.out) == digest(whole.out)


def test_the_seed_decides_an_adapter_and_no_other_random_number(student, tmp_path):
    made = []
    for place, seed in enumerate((0, 0, 1)):
        torch.manual_seed(place)
        options = harness_sft.SftOptions(lora_rank=2)
        run = models.make_run(tmp_path / str(place), student, options, seed=seed)
        before = torch.random.get_rng_state()
        weights = [w for n, w in run.student().named_parameters() if "lora_A" in n]
        assert torch.equal(before, torch.random.get_rng_state())
        made.append(torch.cat([weight.flatten() for weight in weights]))
        run.close()
    assert torch.equal(made[0], made[1])
    assert not torch.equal(made[0], made[2])


def test_layers_that_do_not_exist_are_refused_in_one_line(student, tmp_path):
    options = {"lora_rank": 2, "lora_targets": "no_such_layer"}
    with pytest.raises(StageError, match="lora_targets='no_such_layer'"):
        train("sft", tmp_path, student, None, options=options)


def test_an_adapter_that_could_not_be_merged_is_refused_before_training(student):
    model = load_model(student, "float32", "cpu")
    with pytest.raises(StageError, match=r"spread over processes .* set lora_rank=0"):
        adapted(model, harness_sft.LoraOptions(), 0, True)
    assert adapted(model, harness_sft.SftOptions(), 0, True) is model


def test_a_forecast_knows_of_frozen_weights():
    host = Host()
    flops = {}
    for rank in (0, 16):
        board = load_board("tiny", host)
        board.file.options["sft"] = {"max_steps": 2, "lora_rank": rank}
        made = plan(board, host, ["sft"], [0])
        (stage,) = (stage for stage in made.stages.values() if stage.kind == "train")
        flops[rank] = Forecast(made, None, []).of(stage).flops
    assert flops[16] == pytest.approx(flops[0] * 4.04 / 6)
