"""Decoding is the board's: what a checkpoint's own generation defaults may not change."""

from __future__ import annotations

from typing import Any


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
