"""Records that lie in what nobody recomputes: what cannot be is refused in one line."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path
from typing import Any

import generated
import pytest

from harness.costs import Caps
from harness.errors import HarnessError
from harness.files import clear_for, jsonl, remove_folder
from harness.imported import Imported
from harness.leaderboard.rules import Known, objections
from harness.leaderboard.warnings import _recipe
from harness.probes import Probe
from harness.publish import answers
from harness.publish.sources import gather
from harness.records import Record, read_record, write_record
from harness.rejudged import JudgedBefore, ScoreBefore
from harness.tuning import Trial, Tuning, TuningRules

VERDICTS = {"words": "CCWW"}
RULES = TuningRules(trials=2, share=0.5, holdout=4)
PROBE = Probe(task="words", n=9, exact=9, rouge_l=1, rouge_l_other=0, rouge_l_sd=0)
MADE = Imported(format="GGUF", quantization="F16", types={"F16": 9}, sha256="0" * 64)
OTHER_WORDS = generated.score("words", "CCWW", task_digest="e" * 64)


def refused(*records: Record, claims: tuple[int, ...] = (), **board: Any) -> dict[str, str]:
    """Return what a published board refuses, by cell; the records were published in this order."""
    conditions = generated.conditions(("words",), **board)
    known = {
        one.digest: Known(one.id, claimed=place in claims, place=place)
        for place, one in enumerate(records)
    }
    found = objections(records, conditions, known, published=True)
    return {one.cell: found[one.digest] for one in records if one.digest in found}


def made(trainer: str = "mine", seed: int | None = 0, **more: Any) -> Record:
    scores = [generated.score("words", "CCWW", samples_sha256=f"{trainer}{seed}")]
    return generated.record(trainer, seed, more.pop("scores", scores), **more)


@pytest.mark.promise("A record that lies in what nobody recomputes, and cannot be, is refused")
@pytest.mark.parametrize(
    ("record", "says"),
    [
        (made("sft "), "is no name of a trainer"),
        (made("sft  (a=1)"), "is no name of a trainer"),
        (made("Start"), "is the start model's name in other letters"),
        (made("sft@0.25"), "it is of 1 of the budget, and its name says @0.25"),
        (made("sft@1e-1", share=0.1), "and its name says @1e-1"),
        (made(checkpoint=None), "does not say which checkpoint was scored"),
        (made(probes=(PROBE,)), "are made of the start model alone"),
        (made(imported=MADE), "was imported from a file that the board does not name"),
    ],
)
def test_what_a_record_says_of_itself(record, says):
    (line,) = refused(made("sft"), record, curve=(0.1, 0.25)).values()
    assert says in line


def test_what_honest_records_say_is_let_pass():
    found = [
        made("sft(sft.epochs=1, sft.note=a b)"),
        made("sft@0.25", share=0.25),
        made("start", None, probes=(PROBE,), imported=MADE),
    ]
    named = f"tiny/start (sha256 0123456789ab; {MADE.described})"
    assert refused(*found, curve=(0.25,), start_model=named) == {}
    another = made("start", None, checkpoint=found[0].checkpoint)
    assert "the board's start model is 0123456789ab" in refused(another, start_model=named)["start"]


@pytest.mark.promise("A record that lies in what nobody recomputes, and cannot be, is refused")
def test_what_a_board_caps_is_said():
    parts = {"body_flops": 6e9, "head_flops": 3e9, "attention_flops": 2e9}
    for caps, told, says in (
        ({"computed_flops": 1e10}, {}, "does not say what was computed, which the board caps"),
        ({"computed_flops": 2e9}, parts, "it spent 1.1e+10 computed_flops, and the board allows"),
        ({"computed_flops": 1e12}, parts, None),
        ({"gpu_seconds": 100}, {}, "it was trained on no GPU, whose seconds the board caps"),
        ({"gpu_seconds": 100}, {"gpu_seconds": 70.0}, None),
    ):
        one = made("mine")
        cost = one.cost.model_copy(update=told)
        stages = tuple(each.model_copy(update={"cost": cost}) for each in one.stages)
        one = one.model_copy(update={"cost": cost, "stages": stages}).sealed()
        found = refused(one, caps=caps)
        assert found == {} if says is None else says in found["mine/0"]


def test_other_questions_are_laid_to_the_record_that_had_them():
    """Such as a claim by earlier conventions of a task, whoever was published first."""
    claim = made("aaa", scores=[OTHER_WORDS])
    assert refused(claim, made("sft"), claims=(0,)) == {
        "aaa/0": "words: other questions than sft/0 (made-up-sft-s0) had"
    }
    assert set(refused(made("sft"), claim)) == {"aaa/0"}


def tuned(seed: int = 0, trainer: str = "mine", cost: float = 1e9, **changes: Any) -> Record:
    trials = tuple(
        Trial(
            options={trainer: {"lr": number}},
            record=f"trial-{number}",
            verdicts="CCCW" if number else "CWWW",
            cost=generated.Cost(steps=2, trained_tokens=9, flops=cost),
        )
        for number in range(2)
    )
    says = {"seed": 0, "held_out": "5" * 64, "problems": 4, "samples": 1, "chosen": 1}
    by = {"rules": RULES, "space": {trainer: {"lr": "0 to 1"}}, "trials": trials}
    record = made(trainer, seed)
    stages = tuple(one.model_copy(update={"options": {"lr": 1}}) for one in record.stages)
    tuning = Tuning.model_validate({**by, **says, **changes})
    return record.model_copy(update={"tuning": tuning, "stages": stages}).sealed()


@pytest.mark.promise("A record that lies in what nobody recomputes, and cannot be, is refused")
def test_tuning_on_other_problems_or_beyond_its_budget():
    board: dict[str, Any] = {"tuning": RULES, "caps": Caps(flops=2e12), "fill": True}
    assert refused(tuned(0), tuned(1), tuned(0, "theirs"), **board) == {}
    easier = tuned(0, "theirs", held_out="6" * 64)
    assert refused(tuned(0), easier, **board) == {
        "theirs/0": "the trials of its tuning: other questions than mine/0 (made-up-mine-s0) had"
    }
    (line,) = refused(tuned(0, cost=5e12), **board).values()
    assert line == "trial 0 of its tuning: it spent 5e+12 flops, and the board allows 1e+12"
    (line,) = refused(tuned(0, cost=1.0), **board).values()
    assert line == "trial 0 of its tuning: 9 trained tokens take more than 1 FLOPs"


def test_seeds_that_say_different_things_of_their_tuning_are_told_apart():
    def verdicts(seed: int, right: str) -> str:
        record = tuned(seed)
        first, second = record.tuning.trials
        trials = (first.model_copy(update={"verdicts": right}), second)
        tuning = record.tuning.model_copy(update={"trials": trials})
        return _recipe(record.model_copy(update={"tuning": tuning}))

    assert verdicts(0, "CWWW") == verdicts(1, "CWWW") != verdicts(1, "WWWW")


def before(record: Record, **changes: Any) -> Record:
    """Return a record that says an earlier version judged it, as whoever has this code can make."""
    kept = [
        {name: getattr(one, name) for name in ScoreBefore.model_fields} for one in record.scores
    ]
    said = {"verifier_version": "0", "board": "f" * 64, "digest": "", "scores": kept} | changes
    first = JudgedBefore.model_validate(said)
    if "scores" not in changes:
        first = first.model_copy(update={"digest": first.restored(record).compute_digest()})
    return record.model_copy(update={"judged_before": first}).sealed()


def twice(record: Record) -> Record:
    return record.model_copy(update={"scores": record.scores * 2}).sealed()


def half(record: Record) -> Record:
    stages = tuple(
        one.model_copy(update={"notes": {"refused": ["\ud800"]}}) for one in record.stages
    )
    return record.model_copy(update={"stages": stages}).sealed()


@pytest.mark.parametrize(
    ("record", "says"),
    [
        (twice(made()), "two scores are of one task under one protocol"),
        (half(made()), "a text in it is no UTF-8"),
        (before(made(), scores=[]), "judged_before: it has other scores"),
    ],
)
def test_a_file_that_no_bench_writes_is_refused_in_one_line(tmp_path, record, says):
    path = tmp_path / f"{record.id}.json"
    path.write_text(record.to_json())
    with pytest.raises(HarnessError, match=says) as caught:
        read_record(path)
    assert "\n" not in str(caught.value)
    path.write_text(before(made()).to_json())
    assert read_record(path).judged_before.verifier_version == "0"


def test_an_answer_with_half_a_character_is_refused(tmp_path):
    record = made(scores=[generated.score("words", "C")])
    answer = {"id": "x", "sample": 0, "text": "a", "tokens": 1, "finish": "stop"}
    rows = {answers.names(record)[0]: [answer | {"verdict": "correct"}]}
    text = answers.to_text(rows)
    assert answers.parse(text, record, tmp_path) == rows
    with pytest.raises(HarnessError, match="a text in it is no UTF-8"):
        answers.parse(text.replace('"a"', '"\\ud800"'), record, tmp_path)


@pytest.mark.parametrize("runs", [True, False])
def test_a_source_takes_less_memory_than_its_answers(tmp_path, runs):
    size, count, digests = 400_000, 12, set()
    for seed in range(count):
        scores = [generated.score("words", "C" * 10, max_new_tokens=2000, completion_tokens=20_000)]
        record = generated.record("sft", seed, scores, id=f"sft-{seed}").sealed()
        (name,) = answers.names(record)
        answer = {"sample": 0, "text": "x" * (size // 10), "tokens": 2000, "finish": "stop"}
        rows = [answer | {"id": str(place), "verdict": "correct"} for place in range(10)]
        text = answers.to_text({name: rows})
        digests.add(answers.digest(text))
        place = tmp_path / "answers" / record.id / f"{name}.jsonl"
        if not runs:
            place = tmp_path / "answers" / f"{record.id}{answers.ENDING}"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(jsonl(rows).encode() if runs else answers.pack(text))
        write_record(record, tmp_path / "records" if runs else tmp_path)
    tracemalloc.start()
    try:
        source = gather(tmp_path)
        held = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert len(source.records) == count
    assert {one.answers.digest for one in source.records} == digests
    assert {answers.digest(one.answers.text) for one in source.records} == digests
    assert held < size * count / 4


def test_a_folder_is_removed_however_deep_and_whatever_may_not_be_removed(tmp_path, monkeypatch):
    place = tmp_path / "outside.json"
    monkeypatch.chdir(tmp_path)
    for name in ("outside.json", *["d"] * 1500):
        Path(name).mkdir()
        monkeypatch.chdir(name)
    monkeypatch.chdir(tmp_path)
    remove_folder(place)
    assert not place.exists()
    place.mkdir()
    monkeypatch.setattr("harness.files.remove_folder", lambda path: None)  # as without the right to
    clear_for(place)
    assert not place.exists()
    place.write_text(json.dumps({}))
