"""GGUF files: metadata, and where the tensors lie, by the format's specification.

Source: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md, versions 2 and 3. The reader of
the package `gguf` makes several objects of every token of a vocabulary, and reads on behind the end
of a file that was cut; this one takes a tenth of a second for 50,000 tokens and refuses that. What
the types of tensors are, and how they are dequantised, is asked of the package.
"""

from __future__ import annotations

import math
import mmap
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.errors import UsageError

# types of metadata, as the format numbers them, and how struct reads them
SCALARS = dict(zip((0, 1, 2, 3, 4, 5, 6, 7, 10, 11, 12), "BbHhIif?Qqd", strict=True))
STRING, ARRAY = 8, 9
VERSIONS = (2, 3)
ALIGNMENT = 32  # of a tensor's data in bytes, where the metadata gives no other


@dataclass(frozen=True)
class Stored:
    """Where a tensor lies, and how its numbers are stored."""

    kind: Any  # gguf.GGMLQuantizationType
    shape: tuple[int, ...]  # the slowest dimension first, as torch has it
    start: int  # in bytes, from the beginning of the file
    size: int  # in bytes

    @property
    def parameters(self) -> int:
        return math.prod(self.shape)


@dataclass(frozen=True)
class GGUF:
    """What a GGUF file holds."""

    path: Path
    metadata: Mapping[str, Any]  # name -> number, truth value, string, or a list of these
    tensors: Mapping[str, Stored]

    def values(self, name: str) -> Any:
        """Return a tensor's values, dequantised: an array of float32 in its shape.

        Raises:
            UsageError: If its type cannot be dequantised, or a value is NaN or infinite.
        """
        import gguf
        import numpy as np

        stored = self.tensors[name]
        raw = np.memmap(self.path, "u1", "r", stored.start, (stored.size,))
        rows = raw.reshape(*stored.shape[:-1], stored.size // math.prod(stored.shape[:-1]))
        try:
            made = gguf.quants.dequantize(rows, stored.kind)
        except NotImplementedError:
            known = "take a file of another quantisation"
            raise UsageError(
                f"{self.path.name}: tensor {name} is {stored.kind.name}, which cannot be"
                f" dequantised here; {known}"
            ) from None
        found = np.ascontiguousarray(made, dtype=np.float32)
        if found.shape != stored.shape or not np.isfinite(found).all():
            raise _damaged(self.path, f"tensor {name} holds NaN or infinite values")
        return found


def read(path: Path) -> GGUF:
    """Read the metadata of a GGUF file, and where its tensors lie.

    Raises:
        UsageError: If the file is damaged, of another version or for another order of bytes.
    """
    if path.stat().st_size < 24:
        raise _damaged(path, "it ends early")
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        try:
            return _read(path, content)
        except struct.error:  # what is read lies behind the end
            raise _damaged(path, "it ends early") from None
        except (ValueError, KeyError, TypeError, ArithmeticError, RecursionError) as error:
            raise _damaged(path, str(error) or type(error).__name__) from None


def _damaged(path: Path, why: str) -> UsageError:
    return UsageError(f"{path.name} is a damaged GGUF file ({why}); download it again")


def _read(path: Path, content: mmap.mmap) -> GGUF:
    import gguf

    reader = _Reader(content)
    reader.place = 4  # behind the magic number
    version = reader.number("I")
    if version not in VERSIONS:
        other = "for another order of bytes" if version & 0xFFFF == 0 else f"of version {version}"
        raise UsageError(f"{path.name} is a GGUF file {other}; versions 2 and 3 can be read")
    tensors, entries = reader.number("Q"), reader.number("Q")
    metadata: dict[str, Any] = {}
    for _ in range(entries):
        name = reader.string()
        if name in metadata:
            raise ValueError(f"{name} is there twice")
        metadata[name] = reader.value(reader.number("I"))
    places: dict[str, tuple[Any, tuple[int, ...], int]] = {}
    for _ in range(tensors):
        name = reader.string()
        shape = tuple(reversed(reader.numbers("Q", reader.number("I"))))
        kind, start = gguf.GGMLQuantizationType(reader.number("I")), reader.number("Q")
        if name in places:
            raise ValueError(f"tensor {name} is there twice")
        places[name] = kind, shape, start
    alignment = metadata.get("general.alignment", ALIGNMENT)
    data = -(-reader.place // alignment) * alignment
    found = {}
    for name, (kind, shape, start) in places.items():
        block, size = gguf.GGML_QUANT_SIZES[kind]
        if not shape or not math.prod(shape) or shape[-1] % block:
            raise ValueError(f"tensor {name} has the shape {list(shape)}")
        one = Stored(kind, shape, data + start, math.prod(shape) // block * size)
        if one.start + one.size > len(content):
            raise ValueError("it ends early")
        found[name] = one
    return GGUF(path, metadata, found)


class _Reader:
    """Reads numbers and texts one after the other; what lies behind the end is a struct.error."""

    def __init__(self, content: mmap.mmap) -> None:
        self.content, self.place = content, 0

    def numbers(self, kind: str, count: int) -> tuple[Any, ...]:
        if count > len(self.content):  # before room is made for them
            raise struct.error
        found = struct.unpack_from(f"<{count}{kind}", self.content, self.place)
        self.place += struct.calcsize(f"<{count}{kind}")
        return found

    def number(self, kind: str) -> Any:
        return self.numbers(kind, 1)[0]

    def string(self) -> str:
        length = self.number("Q")
        if self.place + length > len(self.content):
            raise struct.error
        found = self.content[self.place : self.place + length]
        self.place += length
        return found.decode()

    def value(self, kind: int) -> Any:
        if kind == STRING:
            return self.string()
        if kind != ARRAY:
            return self.number(SCALARS[kind])
        inner, count = self.number("I"), self.number("Q")
        if inner not in (STRING, ARRAY):
            return list(self.numbers(SCALARS[inner], count))
        if count > len(self.content):
            raise struct.error
        return [self.value(inner) for _ in range(count)]
