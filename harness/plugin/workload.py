"""What a trainer would work on, and what it expects to do: the input of `--dry-run`.

A trainer that offers `expects` states how many sequences each of its steps trains on, generates and
reads; the host turns that into tokens, FLOPs, hours and memory before anything is spent. It is an
estimate for people: the budget is enforced on what is counted.
"""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Workload:
    """The training data of a board in figures; lengths are means, in tokens.

    Attributes:
        rows: Training problems.
        prompt: Length of a prompt.
        solution: Length of a training solution.
        answer: Length of an answer that a model generates.
        limit: Most tokens that an answer may have.
        traces: Solutions that a stronger model wrote, where the board names any.
        trace: Their length.
    """

    rows: int
    prompt: float
    solution: float
    answer: float
    limit: int
    traces: int = 0
    trace: float = 0.0

    def steps(
        self, batch_size: int, epochs: float, max_steps: int | None = None, rows: int | None = None
    ) -> int:
        """Return the optimiser steps of `epochs` passes over the rows, or `max_steps`."""
        rows = self.rows if rows is None else rows
        return max_steps or max(1, math.ceil(epochs * rows / batch_size))


@dataclass(frozen=True)
class Expected:
    """What a trainer does in one optimiser step, and how many steps it wants.

    Attributes:
        steps: Optimiser steps that its options ask for.
        sequences: Sequences of a step that a gradient is taken on.
        length: Their mean length in tokens, prompt included.
        micro_batch: Sequences in one forward pass.
        rollouts: Sequences that the student generates in a step.
        reference: Sequences of a step that the student or a reference reads without a gradient.
        taught: Sequences of a step that the teacher reads.
        written: Sequences that the teacher generates before the first step.
        limit: Most tokens of a sequence that is generated.
        together: Sequences generated at once.
        logits: Tokens of which all logits are held at once.
        adapter: Share of the parameters that is trained, 1 for all of them.
    """

    steps: int
    sequences: int
    length: float
    micro_batch: int
    rollouts: int = 0
    reference: int = 0
    taught: int = 0
    written: int = 0
    limit: int = 0
    together: int = 0
    logits: int = 2048
    adapter: float = 1.0
