"""Configuration and weights of a GGUF file, as transformers names and orders them.

Only dense decoders are known whose every number and tensor has one place in transformers: whatever
a file has beyond what is listed here would make another model, so it is refused and never left out.
Sources: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md for the names of metadata, and
llama.cpp's `convert_hf_to_gguf.py` for names and order of tensors.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

from harness.errors import UsageError, did_you_mean
from harness.imported import KEY, Imported
from harness.importing.gguf_file import GGUF

# `general.architecture` -> the class of transformers
ARCHITECTURES = {
    "llama": "LlamaForCausalLM",
    "qwen2": "Qwen2ForCausalLM",
    "qwen3": "Qwen3ForCausalLM",
}
SIZES = {  # metadata behind the architecture's name -> configuration
    "block_count": "num_hidden_layers",
    "context_length": "max_position_embeddings",
    "embedding_length": "hidden_size",
    "feed_forward_length": "intermediate_size",
    "attention.head_count": "num_attention_heads",
    "attention.head_count_kv": "num_key_value_heads",
}
EPSILON = "attention.layer_norm_rms_epsilon"
HEAD_SIZES = ("attention.key_length", "attention.value_length", "rope.dimension_count")
FLOATS = ("F32", "F16", "BF16")  # types that float32 holds as they are
KNOWN = {*SIZES, *HEAD_SIZES, EPSILON, "rope.freq_base", "rope.scaling.type", "vocab_size"}
IDS = {"bos": "bos_token_id", "eos": "eos_token_id", "padding": "pad_token_id"}
OUTSIDE = {"token_embd": "model.embed_tokens", "output_norm": "model.norm", "output": "lm_head"}
IN_BLOCK = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "attn_q_norm": "self_attn.q_norm",
    "attn_k_norm": "self_attn.k_norm",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}


def configuration(source: GGUF, sha256: str) -> dict[str, Any]:
    """Return what stands in the `config.json` of the model.

    It holds what the file says and no default of a library, so that it is the same under every
    version of transformers.

    Args:
        source: The file.
        sha256: Of the file.

    Raises:
        UsageError: If it is no decoder that is known, or says something of it that is not.
    """
    file, metadata = source.path.name, source.metadata
    if (kind := metadata.get("general.type", "model")) != "model":
        raise UsageError(f"{file} holds no model but {_word(kind)}; name the model's file")
    if metadata.get("split.count", 1) != 1:
        raise UsageError(f"{file} is one part of several; join them with llama-gguf-split --merge")
    kind = metadata.get("general.architecture")
    if kind not in ARCHITECTURES:
        hint = did_you_mean(str(kind), ARCHITECTURES)
        raise UsageError(
            f"{file} is of architecture {_word(kind)}, not a decoder that can be imported; {hint}"
        )
    begin = f"{kind}."
    said = {
        name.removeprefix(begin): value
        for name, value in metadata.items()
        if name.startswith(begin)
    }
    if strange := sorted(name for name in said.keys() - KNOWN if said[name]):
        raise UsageError(
            f"{file} is a {kind} model of another kind: {kind}.{strange[0]} is not known here"
        )
    if said.get("rope.scaling.type", "none") != "none":
        raise UsageError(f"{file} scales its positions (rope.scaling), which cannot be imported")
    missing = [name for name in (*SIZES, EPSILON) if name not in said]
    missing += [name for name in ("token_embd.weight",) if name not in source.tensors]
    if missing:
        raise UsageError(f"{file} does not say {missing[0]} of its {kind} model")
    sizes = {ours: _size(file, name, said[name]) for name, ours in SIZES.items()}
    if sizes["num_hidden_layers"] > len(source.tensors):
        raise UsageError(f"{file} has fewer layers than it says; it is damaged")
    head = sizes["hidden_size"] // sizes["num_attention_heads"]
    heads = {_size(file, name, said[name]) for name in HEAD_SIZES if name in said} or {head}
    if len(heads) > 1:
        sizes_of = ", ".join(map(str, sorted(heads)))
        raise UsageError(f"{file} has heads of several sizes ({sizes_of}), or turns parts of them")
    return {
        "architectures": [ARCHITECTURES[kind]],
        "model_type": kind,
        **sizes,
        **({"attention_bias": "blk.0.attn_q.bias" in source.tensors} if kind != "qwen2" else {}),
        **{ours: metadata.get(f"tokenizer.ggml.{name}_token_id") for name, ours in IDS.items()},
        "dtype": "float32",
        "head_dim": heads.pop(),
        "hidden_act": "silu",
        "rms_norm_eps": _decimal(said[EPSILON]),
        "rope_parameters": {
            "rope_theta": _decimal(said.get("rope.freq_base", 10000.0)),
            "rope_type": "default",
        },
        "tie_word_embeddings": "output.weight" not in source.tensors,
        "vocab_size": source.tensors["token_embd.weight"].shape[0],
        KEY: origin(source, sha256).model_dump(),
    }


def origin(source: GGUF, sha256: str) -> Imported:
    """Return what a model's configuration and every record say of the file."""
    types: Counter[str] = Counter()
    for tensor in source.tensors.values():
        types[tensor.kind.name] += tensor.parameters
    most = types.most_common(1)[0][0]
    return Imported(
        format="GGUF",
        quantization=most if most in FLOATS else f"{most}, dequantised",
        types=dict(sorted(types.items())),
        sha256=sha256,
        name=str(source.metadata.get("general.name", ""))[:200],
        license=str(source.metadata.get("general.license", ""))[:200],
    )


def weights(source: GGUF, config: dict[str, Any]) -> dict[str, Any]:
    """Return the values of every tensor, as arrays of float32, by the names of transformers.

    Raises:
        UsageError: If the model that the configuration describes has other tensors, or shapes.
    """
    wanted = _shapes(config)
    places = {name: _place(name) for name in source.tensors}
    file = source.path.name
    for name, ours in places.items():
        shape = source.tensors[name].shape
        if ours not in wanted or wanted[ours] != shape:
            what = f"of shape {list(shape)}" if ours in wanted else "too many"
            known = f"the {config['model_type']} models that can be imported"
            raise UsageError(f"{file} is not like {known}: tensor {name} is {what}")
    if lost := sorted(wanted.keys() - places.values()):
        raise UsageError(f"{file} has no tensor for {lost[0]}; it is damaged or no whole model")
    return {ours: _ordered(source, name, config) for name, ours in sorted(places.items())}


def _shapes(config: dict[str, Any]) -> dict[str, tuple[int, ...]]:
    """Return the parameters of a model by its configuration; a tied head is not one of them."""
    import torch
    import transformers

    kind: Any = getattr(transformers, config["architectures"][0])
    try:
        with torch.device("meta"):
            model = kind(kind.config_class(**{k: v for k, v in config.items() if k != KEY}))
    except Exception as error:  # whatever its class finds wrong with it
        line = " ".join(str(error).split())[:200]
        raise UsageError(f"no {config['model_type']} model has these sizes: {line}") from None
    shapes = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    if config["tie_word_embeddings"]:
        shapes.pop("lm_head.weight", None)
    return shapes


def _place(name: str) -> str:
    """Return the name of a tensor in transformers, or its own if it has none there."""
    found = re.fullmatch(r"(?:blk\.(\d+)\.)?(\w+)\.(weight|bias)", name)
    if found is None:
        return name
    block, part, end = found.groups()
    if block is None:
        return f"{OUTSIDE[part]}.{end}" if part in OUTSIDE else name
    return f"model.layers.{int(block)}.{IN_BLOCK[part]}.{end}" if part in IN_BLOCK else name


def _ordered(source: GGUF, name: str, config: dict[str, Any]) -> Any:
    """Return the values of a tensor in the order that transformers computes with.

    llama.cpp turns neighbouring numbers of a head by one angle, transformers those half a head
    apart; the rows of queries and keys of Llama's are stored in the former order.
    """
    import numpy as np

    values = source.values(name)
    if config["model_type"] != "llama" or not re.search(r"\.attn_[qk]\.", name):
        return values
    pairs = values.reshape(-1, config["head_dim"] // 2, 2, *values.shape[1:])
    return np.ascontiguousarray(pairs.swapaxes(1, 2)).reshape(values.shape)


def _decimal(value: Any) -> float:
    """Return the shortest decimal of a float32: 1e-05 and not 9.999999747378752e-06."""
    import numpy as np

    return float(str(np.float32(value)))


def _size(file: str, name: str, value: Any) -> int:
    if type(value) is not int or not 0 < value < 2**31:
        raise UsageError(f"{file} has {name} {_word(value)}, not one number for all its layers")
    return value


def _word(value: Any) -> str:
    return repr(value)[:80]
