"""Sampling: the next token of each row, from its logits and a random number of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

LARGEST = 1024  # tokens that are looked at first in nucleus sampling


def uniform(seed: int, count: int) -> torch.Tensor:
    """Return random numbers in [0, 1), shape (count,); of one seed, more begin with the fewer."""
    import torch

    numbers = torch.empty(count, dtype=torch.float64)
    torch.rand(count, generator=torch.Generator().manual_seed(seed), out=numbers)
    return numbers


def choose(
    logits: torch.Tensor, noise: torch.Tensor | None, temperature: float, top_p: float
) -> torch.Tensor:
    """Return the next token of each row: the most probable, or a sampled one.

    Args:
        logits: Shape (rows, vocabulary).
        noise: A random number in [0, 1) for each row; None is greedy.
        temperature: Above 0, divides the logits.
        top_p: The most probable tokens are kept until their probabilities reach this sum (nucleus
            sampling, Holtzman et al. 2020, arXiv 1904.09751).

    Returns:
        Token ids, shape (rows,).
    """
    import torch

    if noise is None:
        return logits.float().argmax(-1)
    chances = (logits.float() / temperature).softmax(-1)
    order = None
    if top_p < 1:
        chances, order = _nucleus(chances, top_p)
    total = chances.double().cumsum(-1)
    place = torch.searchsorted(total, (noise.double() * total[:, -1])[:, None], right=True)
    place = place.clamp(max=chances.shape[-1] - 1)
    return (place if order is None else order.gather(-1, place))[:, 0]


def _nucleus(chances: torch.Tensor, top_p: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the chances that are kept, the largest first, zeros behind them, and their tokens.

    All are sorted only where the largest `LARGEST` do not reach `top_p`: sorting a large vocabulary
    costs as much as a model.
    """
    if chances.shape[-1] > LARGEST:
        largest, order = chances.topk(LARGEST)
        if bool((largest.double().sum(-1) >= top_p).all()):
            return _cut(largest, top_p), order
    ordered, order = chances.sort(dim=-1, descending=True, stable=True)
    return _cut(ordered, top_p), order


def _cut(ordered: torch.Tensor, top_p: float) -> torch.Tensor:
    exact = ordered.double()
    return exact.masked_fill(exact.cumsum(-1) - exact >= top_p, 0.0)
