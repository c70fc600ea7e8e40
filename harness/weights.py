"""Weights: what safetensors files hold, read as a stream and never loaded as a model.

A tensor is known by the sha256 of its values as float32, so that equal weights are equal wherever
they lie, however they are split into files, and whether they are stored in 16 or 32 bits.
"""

from __future__ import annotations

import hashlib
import json
import math
import stat
import struct
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.errors import UsageError

HEADER_BYTES = 100_000_000  # as the safetensors library has it
CHUNK = 16 * 2**20  # bytes that are in memory at a time; a multiple of every size of a number
SIZES = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "I16": 2, "I8": 1}
SIZES |= {"U64": 8, "U32": 4, "U16": 2, "U8": 1, "BOOL": 1, "F8_E4M3": 1, "F8_E5M2": 1}
FLOATS = ("F64", "F32", "F16", "BF16")


@dataclass(frozen=True)
class Tensor:
    """Where a tensor lies."""

    file: Path
    dtype: str  # as safetensors names it
    shape: tuple[int, ...]
    start: int  # in bytes, from the beginning of the file
    end: int


@dataclass(frozen=True)
class Contents:
    """What the weight files of a folder hold."""

    files: dict[str, str]  # name -> sha256
    tensors: dict[str, str]  # name -> sha256 of the values as float32
    shapes: dict[str, tuple[int, ...]]
    not_finite: tuple[str, ...]  # tensors with a value that is NaN or infinite

    @property
    def digest(self) -> str:
        """Return a sha256 over names, shapes and values, whatever files they are in."""
        lines = (f"{name} {list(self.shapes[name])} {sha}\n" for name, sha in self.tensors.items())
        return hashlib.sha256("".join(sorted(lines)).encode()).hexdigest()


def weight_files(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.safetensors"))


def header(path: Path) -> dict[str, Tensor]:
    """Return the tensors of a safetensors file that is whole, in the order in which they lie.

    Raises:
        UsageError: If it is not such a file.
    """
    try:
        size, mode = path.stat().st_size, path.stat().st_mode
        if not stat.S_ISREG(mode):  # a pipe would be waited for
            raise ValueError
        with path.open("rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            if length > HEADER_BYTES:
                raise ValueError
            entries: dict[str, Any] = json.loads(file.read(length))
        entries.pop("__metadata__", None)
        found = {
            name: _tensor(path, entry, 8 + length)
            for name, entry in sorted(entries.items(), key=lambda item: item[1]["data_offsets"])
        }
        place = 8 + length
        for tensor in found.values():  # nothing between them, and nothing behind
            if tensor.start != place:
                raise ValueError
            place = tensor.end
        if place != size:
            raise ValueError
    except (struct.error, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise UsageError(f"{path} is not a whole safetensors file") from None
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from None
    return found


def _tensor(path: Path, entry: dict[str, Any], offset: int) -> Tensor:
    start, end = entry["data_offsets"]
    shape = tuple(entry["shape"])
    whole = all(type(number) is int and number >= 0 for number in (*shape, start, end))
    if not whole or end - start != math.prod(shape) * SIZES[entry["dtype"]]:
        raise ValueError
    return Tensor(path, entry["dtype"], shape, offset + start, offset + end)


def tensors(folder: Path) -> dict[str, Tensor]:
    """Return the tensors of a folder's weight files.

    Raises:
        UsageError: If a file is not whole, or a tensor is in two of them.
    """
    found: dict[str, Tensor] = {}
    for file in weight_files(folder):
        here = header(file)
        if twice := sorted(found.keys() & here.keys()):
            other = found[twice[0]].file.name
            raise UsageError(f"tensor {twice[0]} is in {other} and in {file.name} of {folder}")
        found |= here
    return found


def read(folder: Path, without: Collection[str] = ()) -> Contents:
    """Read all weight files once; tensors named in `without` are no part of what is returned."""
    tensors(folder)  # all files are whole, before the first is read to its end
    files, values, shapes, broken = {}, {}, {}, []
    for path in weight_files(folder):
        whole = hashlib.sha256()
        found = header(path)
        with path.open("rb") as file:
            whole.update(file.read(min((t.start for t in found.values()), default=-1)))
            for name, tensor in found.items():
                sha, finite = hashlib.sha256(), True
                for chunk in _chunks(file, tensor.end - tensor.start):
                    whole.update(chunk)
                    as_float, good = _float32(chunk, tensor.dtype)
                    sha.update(as_float)
                    finite = finite and good
                if name not in without:
                    values[name], shapes[name] = sha.hexdigest(), tensor.shape
                    broken += [] if finite else [name]
        files[path.name] = whole.hexdigest()
    return Contents(files, values, shapes, tuple(broken))


def values(folder: Path, names: Collection[str]) -> dict[str, str]:
    """Return the sha256 of the values of some of a folder's tensors, as in `Contents.tensors`."""
    found = {}
    for name, tensor in tensors(folder).items():
        if name in names:
            sha = hashlib.sha256()
            with tensor.file.open("rb") as file:
                file.seek(tensor.start)
                for chunk in _chunks(file, tensor.end - tensor.start):
                    sha.update(_float32(chunk, tensor.dtype)[0])
            found[name] = sha.hexdigest()
    return found


def _chunks(file: Any, size: int) -> Iterator[bytes]:
    while size:
        chunk = file.read(min(size, CHUNK))
        if not chunk:
            raise UsageError(f"{file.name} became shorter while it was read")
        size -= len(chunk)
        yield chunk


def _float32(chunk: bytes, dtype: str) -> tuple[Any, bool]:
    """Return numbers as float32, and whether all are finite; other kinds as they are."""
    import numpy as np

    if dtype not in FLOATS:
        return chunk, True
    if dtype == "BF16":  # the upper half of a float32
        numbers = (np.frombuffer(chunk, "<u2").astype("<u4") << 16).view("<f4")
    else:
        with np.errstate(over="ignore"):
            kind = {"F64": "<f8", "F32": "<f4", "F16": "<f2"}[dtype]
            numbers = np.frombuffer(chunk, kind).astype("<f4", copy=False)
    return numbers, bool(np.isfinite(numbers).all())
