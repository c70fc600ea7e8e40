"""Attention: which implementation of it a stage uses. The same for training and for scoring."""

from __future__ import annotations


def attention(device: str) -> str:
    """Return the name of transformers' attention implementation for a device.

    FlashAttention 2 (Dao 2023, arXiv 2307.08691) on a GPU where the package `flash_attn` works,
    else torch's scaled dot product attention. FlashAttention computes in half precision only: a
    model with float32 weights must run under autocast.

    Args:
        device: `cpu` or `cuda`.
    """
    if device == "cpu":
        return "sdpa"
    from transformers.utils import is_flash_attn_2_available

    return "flash_attention_2" if is_flash_attn_2_available() else "sdpa"
