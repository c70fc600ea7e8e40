"""Masks of attention, made on the device, and which models they are right for."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

KNOWN = {"full_attention", "sliding_attention"}


class Masks:
    """Makes the masks that a model's attention layers take, of shape (rows, 1, queries, columns).

    A mask that has these four dimensions is handed on by transformers as it is, which saves reading
    one back from the device at every step.
    """

    def __init__(self, model: Any) -> None:
        config = model.config
        self._dtype = model.dtype
        # On a CPU a mask that is added is made once here, and not from a boolean one in every
        # layer. Kernels of a GPU want it in the type of the queries, which autocast may change.
        eager = config._attn_implementation == "eager"
        self._added = eager or model.device.type == "cpu"
        self._window: int | None = None
        kinds = set(getattr(config, "layer_types", None) or ())
        window = getattr(config, "sliding_window", None)
        if "sliding_attention" in kinds or (not kinds and window):
            self._window = window
        self._both = len(kinds) > 1

    def __call__(self, at: torch.Tensor, columns: torch.Tensor) -> Any:
        """Return masks for tokens in columns `at`, which see all columns up to their own.

        Args:
            at: Shape (rows, queries) or (1, queries).
            columns: Shape (columns,), counted from 0.

        Returns:
            A tensor, or a dictionary of one for each type of layer where a model has several.
        """
        seen = columns <= at[:, None, :, None]
        if self._window is None:
            return self._made(seen)
        near = self._made(seen & (columns > at[:, None, :, None] - self._window))
        if self._both:
            return {"full_attention": self._made(seen), "sliding_attention": near}
        return near

    def _made(self, seen: torch.Tensor) -> torch.Tensor:
        import torch

        if not self._added:
            return seen
        zeros = torch.zeros((), dtype=self._dtype, device=seen.device)
        return torch.where(seen, zeros, -torch.inf)


def unknown(model: Any) -> str | None:
    """Return why a model cannot be given masks and slots as far as its configuration says."""
    config = model.config
    kinds = set(getattr(config, "layer_types", None) or ()) - KNOWN
    takes = inspect.signature(model.forward).parameters
    missing = [name for name in ("position_ids", "past_key_values") if name not in takes]
    if getattr(config, "is_encoder_decoder", False):
        return "it has an encoder"
    if config._attn_implementation not in ("sdpa", "eager"):
        return f"its attention is {config._attn_implementation}"
    if kinds:
        return f"it has layers of type {', '.join(sorted(kinds))}"
    if getattr(model, "_is_stateful", False):
        return "it keeps states and not only keys and values"
    if missing:
        return f"it takes no {' and no '.join(missing)}"
    return None
