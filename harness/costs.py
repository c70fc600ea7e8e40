"""Costs: what a cell may spend and what it has spent; `harness.records` offers these names too."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from datetime import datetime
from functools import reduce
from typing import Annotated, ClassVar

import pydantic

_WHOLE = ("steps", "trained_tokens")  # caps that are whole numbers
PARTS = ("body_flops", "head_flops", "attention_flops")  # of what was really computed
_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}(\.[0-9]{1,9})?(Z|\+00:00)")


def _a_time(text: str) -> str:
    try:
        if not _TIME.fullmatch(text):
            raise ValueError
        datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{text[:40]!r} is no time such as 2026-01-31T12:00:00Z") from None
    return text


Time = Annotated[str, pydantic.AfterValidator(_a_time)]  # UTC, ISO 8601
# bounds that keep sums, and the digits of what is printed, finite
Count = Annotated[int, pydantic.Field(ge=0, le=10**18)]
Amount = Annotated[float, pydantic.Field(ge=0, le=1e30, allow_inf_nan=False)]


def _absent(value: object) -> bool:
    return value is None


class Frozen(pydantic.BaseModel):
    """The base of what is read from files: an unknown key is an error, and no value changes."""

    model_config = pydantic.ConfigDict(frozen=True, extra="forbid")
    INDENT: ClassVar[int] = 1  # spaces, in a file

    def to_json(self) -> str:
        """Return a file's text: sorted keys, ASCII, a newline at the end."""
        return json.dumps(self.model_dump(mode="json"), indent=self.INDENT, sort_keys=True) + "\n"


class Caps(Frozen, allow_inf_nan=False):
    """What one cell may spend on training; at least one cap is set, all that are set hold."""

    steps: int | None = pydantic.Field(default=None, gt=0)  # optimiser steps
    trained_tokens: int | None = pydantic.Field(default=None, gt=0)  # tokens a gradient is taken on
    flops: float | None = pydantic.Field(default=None, gt=0)
    seconds: float | None = pydantic.Field(default=None, gt=0)  # wall clock inside the trainer
    # what was computed in all, padding included; see `Cost.computed_flops`
    computed_flops: float | None = pydantic.Field(default=None, gt=0, exclude_if=_absent)
    gpu_seconds: float | None = pydantic.Field(default=None, gt=0, exclude_if=_absent)

    @pydantic.model_validator(mode="after")
    def _one_at_least(self) -> Caps:
        if not self.set_caps():
            raise ValueError(
                "set at least one of steps, trained_tokens, flops, seconds, computed_flops,"
                " gpu_seconds"
            )
        return self

    def set_caps(self) -> dict[str, float]:
        """Return the caps that are set, by name."""
        return {name: value for name, value in self if value is not None}

    def minus(self, spent: Cost) -> Caps:
        """Return what is left after `spent`; a cap that is used up leaves the smallest amount."""
        left = {}
        for name, cap in self.set_caps().items():
            left[name] = max(cap - getattr(spent, name), 1 if name in _WHOLE else 1e-9)
        return Caps(**left)

    def share(self, parts: int, taken: float = 1) -> Caps:
        """Return `taken` of so many equal parts."""
        shares = {}
        for name, cap in self.set_caps().items():
            share = cap * taken / parts
            shares[name] = max(1, int(share)) if name in _WHOLE else share
        return Caps(**shares)


class Cost(pydantic.BaseModel, extra="forbid"):
    """What was spent. Sums of stages are sums of fields, but for the peak, which is a maximum."""

    steps: Count = 0  # optimiser steps
    trained_tokens: Count = 0  # non-padding tokens in forward passes with a gradient
    generated_tokens: Count = 0  # tokens sampled from the model in training, to the end of turn
    reference_tokens: Count = 0  # forward passes of the student or a reference without a gradient
    teacher_tokens: Count = 0  # tokens the teacher read or wrote
    flops: Amount = 0.0  # the usual estimate, of parameters and tokens
    seconds: Amount = 0.0  # wall clock inside the trainer
    gpu_seconds: Amount = 0.0
    peak_memory_bytes: Count = 0  # of the GPU where one is used, else of the process
    energy_joules: Amount | None = None  # of the GPUs, or of the CPU where none is used
    # FLOPs of products that were really made, padding included; None in records of earlier versions
    body_flops: Amount | None = pydantic.Field(default=None, exclude_if=_absent)
    head_flops: Amount | None = pydantic.Field(default=None, exclude_if=_absent)
    attention_flops: Amount | None = pydantic.Field(default=None, exclude_if=_absent)
    # CPU seconds of the verifier's workers; None where no verifier was asked, or nobody measured
    verifier_cpu_seconds: Amount | None = pydantic.Field(default=None, exclude_if=_absent)

    @property
    def computed_flops(self) -> float:
        """Return what was really computed, the three parts together; 0 where nobody counted."""
        return (self.body_flops or 0.0) + (self.head_flops or 0.0) + (self.attention_flops or 0.0)

    def plus(self, other: Cost) -> Cost:
        total = dict(self)
        for name, theirs in other:
            mine = total[name]
            if mine is None or theirs is None:
                total[name] = theirs if mine is None else mine
            else:
                total[name] = max(mine, theirs) if name == "peak_memory_bytes" else mine + theirs
        return Cost(**total)


class Outside(Frozen):
    """What a stage used as measured outside its process, summed over its attempts."""

    seconds: Amount  # wall clock, from the start of the process to the end of its last child
    cpu_seconds: Amount  # of all its processes
    # of those that the training process started, where every attempt's is known and it is one
    child_cpu_seconds: Amount | None = pydantic.Field(default=None, exclude_if=_absent)
    gpu_seconds: Amount = 0.0  # wall clock times the GPUs it had
    peak_memory_bytes: Count = 0  # resident, of its largest process
    processes: Count = 1  # the most that were seen at once
    attempts: Count = 1  # that were measured
    cpu_joules: Amount | None = None  # of processors and memory, where every attempt's is known

    def plus(self, other: Outside) -> Outside:
        return Outside(
            seconds=self.seconds + other.seconds,
            cpu_seconds=self.cpu_seconds + other.cpu_seconds,
            child_cpu_seconds=_sum(self.child_cpu_seconds, other.child_cpu_seconds),
            gpu_seconds=self.gpu_seconds + other.gpu_seconds,
            peak_memory_bytes=max(self.peak_memory_bytes, other.peak_memory_bytes),
            processes=max(self.processes, other.processes),
            attempts=self.attempts + other.attempts,
            cpu_joules=_sum(self.cpu_joules, other.cpu_joules),
        )


def _sum(one: float | None, other: float | None) -> float | None:
    """Return the sum of two amounts; None where one is not known."""
    return None if one is None or other is None else one + other


def total_cost(costs: Iterable[Cost]) -> Cost:
    return reduce(Cost.plus, costs, Cost())
