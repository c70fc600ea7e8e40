"""`rft`: rounds of sampling and learning, their shares of a budget, and how they are resumed."""

from __future__ import annotations

import json

import pytest

pytest.importorskip("torch")

import itertools

import harness_rft
import models
from train_all import digest, train

from harness.errors import StageError
from harness.plugin.workload import Workload

pytestmark = pytest.mark.bench


def rounds_of(run):
    return [
        harness_rft.Round(*json.loads(path.read_text()))
        for path in sorted(run.scratch.glob("round-*.json"))
    ]


@pytest.fixture(scope="module")
def run(student, tmp_path_factory):
    return train("rft", tmp_path_factory.mktemp("rft"), student, None)


def test_what_is_learnt_is_right_and_the_students_own(run):
    answers = {row["problem"]: row["answer"] for row in models.sums(24)}
    first, second = rounds_of(run)
    pairs = [*first.pairs, *second.pairs]
    texts = [completion[0]["content"] for _, completion in pairs]
    asked = [prompt[-1]["content"] for prompt, _ in pairs]
    golds = [next(answers[one] for one in answers if one in problem) for problem in asked]
    again = models.make_run(run.scratch / "again", run.base_model, run.options)
    try:
        assert set(again.correct(texts, golds)) == {True}
    finally:
        again.close()
    lines = (run.events.parent / "synthetic.jsonl").read_text().splitlines()
    assert [json.loads(line)["text"] for line in lines] == texts
    assert first.pairs != second.pairs  # sampled anew, by another model


def test_the_record_says_what_became_of_the_samples(run):
    notes, cost = run.notes, run.budget.cost
    assert notes["rounds"] == 2
    assert notes["round_problems"] == [24, 24]
    assert notes["round_samples"] == [48, 48]
    shares = [right / 24 for right in notes["round_solved"]]
    assert notes["round_solved_share"] == pytest.approx(shares, abs=1e-4)
    for kept, confirmed in zip(notes["round_kept"], notes["round_confirmed"], strict=True):
        assert 0 < kept <= confirmed < 48
    assert cost.steps == 4  # max_steps, two a round
    assert cost.generated_tokens > 0
    assert cost.teacher_tokens == cost.reference_tokens == 0
    events = [event for event in models.events(run) if "loss" in event]
    assert [event["step"] for event in events] == [1, 2, 3, 4]
    # the rate starts anew in each round and has nearly gone at its end
    assert [event["learning_rate"] for event in events] == [1e-3, 5e-4] * 2


def test_a_round_starts_from_the_start_model_or_goes_on(run, student, tmp_path):
    """The second round alone, on what the first round's model wrote, is what the whole run is."""
    alone = models.make_run(tmp_path / "alone", student, run.options)
    try:
        model = harness_rft.learn(alone, alone.student(), rounds_of(run)[1], 1, 1.0, None)
        alone.save(model)
    finally:
        alone.close()
    assert digest(alone.out) == digest(run.out)
    goes_on = train("rft", tmp_path / "on", student, None, options={"restart": False})
    assert rounds_of(goes_on) == rounds_of(run)  # both sample from the first round's model
    assert digest(goes_on.out) != digest(run.out)


@pytest.mark.slow
def test_more_of_what_the_student_writes_is_right_after_a_round(student, tmp_path):
    options = {"max_steps": 60, "epochs": 20, "batch_size": 16, "learning_rate": 2e-3}
    options |= {"warmup_ratio": 0.1, "samples": 4, "temperature": 1.0, "dedupe": False}
    run = train("rft", tmp_path, student, None, options=options, rows=models.sums(100))
    before, after = run.notes["round_confirmed"]
    assert run.notes["round_samples"] == [400, 400]
    assert after > before + 20  # two standard errors of 400 samples


class _Interrupted(Exception):
    pass


@pytest.fixture(scope="module")
def whole(student, tmp_path_factory):
    return train("rft", tmp_path_factory.mktemp("whole"), student, None, options=LONG, save_every=2)


LONG = {"max_steps": 8, "lr_scheduler": "cosine"}


@pytest.mark.parametrize(
    ("at", "saved"),
    [(3, 2), ("sampling", 4), (7, 2)],
    ids=["in the first round", "while it samples", "in the second round"],
)
def test_an_interrupted_run_ends_at_the_same_weights(
    at, saved, student, whole, tmp_path, monkeypatch
):
    from harness.stage.callback import BudgetCallback

    plain, plain_sample = BudgetCallback.on_step_end, harness_rft.sample

    def on_step_end(self, *given, **more):
        plain(self, *given, **more)
        if self.budget.cost.steps == at:
            raise _Interrupted

    def sample(run, model, tokenizer, number, end):
        found = plain_sample(run, model, tokenizer, number, end)
        if number and at == "sampling":
            raise _Interrupted
        return found

    with monkeypatch.context() as patch:
        patch.setattr(BudgetCallback, "on_step_end", on_step_end)
        patch.setattr(harness_rft, "sample", sample)
        with pytest.raises(_Interrupted):
            train("rft", tmp_path, student, None, options=LONG, save_every=2)
    resumed = train("rft", tmp_path, student, None, options=LONG, save_every=2)
    assert resumed.resume.endswith(f"checkpoint-{saved}")
    assert resumed.notes["rounds"] == 2
    assert digest(resumed.out) == digest(whole.out)
    assert resumed.budget.cost.flops == whole.budget.cost.flops
    assert resumed.notes["round_kept"] == whole.notes["round_kept"]


def test_rounds_share_the_budget(student, tmp_path):
    options = {"max_steps": None, "epochs": 200, "rounds": 2, "problems_at_once": 4}
    run = train("rft", tmp_path, student, None, options=options, flops=3e9)
    assert run.budget.cost.flops <= 3e9
    assert run.budget.fraction > 0.9
    events = [event for event in models.events(run) if "loss" in event]
    half = next(n for n, (a, b) in enumerate(itertools.pairwise(events))
                if b["learning_rate"] > a["learning_rate"])  # fmt: skip
    assert 0.5 <= events[half]["spent"] < 0.5 + 0.05  # the first round and a step
    for last in (events[half], events[-1]):
        assert last["learning_rate"] < 0.15 * 1e-3
    first, second = rounds_of(run)
    assert first.begun <= 0.25 + 0.05
    assert events[half]["spent"] < second.begun <= 0.75 + 0.05


def test_what_is_kept_of_a_problem(student, tmp_path):
    many = {"rounds": 1, "samples": 8, "max_steps": 1}
    kept = {}
    for dedupe, most in ((True, 10), (False, 10), (False, 2)):
        options = many | {"dedupe": dedupe, "max_per_problem": most}
        folder = tmp_path / f"{dedupe} {most}"
        run = train("rft", folder, student, None, options=options, rows=models.sums(8))
        (found,) = rounds_of(run)
        kept[dedupe, most] = [json.dumps(pair) for pair in found.pairs]
        assert found.facts["kept"] == len(found.pairs) <= found.facts["confirmed"]
    assert len(set(kept[False, 10])) < len(kept[False, 10])  # a sum is solved in one way
    assert sorted({*kept[False, 10]}) == sorted(kept[True, 10])
    assert len(kept[False, 2]) <= 2 * 8
    assert len(kept[False, 2]) < len(kept[False, 10])


def test_nothing_confirmed_is_one_line(student, tmp_path):
    rows = [{**row, "answer": "77"} for row in models.sums(4)]
    with pytest.raises(StageError, match="confirmed none of 8 solutions that the start model"):
        train("rft", tmp_path, student, None, rows=rows)


def test_a_forecast_takes_half_of_the_samples_for_right():
    options = harness_rft.RftOptions(samples=4, batch_size=32, epochs=1, rounds=2)
    work = Workload(rows=160, prompt=50, solution=60, answer=40, limit=100)
    found = harness_rft.expects(options, work)
    assert found.steps == 20  # 2 rounds of 160 problems, two right of four each, by 32
    assert found.rollouts * found.steps == 2 * 160 * 4
    assert found.length == 90
