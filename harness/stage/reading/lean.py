"""The lean pass: what a decoder of a well-known shape computes, without what is around it.

Where a small model writes a token to each of a few rows, a good part of the time goes into how
modules call each other, and where it learns, into gradients of norms that are put together of many
small steps. Here the same operations are asked for in the same order: without a gradient results
are the same to the last bit, with one up to rounding.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

BODIES = {"LlamaModel", "Qwen2Model", "Qwen3Model"}  # of transformers
HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
PARTS = ("input_layernorm", "self_attn", "post_attention_layernorm", "mlp")
GIVEN = {"input_ids", "position_ids", "use_cache"}  # beside a cache and a mask
Attend = Callable[[Any, "torch.Tensor", "torch.Tensor", "torch.Tensor"], "torch.Tensor"]
"""Makes, of a layer's attention module, queries, keys and values of shape (rows, heads, tokens,
width), what tokens take from others, shape (rows, tokens, heads, width)."""


def is_known(body: Any) -> bool:
    """Return whether a model's body is computed as `lean_pass` does.

    It is not where there is an adapter, a hook, a sliding window, or a method that is not
    transformers' own.
    """
    from torch.nn import Embedding, Linear

    config, kind = body.config, type(body)
    if kind.__name__ not in BODIES or not kind.__module__.startswith("transformers.models."):
        return False
    if config.hidden_act != "silu" or getattr(body, "gradient_checkpointing", False):
        return False
    if set(getattr(config, "layer_types", None) or ()) - {"full_attention"}:
        return False
    for name, part in body.named_modules():
        plain = type(part) in (Linear, Embedding) or type(part).__module__ == kind.__module__
        if not plain and not name.endswith(("layers", "act_fn")):
            return False
        own = type(part).forward.__module__ == type(part).__module__ or name.endswith("layers")
        if not own or (name and "forward" in vars(part)):
            return False
        if any(getattr(part, hooks) for hooks in HOOKS):
            return False
    return True


def lean_pass(
    body: Any,
    input_ids: torch.Tensor,
    position_ids: torch.Tensor,
    attend: Attend,
    wanted: torch.Tensor | None = None,
) -> torch.Tensor:
    """Return last hidden states, shape (rows, tokens, width), of ids of shape (rows, tokens).

    Where only some tokens' are `wanted`, shape (wanted,), it is those: in the last layer nothing is
    computed of the others but queries, keys and values.
    """
    import torch
    from torch.nn import functional

    norm = _norm_with_gradient() if torch.is_grad_enabled() else _norm

    def product(part: Any, x: torch.Tensor) -> torch.Tensor:
        made: torch.Tensor = functional.linear(x, part.weight, part.bias)
        return made

    def turned(x: torch.Tensor) -> torch.Tensor:
        half = x.shape[-1] // 2
        return (x * cos) + (torch.cat((-x[..., half:], x[..., :half]), dim=-1) * sin)

    rows, count = input_ids.shape
    x = functional.embedding(input_ids, body.embed_tokens.weight)
    cos, sin = (one.unsqueeze(1) for one in body.rotary_emb(x, position_ids=position_ids))
    layers = body.layers[: body.config.num_hidden_layers]
    last = layers[-1]
    for layer in layers:
        parts = layer._modules
        before, attention, after, mlp = (parts[name] for name in PARTS)
        own, wide = attention._modules, mlp._modules
        shape = (rows, count, -1, attention.head_dim)
        y = norm(before, x)
        q, k, v = (product(own[name], y).view(shape) for name in ("q_proj", "k_proj", "v_proj"))
        if "q_norm" in own:
            q, k = norm(own["q_norm"], q), norm(own["k_norm"], k)
        # heads of queries and keys are turned together
        both = turned(torch.cat((q, k), dim=2).transpose(1, 2))
        q, k, v = both[:, : q.shape[2]], both[:, q.shape[2] :], v.transpose(1, 2)
        taken = attend(attention, q, k, v).reshape(rows, count, -1).contiguous()
        if wanted is not None and layer is last:
            taken, x = taken.index_select(1, wanted), x.index_select(1, wanted)
        x = x + product(own["o_proj"], taken)
        y = norm(after, x)
        y = functional.silu(product(wide["gate_proj"], y)) * product(wide["up_proj"], y)
        x = x + product(wide["down_proj"], y)
    return norm(body.norm, x)


@contextmanager
def lean_writing(model: Any) -> Iterator[None]:
    """Let a causal model on a CPU make lean passes where it is given a cache and a whole mask."""
    body = model.base_model
    if model.device.type != "cpu" or "forward" in vars(body) or not is_known(body):
        yield
        return
    from transformers.modeling_outputs import BaseModelOutputWithPast
    from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

    whole, kernel = body.forward, ALL_ATTENTION_FUNCTIONS.get(body.config._attn_implementation)

    def forward(**given: Any) -> Any:
        named = {name: value for name, value in given.items() if value is not None}
        mask, cached = named.pop("attention_mask", None), named.pop("past_key_values", None)
        whole_mask = getattr(mask, "ndim", 0) == 4
        if cached is None or not whole_mask or named.keys() != GIVEN or kernel is None:
            return whole(**given)

        def attend(module: Any, q: Any, k: Any, v: Any) -> Any:
            k, v = cached.update(k, v, module.layer_idx)
            return kernel(module, q, k, v, mask, dropout=0.0, scaling=module.scaling)[0]

        found = lean_pass(body, named["input_ids"], named["position_ids"], attend)
        return BaseModelOutputWithPast(last_hidden_state=found, past_key_values=cached)

    body.forward = forward
    try:
        yield
    finally:
        del body.forward


def _norm(part: Any, x: torch.Tensor) -> torch.Tensor:
    """Return what a norm by the root of the mean square makes, in the steps of transformers."""
    import torch

    if x.dtype == part.weight.dtype == torch.float32:
        fused: torch.Tensor = torch.rms_norm(x, (x.shape[-1],), part.weight, part.variance_epsilon)
        return fused
    wide = x.to(torch.float32)
    variance = wide.pow(2).mean(-1, keepdim=True)
    made: torch.Tensor = part.weight * (wide * torch.rsqrt(variance + part.variance_epsilon)).to(
        x.dtype
    )
    return made


@cache
def _norm_with_gradient() -> Callable[[Any, torch.Tensor], torch.Tensor]:
    """Return `_norm` with a gradient of its own, of half the steps."""
    import torch

    class Norm(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any, weight: Any, epsilon: float) -> Any:
            root = torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + epsilon)
            even = x * root
            ctx.save_for_backward(even, weight, root)
            return weight * even

        @staticmethod
        def backward(ctx: Any, *given: Any) -> Any:
            even, weight, root = ctx.saved_tensors
            inner = given[0] * weight
            along = (inner * even).mean(-1, keepdim=True)
            steps = (given[0] * even).flatten(0, -2).sum(0) if ctx.needs_input_grad[1] else None
            return inner.sub_(even * along).mul_(root), steps, None

    def norm(part: Any, x: torch.Tensor) -> torch.Tensor:
        if not x.dtype == part.weight.dtype == torch.float32:
            return _norm(part, x)
        made: torch.Tensor = Norm.apply(x, part.weight, part.variance_epsilon)
        return made

    return norm
