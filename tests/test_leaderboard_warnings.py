from __future__ import annotations

from types import SimpleNamespace

import generated
import numpy as np
import pytest
from pages import five_rows, foot, row, warned

from harness.boards.conditions import Baseline, Benchmark
from harness.leaderboard.build import build
from harness.leaderboard.data import (
    Leaderboard,
    LeaderboardWarning,
    WarningKind,
)
from harness.leaderboard.origins import Origins
from harness.records import Cost
from harness.render import markdown, warnings


@pytest.fixture(scope="module")
def board() -> Leaderboard:
    return five_rows()


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
    lost = "failed: not ranked, as only rows are whose seeds all ended well"
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


@pytest.mark.parametrize(
    ("cost", "uncounted"),
    [
        (Cost(steps=3, trained_tokens=10, flops=1e9), False),
        (Cost(steps=3, reference_tokens=10, flops=1e9), False),  # no gradient, as by MeZO
        (Cost(steps=3, trained_tokens=10), True),
        (Cost(trained_tokens=10, flops=1e9), True),
        (Cost(), True),
    ],
)
def test_training_is_counted_where_steps_and_flops_are(cost, uncounted):
    checkpoint = SimpleNamespace(weights="other", from_teacher=0.0, toward_teacher=0.0)
    cell = SimpleNamespace(trainer="t", stages=[1], checkpoint=checkpoint, cost=cost)
    origins = Origins([cell])
    assert origins.uncounted(cell) == uncounted == origins.barred([cell])


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


def test_why_a_row_is_not_ranked_is_its_worst_fault():
    records = []
    for one in generated.board({"start": 0.4, "sft": 0.6, "kd": 0.5, "rl": 0.5, "rft": 0.7}):
        if one.trainer in ("kd", "rl", "rft") and one.seed:
            continue  # as many as the faults below leave
        if one.trainer == "kd":
            none = one.stages[0].cost.model_copy(
                update={"steps": 0, "trained_tokens": 0, "flops": 0.0}
            )
            stage = one.stages[0].model_copy(update={"cost": none})
            weights = one.checkpoint.model_copy(update={"weights": "e" * 64})
            one = one.model_copy(update={"stages": (stage,), "cost": none, "checkpoint": weights})
        records.append(one.sealed())
    records.append(generated.record("ppo", 0, {}, status="failed", error="no such file"))
    page = build(records, generated.conditions())
    reasons = {one.trainer: warnings.why_unranked(page, one) for one in page.rows if not one.rank}
    assert reasons["kd"] == "the weights of seed 0 changed and no training was counted"
    assert reasons["rl"] == reasons["rft"] == "missing of the board's seeds: 1, 2"
    assert reasons["ppo"] == "seed 0 failed"
    (text,) = [line for line in warned(page, "ppo") if "failed" in line]
    assert "other seeds" not in text  # there are none
