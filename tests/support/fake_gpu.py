"""A GPU of shapes alone: tensors on `cuda:0` that have no values, on a machine that has none.

torch's `FakeTensorMode` knows the device, and raises an error where an operation is given tensors
of two devices or would need a value. What it lets through is noted here: every copy between the
devices, and every read of a value, each of which a GPU would be waited for.
"""

from __future__ import annotations

import ctypes
import traceback
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

GPU = torch.device("cuda:0")
READS = ("_local_scalar_dense", "nonzero", "equal", "is_nonzero", "masked_select")
REGISTRY = "_ZN3c104impl26device_guard_impl_registryE"  # c10::impl::device_guard_impl_registry
CUDA, META = 1, 14  # c10::DeviceType


class FakeGpu:
    """Lets torch make tensors of shapes alone on `cuda` while it is used.

    Attributes:
        waits: Of each operation that would wait for the device, or copy from the CPU to it: its
            name, and the line that asked for it.
        truths: What is read of truth values, in their order; True where none is left.
        number: What is read of every other value; also how many values a mask lets through.
    """

    def __init__(self) -> None:
        self.waits: list[str] = []
        self.truths: deque[bool] = deque()
        self.number = 5

    @contextmanager
    def used(self) -> Iterator[None]:
        """Let torch have the device, with autocast in bfloat16."""
        never = "torch.cuda.amp.common.amp_definitely_not_available"
        able = mock.patch(never, return_value=False)
        halves = mock.patch("torch.cuda.is_bf16_supported", return_value=True)
        # without a real device there is no thread for its backward passes
        threads = torch.autograd.set_multithreading_enabled(False)
        listed = mock.patch.object(FakeTensor, "tolist", lambda one: self.read("tolist", one))
        with _guard(), able, halves, threads, listed, FakeTensorMode(), _Watch(self), _Numbered():
            yield

    def wait(self, what: str) -> None:
        """Note that the device is waited for."""
        self.waits.append(f"{what}: {_asked()}")

    def read(self, what: str, tensor: torch.Tensor) -> Any:
        """Return what is read of a tensor."""
        self.wait(what)
        if what == "tolist":
            return _filled(tensor.shape, self.number)
        if what == "nonzero":
            return tensor.new_zeros((self.number, tensor.ndim), dtype=torch.long)
        if what == "equal" or tensor.dtype == torch.bool:
            return self.truths.popleft() if self.truths else True
        return self.number


@contextmanager
def _guard() -> Iterator[None]:
    """Let torch set the current device, as before indexing; torch for a CPU has no function for it.

    What it does for tensors of shapes alone (`meta`), which is nothing, serves.
    """
    library = ctypes.CDLL(str(Path(torch.__file__).parent / "lib" / "libc10.so"))
    registry = (ctypes.c_void_p * (META + 1)).in_dll(library, REGISTRY)
    before = registry[CUDA]
    registry[CUDA] = before or registry[META]
    try:
        yield
    finally:
        registry[CUDA] = before


class _Numbered(TorchFunctionMode):
    """Says which device `cuda` is, which torch would ask the driver, and where a tensor lies."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is torch.Tensor.data_ptr:
            return id(args[0])
        args, kwargs = tree_map(_numbered, (args, kwargs or {}))
        return func(*args, **kwargs)


def _filled(shape: Sequence[int], number: int) -> Any:
    return [_filled(shape[1:], number) for _ in range(shape[0])] if shape else number


def _numbered(given: Any) -> Any:
    if isinstance(given, str):
        return "cuda:0" if given == "cuda" else given
    return GPU if isinstance(given, torch.device) and given.type == "cuda" else given


class _Watch(TorchDispatchMode):
    def __init__(self, gpu: FakeGpu) -> None:
        super().__init__()
        self._gpu = gpu

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name, kwargs = func.overloadpacket.__name__, kwargs or {}
        if name in ("to", "item"):  # as they come in inference mode
            with self:
                return func.decompose(*args, **kwargs)
        given = _devices((args, kwargs), numbers="copy" in name)
        if name in READS and "cuda" in given:
            return self._gpu.read(name, args[0])
        if name == "index" and "cuda" in given:
            args = (args[0], [part for one in args[1] for part in self._places(one)])
        made = func(*args, **kwargs)
        if len(given | _devices(made, numbers=True)) > 1:
            self._gpu.wait(name)
        return made

    def _places(self, index: Any) -> list[Any]:
        """Return what an index by a mask becomes, which is looked up by waiting for the device."""
        if index is None or index.dtype != torch.bool:
            return [index]
        with self:
            return list(index.nonzero().unbind(1))


def _devices(tensors: Any, *, numbers: bool) -> set[str]:
    """Return types of devices; a number on the CPU is no wait where it is handed to a kernel."""
    return {
        one.device.type
        for one in tree_leaves(tensors)
        if isinstance(one, torch.Tensor) and (numbers or one.ndim or one.device.type != "cpu")
    }


def _asked() -> str:
    """Return the innermost line outside of torch."""
    for frame in reversed(traceback.extract_stack()):
        if "/torch/" not in frame.filename and frame.filename != __file__:
            return f"{frame.filename}:{frame.lineno} {frame.line}"
    return ""


def moved(model: Any) -> Any:
    """Return a model that was made in the context, with its weights on the device.

    `model.to` would swap fake tensors in place, which it cannot where others hold them.
    """
    made: dict[int, Any] = {}
    for module in model.modules():
        for held in (module._parameters, module._buffers):
            for name, old in held.items():
                if old is None:
                    continue
                if id(old) not in made:
                    new = old.detach().to(GPU)
                    weights = held is module._parameters
                    made[id(old)] = torch.nn.Parameter(new, old.requires_grad) if weights else new
                held[name] = made[id(old)]
    return model
