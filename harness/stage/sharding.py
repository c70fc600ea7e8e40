"""Sharding: the whole weights of a model whose parameters are spread over processes."""

from __future__ import annotations

from typing import Any

from harness.errors import StageError


def whole_weights(model: Any) -> dict[str, Any] | None:
    """Return a sharded model's whole weights by name, on the CPU, or None if it is not sharded.

    FSDP of version 2 and ZeRO of stage 3 are supported. Every process of the stage must call this,
    and only the first one's result is whole.

    Raises:
        StageError: If the weights cannot be gathered: FSDP of version 1, or a sharded adapter.
    """
    parameters = dict(model.named_parameters())
    if any("_flat_param" in name for name in parameters):
        raise StageError("FSDP of version 1 cannot be saved; write fsdp_version: 2 in the file")
    fsdp = any(hasattr(parameter, "full_tensor") for parameter in parameters.values())
    zero = any(hasattr(parameter, "ds_id") for parameter in parameters.values())
    if not fsdp and not zero:
        return None
    if hasattr(model, "merge_and_unload"):
        raise StageError("a sharded adapter cannot be merged; train it without FSDP or ZeRO-3")
    if zero:
        import deepspeed

        with deepspeed.zero.GatheredParameters(list(parameters.values()), modifier_rank=None):
            return {name: value.detach().cpu().clone() for name, value in _state(model)}
    return {
        name: (value.full_tensor() if hasattr(value, "full_tensor") else value).detach().cpu()
        for name, value in _state(model)
    }


def _state(model: Any) -> list[tuple[str, Any]]:
    """Return parameters and buffers with their names; one with two names, as a tied head, once."""
    found: dict[int, tuple[str, Any]] = {}
    for name, value in model.state_dict(keep_vars=True).items():
        found.setdefault(id(value), (name, value))
    return list(found.values())
