"""Plug-ins: only the named ones are loaded, and a bad one is one line."""

import os
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from harness.errors import PluginError, UsageError
from harness.plugin.host import Host


def test_built_in_trainers_are_found_like_anybody_elses():
    host = Host()
    assert {"sft", "kd", "rl", "hybrid", "tiny"} <= set(host.names)
    assert host.offers("sft") == ["sft"]
    assert host.trainer("kd-sequence").plugin.distribution == "srlm-harness"


def test_a_plugin_without_a_trainer_of_its_name_stands_for_all_its_trainers():
    assert Host().offers("hybrid") == ["sft+rl", "kd+rl", "sft+kd", "sft+kd+rl", "hybrid-joint"]


def test_a_chain_stands_for_itself_and_loads_its_parts():
    host = Host()
    assert host.offers("sft+rl") == ["sft+rl"]
    assert host.trainer("rl").trainer.name == "rl"


@pytest.mark.parametrize(("name", "used"), [("kd", "harness_sft"), ("hybrid", "harness_rl")])
def test_a_plugins_digest_holds_the_plugins_that_it_imports(name, used, tmp_path, monkeypatch):
    before = Host().load(name).source_sha256
    assert Host().load(name).source_sha256 == before
    changed = tmp_path / f"{used}.py"
    changed.write_text(Path(sys.modules[used].__file__).read_text() + "# changed\n")
    monkeypatch.setattr(sys.modules[used], "__file__", str(changed))
    assert Host().load(name).source_sha256 != before


def test_a_plugins_digest_holds_its_data_files(tmp_path, monkeypatch):
    place = announced(tmp_path, "carrying", "")
    monkeypatch.syspath_prepend(place)
    (place / "harness_carrying" / "answers.bin").write_bytes(b"1")
    before = Host().load("carrying").source_sha256
    (place / "harness_carrying" / "answers.bin").write_bytes(b"2")
    assert Host().load("carrying").source_sha256 != before


def announced(folder: Path, name: str, source: str) -> Path:
    """Write a plug-in, a package with its metadata, and return the folder that it is found in."""
    (folder / f"harness_{name}").mkdir()
    (folder / f"harness_{name}" / "__init__.py").write_text(source)
    info = folder / f"harness_{name}-0.1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: harness-{name}\nVersion: 0.1\n")
    (info / "entry_points.txt").write_text(f"[harness]\n{name} = harness_{name}\n")
    return folder


@pytest.mark.parametrize(
    ("change", "part"),
    [
        (
            "def write(self, *given, **fields): pass\nRecorder._write = write",
            "harness.bench.recorder.Recorder._write",
        ),
        (
            "class Recorder(recorder.Recorder): pass\nrecorder.Recorder = Recorder",
            "harness.bench.recorder.Recorder",
        ),
        (
            "import functools\n@functools.wraps(rules.objections)\ndef objections(*given, **named):"
            " return {}\nrules.objections = objections",
            "harness.leaderboard.rules.objections",
        ),
    ],
)
def test_a_plugin_that_changes_the_harness_ends_the_bench(
    small_board, harness_apart, tmp_path, monkeypatch, change, part
):
    head = "from harness.bench import recorder\nfrom harness.bench.recorder import Recorder\n"
    source = head + "from harness.leaderboard import rules\n" + change + TRAINS
    (tmp_path / "site").mkdir()
    place = announced(tmp_path / "site", "changing", source)
    monkeypatch.setenv("PYTHONPATH", str(place), prepend=os.pathsep)
    done = harness_apart("bench", "small.toml", "--plugins", "unruly,changing", check=2)
    line = done.stderr.strip().splitlines()[-1]
    assert f"harness_changing put something of its own in the place of {part}" in line
    assert not list(tmp_path.glob("runs/small/records/*"))


TRAINS = """
from harness import Options, Trainer, hookimpl

@hookimpl
def harness_trainers():
    return [Trainer("changing", print, Options, "changes the harness")]
"""


def test_a_task_of_this_project_is_found_without_anybody_elses_plug_in(with_plugins):
    """What judges results must not be what somebody else wrote."""
    with_plugins("broken", "unruly", "twin_one")
    host = Host()
    assert host.task("tiny_word").plugin == "tiny"
    assert "unruly" not in host._loaded
    assert host.task("unruly_sums").plugin == "unruly"


def test_only_named_plugins_are_imported(with_plugins):
    with_plugins("broken", "unruly")
    host = Host()
    host.load("unruly")
    assert "harness_unruly" in sys.modules
    assert "harness_broken" not in sys.modules


@pytest.mark.parametrize(
    ("folders", "name", "says"),
    [
        ((), "kdd", "no plug-in 'kdd'; did you mean 'kd'?"),
        (("broken",), "broken", "plug-in 'broken' of harness-broken cannot be imported"),
        (("misspelt",), "misspelt", "no hook 'harness_trainerz'; did you mean 'harness_trainers'?"),
        (("twin_one", "twin_two"), "twin", "claimed by harness-twin and other-twin"),
    ],
)
def test_a_bad_plugin_is_one_line_that_names_it(with_plugins, folders, name, says):
    with_plugins(*folders)
    with pytest.raises(PluginError) as caught:
        Host().load(name)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_broken_plugin_leaves_the_others_alone(with_plugins):
    with_plugins("broken", "misspelt", "twin_one", "twin_two", "unruly")
    host = Host()
    errors = host.load_all()
    assert set(errors) == {"broken", "misspelt", "twin"}
    assert {"sft", "unruly"} <= set(host.trainers())


def test_an_error_of_several_lines_is_shown_whole():
    from types import ModuleType

    from harness import hookimpl

    @hookimpl
    def harness_trainers():
        raise ValueError("this is\n  on two lines")

    host = Host()
    host.load("sft")
    module = ModuleType("harness_lines")
    module.harness_trainers = harness_trainers
    host._manager.register(module, "lines")
    host._loaded["lines"] = replace(host._loaded["sft"], name="lines", module=module)
    with pytest.raises(PluginError, match=r"failed: ValueError: this is on two lines$"):
        host.trainers()


def test_an_unknown_variant_gets_a_suggestion():
    with pytest.raises(PluginError, match="did you mean 'kd-sequence'"):
        Host().offers("kd-sequense")


def test_a_plugin_without_trainers_says_so():
    with pytest.raises(UsageError, match="'tiny' offers no trainer"):
        Host().offers("tiny")


def test_two_plugins_with_one_trainer_are_refused():
    from types import ModuleType

    from harness import Trainer, hookimpl

    host = Host()
    host.load("sft")
    module = ModuleType("harness_sft_too")
    module.harness_trainers = hookimpl(lambda: [Trainer("sft", lambda run: None)])
    module.harness_trainers.__name__ = "harness_trainers"
    host._manager.register(module, "sft-too")
    host._loaded["sft-too"] = type(host.load("sft"))("sft-too", module, "stranger", "1")
    with pytest.raises(PluginError, match="offered by plug-ins 'sft' and 'sft-too'"):
        host.trainers()
