"""The reader: hidden states of a batch, computed for what a loss depends on and for nothing else.

A batch of rollouts is padded on both sides, holds each problem as often as it was answered, and
asks for nothing behind most of its tokens. Here its tokens are one line without padding, a common
beginning is read once, and attention goes by a layout. What comes out is the same up to rounding,
and so are gradients.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from harness.errors import first_line
from harness.stage.computed.compiled import is_compiled, uncompiled
from harness.stage.memory import is_out_of_memory
from harness.stage.reading import attention
from harness.stage.reading.layout import laid_out
from harness.stage.reading.lean import is_known, lean_pass

if TYPE_CHECKING:
    import torch

ROUNDING = 1e-3  # relative difference of hidden states in float32
_found: WeakKeyDictionary[Any, str | None] = WeakKeyDictionary()


def hidden_states(
    model: Any, input_ids: torch.Tensor, attention_mask: torch.Tensor, wanted: torch.Tensor
) -> torch.Tensor:
    """Return a model's last hidden states where they are wanted, to make a loss of.

    On a CPU nothing else is computed: no padding, no token behind the last that is wanted of a row,
    and what rows have in common up to their first wanted token is read once (but under dropout).
    The estimate of FLOPs counts every token that is no padding, as if each row were read by itself.
    On other devices, under gradient checkpointing, and for models whose attention is not known, of
    which a line in the log says so, it is a plain pass over the batch.

    Args:
        model: A causal model of transformers, without an adapter's wrapper.
        input_ids: Shape (rows, columns).
        attention_mask: 0 where there is padding, on either side, of the same shape.
        wanted: True behind which tokens it is, of the same shape; the first token that a loss is
            taken on is predicted by the one before it.

    Returns:
        Shape (wanted tokens, width), in the order of `wanted`.
    """
    body = model.base_model
    layout = None
    if wanted.any() and Reader(model).against() is None:
        share = not any(part.training and part.p > 0 for part in _dropouts(model))
        layout = laid_out(input_ids, attention_mask, wanted, share=share)
    if layout is None:
        plain: torch.Tensor = body(
            input_ids=input_ids, attention_mask=attention_mask, use_cache=False
        ).last_hidden_state
        return plain[wanted]
    from transformers.modeling_outputs import BaseModelOutput

    attention.register()
    whole, config = body.forward, model.config

    def attend(module: Any, q: Any, k: Any, v: Any) -> torch.Tensor:
        dropout = module.attention_dropout if module.training else 0.0
        more: dict[str, Any] = {"dropout": dropout, "scaling": module.scaling}
        return attention.attend(module, q, k, v, None, layout=layout, **more)[0]

    def read(**_: Any) -> Any:
        if is_known(body):
            ids = input_ids.reshape(1, -1)[:, layout.line]
            found = lean_pass(body, ids, layout.positions, attend, layout.wanted)
            return BaseModelOutput(found)
        own = config._attn_implementation
        config._attn_implementation = attention.NAME
        try:
            output = whole(
                input_ids=input_ids.reshape(1, -1)[:, layout.line],
                position_ids=layout.positions,
                use_cache=False,
                layout=layout,
            )
            return BaseModelOutput(output.last_hidden_state.index_select(1, layout.wanted))
        finally:
            config._attn_implementation = own

    # called with the whole batch, by which its cost is estimated
    with _forward(body, read):
        output = body(input_ids=input_ids, attention_mask=attention_mask)
    found: torch.Tensor = output.last_hidden_state.squeeze(0)
    return found


class Reader:
    """Knows whether a model can be read as one line of tokens."""

    def __init__(self, model: Any) -> None:
        self.model = model

    def against(self) -> str | None:
        """Return why it cannot, or None if it can.

        A model whose attention is known by its configuration reads rows of which two begin alike,
        padded on both sides: its hidden states must be those of a plain pass. What is found is
        kept as long as the model, but for what may change.
        """
        model = self.model
        if model.device.type != "cpu":
            return "it is on no CPU"
        if any(getattr(part, "gradient_checkpointing", False) for part in model.modules()):
            return "what it computes again would be read in another way"
        if not is_known(model.base_model) and is_compiled(model):
            return "its layers are compiled, for plain batches"
        if model not in _found:
            unknown = _unknown(model.config)
            _found[model] = unknown or _difference(model)
            if _found[model] is not None:
                message = "what a loss needs is computed with its padding: %s"
                logging.getLogger(__name__).warning(message, _found[model])
        return _found[model]


def _unknown(config: Any) -> str | None:
    import torch

    kinds = set(getattr(config, "layer_types", None) or ()) - {"full_attention"}
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        return "it is trained in several processes"
    if getattr(config, "is_encoder_decoder", False):
        return "it has an encoder"
    if config._attn_implementation != "sdpa":
        return f"its attention is {config._attn_implementation}"
    if kinds:
        return f"it has layers of type {', '.join(sorted(kinds))}"
    return None


def _difference(model: Any) -> str | None:
    import torch

    size = model.get_input_embeddings().num_embeddings
    ids = torch.tensor([[(place * 7919 + 31) % size for place in range(12)]]).repeat(3, 1)
    ids[1, 6:] = ids[1, :6].clone()
    mask, wanted = torch.ones_like(ids), torch.zeros_like(ids, dtype=torch.bool)
    mask[:2, 0] = mask[0, 10:] = mask[2, 8:] = 0
    wanted[0, 5:9] = wanted[1, 5:11] = wanted[2, 4:7] = True
    modes = [part for part in model.modules() if part.training]
    model.eval()
    try:
        with torch.no_grad(), torch.autocast("cpu", enabled=False), uncompiled():
            plain = model.base_model(input_ids=ids, attention_mask=mask, use_cache=False)
            _found[model] = None
            ours = hidden_states(model, ids, mask, wanted).float()
    except Exception as error:
        if is_out_of_memory(error):
            raise
        why = f"{type(error).__name__}: {first_line(error)}"
        return f"it cannot be read in a line ({why})"[:200]
    finally:
        _found.pop(model, None)
        for part in modes:
            part.training = True
    expected = plain.last_hidden_state[wanted].float()
    far = (expected - ours).norm() / expected.norm().clamp(min=1e-9)
    rounding = ROUNDING if model.dtype == torch.float32 else 50 * ROUNDING
    if not bool(far <= rounding) and bool(torch.isfinite(expected).all()):
        return f"its hidden states differ from its own by {float(far):.1%}"
    return None


def _dropouts(model: Any) -> Iterator[Any]:
    import torch

    return (part for part in model.modules() if isinstance(part, torch.nn.Dropout))


@contextmanager
def _forward(module: Any, forward: Callable[..., Any]) -> Iterator[None]:
    """Let a module's forward pass be another one for a while."""
    own = vars(module).get("forward")
    module.forward = forward
    try:
        yield
    finally:
        if own is None:
            del module.forward
        else:
            module.forward = own
