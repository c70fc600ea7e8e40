"""How many parameters a model, or a part of it, holds."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any


def parameters(model: Any) -> tuple[int, int]:
    """Return the number of a model's parameters, and of those that are trained.

    TRL calls the backbone of a model and multiplies by the output embedding itself; where that is
    not tied to the input embedding, its size is added to the backbone's.
    """
    size, trained = sizes(model)
    config = model.config
    if model.base_model is model and not getattr(config, "tie_word_embeddings", True):
        head = getattr(config, "vocab_size", 0) * getattr(config, "hidden_size", 0)
        size += head
        trained += head * (trained > 0)
    return size, trained


def sizes(module: Any) -> tuple[int, int]:
    """Return how many parameters a module holds, and how many of them are trained."""
    from torch._C import TensorBase  # whose methods no instance or subclass can replace

    size, trained, seen = 0, 0, set()
    for part in modules(module):
        for parameter in part.__dict__.get("_parameters", {}).values():
            if parameter is not None and id(parameter) not in seen:
                seen.add(id(parameter))
                # under ZeRO-3 a process holds a shard, and `ds_numel` is the size of the whole
                held = TensorBase.numel(parameter)
                count = max(held, int(getattr(parameter, "ds_numel", held)))
                size += count
                trained += count * TensorBase.requires_grad.__get__(parameter)
    return size, trained


def modules(module: Any) -> Iterable[Any]:
    """Return a module with all that it is made of, whatever its own methods say of that."""
    found, left = {id(module): module}, [module]
    while left:
        for part in left.pop().__dict__.get("_modules", {}).values():
            if part is not None and id(part) not in found:
                found[id(part)] = part
                left.append(part)
    return found.values()
