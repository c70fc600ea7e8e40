"""One comparison: its conventions, and the way back from a part to the whole."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from harness.verify.algebra.equal import equal, proportional
from harness.verify.algebra.node import Node
from harness.verify.conventions import Conventions
from harness.verify.limits import charge

_T = TypeVar("_T")
Result = tuple[bool, str]  # whether the two are equal, and why


@dataclass(frozen=True)
class Comparison:
    """One comparison under fixed conventions.

    Parts of an answer are compared as answers are: an entry of a list may be a list. The modules
    for lists, relations and values import no module above them; they reach the whole through
    `same`, which `compare.comparison` passes in.

    Attributes:
        conventions: The task's options.
        gold_places: The place of the gold's last decimal, or None.
        compare: Compares two trees of any kind.
    """

    conventions: Conventions
    gold_places: int | None
    compare: Callable[[Comparison, Node, Node], Result]

    def equal(self, gold: Node, answer: Node) -> Result:
        """Return whether two expressions are equal, and how that was settled."""
        return equal(gold, answer, sampling=self.conventions.sampling == "accept")

    def proportional(self, gold: Node, answer: Node) -> int:
        """Return the sign of the constant by which two expressions differ, or 0."""
        return proportional(gold, answer, sampling=self.conventions.sampling == "accept")

    def same(self, gold: Node, answer: Node) -> Result:
        """Return whether two parts are equal, and why."""
        charge(4)
        return self.compare(self, gold, answer)

    def all_same(self, left: Sequence[Node], right: Sequence[Node]) -> bool:
        """Whether parts are equal one by one, in order."""
        return all(self.same(x, y)[0] for x, y in zip(left, right, strict=True))


def unpaired(left: Iterable[_T], right: Iterable[_T], same: Callable[[_T, _T], bool]) -> _T | None:
    """Return the first of the left that has no counterpart of its own on the right, or None."""
    rest = list(right)
    for x in left:
        for y in rest:
            if same(x, y):
                rest.remove(y)
                break
        else:
            return x
    return None
