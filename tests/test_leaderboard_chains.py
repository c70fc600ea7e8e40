from __future__ import annotations

import generated
import pytest
from pages import curves, row

from harness.leaderboard.build import build
from harness.leaderboard.data import (
    Leaderboard,
)
from harness.render import markdown, numbers

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
