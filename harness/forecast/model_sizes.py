"""Sizes of models, known without loading them: from a table, or from the files of a folder."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from harness import checkpoints
from harness.boards.board import Board
from harness.boards.file import Which


class Shape(NamedTuple):
    """What the cost of a decoder depends on."""

    parameters: int  # all of them, a tied embedding counted once
    layers: int
    hidden: int  # width of the residual stream
    inner: int  # width inside a layer's feed-forward network
    kv: int  # width of a layer's keys (and of its values): key-value heads times their size
    vocabulary: int  # rows of the embedding

    @property
    def cache_bytes(self) -> int:
        """Return the bytes that one token takes in the cache, in bfloat16."""
        return 2 * 2 * self.layers * self.kv


# The Qwen2.5 family by its config.json files; 0.5B to 3B tie their embeddings. The count of 0.5B is
# that of the files; those of the others follow from the shapes (see tests).
QWEN = {
    "0.5B": Shape(494_032_768, 24, 896, 4864, 128, 151_936),
    "1.5B": Shape(1_543_714_304, 28, 1536, 8960, 256, 151_936),
    "3B": Shape(3_085_938_688, 36, 2048, 11_008, 256, 151_936),
    "7B": Shape(7_615_616_512, 28, 3584, 18_944, 512, 152_064),
}


def known_shape(reference: str) -> Shape | None:
    """Return the shape of a Hub model (`<id>@<revision>`) that the table has, or None."""
    family, _, size = reference.partition("@")[0].removesuffix("-Instruct").rpartition("-")
    return QWEN.get(size) if family == "Qwen/Qwen2.5" else None


def folder_shape(path: Path) -> Shape:
    """Return the shape of the model in a folder, from its configuration and weights' headers."""
    config = checkpoints.configuration(path)
    heads, hidden = config.get("num_attention_heads", 1), config.get("hidden_size", 0)
    size = config.get("head_dim") or hidden // heads
    return Shape(
        parameters=checkpoints.parameter_count(path),
        layers=config.get("num_hidden_layers", 0),
        hidden=hidden,
        inner=config.get("intermediate_size") or 4 * hidden,
        kv=size * (config.get("num_key_value_heads") or heads),
        vocabulary=config.get("vocab_size", 0),
    )


def model_shape(board: Board, which: Which) -> Shape | None:
    """Return the size of the start model or the teacher, or None while it is not known."""
    folder = board.at_hand(which)
    return folder_shape(folder) if folder else known_shape(board.file.model(which) or "")
