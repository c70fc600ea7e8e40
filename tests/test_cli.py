"""The command line: quick to start, one line for a mistake, JSON where it is asked for."""

from __future__ import annotations

import json

import pytest
from processes import imported_by

HEAVY = {"torch", "transformers", "trl", "lm_eval", "sympy", "datasets", "numpy", "pydantic"}


def test_help_imports_nothing_but_click():
    modules = imported_by("--help")
    assert "click" in modules
    assert not modules & HEAVY


@pytest.mark.parametrize("arguments", [("bench", "--dry-run"), ("plugins",), ("tasks",)])
def test_the_controlling_process_imports_nothing_that_trains_or_generates(arguments):
    modules = imported_by(*arguments)
    assert not modules & {"torch", "transformers", "trl", "lm_eval", "sympy", "datasets"}


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("bench", "--board", "tinny"), "no board 'tinny'; did you mean 'tiny'?"),
        (("bench", "--board", "gone.toml"), "no board file gone.toml"),
        (("bench", "--plugins", "kdd"), "no plug-in 'kdd'; did you mean 'kd'?"),
        (("bench", "--plugins", "sft+rll"), "no plug-in 'rll'; did you mean 'rl'?"),
        (("bench", "--set", "kd.temprature=2"), "unknown key 'temprature'; did you mean 'temper"),
        (("bench", "--set", "kd.temperature=hot"), "temperature: Input should be a valid number"),
        (("bench", "--seeds", "a"), "'a' is not a list of whole numbers"),
        (("bench", "--seeds", "0,-1"), "-1 is not between 0 and 4294967295"),
        (("bench", "--dry-run", "--set", "sft.epochs=inf"), "epochs: Input should be a finite"),
        (("bench", "--jobs", "0"), "0 is not in the range"),
        (("bench", "--boards", "tiny"), "No such option '--boards'"),
        (("bensh",), "No such command 'bensh'"),
        (("publish",), "name a board to publish"),
        (("publish", "tiny"), "has no record"),
        (("score", "nowhere"), "no model folder nowhere"),
    ],
)
def test_a_mistake_is_one_line_and_exit_2(harness, arguments, says):
    done = harness(*arguments, check=2)
    assert says in done.stderr
    assert done.stdout == ""


def test_a_pickled_model_is_refused(harness, tmp_path, small_models):
    import shutil

    model = shutil.copytree(small_models / "start", tmp_path / "model")
    (model / "model.safetensors").rename(model / "pytorch_model.bin")
    done = harness("score", "model", check=2)
    assert "only pickled weights (pytorch_model.bin)" in done.stderr


def test_a_broken_plugin_does_not_stop_help_or_another(harness, with_plugins):
    with_plugins("broken", "misspelt", "twin_one", "twin_two")
    assert "Usage: harness" in harness("--help").stdout
    listed = harness("plugins").stdout
    assert "broken: plug-in 'broken' of harness-broken cannot be imported" in listed
    assert "claimed by harness-twin and other-twin" in listed
    assert "sft-lora" in listed
    assert "cannot be imported" in harness("bench", "--plugins", "broken", check=2).stderr
    assert "harness_trainerz" in harness("bench", "--plugins", "misspelt", check=2).stderr
    harness("bench", "--plugins", "sft", "--dry-run")


def test_plugins_boards_and_tasks_are_listed(harness):
    rows = {row["name"]: row for row in json.loads(harness("plugins", "--json").stdout)}
    assert [t["name"] for t in rows["sft"]["trainers"]] == ["sft", "sft-lora"]
    assert "learning_rate" in rows["sft"]["trainers"][0]["options"]
    boards = {row["name"]: row for row in json.loads(harness("boards", "--json").stdout)}
    assert boards["tiny"]["seeds"] == [0, 1, 2]
    tasks = {row["name"]: row for row in json.loads(harness("tasks", "--json").stdout)}
    assert tasks["tiny_word"]["splits"]["train"]["rows"] == 2000
    assert "tiny_long" in harness("tasks").stdout
    assert "tiny: " in harness("boards").stdout


def test_the_plan_says_what_would_be_done(harness):
    """The chains of the default bench share their first stages with the single trainers."""
    preview = json.loads(harness("bench", "--dry-run", "--json").stdout)
    kinds = [stage["kind"] for stage in preview["stages"]]
    assert len(preview["cells"]) == 16  # the start model, and five trainers with three seeds
    assert kinds.count("train") == 15
    assert kinds.count("generate") == 16
    assert all(stage["state"] == "to do" for stage in preview["stages"])
    seconds = [stage["estimate"]["seconds"] for stage in preview["stages"]]
    assert preview["seconds"] == sum(seconds) > 0
    text = harness("bench", "--plugins", "kd,rl", "--seeds", "0", "--dry-run").stdout
    assert "3 cells, 5 stages" in text


def test_a_plugin_adds_a_command(harness, with_plugins):
    """The hook harness_commands."""
    with_plugins("observer")
    assert harness("observe").stdout == "observed\n"
    assert "No such command" in harness("observed", check=2).stderr


def test_a_plugin_ships_a_board(harness, with_plugins):
    """The hook harness_boards."""
    with_plugins("observer")
    names = [row["name"] for row in json.loads(harness("boards", "--json").stdout)]
    assert "observed" in names


def test_results_go_to_standard_output_and_nothing_else(harness_apart):
    done = harness_apart("tasks", "--json")
    assert done.stderr == ""
