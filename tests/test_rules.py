"""The rules of published boards, on records made up: what joins beside what."""

from __future__ import annotations

import json
from typing import Any

import generated
import pytest

from harness.errors import HarnessError
from harness.leaderboard.cells import select_cells
from harness.leaderboard.rules import Known, objections
from harness.records import Record, Score, read_record

BOARD = generated.conditions()
TASKS = ("words", "longer", "symbols")


def scores(answers: str, **others: str) -> list[Score]:
    """Return a score of each task; records with the same text gave the same answers."""
    return [
        generated.score(
            task,
            "CWCCW" * 20,
            samples_sha256=generated._digest(others.get(task, answers), task),
        )
        for task in TASKS
    ]


def made(trainer: str, seed: int | None, answers: str, **more: Any) -> Record:
    others = {task: more.pop(task) for task in TASKS if task in more}
    return generated.record(trainer, seed, scores(answers, **others), **more)


def refused(*records: Record, **claims: bool) -> dict[str, str]:
    """Return what the board refuses of records, given in the order of publishing, by their cells.

    `claims` says which trainers' records are claims.
    """
    known = {
        one.digest: Known(one.id, place=place, claimed=claims.get(one.trainer, False))
        for place, one in enumerate(records)
    }
    found = objections(records, BOARD, known, published=True)
    return {one.cell: found[one.digest] for one in records if one.digest in found}


def test_a_record_has_a_score_of_each_benchmark_of_the_board():
    whole = made("sft", 0, "a")
    for kept in (2, 1, 0):
        cut = made("mine", 0, "b")
        cut = cut.model_copy(update={"scores": cut.scores[:kept]}).sealed()
        lacking = ", ".join(sorted(f"{task} (chat_zeroshot.v1)" for task in TASKS[kept:]))
        assert refused(whole, cut)["mine/0"].startswith(f"it lacks {lacking} of the board: ")
    failed = generated.record("mine", 0, {}, status="failed", error="no")
    assert refused(whole, failed) == {}


def test_the_answers_of_another_to_what_ranks_are_a_copy_whatever_the_others_are():
    theirs = made("sft", 0, "a")
    assert refused(theirs, made("mine", 1, "b", words="a")) == {
        "mine/1": "its answers to words are, letter by letter, those of sft/0 (made-up-sft-s0)"
    }
    assert refused(theirs, made("mine", 1, "a", words="b")) == {}  # it ranks by its own
    assert refused(theirs, made("mine", 1, "b", words="a"), sft=True) == {}  # of a mere claim


def test_rows_that_go_on_from_one_checkpoint_may_answer_alike_but_not_under_any_name():
    """A stage that changes next to nothing leaves the answers to what ranks as they were."""
    first, chain = made("sft", 0, "a"), made("sft+rl", 0, "b", words="a")
    assert first.stages[0].stage == chain.stages[0].stage
    assert refused(first, chain) == refused(chain, first) == {}
    idle = made("sft+rl", 0, "a")  # it changed nothing, and its name says what it went on from
    assert refused(first, idle) == refused(idle, first) == {}
    taken = idle.model_copy(update={"trainer": "mine"}).sealed()
    assert list(refused(first, taken)) == ["mine/0"]


def test_the_answers_of_the_start_model_may_come_again():
    start = made("start", None, "a")
    both = made("sft", 0, "a"), made("mine", 0, "a")
    assert refused(start, *both) == refused(*both, start) == {}
    assert list(refused(*both)) == ["mine/0"]


def test_a_few_words_that_two_models_may_both_say_are_a_copy_only_with_all_others():
    def few(trainer: str, others: str) -> Record:
        words = [generated.score("words", "CW", completion_tokens=9)]
        return generated.record(trainer, 0, [*words, *scores(others)[1:]])

    assert refused(few("sft", "a"), few("mine", "b")) == {}
    assert list(refused(few("sft", "a"), few("mine", "a"))) == ["mine/0"]


def test_a_run_under_two_names_of_one_trainer_is_no_copy():
    """Where tuning chose the default, the row without tuning is the same run."""
    tuned, plain = made("sft", 0, "a"), made("sft(trials=0)", 0, "a")
    plain = plain.model_copy(update={"stages": tuned.stages}).sealed()
    assert refused(tuned, plain) == refused(plain, tuned) == {}
    other = made("sft(trials=0)", 0, "a")  # another run
    assert list(refused(tuned, other)) == ["sft(trials=0)/0"]


@pytest.mark.parametrize(
    ("time", "whole"),
    [
        ("2026-01-31T12:00:00Z", True),
        ("2026-01-31T12:00:00.123456+00:00", True),
        ("2026-02-30T12:00:00Z", False),
        ("9999-99-99T99:99:99Z", False),
        ("2026-01-31T12:::000Z", False),
        ("2026-01-31T12:00:00+02:00", False),
        ("\u0662\u0660\u0662\u0666-01-31T12:00:00Z", False),
    ],
)
def test_a_record_was_made_at_a_time_that_there_is(tmp_path, time, whole):
    content = json.loads(made("sft", 0, "a").to_json()) | {"created": time}
    path = tmp_path / f"{content['id']}.json"
    path.write_text(json.dumps(content))
    says = "was changed after it was written" if whole else "created: .* is no time such as"
    with pytest.raises(HarnessError, match=says):
        read_record(path)


def test_a_record_that_would_make_a_page_of_megabytes_is_refused():
    fine = made("mine", 0, "a")
    long = fine.stages[0].model_copy(update={"notes": {f"n{n}": "x" * 150 for n in range(600)}})
    noted = fine.model_copy(update={"stages": (long,)}).sealed()
    assert "and a bench keeps 65,536 of a stage" in refused(noted)["mine/0"]
    own = {f"metric {n}": 0.5 for n in range(1001)}
    first = fine.scores[0].model_copy(update={"own": own})
    counted = fine.model_copy(update={"scores": (first, *fine.scores[1:])}).sealed()
    assert "it has 1,001 metrics of lm-eval's own in a score" in refused(counted)["mine/0"]
    assert refused(fine) == {}


def best_again(**changes: Any) -> list[Record]:
    """Return one seed's answers as those of three, each with what a change makes of the seed."""
    found = []
    for seed in range(3):
        one = made("mine", seed, "a")
        wanted = {name: change(seed) for name, change in changes.items()}
        stage = one.stages[0].model_copy(update={"stage": wanted["stage"]})
        weights = {"weights": wanted["weights"], "digest": wanted["weights"]}
        checkpoint = one.checkpoint and one.checkpoint.model_copy(update=weights)
        update = {"stages": (stage,), "checkpoint": checkpoint}
        found.append(one.model_copy(update=update).sealed())
    return found


def test_one_seed_under_the_numbers_of_others_is_refused():
    own = {"stage": "train-mine-s{}".format, "weights": "{:064d}".format}
    assert refused(*best_again(**own)) == {
        f"mine/{seed}": "its answers are, letter by letter, those of mine/0 (made-up-mine-s0), and"
        " its weights are others: two seeds do not answer alike"
        for seed in (1, 2)
    }
    assert refused(made("start", None, "a"), *best_again(**own)) == {}  # it changed too little
    # a trainer that no seed changes; the page names the weights that they share
    assert refused(*best_again(**own | {"weights": lambda seed: "0" * 64})) == {}
    assert list(refused(*best_again(**own | {"weights": lambda seed: ""}))) == ["mine/1", "mine/2"]


def test_a_stage_is_of_one_seed():
    same = {"stage": lambda seed: "train-mine-s0", "weights": lambda seed: "0" * 64}
    first, second, _ = best_again(**same)
    update = {"stages": first.stages, "cost": first.cost}
    others = made("mine", 2, "b").model_copy(update=update).sealed()
    says = "it names the stage train-mine-s0, which mine/0 (made-up-mine-s0) has: a stage is of one"
    says += " seed"
    assert refused(first, second, others) == {"mine/1": says, "mine/2": says}
    again = first.model_copy(update={"id": "again"}).sealed()
    assert refused(first, again) == {}


def test_who_signed_a_result_replaces_it_in_a_later_submission():
    first = made("mine", 0, "a")
    second = made("mine", 0, "b", id="corrected", supersedes=first.id)

    def counted(*hands: tuple[str, str]) -> str:
        places = zip((first, second), hands, strict=True)
        known = {
            one.digest: Known(one.id, place=place, submission=hand[0], signer=hand[1])
            for place, (one, hand) in enumerate(places)
        }
        ((kept,),) = select_cells([first, second], known).kept.values()
        return kept.id

    assert counted(("one", "ada"), ("two", "ada")) == "corrected"
    assert counted(("one", "ada"), ("two", "bob")) == first.id
    assert counted(("one", "ada"), ("two", "")) == counted(("one", ""), ("two", "")) == first.id
    assert counted(("one", "ada"), ("", "")) == counted(("", ""), ("one", "ada")) == first.id
    assert counted(("one", "ada"), ("ada", "")) == first.id  # a name is no signature


def test_a_result_is_made_again_by_others_and_once_by_each():
    first = made("mine", 0, "a")
    given = [("mine", ""), ("", ""), ("", ""), ("hers", "ada"), ("later", "ada"), ("copy", "")]
    records = [first.model_copy(update={"id": f"again-{n}"}).sealed() for n in range(len(given))]
    known = {
        one.digest: Known(one.id, place=place, submission=name, signer=who)
        for place, (one, (name, who)) in enumerate(zip(records, given, strict=True))
    }
    found = select_cells(records, known)
    assert [one.id for one in found.again[records[0].digest]] == ["again-1", "again-3", "again-5"]
    assert [one.id for one in found.dropped] == ["again-2", "again-4"]
    assert not select_cells(records).again  # all of them are one's own
