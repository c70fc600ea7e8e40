"""The head: a model's last product, the largest of a small model, by which tokens are chosen."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from harness.stage.memory import is_out_of_memory

if TYPE_CHECKING:
    import torch


LARGEST = 16  # logits of a row that are computed again
SMALL = 2**20  # weights of a head whose logits are all computed in float32


@contextmanager
def last_only(model: Any, rows: torch.Tensor, ends: torch.Tensor) -> Iterator[None]:
    """Let a model's head see only one token of each row.

    Args:
        model: A causal model.
        rows: The numbers of the rows, shape (rows,).
        ends: The column of each one's token, shape (rows,).
    """

    def pick(_: Any, given: tuple[Any, ...]) -> Any:
        hidden = given[0]
        return (hidden[rows, ends][:, None], *given[1:])

    head = model.get_output_embeddings()
    if head is None:
        yield
        return
    hook = head.register_forward_pre_hook(pick)
    try:
        yield
    finally:
        hook.remove()


class ExactHead:
    """While it is entered, a model in half precision returns logits in float32.

    Rounded to bfloat16, which has eight bits, the largest logits of a row are often equal, and the
    first of them is then taken for the most probable. The last product alone is computed otherwise,
    from the same hidden states and weights. On a GPU its result is not rounded (where
    torch has no such product a line says so). On a CPU, which has
    no such product, the `LARGEST` of each row are computed again in float32, which is as good for
    greedy decoding; of a small head all are. A model in float32, or whose head is no linear layer,
    is left as it is.
    """

    def __init__(self, model: Any) -> None:
        import torch

        head = model.get_output_embeddings()
        halves = (torch.bfloat16, torch.float16)
        plain = type(head) is torch.nn.Linear and "forward" not in vars(head)
        self._head: Any = head if plain and head.weight.dtype in halves else None
        self._wide = True  # whether a GPU has been found to have the product, or was not asked

    def __enter__(self) -> None:
        if self._head is not None:
            self._head.forward = self._logits

    def __exit__(self, *_: object) -> None:
        if self._head is not None:
            del self._head.forward

    def _logits(self, hidden: torch.Tensor) -> torch.Tensor:
        """Return the head's logits, float32, shape (rows, columns, vocabulary)."""
        import torch

        weight, bias = self._head.weight, self._head.bias
        with torch.autocast(hidden.device.type, enabled=False):
            hidden = hidden.to(weight.dtype)
            if hidden.device.type != "cpu":
                found = self._product(hidden, weight)
            elif weight.numel() <= SMALL:
                found = torch.nn.functional.linear(hidden.float(), weight.float())
            else:
                found = torch.nn.functional.linear(hidden, weight).float()
                best = found.topk(LARGEST).indices
                exact = weight[best].float() @ hidden.float()[..., None]
                found.scatter_(-1, best, exact[..., 0])
            return found if bias is None else found + bias.float()

    def _product(self, hidden: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        """Return a product of halves as it was summed; rounded, and a line, where none is known."""
        import torch

        if self._wide:
            try:
                found = torch.mm(hidden.flatten(0, -2), weight.t(), out_dtype=torch.float32)
                return found.view(*hidden.shape[:-1], -1)
            except (RuntimeError, TypeError) as error:
                if is_out_of_memory(error):
                    raise
                self._wide = False
                logging.getLogger(__name__).warning("logits are rounded: %s", error)
        return torch.nn.functional.linear(hidden, weight).float()
