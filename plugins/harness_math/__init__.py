"""The public math benchmarks, described in `harness_math.catalogue`."""

from __future__ import annotations

from harness import Task, hookimpl
from harness_math.catalogue import TASKS


@hookimpl
def harness_tasks() -> tuple[Task, ...]:
    """Offer the benchmarks."""
    return TASKS
