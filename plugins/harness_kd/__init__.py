"""Knowledge distillation: from the board's teacher in its three usual kinds, and from traces.

`kd` learns the teacher's next-token distribution over the training solutions, `kd-sequence` learns
from solutions that the teacher writes, `kd-on-policy` lets the teacher correct what the student
writes, `kd-traces` learns from ready-made solutions of a stronger model. `docs/trainers.md` names
their sources.
"""

from __future__ import annotations

from harness import Trainer, hookimpl
from harness_kd import logits, on_policy, sequence, traces


@hookimpl
def harness_trainers() -> list[Trainer]:
    """Offer `kd`, `kd-sequence`, `kd-on-policy` and `kd-traces`."""
    return [logits.TRAINER, sequence.TRAINER, on_policy.TRAINER, traces.TRAINER]
