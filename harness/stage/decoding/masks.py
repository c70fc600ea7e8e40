"""Masks of attention, made on the device, and which models they are right for."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

KNOWN = {"full_attention", "sliding_attention"}
STEADY = {"default", "linear", "llama3", "proportional", "yarn"}
"""Kinds of RoPE whose frequencies are the same however long rows are."""
WINDOWS = ("window", "local", "chunk", "sliding")  # in names of what limits how far tokens see
HARMLESS = {
    "chunk_size_feed_forward",  # tokens of a product, and the next one the same for experts
    "num_local_experts",
    "max_window_layers",  # what these say is in `layer_types` and `sliding_window` too
    "sliding_window",
    "sliding_window_pattern",
    "_sliding_window_pattern",
    "use_sliding_window",
}


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
        text = config.get_text_config()
        kinds = set(getattr(text, "layer_types", None) or ())
        window = getattr(text, "sliding_window", None)
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
    kinds = set(getattr(config.get_text_config(), "layer_types", None) or ()) - KNOWN
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
    if (reason := uneven(config)) is not None:
        return reason
    if found := windows(config):
        return f"its configuration has {', '.join(sorted(found))}"
    return None


def uneven(config: Any) -> str | None:
    """Return why a row may be computed otherwise beside a longer one, or None: by its RoPE."""
    config = config.get_text_config()
    for name in ("rope_parameters", "rope_scaling"):
        given = getattr(config, name, None) or {}
        parts = [part for part in given.values() if isinstance(part, dict)]  # by type of layer
        for part in [given, *parts]:
            kind = part.get("rope_type", part.get("type", "default"))
            if kind not in STEADY:
                return f"its RoPE of type {kind} goes by the longest row"
    return None


def windows(config: Any) -> dict[str, Any]:
    """Return what a configuration says of how far tokens see that masks here do not know."""
    return {
        name: value
        for name, value in vars(config.get_text_config()).items()
        if any(word in name for word in WINDOWS)
        and name not in HARMLESS
        and value
        and not (isinstance(value, int) and value < 0)
    }
