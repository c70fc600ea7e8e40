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

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import wraps
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

FLASH = "flash_attention_2"  # transformers' name of the package flash_attn, which torch is no part of


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
    """

    def __init__(self) -> None:
        self.body = self.head = self.attention = 0.0
        self.heads: set[tuple[int, ...]] = set()
        self.calls = self.layers = 0
        self._packed: tuple[Any, float] | None = None

    @property
    def total(self) -> float:
        return self.body + self.head + self.attention

    def meet(self, model: Any) -> None:
        """Learn the shape of a model's output embedding, which may have changed."""
        config = model.config
        if not hasattr(config, "vocab_size"):
            config = config.get_text_config()
        self.heads.add((getattr(config, "vocab_size", 0), getattr(config, "hidden_size", 0)))

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Count nothing of what is computed meanwhile."""
        before = self.body, self.head, self.attention
        try:
            yield
        finally:
            self.body, self.head, self.attention = before

    def linear(self, given: torch.Tensor, weight: torch.Tensor) -> None:
        """Count `given` (..., k) times the transpose of `weight` (n, k)."""
        shape = weight.shape
        if len(shape) != 2:
            return
        flops = 2.0 * given.numel() * shape[0] * _passes(given, weight)
        if shape in self.heads:
            self.head += flops
        else:
            self.body += flops

    def matrices(self, one: torch.Tensor, other: torch.Tensor, by_hand: bool) -> None:
        """Count `one` (..., m, k) times `other` (..., k, n).

        `by_hand` says that outside of layers this can only be a product with an output embedding,
        or with a part of one.
        """
        if one.ndim < 2 or other.ndim < 2:
            return
        m, k, n = one.shape[-2], one.shape[-1], other.shape[-1]
        flops = 2.0 * max(one.numel() * n, other.numel() * m) * _passes(one, other)
        if {(n, k), (k, n), (m, n)} & self.heads or (by_hand and not self.layers):
            self.head += flops
        elif self.calls or _in_backward():
            if one.ndim > 2 and other.ndim > 2:
                self.attention += flops
            else:
                self.body += flops

    def experts(self, given: torch.Tensor, weights: torch.Tensor) -> None:
        """Count rows of `given` (m, k), each times one of `weights` (experts, k, n)."""
        if given.ndim == 2 and weights.ndim == 3:
            self.body += 2.0 * given.numel() * weights.shape[-1] * _passes(given, weights)

    def attend(self, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> None:
        """Count queries (..., m, d) with keys (..., n, d) and values (..., n, e)."""
        pairs = 2.0 * (q.numel() // q.shape[-1]) * k.shape[-2]
        width, out = q.shape[-1], v.shape[-1]
        if _graded():
            left, right, value = q.requires_grad, k.requires_grad, v.requires_grad
            scores = 1 + left + right
            self.attention += pairs * (width * scores + out * (1 + (left or right) + value))
        else:
            self.attention += pairs * (width + out)

    def attend_packed(self, q: torch.Tensor, v: torch.Tensor, positions: Any) -> None:
        """Count one row of several texts, each of which sees itself alone.

        Args:
            q: Queries, shape (1, heads, tokens, d).
            v: Values, shape (1, heads, tokens, e).
            positions: Of each token in its text, shape (1, tokens), the same for all layers: read
                from the device once.
        """
        if self._packed is None or self._packed[0] is not positions:
            # a text of n tokens has n squared pairs, the sum of the first n odd numbers
            self._packed = positions, float((2 * positions + 1).sum())
        pairs, needs = 2.0 * self._packed[1] * q.shape[1], _graded() and q.requires_grad
        self.attention += pairs * (q.shape[-1] + v.shape[-1]) * (3 if needs else 1)

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


def _graded() -> bool:
    """Return whether a gradient will be taken, which what is computed again has had already."""
    import torch

    return torch.is_grad_enabled() and not (_in_backward() and _hooked())


def _passes(one: torch.Tensor, other: torch.Tensor) -> int:
    return 1 + one.requires_grad + other.requires_grad if _graded() else 1


def _in_backward() -> bool:
    import torch

    return torch._C._current_graph_task_id() != -1


def _hooked() -> bool:
    """Return whether tensors are saved by hooks: in the backward pass only checkpointing does so.

    The older, reentrant checkpointing needs none of this: its first pass is without a gradient.
    """
    import torch

    return torch._C._autograd._top_saved_tensors_default_hooks(True) is not None


@contextmanager
def counted(products: Products) -> Iterator[Callable[[], bool]]:
    """Count the products that are asked for; yield what says whether the functions are still ours.

    What is compiled, and kernels that are called in another way, is not seen.
    """
    import torch
    from torch.nn import functional
    from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

    Tensor: Any = torch.Tensor  # of which methods are replaced here
    ours: dict[tuple[Any, str], Any] = {}
    inherited: set[tuple[Any, str]] = set()
    compiling = torch.compiler.is_compiling

    def replace(owner: Any, name: str, count: Callable[..., None]) -> None:
        work = getattr(owner, name, None)
        if work is None:  # another version of torch
            return

        @wraps(work)
        def counting(*args: Any, **kwargs: Any) -> Any:
            made = work(*args, **kwargs)  # checkpointing may end here what it computes again
            if not compiling():
                count(*args, **kwargs)
            return made

        if name not in vars(owner):
            inherited.add((owner, name))
        ours[owner, name] = counting
        setattr(owner, name, counting)

    def linear(input: Any, weight: Any, bias: Any = None) -> None:
        products.linear(input, weight)

    def attention(query: Any, key: Any, value: Any, *_: Any, **__: Any) -> None:
        products.attend(query, key, value)

    def matmul(input: Any, other: Any = None, *, mat2: Any = None, **_: Any) -> None:
        products.matrices(input, mat2 if other is None else other, by_hand=False)

    def mm(input: Any, mat2: Any, **_: Any) -> None:
        products.matrices(input, mat2, by_hand=True)

    def addmm(input: Any, mat1: Any, mat2: Any, **given: Any) -> None:
        products.matrices(mat1, mat2, by_hand="out" in given)

    def add_in_place(input: Any, mat1: Any, mat2: Any, **_: Any) -> None:
        products.matrices(mat1, mat2, by_hand=True)

    def experts(mat_a: Any, mat_b: Any, *_: Any, **__: Any) -> None:
        products.experts(mat_a, mat_b)

    flash = ALL_ATTENTION_FUNCTIONS.get(FLASH)

    def packed(module: Any, query: Any, key: Any, value: Any, *args: Any, **kwargs: Any) -> Any:
        positions = kwargs.get("position_ids")
        if positions is not None and len(query) == 1 and query.shape[2] == positions.shape[-1]:
            products.attend_packed(query, value, positions)
        else:
            products.attend(query, key, value)
        return flash(module, query, key, value, *args, **kwargs)

    try:
        replace(functional, "linear", linear)
        replace(functional, "scaled_dot_product_attention", attention)
        replace(functional, "grouped_mm", experts)
        for owner, name in ((torch, "matmul"), (torch, "bmm"), (Tensor, "matmul")):
            replace(owner, name, matmul)
        replace(Tensor, "__matmul__", matmul)
        replace(torch, "mm", mm)
        replace(Tensor, "mm", mm)
        replace(torch, "addmm", addmm)
        replace(Tensor, "addmm_", add_in_place)
        if flash is not None:
            ALL_ATTENTION_FUNCTIONS[FLASH] = packed
        yield lambda: all(getattr(*where) is mine for where, mine in ours.items())
    finally:
        for (owner, name), mine in ours.items():
            if (owner, name) in inherited:
                delattr(owner, name)
            else:
                setattr(owner, name, mine.__wrapped__)
        if flash is not None:
            ALL_ATTENTION_FUNCTIONS[FLASH] = flash
