"""Ranking: which rows differ significantly, and the places, letters and wins that follow."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

from harness.leaderboard.multiple_testing import SIGNIFICANCE, holm
from harness.leaderboard.results import compare_entries

if TYPE_CHECKING:
    from harness.leaderboard.bootstrap import PairedDifference
    from harness.leaderboard.cells import Entry
    from harness.leaderboard.data import TaskResult


@dataclass(frozen=True)
class Ranking:
    """The ranked rows of a board."""

    order: list[str]  # their names, the best first
    places: dict[str, tuple[int, int]]  # the best and the worst place of each
    letters: dict[str, str]  # the group letters of each
    pairs: list[PairedDifference]  # the comparison of every two rows


def rank(entries: Iterable[Entry]) -> Ranking:
    """Rank the entries (given the best first) that have every ranking score and no failed seed."""
    ranked = [entry for entry in entries if entry.ranked]
    order = [entry.trainer for entry in ranked]
    pairs = [
        compare_entries(first, second, first.questions.ranking)
        for first, second in combinations(ranked, 2)
    ]
    adjusted = holm([one.p for one in pairs])
    different = {
        frozenset(names)
        for names, p in zip(combinations(order, 2), adjusted, strict=True)
        if p < SIGNIFICANCE
    }
    places = {name: place_of(name, order, different) for name in order}
    return Ranking(order, places, letters(order, different), pairs)


def place_of(name: str, order: Sequence[str], different: set[frozenset[str]]) -> tuple[int, int]:
    """Return the best and the worst place of a row, by the rows that differ from it."""
    own = order.index(name)
    better = sum(frozenset((other, name)) in different for other in order[:own])
    worse = sum(frozenset((other, name)) in different for other in order[own + 1 :])
    return 1 + better, len(order) - worse


def tally(tasks: Sequence[TaskResult]) -> tuple[int, int, int]:
    """Return on how many tasks a row beats, ties with and loses to the start model."""
    gains = [task.gain for task in tasks if task.gain is not None]
    adjusted = holm([gain.p for gain in gains])
    apart = [gain.difference for gain, p in zip(gains, adjusted, strict=True) if p < SIGNIFICANCE]
    wins = sum(difference > 0 for difference in apart)
    return wins, len(gains) - len(apart), len(apart) - wins


def letters(order: Sequence[str], different: set[frozenset[str]]) -> dict[str, str]:
    """Return a compact letter display: two names share a letter unless they are different.

    The insert-and-absorb algorithm of Piepho (2004); `order` has all names, the best first.
    """
    columns: list[set[str]] = [set(order)] if order else []
    # In a fixed order, since the letters depend on it.
    for pair in sorted(different, key=lambda pair: sorted(map(order.index, pair))):
        first, second = sorted(pair, key=order.index)
        split: list[set[str]] = []
        for column in columns:
            split += [column - {second}, column - {first}] if pair <= column else [column]
        columns = []
        for column in sorted(split, key=len, reverse=True):
            if not any(column <= other for other in columns):
                columns.append(column)
    columns.sort(key=lambda column: sorted(map(order.index, column)))
    return {
        name: "".join(_letter(i) for i, column in enumerate(columns) if name in column)
        for name in order
    }


def _letter(index: int) -> str:
    """Return a, b, ..., z, then a1, b1, ..."""
    return chr(ord("a") + index % 26) + (str(index // 26) if index >= 26 else "")
