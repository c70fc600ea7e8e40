"""Sampling: the next token of each row, from its logits and a random number of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import torch

LARGEST = 1024  # tokens that are looked at first in nucleus sampling


def uniform(seed: int, count: int) -> torch.Tensor:
    """Return random numbers in [0, 1), shape (count,); of one seed, more begin with the fewer."""
    import torch

    numbers = torch.empty(count, dtype=torch.float64)
    torch.rand(count, generator=torch.Generator().manual_seed(seed), out=numbers)
    return numbers


class Drawn(NamedTuple):
    """The next token of each row, and whether it is right.

    Attributes:
        tokens: Token ids, shape (rows,).
        fits: Of each row, whether the `LARGEST` most probable tokens hold its nucleus, shape
            (rows,); None where that does not matter.
    """

    tokens: torch.Tensor
    fits: torch.Tensor | None


def all_fit(steps: Sequence[Drawn]) -> bool:
    """Return whether it is so of all rows of all steps; this waits for the device."""
    import torch

    fits = [step.fits for step in steps if step.fits is not None]
    return not fits or bool(torch.stack(fits).all())


@dataclass(frozen=True)
class Sampler:
    """Chooses the next token of each row: the most probable, or a sampled one.

    Attributes:
        temperature: Above 0, divides the logits; not used where there are no random numbers.
        top_p: The most probable tokens are kept until their probabilities reach this sum (nucleus
            sampling, Holtzman et al. 2020, arXiv 1904.09751).
    """

    temperature: float
    top_p: float

    def __call__(self, logits: torch.Tensor, noise: torch.Tensor | None) -> torch.Tensor:
        """Return the next tokens, as `choose` does; this may wait for the device."""
        return choose(logits, noise, self.temperature, self.top_p)

    def draw(self, logits: torch.Tensor, noise: torch.Tensor | None, whole: bool) -> Drawn:
        """Return the next tokens, without a wait for the device.

        Args:
            logits: Shape (rows, vocabulary).
            noise: A random number in [0, 1) for each row, float64; None is greedy.
            whole: Whether a vocabulary of more than `LARGEST` tokens is sorted as a whole, which
                costs as much as a model. All tokens are right then, whatever fits.
        """
        import torch

        if noise is None:
            return Drawn(logits.float().argmax(-1), None)
        chances = self._chances(logits)
        if self.top_p >= 1:
            return Drawn(_drawn(chances, noise), None)
        if chances.shape[-1] <= LARGEST:
            return Drawn(self._sorted(chances, noise), None)
        largest, order = chances.topk(LARGEST)
        fits = largest.double().sum(-1) >= self.top_p
        tokens = _drawn(_cut(largest, self.top_p), noise, order)
        if whole:
            tokens = torch.where(fits, tokens, self._sorted(chances, noise))
        return Drawn(tokens, fits)

    def mend(self, logits: torch.Tensor, noise: torch.Tensor | None, drawn: Drawn) -> torch.Tensor:
        """Return the next tokens, those that did not fit drawn anew; this waits for the device."""
        if noise is None or drawn.fits is None:
            return drawn.tokens
        tokens, rows = drawn.tokens.clone(), (~drawn.fits).nonzero()[:, 0]
        if len(rows):
            tokens[rows] = self._sorted(self._chances(logits[rows]), noise[rows])
        return tokens

    def _chances(self, logits: torch.Tensor) -> torch.Tensor:
        return (logits.float() / self.temperature).softmax(-1)

    def _sorted(self, chances: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        ordered, order = chances.sort(dim=-1, descending=True, stable=True)
        return _drawn(_cut(ordered, self.top_p), noise, order)


def choose(
    logits: torch.Tensor, noise: torch.Tensor | None, temperature: float, top_p: float
) -> torch.Tensor:
    """Return the next token of each row: the most probable, or a sampled one.

    A large vocabulary is sorted as a whole only for rows that need it, which are waited for.

    Args:
        logits: Shape (rows, vocabulary).
        noise: A random number in [0, 1) for each row; None is greedy.
        temperature: As `Sampler` has it.
        top_p: As `Sampler` has it.

    Returns:
        Token ids, shape (rows,).
    """
    sampler = Sampler(temperature, top_p)
    return sampler.mend(logits, noise, sampler.draw(logits, noise, whole=False))


def _drawn(
    chances: torch.Tensor, noise: torch.Tensor, order: torch.Tensor | None = None
) -> torch.Tensor:
    """Return where the random numbers fall among the chances, which need not sum to 1.

    Args:
        chances: Shape (rows, tokens). Those in float64 are not kept.
        noise: Shape (rows,).
        order: The token that each chance is of, shape (rows, tokens), if they are sorted.
    """
    import torch

    total = chances.double().cumsum_(-1)  # in place: it takes half the time, and sums the same
    place = torch.searchsorted(total, (noise.double() * total[:, -1])[:, None], right=True)
    place = place.clamp(max=chances.shape[-1] - 1)
    return (place if order is None else order.gather(-1, place))[:, 0]


def _cut(ordered: torch.Tensor, top_p: float) -> torch.Tensor:
    """Return the chances that are kept, the largest first, and zeros behind them."""
    exact = ordered.double()
    return exact.masked_fill(exact.cumsum(-1) - exact >= top_p, 0.0)
