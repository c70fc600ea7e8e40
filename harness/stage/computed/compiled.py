"""Compiled layers: the blocks of a model that reads, each a few fused kernels instead of many.

torch's "regional compilation": all layers of a kind share one compiled pass, so that compiling
takes as long for 30 layers as for one. Only a pass over whole texts is compiled. A layer that is
given a cache, as where an answer is written, runs as it always did, and so do hooks, which stay
outside, and gradient checkpointing, which calls the compiled pass once more.

Counting replaces functions that models call, and a compiled pass calls none. So each shape of a
layer's input is first passed through the layer's own code once, with tensors that have shapes
alone: what that asks for is what the compiled pass computes.
"""

from __future__ import annotations

import inspect
import logging
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar
from weakref import ref

from harness.errors import StageError, first_line

if TYPE_CHECKING:
    from harness.stage.computed.products import Products

CACHES = ("past_key_values", "past_key_value", "layer_past")  # under which layers are given one
HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
Parts = tuple[float, float, float]


def prepare(device: str, folder: Path) -> None:
    """See that torch can compile for a device, and have what it makes put below a folder.

    This has to come before anything is counted: torch keeps the functions that it finds when it
    compiles for the first time.

    Raises:
        StageError: If it cannot, as without a C++ compiler, or triton on a GPU.
    """
    import torch

    os.environ["TORCHINDUCTOR_CACHE_DIR"] = str(folder)
    try:
        from torch._inductor import config

        config.compile_threads = 1  # a stage starts no processes of its own
        torch.compile(lambda x: (2 * x).relu())(torch.ones(2, 3, device=device))
    except Exception as error:
        line = first_line(error)[:200]
        needs = "g++" if device == "cpu" else "triton and g++"
        raise StageError(
            f"[compute] compile = true: torch cannot compile for the {device} of this machine"
            f" ({type(error).__name__}: {line}); install {needs}, or leave it out"
        ) from error


def compile_layers(model: Any, notes: dict[str, Any], backend: str = "inductor") -> None:
    """Have the layers of a model of transformers compiled where they read.

    Args:
        model: Its names, weights and classes stay as they are.
        notes: Of a record. `compiled` is put there when a layer runs compiled, `not_compiled`, with
            the reason, where one cannot be.
        backend: Of `torch.compile`.
    """
    from transformers.modeling_layers import GradientCheckpointingLayer

    layers = [one for one in model.modules() if isinstance(one, GradientCheckpointingLayer)]
    if not layers:
        notes["not_compiled"] = f"{type(model).__name__} has no layers that transformers knows"
    model.config.use_cache = False  # who only reads makes no cache then; generation asks for one
    off: list[str] = []
    for layer in layers:
        compiled: Any = CompiledLayer(layer, notes, off, backend)
        layer._compiled_call_impl = compiled  # as `torch.nn.Module.compile` does


def is_compiled(module: Any) -> bool:
    """Return whether a module has layers that are compiled where they read."""
    return any(
        isinstance(vars(part).get("_compiled_call_impl"), CompiledLayer)
        for part in module.modules()
    )


class CompiledLayer:
    """What a call of a layer does instead of `torch.nn.Module._call_impl`."""

    products: ClassVar[Products | None] = None  # what is counted, where anything is
    tries: ClassVar[bool] = False  # whether a model is tried out, by a few tokens
    _passes: ClassVar[dict[tuple[Any, str], Any]] = {}  # class and backend -> its compiled pass
    _seen: ClassVar[dict[Any, Parts]] = {}  # FLOPs by all that they depend on

    def __init__(self, layer: Any, notes: dict[str, Any], off: list[str], backend: str) -> None:
        """Take a layer's place in calls; `off` is filled when the model's are to run as they are.

        The layer is held weakly, so that a model is gone from memory as soon as nobody has it.
        """
        self._layer_of, self._notes, self._off = ref(layer), notes, off
        self._backend = backend

    @property
    def _layer(self) -> Any:
        return self._layer_of()

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        layer = self._layer
        given = any(kwargs.get(name) is not None for name in CACHES)
        writes = given or CompiledLayer.tries
        if not (writes or self._off) and (changed := _changed(layer)):
            self._give_up(changed)
        if writes or self._off:
            return layer._call_impl(*args, **kwargs)
        layer.forward = self._forward  # for hooks to stay around it
        try:
            return layer._call_impl(*args, **kwargs)
        finally:
            del layer.forward

    def _forward(self, *args: Any, **kwargs: Any) -> Any:
        layer = self._layer
        if layer.gradient_checkpointing and layer.training:
            return layer._gradient_checkpointing_func(partial(self._compute, **kwargs), *args)
        return self._compute(*args, **kwargs)

    def _compute(self, *args: Any, **kwargs: Any) -> Any:
        import torch

        layer, products = self._layer, CompiledLayer.products
        plain = inspect.unwrap(type(layer).forward)
        with ExitStack() as stack:
            if products is not None:
                try:
                    found = self._flops(products, plain, args, kwargs)
                except Exception as error:
                    self._give_up(f"what it computes cannot be counted: {error}")
                    return plain(layer, *args, **kwargs)
                products.add(*found)  # before it is done: checkpointing may end it early
                stack.enter_context(products.aside())
            run = self._passes.get((plain, self._backend))
            if run is None:
                run = torch.compile(plain, dynamic=True, backend=self._backend)
                self._passes[plain, self._backend] = run
            try:
                made = run(layer, *args, **kwargs)
            except torch._dynamo.exc.TorchDynamoException as error:
                line = first_line(error)[:200]
                raise StageError(
                    f"[compute] compile = true: torch cannot compile {type(layer).__name__}"
                    f" ({type(error).__name__}: {line}); leave compile out"
                ) from error
        self._notes.setdefault("compiled", type(layer).__name__)
        return made

    def _give_up(self, why: str) -> None:
        line = first_line(why)[:200]
        self._notes["not_compiled"] = f"{type(self._layer).__name__}: {line}"
        self._off.append(line)
        logging.getLogger(__name__).warning("layers are not compiled: %s", line)

    def _flops(
        self, products: Products, plain: Callable[..., Any], args: Any, kwargs: dict[str, Any]
    ) -> Parts:
        """Return what a pass over such tensors computes, gradients included, by part."""
        import torch
        from torch._subclasses.fake_tensor import FakeTensorMode
        from torch.utils._pytree import tree_leaves, tree_map_only

        layer, positions = self._layer, kwargs.get("position_ids")
        configs = (getattr(part, "config", None) for part in layer.modules())
        kinds = {getattr(config, "_attn_implementation", "") for config in configs} - {""}
        if positions is None or not any("flash" in kind for kind in kinds):
            positions = None  # a mask, or none, says what is seen
        pairs = products.packed_pairs(positions) if positions is not None else 0.0
        weights = tuple((one.shape, one.requires_grad) for one in layer.parameters())
        hooks: Any = torch._C._autograd._top_saved_tensors_default_hooks(True)
        again = torch._C._current_graph_task_id() != -1, hooks is not None
        given = tuple(map(_described, tree_leaves((args, kwargs))))
        key = (
            plain,
            weights,
            given,
            frozenset(kinds),
            tuple(kwargs),
            pairs,
            torch.is_grad_enabled(),
            again,
        )
        if key not in self._seen:
            with ExitStack() as stack:
                stack.enter_context(products.aside())
                stack.enter_context(products.imagined())
                if hooks is not None:  # those of checkpointing must not see this
                    same = torch.autograd.graph.saved_tensors_hooks(_same, _same)
                    stack.enter_context(same)
                mode = stack.enter_context(FakeTensorMode(allow_non_fake_inputs=True))
                made: dict[int, Any] = {}

                def fake(tensor: Any) -> Any:
                    return made.setdefault(id(tensor), mode.from_tensor(tensor, static_shapes=True))

                args, kwargs = tree_map_only(torch.Tensor, fake, (args, kwargs))
                if positions is not None:
                    products.know_pairs(kwargs["position_ids"], pairs)
                before = products.parts
                plain(layer, *args, **kwargs)
                body, head, attention = (
                    now - then for now, then in zip(products.parts, before, strict=True)
                )
            self._seen[key] = body, head, attention
        return self._seen[key]


@contextmanager
def uncompiled() -> Iterator[None]:
    """Let layers run as they are, as for a pass or two that compiling is not worth."""
    before, CompiledLayer.tries = CompiledLayer.tries, True
    try:
        yield
    finally:
        CompiledLayer.tries = before


@contextmanager
def counted_by(products: Products) -> Iterator[None]:
    """Count what compiled layers compute."""
    CompiledLayer.products = products
    try:
        yield
    finally:
        CompiledLayer.products = None


def _changed(layer: Any) -> str | None:
    """Return what of a layer's inside a compiled pass would miss, or None.

    torch does not look for new hooks once something is compiled, and what they do would not be
    counted.
    """
    for name, part in layer.named_modules():
        if name and ("forward" in vars(part) or any(getattr(part, hooks) for hooks in HOOKS)):
            return f"{name} has a hook or a pass of its own"
    return None


def _same(tensor: Any) -> Any:
    return tensor


def _described(leaf: Any) -> Any:
    """Return all of an argument that products depend on."""
    shape = getattr(leaf, "shape", None)
    if shape is not None:
        return tuple(shape), leaf.requires_grad
    return leaf if isinstance(leaf, (bool, int, float, str, type(None))) else type(leaf)
