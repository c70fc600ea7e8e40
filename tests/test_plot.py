"""The plot of a ranking: the same bytes, inside its frame, in the colours of the report."""

from __future__ import annotations

import re
import sys
from xml.etree import ElementTree

import generated
import pytest

from harness.leaderboard.build import build
from harness.leaderboard.data import Leaderboard
from harness.records import START
from harness.report import forest
from harness.report.looks import looks

SVG = "{http://www.w3.org/2000/svg}"
ACCURACIES = {"start": 0.4, "sft": 0.6, "kd": 0.61, "sft+rl": 0.75}


def board(accuracies: dict[str, float] | None = None, **more: object) -> Leaderboard:
    return build(generated.board(accuracies or ACCURACIES, n=60, **more), generated.conditions())


def names(svg: str) -> list[str]:
    return [one.find(f"{SVG}text").text for one in ElementTree.fromstring(svg).findall(f"{SVG}g")]


def test_a_row_has_the_colour_and_mark_that_it_has_in_a_report():
    made = board()
    svg = forest.published(made)
    order = [row.trainer for row in made.rows]
    assert names(svg) == [name for name in order if name != START] == ["sft+rl", "kd", "sft"]
    look = looks(order, START)
    for row in ElementTree.fromstring(svg).findall(f"{SVG}g"):
        one = look[row.find(f"{SVG}text").text]
        assert row.find(f"{SVG}path").get("stroke") == row.find(f"{SVG}g").get("fill") == one.color
    gains = forest.gains(made)
    assert names(gains) == names(svg)
    assert {color for color in re.findall(r"#[0-9a-f]{6}", gains)} == {
        look[name].color for name in order if name != START
    }
    assert "gain over the start model" in gains


def test_it_is_the_same_whenever_it_is_drawn_and_by_no_library():
    made = board()
    before = set(sys.modules)
    assert forest.published(made) == forest.published(board())
    assert not {name for name in set(sys.modules) - before if name.startswith("matplotlib")}


@pytest.mark.parametrize(
    "accuracies",
    [
        ACCURACIES,
        {"start": 0.5},
        {"sft": 0.5, "kd": 0.6},
        {"start": 0.0, "sft": 0.0, "kd": 1.0},
        {"start": 0.98, "sft": 0.99},
        {"start": 0.3, "a-trainer-of-a-very-long-name-indeed": 0.4, "訓練" * 12: 0.5},
        {"start": 0.3} | {f"trainer-{n}": 0.3 + n / 100 for n in range(40)},
    ],
    ids=["usual", "start alone", "no start", "extremes", "narrow", "long names", "many rows"],
)
def test_all_of_it_is_inside_its_frame(accuracies):
    svg = forest.published(board(accuracies))
    drawn = ElementTree.fromstring(svg)
    width, height = map(float, drawn.get("viewBox").split()[2:])
    assert int(drawn.get("height")) == round(height * int(drawn.get("width")) / width)
    for one in drawn.iter(f"{SVG}text"):
        x, y, wide = float(one.get("x")), float(one.get("y")), forest._width(one.text)
        left = x - wide * {"middle": 0.5, "end": 1}.get(one.get("text-anchor"), 0)
        assert left >= 0, one.text
        assert left + wide <= width, one.text
        assert 0 < y < height
    for one in drawn.iter(f"{SVG}path"):
        if one.get("stroke") and "M" in (d := one.get("d")):
            assert all(0 <= float(x) <= max(width, height) for x in re.findall(r"[\d.]+", d))
    ticks = [int(one.text) for one in drawn.findall(f"{SVG}text[@text-anchor='middle']")]
    assert 2 <= len(ticks) <= forest.TICKS + 1
    assert ticks == sorted(ticks)


def test_a_row_that_is_not_ranked_has_an_empty_mark_and_one_with_a_warning_its_sign():
    made = board()
    first, *rest = made.rows
    rows = (first.model_copy(update={"rank": None}), *rest)
    svg = forest.published(made.model_copy(update={"rows": rows}))
    marks = [one.find(f"{SVG}g").get("fill") for one in ElementTree.fromstring(svg).iter(f"{SVG}g")
             if one.find(f"{SVG}g") is not None]  # fmt: skip
    assert marks[0] == "var(--paper)"
    assert "var(--paper)" not in marks[1:]


def test_long_names_keep_what_differs_and_the_sign_of_a_warning():
    setting = "sft(sft.batch_size=8, sft.epochs=3, sft.learning_rate={})"
    first, second = setting.format(0.001), setting.format(0.002)
    made = board({"start": 0.3, first: 0.5, second: 0.6, "kd-of-a-name-without-options": 0.7})
    warned = tuple(row.model_copy(update={"warnings": made.properties[:1]}) for row in made.rows)
    assert made.properties
    shown = names(forest.published(made.model_copy(update={"rows": warned})))
    assert len(set(shown)) == 3
    assert all(name.endswith(" ⚠") for name in shown)
    assert sum("=0.001)" in name for name in shown) == sum("=0.002)" in name for name in shown) == 1


def test_it_follows_the_readers_colours_on_a_ground_of_its_own():
    svg = forest.published(board())
    light, dark = re.search(
        r"<style>(.*?)@media\(prefers-color-scheme:dark\)\{(.*?)\}</style>", svg
    ).groups()
    for name in ("color:", "--line:", "--paper:"):
        assert name in light
        assert name in dark
    assert '<rect width="100%" height="100%" fill="var(--paper)"/>' in svg
    assert "<style>" not in forest.gains(board())  # the colours of the report's page
