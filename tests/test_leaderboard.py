from __future__ import annotations

import generated
import numpy as np
import pytest
from pages import ACCURACIES, five_rows, row, shown, warned

from harness.boards.conditions import Benchmark, Conditions
from harness.errors import UsageError
from harness.leaderboard.build import build
from harness.leaderboard.data import (
    Leaderboard,
)
from harness.leaderboard.multiple_testing import holm
from harness.leaderboard.rules import Known
from harness.render import markdown


@pytest.fixture(scope="module")
def board() -> Leaderboard:
    return five_rows()


def test_rows_in_order_of_accuracy_with_the_start_model_among_them(board):
    assert [row.trainer for row in board.rows] == ["sft+rl", "rl", "kd", "sft", "start"]
    start = board.rows[-1]
    assert start.start
    assert start.rank is None
    assert start.gain is None
    assert start.accuracy is not None
    assert start.accuracy.accuracy == pytest.approx(0.4, abs=0.01)


def test_ranks_are_ranges_and_share_letters_where_rows_cannot_be_told_apart(board):
    assert row(board, "sft+rl").rank == (1, 1)
    assert row(board, "rl").rank == (2, 2)
    assert row(board, "sft").rank == row(board, "kd").rank == (3, 4)
    assert row(board, "sft").letters == row(board, "kd").letters
    assert not set(row(board, "rl").letters) & set(row(board, "sft+rl").letters)
    assert (board.gain_family, board.pair_family) == (4, 6)


def test_gain_is_the_difference_of_the_means_and_its_parts_sum_to_it(board):
    start = row(board, "start").accuracy.accuracy
    for one in board.rows[:-1]:
        gain = one.gain
        assert gain.difference == pytest.approx(one.accuracy.accuracy - start, abs=1e-8)
        assert gain.format + gain.correctness == pytest.approx(gain.difference, abs=1e-8)
        assert gain.low < gain.difference < gain.high
        assert gain.p <= gain.p_adjusted
        assert gain.format > 0.02  # the start model leaves 15 % unread, trained ones 2 %
        for task in one.tasks:
            parts = task.gain.format + task.gain.correctness
            assert parts == pytest.approx(task.gain.difference, abs=1e-8)
        assert (one.wins, one.ties, one.losses) == (3, 0, 0)


def test_order_of_records_changes_nothing():
    records = generated.board(ACCURACIES)
    first = build(records, generated.conditions())
    assert build(records[::-1], generated.conditions()) == first
    assert first.to_json() == build(records[::-1], generated.conditions()).to_json()


def test_one_seed_compares_checkpoints():
    records = generated.board({"start": 0.4, "sft": 0.6}, seeds=[0])
    board = build(records, generated.conditions(seeds=[0]))
    gain = row(board, "sft").gain
    assert board.claim == gain.claim == "checkpoints"
    assert gain.test == "exact McNemar"
    assert "Checkpoints compared" in markdown.render(board)
    assert "Checkpoints compared" in shown(board)
    assert warned(board, "sft") == []  # the page says it once
    assert row(board, "sft").rank == (1, 1)


@pytest.mark.parametrize("left", [(0,), (0, 1)])
def test_a_row_without_all_of_the_boards_seeds_is_shown_below_and_changes_no_other(board, left):
    assert board.claim == "trainers"
    assert "**Trainers compared:**" in markdown.render(board)
    records = generated.board(ACCURACIES)
    some = [r for r in records if r.trainer != "rl" or r.seed in left]
    page, without = (
        build([r for r in some if r.trainer in kept], generated.conditions())
        for kept in (ACCURACIES, ACCURACIES.keys() - {"rl"})
    )
    assert page.claim == "trainers"
    one = row(page, "rl")
    assert one.missing_seeds == tuple({0, 1, 2} - {*left})
    assert one.accuracy is not None
    assert (one.rank, one.gain, one.letters, one.stage_gain) == (None, None, "", None)
    assert not any(task.gain for task in one.tasks)
    assert page.rows[-1] == one  # below the start model, whatever its accuracy
    assert any("not ranked: missing of the board's seeds" in s for s in warned(page, "rl"))
    text = markdown.render(page)
    assert "## Not ranked" in text
    ranking = text.partition("## Ranking")[2].partition("## ")[0]
    assert "**rl**" not in ranking
    assert page.pair_family == without.pair_family == 3
    for other in without.rows:
        same = row(page, other.trainer)
        assert (same.rank, same.letters, same.gain) == (other.rank, other.letters, other.gain)


def test_a_page_without_a_whole_row_compares_checkpoints_and_ranks_no_trainer():
    records = [r for r in generated.board(ACCURACIES) if r.seed in (None, 0)]
    page = build(records, generated.conditions())
    assert page.claim == "checkpoints"
    assert page.pair_family == 0
    for one in page.rows[:-1]:
        assert (one.rank, one.letters) == (None, "")
        assert (one.gain.claim, one.gain.test) == ("checkpoints", "exact McNemar")
        assert one.warnings == ()
    for text in (markdown.render(page), " ".join(shown(page).split())):
        assert "Checkpoints compared, no trainer ranked" in text
        assert "(0, 1, 2)" in text


def test_two_claims_never_stand_on_one_page():
    records = generated.board({**ACCURACIES, "x": 0.5}, seeds=range(5))
    for whole in (True, False):
        kept = [
            r
            for r in records
            if (r.trainer != "x" or r.seed == 1) and (whole or r.seed in (None, 0, 1, 2))
        ]
        page = build(kept, generated.conditions(seeds=range(5)))
        gains = [one.gain for row in page.rows for one in (row, *row.tasks) if one.gain]
        gains += [row.stage_gain for row in page.rows if row.stage_gain]
        assert len(gains) > 10
        assert {gain.claim for gain in gains} == {page.claim}
        assert page.claim == ("trainers" if whole else "checkpoints")


def test_a_seed_that_the_board_does_not_fix_is_refused():
    records = generated.board({"start": 0.4, "sft": 0.6})
    extra = generated.board({"sft": 0.7}, seeds=[3])
    board = build([*records, *extra], generated.conditions())
    (refused,) = board.refused
    assert refused.reason == "seed 3 is none of the board's seeds 0, 1, 2"
    assert [row.seeds for row in board.rows if row.trainer == "sft"] == [(0, 1, 2)]


def test_rows_are_equal_only_where_it_is_shown():
    rng = np.random.default_rng(3)
    verdicts = np.array(list("CCW" * 700))

    def answers(change: float) -> str:
        flipped = rng.random(verdicts.size) < change
        return "".join(np.where(flipped, np.where(verdicts == "C", "W", "C"), verdicts))

    records = [generated.record("start", None, {"words": "CW" * 1050})]
    for trainer, change in {"a": 0.01, "b": 0.01, "c": 0.1}.items():
        records += [generated.record(trainer, s, {"words": answers(change)}) for s in range(3)]
    page = build(records, generated.conditions(["words"]))
    assert [(one.first, one.second) for one in page.equal] in ([("a", "b")], [("b", "a")])
    assert set(page.not_worse) == {"a", "b"} - {page.rows[0].trainer}
    assert "Shown to differ by less than 2 points either way" in markdown.render(page)
    strict = build(records, generated.conditions(["words"], margin=0.1))
    assert not strict.equal
    assert not strict.not_worse


def test_wins_and_losses_are_one_family_over_the_page(board):
    assert board.score_family == 4 * 3
    gains = [task.gain for one in board.rows for task in one.tasks if task.gain]
    adjusted = holm([gain.p for gain in gains])
    assert [gain.p_adjusted for gain in gains] == pytest.approx(adjusted, abs=1e-9)
    assert "all 12 rows and scores" in markdown.render(board)


def test_all_tasks_together_weigh_each_task_once():
    def scores(first: str, again: str, other: str) -> list:
        return [
            generated.score("words", first),
            generated.score("words", again, protocol="base_fewshot.v1"),
            generated.score("symbols", other),
        ]

    records = [generated.record("start", None, scores("CW" * 50, "CW" * 50, "CW" * 100))]
    for seed in range(3):
        records.append(generated.record("sft", seed, scores("C" * 100, "CW" * 50, "CCCW" * 50)))
    both = [("words", "chat_zeroshot.v1"), ("words", "base_fewshot.v1")]
    benchmarks = tuple(
        Benchmark(task=task, protocol=protocol, max_new_tokens=128, ranking=not place)
        for place, (task, protocol) in enumerate([*both, ("symbols", "chat_zeroshot.v1")])
    )
    page = build(records, generated.conditions(benchmarks=benchmarks))
    found = row(page, "sft").overall
    assert found.accuracy == pytest.approx(0.75)  # (1.0 + 0.5) / 2 on words, 0.75 on symbols
    assert found.gain == pytest.approx(0.25)
    assert found.low < 0.25 < found.high
    assert (found.above_start, found.above_others) == (1.0, None)
    assert row(page, "start").overall is None
    assert "## All tasks together" in markdown.render(page)


def test_failed_cells_are_shown_and_never_ranked():
    records = generated.board({"start": 0.4, "sft": 0.6, "kd": 0.7})
    broken = generated.record(
        "kd", 1, {}, status="oom", error="CUDA out of memory", log="stages/kd-1/log.txt"
    )
    records = [broken if r.id == broken.id else r for r in records]
    records.append(generated.record("rl", 0, {}, status="timeout", error="after 600 s"))
    board = build(records, generated.conditions())
    assert row(board, "kd").rank is None
    assert row(board, "kd").failed_seeds == (1,)
    assert row(board, "kd").accuracy.seeds == 2
    assert row(board, "rl").accuracy is None
    assert row(board, "sft").rank == (1, 1)
    assert board.gain_family == 1
    assert {cell.status for cell in board.failures} == {"oom", "timeout"}
    for text in (markdown.render(board), shown(board, 100)):
        assert "CUDA out of memory" in text
        assert "after 600 s" in text


def test_a_later_success_stands_for_a_failed_attempt():
    records = generated.board({"start": 0.4, "sft": 0.6})
    failed = generated.record(
        "sft", 0, {}, id="attempt-1", status="killed", created="2026-01-01T00:00:00Z"
    )
    board = build([*records, failed], generated.conditions())
    assert not board.failures
    assert [ref.id for ref in board.superseded] == ["attempt-1"]
    assert row(board, "sft").rank == (1, 1)


def test_a_superseding_record_replaces_the_old_one():
    records = generated.board({"start": 0.4, "sft": 0.6})
    old = next(r for r in records if r.trainer == "sft" and r.seed == 0)
    new = old.model_copy(update={"id": "corrected", "supersedes": old.id}).sealed()
    board = build([*records, new], generated.conditions())
    assert "corrected" in [ref.id for ref in row(board, "sft").records]
    assert [ref.id for ref in board.superseded] == [old.id]
    assert not board.warnings


@pytest.mark.parametrize("alike", [True, False])
def test_a_cell_made_again_confirms_the_first_or_is_in_conflict_with_it(alike):
    records = generated.board({"start": 0.4, "sft": 0.6})
    first = next(r for r in records if r.trainer == "sft" and r.seed == 0)
    scores = first.scores
    if not alike:
        flipped = scores[0].verdicts.translate(str.maketrans("CW", "WC"))
        scores = (generated.score(scores[0].task, flipped), *scores[1:])
    other = first.model_copy(
        update={"id": "elsewhere", "created": "2027-01-01T00:00:00Z", "scores": scores}
    ).sealed()
    theirs = {other.digest: Known(other.id, place=1, submission="elsewhere")}
    board = build([*records, other], generated.conditions(), theirs)
    assert [ref.id for ref in row(board, "sft").confirmations] == ["elsewhere"] * alike
    assert any("elsewhere has other answers" in line for line in warned(board)) != alike
    assert row(board, "sft").accuracy == row(build(records, generated.conditions()), "sft").accuracy


def test_the_same_answers_of_other_weights_are_said_to_be_that():
    records = generated.board({"start": 0.4, "sft": 0.6})
    first = next(r for r in records if r.trainer == "sft" and r.seed == 0)
    weights = first.checkpoint.model_copy(update={"digest": "0" * 64})
    later = {"id": "elsewhere", "created": "2027-01-01T00:00:00Z", "checkpoint": weights}
    other = first.model_copy(update=later).sealed()
    board = build([*records, other], generated.conditions())
    assert not row(board, "sft").confirmations
    assert any("elsewhere has other weights than" in line for line in warned(board))


def test_records_of_other_conditions_or_questions_are_refused():
    records = generated.board({"start": 0.4, "sft": 0.6})
    other = records[1].model_copy(
        update={"board": records[1].board.model_copy(update={"digest": "e" * 64})}
    )
    with pytest.raises(UsageError, match="other conditions"):
        build([records[0], other], generated.conditions())
    moved = records[1].model_copy(
        update={
            "scores": tuple(
                generated.score(s.task, s.verdicts, task_digest="f" * 64) for s in records[1].scores
            )
        }
    )
    with pytest.raises(UsageError, match="other questions"):
        build([records[0], moved], generated.conditions())
    with pytest.raises(UsageError, match="no task"):
        build(records, generated.conditions(tasks=["words", "longer"]))
    with pytest.raises(UsageError, match="no records"):
        build([], generated.conditions())


def test_several_ranking_tasks_rank_by_their_mean():
    records = generated.board({"start": 0.4, "sft": 0.6, "kd": 0.62})
    board = build(records, generated.conditions(ranking=["words", "symbols"]))
    one = row(board, "sft")
    by_task = {task.task: task.accuracy.accuracy for task in one.tasks}
    mean = (by_task["words"] + by_task["symbols"]) / 2
    assert one.accuracy.accuracy == pytest.approx(mean, abs=1e-8)
    assert one.accuracy.low < mean < one.accuracy.high
    assert one.gain.format + one.gain.correctness == pytest.approx(one.gain.difference, abs=1e-8)


def test_grouped_questions_widen_the_interval():
    verdicts = ("C" * 10 + "W" * 10) * 20
    plain = [generated.score("words", verdicts)]
    grouped = [generated.score("words", verdicts, groups=tuple(i // 10 for i in range(400)))]
    widths = []
    for scores in (plain, grouped):
        board = build([generated.record("start", None, scores)], generated.conditions(["words"]))
        accuracy = row(board, "start").accuracy
        widths.append(accuracy.high - accuracy.low)
    assert widths[1] > 2.5 * widths[0]


def test_comparable_leaves_out_what_differs_between_two_runs_of_the_same():
    records = generated.board({"start": 0.4, "sft": 0.6})
    measured = {"seconds": 99.0, "peak_memory_bytes": 1}
    again = [
        r.model_copy(
            update={
                "id": f"again-{r.id}",
                "created": "2027-07-07T00:00:00Z",
                "cost": r.cost.model_copy(update=measured if r.stages else {}),
                "stages": tuple(
                    one.model_copy(update={"cost": one.cost.model_copy(update=measured)})
                    for one in r.stages
                ),
            }
        ).sealed()
        for r in records
    ]
    first, second = (build(some, generated.conditions()) for some in (records, again))
    assert first != second
    assert first.comparable() == second.comparable()
    other = build(generated.board({"start": 0.4, "sft": 0.61}), generated.conditions())
    assert first.comparable() != other.comparable()


def test_conditions_need_a_benchmark_to_rank_by():
    with pytest.raises(ValueError, match="rank by"):
        generated.conditions(ranking=[])
    assert Conditions.model_validate_json(generated.conditions().to_json())
