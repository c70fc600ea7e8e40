"""Control arms: what they learn from says nothing of right answers; and `rloo` beside `rl`."""

from __future__ import annotations

import generated
import harness_rl
import models
import pytest

pytest.importorskip("torch")

from train_all import digest, offers, train

from harness.bench.plan import plan
from harness.boards.board import load_board
from harness.leaderboard.build import build
from harness.plugin.host import Host
from harness.render.warnings import sentence

CONTROLS = {"sft-shuffled": "sft", "rl-random": "rl", "rl-format": "rl"}


def wrong(rows):
    """Return rows whose answers are all wrong; their problems and solutions are as they were."""
    return [{**row, "answer": "77"} for row in rows]


@pytest.mark.bench
@pytest.mark.parametrize(("name", "answers_matter"), [("rl", True), ("rl-random", False),
                                                      ("rl-format", False)])  # fmt: skip
def test_only_the_verifiers_reward_knows_the_answers(name, answers_matter, student, tmp_path):
    rows, options = models.sums(24), {"format_weight": 0.0} if name == "rl" else {}
    runs = [
        train(name, tmp_path / str(n), student, None, seed=seed, rows=given, options=options)
        for n, (seed, given) in enumerate([(0, rows), (0, wrong(rows)), (1, rows)])
    ]
    right, other, seed = (digest(run.out) for run in runs)
    assert (right != other) == answers_matter
    assert right != seed
    notes = runs[0].notes
    assert notes["rollouts"] == 3 * 16
    assert ("verifier" in notes) == answers_matter
    assert notes["reward"] == {{"rl": "correct", "rl-random": "chance"}.get(name, "format"): 1.0}


@pytest.mark.bench
def test_a_random_reward_is_drawn_as_often_as_it_is_said(student, tmp_path):
    options = {"probability": 0.25, "num_generations": 16, "prompts_per_step": 16}
    run = train("rl-random", tmp_path, student, None, options=options, rows=models.sums(48))
    rewards = [event["reward"] for event in models.events(run) if "reward" in event]
    assert len(set(rewards)) == 3  # another draw in each step
    assert sum(rewards) / 3 == pytest.approx(0.25, abs=0.06)  # 768 draws: 4 standard errors


@pytest.mark.bench
def test_a_format_reward_rises_by_itself(student, tmp_path):
    options = {"num_generations": 8, "prompts_per_step": 8, "max_steps": 14, "learning_rate": 2e-3}
    run = train("rl-format", tmp_path, student, None, options=options, rows=wrong(models.sums(99)))
    rewards = [event["reward"] for event in models.events(run) if "reward" in event]
    assert sum(rewards[-4:]) / 4 > sum(rewards[:4]) / 4 + 0.05


@pytest.mark.bench
def test_shuffled_solutions_are_the_same_ones_for_other_problems(student, tmp_path):
    import harness_sft

    rows = models.sums(24)
    for row in rows[:10]:
        row["task"] = "others"
    run = models.make_run(tmp_path, student, offers()["sft-shuffled"].options(), rows=rows)
    try:
        data, mixed = run.train_data(), harness_sft.shuffled(run)
        again = harness_sft.shuffled(run)
    finally:
        run.close()
    assert mixed["prompt"] == data["prompt"]
    assert mixed["completion"] == again["completion"]
    assert run.notes["solutions_exchanged"] == 24
    for places in (range(10), range(10, 24)):
        before, after = (
            [str(one["completion"][place]) for place in places] for one in (data, mixed)
        )
        assert sorted(before) == sorted(after)
        assert before != after
    moved = [a != b for a, b in zip(data["completion"], mixed["completion"], strict=True)]
    assert sum(moved) > 15  # sums have few solutions: some problems get one like their own


@pytest.mark.slow
@pytest.mark.bench
def test_rloo_learns_and_pays_for_its_reference(student, tmp_path):
    options = {"prompts_per_step": 16, "num_generations": 8, "max_steps": 40, "warmup_ratio": 0.1}
    options |= {"learning_rate": 2e-3, "beta": 0.0, "max_grad_norm": 10, "format_weight": 0.1}
    run = train("rloo", tmp_path / "a", student, None, options=options, rows=models.sums(200))
    rewards = [event["reward"] for event in models.events(run) if "reward" in event]
    assert sum(rewards[-8:]) / 8 > sum(rewards[:8]) / 8 + 0.05  # 0.10 to 0.19 over five seeds
    # each rollout is read once without a gradient, for its probability when it was written
    assert run.budget.cost.reference_tokens == run.budget.cost.trained_tokens
    run = train("rloo", tmp_path / "b", student, None)
    assert run.budget.cost.reference_tokens == 2 * run.budget.cost.trained_tokens
    events = [event for event in models.events(run) if "kl" in event]
    assert events[0]["kl"] == pytest.approx(0, abs=1e-6)
    assert run.notes["rollouts"] == 48


@pytest.mark.bench
def test_rollouts_of_rloo_end_where_scored_answers_end(student, tmp_path, monkeypatch):
    from dataclasses import replace

    from harness.tasks.protocols import PROTOCOLS

    early = replace(PROTOCOLS["chat_zeroshot"], name="early", stop=("=",))
    monkeypatch.setitem(PROTOCOLS, "early", early)
    runs = [
        train("rloo", tmp_path / name, student, None, protocol=name, options={"max_steps": 1})
        for name in ("chat_zeroshot", "early")
    ]
    whole, cut = (run.budget.cost.generated_tokens for run in runs)
    assert 0 < cut < 0.7 * whole


def test_controls_say_of_what_they_are_one():
    assert {n: o.control_of for n, o in offers().items() if o.control_of} == CONTROLS


def test_a_control_is_given_the_options_of_what_it_controls():
    host = Host()
    board = load_board("tiny", host)
    board.file.options["rl"] = {"learning_rate": 3e-4, "prompts_per_step": 2, "format_weight": 0.1}
    board.file.options["rl-random"] = {"prompts_per_step": 4, "probability": 0.3}
    made = plan(board, host, ["rl", "rl-random", "rl-format"], [0])
    options = {cell.trainer: made.stages[cell.train[0]].identity.options
               for cell in made.cells if cell.train}  # fmt: skip
    assert options["rl-random"]["learning_rate"] == 3e-4
    assert options["rl-random"]["prompts_per_step"] == 4  # its own before the other's
    assert options["rl-format"]["prompts_per_step"] == 2
    shared = harness_rl.GrpoOptions.model_fields
    assert {n: options["rl"][n] for n in shared} == {n: options["rl-format"][n] for n in shared}


def test_a_row_says_that_it_is_a_control():
    accuracies = {"start": 0.4, "rl": 0.6, "rl-random": 0.5}
    records = generated.board(accuracies)
    conditions = generated.conditions(trainers=("rl", "rl-random"))
    for number, record in enumerate(records):
        if record.trainer == "rl-random":
            stage = record.stages[0].model_copy(update={"control_of": "rl"})
            records[number] = record.model_copy(update={"stages": (stage,)}).sealed()
    page = build(records, conditions)
    for row in page.rows:
        said = [sentence(conditions, one) for one in row.warnings]
        is_control = "a control of rl: what it gains owes nothing to right answers" in said
        assert is_control == (row.trainer == "rl-random")
    assert next(row for row in page.rows if row.trainer == "rl-random").rank is not None
