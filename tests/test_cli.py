"""The command line: quick to start, one line for a mistake, JSON where it is asked for."""

from __future__ import annotations

import importlib
import json
import os
import re
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from processes import imported_by

import harness.cli
from harness.cli.main import GROUPS, MODULES, _explain, cli
from harness.errors import first_line
from harness.plugin.host import _line

HEAVY = {"torch", "transformers", "trl", "lm_eval", "sympy", "datasets", "numpy", "pydantic"}


def test_help_imports_nothing_but_click():
    modules = imported_by("--help")
    assert "click" in modules
    assert not modules & HEAVY
    assert {name for name in modules if name.startswith("harness")} == {
        "harness", "harness.cli", "harness.cli.main", "harness.cli.signals",
    }  # fmt: skip


def test_the_table_of_commands_is_the_modules_and_their_own_help():
    folder = Path(harness.cli.__file__).parent
    files = {path.relative_to(folder).with_suffix("") for path in folder.glob("*/*.py")}
    modules = {".".join(("harness.cli", *path.parts)) for path in files if path.stem != "__init__"}
    assert set(MODULES.values()) == modules
    lines = {name: line for _, names in GROUPS.values() for name, line in names.items()}
    for name, line in lines.items():
        command = importlib.import_module(MODULES[name]).command
        assert isinstance(command, click.Command)
        assert command.name == name
        assert command.get_short_help_str(limit=200) == line
    shown = CliRunner().invoke(cli, ["--help"], terminal_width=80).output.splitlines()
    for name, line in lines.items():
        assert f"  {name:<13}  {line}" in shown  # in one line each


@pytest.mark.parametrize("name", MODULES)
def test_every_option_and_argument_of_a_command_is_explained(name):
    command = importlib.import_module(MODULES[name]).command
    for one in command.params:
        if isinstance(one, click.Option):
            assert one.help, one.name
        else:
            assert one.make_metavar(click.Context(command)).strip("[].") in command.help, one.name


@pytest.mark.parametrize("arguments", [("bench", "--dry-run"), ("plugins",), ("tasks",)])
def test_the_controlling_process_imports_nothing_that_trains_or_generates(arguments):
    modules = imported_by(*arguments)
    assert not modules & {"torch", "transformers", "trl", "lm_eval", "sympy", "datasets"}


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("bench", "tinny"), "no board 'tinny'; did you mean 'tiny'?"),
        (("bench", "gone.toml"), "no board file gone.toml"),
        (("bench", "--plugins", "kdd"), "no plug-in or trainer 'kdd'; did you mean 'kd'?"),
        (("bench", "--plugins", "KD"), "no plug-in or trainer 'KD'; did you mean 'kd'?"),
        (("bench", "--plugins", "sftlora"), "trainer 'sftlora'; did you mean 'sft-lora'?"),
        (("bench", "--plugins", "zzz"), "no plug-in or trainer 'zzz'; known: hybrid, hybrid-joint"),
        (("bench", "--plugins", "sft++rl"), "'sft++rl': each + stands between two trainers; write"),
        (("bench", "--plugins", "sft+rll"), "no plug-in or trainer 'rll'; did you mean"),
        (("bench", "--set", "kd.temprature=2"), "unknown key 'temprature'; did you mean 'temper"),
        (("bench", "--set", "kd.temperature=hot"), "temperature: 'hot' is not a number"),
        (
            ("bench", "--set", "kd.temperature=4", "--set", "kd.temperature=2"),
            "--set kd.temperature is given twice; one value is meant",
        ),
        (("bench", "--seeds", "a"), "'a' is not a list of whole numbers"),
        (("bench", "--set", "sft.max_steps=2.5"), "max_steps: 2.5 is not a whole number"),
        (("bench", "--seeds", "0,", "1"), "'0,' ends with a comma; write the list without a space"),
        (("bench", "--plugins", "kd,", "rl"), "'kd,' ends with a comma"),
        (("bench", "--seeds", "0,0"), "Invalid value for '--seeds': 0 is given twice"),
        (("bench", "--seeds", ""), "Invalid value for '--seeds': it names nothing"),
        (("bench", "--seeds", " , "), "Invalid value for '--seeds': it names nothing"),
        (("bench", "--plugins", ""), "Invalid value for '--plugins': it names nothing"),
        (("bench", "--seeds", "0,-1"), "-1 is not between 0 and 4294967295"),
        (("bench", "--dry-run", "--set", "sft.epochs=inf"), "epochs: must be a finite number"),
        (("bench", "--jobs", "0"), "0 is not in the range"),
        (("bench", "--boards", "tiny"), "No such option '--boards'"),
        (("check", "--out", "pages"), "No such option '--out'. Did you mean '--published'?"),
        (("publish", "tiny", "--published", "pages"), "Did you mean '--out'?"),
        (("bensh",), "No such command 'bensh'; did you mean 'bench'?"),
        (("publish",), "name a board to publish"),
        (("publish", "tiny"), "has no record"),
        (("score", "nowhere"), "no model folder nowhere"),
        (("score", "tiny:teechar"), "the models of a board are tiny:start and tiny:teacher"),
        (("score", "mine.toml"), "mine.toml is a board: harness score MODEL mine.toml"),
        (("show", "nothing"), "no task 'nothing'; known: "),
        (("show", "tinny_word"), "no task 'tinny_word'; did you mean 'tiny_word'?"),
        (("show", "tiny_word", "--number", "9999"), "--number 9999: tiny_word has 2,000 train"),
        (("score", "tiny:start", "tiny", "--task", "tiny_word"), "name a board or --task, not"),
        (("score", "tiny:start", "--limit", "3"), "--limit goes with --task"),
        (("score", "tiny:start", "--show", "1"), "--show goes with --task"),
        (("score", "tiny:start", "--task", "tiny_wrod"), "no task 'tiny_wrod'; did you mean"),
        (("score", "tiny:start", "--task", "gone.jsonl"), "cannot read gone.jsonl: No such file"),
        (("score", "tiny:start", "--task", "tiny_word", "--protocol", "chat"), "no protocol 'cha"),
        (
            ("score", "tiny:start", "--task", "tiny_word", "--max-new-tokens", "512"),
            "max_new_tokens = 512 of tiny_word leaves no room for a prompt: the model in",
        ),
        (
            ("score", "nobody/nothing", "--task", "tiny_word"),
            "no model folder nobody/nothing, and the Hub is not asked (HF_HUB_OFFLINE is set)",
        ),
        (("score", "nowhere", "--task", "tiny_word"), "no model folder nowhere"),
        (("score", "tinny:start", "--task", "tiny_word"), "no board 'tinny'; did you mean 'tiny'?"),
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
    assert [t["name"] for t in rows["sft"]["trainers"]] == ["sft", "sft-lora", "sft-shuffled"]
    assert "learning_rate" in rows["sft"]["trainers"][0]["options"]
    boards = {row["name"]: row for row in json.loads(harness("boards", "--json").stdout)}
    assert boards["tiny"]["seeds"] == [0, 1, 2, 3, 4]
    tasks = {row["name"]: row for row in json.loads(harness("tasks", "--json").stdout)}
    assert tasks["tiny_word"]["splits"]["train"]["rows"] == 2000
    assert "tiny_long" in harness("tasks").stdout
    assert "tiny: " in harness("boards").stdout


def test_a_trainer_s_options_are_shown_with_their_meaning(harness):
    shown = harness("plugins", "kd").stdout
    assert "learning_rate" in shown
    assert "peak learning rate of AdamW [default: " in shown
    assert "no trainer 'kd-traced'; did you mean 'kd-traces'?" in (
        harness("plugins", "kd-traced", check=2).stderr
    )


@pytest.mark.parametrize(
    ("encoding", "sign"), [("ascii", "+-"), ("latin-1", "\N{PLUS-MINUS SIGN}")]
)
def test_a_terminal_without_unicode_gets_the_nearest_characters(harness_apart, encoding, sign):
    """The dash of an unranked row, a plus-minus sign and a line are no reason to fail."""
    environment = {**os.environ, "PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"}
    told = {"env": environment, "encoding": encoding}
    assert f"{sign}: the smallest" in harness_apart("tasks", **told).stdout
    plan = harness_apart("bench", "--dry-run", "--plugins", "sft", **told)
    assert "Stages (the figures are those of one)" in plan.stdout
    assert "no board" in harness_apart("bench", "t\u00efny", check=2, **told).stderr


def test_a_place_that_cannot_be_written_is_one_line(harness, tmp_path):
    (tmp_path / "file").touch()
    done = harness("bench", "--plugins", "sft", "--runs", "file/x", check=2)
    assert "cannot write to" in done.stderr
    error = PermissionError(13, "Permission denied", "pages/tiny.md")
    says = "cannot use pages/tiny.md: Permission denied; name another place, or change it"
    assert _explain(error) == (says, 1)


def test_no_line_of_help_is_cut(harness):
    """Every sentence of every command's help ends."""
    for name in ("", *MODULES):
        shown = harness(*name.split(), "--help").stdout
        assert not re.search(r"\w\.\.\.$|\N{HORIZONTAL ELLIPSIS}", shown, re.M), name


def test_the_plan_says_what_would_be_done(harness):
    """The first stage of a chain has half of the budget, so it is not the single trainer."""
    preview = json.loads(harness("bench", "--dry-run", "--json").stdout)
    kinds = [stage["kind"] for stage in preview["stages"]]
    assert len(preview["cells"]) == 26  # the start model, and five trainers with five seeds
    assert kinds.count("train") == 35
    assert kinds.count("generate") == 26
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


def test_of_an_error_the_first_line_that_says_something_is_shown():
    error = ImportError("\n  no module 'x'\nTried: a, b")
    assert first_line(error) == "no module 'x'"
    assert first_line(ImportError()) == ""
    assert _line(error) == "ImportError: no module 'x' Tried: a, b"  # what an author must know
    assert _explain(error)[0].startswith("unexpected ImportError: no module 'x' (harness --debug")
