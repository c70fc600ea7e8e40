"""The rules of published boards, on records made up: what joins beside what."""

from __future__ import annotations

from typing import Any

import generated

from harness.leaderboard.rules import Known, objections
from harness.records import Record, Score

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
