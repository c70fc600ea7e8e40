"""The attention of a batch that is read without padding, as one line of tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

    from harness.stage.reading.layout import Layout, Part

NAME = "harness_line"  # by which transformers knows it


def register() -> None:
    """Make the attention known to transformers, without a mask: a layout says what is seen."""
    from transformers import AttentionInterface

    AttentionInterface.register(NAME, attend)


def attend(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: Any,
    *,
    layout: Layout,
    dropout: float = 0.0,
    scaling: float | None = None,
    **more: Any,
) -> tuple[torch.Tensor, None]:
    """Return what tokens take from those that they attend to, and no weights.

    Args:
        module: The layer.
        query: Shape (1, heads, tokens, width).
        key: Shape (1, heads of keys, tokens, width).
        value: Of the same shape.
        attention_mask: None.
        layout: Of the batch.
        dropout: Share of the weights that is left out.
        scaling: Of the products; by default one over the root of the width.
        **more: What transformers hands to every attention.

    Returns:
        Shape (1, tokens, heads, width), as transformers wants it.

    Raises:
        NotImplementedError: If the layer's attention is of another kind.
    """
    import torch
    from torch.nn import functional

    kinds = ("softcap", "s_aux", "position_bias", "sliding_window")
    other = [name for name in kinds if more.get(name) is not None]
    if other or attention_mask is not None or not getattr(module, "is_causal", True):
        raise NotImplementedError(f"its attention has {', '.join(other) or 'a mask'}")
    shared = query.shape[1] > key.shape[1]  # several heads of queries share one of keys
    # tokens first, as they are picked by their places
    whole = [one.squeeze(0).transpose(0, 1) for one in (query, key, value)]

    def picked(one: torch.Tensor, part: Part) -> torch.Tensor:
        found = one.index_select(0, part.places.view(-1))
        return found.view(*part.places.shape, *one.shape[1:]).transpose(1, 2)

    begun: list[torch.Tensor] = []  # keys and values of the common beginnings
    made = []
    for part in layout.parts:
        q, k, v = (picked(one, part) for one in whole)
        if part.begins is None:
            begun = [k, v]
        else:
            k, v = (
                torch.cat((before.index_select(0, part.begins), own), dim=2)
                for before, own in zip(begun, (k, v), strict=True)
            )
        taken = functional.scaled_dot_product_attention(
            q,
            k,
            v,
            attn_mask=part.seen,
            dropout_p=dropout,
            is_causal=part.seen is None,
            scale=scaling,
            enable_gqa=shared,
        )
        made.append(taken.transpose(1, 2).flatten(0, 1))
    tokens = (torch.cat(made) if len(made) > 1 else made[0]).index_select(0, layout.back)
    return tokens[None], None
