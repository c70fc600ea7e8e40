"""The counter: what a training stage may spend and what it has spent, kept away from its trainer.

Counting happens below the trainer (see `meter`), which neither has to report its cost nor is
handed the counter: what it is shown is a `budget.Budget`.

The FLOPs are the usual estimate of Kaplan et al. (2020, arXiv 2001.08361), with N the parameters
of the model that did the work (a tied embedding counted once) and T non-padding tokens:
`6 N T` where a gradient is taken (`4 N T` for frozen parameters, as under LoRA), `2 N T` for
forward passes without one (generation including its prompt, reference policy, teacher). Of
generation engines outside transformers only vLLM is seen, where it is the board's engine.

Beside that estimate stands what was really computed (`harness.stage.computed`).
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from time import monotonic
from typing import NoReturn

from harness.costs import PARTS
from harness.errors import BudgetExceeded, StageError
from harness.records import Caps, Cost
from harness.stage.computed.products import Products
from harness.stage.processes import Group

TOKENS = ("trained_tokens", "generated_tokens", "reference_tokens", "teacher_tokens")
TIMES = ("seconds", "gpu_seconds")
COUNTED = (*TOKENS, "flops", *PARTS)
Pass = tuple[int, int, int | None]  # size, tokens, and parameters that are trained, as counted


class Counter:
    """The caps of one training stage and the running count of what it has spent.

    A trainer that does not stop in time is stopped by `BudgetExceeded`, and its stage fails, also
    where the trainer catches that. An optimiser step is refused if it passes a cap and began on an
    exhausted budget, or if it is the first one and alone costs more than the whole budget. A
    forward pass or a generation is refused once a cap is passed by a tenth, or by twice the
    costliest step if that is more, while the budget was not exhausted after the last step.

    Where a stage runs as several processes, each counts what it does, and `sync`, after every
    optimiser step, adds it up. `fraction` and `exhausted` use the sum of the last `sync`, so that
    all processes decide alike.

    Attributes:
        fill: Whether training is to go on until a cap is spent.
        planned: Optimiser steps that are planned for at most; 0 where nobody said.
        products: What the meter sees being computed.
        judged: Returns the CPU seconds of this process's verifier.
    """

    fill: bool
    judged: Callable[[], float]

    def __init__(
        self,
        caps: Caps,
        teacher: str | None = None,
        group: Group | None = None,
        *,
        fill: bool = False,
        gpus: int = 0,
    ) -> None:
        """Begin with nothing spent; `gpus` are those of all processes together.

        Raises:
            StageError: If GPU-seconds are capped and there is no GPU.
        """
        if caps.gpu_seconds is not None and not gpus:
            raise StageError(
                "the board caps gpu_seconds, and training runs on no GPU: cap seconds or flops"
            )
        self._caps, self._cost = caps, Cost()
        self._teacher, self._group = teacher, group or Group()
        self.fill, self.planned = fill, 0
        self.products, self._taken = Products(), (0.0, 0.0, 0.0)
        self._gpus, self.judged, self._judged_earlier = gpus, float, 0.0
        self._agreed = Cost()  # as of the last `sync`
        self._earlier_seconds = 0.0
        self._started = monotonic()
        self._last: dict[str, float] = dict.fromkeys(caps.set_caps(), 0.0)
        self._largest: dict[str, float] = dict.fromkeys(self._last, 0.0)
        self._before = dict(self._last)  # the first step
        self._steps_here = 0
        self._ended = self._running = False
        self._refused: str | None = None  # why the trainer was stopped
        self._step_flops: deque[float] = deque(maxlen=2)

    @property
    def caps(self) -> Caps:
        """Return what may be spent."""
        return self._caps

    @property
    def cost(self) -> Cost:
        """Return what has been spent, as of now; a copy."""
        self._take()
        spent = round(self._judged_earlier + self.judged(), 3)
        return self._cost.model_copy(update={"verifier_cpu_seconds": spent or None})

    @property
    def step_flops(self) -> tuple[float, ...]:
        """Return the FLOPs that were counted in all after each of the last two steps."""
        return tuple(self._step_flops)

    def _amounts(self) -> dict[str, float]:
        """Return what is spent as of the last `sync`, or as of now in a stage of one process."""
        self.tick()
        cost = self._agreed if self._group.size > 1 else self._cost
        return {name: float(getattr(cost, name)) for name in self.caps.set_caps()}

    def resume(self, spent: Cost, before: Cost | None = None) -> None:
        """Start from what an interrupted attempt had spent, which takes nothing off the counts.

        `before` is what it had spent before its first step.
        """
        self.tick()
        most = {
            name: mine if theirs is None else max(mine or 0, theirs)
            for (name, mine), (_, theirs) in zip(self._cost, spent, strict=True)
        }
        self._cost = Cost(**most)
        self._earlier_seconds = self._cost.seconds
        if self._group.rank == 0:  # whose cost it is
            self._judged_earlier = spent.verifier_cpu_seconds or 0.0
        self._started = monotonic()
        self._agreed = self._cost.model_copy()
        self.begin_steps()
        if before is not None:
            self._before = {name: float(getattr(before, name)) for name in self._last}

    def begin_steps(self) -> None:
        """Start counting steps: what was spent before is no part of the first one's cost."""
        self.sync()
        self._last = self._amounts()
        if not self._cost.steps:
            self._before = dict(self._last)

    def sync(self) -> None:
        """Add up what the stage's processes have counted. Every process must call it.

        Tokens and FLOPs are sums, the seconds are those of the slowest; steps are taken together.
        """
        self.tick()
        if self._group.size == 1:
            return
        before = {name: getattr(self._agreed, name) or 0 for name in COUNTED}
        new = [(getattr(self._cost, name) or 0) - before[name] for name in COUNTED]
        for name, amount in zip(COUNTED, self._group.total(new), strict=True):
            whole = before[name] + amount
            setattr(self._cost, name, round(whole) if name in TOKENS else whole)
        self._cost.seconds = self._group.largest(self._cost.seconds)
        self._cost.gpu_seconds = self._cost.seconds * self._gpus
        self._agreed = self._cost.model_copy()

    def tick(self) -> None:
        """Bring the seconds, and what was computed, up to date."""
        self._cost.seconds = self._earlier_seconds + monotonic() - self._started
        self._cost.gpu_seconds = self._cost.seconds * self._gpus
        self._take()

    def _take(self) -> None:
        """Add to the cost what was computed since the last time."""
        seen = self.products
        now = (seen.body, seen.head, seen.attention)
        if now != self._taken:
            for name, amount, before in zip(PARTS, now, self._taken, strict=True):
                setattr(self._cost, name, (getattr(self._cost, name) or 0.0) + amount - before)
            self._taken = now

    @property
    def fraction(self) -> float:
        """Return the share that is spent of the cap nearest its end; above 1 where it is passed."""
        amounts = self._amounts()
        return max(amounts[name] / cap for name, cap in self.caps.set_caps().items())

    @property
    def progress(self) -> float:
        """Return the share of training that is done, 0 to 1, as of the last optimiser step.

        That of the planned steps, or of what the budget held when the first step began: whichever
        ends first. Rates and weights that change in the course of training go by it, so that their
        course ends when training does, whatever ends it.
        """
        shares = [self._cost.steps / self.planned] if self.planned else []
        for name, cap in self.caps.set_caps().items():
            before = self._before[name]
            shares.append((self._last[name] - before) / (cap - before) if cap > before else 1.0)
        return min(1.0, max(shares))

    def exhausted(self) -> bool:
        """Return whether one more step, as costly as the costliest so far, would pass a cap."""
        amounts, caps = self._amounts(), self.caps.set_caps()
        return any(amounts[name] + self._largest[name] > cap for name, cap in caps.items())

    def count_step(self) -> None:
        self._cost.steps += 1
        self._steps_here += 1
        self.sync()
        now = self._amounts()
        for name, amount in now.items():
            spent = amount - self._last[name]
            # The first step may include what came before training; the second one is typical.
            first = self._steps_here <= 2
            self._largest[name] = spent if first else max(self._largest[name], spent)
        self._last = now
        self._step_flops.append(self._cost.flops)
        self._ended = self.exhausted()

    def refuse_overrun(self, *, step: bool = True) -> None:
        """Raise `BudgetExceeded` if an optimiser step, or a forward pass, is one too many."""
        self.tick()
        for name, cap in self.caps.set_caps().items():
            spent = getattr(self._cost, name)
            if step:
                over = spent > cap or (name == "steps" and spent >= cap)
                refused = over and (self._ended or self._cost.steps == 0)
            else:
                more = 0.0 if self._ended else 2 * self._largest[name]
                refused = spent > cap + max(cap / 10, more)
            if refused and step and self._cost.steps == 0:
                self._refuse(
                    f"the first step of this trainer costs {spent:g} {name}, more than the whole"
                    f" budget of {cap:g}; raise the budget or make its batches smaller"
                )
            if refused:
                self._refuse(
                    f"the trainer went on after its budget of {cap:g} {name} was spent;"
                    " it must stop when run.budget.exhausted() is true (run.callback() does that)"
                )

    def _refuse(self, why: str) -> NoReturn:
        self._refused = self._refused or why
        raise BudgetExceeded(why)

    def settle(self) -> None:
        """Add up what the processes have counted at the end. Every process must call it.

        Raises:
            BudgetExceeded: If the trainer was stopped before, and caught what stopped it.
        """
        self.sync()
        (self._judged_earlier,) = self._group.total([self._judged_earlier + self.judged()])
        self.judged = float
        if self._group.largest(float(self._refused is not None)):
            raise BudgetExceeded(self._refused or "another process went on after its budget")

    def count_forward(self, model: str, size: int, tokens: int, *, trained: int | None) -> None:
        """Count a forward pass of a model, named by its folder, over non-padding tokens.

        With a gradient, parameters that are trained cost 6 FLOPs a token and frozen ones 4: a
        gradient flows through them, but none is taken of them.

        Args:
            model: The folder that the model was loaded from.
            size: Its parameters.
            tokens: Tokens that are read, without padding.
            trained: Parameters that a gradient is taken of; None for a pass without one.
        """
        _check_counts(size, tokens, trained or 0)
        self._forward(model, size, tokens, trained)

    def recount_forward(self, model: str, was: Pass, now: Pass) -> None:
        """Count a forward pass that was counted as what it turned out to be."""
        _check_counts(*(number or 0 for number in (*was, *now)))
        size, tokens, trained = was
        self._forward(model, size, -tokens, trained)
        self._forward(model, *now)

    def _forward(self, model: str, size: int, tokens: int, trained: int | None) -> None:
        if trained is not None:
            self._cost.trained_tokens += tokens
            self._cost.flops += (4 * size + 2 * trained) * tokens
            return
        if model and model == self._teacher:
            self._cost.teacher_tokens += tokens
        else:
            self._cost.reference_tokens += tokens
        self._cost.flops += 2 * size * tokens

    def count_generation(self, model: str, size: int, prompt_tokens: int, new_tokens: int) -> None:
        """Count a generation: 2 FLOPs a parameter for each token of a prompt, and each new one."""
        _check_counts(size, prompt_tokens, new_tokens)
        if model == self._teacher:
            self._cost.teacher_tokens += prompt_tokens + new_tokens
        else:
            self._cost.generated_tokens += new_tokens
        self._cost.flops += 2 * size * (prompt_tokens + new_tokens)

    def start(self) -> None:
        """Start the clock, once."""
        if not self._running:
            self._running, self._started = True, monotonic()
            for name in PARTS:
                setattr(self._cost, name, getattr(self._cost, name) or 0.0)


def _check_counts(*counts: int) -> None:
    if min(counts) < 0:
        raise StageError(f"a cost is never negative, and {min(counts)} was to be counted")


def impossible(cost: Cost, caps: Caps, parameters: int, seconds: float | None = None) -> str | None:
    """Return why a stage cannot have cost what it says, in one line, or None.

    A cap may be passed by what `Counter` lets through, for which twice the cap and an average step
    leave room. Each trained token costs 4 FLOPs a parameter or more; half of that is asked for,
    since a trainer may cut its model's vocabulary.

    Args:
        cost: What was counted.
        caps: What the stage was allowed.
        parameters: Of the checkpoint that it left.
        seconds: For how long its process ran, where that is known.
    """
    for name, value in cost:
        if value is not None and not (math.isfinite(value) and value >= 0):
            return f"{name} is {value}"
    for name, cap in caps.set_caps().items():
        spent = getattr(cost, name)
        room = cap if name == "steps" else 2 * cap + spent / max(1, cost.steps)
        if name not in TIMES and spent > room:  # what is not counted takes time, too
            return f"{spent:g} {name} under a cap of {cap:g}"
    least = 2.0 * parameters * cost.trained_tokens
    if cost.flops < least:
        return (
            f"{cost.trained_tokens:,} trained tokens of {parameters:,} parameters take at least"
            f" {least:.3g} FLOPs, and {cost.flops:.3g} were counted"
        )
    if seconds is not None and cost.seconds > seconds + 1:
        return f"{cost.seconds:.0f} seconds in a process that ran for {seconds:.0f}"
    return None
