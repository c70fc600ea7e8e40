"""The budget: what a trainer sees of what its stage may spend and has spent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from harness.records import Caps, Cost

if TYPE_CHECKING:
    from harness.stage.metering.counter import Counter


class Budget:
    """The caps of one training stage and what it has spent, as a trainer may read them.

    A trainer calls `exhausted` before each step (or uses `Run.callback`, which does) and stops in
    time; `harness.stage.metering.counter` says what happens to one that does not.

    What is read here are copies, and neither this nor the run that it is a part of has an attribute
    that counts. Whoever wants to change the counts has to take the process apart (its closures,
    frames, or the garbage collector's lists), and can.

    Attributes:
        caps: What may be spent.
        fill: Whether training is to go on until a cap is spent.
    """

    caps: Caps
    fill: bool

    def __init__(self, counter: Counter) -> None:
        def asked(name: Literal["fraction", "progress"]) -> float:
            return float(getattr(counter, name))

        def cost() -> Cost:
            return counter.cost

        def exhausted() -> bool:
            return counter.exhausted()

        def told(name: Literal["sync", "begin_steps"]) -> None:
            getattr(counter, name)()

        def resume(spent: Cost, before: Cost | None) -> None:
            counter.resume(spent, before)

        def plan(steps: int) -> None:
            counter.planned = steps

        self.caps, self.fill = counter.caps, counter.fill
        self._asked, self._cost, self._exhausted = asked, cost, exhausted
        self._told, self._resume, self._plan = told, resume, plan

    @property
    def cost(self) -> Cost:
        """Return what has been spent, as of now; a copy."""
        return self._cost()

    @property
    def fraction(self) -> float:
        """Return the share that is spent of the cap nearest its end; above 1 where it is passed."""
        return self._asked("fraction")

    @property
    def progress(self) -> float:
        """Return the share of training that is done, 0 to 1, as of the last optimiser step.

        That of the planned steps, or of what the budget held when the first step began: whichever
        ends first. Rates and weights that change in the course of training go by it, so that their
        course ends when training does, whatever ends it.
        """
        return self._asked("progress")

    def exhausted(self) -> bool:
        """Return whether one more step, as costly as the costliest so far, would pass a cap."""
        return self._exhausted()

    def sync(self) -> None:
        """Add up what the stage's processes have counted. Every process must call it."""
        self._told("sync")

    def begin_steps(self) -> None:
        """Start counting steps: what was spent before is no part of the first one's cost."""
        self._told("begin_steps")

    def resume(self, spent: Cost, before: Cost | None = None) -> None:
        """Start from what an interrupted attempt had spent; this takes nothing off the counts.

        `before` is what it had spent before its first step.
        """
        self._resume(spent, before)

    def plan(self, steps: int) -> None:
        """Say how many optimiser steps are planned for at most."""
        self._plan(steps)
