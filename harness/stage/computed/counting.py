"""Counting: the functions that models call, replaced by such as count the products they make."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import wraps
from types import BuiltinFunctionType
from typing import Any

from harness.errors import StageError
from harness.stage.computed import contractions
from harness.stage.computed.compiled import counted_by
from harness.stage.computed.products import Products

FLASH = (
    "flash_attention_2"  # transformers' name of the package flash_attn, which torch is no part of
)


def torchs_grad_enabled() -> Callable[[], bool]:
    """Return the function of torch that says whether a gradient is taken.

    Raises:
        StageError: If a trainer's plug-in put another one in its place when it was imported.
    """
    from torch import _C

    own: Any = _C.is_grad_enabled
    if not isinstance(own, BuiltinFunctionType):
        raise StageError("the trainer's plug-in replaced torch.is_grad_enabled")
    return own


class _Autograd:
    """What torch says of the pass that it is in."""

    def __init__(self) -> None:
        import torch

        self.enabled = torchs_grad_enabled()
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

    What is compiled, but for layers that the harness compiles (`computed.compiled`), and kernels
    that are called in another way, is not seen.
    """
    import torch
    from torch._guards import TracingContext
    from torch.nn import functional
    from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

    Tensor: Any = torch.Tensor  # of which methods are replaced here
    ours: dict[tuple[Any, str], Any] = {}
    plain: dict[tuple[Any, str], Any] = {}  # not where it is inherited
    compiling, autograd, heads = torch.compiler.is_compiling, _Autograd(), products.heads
    # what torch does while it compiles: in 2.11 it makes some products by others, of shapes alone
    tracing = TracingContext.try_get

    def graded() -> bool:
        return autograd.enabled() and not autograd.again()

    def passes(one: Any, other: Any) -> int:
        return 1 + one.requires_grad + other.requires_grad if graded() else 1

    def inner(work: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Make what has a shape alone, for which torch may ask other functions of these."""
        with products.aside():
            return work(*args, **kwargs)

    def put(owner: Any, name: str, function: Callable[..., Any]) -> None:
        if name in vars(owner):
            plain[owner, name] = vars(owner)[name]
        ours[owner, name] = function
        setattr(owner, name, function)

    def replace(
        owner: Any, name: str, count: Callable[..., None], *, asks_others: bool = False
    ) -> None:
        work = getattr(owner, name, None)
        if work is None:  # another version of torch
            return

        @wraps(work)
        def counting(*args: Any, **kwargs: Any) -> Any:
            # checkpointing may end here what it computes again
            alone = products.is_real and not asks_others
            made = work(*args, **kwargs) if alone else inner(work, *args, **kwargs)
            if not (compiling() or tracing()):
                count(*args, **kwargs)
            return made

        put(owner, name, counting)

    multiply = functional.linear

    @wraps(multiply)
    def linear(input: Any, weight: Any, bias: Any = None) -> Any:
        """Multiply; most products are made here, so nothing else is called that need not be."""
        real = products.is_real
        made = multiply(input, weight, bias) if real else inner(multiply, input, weight, bias)
        if not (compiling() or tracing()):
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
        products.watch()
        products.attend(query, key, value, graded())

    def matrices(one: Any, other: Any, by_hand: bool) -> None:
        products.watch()
        inside = products.calls > 0 or autograd.in_backward()
        products.matrices(one, other, passes(one, other), inside, by_hand)

    def matmul(input: Any, other: Any = None, *, mat2: Any = None, **_: Any) -> None:
        other = mat2 if other is None else other
        if input.ndim == 1 or other.ndim == 1:
            vector(input, other)
        else:
            matrices(input, other, by_hand=False)

    def product(operands: Sequence[Any], flops: float) -> None:
        products.watch()
        needed = sum(one.requires_grad for one in operands)
        passes = 1 + min(2, needed) if graded() else 1  # of each product of two
        products.product(operands, flops, passes, products.calls > 0 or autograd.in_backward())

    def vector(input: Any, vec: Any, **_: Any) -> None:
        matrix = input if input.ndim > vec.ndim else vec
        if matrix.ndim > 1:
            product((input, vec), 2.0 * matrix.numel())

    def add_vector(input: Any, mat: Any, vec: Any, **_: Any) -> None:
        vector(mat, vec)

    def add_batches(input: Any, batch1: Any, batch2: Any, **_: Any) -> None:
        matrices(batch1, batch2, by_hand=False)

    def einsum(*given: Any) -> None:
        flops, operands = contractions.einsum(*given)
        product(operands, flops)

    def tensordot(a: Any, b: Any, dims: Any = 2, out: Any = None) -> None:
        product((a, b), contractions.tensordot(a, b, dims))

    def inner_product(input: Any, other: Any, **_: Any) -> None:
        if input.ndim and other.ndim:
            product((input, other), contractions.tensordot(input, other, ([-1], [-1])))

    def chain(*matrices: Any, **_: Any) -> None:
        listed = matrices[0] if isinstance(matrices[0], list | tuple) else matrices
        product(listed, contractions.chain(listed))

    def bilinear(input1: Any, input2: Any, weight: Any, *_: Any, **__: Any) -> None:
        rows = input1.numel() // input1.shape[-1]
        product((input1, input2, weight), 2.0 * rows * weight.numel())

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
        products.watch()
        positions = kwargs.get("position_ids")
        if positions is not None and len(query) == 1 and query.shape[2] == positions.shape[-1]:
            products.attend_packed(query, value, positions, graded())
        else:
            products.attend(query, key, value, graded())
        if not products.is_real:
            return query.new_empty(*query.shape[:-1], value.shape[-1]).transpose(1, 2), None
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
        replace(Tensor, "addmm", addmm)
        replace(Tensor, "bmm", matmul)
        for owner in (torch, Tensor):
            replace(owner, "mv", vector)
            replace(owner, "inner", inner_product)
            for name in ("baddbmm", "addbmm", "addmv"):
                one = add_vector if name == "addmv" else add_batches
                replace(owner, name, one)
        for name in ("baddbmm_", "addbmm_"):
            replace(Tensor, name, add_batches)
        replace(Tensor, "addmv_", add_vector)
        for owner in (torch, torch.functional):
            replace(owner, "einsum", einsum, asks_others=True)
            replace(owner, "tensordot", tensordot, asks_others=True)
            replace(owner, "chain_matmul", chain, asks_others=True)
        replace(torch.linalg, "multi_dot", chain)
        replace(functional, "bilinear", bilinear)
        if flash is not None:
            ALL_ATTENTION_FUNCTIONS[FLASH] = packed
        with counted_by(products):
            yield lambda: all(getattr(*where) is mine for where, mine in ours.items())
    finally:
        for owner, name in ours:
            if (owner, name) in plain:
                setattr(owner, name, plain[owner, name])
            else:
                delattr(owner, name)
        if flash is not None:
            ALL_ATTENTION_FUNCTIONS[FLASH] = flash
