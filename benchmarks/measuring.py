"""What several of these scripts need: a clock, a process of its own, and words for the machine."""

from __future__ import annotations

import importlib.metadata
import multiprocessing
import os
import platform
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import Any

Row = dict[str, Any]
NAMED = ("part", "case", "way")  # what a row of figures is of


def clock(device: str) -> float:
    """Return seconds, for differences, when a device has done all that it was asked.

    On a CPU they are this process's own, which other processes hardly stretch.
    """
    if device == "cpu":
        return time.process_time()
    import torch

    torch.cuda.synchronize()
    return time.perf_counter()


def apart(work: Callable[..., Any], *given: Any, method: str = "spawn") -> Any:
    """Return what a function returns in a process of its own, which keeps no memory of a GPU.

    What it prints goes where errors go: the standard output is for figures.

    Args:
        work: A function of a module.
        *given: Its arguments.
        method: `spawn` for a fresh interpreter, which CUDA needs; `fork` for what this one is.
    """
    context = multiprocessing.get_context(method)
    with ProcessPoolExecutor(1, context, initializer=os.dup2, initargs=(2, 1)) as one:
        return one.submit(work, *given).result()


def machine(device: str) -> str:
    """Return the name of the GPU with its memory, or of the processor."""
    if device == "cpu":
        from harness.stage.environment import processor_name

        return processor_name()
    import torch

    found = torch.cuda.get_device_properties(0)
    return f"{found.name}, {found.total_memory / 2**30:.0f} GiB, CUDA {torch.version.cuda}"


def versions(names: Iterable[str]) -> str:
    """Return the versions of Python and of packages, in one line."""
    found = [f"Python {platform.python_version()}"]
    for name in names:
        try:
            found.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            found.append(f"{name} not installed")
    return ", ".join(found)


def one_line(error: BaseException) -> str:
    """Return what went wrong: the first line of it."""
    lines = str(error).strip().splitlines() or [""]
    return f"{type(error).__name__}: {lines[0]}"[:200]


def spread(numbers: Sequence[float], digits: int) -> list[float]:
    """Return the lowest and the highest."""
    return [round(min(numbers), digits), round(max(numbers), digits)]


def table(rows: Iterable[Mapping[str, Any]]) -> str:
    """Return a markdown table of rows: what each is of, and its figures."""
    lines = [f"| {' | '.join(NAMED)} | figures |", "|---" * (len(NAMED) + 1) + "|"]
    for row in rows:
        figures = "; ".join(f"{key}: {_said(one)}" for key, one in row.items() if key not in NAMED)
        cells = [*(str(row.get(name, "")) for name in NAMED), figures]
        lines.append(f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |")
    return "\n".join(lines)


def _said(figure: Any) -> str:
    if isinstance(figure, list):
        return ", ".join(map(_said, figure))
    if isinstance(figure, int) and not isinstance(figure, bool):
        return f"{figure:,}"
    return str(figure)
