"""The bounds on everything that is read or computed; the reason a judgement always ends."""

from __future__ import annotations

MAX_TEXT = 2_000_000  # characters of a response that are looked at; of a longer one, the end
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


class TooLarge(Exception):
    """The input is beyond a bound; the answer cannot be judged."""


class Unreadable(Exception):
    """The input is not mathematics that the reader knows."""
