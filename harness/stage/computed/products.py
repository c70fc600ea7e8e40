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
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import wraps
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

TRIAL = 320.0  # FLOPs a parameter: trying a model out takes half as many, for some 70 tokens
FLASH = (
    "flash_attention_2"  # transformers' name of the package flash_attn, which torch is no part of
)


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
        flops = 2.0 * max(one.numel() * n, other.numel() * m) * passes
        if {(n, k), (k, n), (m, n)} & self.heads or (by_hand and not self.layers):
            self.head += flops
        elif inside:
            if one.ndim > 2 and other.ndim > 2:
                self.attention += flops
            else:
                self.body += flops

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
        if self._packed is None or self._packed[0] is not positions:
            # a text of n tokens has n squared pairs, the sum of the first n odd numbers
            self._packed = positions, float((2 * positions + 1).sum())
        times = 3 if graded and q.requires_grad else 1
        pairs = 2.0 * self._packed[1] * q.shape[1]
        self.attention += pairs * (q.shape[-1] + v.shape[-1]) * times

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


class _Autograd:
    """What torch says of the pass that it is in."""

    def __init__(self) -> None:
        import torch

        self.enabled: Callable[[], bool] = torch.is_grad_enabled
        self._task: Callable[[], int] = torch._C._current_graph_task_id
        self._hooks: Callable[[bool], Any] = torch._C._autograd._top_saved_tensors_default_hooks

    def again(self) -> bool:
        """Return whether checkpointing computes something again whose gradient is counted already.

        In a backward pass only checkpointing has tensors saved by hooks. The older, reentrant way
        has none, and its first pass is without a gradient.
        """
        return self._task() != -1 and self._hooks(True) is not None

    def in_backward(self) -> bool:
        return self._task() != -1


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
    plain: dict[tuple[Any, str], Any] = {}  # not where it is inherited
    compiling, autograd, heads = torch.compiler.is_compiling, _Autograd(), products.heads

    def graded() -> bool:
        return autograd.enabled() and not autograd.again()

    def passes(one: Any, other: Any) -> int:
        return 1 + one.requires_grad + other.requires_grad if graded() else 1

    def put(owner: Any, name: str, function: Callable[..., Any]) -> None:
        if name in vars(owner):
            plain[owner, name] = vars(owner)[name]
        ours[owner, name] = function
        setattr(owner, name, function)

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

        put(owner, name, counting)

    multiply = functional.linear

    @wraps(multiply)
    def linear(input: Any, weight: Any, bias: Any = None) -> Any:
        """Multiply; most products are made here, so nothing else is called that need not be."""
        made = multiply(input, weight, bias)
        if not compiling():
            shape = weight.shape
            flops = 2.0 * input.numel() * (shape[0] if len(shape) == 2 else 1)
            if autograd.enabled() and not autograd.again():
                flops *= 1 + input.requires_grad + weight.requires_grad
            if shape in heads:
                products.head += flops
            else:
                products.body += flops
        return made

    def attention(query: Any, key: Any, value: Any, *_: Any, **__: Any) -> None:
        products.attend(query, key, value, graded())

    def matrices(one: Any, other: Any, by_hand: bool) -> None:
        inside = products.calls > 0 or autograd.in_backward()
        products.matrices(one, other, passes(one, other), inside, by_hand)

    def matmul(input: Any, other: Any = None, *, mat2: Any = None, **_: Any) -> None:
        matrices(input, mat2 if other is None else other, by_hand=False)

    def mm(input: Any, mat2: Any, **_: Any) -> None:
        matrices(input, mat2, by_hand=True)

    def addmm(input: Any, mat1: Any, mat2: Any, **given: Any) -> None:
        matrices(mat1, mat2, by_hand="out" in given)

    def add_in_place(input: Any, mat1: Any, mat2: Any, **_: Any) -> None:
        matrices(mat1, mat2, by_hand=True)

    def experts(mat_a: Any, mat_b: Any, *_: Any, **__: Any) -> None:
        products.experts(mat_a, mat_b, passes(mat_a, mat_b))

    flash = ALL_ATTENTION_FUNCTIONS.get(FLASH)

    def packed(module: Any, query: Any, key: Any, value: Any, *args: Any, **kwargs: Any) -> Any:
        positions = kwargs.get("position_ids")
        if positions is not None and len(query) == 1 and query.shape[2] == positions.shape[-1]:
            products.attend_packed(query, value, positions, graded())
        else:
            products.attend(query, key, value, graded())
        return flash(module, query, key, value, *args, **kwargs)

    try:
        put(functional, "linear", linear)
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
        for owner, name in ours:
            if (owner, name) in plain:
                setattr(owner, name, plain[owner, name])
            else:
                delattr(owner, name)
        if flash is not None:
            ALL_ATTENTION_FUNCTIONS[FLASH] = flash
