"""Writes GGUF files of model folders, by the formulas of llama.cpp's converter, and wheels."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gguf
import numpy as np
from safetensors.numpy import load_file

NAMES = {
    "input_layernorm": "attn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "self_attn.q_norm": "attn_q_norm",
    "self_attn.k_norm": "attn_k_norm",
    "post_attention_layernorm": "ffn_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}


def tensors_of(folder: Path) -> dict[str, np.ndarray]:
    """Return a model's weights as llama.cpp names and orders them."""
    config = json.loads((folder / "config.json").read_text())
    found = {}
    for name, values in load_file(folder / "model.safetensors").items():
        *middle, end = name.removeprefix("model.").split(".")
        if middle[0] == "layers":
            part = NAMES[".".join(middle[2:])]
            if config["model_type"] == "llama" and part in ("attn_q", "attn_k"):
                key = "num_attention_heads" if part == "attn_q" else "num_key_value_heads"
                halves = values.reshape(config[key], 2, -1, *values.shape[1:])
                values = halves.swapaxes(1, 2).reshape(values.shape)
            found[f"blk.{middle[1]}.{part}.{end}"] = values
        else:
            outside = {"embed_tokens": "token_embd", "norm": "output_norm", "lm_head": "output"}
            found[f"{outside[middle[0]]}.{end}"] = values
    return found


def metadata_of(folder: Path, rule: str = "smollm") -> dict[str, Any]:
    """Return the metadata of a model folder; `rule` names how its tokenizer cuts texts."""
    config = json.loads((folder / "config.json").read_text())
    tokenizer = json.loads((folder / "tokenizer.json").read_text())
    special = {one["id"]: one["content"] for one in tokenizer["added_tokens"]}
    words = {**{number: word for word, number in tokenizer["model"]["vocab"].items()}, **special}
    kind = config["model_type"]
    merges = [
        pair if isinstance(pair, str) else " ".join(pair) for pair in tokenizer["model"]["merges"]
    ]
    ends = {
        f"tokenizer.ggml.{name}_token_id": config[f"{key}_token_id"]
        for name, key in (("bos", "bos"), ("eos", "eos"), ("padding", "pad"))
        if config.get(f"{key}_token_id") is not None
    }
    return {
        "general.architecture": kind,
        "general.name": "A model for tests",
        "general.license": "mit",
        f"{kind}.block_count": config["num_hidden_layers"],
        f"{kind}.context_length": config["max_position_embeddings"],
        f"{kind}.embedding_length": config["hidden_size"],
        f"{kind}.feed_forward_length": config["intermediate_size"],
        f"{kind}.attention.head_count": config["num_attention_heads"],
        f"{kind}.attention.head_count_kv": config["num_key_value_heads"],
        f"{kind}.attention.key_length": config.get("head_dim")
        or config["hidden_size"] // config["num_attention_heads"],
        f"{kind}.attention.layer_norm_rms_epsilon": float(config["rms_norm_eps"]),
        f"{kind}.rope.freq_base": float(config["rope_parameters"]["rope_theta"]),
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": rule,
        "tokenizer.ggml.tokens": [words[number] for number in range(len(words))],
        "tokenizer.ggml.token_type": [
            3 if number in special else 1 for number in range(len(words))
        ],
        "tokenizer.ggml.merges": merges,
        "tokenizer.chat_template": (folder / "chat_template.jinja").read_text(),
        **ends,
    }


def write(
    path: Path,
    folder: Path,
    *,
    kind: str = "F32",
    change: Mapping[str, Any] | None = None,
    tensors: Mapping[str, np.ndarray | None] | None = None,
    rule: str = "smollm",
) -> Path:
    """Write the model of a folder as a GGUF file, its matrices of a quantisation type.

    `change` and `tensors` replace metadata and weights; None leaves one out.
    """
    said = {**metadata_of(folder, rule), **(change or {})}
    writer = gguf.GGUFWriter(path, str(said.pop("general.architecture")))
    for name, value in said.items():
        if isinstance(value, bool):
            writer.add_bool(name, value)
        elif isinstance(value, int):
            writer.add_uint32(name, value)
        elif isinstance(value, float):
            writer.add_float32(name, value)
        elif isinstance(value, str):
            writer.add_string(name, value)
        elif value is not None:
            writer.add_array(name, value)
    for name, values in {**tensors_of(folder), **(tensors or {})}.items():
        if values is not None:
            one = gguf.GGMLQuantizationType[kind if values.ndim > 1 else "F32"]
            writer.add_tensor(name, gguf.quants.quantize(values, one), raw_dtype=one)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def wheel(path: Path, *files: Path) -> Path:
    """Write a wheel that has files, each as a package's data."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr("a_model/__init__.py", "")
        for file in files:
            made.write(file, f"a_model/{file.name}")
    return path
