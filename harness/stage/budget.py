"""Budget and cost: what a training stage may spend, and what it has spent, counted by the host.

Counting happens below the trainer (see `meter`), so that a trainer neither has to report its cost
nor can hide it.

The FLOPs are the usual estimate of Kaplan et al. (2020, arXiv 2001.08361), with N the parameters
of the model that did the work (a tied embedding counted once) and T non-padding tokens:
`6 N T` where a gradient is taken (`4 N T` for frozen parameters, as under LoRA), `2 N T` for
forward passes without one (generation including its prompt, reference policy, teacher). Of
generation engines outside transformers only vLLM is seen, where it is the board's engine.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from harness.errors import BudgetExceeded
from harness.records import Caps, Cost
from harness.stage.processes import Group

COUNTED = ("trained_tokens", "generated_tokens", "reference_tokens", "teacher_tokens", "flops")


class Budget:
    """The caps of one training stage and the running count of what it has spent.

    A trainer calls `exhausted` before each step (or uses `Run.callback`, which does) and stops in
    time. One that does not is stopped by the host with `BudgetExceeded`. An optimiser step is
    refused if it passes a cap and began on an exhausted budget, or if it is the first one and alone
    costs more than the whole budget. A forward pass or a generation is refused once a cap is passed
    by a tenth, or at twice the cap while the budget was not exhausted after the last step.

    Where a stage runs as several processes, each counts what it does, and `sync`, after every
    optimiser step, adds it up. `fraction` and `exhausted` use the sum of the last `sync`, so that
    all processes decide alike.

    Attributes:
        caps: What may be spent.
        cost: What has been spent.
        apart: Above 0 while what models do is counted by whoever makes them do it.
    """

    caps: Caps
    cost: Cost

    def __init__(self, caps: Caps, teacher: str | None = None, group: Group | None = None) -> None:
        self.caps, self.cost = caps, Cost()
        self._teacher, self._group = teacher, group or Group()
        self._agreed = Cost()  # as of the last `sync`
        self._earlier_seconds = 0.0
        self._started = time.monotonic()
        self._last: dict[str, float] = dict.fromkeys(caps.set_caps(), 0.0)
        self._largest: dict[str, float] = dict.fromkeys(self._last, 0.0)
        self._steps_here = 0
        self._ended = False
        self.apart = 0

    @contextmanager
    def counted_apart(self) -> Iterator[None]:
        """Count no pass over a model meanwhile: the caller counts what the passes are for."""
        self.apart += 1
        try:
            yield
        finally:
            self.apart -= 1

    def _amounts(self) -> dict[str, float]:
        """Return what is spent as of the last `sync`, or as of now in a stage of one process."""
        self.tick()
        cost = self._agreed if self._group.size > 1 else self.cost
        return {name: float(getattr(cost, name)) for name in self.caps.set_caps()}

    def resume(self, spent: Cost) -> None:
        """Start from what an interrupted attempt had spent."""
        self.cost = spent
        self._earlier_seconds = spent.seconds
        self._started = time.monotonic()
        self._agreed = spent.model_copy()
        self.begin_steps()

    def begin_steps(self) -> None:
        """Start counting steps: what was spent before is no part of the first one's cost."""
        self.sync()
        self._last = self._amounts()

    def sync(self) -> None:
        """Add up what the stage's processes have counted. Every process must call it.

        Tokens and FLOPs are sums, the seconds are those of the slowest; steps are taken together.
        """
        self.tick()
        if self._group.size == 1:
            return
        new = [getattr(self.cost, name) - getattr(self._agreed, name) for name in COUNTED]
        for name, amount in zip(COUNTED, self._group.total(new), strict=True):
            whole = getattr(self._agreed, name) + amount
            setattr(self.cost, name, whole if name == "flops" else round(whole))
        self.cost.seconds = self._group.largest(self.cost.seconds)
        self._agreed = self.cost.model_copy()

    def tick(self) -> None:
        """Bring the seconds up to date."""
        self.cost.seconds = self._earlier_seconds + time.monotonic() - self._started

    @property
    def fraction(self) -> float:
        """Return the share that is spent of the cap nearest its end; above 1 where it is passed."""
        amounts = self._amounts()
        return max(amounts[name] / cap for name, cap in self.caps.set_caps().items())

    def exhausted(self) -> bool:
        """Return whether one more step, as costly as the costliest so far, would pass a cap."""
        amounts, caps = self._amounts(), self.caps.set_caps()
        return any(amounts[name] + self._largest[name] > cap for name, cap in caps.items())

    def count_step(self) -> None:
        self.cost.steps += 1
        self._steps_here += 1
        self.sync()
        now = self._amounts()
        for name, amount in now.items():
            spent = amount - self._last[name]
            # The first step may include what came before training; the second one is typical.
            first = self._steps_here <= 2
            self._largest[name] = spent if first else max(self._largest[name], spent)
        self._last = now
        self._ended = self.exhausted()

    def refuse_overrun(self, *, step: bool = True) -> None:
        """Raise `BudgetExceeded` if an optimiser step, or a forward pass, is one too many."""
        self.tick()
        for name, cap in self.caps.set_caps().items():
            spent = getattr(self.cost, name)
            if step:
                over = spent > cap or (name == "steps" and spent >= cap)
                refused = over and (self._ended or self.cost.steps == 0)
            else:
                refused = spent > cap * (1.1 if self._ended else 2)
            if refused and step and self.cost.steps == 0:
                raise BudgetExceeded(
                    f"the first step of this trainer costs {spent:g} {name}, more than the whole"
                    f" budget of {cap:g}; raise the budget or make its batches smaller"
                )
            if refused:
                raise BudgetExceeded(
                    f"the trainer went on after its budget of {cap:g} {name} was spent;"
                    " it must stop when run.budget.exhausted() is true (run.callback() does that)"
                )

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
        if trained is not None:
            self.cost.trained_tokens += tokens
            self.cost.flops += (4 * size + 2 * trained) * tokens
            return
        if model and model == self._teacher:
            self.cost.teacher_tokens += tokens
        else:
            self.cost.reference_tokens += tokens
        self.cost.flops += 2 * size * tokens

    def count_generation(self, model: str, size: int, prompt_tokens: int, new_tokens: int) -> None:
        """Count a generation: 2 FLOPs a parameter for each token of a prompt, and each new one."""
        if model == self._teacher:
            self.cost.teacher_tokens += prompt_tokens + new_tokens
        else:
            self.cost.generated_tokens += new_tokens
        self.cost.flops += 2 * size * (prompt_tokens + new_tokens)

    def start(self) -> None:
        self._started = time.monotonic()
