"""Search spaces: what a trainer declares, and the settings that tuning tries of it."""

from __future__ import annotations

import warnings
from typing import Annotated, Literal

import pytest
from pydantic import Field

from harness.boards.board import load_board
from harness.boards.recipes import recipes
from harness.errors import UsageError
from harness.plugin.host import Host
from harness.plugin.options import LENGTH, OptimiserOptions, Options
from harness.plugin.search import Search, settings, space_of
from harness.testing.offers import _space_faults, offer_faults

RATE = Search(1 / 8, 8, log=True, relative=True)
BUILT_IN = ("sft", "sft-lora", "sft-shuffled", "kd", "kd-sequence", "kd-on-policy", "kd-traces",
            "rl", "rl-random", "rl-format", "rloo", "rft", "hybrid-joint")  # fmt: skip


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({}, "give low and high, or choices"),
        ({"low": 1}, "give low and high"),
        ({"low": 2, "high": 1}, "low must lie below high"),
        ({"low": 0, "high": float("inf")}, "both finite"),
        ({"low": 0, "high": 1, "log": True}, "low must be above 0"),
        ({"low": -1, "high": 1, "relative": True}, "low must be above 0"),
        ({"choices": (1,)}, "two choices or more"),
        ({"choices": (1, 2, 1)}, "each once"),
        ({"choices": (1, 2), "low": 1}, "choices stand alone"),
    ],
)
def test_a_space_without_two_values_is_refused(given, says):
    with pytest.raises(ValueError, match=says):
        Search(**given)


def test_a_class_that_changes_a_default_keeps_the_space():
    class Base(OptimiserOptions, frozen=True):
        way: Annotated[str, Search(choices=("a", "b"))] = "a"
        other: int = 1

    class Changed(Base, frozen=True):
        learning_rate: float = Field(1e-3, gt=0)
        way: Annotated[Literal["b", "c"], Search(choices=("b", "c"))] = "b"

    assert space_of(Options) == {}
    assert space_of(Base) == {"learning_rate": RATE, "way": Search(choices=("a", "b"))}
    assert space_of(Changed) == {"learning_rate": RATE, "way": Search(choices=("b", "c"))}
    assert Changed().learning_rate == 1e-3


def test_the_first_setting_is_what_holds_and_more_trials_go_on():
    space = {
        ("sft", "learning_rate"): RATE,
        ("sft", "rank"): Search(choices=(8, 16, 32)),
        ("rl", "width"): Search(0, 10),
        ("rl", "steps"): Search(1, 9),
    }
    now = {
        ("sft", "learning_rate"): 1e-3, ("sft", "rank"): 64, ("rl", "width"): 99.0,
        ("rl", "steps"): 4,
    }  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        many = settings(space, now, 65)
    assert many[0] == {
        "sft": {"learning_rate": 1e-3, "rank": 64},
        "rl": {"width": 99.0, "steps": 4},
    }
    assert settings(space, now, 9) == many[:9]
    rates = [one["sft"]["learning_rate"] for one in many[1:]]
    assert all(1e-3 / 8 * 0.99 <= rate <= 8e-3 * 1.01 for rate in rates)
    assert 28 <= sum(rate < 1e-3 for rate in rates) <= 36  # even in the logarithm
    assert {one["sft"]["rank"] for one in many[1:]} == {8, 16, 32}
    assert 28 <= sum(one["rl"]["width"] < 5 for one in many[1:]) <= 36
    assert {type(one["rl"]["steps"]) for one in many} == {int}
    # the points are the same on every machine: who has other ones tries other settings
    assert [one["sft"]["learning_rate"] for one in many[:4]] == [0.001, 0.000189, 0.00151, 0.000534]


def test_a_factor_of_nothing_is_refused():
    with pytest.raises(UsageError, match="trainer 'rl': beta = 0 cannot be tuned"):
        settings({("rl", "beta"): RATE}, {("rl", "beta"): 0}, 2)


@pytest.mark.parametrize("name", BUILT_IN)
def test_every_built_in_trainer_has_a_space_that_its_options_take(name):
    offer = Host().trainer(name)
    space = space_of(offer.trainer.options)
    assert space["learning_rate"] == RATE
    assert not LENGTH & space.keys()
    assert _space_faults(offer.trainer) == []


def test_the_conformance_kit_names_a_space_that_is_not_an_options(with_plugins):
    with_plugins("wayward")
    found = "\n".join(offer_faults("wayward-space", {}))
    assert "search space: width is not valid in it" in found
    assert "search space: epochs says how long to train" in found
    assert "search space: depth = 2.5 becomes 2" in found


def test_what_is_set_by_hand_is_not_searched():
    host = Host()
    board = load_board("tiny", host)
    whole = recipes(board, host, ["kd+rl"]).space("kd+rl")
    assert list(whole) == [
        ("kd", "learning_rate"), ("kd", "temperature"), ("kd", "alpha"),
        ("rl", "learning_rate"), ("rl", "beta"),
    ]  # fmt: skip
    fixed = recipes(board, host, ["kd+rl"], ["kd.alpha=0.3", "rl.beta=0.0"]).space("kd+rl")
    assert list(fixed) == [("kd", "learning_rate"), ("kd", "temperature"), ("rl", "learning_rate")]
