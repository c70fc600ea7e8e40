"""The bounds on everything that is read or computed; the reason a judgement always ends.

Sizes bound what is kept, and a count of work bounds how long anything may take: whatever costs
time charges what it costs, and who charges more than an allowance holds is refused. The count is
of steps and not of seconds, so that a verdict is the same on every machine.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

_T = TypeVar("_T")
_R = TypeVar("_R")

MAX_TEXT = 400_000  # characters of a response that are looked at; of a longer one, the end
MAX_GOLD = 20_000  # characters of a gold text, which may be a whole solution
MAX_PROBLEM = 20_000  # characters of a problem that are looked at; of a longer one, the end
MAX_ANSWER = 6_000  # characters of a final answer that is read as mathematics
MAX_TOKENS = 3_000
MAX_NODES = 4_000
MAX_KEY = 60_000  # characters of a canonical form
MAX_DEPTH = 40  # nesting of brackets, roots, fractions
MAX_DIGITS = 4_000  # digits of one number literal
MAX_BITS = 40_000  # size of an exact integer that is computed rather than kept as a formula
MAX_FACTORIAL = 1_000
MAX_EXPONENT_10 = 5_000  # of scientific notation
MAX_ITEMS = 400  # of a list, set, tuple or matrix
MAX_WORK = 60_000  # steps of about a microsecond for one text to read or one pair to compare


class TooLarge(Exception):
    """The input is beyond a bound; the answer cannot be judged."""


class Unreadable(Exception):
    """The input is not mathematics that the reader knows."""


class _Work(threading.local):
    left = 1 << 62  # outside an allowance nothing is refused


WORK = _Work()


def charge(steps: int) -> None:
    """Count steps of work.

    Raises:
        TooLarge: If the allowance is used up.
    """
    WORK.left -= steps
    if WORK.left < 0:
        raise TooLarge(f"it takes more than {MAX_WORK} steps")


def with_allowance(function: Callable[[_T], _R], argument: _T) -> _R:
    """Call a function with `MAX_WORK` steps of its own, and give the rest from before back.

    Reading and comparing have one each: a reading comes from a cache or not, and a verdict must
    not depend on which.
    """
    before, WORK.left = WORK.left, MAX_WORK
    try:
        return function(argument)
    finally:
        WORK.left = before
