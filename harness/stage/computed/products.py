"""The products of matrices that torch is asked for, counted as they are made.

A product of an (m, k) with a (k, n) matrix is `2 m k n` FLOPs. Where a gradient is taken, each
factor that needs one costs as much again: three times that for weights that are trained, twice for
frozen ones through which a gradient flows. What checkpointing computes again is counted again.
These are the rules of torch's own `torch.utils.flop_counter`, which sees every operation of a
program and makes it several times slower; here only the functions are replaced that models call.

Padding is counted, since it is computed, and so are masked pairs of queries and keys: kernels that
leave out the masked half of a causal square do up to half of the attention that is counted.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

TRIAL = 4000.0  # FLOPs a parameter: trying a model out takes at most so many, and mostly 600


class Products:
    """FLOPs so far, in the three parts of a language model.

    Attributes:
        body: Products with the weights of layers, adapters included.
        head: Products with an output embedding, known by its shape or by being made by hand
            outside of every layer, as losses do that never hold all logits.
        attention: Products of queries with keys, and of what comes of that with values.
        heads: Shapes (vocabulary, width) of the output embeddings of models that were called.
        calls: Calls of models that go on, and calls of layers.
        layers: Calls of layers that go on.
        is_real: Whether tensors have values, and not shapes alone.
        watch: Is called at the products that every model makes, whoever calls the model.
    """

    watch: Callable[[], object]

    def __init__(self) -> None:
        self.body = self.head = self.attention = 0.0
        self.heads: set[tuple[int, ...]] = set()
        self.calls = self.layers = 0
        self.is_real, self.watch = True, int
        self._packed: tuple[Any, float] | None = None

    @property
    def total(self) -> float:
        return self.body + self.head + self.attention

    @property
    def parts(self) -> tuple[float, float, float]:
        """Return FLOPs of body, head and attention."""
        return self.body, self.head, self.attention

    def add(self, body: float, head: float, attention: float) -> None:
        """Count what was computed without asking torch."""
        self.body += body
        self.head += head
        self.attention += attention

    def meet(self, model: Any) -> None:
        """Learn the shape of a model's output embedding, which may have changed."""
        config = model.config
        if not hasattr(config, "vocab_size"):
            config = config.get_text_config()
        self.heads.add((getattr(config, "vocab_size", 0), getattr(config, "hidden_size", 0)))

    @contextmanager
    def aside(self, most: float = math.inf) -> Iterator[None]:
        """Count nothing of what is computed meanwhile, unless that is more than `most` FLOPs."""
        before, total = self.parts, self.total
        try:
            yield
        finally:
            if self.total - total <= most:
                self.body, self.head, self.attention = before

    def matrices(
        self, one: torch.Tensor, other: torch.Tensor, passes: int, inside: bool, by_hand: bool
    ) -> None:
        """Count `one` (..., m, k) times `other` (..., k, n), made `passes` times.

        `inside` says whether it is a model's. `by_hand` says that outside of layers it can only be
        a product with an output embedding, or with a part of one.
        """
        if one.ndim < 2 or other.ndim < 2:
            return
        m, k, n = one.shape[-2], one.shape[-1], other.shape[-1]
        if not all(isinstance(size, int) for size in (m, k, n, one.numel(), other.numel())):
            return  # a compiler looks for what it can make of it, and nothing is computed
        flops = 2.0 * max(one.numel() * n, other.numel() * m) * passes
        if {(n, k), (k, n), (m, n)} & self.heads or (by_hand and not self.layers):
            self.head += flops
        elif inside:
            if one.ndim > 2 and other.ndim > 2:
                self.attention += flops
            else:
                self.body += flops

    def product(
        self, operands: Sequence[torch.Tensor], flops: float, passes: int, inside: bool
    ) -> None:
        """Count a product that is asked for in another way, of which only the sizes are known."""
        if any({one.shape[-2:], one.shape[:-3:-1]} & self.heads for one in operands):
            self.head += flops * passes
        elif inside and all(one.ndim > 2 for one in operands):
            self.attention += flops * passes
        elif inside:
            self.body += flops * passes

    def experts(self, given: torch.Tensor, weights: torch.Tensor, passes: int) -> None:
        """Count rows of `given` (m, k), each times one of `weights` (experts, k, n)."""
        if given.ndim == 2 and weights.ndim == 3:
            self.body += 2.0 * given.numel() * weights.shape[-1] * passes

    def attend(self, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, graded: bool) -> None:
        """Count queries (..., m, d) with keys (..., n, d) and values (..., n, e)."""
        pairs = 2.0 * (q.numel() // q.shape[-1]) * k.shape[-2]
        width, out = q.shape[-1], v.shape[-1]
        if graded:
            left, right, value = q.requires_grad, k.requires_grad, v.requires_grad
            scores = 1 + left + right
            self.attention += pairs * (width * scores + out * (1 + (left or right) + value))
        else:
            self.attention += pairs * (width + out)

    def attend_packed(self, q: torch.Tensor, v: torch.Tensor, positions: Any, graded: bool) -> None:
        """Count one row of several texts, each of which sees itself alone.

        Args:
            q: Queries, shape (1, heads, tokens, d).
            v: Values, shape (1, heads, tokens, e).
            positions: Of each token in its text, shape (1, tokens), the same for all layers: read
                from the device once.
            graded: Whether a gradient is taken.
        """
        times = 3 if graded and q.requires_grad else 1
        pairs = 2.0 * self.packed_pairs(positions) * q.shape[1]
        self.attention += pairs * (q.shape[-1] + v.shape[-1]) * times

    def packed_pairs(self, positions: Any) -> float:
        """Return the pairs of tokens of one text each, of their positions in it."""
        if self._packed is None or self._packed[0] is not positions:
            # a text of n tokens has n squared pairs, the sum of the first n odd numbers
            self._packed = positions, float((2 * positions + 1).sum())
        return self._packed[1]

    def know_pairs(self, positions: Any, pairs: float) -> None:
        """Take the pairs of positions that cannot be read."""
        self._packed = positions, pairs

    @contextmanager
    def imagined(self) -> Iterator[None]:
        """Count what tensors with shapes alone go through, which no kernel of others takes."""
        packed, self.is_real = self._packed, False
        try:
            yield
        finally:
            self._packed, self.is_real = packed, True

    def estimate(
        self, config: Mapping[str, Any], size: int, tokens: int, logits: int, pairs: int, times: int
    ) -> None:
        """Add what a model computes whose products are not seen, by its shape.

        Args:
            config: Of its `config.json`.
            size: Its parameters.
            tokens: Tokens that are read or written.
            logits: Tokens behind which logits are computed.
            pairs: Of a query and a key, in one layer.
            times: 3 where a gradient is taken, else 1.
        """
        width, layers = config.get("hidden_size") or 0, config.get("num_hidden_layers") or 0
        embedding = width * (config.get("vocab_size") or 0)
        copies = 1 if config.get("tie_word_embeddings", True) else 2
        heads = config.get("num_attention_heads") or 1
        inner = heads * (config.get("head_dim") or width // heads)
        self.body += 2.0 * times * max(0, size - copies * embedding) * tokens
        self.head += 2.0 * times * embedding * logits
        self.attention += 4.0 * times * layers * inner * pairs
