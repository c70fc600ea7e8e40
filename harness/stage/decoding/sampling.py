"""Sampling: the next token of each row, from its logits and a random number of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


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
    chances = (logits.float() / temperature).softmax(-1).double()
    order = None
    if top_p < 1:
        chances, order = chances.sort(dim=-1, descending=True, stable=True)
        chances = chances.masked_fill(chances.cumsum(-1) - chances >= top_p, 0.0)
    total = chances.cumsum(-1)
    place = torch.searchsorted(total, (noise.double() * total[:, -1])[:, None], right=True)
    place = place.clamp(max=logits.shape[-1] - 1)
    return (place if order is None else order.gather(-1, place))[:, 0]
