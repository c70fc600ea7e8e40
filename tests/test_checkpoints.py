"""Checkpoints: unsafe or incomplete folders are refused, digests name the weights."""

import json
import os
import shutil
from pathlib import Path

import pytest

from harness import checkpoint_checks, checkpoints, weights
from harness.errors import StageError, UsageError


@pytest.fixture
def model(small_models: Path, tmp_path: Path) -> Path:
    return shutil.copytree(small_models / "start", tmp_path / "model")


def test_a_trainer_that_saved_nothing_is_told_how(tmp_path, small_models):
    pytest.importorskip("torch")
    from harness.stage.models import seal_checkpoint

    with pytest.raises(StageError, match=r"^trainer 'mine' left no checkpoint: call run\.save"):
        seal_checkpoint(tmp_path, small_models / "start", "mine")


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


@pytest.mark.promise(
    "A checkpoint that is incomplete, could run code, or is not the start model with other"
    " weights is refused in one line"
)
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


def test_the_digest_follows_where_answers_end(model):
    """By the special tokens among the decoding defaults, where the configuration has others."""
    config = json.loads((model / "config.json").read_text())
    ends = {name: config.get(name) for name in checkpoints.SPECIAL_TOKENS}
    path = model / "generation_config.json"
    path.unlink(missing_ok=True)
    plain = checkpoints.digest(model)
    found = set()
    for change in (
        {},
        {"max_new_tokens": 7, "repetition_penalty": 1.5},
        {"eos_token_id": [ends["eos_token_id"], 5]},
        {"eos_token_id": 5},
        {"eos_token_id": None},
        {"bos_token_id": 5},
    ):
        path.write_text(json.dumps(ends | change))
        same = checkpoints.digest(model) == plain
        assert same == (not change.keys() & ends.keys()), change
        found.add(checkpoints.digest(model))
    assert len(found) == 5
    path.write_text("[")
    with pytest.raises(UsageError, match=r"generation_config\.json is not JSON"):
        checkpoints.digest(model)


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


# -- a trained checkpoint against its start model -------------------------------------------------


def edit_config(model, **changed):
    config = json.loads((model / "config.json").read_text())
    (model / "config.json").write_text(json.dumps(config | changed))


def edit_weights(model, change, file="model.safetensors"):
    from safetensors.torch import load_file, save_file

    held = load_file(model / "model.safetensors")
    save_file(change(held) or held, model / file, metadata={"format": "pt"})


def lose_a_tensor(model):
    edit_weights(model, lambda held: {k: held[k] for k in held if k != "model.norm.weight"})


def add_a_tensor(model):
    edit_weights(model, lambda held: held | {"value_head": held["model.norm.weight"] + 1})


def cut_a_tensor(model):
    name = "model.norm.weight"
    edit_weights(model, lambda held: held | {name: held[name][:8].clone()})


def round_weights(model):
    edit_weights(model, lambda held: {name: value.char() for name, value in held.items()})


def untie(model):
    head = {"lm_head.weight": "model.embed_tokens.weight"}
    edit_weights(model, lambda held: held | {name: held[of] + 1 for name, of in head.items()})


def add_a_file(model):
    edit_weights(model, lambda held: {"more": held["model.norm.weight"]}, "z.safetensors")


def spoil_a_value(value):
    def edit(held):
        held["model.norm.weight"][3] = value

    return lambda model: edit_weights(model, edit)


def link_weights(model):
    (model / "model.safetensors").rename(model.parent / "elsewhere")
    (model / "model.safetensors").symlink_to(model.parent / "elsewhere")


def hide_code(model):
    (model / "more" / "code").mkdir(parents=True)
    (model / "more" / "code" / "x.pkl").touch()


def nest(model):
    (model / "config.json").write_text("[" * 100_000 + "]" * 100_000)


def nest_header(model):
    text = b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    (model / "model.safetensors").write_bytes(len(text).to_bytes(8, "little") + text)


def pipe(model):
    (model / "config.json").unlink()
    os.mkfifo(model / "config.json")


@pytest.mark.promise(
    "A checkpoint that is incomplete, could run code, or is not the start model with other"
    " weights is refused in one line"
)
@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda m: (m / "training_args.bin").touch(), "training_args.bin could run code"),
        (lambda m: (m / "modeling.py").touch(), "modeling.py could run code"),
        (hide_code, "more/code/x.pkl could run code"),
        (link_weights, "model.safetensors is a link"),
        (pipe, "config.json is no plain file"),
        (nest, "is nested"),
        (nest_header, "is not a whole safetensors file"),
        (lambda m: edit_config(m, model_type="llama"), "model_type is not the start model's"),
        (lambda m: edit_config(m, num_hidden_layers=10**12), "num_hidden_layers is 10000000"),
        (lambda m: edit_config(m, rms_norm_eps=1e-3), "rms_norm_eps is 0.001, in the start model"),
        (lambda m: edit_config(m, rope_parameters={"rope_type": "default", "rope_theta": 5.0}),
         "rope_parameters is"),
        (lambda m: edit_config(m, tie_word_embeddings=False), "tie_word_embeddings is false"),
        (lambda m: edit_weights(m, dict, "other.safetensors"), "is in model.safetensors and in"),
        (add_a_file, "z.safetensors is in no model.safetensors.index.json"),
        (lambda m: (m / "model.safetensors.index.json").write_text('{"weight_map": {}}'),
         "does not list the tensors of the files beside it"),
        (lose_a_tensor, "tensor model.norm.weight is missing"),
        (add_a_tensor, "tensor value_head is not one of the start model's"),
        (cut_a_tensor, "model.norm.weight has another shape: [8], in the start model [32]"),
        (round_weights, "is of type I8; save float32"),
        (untie, "lm_head.weight differs from model.embed_tokens.weight"),
        (spoil_a_value(float("nan")), "model.norm.weight holds NaN or infinite"),
        (spoil_a_value(float("-inf")), "model.norm.weight holds NaN or infinite"),
    ],
)  # fmt: skip
def test_what_is_not_the_start_model_with_other_weights_is_named(model, small_models, spoil, says):
    spoil(model)
    faults, _ = checkpoint_checks.examine(model, small_models / "start")
    assert says in "\n".join(faults)


def test_what_training_may_change_is_no_fault(model, small_models):
    edit_weights(model, lambda held: {name: (value + 1).half() for name, value in held.items()})
    edit_config(model, use_cache=False, eos_token_id=3, pad_token_id=5, dtype="float16")
    faults, contents = checkpoint_checks.examine(model, small_models / "start")
    assert faults == []
    assert contents.digest != checkpoint_checks.read(small_models / "start").digest


@pytest.mark.promise("Weights of the start model, of the teacher or of another cell are named")
def test_equal_weights_are_equal_however_they_are_stored(model, small_models, tmp_path):
    from transformers import AutoModelForCausalLM

    half, parts, start = tmp_path / "half", tmp_path / "parts", small_models / "start"
    loaded = AutoModelForCausalLM.from_pretrained(model, dtype="bfloat16")
    loaded.save_pretrained(half)
    loaded.float().save_pretrained(parts, max_shard_size="20KB")
    assert len(weights.weight_files(parts)) > 1
    shutil.copy(model / "tokenizer.json", parts)
    faults, split = checkpoint_checks.examine(parts, start)
    assert faults == []
    assert split.digest == checkpoint_checks.read(half).digest
    head = {"lm_head.weight": "model.embed_tokens.weight"}
    edit_weights(model, lambda held: held | {name: held[of].clone() for name, of in head.items()})
    assert checkpoint_checks.read(model).digest == checkpoint_checks.read(start).digest


@pytest.mark.promise("Weights of the start model, of the teacher or of another cell are named")
def test_what_is_taken_from_a_teacher_is_a_share_of_tensors(model, small_models, tmp_path):
    from models import save_model
    from safetensors.torch import load_file

    start, teacher = small_models / "start", save_model(tmp_path / "teacher", seed=2)
    theirs, before = (load_file(each / "model.safetensors") for each in (teacher, start))
    other = [name for name in theirs if not theirs[name].equal(before[name])]
    taken = {name: theirs[name] for name in other[: len(other) // 2]}
    edit_weights(model, lambda held: held | taken)
    share = checkpoint_checks.taken_from(checkpoint_checks.read(model), teacher, start)
    assert share == len(taken) / len(other)
    for folder, share in ((teacher, 1), (start, 0)):
        contents = checkpoint_checks.read(folder)
        assert checkpoint_checks.taken_from(contents, teacher, start) == share


def test_a_checkpoint_that_leans_to_the_teacher_is_told_by_its_way(model, small_models, tmp_path):
    """Copies with noise and means of two models lie on the way to the teacher; nothing else."""
    import torch
    from models import save_model
    from safetensors.torch import load_file

    start, teacher = small_models / "start", save_model(tmp_path / "teacher", seed=2)
    theirs = load_file(teacher / "model.safetensors")
    noise = torch.Generator().manual_seed(1)

    def leans(share, spread):
        def edit(held):
            def rest(value):
                return spread * value.std() * torch.randn(value.shape, generator=noise)

            return {
                name: (value.lerp(theirs[name], share) + rest(value)).half()
                for name, value in load_file(start / "model.safetensors").items()
                if name in held
            }

        edit_weights(model, edit)
        return checkpoint_checks.toward(model, teacher, start)

    assert leans(1, 0.01) > 0.99  # a copy in other numbers, of another type
    assert leans(0.2, 0) > 0.99
    assert 0.5 < leans(0.5, 0.5) < 0.9
    assert leans(0, 0.1) < 0.1
    assert checkpoint_checks.toward(start, teacher, start) == 0
    assert checkpoint_checks.toward(teacher, teacher, start) == 1


@pytest.mark.promise("Prompt, tokenizer and decoding are always the start model's")
def test_all_but_the_weights_is_the_start_models(model, small_models):
    start = small_models / "start"
    checkpoints.dress(model, start)
    assert checkpoints.undressed(model, start) == []
    (model / "chat_template.jinja").write_text("no")
    (model / "adapter_config.json").write_text("{}")
    (model / "more").mkdir()
    (model / "tokenizer.json").unlink()
    changed = ["adapter_config.json", "chat_template.jinja", "more", "tokenizer.json"]
    assert checkpoints.dress(model, start) == changed
    assert checkpoints.undressed(model, start) == []
    assert {path.name for path in model.iterdir()} == {path.name for path in start.iterdir()}


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
