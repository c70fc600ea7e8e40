"""Muon for small matrices in float32; torch's own rounds to bfloat16, slow on most CPUs."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

# The quintic Newton-Schulz iteration of Jordan et al., "Muon: An optimizer for hidden layers in
# neural networks" (2024), drives every singular value towards 1.
_A, _B, _C = 3.4445, -4.7750, 2.0315
_ITERATIONS = 5


class Muon:
    """Momentum whose update is made orthogonal, its root mean square set to 0.2 of the rate.

    That scale (Liu et al., "Muon is scalable for LLM training", 2025) makes learning rates those
    of AdamW. Matrices of one shape are orthogonalised together.
    """

    def __init__(self, matrices: list[torch.Tensor], momentum: float = 0.95) -> None:
        import torch

        self._momentum = momentum
        by_shape: dict[tuple[int, ...], list[torch.Tensor]] = defaultdict(list)
        for matrix in matrices:
            by_shape[tuple(matrix.shape)].append(matrix)
        self._groups = [
            (group, torch.zeros(len(group), *shape, device=group[0].device))
            for shape, group in by_shape.items()
        ]

    def step(self, rate: float) -> None:
        """Move every matrix by its gradient at this learning rate and clear the gradients."""
        import torch

        with torch.no_grad():
            for matrices, velocity in self._groups:
                gradient = torch.stack([one.grad for one in matrices if one.grad is not None])
                velocity.lerp_(gradient, 1 - self._momentum)
                update = _orthogonal(gradient.lerp(velocity, self._momentum))
                scale = 0.2 * rate * max(update.shape[-2:]) ** 0.5
                for matrix, direction in zip(matrices, update, strict=True):
                    matrix.sub_(direction, alpha=scale)
                    matrix.grad = None


def _orthogonal(matrices: torch.Tensor) -> torch.Tensor:
    """The nearest (semi-)orthogonal matrices, roughly; (count, rows, columns) in and out."""
    tall = matrices.shape[-2] >= matrices.shape[-1]
    x: torch.Tensor = matrices if tall else matrices.mT
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(_ITERATIONS):
        gram = x.mT @ x
        x = _A * x + x @ (_B * gram + _C * gram @ gram)
    return x if tall else x.mT
