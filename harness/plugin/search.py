"""Search spaces: which values of a trainer's options a board's tuning tries.

A trainer has one space for all boards. It is declared where its options are, as metadata of fields:

    learning_rate: Annotated[float, Search(1 / 8, 8, log=True, relative=True)] = 2e-5
    lora_rank: Annotated[int, Search(choices=(8, 16, 32))] = 16

The points are those of a scrambled Halton sequence (scipy), one dimension an option, with a fixed
seed: everybody tries the same ones, and more trials go on from where fewer ended.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pydantic

from harness.errors import UsageError
from harness.tuning import Setting

SEED = 0  # of the scrambling
DIGITS = 3  # significant ones of a value


@dataclass(frozen=True)
class Search:
    """The values of one option that tuning may try: a range, or a list.

    Attributes:
        low: The least value of a range.
        high: The largest one.
        log: Whether the range is covered evenly in the logarithm, so that `low` is above 0.
        relative: Whether `low` and `high` are factors of the value that the option would have
            without tuning, so that one space serves small and large models.
        choices: The values of a list, instead of a range.
    """

    low: float | None = None
    high: float | None = None
    log: bool = False
    relative: bool = False
    choices: tuple[Any, ...] = ()

    def __post_init__(self) -> None:
        """Refuse a space that has no two values.

        Raises:
            ValueError: If it is neither a range nor a list, or nothing lies in it.
        """
        if self.choices:
            if self.low is not None or self.high is not None or self.log or self.relative:
                raise ValueError("Search: choices stand alone, without low, high, log or relative")
            if len(set(self.choices)) < max(2, len(self.choices)):
                raise ValueError("Search: give two choices or more, each once")
            return
        if self.low is None or self.high is None:
            raise ValueError("Search: give low and high, or choices")
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low < self.high):
            raise ValueError("Search: low must lie below high, both finite")
        if (self.log or self.relative) and self.low <= 0:
            raise ValueError("Search: low must be above 0 where it is a factor or in a logarithm")

    @property
    def described(self) -> str:
        """Return the space in words, as records and pages have it."""
        if self.choices:
            return " or ".join(f"{one:g}" if _number(one) else str(one) for one in self.choices)
        times = " times its value" if self.relative else ""
        return f"{self.low:.3g} to {self.high:.3g}{times}{', log' if self.log else ''}"

    def at(self, place: float, now: Any) -> Any:
        """Return the value at a place between 0 and 1.

        Args:
            place: In the unit interval, 1 excluded.
            now: What the option would be without tuning; its type is kept.
        """
        if self.choices:
            return self.choices[min(int(place * len(self.choices)), len(self.choices) - 1)]
        assert self.low is not None
        assert self.high is not None
        low, high = self.low, self.high
        if self.relative:
            low, high = low * now, high * now
        if self.log:
            value = math.exp(math.log(low) + place * (math.log(high) - math.log(low)))
        else:
            value = low + place * (high - low)
        return round(value) if isinstance(now, int) else float(f"{value:.{DIGITS}g}")


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def space_of(options: type[pydantic.BaseModel]) -> dict[str, Search]:
    """Return the search space that a class of options declares, by option, in their order.

    A class that changes the default of an option keeps the space that its base class gave it.
    """
    found = {}
    for name in options.model_fields:
        for one in options.__mro__:
            fields = getattr(one, "model_fields", {}) if issubclass(one, pydantic.BaseModel) else {}
            metadata = fields[name].metadata if name in fields else ()
            spaces = [each for each in metadata if isinstance(each, Search)]
            if spaces:
                found[name] = spaces[-1]
                break
    return found


Space = Mapping[tuple[str, str], Search]
"""The space of a row: trainer and option -> values."""


def settings(space: Space, now: Mapping[tuple[str, str], Any], count: int) -> list[Setting]:
    """Return the settings that tuning tries: what holds without it, then points of the space.

    Args:
        space: Of all stages of a row.
        now: What each option would be without tuning.
        count: How many settings, the first included.

    Raises:
        UsageError: If a value that a space is relative to is not above 0.
    """
    from scipy.stats import qmc

    for (trainer, option), search in space.items():
        value = now[trainer, option]
        if search.relative and not (_number(value) and value > 0):
            raise UsageError(
                f"trainer {trainer!r}: {option} = {value!r} cannot be tuned: its search space is"
                " made of factors, which need a number above 0"
            )
    points: Iterable[Sequence[float]] = ()
    if space and count > 1:
        points = qmc.Halton(len(space), scramble=True, seed=SEED).random(count - 1).tolist()
    found = [_setting(now)]
    for point in points:
        values = {
            key: search.at(place, now[key])
            for (key, search), place in zip(space.items(), point, strict=True)
        }
        found.append(_setting(values))
    return found


def _setting(values: Mapping[tuple[str, str], Any]) -> Setting:
    found: Setting = {}
    for (trainer, option), value in values.items():
        found.setdefault(trainer, {})[option] = value
    return found
