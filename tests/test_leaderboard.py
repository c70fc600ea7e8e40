from __future__ import annotations

import json

import generated
import numpy as np
import pytest

from harness.boards.conditions import Baseline, Benchmark, Conditions
from harness.errors import UsageError
from harness.leaderboard.build import build
from harness.leaderboard.data import (
    Leaderboard,
    LeaderboardWarning,
    Row,
    WarningKind,
)
from harness.leaderboard.multiple_testing import holm
from harness.publish.write import json_schema
from harness.render import markdown, numbers, spreadsheet, terminal, warnings

ACCURACIES = {"start": 0.4, "sft": 0.6, "kd": 0.61, "rl": 0.72, "sft+rl": 0.8}


def row(board: Leaderboard, trainer: str) -> Row:
    return next(row for row in board.rows if row.trainer == trainer)


def warned(board: Leaderboard, trainer: str | None = None) -> list[str]:
    """Return the sentences of the warnings about the board, or about one row."""
    found = row(board, trainer).warnings if trainer else board.warnings
    return [warnings.sentence(board.conditions, one) for one in found]


def foot(board: Leaderboard) -> list[str]:
    """Return the sentences of what holds for every row."""
    return list(warnings.properties(board))


def shown(board: Leaderboard, width: int = 80) -> str:
    from rich.console import Console

    console = Console(width=width, force_terminal=False, color_system=None)
    with console.capture() as capture:
        console.print(terminal.render(board))
    return capture.get()


@pytest.fixture(scope="module")
def board() -> Leaderboard:
    return build(generated.board(ACCURACIES), generated.conditions())


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


def test_printed_parts_add_up(board):
    for one in board.rows[:-1]:
        first = (text.partition(" [")[0] for text in numbers.parts(one.gain))
        printed = [float(text.replace(numbers.MINUS, "-")) for text in first]
        gain = float(numbers.points(one.gain.difference).replace(numbers.MINUS, "-"))
        assert sum(printed) == pytest.approx(gain, abs=1e-9)


CHAINS = {"start": 0.4, "sft": 0.6, "kd": 0.5, "sft+kd": 0.62, "sft+kd+rl": 0.64, "rl+kd": 0.6}


@pytest.mark.parametrize(
    ("spent", "control", "others"),
    [
        ({"sft": 9.7, "sft+kd": 9.5}, "sft+kd", ["sft"]),  # the longest that spent as much
        ({"sft": 9.2, "sft+kd": 6.4}, "sft", ["sft+kd"]),
        ({"sft": 3.6, "sft+kd": 6.4}, None, ["sft+kd", "sft"]),
        ({"sft": 8.99, "sft+kd": 8.99}, None, ["sft+kd", "sft"]),
    ],
)
def test_a_chain_is_compared_with_what_spent_as_much_without_its_last_stage(spent, control, others):
    flops = {"sft+kd+rl": 10.0, "kd": 10.0, "rl+kd": 10.0} | spent
    records = generated.spending(generated.board(CHAINS), flops)
    page = build(records, generated.conditions(caps={"flops": 10.5}))
    chain = row(page, "sft+kd+rl")
    named = [one.trainer for one in chain.controls]
    assert named == ([control, *others] if control else others)
    assert [one.matched for one in chain.controls][:1] == [control is not None]
    assert [one.budget_used for one in chain.controls] == pytest.approx(
        [spent[name] / 10.5 for name in named], abs=1e-8
    )
    assert row(page, "sft").controls is None
    assert row(page, "rl+kd").controls == ()  # there is no row of rl alone
    text = markdown.render(page)
    section = text.partition("## Chains against the same compute")[2].partition("\n## ")[0]
    (line,) = (one for one in section.splitlines() if one.startswith("| **sft+kd+rl**"))
    assert f"{named[0]} {100 * spent[named[0]] / 10.5:.0f}" in line
    if control is None:
        assert chain.stage_gain is None
        assert "| \N{EN DASH} | more compute, no control |" in line
    else:
        assert chain.stage_gain.to == control
        difference = chain.accuracy.accuracy - row(page, control).accuracy.accuracy
        assert chain.stage_gain.difference == pytest.approx(difference, abs=1e-8)
        assert f"| {control} | {numbers.gain(chain.stage_gain)} |" in line


def test_names_of_controls_are_harmless_on_the_page():
    made = generated.board({"start": 0.4, "a|b": 0.6, "a|b+rl": 0.63})
    records = generated.spending(made, {"a|b": 1.0, "a|b+rl": 10.0})
    text = markdown.render(build(records, generated.conditions(caps={"flops": 10.0})))
    section = text.partition("## Chains against the same compute")[2].partition("\n## ")[0]
    assert "a\\|b 10" in section
    assert "a|b" not in section


def test_a_control_is_the_same_recipe_but_for_its_length():
    made = generated.board({"start": 0.4, "sft": 0.6, "sft(more)": 0.6, "sft+rl": 0.63})

    def with_options(record, options):
        stages = [
            stage.model_copy(update={"options": options.get(name, {}), "trainer": name})
            for stage, name in zip(record.stages, record.trainer.split("+"), strict=False)
            for name in [name.partition("(")[0]]
        ]
        return record.model_copy(update={"stages": tuple(stages)}).sealed()

    spent = generated.spending(made, {"sft": 3.0, "sft(more)": 10.0, "sft+rl": 10.0})

    def controls(more, chain):
        by_row = {"sft(more)": {"sft": more}, "sft+rl": {"sft": chain}}
        records = [with_options(one, by_row.get(one.trainer, {"sft": chain})) for one in spent]
        page = build(records, generated.conditions(caps={"flops": 10.0}))
        return [one.trainer for one in row(page, "sft+rl").controls]

    assert controls({"rate": 1, "epochs": 9}, {"rate": 1, "epochs": 3}) == ["sft(more)", "sft"]
    assert controls({"rate": 2, "epochs": 9}, {"rate": 1, "epochs": 3}) == ["sft"]


def curves(spent: dict[str, float], finals: dict[str, float], quarter: dict[str, float]) -> list:
    """Return records of trainers with the whole budget and with a quarter of it."""
    small = {f"{name}@0.25": accuracy for name, accuracy in quarter.items()}
    accuracies = {"start": 0.2} | finals | small
    flops = spent | {f"{name}@0.25": spent[name] / 4 for name in quarter}
    records = generated.spending(generated.board(accuracies, n=2000), flops)
    return [
        one.model_copy(update={"share": 0.25 if "@" in one.trainer else 1.0}).sealed()
        for one in records
    ]


def test_a_curve_says_who_is_first_with_which_share_of_the_budget():
    finals, quarter = {"sft": 0.6, "rl": 0.7, "kd": 0.5}, {"sft": 0.5, "rl": 0.3}
    records = curves(dict.fromkeys(finals, 9.0), finals, quarter)
    told = generated.conditions(caps={"flops": 10.0}, curve=[0.25, 0.5])
    page = build(records, told)
    assert [one.trainer for one in page.rows] == ["rl", "sft", "kd", "start"]  # no point is a row
    assert page.pair_family == 3
    sft, rl = row(page, "sft").curve, row(page, "rl").curve
    assert [one.share for one in sft] == [one.share for one in rl] == [0.25, 1.0]
    assert row(page, "kd").curve == row(page, "start").curve == ()
    assert sft[1].accuracy == row(page, "sft").accuracy
    assert [one.budget_used for one in sft] == pytest.approx([0.225, 0.9])
    assert [(one.share, one.first, one.apart) for one in page.leads] == [
        (0.25, "sft", ("rl",)),
        (1.0, "rl", ("sft",)),
    ]
    reached = page.reached
    assert reached == pytest.approx(sft[1].accuracy.accuracy)
    low, high = (one.accuracy.accuracy for one in rl)
    flops = 2.25 * 4 ** ((reached - low) / (high - low))
    assert row(page, "rl").flops_to_reach == pytest.approx(flops, rel=1e-6)
    assert row(page, "sft").flops_to_reach == pytest.approx(9.0)
    text = markdown.render(page)
    section = text.partition("## Accuracy against compute")[2].partition("\n## ")[0]
    assert "| Trainer | 25 % | 100 % | FLOPs to " in section
    assert "First with 25 % sft (told apart from it: rl); with 100 % rl" in section
    assert "Where the first changes, curves cross." in section
    without = [one for one in records if one.share == 1]
    assert "Accuracy against compute" not in markdown.render(build(without, told))


def test_a_point_of_a_curve_needs_all_seeds_and_a_share_that_the_board_has():
    finals, quarter = {"sft": 0.6, "rl": 0.7}, {"sft": 0.5, "rl": 0.3}
    records = curves(dict.fromkeys(finals, 9.0), finals, quarter)
    told = generated.conditions(caps={"flops": 10.0}, curve=[0.25])
    some = [one for one in records if (one.trainer, one.seed) != ("rl@0.25", 1)]
    page = build(some, told)
    assert row(page, "rl").curve == ()
    assert [one.share for one in row(page, "sft").curve] == [0.25, 1.0]
    assert page.leads == ()
    for without in (told, generated.conditions(caps={"flops": 10.0})):
        point = next(one for one in records if one.trainer == "sft@0.25")
        wrong = point.model_copy(update={"trainer": "sft"}) if without is told else point
        page = build([*(r for r in records if r.share == 1), wrong.sealed()], without)
        (refused,) = page.refused
        assert "no point of the board's curve" in refused.reason
    costly = [
        one.model_copy(update={"cost": one.cost.model_copy(update={"flops": 9.0})}).sealed()
        if one.share < 1
        else one
        for one in generated.spending(records, {"sft@0.25": 9.0, "rl@0.25": 9.0})
    ]
    page = build(costly, told)
    assert all("and the board allows" in one.reason for one in page.refused)
    assert len(page.refused) == 6


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


def test_no_printed_character_depends_on_the_boards_digest():
    def printed(digest: str) -> str:
        records = [
            r.model_copy(
                update={"board": r.board.model_copy(update={"digest": digest * 64})}
            ).sealed()
            for r in generated.board(ACCURACIES, seed_sd=0.03, n=150)
        ]
        page = build(records, generated.conditions(digest=digest * 64))
        text = markdown.render(page) + page.to_json() + spreadsheet.render(page)
        for record in records:
            text = text.replace(record.digest, "")
        return text.replace(digest * 64, "").replace(digest * 16, "")

    first = printed("1")
    assert len(first) > 20_000
    assert {printed(digest) for digest in "2345"} == {first}


def test_a_chain_is_compared_seed_by_seed_where_it_went_on_from_the_same_checkpoints():
    def page(shared: bool) -> Leaderboard:
        records = generated.board({"start": 0.4, "sft": 0.6, "sft+rl": 0.63}, seed_sd=0.05)
        changed = []
        for r in records:
            stages = [
                stage.model_copy(
                    update={"stage": f"{stage.trainer}-{shared or r.trainer}-{r.seed}"}
                )
                for stage in r.stages
            ]
            changed.append(r.model_copy(update={"stages": tuple(stages)}).sealed())
        changed = generated.spending(changed, {"sft": 9.9, "sft+rl": 10.0})
        return build(changed, generated.conditions(caps={"flops": 10.0}))

    alone, together = (row(page(shared), "sft+rl").stage_gain for shared in (False, True))
    assert alone.test == "t over questions and seeds"
    assert together.test == "t over questions and paired seeds"
    assert alone.difference == pytest.approx(together.difference)
    assert together.format + together.correctness == pytest.approx(together.difference)
    text = markdown.render(page(True))
    assert "## Chains against the same compute without their last stage" in text
    assert "added" not in text


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


def test_the_share_of_the_budget_is_a_column():
    caps = {"trained_tokens": 400_000.0, "flops": 1.2e13}
    page = build(generated.board(ACCURACIES), generated.conditions(caps=caps))
    assert row(page, "sft").budget_used == pytest.approx(0.5, abs=1e-3)  # the tightest cap
    assert row(page, "start").budget_used is None
    assert "| Seeds | Budget |" in markdown.render(page)
    assert "| 50\N{NO-BREAK SPACE}% |" in markdown.render(page)


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


def test_a_board_of_failures_alone_still_renders():
    records = [
        generated.record("rl", 0, {}, status="failed", error="no such file"),
        generated.record("start", None, {}, status="oom", error="too large"),
    ]
    board = build(records, generated.conditions())
    assert warned(board, "start") == []  # the board's own warning says it
    assert "no such file" in markdown.render(board)
    assert "no such file" in shown(board)
    assert "rl" in spreadsheet.render(board)
    assert any("start model was not scored" in line for line in warned(board))


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
    board = build([*records, other], generated.conditions())
    assert [ref.id for ref in row(board, "sft").confirmations] == ["elsewhere"] * alike
    assert any("elsewhere has other answers" in line for line in warned(board)) != alike
    assert row(board, "sft").accuracy == row(build(records, generated.conditions()), "sft").accuracy


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


def test_warnings():
    rng = np.random.default_rng(0)
    n = 200
    verdicts = "".join(rng.choice(list("CWU"), n, p=[0.6, 0.37, 0.03]))
    right = verdicts.count("C")
    scores = [
        generated.score("words", verdicts, limit_reached=20, strict=right - 9, flexible=right)
    ]
    records = [
        generated.record("start", None, {"words": "C" * 60 + "W" * 140}),
        generated.record("sft", 0, scores),
    ]
    elsewhere = records[1].environment.model_copy(update={"gpu": "NVIDIA H200", "engine": "vllm"})
    records.append(generated.record("sft", 1, scores, environment=elsewhere))
    conditions = generated.conditions(
        tasks=["words"],
        trainers=("sft", "rl"),
        warnings=("3 test questions stand in the training data",),
        benchmarks=(
            Benchmark(
                task="words",
                protocol="chat_zeroshot.v1",
                max_new_tokens=128,
                ranking=True,
                baseline=Baseline(accuracy=0.5, tolerance=0.05, source="the model's own paper"),
            ),
        ),
    )
    board = build(records, conditions)
    rows = " | ".join(warned(board, "sft"))
    assert "10.0% of answers hit the token limit" in rows
    assert "strict and flexible matching differ by 4.5 points" in rows
    assert "could not be graded" in rows
    assert "different hardware or engines" in rows
    whole = " | ".join(warned(board))
    assert "3 test questions" not in whole
    assert "3 test questions stand in the training data" in foot(board)
    assert "planned, without a record: rl" in whole
    assert "different engines: hf, vllm" in whole
    assert "the model's own paper gives 50.0%" in whole


def test_a_page_says_which_engine_wrote_answers_and_rollouts():
    """Rollouts of vLLM are another recipe, and `engine = "auto"` is a matter of the machine."""

    def made(trainer: str, seed: int | None, engine: str):
        plain = generated.record(trainer, seed, {"words": "CCWU" * 20})
        where = plain.environment.model_copy(update={"engine": engine})
        rollouts = {"rollout_engine": engine} if trainer == "rl" else {}
        stages = [one.model_copy(update={"notes": rollouts}) for one in plain.stages]
        return generated.record(
            trainer, seed, {"words": "CCWU" * 20}, environment=where, stages=tuple(stages)
        )

    def page(engines: dict[int, str]):
        cells = [made("rl", seed, engine) for seed, engine in engines.items()]
        conditions = generated.conditions(tasks=["words"], seeds=tuple(engines))
        return build([made("start", None, "hf"), made("sft", 0, "hf"), *cells], conditions)

    alike = page({0: "hf", 1: "hf"})
    text = markdown.render(alike)
    assert "  - rl: rollout\\_engine hf\n" in text
    assert ", cpu, hf, float32, " in text
    assert "engines" not in " ".join(warned(alike) + warned(alike, "rl"))

    mixed = page({0: "hf", 1: "vllm"})
    said = markdown.render(mixed)
    assert "  - rl: rollout\\_engine hf, vllm\n" in said
    assert ", cpu, vllm, float32, " in said
    assert "different engines: hf, vllm" in " ".join(said.split())
    assert "different engines of rollouts: hf, vllm" in " ".join(said.split())
    assert warned(mixed, "rl")[0].endswith("scored on different hardware or engines")
    found = {one.trainer: one.environment for one in mixed.rows}
    assert ", hf, " in found["sft"]
    assert ", vllm, " not in found["sft"]
    assert ", hf, " in found["rl"]
    assert ", vllm, " in found["rl"]


def test_a_row_is_marked_where_it_differs_from_its_neighbours_and_not_where_all_are_alike():
    def scores(limit: int) -> list:
        return [generated.score("words", "CW" * 100, limit_reached=limit, flexible=120)]

    records = [generated.record("start", None, scores(0))]
    for trainer, limit in {"a": 30, "b": 31, "c": 45, "d": 30}.items():
        records += [generated.record(trainer, seed, scores(limit)) for seed in range(3)]
    page = build(records, generated.conditions(["words"]))
    assert {one.trainer: len(one.warnings) for one in page.rows if one.warnings} == {"c": 1}
    assert warned(page, "c") == ["words: 22.5% of answers hit the token limit"]
    assert foot(page) == [
        "words: 15.0% of answers hit the token limit (the row in the middle)",
        "words: strict and flexible matching differ by 10.0 points (the row in the middle)",
    ]
    text = markdown.render(page)
    assert "**c** ⚠" in text
    assert "**a** ⚠" not in text
    assert text.index("## What holds for every row") > text.index("## Ranking")


def test_seeds_trained_with_different_options_are_named():
    records = generated.board({"start": 0.4, "sft": 0.6})
    stage = records[1].stages[0].model_copy(update={"options": {"learning_rate": 1e-3}})
    records[1] = records[1].model_copy(update={"stages": (stage,)}).sealed()
    board = build(records, generated.conditions())
    assert any("different options" in line for line in warned(board, "sft"))


def test_one_command_reproduces_a_row():
    records = [
        generated.record(
            "sft", seed, {"words": "CW"}, command=f"harness bench --seeds {seed} --x y"
        )
        for seed in (2, 0, 1)
    ]
    assert row(build(records, generated.conditions(["words"])), "sft").commands == (
        "harness bench --seeds 0,1,2 --x y",
    )
    odd = [
        generated.record("kd", 0, {"words": "CW"}, command="a \0 b"),
        generated.record("kd", 1, {"words": "CW"}, command="harness bench --seeds 1"),
    ]
    assert row(build(odd, generated.conditions(["words"])), "kd").commands == (
        "a \0 b",
        "harness bench --seeds 1",
    )


def test_quoted_rows_are_marked_and_not_ranked():
    quoted = [{"name": "A paper", "task": "words", "accuracy": 0.99, "source": "https://e.org/x"}]
    board = build(generated.board(ACCURACIES), generated.conditions(quoted=quoted))
    assert all(one.trainer != "A paper" for one in board.rows)
    text = markdown.render(board)
    assert text.index("## Results from elsewhere") > text.index("## Ranking")
    assert "<https://e.org/x>" in text


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


def test_json_reads_back_and_follows_the_published_schema(board):
    jsonschema = pytest.importorskip("jsonschema")
    content = json.loads(board.to_json())
    jsonschema.validate(content, json.loads(json_schema()))
    assert Leaderboard.model_validate(content) == board
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**content, "rows": [{"trainer": 3}]}, json.loads(json_schema()))


def test_csv_has_a_line_for_each_trainer_and_task_with_plain_numbers(board):
    import csv

    lines = list(csv.DictReader(spreadsheet.render(board).splitlines()))
    assert len(lines) == 5 * 3
    first = lines[0]
    assert first["trainer"] == "sft+rl"
    assert float(first["accuracy_low"]) < float(first["accuracy"]) < float(first["accuracy_high"])
    assert all(float(line["gain"]) > 0 for line in lines if line["trainer"] != "start")


@pytest.mark.parametrize("width", [80, 100])
def test_the_terminal_table_fits(board, width):
    lines = shown(board, width).splitlines()
    assert max(map(len, lines)) <= width
    assert not any("…" in line for line in lines)
    ranking = [line for line in lines if line.split()[:2] == ["1", "sft+rl"]]
    assert len(ranking) == 1
    assert "<0.001" in ranking[0]


@pytest.mark.parametrize("width", [40, 48, 60, 72])
def test_a_narrow_terminal_leaves_out_columns_and_never_the_trainer(board, width):
    lines = shown(board, width).splitlines()
    assert max(map(len, lines)) <= width
    assert not any("…" in line for line in lines)
    assert any(line.split()[:2] == ["Rank", "Trainer"] for line in lines)
    (first,) = [line for line in lines if line.split()[:2] == ["1", "sft+rl"]]
    assert ("<0.001" in first) is (width >= 60)


def test_every_markdown_table_has_as_many_cells_in_each_line(board):
    tables = [line for line in markdown.render(board).splitlines() if line.startswith("|")]
    assert len(tables) > 20
    previous = ""
    for line in tables:
        if previous.count("|") and line.startswith("| :--"):
            assert line.count("|") == previous.count("|")
        previous = line
    assert max(line.count("|") for line in tables) <= 12


def test_the_ranking_comes_first_and_then_the_conditions(board):
    text = markdown.render(board)
    conditions = text.split("## Conditions")[1].split("## ")[0]
    for said in ("Start model:", "Training data:", "Budget of", "Verifier:", "Scored on:", "Date"):
        assert f"**{said}" in conditions
    assert text.index("## Ranking") < text.index("## Conditions") < text.index("## How answers")
    assert "What this board finds" in text
    assert "over all 6 pairs" in text
    assert "over the 4 comparisons" in text


def test_conditions_need_a_benchmark_to_rank_by():
    with pytest.raises(ValueError, match="rank by"):
        generated.conditions(ranking=[])
    assert Conditions.model_validate_json(generated.conditions().to_json())


def test_a_large_board_stays_readable():
    tasks = [f"task-{i}" for i in range(6)]
    accuracies = {"start": 0.3} | {f"trainer-{i}": 0.4 + 0.01 * i for i in range(30)}
    records = generated.board(accuracies, tasks=tasks, seeds=range(5), n=1319, seed_sd=0.01)
    conditions = generated.conditions(tasks=tasks, seeds=range(5), ranking=tasks[:1])
    board = build(records, conditions)
    text = markdown.render(board) + spreadsheet.render(board) + board.to_json() + shown(board)
    assert len(board.rows) == 31
    assert text.count("trainer-29") > 10
    assert row(board, "trainer-29").rank[0] == 1
    assert row(board, "trainer-0").rank[1] == 30


def about_words(kind: str, **values: object) -> LeaderboardWarning:
    return LeaderboardWarning(
        kind=kind, task="words", protocol="chat_zeroshot.v1", values=dict(values)
    )


def test_a_warning_that_differs_in_its_numbers_alone_is_said_once(board):
    declared = LeaderboardWarning(
        kind="declared", task=None, protocol=None, values={"text": "whole {share} \0 odd"}
    )
    failed = [
        LeaderboardWarning(kind="failed", task=None, protocol=None, values={"seeds": seeds})
        for seeds in ((1,), (0, 2))
    ]
    rows = [
        each.model_copy(
            update={"warnings": (about_words("matching", difference=0.095 - place / 100),)}
        )
        for place, each in enumerate(board.rows)
    ]
    for place, more in ((0, failed[0]), (1, failed[1]), (3, failed[1])):
        rows[place] = rows[place].model_copy(update={"warnings": (*rows[place].warnings, more)})
    changed = board.model_copy(update={"rows": tuple(rows), "warnings": (declared,)})
    low = 9.5 - (len(rows) - 1)
    names = [each.trainer for each in rows]
    lost = "failed: not ranked, because the other seeds are no fair sample"
    assert list(warnings.grouped(changed)) == [
        ("", "whole {share} \0 odd"),
        ("every row", f"words: strict and flexible matching differ by {low} to 9.5 points"),
        (names[0], f"seed 1 {lost}"),
        (f"{names[1]}, {names[3]}", f"seed 0, 2 {lost}"),
    ]
    assert warned(changed, names[0])[0] == (
        "words: strict and flexible matching differ by 9.5 points"
    )


@pytest.mark.parametrize(
    ("numbers", "expected"),
    [
        ([1], "words: 1 problem shares 13 words in a row"),
        ([4, 4], "words: 4 problems share 13 words in a row"),
        ([3, 1, 25], "words: 1 to 25 problems share 13 words in a row"),
    ],
)
def test_a_range_of_numbers_agrees_with_its_noun(board, numbers, expected):
    rows = [
        each.model_copy(update={"warnings": (about_words("shared_words", problems=number),)})
        for each, number in zip(board.rows, numbers, strict=False)
    ]
    ((_, said),) = warnings.grouped(board.model_copy(update={"rows": tuple(rows)}))
    assert said.startswith(expected)


def test_every_kind_of_warning_has_a_sentence_and_survives_its_file():
    from typing import get_args

    assert set(warnings.SENTENCES) == set(get_args(WarningKind))
    records, conditions = generated.wide(seeds=[0])
    sizes = ("8", "16")  # numbers that are names stay text
    for place, size in enumerate(sizes):
        where = records[place].environment.model_copy(update={"dtype": size})
        records[place] = records[place].model_copy(update={"environment": where}).sealed()
    board = build(records, conditions)
    (mixed,) = (one for one in board.warnings if one.kind == "measured_differently")
    assert mixed.values == {"what": "dtypes", "found": ("16", "8", "float32")}
    (failed,) = (one for one in row(board, "sft+kd").warnings if one.kind == "failed")
    assert failed.values == {"seeds": (0,)}
    assert Leaderboard.model_validate_json(board.to_json()) == board


def sampled(rng, difficulty: np.ndarray, shift: float, k: int = 4) -> tuple[str, str]:
    """Return verdicts of k answers to each question, and the majority's."""
    right = rng.random((difficulty.size, k)) < np.clip(difficulty + shift, 0, 1)[:, None]
    verdicts = "".join(np.where(right.ravel(), "C", "W"))
    return verdicts, "".join(np.where(2 * right.sum(axis=1) >= k, "C", "W"))


def sampled_board(seeds: int = 3, **more: object) -> Leaderboard:
    rng = np.random.default_rng(5)
    difficulty = rng.beta(0.4, 0.6, 300)
    records = []
    for trainer, shift in {"start": 0.0, "sft": 0.1, "rl": 0.2}.items():
        for seed in [None] if trainer == "start" else range(seeds):
            verdicts, majority = sampled(rng, difficulty, shift)
            scores = [generated.score("words", verdicts, samples=4, majority=majority, **more)]
            records.append(generated.record(trainer, seed, scores))
    benchmark = Benchmark(
        task="words",
        protocol="chat_zeroshot.v1",
        max_new_tokens=128,
        ranking=True,
        samples=4,
        temperature=0.7,
    )
    return build(records, generated.conditions(["words"], benchmarks=(benchmark,)))


def test_several_answers_give_their_mean_clustered_by_question():
    board = sampled_board()
    result = row(board, "sft").tasks[0]
    assert result.accuracy.n == 300
    shares = {k: one.share for k, one in result.pass_at.items()}
    assert shares[1] == pytest.approx(result.accuracy.accuracy, abs=1e-8)
    assert shares[1] < shares[2] < shares[4]
    assert result.majority.share > result.accuracy.accuracy > 0.4
    for one in (*result.pass_at.values(), result.majority):
        assert one.low < one.share < one.high
    assert result.gain.format == pytest.approx(0, abs=1e-8)
    assert result.gain.correctness == pytest.approx(result.gain.difference, abs=1e-8)
    # 1,200 answers alone would bound the start model twice as closely as their 300 questions do
    start = row(board, "start").accuracy
    independent = 3.92 * (start.accuracy * (1 - start.accuracy) / 1200) ** 0.5
    assert start.high - start.low > 1.5 * independent
    text = markdown.render(board)
    assert "## Several answers to each question" in text
    assert "| Trainer | avg@4 | pass@1 | pass@2 | pass@4 | maj@4 |" in text
    assert "4 samples at temperature 0.7" in text


def test_single_checkpoints_with_several_answers_are_not_compared_by_mcnemar():
    gain = row(sampled_board(seeds=1), "rl").gain
    assert (gain.test, gain.claim) == ("t over questions", "checkpoints")
    assert gain.low > 0


def test_records_with_another_number_of_answers_are_refused():
    records = [generated.record("start", None, [generated.score("words", "CWCW", samples=2)])]
    with pytest.raises(UsageError, match="another number of answers"):
        build(records, generated.conditions(["words"]))


def shared_board(hits: tuple[int, ...], seeds: int = 3) -> Leaderboard:
    """Return a board whose trained rows were trained on some problems, and got those right."""
    records = []
    for trainer in ("start", "sft"):
        for seed in [None] if trainer == "start" else range(seeds):
            verdicts = np.array(list("CWW" * 100))
            if seed is not None:
                verdicts[list(hits)] = "C"
            more = {"overlap_13": hits, "overlap_8": hits} if seed is not None else {}
            scores = [generated.score("words", "".join(verdicts), **more)]
            records.append(generated.record(trainer, seed, scores))
    return build(records, generated.conditions(["words"]))


@pytest.mark.parametrize("seeds", [1, 3])
def test_accuracy_without_shared_problems_stands_beside_the_full_one(seeds):
    board = shared_board(tuple(range(1, 91)), seeds)
    result = row(board, "sft").tasks[0]
    assert (result.overlap_13, result.overlap_8) == (90, 90)
    assert result.accuracy.accuracy == pytest.approx(160 / 300)
    assert (result.clean.n, result.clean.accuracy) == (210, pytest.approx(70 / 210, abs=1e-8))
    assert result.gain.difference == pytest.approx(0.2, abs=1e-8)
    assert result.clean_gain.difference == pytest.approx(0, abs=1e-8)
    assert result.clean_gain.low < 0 < result.clean_gain.high
    warning = "words: 90 problems share 13 words in a row with training data"
    assert warned(board, "sft") == []  # there is no row beside it that shares fewer
    assert any(line.startswith(warning) for line in foot(board))
    start = row(board, "start").tasks[0]
    assert (start.overlap_13, start.clean) == (0, None)
    text = markdown.render(board)
    assert "## Problems shared with training data" in text
    assert "**sft** | 90 | 90 |" in text
    line = next(line for line in csv_lines(board) if line["trainer"] == "sft")
    assert (line["overlap_13"], line["clean_questions"]) == ("90", "210")
    assert float(line["clean_gain"]) == pytest.approx(0, abs=1e-8)


def test_a_gain_on_shared_problems_is_compared_with_the_gain_on_the_others():
    rng = np.random.default_rng(3)
    n, seeds, hits = 300, 5, tuple(range(30))
    start = rng.random(n) < 0.4
    records = [generated.record("start", None, [generated.score("words", letters(start))])]
    right = {"honest": [], "learnt": []}
    for seed in range(seeds):
        for trainer, answers in right.items():
            answers.append(rng.random(n) < 0.6)
            if trainer == "learnt":
                answers[-1][list(hits)] = True
            given = generated.score(
                "words", letters(answers[-1]), overlap_13=hits[:10], rephrased=hits[10:]
            )
            records.append(generated.record(trainer, seed, [given]))
    board = build(records, generated.conditions(["words"], seeds=range(seeds)))
    honest, learnt = (row(board, name).tasks[0] for name in right)
    assert (learnt.overlap_13, learnt.rephrased, learnt.shared) == (10, 20, 30)
    assert learnt.clean.n == 270
    mean = np.mean(right["learnt"], axis=0) - start
    expected = mean[:30].mean() - mean[30:].mean()
    assert learnt.shared_gain.difference == pytest.approx(expected, abs=1e-8)
    # by hand: Welch's over questions, with the seeds' own part, which flips alone explain here
    error = (mean[:30].var(ddof=1) / 30 + mean[30:].var(ddof=1) / 270) ** 0.5
    assert learnt.shared_gain.high - learnt.shared_gain.low == pytest.approx(4 * error, rel=0.2)
    assert learnt.shared_gain.p < 0.01 < honest.shared_gain.p
    assert learnt.shared_gain.p_adjusted == pytest.approx(2 * learnt.shared_gain.p)  # Holm over two
    assert honest.shared_gain.low < 0 < honest.shared_gain.high
    assert row(board, "start").tasks[0].shared_gain is None
    text = markdown.render(board)
    assert "over all 2 such differences of this page" in text
    assert any("20 problems are training problems in other words" in line for line in foot(board))
    lines = {line["trainer"]: line for line in csv_lines(board)}
    assert lines["learnt"]["rephrased"] == "20"
    assert float(lines["learnt"]["shared_gain"]) == pytest.approx(expected, abs=1e-8)


@pytest.mark.parametrize("hits", [(7,), tuple(range(299)), tuple(range(300)), ()])
def test_nothing_is_said_of_one_shared_problem_or_one_other(hits):
    assert row(shared_board(hits), "sft").tasks[0].shared_gain is None


def test_a_page_of_records_that_nobody_looked_at_for_rephrased_problems_shows_a_dash():
    board = shared_board((1, 2, 3))
    assert row(board, "sft").tasks[0].rephrased is None
    assert "| **sft** | 3 | 3 | \N{EN DASH} |" in markdown.render(board)


def letters(right: np.ndarray) -> str:
    return "".join(np.where(right, "C", "W"))


def test_the_csv_has_control_arms_controls_of_chains_and_points_of_curves():
    finals, quarter = {"sft": 0.6, "rl": 0.7, "sft+rl": 0.8}, {"sft": 0.5, "rl": 0.3}
    records = []
    for one in curves(dict.fromkeys(finals, 9.0), finals, quarter):
        stages = [
            stage.model_copy(update={"control_of": "sft"}) if one.trainer == "rl" else stage
            for stage in one.stages
        ]
        records.append(one.model_copy(update={"stages": tuple(stages)}).sealed())
    told = generated.conditions(caps={"flops": 10.0}, curve=[0.25])
    board = build(records, told)
    lines = {line["trainer"]: line for line in csv_lines(board)}
    kinds = {name: line["kind"] for name, line in lines.items()}
    assert kinds == {
        **{"start": "start", "sft": "trained", "rl": "control", "sft+rl": "trained"},
        **{"sft@0.25": "curve", "rl@0.25": "curve"},
    }
    assert (lines["rl"]["control_of"], lines["sft"]["control_of"]) == ("sft", "")
    chain, point = lines["sft+rl"], lines["sft@0.25"]
    assert (chain["control"], chain["control_matched"]) == ("sft", "1")
    gain = row(board, "sft+rl").stage_gain
    assert float(chain["stage_gain"]) == pytest.approx(gain.difference)
    assert float(chain["stage_p_holm"]) == pytest.approx(gain.p_adjusted)
    first = row(board, "sft").curve[0]
    assert (point["share"], point["rank_low"], point["gain"]) == ("0.25", "", "")
    assert float(point["accuracy"]) == pytest.approx(first.accuracy.accuracy)
    assert (float(point["flops"]), point["task"]) == (2.25, "words")  # which ranks the board
    assert lines["sft"]["share"] == "1"


def test_a_test_set_that_is_shared_as_a_whole_has_no_other_accuracy():
    board = shared_board(tuple(range(300)))
    assert row(board, "sft").tasks[0].clean is None
    whole = "words: all 300 problems share 13 words in a row with training data"
    assert foot(board) == [whole]


def csv_lines(board: Leaderboard) -> list[dict[str, str]]:
    import csv

    return list(csv.DictReader(spreadsheet.render(board).splitlines()))


def test_quoted_rows_in_the_csv_are_called_so():
    quoted = [
        {"name": "=A paper", "task": "words", "accuracy": 0.99, "source": "https://e.org/x"},
        {"name": "B", "task": "other", "accuracy": 0.5, "source": "arXiv 1", "note": "4 shots"},
    ]
    board = build(generated.board(ACCURACIES), generated.conditions(quoted=quoted))
    lines = [line for line in csv_lines(board) if line["kind"] == "quoted"]
    assert [line["trainer"] for line in lines] == ["'=A paper", "B"]
    assert all(not line["rank_low"] and not line["gain"] for line in lines)
    assert (lines[1]["notes"], lines[1]["sources"]) == ("4 shots", "arXiv 1")
    assert "*B* (quoted)" in markdown.render(board)
    said = " ".join(shown(board).split())
    assert "other conditions, never ranked: words 99.0 %: =A paper (https://e.org/x)" in said
    assert "other 50.0 %: B (arXiv 1; 4 shots)" in said


def test_own_metrics_stand_beside_the_verified_accuracy():
    def scored(verdicts: str, own: float) -> list:
        metrics = {"exact_match,strict-match": own, "exact_match,flexible-extract": 0.5}
        return [
            generated.score("words", verdicts),
            generated.score("words", verdicts, protocol="lm_eval:words@1", own=metrics),
        ]

    records = [generated.record("start", None, scored("CCWW" * 50, 0.25))]
    records += [generated.record("sft", seed, scored("CCCW" * 50, 0.5)) for seed in range(3)]
    both = [
        Benchmark(
            task="words",
            protocol=protocol,
            max_new_tokens=128,
            ranking=not place,
            baseline=Baseline(
                accuracy=0.4, tolerance=0.1, source="lm-eval's page", metric=metric, note="8 shots"
            ),
        )
        for place, (protocol, metric) in enumerate(
            [("chat_zeroshot.v1", "verified"), ("lm_eval:words@1", "exact_match,strict-match")]
        )
    ]
    board = build(records, generated.conditions(benchmarks=tuple(both)))
    assert row(board, "sft").tasks[1].own["exact_match,strict-match"] == 0.5
    text = markdown.render(board)
    plain = text.replace("\\", "").replace("&#58;", ":").replace("&#64;", "@")
    head = "| Trainer | *words (chat_zeroshot.v1)* | words (lm_eval:words@1) | W/T/L |"
    assert head in plain
    own = plain.split("## lm-eval's own metrics")[1].split("## Cost")[0]
    assert (
        "| Trainer | Verified % | exact_match,flexible-extract | exact_match,strict-match |" in own
    )
    assert "| *start* | 50.0 | 0.5 | 0.25 |" in own
    line = next(line for line in csv_lines(board) if line["protocol"].startswith("lm_eval"))
    assert line["lm_eval"] == "exact_match,flexible-extract=0.5; exact_match,strict-match=0.5"
    off = [line for line in warned(board) if "lm-eval's page" in line]
    assert off == [
        "words (lm_eval:words@1): the start model scores 25.0% by lm-eval's"
        " exact_match,strict-match, while lm-eval's page gives 40.0% ± 10.0 points (8 shots)"
    ]


def test_small_benchmarks_and_those_unfit_for_ranking_are_named():
    benchmark = Benchmark(
        task="words",
        protocol="chat_zeroshot.v1",
        max_new_tokens=128,
        ranking=True,
        note="models of this size solve none",
    )
    conditions = generated.conditions(benchmarks=(benchmark,))
    lines = foot(build([generated.record("start", None, {"words": "CWW" * 10})], conditions))
    assert any("30 questions: between two checkpoints a difference under 26" in s for s in lines)
    assert "words: no ranking should rest on it: models of this size solve none" in lines


def test_hardware_and_attention_that_differ_are_named():
    records = generated.board({"start": 0.4, "sft": 0.6, "kd": 0.6})
    where = records[0].environment
    for place, made in enumerate(records):
        update: dict[str, object] = {}
        if made.trainer == "kd":
            update["environment"] = where.model_copy(update={"attention": "flash_attention_2"})
        if made.stages:
            gpu = "NVIDIA H200" if (made.trainer, made.seed) == ("sft", 1) else "NVIDIA A100"
            trained = where.model_copy(update={"gpu": gpu, "gpus": 2})
            stage = made.stages[0].model_copy(update={"environment": trained})
            update["stages"] = (stage,)
        records[place] = made.model_copy(update=update).sealed()
    board = build(records, generated.conditions())
    whole = " | ".join(warned(board))
    assert "different implementations of attention: flash_attention_2, sdpa" in whole
    assert "trained on different hardware: 2 x NVIDIA A100, 2 x NVIDIA H200" in whole
    assert "its seeds were trained on different hardware" in warned(board, "sft")
    assert "its seeds were trained on different hardware" not in warned(board, "kd")


def test_a_number_within_a_name_is_part_of_it():
    tasks = ["aime24", "aime25"]

    def scores(reached: int) -> list:
        places = enumerate(tasks)
        return [generated.score(t, "CW" * 100, limit_reached=reached + p) for p, t in places]

    records = [generated.record("start", None, scores(0))]
    records += [generated.record("kd", seed, scores(0)) for seed in range(3)]
    records += [generated.record("sft", seed, scores(20)) for seed in range(3)]
    board = build(records, generated.conditions(tasks, ranking=tasks[:1]))
    said = dict(warnings.grouped(board))
    assert said["sft"] == "aime24, aime25: 10.0 to 10.5% of answers hit the token limit"


@pytest.mark.parametrize("width", [80, 100])
def test_a_board_of_many_benchmarks_stays_readable(width):
    board = build(*generated.wide(seeds=[0]))
    text = markdown.render(board)
    rows = [line for line in text.splitlines() if line.startswith("|")]
    body = text.partition("## Ranking")[2]
    conditions = body.split("## Conditions")[1].split("## ")[0]
    assert max(line.count("|") for line in rows) <= 12
    scores = body.split("## Every benchmark")[1].split("## All tasks")[0].splitlines()
    assert max(map(len, scores)) <= 140
    assert "**Benchmarks:** 16 scores" in conditions
    assert "amc23, aime24: 4 samples at temperature 0.6; all others: greedy" in conditions
    lines = body.split("> **Warnings**")[1].split("\n\n")[0].splitlines()
    assert len([line for line in lines if line.startswith("> -")]) <= 12
    lines = shown(board, width).splitlines()
    assert max(map(len, lines)) <= width
    assert len(lines) < 70
