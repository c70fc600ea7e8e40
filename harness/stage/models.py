"""Models as a stage loads them: their attention, and their generation defaults."""

from __future__ import annotations

from typing import Any


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


def forget_defaults(model: Any) -> Any:
    """Keep of a model's generation defaults only its special tokens, and return the model.

    A `generation_config.json` may set a repetition penalty, top-k or a token limit, and
    transformers prefers those to what a caller leaves unsaid (a `max_new_tokens` even to a
    `max_length` that is said). Scores and rollouts would then be decoded otherwise than the board
    states.
    """
    from transformers import GenerationConfig

    known = model.generation_config
    model.generation_config = GenerationConfig(
        bos_token_id=known.bos_token_id,
        eos_token_id=known.eos_token_id,
        pad_token_id=known.pad_token_id,
    )
    return model
