"""What the host remarks of a training stage for the cell's record, beside what its trainer notes.

Remarks are made after the trainer has returned, and by nothing that it was handed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from harness.records import Cost
from harness.redact import redacted
from harness.stage.memory import Attempt
from harness.stage.spec import TrainSpec

MOST, LONGEST = 50, 300  # entries of a remark, and characters of one
NAMES = (
    "refused",
    "test_problems_within_reach",
    "out_of_memory_at",
    "energy",
    "replaced_by_the_start_models",
    "compiler",
)


def of(
    spec: TrainSpec,
    cost: Cost,
    refused: Sequence[str],
    failed: Sequence[Attempt],
    changed: Sequence[str],
) -> dict[str, Any]:
    """Return the remarks on a stage, each under one of `NAMES`.

    Args:
        spec: The stage.
        cost: What it spent.
        refused: What the fence around test problems refused it.
        failed: Its attempts that ran out of memory.
        changed: Files of its checkpoint that were replaced, since `run.save` or in place of it.
    """
    shared = spec.compute.shared_gpu and cost.energy_joules is not None
    found: dict[str, Any] = {
        "refused": _bounded(refused),
        "test_problems_within_reach": list(spec.closed.within_reach),
        "out_of_memory_at": [attempt.remark() for attempt in failed[:MOST]],
        "energy": "of the whole GPU, which other stages used at the same time" if shared else "",
        "replaced_by_the_start_models": _bounded(changed),
        "compiler": "its processes are part of the stage's" if spec.compute.compile else "",
    }
    return {name: redacted(remark) for name, remark in found.items() if remark}


def _bounded(texts: Sequence[str]) -> list[str]:
    """Return texts that a trainer may have had a hand in, as a record has room for them."""
    more = [f"and {len(texts) - MOST} more"] if len(texts) > MOST else []
    return [text[:LONGEST] for text in texts[:MOST]] + more
