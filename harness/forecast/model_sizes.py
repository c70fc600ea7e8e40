"""Sizes of models, known without loading them: from a table, or from the files of a folder."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from harness import checkpoints


@dataclass(frozen=True)
class Shape:
    """What the cost of a decoder depends on.

    Attributes:
        parameters: All of them, a tied embedding counted once.
        layers: Number of layers.
        hidden: Width of the residual stream.
        inner: Width inside a layer's feed-forward network.
        kv: Width of a layer's keys (and of its values): key-value heads times their size.
        vocabulary: Rows of the embedding.
    """

    parameters: int
    layers: int
    hidden: int
    inner: int
    kv: int
    vocabulary: int

    @property
    def cache_bytes(self) -> int:
        """Return the bytes that one token takes in the cache, in bfloat16."""
        return 2 * 2 * self.layers * self.kv


# The Qwen2.5 family as its config.json files state it; 0.5B to 3B tie their embeddings. The count
# of 0.5B is that of the files; those of the others follow from the shapes (see tests).
QWEN = {
    "0.5B": Shape(494_032_768, 24, 896, 4864, 128, 151_936),
    "1.5B": Shape(1_543_714_304, 28, 1536, 8960, 256, 151_936),
    "3B": Shape(3_085_938_688, 36, 2048, 11_008, 256, 151_936),
    "7B": Shape(7_615_616_512, 28, 3584, 18_944, 512, 152_064),
}
KNOWN = {
    f"Qwen/Qwen2.5-{size}{suffix}": shape
    for size, shape in QWEN.items()
    for suffix in ("", "-Instruct")
}


def known_shape(reference: str) -> Shape | None:
    """Return the shape of a Hub model (`<id>@<revision>`) that stands in the table, or None."""
    return KNOWN.get(reference.partition("@")[0])


def folder_shape(path: Path) -> Shape:
    """Return the shape of the model in a folder, from its configuration and weights' headers."""
    config = json.loads((path / "config.json").read_text(encoding="utf-8"))
    heads = config.get("num_attention_heads", 1)
    hidden = config.get("hidden_size", 0)
    size = config.get("head_dim") or hidden // heads
    return Shape(
        parameters=checkpoints.parameter_count(path),
        layers=config.get("num_hidden_layers", 0),
        hidden=hidden,
        inner=config.get("intermediate_size") or 4 * hidden,
        kv=size * (config.get("num_key_value_heads") or heads),
        vocabulary=config.get("vocab_size", 0),
    )
