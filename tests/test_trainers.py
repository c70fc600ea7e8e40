"""The built-in trainers: they train, repeat themselves, stop, resume, and leave whole models."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("torch")

import harness_rl
import models
import pydantic
import torch
from train_all import CASES, digest, offers, train

from harness.errors import StageError
from harness.plugin.workload import Workload
from harness.verify import VERIFIER_VERSION

pytestmark = pytest.mark.bench

TESTS = Path(__file__).parent


@pytest.fixture(scope="module")
def trained(student, teacher, tmp_path_factory):
    """Train with each trainer once, with seed 1; return its run."""
    runs = {}

    def run(name):
        if name not in runs:
            folder = tmp_path_factory.mktemp(name)
            runs[name] = train(name, folder, student, teacher, seed=1)
        return runs[name]

    return run


@pytest.mark.parametrize("name", CASES)
def test_a_checkpoint_is_a_whole_model_for_plain_transformers(name, trained, student):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    run = trained(name)
    files = {path.name for path in run.out.iterdir()}
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= files
    assert not [file for file in files if file.endswith((".bin", ".pt", ".pth", ".pkl"))]
    before = AutoModelForCausalLM.from_pretrained(student)
    after = AutoModelForCausalLM.from_pretrained(run.out)
    assert after.dtype == torch.float32
    changed = 0
    for (key, old), (other, new) in zip(
        before.state_dict().items(), after.state_dict().items(), strict=True
    ):
        assert key == other
        assert old.shape == new.shape
        changed += not torch.equal(old, new)
    assert changed
    assert before.generation_config.to_dict() == after.generation_config.to_dict()
    for file in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        assert (run.out / file).read_bytes() == (student / file).read_bytes()
    chat = [{"role": "user", "content": "1+1?"}]
    tokenizer = AutoTokenizer.from_pretrained(run.out)
    prompt = tokenizer.apply_chat_template(chat, add_generation_prompt=True, tokenize=False)
    assert prompt.endswith("<|im_start|>assistant\n")


@pytest.mark.parametrize("name", CASES)
def test_costs_and_curves_are_those_of_the_method(name, trained):
    run, cost = trained(name), trained(name).budget.cost
    assert cost.steps == 3
    assert cost.trained_tokens > 0
    assert (cost.teacher_tokens > 0) == offers()[name].needs_teacher
    rollouts = name in ("rl", "hybrid-joint", "kd-on-policy")
    assert (cost.generated_tokens > 0) == rollouts
    assert cost.reference_tokens == 0
    events = [event for event in models.events(run) if "loss" in event]
    assert [event["step"] for event in events] == [1, 2, 3]
    assert events[-1]["progress"] == 1.0
    if name in ("rl", "hybrid-joint"):
        assert all("reward" in event for event in events)
        assert run.notes["reward"]["correct"] == 1.0
        assert run.notes["verifier"] == str(VERIFIER_VERSION)
        assert run.notes["rollouts"] == 3 * 16


@pytest.fixture(scope="module")
def fresh(student, teacher, tmp_path_factory):
    """Digests of all trainers with seed 0, in two fresh processes and in opposite order."""
    results = []
    for names in (list(CASES), list(reversed(CASES))):
        out = tmp_path_factory.mktemp("fresh")
        command = [
            sys.executable,
            str(TESTS / "support" / "train_all.py"),
            str(student),
            str(teacher),
        ]
        done = subprocess.run(
            [*command, str(out), "0", *names],
            capture_output=True,
            text=True,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        )
        assert done.returncode == 0, done.stderr[-3000:]
        results.append(json.loads((out / "digests.json").read_text()))
    return results


@pytest.mark.parametrize("name", CASES)
def test_the_seed_decides_the_checkpoint(name, fresh, trained):
    assert fresh[0][name] == fresh[1][name]
    assert fresh[0][name] != digest(trained(name).out)  # seed 1


SUPERVISED = {"max_steps": 50, "batch_size": 16, "learning_rate": 1e-2, "warmup_ratio": 0.1}
LEARNING = {
    "sft": SUPERVISED,
    "sft-lora": SUPERVISED | {"learning_rate": 2e-2, "lora_dropout": 0.0},
    "kd": SUPERVISED,
    "kd-sequence": SUPERVISED | {"samples": 1, "temperature": 0.0},
    "kd-on-policy": SUPERVISED | {"max_steps": 40, "learning_rate": 5e-3},
}


@pytest.mark.parametrize("name", LEARNING)
def test_what_is_imitated_is_learnt(name, student, teacher, tmp_path):
    test, rows = models.sums(64, seed=9), models.sums(200)
    before = models.solved(student, test)
    run = train(name, tmp_path, student, teacher, options=LEARNING[name], rows=rows)
    assert models.solved(run.out, test) > before


@pytest.mark.parametrize("name", ["rl", "hybrid-joint"])
def test_the_reward_rises(name, student, teacher, tmp_path):
    options = {"prompts_per_step": 8, "num_generations": 8, "max_steps": 24, "warmup_ratio": 0.1}
    options |= {"learning_rate": 2e-3}
    run = train(name, tmp_path, student, teacher, options=options, rows=models.sums(200))
    rewards = [event["reward"] for event in models.events(run) if "reward" in event]
    assert len(rewards) == 24
    assert sum(rewards[-6:]) / 6 > sum(rewards[:6]) / 6 + 0.05


@pytest.mark.parametrize("name", [name for name in CASES if name != "sft"])
def test_an_interrupted_run_ends_at_the_same_weights(name, student, teacher, tmp_path):
    options = {"max_steps": 5, "lr_scheduler": "cosine"}
    whole = train(name, tmp_path / "whole", student, teacher, options=options, save_every=2)
    folder = tmp_path / "cut"
    with pytest.raises(_Interrupted):
        train_interrupted(name, folder, student, teacher, options, at=3)
    resumed = train(name, folder, student, teacher, options=options, save_every=2)
    assert resumed.resume.endswith("checkpoint-2")
    assert digest(resumed.out) == digest(whole.out)
    assert resumed.budget.cost.steps == 5
    assert resumed.budget.cost.flops == whole.budget.cost.flops
    assert resumed.budget.cost.computed_flops == whole.budget.cost.computed_flops > 0


class _Interrupted(Exception):
    pass


def train_interrupted(name, folder, student, teacher, options, at):
    from harness.stage.callback import BudgetCallback

    plain = BudgetCallback.on_step_end

    def on_step_end(self, args, state, control, **kwargs):
        plain(self, args, state, control, **kwargs)
        if state.global_step == at:
            raise _Interrupted

    BudgetCallback.on_step_end = on_step_end
    try:
        train(name, folder, student, teacher, options=options, save_every=2)
    finally:
        BudgetCallback.on_step_end = plain


KILLED = """
import os, signal, sys
from pathlib import Path
import train_all
from harness.stage.callback import BudgetCallback
class Killing(BudgetCallback):
    def on_step_end(self, args, state, control, **kwargs):
        super().on_step_end(args, state, control, **kwargs)
        if state.global_step == 3:
            os.kill(os.getpid(), signal.SIGKILL)
import harness.stage.callback
harness.stage.callback.BudgetCallback = Killing
train_all.train("sft", Path(sys.argv[1]), Path(sys.argv[2]), None,
                options={"max_steps": 5}, save_every=2)
"""


def test_sft_goes_on_after_a_kill(student, tmp_path):
    whole = train("sft", tmp_path / "whole", student, None, options={"max_steps": 5}, save_every=2)
    folder = tmp_path / "cut"
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(folder), str(student)],
        capture_output=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(TESTS / "support"), *sys.path])},
    )
    assert done.returncode == -signal.SIGKILL, done.stderr[-2000:]
    resumed = train("sft", folder, student, None, options={"max_steps": 5}, save_every=2)
    assert resumed.resume.endswith("checkpoint-2")
    assert digest(resumed.out) == digest(whole.out)
    assert resumed.budget.cost.trained_tokens == whole.budget.cost.trained_tokens


def test_a_checkpoint_saved_by_minutes_is_resumed_from(student, tmp_path, monkeypatch):
    """Every step takes 40 seconds: after each second one a minute is over."""
    from harness.stage.callback import BudgetCallback
    from harness.stage.metering import counter

    passed = [0.0]
    monkeypatch.setattr(counter, "monotonic", lambda: passed[0])
    plain = BudgetCallback.on_step_end

    def on_step_end(self, args, state, control, **kwargs):
        passed[0] += 40
        plain(self, args, state, control, **kwargs)
        if state.global_step == stop:
            raise _Interrupted

    monkeypatch.setattr(BudgetCallback, "on_step_end", on_step_end)
    options, stop = {"max_steps": 6, "lr_scheduler": "cosine"}, 0
    whole = train("sft", tmp_path / "whole", student, None, options=options)
    assert not [*(whole.scratch / "trainer").glob("checkpoint-*")]
    stop, folder = 5, tmp_path / "cut"
    with pytest.raises(_Interrupted):
        train("sft", folder, student, None, options=options, save_minutes=1)
    kept = sorted(path.name for path in (folder / "scratch" / "trainer").glob("checkpoint-*"))
    assert kept == ["checkpoint-2", "checkpoint-4"]
    stop = 0
    resumed = train("sft", folder, student, None, options=options, save_minutes=1)
    assert resumed.resume.endswith("checkpoint-4")
    assert digest(resumed.out) == digest(whole.out)
    assert resumed.budget.cost.seconds == whole.budget.cost.seconds == 240
    for name in ("steps", "flops", "trained_tokens"):
        assert getattr(resumed.budget.cost, name) == getattr(whole.budget.cost, name)


def test_half_a_training_checkpoint_is_not_resumed_from(student, tmp_path):
    run = train("sft", tmp_path, student, None, options={"max_steps": 4}, save_every=2)
    (run.scratch / "trainer" / "checkpoint-4" / "harness_cost.json").unlink()
    again = models.make_run(tmp_path, student, run.options, save_every=2)
    assert again.resume.endswith("checkpoint-2")
    assert again.budget.cost.steps == 2


@pytest.mark.parametrize("name", ["kd", "kd-on-policy"])
def test_a_teacher_with_the_smaller_embedding(name, teacher, student, tmp_path):
    """The larger model's extra rows, which no token uses, come out as they went in."""
    from transformers import AutoModelForCausalLM

    run = train(name, tmp_path, teacher, student)  # the roles exchanged: 352 rows learn from 320
    assert run.notes["common_vocabulary"] == 320
    before = AutoModelForCausalLM.from_pretrained(teacher).get_input_embeddings().weight
    after = AutoModelForCausalLM.from_pretrained(run.out).get_input_embeddings().weight
    assert after.shape == before.shape == (352, 32)
    assert not torch.equal(after[:320], before[:320])
    if name == "kd-on-policy":
        assert torch.equal(after[320:], before[320:])


@pytest.mark.parametrize(
    ("name", "options"),
    [(name, {"nonsense": 1}) for name in CASES]
    + [
        ("sft", {"learning_rate": 0}),
        ("sft", {"loss": "huber"}),
        ("sft", {"lr_scheduler": "constant", "warmup_ratio": 0.1}),
        ("kd", {"alpha": 1.5}),
        ("kd-sequence", {"samples": 4, "temperature": 0.0}),
        ("kd-on-policy", {"beta": -1}),
        ("rl", {"num_generations": 1}),
        ("hybrid-joint", {"mu_peak": 2}),
    ],
)
def test_options_that_do_not_exist_or_make_no_sense_are_refused(name, options):
    with pytest.raises(pydantic.ValidationError, match=next(iter(options))):
        offers()[name].options.model_validate(options)


@pytest.mark.parametrize("name", ["sft", "rl"])
def test_a_micro_batch_that_does_not_divide_the_batch_is_refused(name, student, tmp_path):
    with pytest.raises(StageError, match="micro_batch_size=5 does not divide"):
        train(name, tmp_path, student, None, options={"micro_batch_size": 5})


@pytest.mark.parametrize("name", ["sft", "kd", "kd-on-policy", "rl", "hybrid-joint"])
def test_micro_batches_change_memory_and_not_the_result(name, student, teacher, tmp_path):
    runs = []
    for micro in (8, 2):
        options = {"micro_batch_size": micro, "learning_rate": 1e-4}
        runs.append(train(name, tmp_path / str(micro), student, teacher, options=options))
        assert runs[-1].budget.cost.steps == 3
        assert runs[-1].notes["micro_batch_size"] == micro
    assert_close(*(run.out for run in runs))


def test_updates_on_the_same_rollouts_take_no_problem_from_an_epoch(student, tmp_path):
    options = {"max_steps": None, "num_iterations": 2, "prompts_per_step": 4, "epochs": 1}
    run = train("rl", tmp_path, student, None, rows=models.sums(8), options=options)
    assert run.budget.cost.steps == 4  # two batches of four problems, two updates on each
    work = Workload(rows=8, prompt=1, solution=1, answer=1, limit=1)
    assert harness_rl.expects(run.options, work).steps == 4


@pytest.mark.parametrize("name", ["rl", "kd-on-policy"])
def test_rollouts_end_where_scored_answers_end(name, student, teacher, tmp_path, monkeypatch):
    from harness.tasks.protocols import PROTOCOLS

    plain = PROTOCOLS["chat_zeroshot"]
    early = replace(plain, name="early", stop=("=",))  # every solution has one in its middle
    monkeypatch.setitem(PROTOCOLS, "early", early)
    options = {"max_steps": 1}
    runs = [
        train(name, tmp_path / one.name, student, teacher, protocol=one.name, options=options)
        for one in (plain, early)
    ]
    whole, cut = (run.budget.cost.generated_tokens for run in runs)
    assert 0 < cut < 0.7 * whole


def assert_close(one: Path, other: Path) -> None:
    """Compare the weights of two checkpoints but for rounding."""
    from safetensors.torch import load_file

    left, right = (load_file(folder / "model.safetensors") for folder in (one, other))
    for key, weight in left.items():
        # Adam's first steps are signs of gradients: where one is zero but for rounding, they flip.
        close = torch.isclose(weight, right[key], atol=1e-5)
        assert close.float().mean() > 0.99, key


def test_rows_that_do_not_fit_are_left_out_and_counted(student, tmp_path):
    rows = models.sums(12)
    rows[3]["solution"] = rows[3]["solution"] * 30
    run = train("sft", tmp_path / "a", student, None, rows=rows, options={"max_length": 150})
    assert run.notes["training_rows"] == 11
    assert run.notes["rows_too_long"] == 1
    with pytest.raises(StageError, match="none of the 12 training rows fits max_length=20"):
        train("sft", tmp_path / "b", student, None, rows=rows, options={"max_length": 20})


def test_labels_cover_the_completion_and_its_end(student, tmp_path):
    run = models.make_run(tmp_path, student, None, rows=models.sums(1))
    tokenizer = run.tokenizer()
    row = run.tokenized(tokenizer, 512)[0]
    learnt = [
        token for token, label in zip(row["input_ids"], row["labels"], strict=True) if label != -100
    ]
    problem = models.sums(1)[0]
    completion = f"{problem['solution']} \\boxed{{{problem['answer']}}}"
    assert tokenizer.decode(learnt) == f"{completion}<|im_end|>\n"
    prompt = row["input_ids"][: -len(learnt)]
    assert tokenizer.decode(prompt).endswith("<|im_start|>assistant\n")


@pytest.mark.parametrize("name", ["sft", "kd-sequence", "rl"])
def test_a_protocol_without_a_chat_template(name, student, teacher, tmp_path):
    options = {"max_steps": 1, "max_length": 2048} | (
        {"prompts_per_step": 1, "num_generations": 2} if name == "rl" else {"batch_size": 2}
    )
    if name == "rl":
        del options["max_length"]
    if name == "kd-sequence":  # the teacher was never shown this protocol and solves nothing
        with pytest.raises(StageError, match="confirmed none of the teacher's solutions"):
            train(name, tmp_path, student, teacher, options=options, protocol="base_fewshot",
                  rows=models.sums(2))  # fmt: skip
        return
    run = train(name, tmp_path, student, teacher, options=options, protocol="base_fewshot")
    assert run.budget.cost.steps == 1


def test_packing_trains_on_the_same_tokens(student, tmp_path):
    run = train(
        "sft",
        tmp_path,
        student,
        None,
        options={"packing": True, "batch_size": 4, "max_length": 256},
    )
    assert run.budget.cost.steps == 3
    assert run.budget.cost.trained_tokens == 3 * 4 * 2 * 98  # two rows in each sequence


def test_packed_rows_do_not_see_each_other(student, tmp_path):
    """All rows in one step, two in a sequence or each alone: the loss is the same."""
    losses = []
    for packing, batch in ((True, 4), (False, 8)):
        options = {"packing": packing, "batch_size": batch, "max_length": 256, "max_steps": 1}
        rows = models.sums(8)
        run = train("sft", tmp_path / str(batch), student, None, options=options, rows=rows)
        assert run.budget.cost.trained_tokens == 8 * 98
        losses.append(models.events(run)[0]["loss"])
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)


@pytest.mark.parametrize("name", CASES)
def test_gradient_checkpointing_changes_memory_and_not_the_result(
    name, trained, student, teacher, tmp_path
):
    more = {"seed": 1, "gradient_checkpointing": True}
    run = train(name, tmp_path, student, teacher, **more)
    assert_close(run.out, trained(name).out)
    assert run.budget.cost.trained_tokens == trained(name).budget.cost.trained_tokens


@pytest.mark.parametrize("name", ["rl", "kd-on-policy", "hybrid-joint", "kd-sequence"])
def test_generating_trainers_stay_inside_the_budget(name, student, teacher, tmp_path):
    caps = {"flops": 2.5e9}
    run = train(name, tmp_path, student, teacher, options={"max_steps": 200}, **caps)
    assert 2 <= run.budget.cost.steps < 200
    assert 0.5 * caps["flops"] < run.budget.cost.flops <= caps["flops"]
    assert run.notes["stopped_by_budget"] is True


def test_the_teacher_stops_writing_at_its_share(student, teacher, tmp_path):
    options = {"teacher_batch_size": 4, "teacher_share": 0.3, "batch_size": 4, "problems": 24}
    run = train("kd-sequence", tmp_path, student, teacher, options=options, flops=4e8)
    assert 4 <= run.notes["teacher_problems"] < 24
    assert run.notes["teacher_problems"] % 4 == 0
    # the share, and at most one batch of four prompts beyond, each with two samples of 100 tokens
    flops = 2 * 30_000 * run.budget.cost.teacher_tokens
    assert flops < 0.3 * 4e8 + 2 * 30_000 * 4 * 2 * 110
    assert run.budget.cost.flops <= 4e8


def test_only_confirmed_solutions_of_the_teacher_are_learnt(student, teacher, tmp_path):
    rows = models.sums(24)
    for row in rows[:6]:
        row["answer"] = "77"  # the teacher is right and the key is wrong: not confirmed
    run = train("kd-sequence", tmp_path, student, teacher, rows=rows,
                options={"samples": 1, "temperature": 0.0})  # fmt: skip
    assert run.notes["teacher_solutions"] == 24
    assert run.notes["teacher_confirmed"] == run.notes["teacher_kept"] == 18
    handed_in = (run.events.parent / "synthetic.jsonl").read_text().splitlines()
    assert len(handed_in) == 18
    assert all("boxed" in json.loads(line)["text"] for line in handed_in)


def test_traces_are_learnt_from_their_answers_or_whole(student, tmp_path):
    from harness_kd import traces

    rows = models.traces(6)
    rows[1]["answer"] = "77"  # the trace is right and the key is wrong: not confirmed
    rows[2]["solution"] = "<think>\nI never come to an end"
    rows[3]["solution"] = rows[3]["solution"].partition(" \\boxed")[0]  # no box
    kept = {}
    for thoughts, verified in ((False, True), (True, True), (False, False)):
        options = traces.TracesOptions(thoughts=thoughts, verified=verified)
        run = models.make_run(tmp_path, student, options, traces=rows)
        try:
            data = traces.chosen_traces(run)
        finally:
            run.close()
        kept[thoughts, verified] = [each[0]["content"] for each in data["completion"]]
        assert run.notes["traces"] == 6
        assert run.notes["traces_unfinished"] == 1
        assert run.notes["traces_kept"] == len(data)
        assert "not counted" in run.notes["traces_cost"]
    first, *_ = models.sums(1)
    assert kept[False, True][0] == f"{first['solution']} \\boxed{{{first['answer']}}}"
    assert kept[True, True][0] == rows[0]["solution"]
    assert len(kept[False, False]) == 5
    assert all("\\boxed{" in text for text in kept[False, False])
    empty = models.make_run(tmp_path, student, traces.TracesOptions())
    with pytest.raises(StageError, match="needs traces"):
        traces.chosen_traces(empty)


def test_traces_that_are_too_long_are_left_out(student, tmp_path):
    rows = models.traces(4)
    rows[0]["solution"] = rows[0]["solution"].replace("</think>", "hm " * 200 + "</think>")
    options = {"thoughts": True, "max_length": 400, "max_steps": 1, "batch_size": 3}
    run = train("kd-traces", tmp_path, student, None, options=options, traces=rows)
    assert run.notes["rows_too_long"] == 1
    assert run.notes["training_rows"] == 3


def test_distillation_loss_is_the_formula(student, teacher, monkeypatch):
    """Against the definition on whole logits, for 320 common ids, in one chunk and in several."""
    from harness_kd import logits, losses
    from transformers import AutoModelForCausalLM

    pupil = AutoModelForCausalLM.from_pretrained(student)
    guide = AutoModelForCausalLM.from_pretrained(teacher)
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(3, 259, (3, 12), generator=generator)
    mask = torch.ones_like(ids)
    mask[1, 9:] = 0
    labels = ids.masked_fill(mask == 0, -100)
    labels[:, :4] = -100
    batch = {"input_ids": ids, "attention_mask": mask, "labels": labels}
    options = logits.KdOptions(temperature=2.0, alpha=0.3)
    with torch.no_grad():
        q = pupil(ids, attention_mask=mask).logits[:, :-1]
        p = guide(ids, attention_mask=mask).logits[:, :-1, :320]
    kept = labels[:, 1:] != -100
    log_q, log_p = (x.div(2.0).log_softmax(-1)[kept] for x in (q, p))
    kl = (log_p.exp() * (log_p - log_q)).sum()
    nll = -q.log_softmax(-1)[kept].gather(-1, labels[:, 1:][kept][:, None]).sum()
    expected = 0.3 * 4 * kl + 0.7 * nll
    gradients = []
    for chunk in (2048, 5):
        monkeypatch.setattr(losses, "CHUNK", chunk)
        loss = losses.distillation_loss(pupil, guide, batch, options)
        torch.testing.assert_close(loss, expected, rtol=1e-5, atol=1e-4)
        pupil.zero_grad()
        loss.backward()
        gradients.append(pupil.get_input_embeddings().weight.grad.clone())
    torch.testing.assert_close(gradients[0], gradients[1], rtol=1e-4, atol=1e-4)


def test_the_supervised_weight_rises_and_falls():
    import harness_hybrid

    options = harness_hybrid.JointOptions(mu_peak=0.9, mu_valley=0.1, mu_warmup=0.2, mu_decay=0.5)
    weights = [harness_hybrid.supervised_weight(options, step, 100) for step in range(100)]
    assert weights[0] == 0
    assert weights[10] == pytest.approx(0.45)
    assert weights[20] == pytest.approx(0.9)
    assert weights[45] == pytest.approx(0.5)  # half-way down a cosine
    assert weights[70] == weights[99] == pytest.approx(0.1)


@pytest.mark.parametrize("phi", [False, True])
def test_the_expert_term_is_the_formula(student, phi):
    import harness_hybrid
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(student)
    ids = torch.tensor([[5, 6, 7, 8], [9, 10, 11, 0]])
    mask = torch.tensor([[1, 1, 1, 1], [1, 1, 1, 0]])
    labels = torch.tensor([[-100, -100, 7, 8], [-100, 10, 11, -100]])
    batch = {"input_ids": ids, "attention_mask": mask, "labels": labels}
    loss = harness_hybrid.expert_loss(model, batch, phi=phi, tokens=4)
    with torch.no_grad():
        logs = model(ids, attention_mask=mask).logits.log_softmax(-1)
    picked = [logs[0, 1, 7], logs[0, 2, 8], logs[1, 0, 10], logs[1, 1, 11]]
    weights = [p.exp() * (1 - p.exp()) if phi else 1.0 for p in picked]
    expected = -sum(w * p for w, p in zip(weights, picked, strict=True)) / 4
    torch.testing.assert_close(loss.detach(), expected)


def test_a_joint_step_with_mu_zero_is_a_step_of_rl(student, tmp_path):
    mu = {"mu_peak": 0.0, "mu_valley": 0.0}
    joint = train("hybrid-joint", tmp_path / "joint", student, None, options=mu)
    rl = train("rl", tmp_path / "rl", student, None, options={"format_weight": 0.0})
    assert digest(joint.out) == digest(rl.out)


def test_a_kl_term_reads_the_reference_and_is_charged(student, tmp_path):
    run = train("rl", tmp_path, student, None, options={"beta": 0.1})
    assert run.budget.cost.reference_tokens == run.budget.cost.trained_tokens
    assert any("kl" in event for event in models.events(run))


@pytest.mark.parametrize(
    ("text", "boxed"),
    [
        ("so \\boxed{4}", True),
        ("so \\boxed{\\frac{1}{2}} it is", True),
        ("so \\boxed{4", False),
        ("so 4", False),
        ("first \\boxed{1}, then \\boxed{2", False),
    ],
)
def test_the_form_of_an_answer(text, boxed, student, tmp_path):
    import harness_rl

    assert harness_rl.has_form(models.make_run(tmp_path, student, None), text) is boxed


def test_rewards_are_the_verifiers_and_stop_where_the_score_stops(student, tmp_path):
    import harness_rl

    options = harness_rl.RlOptions(format_weight=0.5)
    run = models.make_run(tmp_path, student, options, protocol="base_fewshot")
    functions, weights, counts = harness_rl.verified(run)
    completions = ["is \\boxed{0.50}", "is \\boxed{3}", "is 4\n\nProblem: \\boxed{9}", "hm"]
    columns = {"completions": completions, "answer": ["1/2", "4", "9", "9"], "task": ["sums"] * 4}
    columns["problem"] = [""] * 4
    try:
        assert [function(**columns) for function in functions] == [
            [1.0, 0.0, 0.0, 0.0],
            [1.0, 1.0, 0.0, 0.0],
        ]
    finally:
        run.close()
    assert counts == {"rollouts": 4, "rollouts_ungradable": 0}
    assert weights == {"correct": 1.0, "format": 0.5}


def test_a_reward_is_neither_for_copying_nor_for_what_is_only_probable(student, tmp_path):
    run = models.make_run(tmp_path, student, None)
    copied, asked = ["\\boxed{3+4}"], ["What is $3+4$?"]
    probable = ["\\boxed{\\frac{1-x^2}{1+x^2}}"], ["\\cos(2\\arctan x)"]
    try:
        assert run.reward(copied, ["7"]) == [1.0]
        assert run.reward(copied, ["7"], problems=asked) == [0.0]
        assert run.correct(["\\boxed{7}"], ["7"], problems=asked) == [True]
        assert run.correct(*probable) == [False]
    finally:
        run.close()


def test_chains_are_made_of_trainers_that_exist():
    names = offers()
    chains = {name: offer for name, offer in names.items() if offer.chain}
    assert set(chains) == {"sft+rl", "kd+rl", "sft+kd", "sft+kd+rl"}
    for name, offer in chains.items():
        assert "+".join(offer.chain) == name
        assert all(names[part].train for part in offer.chain)


def test_every_option_is_in_the_documentation():
    text = (TESTS.parent / "docs" / "trainers.md").read_text()
    for name, offer in offers().items():
        assert f"`{name}`" in text
        for option in offer.options.model_fields:
            assert f"`{option}`" in text, f"{name}.{option}"


def test_importing_the_plugins_imports_nothing_heavy():
    code = (
        "import sys, harness_sft, harness_kd, harness_rl, harness_hybrid;"
        "print([m for m in ('torch', 'transformers', 'trl', 'peft', 'datasets', 'sympy')"
        " if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert done.stdout.strip() == "[]"


def test_the_plan_of_steps_is_capped_by_the_budget(student, tmp_path):
    run = models.make_run(tmp_path, student, None, steps=7)
    assert run.steps(100, 10, 0.5) == 5
    assert run.steps(100, 10, 3.0) == 7
    assert run.steps(100, 10, 3.0, max_steps=2) == 2
    assert run.steps(3, 10, 0.1) == 1
    assert math.isclose(run.budget.fraction, 0.0)
