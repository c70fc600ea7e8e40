"""What products cost that are asked for by indices and not as two matrices."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from math import prod
from typing import Any


def einsum(*given: Any) -> tuple[float, tuple[Any, ...]]:
    """Return the FLOPs of `torch.einsum` with such arguments, and its operands.

    Operands are multiplied from left to right. An index that one operand alone has, and what comes
    after it has not, is summed up beforehand, which is no product.
    """
    operands: Sequence[Any]
    if not isinstance(given[0], str):  # operands and lists of numbers, in turn
        operands, lists = given[: len(given) // 2 * 2 : 2], given[1::2]
        named = [
            tuple(_named(one, len(operand.shape)))
            for operand, one in zip(operands, lists, strict=True)
        ]
        out = tuple(_named(given[-1], 0)) if len(given) % 2 else None
    else:
        operands = given[1] if isinstance(given[1], list | tuple) else given[1:]
        left, arrow, right = given[0].replace(" ", "").partition("->")
        named = [
            tuple(_named(_letters(text), len(operand.shape)))
            for operand, text in zip(operands, left.split(","), strict=True)
        ]
        out = tuple(_named(_letters(right), 0)) if arrow else None
    extents: dict[Any, int] = {}
    for operand, indices in zip(operands, named, strict=True):
        for index, size in zip(indices, operand.shape, strict=True):
            extents[index] = max(size, extents.get(index, 1))
    if out is None:
        seen = Counter(index for indices in named for index in indices)
        out = tuple(index for index, times in seen.items() if times == 1 or isinstance(index, int))
    else:  # an ellipsis there stands for all that the operands' stand for
        out = (*out, *(index for index in extents if isinstance(index, int) and ... in out))
    flops, so_far = 0.0, set(named[0])
    for place, indices in enumerate(named[1:], 1):
        later = {index for one in named[place + 1 :] for index in one} | set(out)
        new = set(indices)
        kept = (so_far & new) | ((so_far | new) & later)
        flops += 2.0 * prod(extents[index] for index in kept)
        so_far = (so_far | new) & later
    return flops, tuple(operands)


def tensordot(one: Any, other: Any, dims: Any = 2) -> float:
    """Return the FLOPs of `torch.tensordot`."""
    if hasattr(dims, "tolist"):
        dims = dims.tolist()
    if isinstance(dims, int):
        summed = prod(one.shape[len(one.shape) - dims :])
    else:
        first = dims[0] if isinstance(dims[0], list | tuple) else [dims[0]]
        summed = prod(one.shape[place] for place in first)
    return float(2.0 * prod(one.shape) * prod(other.shape) / max(1, summed))


def chain(matrices: Sequence[Any]) -> float:
    """Return the FLOPs of a product of several matrices, in the order that takes fewest."""
    shapes = [tuple(one.shape) for one in matrices]
    if len(shapes[0]) == 1:
        shapes[0] = (1, *shapes[0])
    last = shapes[-1][1] if len(shapes[-1]) > 1 else 1
    sizes = [*(shape[0] for shape in shapes), last]
    least: dict[tuple[int, int], float] = {(at, at + 1): 0.0 for at in range(len(shapes))}
    for length in range(2, len(shapes) + 1):
        for low in range(len(shapes) - length + 1):
            high = low + length
            least[low, high] = min(
                least[low, at] + least[at, high] + 2.0 * sizes[low] * sizes[at] * sizes[high]
                for at in range(low + 1, high)
            )
    return least[0, len(shapes)]


def _letters(text: str) -> list[Any]:
    """Return the indices of a term, an ellipsis as one."""
    before, dots, after = text.partition("...")
    return [*before, *([...] if dots else []), *after]


def _named(indices: Sequence[Any], ndim: int) -> list[Any]:
    """Return the indices of a term as text, and numbers from the right for what `...` is there."""
    found: list[Any] = []
    for one in indices:
        if one is ... and ndim:
            found += range(ndim - len(indices), -1, -1)
        else:
            found.append(one if one is ... else str(one))
    return found
