"""Plug-ins: only the named ones are loaded, and a bad one is one line."""

import sys
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
        (("misspelt",), "misspelt", "harness_trainerz"),
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
