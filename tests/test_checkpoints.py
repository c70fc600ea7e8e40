"""Checkpoints: unsafe or incomplete folders are refused, digests name the weights."""

import json
import shutil
from pathlib import Path

import pytest

from harness import checkpoints
from harness.errors import UsageError


@pytest.fixture
def model(small_models: Path, tmp_path: Path) -> Path:
    return shutil.copytree(small_models / "start", tmp_path / "model")


def test_a_whole_model_passes(model):
    checkpoints.check_model_folder(model)


def break_config(model):
    (model / "config.json").write_text("{")


def drop_config(model):
    (model / "config.json").unlink()


def drop_weights(model):
    (model / "model.safetensors").unlink()


def pickle_weights(model):
    (model / "model.safetensors").rename(model / "pytorch_model.bin")


def cut_weights(model):
    data = (model / "model.safetensors").read_bytes()
    (model / "model.safetensors").write_bytes(data[:-100])


def fake_weights(model):
    (model / "model.safetensors").write_bytes(b"\x80\x04 a pickle")


def drop_tokenizer(model):
    (model / "tokenizer.json").unlink()


def bring_code(model):
    config = json.loads((model / "config.json").read_text())
    config["auto_map"] = {"AutoModelForCausalLM": "modeling.Evil"}
    (model / "config.json").write_text(json.dumps(config))


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (shutil.rmtree, "no model folder"),
        (break_config, "is not JSON"),
        (drop_config, r"has no config\.json"),
        (drop_weights, "has no weights"),
        (pickle_weights, r"only pickled weights \(pytorch_model\.bin\)"),
        (cut_weights, "not a whole safetensors file"),
        (fake_weights, "not a whole safetensors file"),
        (drop_tokenizer, "has no tokenizer"),
        (bring_code, "wants to run its own code"),
    ],
)
def test_a_bad_folder_is_refused_in_one_line(model, spoil, says):
    spoil(model)
    with pytest.raises(UsageError, match=says):
        checkpoints.check_model_folder(model)


def test_the_digest_follows_the_weights_and_not_the_place(model, tmp_path):
    copy = shutil.copytree(model, tmp_path / "elsewhere")
    config = json.loads((copy / "config.json").read_text())
    config["transformers_version"] = "0"
    (copy / "config.json").write_text(json.dumps(config))
    assert checkpoints.digest(copy) == checkpoints.digest(model)
    data = bytearray((copy / "model.safetensors").read_bytes())
    data[-1] ^= 1
    (copy / "model.safetensors").write_bytes(bytes(data))
    assert checkpoints.digest(copy) != checkpoints.digest(model)


def test_parameters_are_counted_from_the_file(model):
    from transformers import AutoModelForCausalLM

    loaded = AutoModelForCausalLM.from_pretrained(model)
    assert checkpoints.parameter_count(model) == loaded.num_parameters()


def test_tokenizers_are_compared_by_how_they_cut_text(model, small_models, tmp_path):
    assert checkpoints.same_tokenizer(model, small_models / "teacher")
    other = json.loads((model / "tokenizer.json").read_text())
    vocabulary = other["model"]["vocab"]
    first, second = list(vocabulary)[5:7]
    vocabulary[first], vocabulary[second] = vocabulary[second], vocabulary[first]
    (model / "tokenizer.json").write_text(json.dumps(other))
    assert not checkpoints.same_tokenizer(model, small_models / "teacher")


def test_a_hub_model_that_cannot_be_reached_is_one_line():
    with pytest.raises(UsageError, match=r"cannot get model 'nobody/nothing@a+' from the Hub"):
        checkpoints.resolve_model(f"nobody/nothing@{'a' * 40}", Path.cwd())


def test_without_a_network_the_hub_is_asked_once_and_what_is_here_is_used(tmp_path, monkeypatch):
    """The client by itself would try six times in half a minute."""
    from huggingface_hub import constants

    from harness import hub

    tried = []

    def refuse(address, timeout):
        tried.append(address)
        raise OSError(-2, "Name or service not known")

    monkeypatch.setattr(hub.socket, "create_connection", refuse)
    monkeypatch.setattr(hub, "getproxies", dict)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    says = r"the Hub \(huggingface\.co\) cannot be reached: Name or service not known"
    asked = {"kind": "model", "revision": "a" * 40, "patterns": ["*.json"]}
    with pytest.raises(hub.HubError, match=says):
        hub.download("our-school/small", **asked)
    with pytest.raises(hub.HubError, match=says):
        hub.newest_commit("our-school/small")
    assert tried == [("huggingface.co", 443)] * 2
    here = tmp_path / "models--our-school--small" / "snapshots" / ("a" * 40)
    here.mkdir(parents=True)
    (here / "config.json").write_text("{}")
    assert hub.download("our-school/small", **asked) == here
